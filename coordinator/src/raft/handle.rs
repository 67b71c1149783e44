//! How the rest of the program talks to the catalogue: propose, read, watch.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{LinearizableReadError, RaftError};
use protocol::codec;
use protocol::id::{ClusterId, NodeId};
use protocol::time::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;
use tracing::{error, info};

use crate::catalog::{Catalog, Command, Effect, Reply};

use super::batcher::{self, Proposal};
use super::log_store::LogStore;
use super::machine::Replica;
use super::snapshots::Snapshots;
use super::types::Raft;
use super::{COMMIT_WITHIN, Clock};

pub use super::error::Error;

/// Cheap to clone; every clone sees the same catalogue.
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: NodeId,
    replica: Arc<Replica>,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Memory(Memory),
    Raft(Box<Consensus>),
}

struct Memory {
    clock: Clock,
    /// Index of the last entry; held while one is applied, so that they are in order.
    last: Mutex<u64>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// What a handle to the replicated catalogue holds.
pub(super) struct Consensus {
    pub(super) raft: Raft,
    pub(super) proposals: mpsc::Sender<Proposal>,
    pub(super) log: LogStore,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) runtime: OwnRuntime,
}

impl fmt::Debug for Consensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consensus").finish_non_exhaustive()
    }
}

/// Raft's own threads. A runtime must not be dropped where others run, so it is sent away.
pub(super) struct OwnRuntime(pub(super) Mutex<Option<Runtime>>);

impl OwnRuntime {
    fn stop(&self) {
        if let Some(runtime) = self.0.lock().expect("never poisoned").take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Handle {
    /// A catalogue that forgets everything at exit, for tests of the rooms above; its time stands
    /// still at the epoch.
    pub fn in_memory(node: NodeId) -> Self {
        Self::in_memory_at(node, Arc::new(Timestamp::default))
    }

    /// The same with a clock.
    pub fn in_memory_at(node: NodeId, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                node,
                replica: Arc::new(Replica::new(Catalog::default(), 0)),
                backend: Backend::Memory(Memory {
                    clock,
                    last: Mutex::new(0),
                }),
            }),
        }
    }

    pub(super) fn new(node: NodeId, replica: Arc<Replica>, consensus: Consensus) -> Self {
        Self {
            inner: Arc::new(Inner {
                node,
                replica,
                backend: Backend::Raft(Box::new(consensus)),
            }),
        }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.inner.node
    }

    /// The cluster that this catalogue belongs to, as told when it was made.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.consensus().and_then(|c| c.log.cluster())
    }

    /// Whether this node may decide right now; only a hint.
    pub fn is_leader(&self) -> bool {
        self.leader() == Some(self.inner.node)
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.inner.backend {
            Backend::Memory(_) => Some(self.inner.node),
            Backend::Raft(consensus) => {
                let metrics = consensus.raft.metrics();
                let leader = metrics.borrow_watched().current_leader;
                leader.map(NodeId)
            }
        }
    }

    /// Carries `command` out on a majority of voters, durably, and says what came of it.
    /// A command has no request id of its own yet, so whoever tries again after a timeout relies
    /// on the ids and epochs in the command to have it carried out once.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the catalogue refuses, also a command over 64 KiB;
    /// [`Error::Timeout`] leaves open whether it took effect.
    pub async fn propose(&self, command: Command) -> Result<Reply, Error> {
        let encoded = match codec::encode(&command) {
            Ok(encoded) => encoded,
            Err(codec::Error::TooLarge { size }) => return Err(batcher::too_large(size)),
            Err(error) => return Err(Error::Storage(error.to_string())),
        };
        let (proposal, reply) = Proposal::new(encoded)?;
        let consensus = match &self.inner.backend {
            Backend::Memory(memory) => return self.apply_in_memory(memory, command),
            Backend::Raft(consensus) => consensus,
        };
        consensus
            .proposals
            .send(proposal)
            .await
            .map_err(|_| Error::Closed)?;
        // Once for what is ahead in the queue, once for the command itself.
        match timeout(2 * COMMIT_WITHIN, reply).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Timeout),
        }
    }

    fn apply_in_memory(&self, memory: &Memory, command: Command) -> Result<Reply, Error> {
        let mut last = memory.last.lock().expect("apply never panics");
        *last += 1;
        let at = (memory.clock)().max(self.read(Catalog::at));
        let mut replies = self.inner.replica.apply(*last, at, vec![command]);
        Ok(replies.pop().expect("one command, one reply")?)
    }

    /// Looks at this node's copy of the catalogue. Keep `look` short: it holds up `apply`.
    pub fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        self.inner.replica.read(look)
    }

    /// Returns once this node's copy holds everything acknowledged before the call.
    pub async fn linearize(&self) -> Result<(), Error> {
        let Some(consensus) = self.consensus() else {
            return Ok(());
        };
        let read = consensus.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        match timeout(COMMIT_WITHIN, read).await {
            Err(_) => Err(Error::Timeout),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::Fatal(fatal))) => Err(fatal.into()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                Err(forward.into())
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                Err(Error::Timeout)
            }
        }
    }

    /// The newest applied log index; wakes on every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.replica.changes()
    }

    /// What changed, entity by entity; a slow reader is told that it missed some.
    pub fn effects(&self) -> broadcast::Receiver<Effect> {
        self.inner.replica.effects()
    }

    /// Writes a snapshot of everything applied so far and returns its file, which stays until
    /// two newer ones are written: copy it right away.
    pub async fn snapshot(&self) -> Result<PathBuf, Error> {
        let Some(consensus) = self.consensus() else {
            return Err(Error::Storage(
                "this catalogue is in memory only".to_owned(),
            ));
        };
        let applied = consensus.raft.metrics().borrow_watched().last_applied;
        let written = async {
            loop {
                // Not heard while an older one is being written.
                consensus.raft.trigger().snapshot().await?;
                let wait = consensus.raft.wait(Some(SNAPSHOT_RETRY));
                let reached = wait.metrics(|m| m.snapshot >= applied, "snapshot").await;
                if reached.is_ok() {
                    return Ok::<_, Error>(());
                }
            }
        };
        timeout(SNAPSHOT_WITHIN, written)
            .await
            .map_err(|_| Error::Timeout)??;
        let snapshots = Arc::clone(&consensus.snapshots);
        match tokio::task::spawn_blocking(move || snapshots.newest()).await {
            Ok(Ok(Some((_, file)))) => Ok(file.path),
            Ok(Ok(None)) => Err(Error::Storage("there is no snapshot".to_owned())),
            Ok(Err(error)) => Err(Error::Storage(error.to_string())),
            Err(_) => Err(Error::Closed),
        }
    }

    /// Raft itself, for the network between nodes.
    pub fn raft(&self) -> Option<&Raft> {
        self.consensus().map(|c| &c.raft)
    }

    /// Stops this node's part in the cluster; everything acknowledged is on the disk, and the
    /// folder may be opened again. What is proposed later fails with [`Error::Closed`].
    pub async fn shutdown(&self) {
        let Some(consensus) = self.consensus() else {
            return;
        };
        if let Err(error) = consensus.raft.shutdown().await {
            error!(%error, "raft did not stop cleanly");
        }
        let log = consensus.log.clone();
        // Joins a thread.
        if tokio::task::spawn_blocking(move || log.close())
            .await
            .is_err()
        {
            error!("the log was not closed cleanly");
        }
        consensus.runtime.stop();
        info!(node = %self.inner.node, "catalogue closed");
    }

    fn consensus(&self) -> Option<&Consensus> {
        match &self.inner.backend {
            Backend::Memory(_) => None,
            Backend::Raft(consensus) => Some(consensus),
        }
    }
}

/// Writing a snapshot of a million videos takes seconds.
const SNAPSHOT_WITHIN: Duration = Duration::from_mins(2);
/// Between two requests for the same one.
const SNAPSHOT_RETRY: Duration = Duration::from_millis(250);
