//! How the rest of the program talks to the catalogue: propose, read, watch.

use std::sync::{Arc, RwLock};

use protocol::id::NodeId;
use protocol::time::Timestamp;
use tokio::sync::{broadcast, watch};

use crate::catalog::{Catalog, Command, Effect, Rejection, Reply, Stamp};

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

/// Cheap to clone; every clone sees the same catalogue.
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: NodeId,
    catalog: RwLock<Catalog>,
    changes: watch::Sender<u64>,
    effects: broadcast::Sender<Effect>,
}

impl Handle {
    /// A catalogue that forgets everything at exit, for tests of the rooms above.
    pub fn in_memory(node: NodeId) -> Self {
        Self {
            inner: Arc::new(Inner {
                node,
                catalog: RwLock::default(),
                changes: watch::channel(0).0,
                // Slow readers of effects are told that they missed some, and look at the state.
                effects: broadcast::channel(1024).0,
            }),
        }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.inner.node
    }

    /// Whether this node may decide right now; only a hint.
    pub fn is_leader(&self) -> bool {
        true
    }

    pub fn leader(&self) -> Option<NodeId> {
        Some(self.inner.node)
    }

    /// Carries `command` out on a majority of voters, durably, and says what came of it.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the catalogue refuses; [`Error::Timeout`] leaves open whether it took effect.
    pub async fn propose(&self, command: Command) -> Result<Reply, Error> {
        let mut catalog = self.inner.catalog.write().expect("apply never panics");
        let index = *self.inner.changes.borrow() + 1;
        let at = Timestamp::from_millis(0);
        let outcome = catalog.apply(
            Stamp {
                index,
                sequence: 0,
                at,
            },
            command,
        );
        drop(catalog);
        for effect in outcome.effects {
            let _ = self.inner.effects.send(effect);
        }
        self.inner.changes.send_replace(index);
        Ok(outcome.reply?)
    }

    /// Looks at this node's copy of the catalogue. Keep `look` short: it holds up `apply`.
    pub fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.inner.catalog.read().expect("apply never panics"))
    }

    /// Returns once this node's copy holds everything acknowledged before the call.
    pub async fn linearize(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The newest applied log index; wakes on every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// What changed, entity by entity; a slow reader is told that it missed some.
    pub fn effects(&self) -> broadcast::Receiver<Effect> {
        self.inner.effects.subscribe()
    }
}
