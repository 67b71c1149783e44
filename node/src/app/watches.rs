//! The watched folders of this machine, from its part of the file.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use protocol::id::BlobHash;
use protocol::time::Span;
use tokio::sync::watch;

use crate::config::{self, Config};
use crate::ingest;
use crate::ingest::watch::{Options, Service, Status};

/// One service for each folder, and how it goes.
pub(super) fn open(
    config: &Config,
    node: &config::Node,
    data_dir: &Path,
    uploads: &ingest::Handle,
) -> anyhow::Result<Vec<(Service, watch::Receiver<Status>)>> {
    let own = config.watches.iter().filter(|each| each.node == node.name);
    let mut services = Vec::new();
    for each in own {
        let journals = data_dir.join("watch");
        std::fs::create_dir_all(&journals)
            .with_context(|| format!("cannot make {}", journals.display()))?;
        // The journal belongs to the folder, whatever its place in the file.
        let name = BlobHash::of(each.path.as_os_str().as_encoded_bytes());
        let rescan: Span = each.rescan.into();
        let options = Options {
            path: each.path.clone(),
            pattern: each.glob()?.compile_matcher(),
            stable: each.stable.into(),
            rescan: Duration::from_millis(rescan.as_millis()),
            cards: each.cards,
            put_away: each.after == config::After::Move,
            journal: journals.join(name.to_string()),
        };
        services.push(Service::new(options, uploads.clone()));
    }
    Ok(services)
}
