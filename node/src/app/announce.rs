//! Tells the catalogue who this node is and, on the leader, what the file says for all.

use std::time::Duration;

use coordinator::catalog::Command;
use coordinator::catalog::node::{Node, Role};
use coordinator::catalog::proxy::ProxyCommand;
use coordinator::catalog::settings::Settings;
use coordinator::raft::{Error, Handle};
use protocol::preset::Preset;
use protocol::time::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{self, Config};
use crate::media::Abilities;

/// Wait before saying it again after nobody listened.
const RETRY: Duration = Duration::from_secs(1);

/// Announces this node at the start and whenever its abilities change.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) catalog: Handle,
    pub(super) node: config::Node,
    pub(super) cores: u16,
    pub(super) settings: Settings,
    /// Of edit proxies, as the file has them.
    pub(super) presets: Vec<Preset>,
    pub(super) abilities: watch::Receiver<Option<Abilities>>,
}

impl Service {
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let work = async {
            loop {
                let abilities = self.abilities.borrow_and_update().clone();
                if let Err(error) = self.announce(abilities).await {
                    warn!(%error, "this node is not announced yet, trying again");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                if self.abilities.changed().await.is_err() {
                    // The media part has ended: there is no more to say.
                    std::future::pending::<()>().await;
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
    }

    async fn announce(&self, abilities: Option<Abilities>) -> Result<(), Error> {
        let settings = self.settings.clone();
        if self.catalog.is_leader() && self.catalog.read(|c| *c.settings() != settings) {
            self.catalog
                .propose(Command::SetSettings { settings })
                .await?;
            info!("the cluster's settings follow this node's file");
        }
        self.save_presets().await?;
        let known = self.catalog.node();
        let before = self.catalog.read(|catalog| catalog.node(known).cloned());
        let abilities = abilities.unwrap_or_else(|| Abilities {
            encoders: Vec::new(),
            sandbox: "not known yet".to_owned(),
        });
        let node = Node {
            id: known,
            name: self.node.name.clone(),
            site: self.node.site.clone(),
            role: role(self.node.role),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.node.slots.count(self.cores),
            cpu_cores: self.cores,
            encoders: abilities
                .encoders
                .iter()
                .map(|encoder| encoder.factory().to_owned())
                .collect(),
            sandbox: abilities.sandbox,
            draining: before.is_some_and(|node| node.draining),
            announced_at: Timestamp::default(),
            address: self.node.peer_address().unwrap_or_default(),
            removed_at: None,
        };
        let node = Box::new(node);
        self.catalog
            .propose(Command::AnnounceNode { node })
            .await
            .map(drop)
    }
}

impl Service {
    /// What the file says of presets becomes so. Others that somebody saved stay.
    async fn save_presets(&self) -> Result<(), Error> {
        if !self.catalog.is_leader() {
            return Ok(());
        }
        for preset in &self.presets {
            let known = self.catalog.read(|catalog| catalog.preset(&preset.name));
            if known.is_some_and(|known| known.is_like(preset)) {
                continue;
            }
            let preset = preset.clone();
            let name = preset.name.clone();
            let command = Command::Proxy(ProxyCommand::SavePreset { preset });
            match self.catalog.propose(command).await {
                Ok(_) => info!(preset = name, "a preset follows this node's file"),
                Err(Error::Rejected(rejection)) => {
                    warn!(preset = name, %rejection, "a preset of this node's file is not taken");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A role of the file, as the catalogue has it.
pub(super) const fn role(role: config::Role) -> Role {
    match role {
        config::Role::Voter => Role::Voter,
        config::Role::Learner => Role::Learner,
        config::Role::Worker => Role::Worker,
    }
}

/// What `cluster.toml` says for all nodes.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        ladder: config.render.ladder(),
        max_attempts: config.render.max_attempts,
        lease: config.render.lease.into(),
        retry_backoff: config.render.retry_backoff.into(),
        upload_expiry: config.limits.upload_expiry.into(),
        upload_max_bytes: config.limits.upload_size.as_bytes(),
        filename_max_chars: config.limits.filename_chars,
        copies: config.cluster.copies,
        ..Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_gives_the_default_settings() {
        assert_eq!(settings(&Config::default()), Settings::default());
    }
}
