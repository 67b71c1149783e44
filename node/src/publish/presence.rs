//! Whether all nodes publish into one and the same place: each leaves a mark there, and looks for
//! those of the others.
//!
//! A folder that is not shared after all, or a node whose file names another bucket, would else
//! show only as objects that are missing for some viewers.

use std::time::Duration;

use bytes::Bytes;
use coordinator::raft::Handle;
use protocol::id::{ClusterId, NodeId};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::origin::{self, Headers, Origin};

/// Where marks lie.
const FOLDER: &str = "nodes";

/// After the start the others may only be starting, so the second look counts.
const SECOND_AFTER: Duration = Duration::from_secs(30);

/// Between two later looks.
const EVERY: Duration = Duration::from_mins(5);

/// Nobody but the nodes reads a mark.
const HEADERS: Headers = Headers {
    content_type: "text/plain",
    cache_control: "no-store",
};

/// What this node has seen of the others.
#[derive(Debug)]
pub(super) struct Presence {
    looks: u32,
    at: Option<Instant>,
    strangers: watch::Sender<Vec<NodeId>>,
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            looks: 0,
            at: None,
            strangers: watch::Sender::new(Vec::new()),
        }
    }

    /// Members of the cluster that leave no mark where this node publishes.
    pub(super) fn strangers(&self) -> watch::Receiver<Vec<NodeId>> {
        self.strangers.subscribe()
    }

    /// Leaves the mark and looks for the others, if it is time.
    pub(super) async fn look(
        &mut self,
        catalog: &Handle,
        origin: &Origin,
    ) -> Result<(), origin::Error> {
        let wait = if self.looks < 2 { SECOND_AFTER } else { EVERY };
        if self.at.is_some_and(|at| at.elapsed() < wait) {
            return Ok(());
        }
        // Without a cluster there are no others.
        let Some(cluster) = catalog.cluster() else {
            return Ok(());
        };
        self.at = Some(Instant::now());
        let me = catalog.node();
        let text = format!("Node {me} of cluster {cluster} publishes here.\n");
        origin
            .put_with(&mark(cluster, me), Bytes::from(text), HEADERS)
            .await?;
        let there = origin.list(&format!("{FOLDER}/{cluster}")).await?;
        let missing: Vec<NodeId> = catalog.read(|catalog| {
            let members = catalog.members().map(|node| node.id);
            members
                .filter(|node| !there.contains_key(&mark(cluster, *node)))
                .collect()
        });
        self.looks += 1;
        if self.looks < 2 {
            return Ok(());
        }
        self.strangers.send_if_modified(|standing| {
            let changes = *standing != missing;
            if changes && !missing.is_empty() {
                warn!(nodes = ?missing, "not all nodes publish into the origin of this one");
            }
            *standing = missing;
            changes
        });
        Ok(())
    }
}

fn mark(cluster: ClusterId, node: NodeId) -> String {
    format!("{FOLDER}/{cluster}/{node}.txt")
}
