//! How the rest of the program talks to the catalogue: propose, read, watch.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{LinearizableReadError, RaftError};
use protocol::codec;
use protocol::id::{ClusterId, NodeId};
use protocol::raft::Kind;
use protocol::time::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info};

use crate::catalog::{Catalog, Command, Effect, Reply, Request};

use super::asking::Asking;
use super::batcher::{self, Outcome, Proposal};
use super::blocking::blocking;
use super::log_store::LogStore;
use super::machine::Replica;
use super::membership::{self, Change, Member};
use super::network::{CallError, Network, Peer, ask};
use super::snapshots::Snapshots;
use super::types::Raft;
use super::wire::Failed;
use super::{COMMIT_WITHIN, Clock, Pace};

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
    pub(super) network: Arc<dyn Network>,
    pub(super) asking: Asking,
    pub(super) pace: Pace,
    /// Whether this copy has held, since the start, all that was acknowledged before.
    pub(super) caught_up: AtomicBool,
    /// Why the cluster does not want this node any more.
    pub(super) quarantined: watch::Sender<Option<String>>,
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

    /// Carries `command` out on a majority of voters, durably, and says what came of it. It is
    /// carried out once, though it may be asked of several leaders, one after the other.
    ///
    /// Whoever proposes it again after a timeout asks something new, and relies on the ids and
    /// epochs in the command.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the catalogue refuses, also a command over 64 KiB;
    /// [`Error::Timeout`] leaves open whether it took effect.
    pub async fn propose(&self, command: Command) -> Result<Reply, Error> {
        // Dropped only when the reply is there, or nobody waits for it any more.
        let open = self.consensus().map(|consensus| consensus.asking.open());
        let request = Request {
            id: open.as_ref().map(|open| open.id),
            command,
        };
        let encoded = match codec::encode(&request) {
            Ok(encoded) => encoded,
            Err(codec::Error::TooLarge { size }) => return Err(batcher::too_large(size)),
            Err(error) => return Err(Error::Storage(error.to_string())),
        };
        let (proposal, reply) = Proposal::new(encoded)?;
        let consensus = match &self.inner.backend {
            Backend::Memory(memory) => return self.apply_in_memory(memory, request),
            Backend::Raft(consensus) => consensus,
        };
        consensus
            .proposals
            .send(proposal)
            .await
            .map_err(|_| Error::Closed)?;
        // Once for what is ahead in the queue, once for the command itself.
        let Outcome { index, reply } = match timeout(2 * COMMIT_WITHIN, reply).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(_)) => return Err(Error::Closed),
            Err(_) => return Err(Error::Timeout),
        };
        // Whoever proposed it looks at this copy next. One that lags far behind is no reason to
        // say that nothing was done.
        let mut changes = self.changes();
        let seen = changes.wait_for(|applied| *applied >= index);
        drop(timeout(SEEN_WITHIN, seen).await);
        Ok(reply?)
    }

    fn apply_in_memory(&self, memory: &Memory, request: Request) -> Result<Reply, Error> {
        let mut last = memory.last.lock().expect("apply never panics");
        *last += 1;
        let at = (memory.clock)().max(self.read(Catalog::at));
        let mut replies = self.inner.replica.apply(*last, at, vec![request]);
        Ok(replies.pop().expect("one command, one reply")?)
    }

    /// Looks at this node's copy of the catalogue. Keep `look` short: it holds up `apply`.
    pub fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        self.inner.replica.read(look)
    }

    /// Returns once this node's copy holds everything acknowledged before the call.
    ///
    /// # Errors
    /// [`Error::NotLeader`] without a leader that answers; [`Error::Timeout`] if this copy lags.
    pub async fn linearize(&self) -> Result<(), Error> {
        let Some(consensus) = self.consensus() else {
            return Ok(());
        };
        let read = consensus.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        let forward = match timeout(COMMIT_WITHIN, read).await {
            Err(_) => return Err(Error::Timeout),
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(RaftError::Fatal(fatal))) => return Err(fatal.into()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                forward
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                return Err(Error::Timeout);
            }
        };
        let error = Error::from(forward);
        let Some(leader) = self.leader_elsewhere() else {
            return Err(error);
        };
        let read: Result<u64, Failed> = ask(
            &*consensus.network,
            &leader,
            Kind::ReadIndex,
            &(),
            COMMIT_WITHIN,
        )
        .await
        .map_err(|_| error)?;
        let index = read.map_err(Error::from)?;
        let wait = consensus.raft.wait(Some(COMMIT_WITHIN));
        match wait.applied_index_at_least(Some(index), "read").await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// Whether this copy is no older than what was acknowledged before this node was started.
    pub fn has_caught_up(&self) -> bool {
        self.consensus()
            .is_none_or(|consensus| consensus.caught_up.load(Ordering::Relaxed))
    }

    /// Waits for that, however long it takes.
    pub(super) async fn catch_up(&self) {
        let Some(consensus) = self.consensus() else {
            return;
        };
        while self.linearize().await.is_err() {
            sleep(CATCH_UP_RETRY).await;
        }
        consensus.caught_up.store(true, Ordering::Relaxed);
    }

    /// The members of the cluster as this node sees them, itself included.
    pub fn members(&self) -> Vec<Member> {
        match &self.inner.backend {
            Backend::Memory(_) => vec![Member {
                node: self.inner.node,
                address: String::new(),
                voter: true,
                behind: Some(0),
                answers: Some(true),
            }],
            Backend::Raft(consensus) => membership::members(&consensus.raft, consensus.pace),
        }
    }

    /// Takes one step in the membership, on whichever node leads.
    ///
    /// # Errors
    /// [`Error::Membership`] if the step is refused: then nothing changed.
    pub async fn change(&self, change: Change) -> Result<(), Error> {
        let Some(consensus) = self.consensus() else {
            return Err(Error::Storage(
                "this catalogue is in memory only".to_owned(),
            ));
        };
        let start = Instant::now();
        loop {
            let done = if self.is_leader() {
                membership::carry_out(&consensus.raft, consensus.pace, change.clone()).await
            } else {
                self.pass_change_on(consensus, &change).await
            };
            match done {
                // The leader has changed, or is about to.
                Err(Error::NotLeader { .. }) if start.elapsed() < COMMIT_WITHIN => {
                    sleep(CHANGE_RETRY).await;
                }
                done => return done,
            }
        }
    }

    async fn pass_change_on(&self, consensus: &Consensus, change: &Change) -> Result<(), Error> {
        let Some(leader) = self.leader_elsewhere() else {
            return Err(Error::NotLeader { leader: None });
        };
        let within = 2 * COMMIT_WITHIN;
        match ask(&*consensus.network, &leader, Kind::Change, change, within).await {
            Ok(done) => Result::<(), Failed>::map_err(done, Error::from),
            Err(CallError::Unreachable(_)) => Err(Error::NotLeader { leader: None }),
            Err(CallError::Lost(_)) => Err(Error::Timeout),
        }
    }

    /// Gives the leadership to another voter, if this node has it and there is one.
    ///
    /// # Errors
    /// No other voter answers, or none took over in time.
    pub async fn hand_over(&self) -> Result<(), Error> {
        match self.consensus() {
            Some(consensus) if self.is_leader() => {
                membership::hand_over(&consensus.raft, consensus.pace)
                    .await
                    .map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Where the leader is reached, if that is another node.
    fn leader_elsewhere(&self) -> Option<Peer> {
        let node = self.leader().filter(|&id| id != self.inner.node)?;
        let members = self.members();
        let member = members.into_iter().find(|member| member.node == node)?;
        Some(Peer {
            node,
            address: member.address,
        })
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
        match blocking(move || snapshots.newest()).await {
            Ok(Some((_, file))) => Ok(file.path),
            Ok(None) => Err(Error::Storage("there is no snapshot".to_owned())),
            Err(error) => Err(Error::Storage(error.to_string())),
        }
    }

    /// Raft itself, for the network between nodes.
    pub fn raft(&self) -> Option<&Raft> {
        self.consensus().map(|c| &c.raft)
    }

    /// Raft's own threads, for what its peers ask of it; none if it has none, or has ended.
    pub fn runtime(&self) -> Option<tokio::runtime::Handle> {
        let runtime = &self.consensus()?.runtime;
        let runtime = runtime.0.lock().expect("never poisoned");
        runtime.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// Rings when the cluster has found that this node must not go on.
    pub(super) fn quarantined(&self) -> Option<watch::Receiver<Option<String>>> {
        self.consensus().map(|c| c.quarantined.subscribe())
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
        let closed = blocking(move || {
            log.close();
            Ok(())
        });
        if closed.await.is_err() {
            error!("the log was not closed cleanly");
        }
        consensus.runtime.stop();
        info!(node = %self.inner.node, "catalogue closed");
    }

    pub(super) fn consensus(&self) -> Option<&Consensus> {
        match &self.inner.backend {
            Backend::Memory(_) => None,
            Backend::Raft(consensus) => Some(consensus),
        }
    }
}

/// A copy is a heartbeat behind the leader, as a rule.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// Between two questions whether this copy is up to date.
const CATCH_UP_RETRY: Duration = Duration::from_millis(200);
/// Between two tries of a change while the leader changes.
const CHANGE_RETRY: Duration = Duration::from_millis(50);
/// Writing a snapshot of a million videos takes seconds.
const SNAPSHOT_WITHIN: Duration = Duration::from_mins(2);
/// Between two requests for the same one.
const SNAPSHOT_RETRY: Duration = Duration::from_millis(250);
