//! `reelmesh nodes`: the machines; drain one, or remove it.

use std::time::Duration;

use clap::Subcommand;
use protocol::http::Page;
use protocol::http::cluster::Drain;
use protocol::http::node::Node;

use super::client::Client;
use super::{Error, Shared, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give a node no new work, and wait until it has none and its originals are elsewhere too.
    Drain {
        name: String,
        /// Give it work again.
        #[arg(long)]
        undo: bool,
        /// Do not wait.
        #[arg(long)]
        no_wait: bool,
    },
    /// Remove a node from the cluster for good.
    Remove { name: String },
}

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    match args.action {
        None => list(shared, &client).await,
        Some(Action::Drain {
            name,
            undo,
            no_wait,
        }) => drain(shared, &client, &name, !undo, no_wait).await,
        Some(Action::Remove { name }) => remove(shared, &client, &name).await,
    }
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn drain(
    shared: &Shared,
    client: &Client,
    name: &str,
    draining: bool,
    no_wait: bool,
) -> Result<(), Error> {
    let path = format!("/nodes/{name}/drain");
    let mut node: Node = client.post_json(&path, &Drain { draining }).await?;
    let say = |node: &Node, text: &str| {
        if shared.json {
            println!("{}", serde_json::json!(node));
        } else {
            println!("{text}");
        }
    };
    if !draining {
        say(&node, &format!("Node {name} gets work again."));
        return Ok(());
    }
    let mut said = String::new();
    loop {
        let sole = node.sole_originals.unwrap_or(0);
        let text = match (node.slots_busy, sole) {
            (0, 0) => {
                format!("Node {name} is drained: it has no work, and no original lies only there.")
            }
            (busy, sole) => format!(
                "Node {name} gets no new work; it still runs {busy} jobs, and holds the only copy of {sole} originals."
            ),
        };
        if text != said {
            say(&node, &text);
            said = text;
        }
        if no_wait || (node.slots_busy == 0 && sole == 0) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        node = client.fetch(&format!("/nodes/{name}"), &[]).await?;
    }
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn remove(shared: &Shared, client: &Client, name: &str) -> Result<(), Error> {
    client.delete(&format!("/nodes/{name}")).await?;
    if shared.json {
        println!("{}", serde_json::json!({ "removed": name }));
    } else {
        println!(
            "Node {name} is removed. Take it out of cluster.toml, and stop it; its data folder is of no more use."
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn list(shared: &Shared, client: &Client) -> Result<(), Error> {
    let page: Page<Node> = client.fetch("/nodes", &[]).await?;
    if shared.json {
        for node in &page.items {
            println!("{}", serde_json::json!(node));
        }
        return Ok(());
    }
    let rows: Vec<_> = page.items.iter().map(row).collect();
    table::print(
        [
            "NAME",
            "SITE",
            "ROLE",
            "STATE",
            "LAG",
            "SLOTS",
            "CPU",
            "FREE DISK",
            "ENCODERS",
            "SANDBOX",
        ],
        &rows,
    );
    Ok(())
}

fn row(node: &Node) -> [String; 10] {
    let mut role = node.role.clone();
    let wanted = if node.role == "voter" {
        "voter"
    } else {
        "learner"
    };
    if node.member != wanted {
        role = format!("{role} (now {})", node.member);
    }
    if node.leader {
        role.push_str(", leader");
    }
    let state = if node.draining {
        format!("{}, draining", node.state)
    } else {
        node.state.clone()
    };
    [
        node.name.clone(),
        node.site.clone(),
        role,
        state,
        node.lag.to_string(),
        format!("{} of {} busy", node.slots_busy, node.slots),
        node.cpu_permille.map_or_else(String::new, table::percent),
        node.disk_free_bytes.map_or_else(String::new, table::bytes),
        node.encoders.join(" "),
        node.sandbox.clone(),
    ]
}
