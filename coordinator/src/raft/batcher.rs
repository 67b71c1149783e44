//! One log entry for all commands that arrived while the entry before was under way.
//!
//! On a node that does not lead, the commands go on to the leader as they are, together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, Fatal, ForwardReason, ForwardToLeader, RaftError};
use openraft::type_config::TypeConfigExt;
use openraft::{Instant as _, RaftState};
use protocol::id::NodeId;
use protocol::raft::Kind;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::catalog::{Catalog, Rejection, Reply};

use super::clock::Steady;
use super::error::Error;
use super::machine::Replica;
use super::network::{CallError, Network, Peer, ask};
use super::record::{COMMAND_OVERHEAD, COMMANDS_MAX};
use super::types::{Batch, Raft, TypeConfig};
use super::{COMMIT_WITHIN, Pace, wire};

/// Commands in one entry: an entry is applied as a whole, and readers wait for it.
const ENTRY_MAX_COMMANDS: usize = 512;
/// Commands that wait for their entry; more than this many proposers wait before the queue.
pub(super) const QUEUE: usize = 4096;
/// A new leader cannot propose before its lease is confirmed, which takes a round trip.
const LEADER_WITHIN: Duration = Duration::from_secs(5);

/// What came of a command, and in which entry it stands.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) index: u64,
    pub(super) reply: Result<Reply, Rejection>,
}

type Waiting = oneshot::Receiver<Result<Outcome, Error>>;

/// An encoded command and who waits for its outcome.
#[derive(Debug)]
pub(super) struct Proposal {
    command: Vec<u8>,
    reply: oneshot::Sender<Result<Outcome, Error>>,
}

impl Proposal {
    /// Refuses a command that no entry can carry.
    pub(super) fn new(command: Vec<u8>) -> Result<(Self, Waiting), Error> {
        if command.len() > COMMANDS_MAX - COMMAND_OVERHEAD {
            return Err(too_large(command.len()));
        }
        let (reply, receiver) = oneshot::channel();
        Ok((Self { command, reply }, receiver))
    }

    fn size_bytes(&self) -> usize {
        self.command.len() + COMMAND_OVERHEAD
    }
}

/// The refusal of a command of `size` bytes.
pub(super) fn too_large(size: usize) -> Error {
    Error::Rejected(Rejection::Limit {
        what: "the encoded command, in bytes,".to_owned(),
        given: size as u64,
        limit: (COMMANDS_MAX - COMMAND_OVERHEAD) as u64,
    })
}

/// Takes the proposals of the next entry from the front of `waiting`.
fn next_entry(waiting: &mut VecDeque<Proposal>) -> Vec<Proposal> {
    let mut size_bytes = 0;
    let count = waiting
        .iter()
        .take(ENTRY_MAX_COMMANDS)
        .take_while(|proposal| {
            size_bytes += proposal.size_bytes();
            size_bytes <= COMMANDS_MAX
        })
        .count();
    waiting.drain(..count).collect()
}

pub(super) struct Batcher {
    pub(super) raft: Raft,
    pub(super) replica: Arc<Replica>,
    pub(super) clock: Steady,
    pub(super) network: Arc<dyn Network>,
    pub(super) pace: Pace,
}

impl Batcher {
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Proposal>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match queue.recv().await {
                    Some(proposal) => waiting.push_back(proposal),
                    None => return,
                }
            }
            while waiting.len() < ENTRY_MAX_COMMANDS
                && let Ok(proposal) = queue.try_recv()
            {
                waiting.push_back(proposal);
            }
            let (commands, replies): (Vec<_>, Vec<_>) = next_entry(&mut waiting)
                .into_iter()
                .map(|proposal| (proposal.command, proposal.reply))
                .unzip();
            let at = self.clock.now(self.replica.read(Catalog::at));
            let batch = Batch { at, commands };
            match self.commit(batch).await {
                Ok((index, outcomes)) => {
                    for (waiting, reply) in replies.into_iter().zip(outcomes) {
                        // Whoever proposed it has stopped waiting.
                        drop(waiting.send(Ok(Outcome { index, reply })));
                    }
                }
                Err(error) => {
                    for reply in replies {
                        drop(reply.send(Err(error.for_another())));
                    }
                }
            }
        }
    }

    /// Tries until it is done, or known not to be, or the time is over. Trying again does no harm:
    /// each request is carried out once.
    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        // Whether some try may yet have had its effect.
        let mut unsure = false;
        loop {
            let error = match self.attempt(&batch, start).await {
                Err(error @ (Error::NotLeader { .. } | Error::Timeout)) => error,
                done => return done,
            };
            unsure |= matches!(error, Error::Timeout);
            let waited = start.elapsed();
            if unsure && waited > COMMIT_WITHIN {
                return Err(Error::Timeout);
            }
            if !unsure && waited > LEADER_WITHIN {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Once, here or on the leader. [`Error::NotLeader`]: it surely had no effect.
    async fn attempt(&self, batch: &Batch, start: Instant) -> Result<Committed, Error> {
        let left = COMMIT_WITHIN.saturating_sub(start.elapsed());
        let written = timeout(left, self.raft.client_write(batch.clone())).await;
        let forward = match written {
            // Too slow, or discarded by another leader after it may have been committed.
            Err(_) | Ok(Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)))) => {
                return Err(Error::Timeout);
            }
            // Commands meet no other condition; membership changes do.
            Ok(Err(RaftError::APIError(
                error @ (ClientWriteError::ChangeMembershipError(_)
                | ClientWriteError::PreconditionFailed(_)),
            ))) => return Err(Error::Storage(error.to_string())),
            Ok(Ok(response)) => return Ok((response.log_id.index, response.data.0)),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => forward,
            Ok(Err(RaftError::Fatal(fatal))) => return Err(fatal.into()),
        };
        let error = Error::from(forward.clone());
        match leader_elsewhere(forward, *self.raft.node_id()) {
            Some(leader) if self.speaks().await? => self.pass_on(&leader, &batch.commands).await,
            _ => Err(error),
        }
    }

    /// Whether the leader was heard a moment ago. What is sent to one that has just died would be
    /// lost, and nobody could say whether it took effect; its successor is about to be chosen.
    async fn speaks(&self) -> Result<bool, Error> {
        let heard = self
            .raft
            .with_raft_state(RaftState::vote_last_modified)
            .await?;
        let silence = heard.map(|at| TypeConfig::now().saturating_duration_since(at));
        Ok(silence.is_some_and(|silence| silence < self.pace.unsure_after()))
    }

    /// Has the leader carry the commands out. [`Error::NotLeader`] if it surely did not.
    async fn pass_on(&self, leader: &Peer, commands: &Vec<Vec<u8>>) -> Result<Committed, Error> {
        let answer = ask(
            &*self.network,
            leader,
            Kind::Propose,
            commands,
            COMMIT_WITHIN,
        );
        // A leader that has been replaced will not answer any more.
        let id = leader.node.0;
        let wait = self.raft.wait(None);
        let replaced = wait.metrics(
            |metrics| metrics.current_leader.is_some_and(|leader| leader != id),
            "another leader",
        );
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            _ = replaced => Err(CallError::Lost("another node leads".to_owned())),
        };
        match answer {
            Ok(wire::Proposed::Done { index, replies }) if replies.len() == commands.len() => {
                Ok((index, replies))
            }
            Ok(wire::Proposed::Done { .. }) | Err(CallError::Lost(_)) => Err(Error::Timeout),
            Ok(wire::Proposed::Failed(failed)) => match Error::from(failed) {
                // It is the other node that is closing.
                Error::Closed => Err(Error::NotLeader { leader: None }),
                error => Err(error),
            },
            Err(CallError::Unreachable(_)) => Err(Error::NotLeader { leader: None }),
        }
    }
}

/// The index of the entry, and the replies to its commands.
type Committed = (u64, Vec<Result<Reply, Rejection>>);

/// The leader, if that is another node that can be reached.
fn leader_elsewhere(forward: ForwardToLeader<TypeConfig>, this: u64) -> Option<Peer> {
    if forward.reason == ForwardReason::LeaseExpired {
        return None;
    }
    let node = forward.leader_id.filter(|&id| id != this)?;
    Some(Peer {
        node: NodeId(node),
        address: forward.leader_node?.addr,
    })
}

impl From<ForwardToLeader<TypeConfig>> for Error {
    fn from(forward: ForwardToLeader<TypeConfig>) -> Self {
        Self::NotLeader {
            leader: forward.leader_id.map(NodeId),
        }
    }
}

impl From<Fatal<TypeConfig>> for Error {
    fn from(fatal: Fatal<TypeConfig>) -> Self {
        match fatal {
            Fatal::Stopped => Self::Closed,
            fatal => Self::Storage(fatal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(sizes: &[usize]) -> VecDeque<Proposal> {
        sizes
            .iter()
            .map(|&size| Proposal::new(vec![0; size]).expect("small enough").0)
            .collect()
    }

    #[test]
    fn an_entry_is_full_by_count_or_by_bytes() {
        let mut many = waiting(&[10; 600]);
        assert_eq!(next_entry(&mut many).len(), 512);
        assert_eq!(next_entry(&mut many).len(), 88);
        let mut large = waiting(&[30_000, 30_000, 30_000]);
        assert_eq!(next_entry(&mut large).len(), 2);
        assert_eq!(next_entry(&mut large).len(), 1);
    }

    #[test]
    fn the_largest_command_fits_alone_and_a_larger_one_is_refused() {
        let limit = COMMANDS_MAX - COMMAND_OVERHEAD;
        assert_eq!(next_entry(&mut waiting(&[limit, 1])).len(), 1);
        let refused = Proposal::new(vec![0; limit + 1]).err();
        assert!(matches!(
            refused,
            Some(Error::Rejected(Rejection::Limit { .. }))
        ));
    }
}
