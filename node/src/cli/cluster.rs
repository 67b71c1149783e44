//! `reelmesh cluster init`, `join` and `apply`: who belongs to the cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use protocol::http::Page;
use protocol::http::cluster::{Applied, Apply, Machine};
use protocol::http::node::Node;
use protocol::join::Token;
use tokio::time::Instant;

use super::client::Client;
use super::{Error, Kind, Shared, machine};
use crate::app;
use crate::config::{Config, Role};

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Found a cluster: make its authority in the data folder of its first node.
    Init(machine::Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct JoinArgs {
    #[command(flatten)]
    machine: machine::Args,
    /// What `reelmesh token create` printed.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "REELMESH_JOIN_TOKEN",
        hide_env_values = true
    )]
    token: Token,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// The file that describes the cluster.
    file: PathBuf,
    /// Do not wait until the cluster is as the file says.
    #[arg(long)]
    no_wait: bool,
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) fn init(shared: &Shared, args: &machine::Args) -> Result<(), Error> {
    let (_, node) = args.load()?;
    let cluster = app::found(&node)?;
    let data_dir = node.data_dir.display();
    if shared.json {
        println!(
            "{}",
            serde_json::json!({ "cluster": cluster, "data_dir": node.data_dir })
        );
        return Ok(());
    }
    println!("Cluster {cluster} is founded; its keys are in {data_dir}/tls.");
    println!(
        "Start this node with `reelmesh serve`, then make a token for each other machine with `reelmesh token create`."
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn join(shared: &Shared, args: JoinArgs) -> Result<(), Error> {
    let (_, node) = args.machine.load()?;
    let id = app::join_only(&node, &args.token).await?;
    if shared.json {
        println!("{}", serde_json::json!({ "node": id, "name": node.name }));
    } else {
        println!(
            "{} is node {id} of the cluster. Start it with `reelmesh serve`.",
            node.name
        );
    }
    Ok(())
}

/// Between two looks while the cluster changes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// With nothing changing for so long, it says what it waits for and ends.
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn apply(shared: &Shared, args: ApplyArgs) -> Result<(), Error> {
    let usage = |error: crate::config::Error| Error::new(Kind::Usage, error.to_string());
    let config = Config::load(Some(&args.file)).map_err(usage)?;
    let wanted = machines(&config)?;
    let client = Client::new(shared)?;
    let applied: Applied = client
        .post_json(
            "/cluster/apply",
            &Apply {
                nodes: wanted.clone(),
            },
        )
        .await?;
    for sentence in &applied.sentences {
        say(shared, sentence);
    }
    if args.no_wait {
        return Ok(());
    }
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut changed = Instant::now();
    loop {
        let page: Page<Node> = client.fetch("/nodes", &[]).await?;
        let mut waiting = Vec::new();
        for machine in &wanted {
            let Some(node) = page.items.iter().find(|node| node.name == machine.name) else {
                continue;
            };
            let step = step(node, &machine.role);
            if let Some(step) = &step {
                waiting.push(step.clone());
            }
            let text = step.unwrap_or_else(|| {
                format!("Node {} is a {} as the file says.", node.name, node.role)
            });
            if seen.insert(node.name.clone(), text.clone()).as_ref() != Some(&text) {
                say(shared, &text);
                changed = Instant::now();
            }
        }
        if waiting.is_empty() {
            break;
        }
        if changed.elapsed() > PATIENCE {
            return Err(Error::new(
                Kind::Failed,
                "the cluster is not as the file says yet; it goes on by itself",
            )
            .hint("`reelmesh nodes` shows how far it has come"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let missing = wanted
        .iter()
        .any(|machine| !seen.contains_key(&machine.name));
    if !shared.json && !missing {
        println!("The cluster is as the file says.");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
fn say(shared: &Shared, sentence: &str) {
    if shared.json {
        println!("{}", serde_json::json!({ "step": sentence }));
    } else {
        println!("{sentence}");
    }
}

/// What `node` still needs to be what the file says.
fn step(node: &Node, role: &str) -> Option<String> {
    let name = &node.name;
    let member = if role == "voter" { "voter" } else { "learner" };
    if node.member == member {
        return None;
    }
    Some(match node.member.as_str() {
        "none" => format!("Node {name} becomes a learner: it gets the catalogue first."),
        "learner" if node.seen_at.is_none() => {
            format!(
                "Node {name} has not been heard of at {}; start it there, and let UDP through to that port.",
                node.address
            )
        }
        "learner" if node.state == "away" => format!(
            "Node {name} does not answer at {}; start it, and let UDP through to that port.",
            node.address
        ),
        "learner" => format!("Node {name} becomes a voter once its catalogue has caught up."),
        _ => format!("Node {name} gives its vote back."),
    })
}

fn machines(config: &Config) -> Result<Vec<Machine>, Error> {
    let machines = config.nodes.iter().map(|node| {
        let address = node.peer_address().ok_or_else(|| {
            Error::new(
                Kind::Usage,
                format!(
                    "node {:?} listens on all addresses and has no `peer`",
                    node.name
                ),
            )
        })?;
        Ok(Machine {
            name: node.name.clone(),
            site: node.site.clone(),
            role: match node.role {
                Role::Voter => "voter",
                Role::Learner => "learner",
                Role::Worker => "worker",
            }
            .to_owned(),
            address,
        })
    });
    machines.collect()
}
