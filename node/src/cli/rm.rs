//! `reelmesh rm`: deletes videos.

use super::client::Client;
use super::{Error, Shared};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ids of the videos, or their file names.
    #[arg(required = true)]
    videos: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    for name in &args.videos {
        let video = client.video(name).await?;
        client.delete(&format!("/videos/{}", video.id)).await?;
        if shared.json {
            println!("{}", serde_json::json!({ "deleted": video.id }));
        } else {
            println!("deleted {} ({})", video.filename, video.id);
        }
    }
    Ok(())
}
