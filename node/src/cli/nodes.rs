//! `reelmesh nodes`: the machines.

use protocol::http::Page;
use protocol::http::node::Node;

use super::client::Client;
use super::{Error, Shared, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, _args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
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

fn row(node: &Node) -> [String; 9] {
    let role = if node.leader {
        format!("{}, leader", node.role)
    } else {
        node.role.clone()
    };
    [
        node.name.clone(),
        node.site.clone(),
        role,
        node.state.clone(),
        format!("{} of {} busy", node.slots_busy, node.slots),
        node.cpu_permille.map_or_else(String::new, table::percent),
        node.disk_free_bytes.map_or_else(String::new, table::bytes),
        node.encoders.join(" "),
        node.sandbox.clone(),
    ]
}
