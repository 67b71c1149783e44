//! What can go wrong when talking to the catalogue, and when opening it.

use std::io;
use std::path::{Path, PathBuf};

use protocol::id::{ClusterId, NodeId};

use crate::catalog::Rejection;

/// Why a proposal has no reply.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalogue refused it: nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("this node is not the leader{}", leader.map(|l| format!(", node {l} is")).unwrap_or_default())]
    NotLeader { leader: Option<NodeId> },
    /// Unknown whether it took effect.
    #[error("the cluster did not answer in time")]
    Timeout,
    #[error("the catalogue's storage failed: {0}")]
    Storage(String),
    #[error("the catalogue is closed")]
    Closed,
}

impl Error {
    /// The same error for another who waits for the same entry.
    pub(super) fn for_another(&self) -> Self {
        match self {
            Self::Rejected(rejection) => Self::Rejected(rejection.clone()),
            Self::NotLeader { leader } => Self::NotLeader { leader: *leader },
            Self::Timeout => Self::Timeout,
            Self::Storage(why) => Self::Storage(why.clone()),
            Self::Closed => Self::Closed,
        }
    }
}

/// Why the catalogue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "{} is in use by another process: stop the node that runs there, or give this one \
         another data folder",
        path.display()
    )]
    InUse { path: PathBuf },
    /// Votes or entries may be lost, so going on could break what the cluster agreed on.
    #[error(
        "the catalogue in {} is damaged: {why}; this node must not go on with it: \
         move the folder away and let the node join the cluster again under a new id, \
         or, if it is the only node, restore a backup",
        path.display()
    )]
    Damaged { path: PathBuf, why: String },
    #[error("{} belongs to node {found}, not to node {expected}", path.display())]
    ForeignNode {
        path: PathBuf,
        found: NodeId,
        expected: NodeId,
    },
    #[error("{} belongs to cluster {found}, not to cluster {expected}", path.display())]
    ForeignCluster {
        path: PathBuf,
        found: ClusterId,
        expected: ClusterId,
    },
    #[error("raft does not start: {0}")]
    Raft(String),
}

impl OpenError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}
