//! SIGHUP: the file is read again, and the cluster brought to what it says.

use std::path::Path;

use anyhow::Context;
use coordinator::catalog::cluster::Wanted;
use coordinator::raft;
use tracing::{info, warn};

use super::announce;
use crate::config::Config;
use crate::http;

/// Reads the file again and brings the cluster to what it says.
pub(super) async fn apply_file(catalog: &raft::Handle, file: Option<&Path>) {
    let Some(file) = file else {
        info!("SIGHUP: this node was started without a file, so there is nothing to apply");
        return;
    };
    let applied = async {
        let config = Config::load(Some(file))?;
        let wanted = wanted(&config)?;
        anyhow::Ok(http::cluster::apply(catalog, &wanted).await?)
    };
    match applied.await {
        Ok(sentences) if sentences.is_empty() => info!("SIGHUP: the cluster is as the file says"),
        Ok(sentences) => sentences
            .iter()
            .for_each(|sentence| info!("SIGHUP: {sentence}")),
        Err(error) => warn!("SIGHUP: the file is not applied: {error:#}"),
    }
}

/// The machines of the file, as the catalogue names them.
fn wanted(config: &Config) -> anyhow::Result<Vec<Wanted>> {
    let machines = config.nodes.iter().map(|node| {
        let address = node.peer_address().with_context(|| {
            format!(
                "node {:?} listens on all addresses and has no `peer`",
                node.name
            )
        })?;
        Ok(Wanted {
            name: node.name.clone(),
            site: node.site.clone(),
            role: announce::role(node.role),
            address,
        })
    });
    machines.collect()
}
