//! Pure: our own forms of what openraft's nodes say to each other, so that its types may change
//! freely.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use bincode::{Decode, Encode};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use protocol::id::{BlobHash, NodeId};

use crate::catalog::{Rejection, Reply};

use super::error::Error;
use super::membership::Refusal;
use super::record::{self, Entry, LogId, StoredMembership, Vote};
use super::types::TypeConfig;

/// Entries for a follower; none is a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Append {
    pub(super) vote: Vote,
    pub(super) prev: Option<LogId>,
    entries: Vec<Entry>,
    commit: Option<LogId>,
}

impl Append {
    /// Index of the newest entry that the follower has if it accepts.
    pub(super) fn last(&self) -> Option<u64> {
        let last = self.entries.last().map(Entry::id).or(self.prev)?;
        Some(last.index)
    }

    /// Index of the newest committed entry, as the leader knows it.
    pub(super) fn committed(&self) -> Option<u64> {
        Some(self.commit?.index)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub(super) enum Appended {
    Success = 0,
    Partial(Option<LogId>) = 1,
    Conflict = 2,
    HigherVote(Vote) = 3,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Ballot {
    vote: Vote,
    last: Option<LogId>,
    leadership_transfer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Voted {
    vote: Vote,
    granted: bool,
    last: Option<LogId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Transfer {
    from: Vote,
    to: u64,
    last: Option<LogId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub(super) enum Transferred {
    Accepted = 0,
    VoteChanged {
        expected: Vote,
        actual: Vote,
    } = 1,
    LogNotFlushed {
        expected: Option<LogId>,
        actual: Option<LogId>,
    } = 2,
}

/// A snapshot is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Offer {
    pub(super) vote: Vote,
    pub(super) hash: BlobHash,
    pub(super) size_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Chunk {
    pub(super) hash: BlobHash,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// How much of a snapshot the receiver has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub(super) enum Held {
    Bytes(u64) = 0,
    /// The sender does not lead any more.
    HigherVote(Vote) = 1,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Install {
    pub(super) vote: Vote,
    pub(super) hash: BlobHash,
    pub(super) last: Option<LogId>,
    pub(super) membership: StoredMembership,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Installed {
    pub(super) vote: Vote,
}

/// What came of commands that were passed on to the leader.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub(super) enum Proposed {
    /// `index` is that of the last entry they stand in.
    Done {
        index: u64,
        replies: Vec<Result<Reply, Rejection>>,
    } = 0,
    Failed(Failed) = 1,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub(super) enum Failed {
    NotLeader { leader: Option<NodeId> } = 0,
    Timeout = 1,
    Storage(String) = 2,
    Closed = 3,
    Rejected(Rejection) = 4,
    Membership(Refusal) = 5,
    Quarantined(String) = 6,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::NotLeader { leader } => Self::NotLeader { leader },
            Error::Timeout => Self::Timeout,
            Error::Storage(why) => Self::Storage(why),
            Error::Closed => Self::Closed,
            Error::Rejected(rejection) => Self::Rejected(rejection),
            Error::Membership(refusal) => Self::Membership(refusal),
            Error::Quarantined(why) => Self::Quarantined(why),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotLeader { leader } => Self::NotLeader { leader },
            Failed::Timeout => Self::Timeout,
            Failed::Storage(why) => Self::Storage(why),
            Failed::Closed => Self::Closed,
            Failed::Rejected(rejection) => Self::Rejected(rejection),
            Failed::Membership(refusal) => Self::Membership(refusal),
            Failed::Quarantined(why) => Self::Quarantined(why),
        }
    }
}

impl From<&AppendEntriesRequest<TypeConfig>> for Append {
    fn from(request: &AppendEntriesRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            prev: request.prev_log_id.map(LogId::from),
            entries: request.entries.iter().map(Entry::from).collect(),
            commit: request.leader_commit.map(LogId::from),
        }
    }
}

impl TryFrom<Append> for AppendEntriesRequest<TypeConfig> {
    type Error = record::Error;

    fn try_from(append: Append) -> Result<Self, record::Error> {
        Ok(Self {
            vote: append.vote.into(),
            prev_log_id: append.prev.map(Into::into),
            entries: (append.entries.into_iter())
                .map(Entry::into_raft)
                .collect::<Result<_, _>>()?,
            leader_commit: append.commit.map(Into::into),
        })
    }
}

impl From<AppendEntriesResponse<TypeConfig>> for Appended {
    fn from(response: AppendEntriesResponse<TypeConfig>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(last) => Self::Partial(last.map(LogId::from)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<TypeConfig> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::Success => Self::Success,
            Appended::Partial(last) => Self::PartialSuccess(last.map(Into::into)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<VoteRequest<TypeConfig>> for Ballot {
    fn from(request: VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(LogId::from),
            leadership_transfer: request.leadership_transfer,
        }
    }
}

impl From<Ballot> for VoteRequest<TypeConfig> {
    fn from(ballot: Ballot) -> Self {
        Self {
            vote: ballot.vote.into(),
            last_log_id: ballot.last.map(Into::into),
            leadership_transfer: ballot.leadership_transfer,
        }
    }
}

impl From<VoteResponse<TypeConfig>> for Voted {
    fn from(response: VoteResponse<TypeConfig>) -> Self {
        Self {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(LogId::from),
        }
    }
}

impl From<Voted> for VoteResponse<TypeConfig> {
    fn from(voted: Voted) -> Self {
        Self {
            vote: voted.vote.into(),
            vote_granted: voted.granted,
            last_log_id: voted.last.map(Into::into),
        }
    }
}

impl From<&TransferLeaderRequest<TypeConfig>> for Transfer {
    fn from(request: &TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(LogId::from),
        }
    }
}

impl From<Transfer> for TransferLeaderRequest<TypeConfig> {
    fn from(transfer: Transfer) -> Self {
        Self::new(
            transfer.from.into(),
            transfer.to,
            transfer.last.map(Into::into),
        )
    }
}

impl From<TransferLeaderResponse<TypeConfig>> for Transferred {
    fn from(response: TransferLeaderResponse<TypeConfig>) -> Self {
        match response {
            Ok(()) => Self::Accepted,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => Self::VoteChanged {
                expected: expected.into(),
                actual: actual.into(),
            },
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => Self::LogNotFlushed {
                expected: expected.map(LogId::from),
                actual: actual.map(LogId::from),
            },
        }
    }
}

impl From<Transferred> for TransferLeaderResponse<TypeConfig> {
    fn from(transferred: Transferred) -> Self {
        match transferred {
            Transferred::Accepted => Ok(()),
            Transferred::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged {
                    expected: expected.into(),
                    actual: actual.into(),
                })
            }
            Transferred::LogNotFlushed { expected, actual } => {
                Err(TransferLeaderError::LogNotFlushed {
                    expected: expected.map(Into::into),
                    actual: actual.map(Into::into),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::codec;

    use super::super::types;
    use super::*;

    const LAST: LogId = LogId {
        term: 3,
        node: 1,
        index: 300,
    };

    #[test]
    fn entries_and_votes_come_back_as_they_were() {
        let vote: types::Vote = openraft::Vote::new_committed(3, 1);
        let request = AppendEntriesRequest::<TypeConfig> {
            vote,
            prev_log_id: Some(LAST.into()),
            entries: Vec::new(),
            leader_commit: Some(LogId { index: 400, ..LAST }.into()),
        };
        let append = Append::from(&request);
        assert_eq!(append.last(), Some(300));
        let bytes = codec::encode(&append).expect("small");
        let back: Append = codec::decode(&bytes).expect("whole");
        assert_eq!(back, append);
        let back = AppendEntriesRequest::<TypeConfig>::try_from(back).expect("valid");
        assert_eq!(back.prev_log_id, request.prev_log_id);

        let mut ballot = VoteRequest::<TypeConfig>::new(vote, Some(LAST.into()));
        ballot.leadership_transfer = true;
        let back = VoteRequest::<TypeConfig>::from(Ballot::from(ballot.clone()));
        assert_eq!(back, ballot);
    }

    #[test]
    fn every_failure_crosses_the_wire() {
        for error in [
            Error::NotLeader {
                leader: Some(NodeId(2)),
            },
            Error::Timeout,
            Error::Storage("disk".to_owned()),
            Error::Closed,
            Error::Membership(Refusal::LastVoter),
        ] {
            let text = error.to_string();
            let bytes = codec::encode(&Failed::from(error)).expect("small");
            let back: Failed = codec::decode(&bytes).expect("whole");
            assert_eq!(Error::from(back).to_string(), text);
        }
    }
}
