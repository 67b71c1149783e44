//! One log entry for all commands that arrived while the entry before was under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, Fatal, ForwardReason, ForwardToLeader, RaftError};
use protocol::id::NodeId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::catalog::{Catalog, Rejection, Reply};

use super::COMMIT_WITHIN;
use super::clock::Steady;
use super::error::Error;
use super::machine::Replica;
use super::record::{COMMAND_OVERHEAD, COMMANDS_MAX};
use super::types::{Batch, Raft, TypeConfig};

/// Commands in one entry: an entry is applied as a whole, and readers wait for it.
const ENTRY_MAX_COMMANDS: usize = 512;
/// Commands that wait for their entry; more than this many proposers wait before the queue.
pub(super) const QUEUE: usize = 4096;
/// A new leader cannot propose before its lease is confirmed, which takes a round trip.
const LEADER_WITHIN: Duration = Duration::from_secs(5);

/// An encoded command and who waits for its reply.
#[derive(Debug)]
pub(super) struct Proposal {
    command: Vec<u8>,
    reply: oneshot::Sender<Result<Reply, Error>>,
}

impl Proposal {
    /// Refuses a command that no entry can carry.
    pub(super) fn new(
        command: Vec<u8>,
    ) -> Result<(Self, oneshot::Receiver<Result<Reply, Error>>), Error> {
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
                Ok(outcomes) => {
                    for (reply, outcome) in replies.into_iter().zip(outcomes) {
                        // Whoever proposed it has stopped waiting.
                        drop(reply.send(outcome.map_err(Error::Rejected)));
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

    async fn commit(&self, batch: Batch) -> Result<Vec<Result<Reply, Rejection>>, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let written = timeout(COMMIT_WITHIN, self.raft.client_write(batch.clone())).await;
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
                Ok(Ok(response)) => return Ok(response.data.0),
                Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => forward,
                Ok(Err(RaftError::Fatal(fatal))) => return Err(fatal.into()),
            };
            // The entry was not appended, so trying again cannot carry it out twice.
            if is_elsewhere(&forward, *self.raft.node_id()) || start.elapsed() > LEADER_WITHIN {
                return Err(forward.into());
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

/// Whether another node leads, so that waiting here is of no use.
fn is_elsewhere(forward: &ForwardToLeader<TypeConfig>, this: u64) -> bool {
    forward.reason != ForwardReason::LeaseExpired && forward.leader_id.is_some_and(|id| id != this)
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
