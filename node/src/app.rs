//! Assembly: the only room that knows everybody; one list, started forwards, stopped backwards.

use crate::config::{Config, Node};

/// A node, put together.
#[derive(Debug)]
pub struct App {
    config: Config,
    node: Node,
}

impl App {
    /// Opens everything that this node keeps, and every port, before any work starts.
    pub async fn load(config: Config, node: Node) -> anyhow::Result<Self> {
        Ok(Self { config, node })
    }

    /// Runs until SIGINT or SIGTERM.
    pub async fn run(self) -> anyhow::Result<()> {
        anyhow::bail!(
            "node {} of {} has no rooms yet",
            self.node.name,
            self.config.cluster.name
        )
    }
}
