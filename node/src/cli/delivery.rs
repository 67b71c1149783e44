//! `reelmesh delivery`: the keys that sign private playback.

use clap::Subcommand;
use protocol::http::delivery::SigningKey;

use super::client::Client;
use super::{Error, Shared};

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List the keys that sign grants, with their secrets, for a CDN that checks grants itself.
    Keys,
    /// Sign with a new key from now on. Grants of the key before stay valid; twice ends them all.
    Rotate,
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, action: Action) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let keys: Vec<SigningKey> = match action {
        Action::Keys => client.fetch("/delivery/keys", &[]).await?,
        Action::Rotate => client.post_json("/delivery/keys", &()).await?,
    };
    for key in &keys {
        if shared.json {
            println!("{}", serde_json::json!(key));
        } else {
            let role = if key.signs { "signs" } else { "verifies" };
            println!("{}\t{}\t{role}\tsince {}", key.id, key.secret, key.added_at);
        }
    }
    if keys.is_empty() && !shared.json {
        println!(
            "There are no keys: playback is public, or the cluster has just been told otherwise."
        );
    }
    Ok(())
}
