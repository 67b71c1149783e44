//! `reelmesh doctor`: names each failed assumption about this machine, and its mend.

use protocol::http::Page;
use protocol::http::node::Node;
use serde::Deserialize;

use super::client::Client;
use super::{Error, Kind, Shared, machine, origin};
use crate::app;
use crate::origin::check::{Outcome, Step};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: machine::Args,
}

/// `/readyz`
#[derive(Debug, Deserialize)]
struct Readiness {
    reasons: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

pub(crate) async fn run(shared: &Shared, args: &Args) -> Result<(), Error> {
    let (config, node) = args.machine.load()?;
    // The node of this file, wherever `--to` points.
    let mut address = node.http;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let local = Shared {
        to: Some(format!("http://{address}")),
        ..shared.clone()
    };
    let client = Client::new(&local)?;
    let running = client.readiness::<Readiness>().await;
    let mut steps = Vec::new();
    let runs = running.is_some();
    app::examine(&config, &node, &super::environment, runs, |step| {
        origin::print_step(shared, &step);
        steps.push(step);
    })
    .await;
    for step in cluster(&client, running).await {
        origin::print_step(shared, &step);
        steps.push(step);
    }
    let failures = steps
        .iter()
        .filter(|s| s.outcome == Outcome::Failed)
        .count();
    if failures == 0 {
        return Ok(());
    }
    let tried = steps.len();
    Err(Error::new(
        Kind::Failed,
        format!("{failures} of {tried} things are not as a node needs them"),
    ))
}

/// What the running node says of itself and of the others.
async fn cluster(client: &Client, running: Option<Readiness>) -> Vec<Step> {
    let step = |name, outcome, seen: String, mend: Option<String>| Step {
        name,
        outcome,
        seen,
        mend,
        took_ms: 0,
    };
    let Some(readiness) = running else {
        let seen = "the node does not run, so the cluster was not asked".to_owned();
        return vec![step("node", Outcome::Skipped, seen, None)];
    };
    let mut steps: Vec<Step> = Vec::new();
    for reason in readiness.reasons {
        steps.push(step("node", Outcome::Failed, reason, None));
    }
    for warning in readiness.warnings {
        steps.push(step("node", Outcome::Warning, warning, None));
    }
    if steps.is_empty() {
        steps.push(step(
            "node",
            Outcome::Ok,
            "the node is ready".to_owned(),
            None,
        ));
    }
    match client.fetch::<Page<Node>>("/nodes", &[]).await {
        Err(error) => steps.push(step("cluster", Outcome::Failed, error.to_string(), None)),
        Ok(page) => {
            for node in page.items {
                steps.push(if node.state == "away" {
                    step(
                        "cluster",
                        Outcome::Failed,
                        format!("node {} is away", node.name),
                        Some(format!(
                            "start it, and let UDP through to {}; if it is gone for good, `reelmesh nodes remove {}`",
                            node.address, node.name
                        )),
                    )
                } else {
                    step("cluster", Outcome::Ok, format!("node {} is {}", node.name, node.state), None)
                });
            }
        }
    }
    steps
}
