//! How a machine becomes a node, and how a node finds itself again at the next start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use coordinator::raft;
use protocol::id::{ClusterId, NodeId};
use protocol::join::Token;

use super::now;
use crate::auth::authority::Identity;
use crate::config::{self, Config};
use crate::raft_net;

/// Who this node is: what is kept in the data folder, else what the cluster gives for the token,
/// else the founder of a new cluster.
pub(super) async fn identify(
    config: &Config,
    node: &config::Node,
    data_dir: &Path,
    token: Option<&Token>,
) -> anyhow::Result<Identity> {
    let tls = data_dir.join("tls");
    if let Some(identity) = Identity::load(&tls).context("cannot open this node's keys")? {
        return Ok(identity);
    }
    if let Some(token) = token {
        return join(node, data_dir, token).await;
    }
    if config.nodes.len() > 1 {
        anyhow::bail!(
            "the file has {} nodes, and {} belongs to none of them yet: run `reelmesh cluster init` for the first one, and start each other with a token from `reelmesh token create` in REELMESH_JOIN_TOKEN",
            config.nodes.len(),
            data_dir.display()
        );
    }
    Identity::open(&tls).context("cannot make this node's keys")
}

/// Makes the cluster's authority in the data folder of its first node.
///
/// # Errors
/// The folder is in use, or belongs to a node already.
pub fn found(node: &config::Node) -> anyhow::Result<ClusterId> {
    let (data_dir, _lock) = open_data_dir(&node.data_dir)?;
    let tls = data_dir.join("tls");
    if let Some(identity) = Identity::load(&tls)? {
        anyhow::bail!(
            "{} belongs to node {} of cluster {} already; nothing was changed",
            data_dir.display(),
            identity.node(),
            identity.cluster()
        );
    }
    Ok(Identity::open(&tls)?.cluster())
}

/// Lets this machine join, without starting it.
///
/// # Errors
/// The folder belongs to a node already, or the cluster does not let the machine in.
pub async fn join_only(node: &config::Node, token: &Token) -> anyhow::Result<NodeId> {
    let (data_dir, _lock) = open_data_dir(&node.data_dir)?;
    if let Some(identity) = Identity::load(&data_dir.join("tls"))? {
        anyhow::bail!(
            "{} belongs to node {} of cluster {} already; if that node is no more, move the folder away first",
            data_dir.display(),
            identity.node(),
            identity.cluster()
        );
    }
    Ok(join(node, &data_dir, token).await?.node())
}

async fn join(node: &config::Node, data_dir: &Path, token: &Token) -> anyhow::Result<Identity> {
    if data_dir.join("raft").exists() {
        anyhow::bail!(
            "{} has the log of a node whose keys are gone; move the folder away, and let this machine join with an empty one",
            data_dir.display()
        );
    }
    let address = node.peer_address().context(
        "node.quic listens on all addresses; write in node.peer at which of them the other nodes reach this one",
    )?;
    let machine = raft_net::join::Machine {
        name: node.name.clone(),
        site: node.site.clone(),
        address,
    };
    let joined = raft_net::join::join(&data_dir.join("tls"), token, &machine, now()).await;
    joined.context("cannot join the cluster")
}

/// Beside the keys: that this node has had a log. With the log gone it must not begin another.
const LOG_BEGUN: &str = "log-begun";

pub(super) fn raft_options(
    node: &config::Node,
    data_dir: &Path,
    identity: &Identity,
) -> anyhow::Result<raft::Options> {
    let has_log = data_dir.join("raft").join("db").exists();
    if !has_log && data_dir.join("tls").join(LOG_BEGUN).exists() {
        anyhow::bail!(
            "the log of node {} is gone from {}, and with it what it promised to the others: move the folder away, and let this machine join as a new node",
            identity.node(),
            data_dir.display()
        );
    }
    Ok(raft::Options {
        cluster: Some(identity.cluster()),
        address: node.peer_address().unwrap_or_default(),
        bootstrap: identity.is_founder(),
        ..raft::Options::new(data_dir, identity.node(), Arc::new(now))
    })
}

/// Notes that there is a log now.
pub(super) fn note_log(data_dir: &Path) -> anyhow::Result<()> {
    let mark = data_dir.join("tls").join(LOG_BEGUN);
    if mark.exists() {
        return Ok(());
    }
    File::create(&mark)
        .and_then(|file| file.sync_all())
        .and_then(|()| File::open(data_dir.join("tls"))?.sync_all())
        .with_context(|| format!("cannot write {}", mark.display()))
}

/// Makes the data folder if there is none, and takes it for this process, for as long as the file
/// is open.
pub(super) fn open_data_dir(path: &Path) -> anyhow::Result<(PathBuf, File)> {
    std::fs::create_dir_all(path)
        .and_then(|()| std::fs::canonicalize(path))
        .and_then(|path| Ok((File::create(path.join("lock"))?, path)))
        .with_context(|| format!("cannot use the data folder {}", path.display()))
        .and_then(|(file, path)| {
            file.try_lock().with_context(|| {
                format!(
                    "the data folder {} is in use by another node; stop it, or name another with --data-dir",
                    path.display()
                )
            })?;
            Ok((path, file))
        })
}
