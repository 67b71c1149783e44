//! Pure: our own on-disk forms of what openraft keeps, so that its types may change freely.
//!
//! A record is a checksum (CRC-32, little-endian) and the value's encoding with its version.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use openraft::{BasicNode, EntryPayload};
use protocol::codec;
use protocol::id::{ClusterId, NodeId};
use protocol::time::Timestamp;

use super::types;

/// Largest log record in bytes: bigger ones would leave sled's log for files it never syncs.
pub const ENTRY_MAX: usize = 64 << 10;

/// Room that a log record needs beside its commands, generously.
const ENTRY_OVERHEAD: usize = 128;
/// Length prefix of one command.
pub(super) const COMMAND_OVERHEAD: usize = 3;
/// Bytes of encoded commands, each with [`COMMAND_OVERHEAD`], that fit into one entry.
pub(super) const COMMANDS_MAX: usize = ENTRY_MAX - ENTRY_OVERHEAD;

/// Why bytes are not the record they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the record is cut off")]
    Short,
    #[error("the checksum is {found:08x}, but the record says {expected:08x}")]
    Checksum { expected: u32, found: u32 },
    #[error(transparent)]
    Codec(#[from] codec::Error),
    #[error("the membership is not a valid one: {0}")]
    Membership(String),
}

pub(super) fn seal<T: Encode>(value: &T) -> Result<Vec<u8>, Error> {
    let body = codec::encode(value)?;
    let mut bytes = Vec::with_capacity(body.len() + 4);
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}

pub(super) fn unseal<T: Decode<()>>(bytes: &[u8]) -> Result<T, Error> {
    let (checksum, body) = bytes.split_first_chunk::<4>().ok_or(Error::Short)?;
    let expected = u32::from_le_bytes(*checksum);
    let found = crc32fast::hash(body);
    if found != expected {
        return Err(Error::Checksum { expected, found });
    }
    Ok(codec::decode(body)?)
}

/// Whose log it is, written once.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Owner {
    pub(super) node: NodeId,
    pub(super) cluster: Option<ClusterId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct LogId {
    pub(super) term: u64,
    pub(super) node: u64,
    pub(super) index: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Vote {
    term: u64,
    node: u64,
    committed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Membership {
    /// Two sets while the voters change.
    configs: Vec<BTreeSet<u64>>,
    /// Voters and learners with their addresses.
    nodes: BTreeMap<u64, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct StoredMembership {
    log_id: Option<LogId>,
    membership: Membership,
}

/// Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
enum Payload {
    Blank = 0,
    Membership(Membership) = 1,
    Commands {
        at: Timestamp,
        commands: Vec<Vec<u8>>,
    } = 2,
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Entry {
    id: LogId,
    payload: Payload,
}

impl From<types::LogId> for LogId {
    fn from(id: types::LogId) -> Self {
        Self {
            term: id.leader_id.term,
            node: id.leader_id.node_id,
            index: id.index,
        }
    }
}

impl From<LogId> for types::LogId {
    fn from(id: LogId) -> Self {
        Self {
            leader_id: types::LeaderId {
                term: id.term,
                node_id: id.node,
            },
            index: id.index,
        }
    }
}

impl From<types::Vote> for Vote {
    fn from(vote: types::Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            node: vote.leader_id.node_id,
            committed: vote.committed,
        }
    }
}

impl From<Vote> for types::Vote {
    fn from(vote: Vote) -> Self {
        Self {
            leader_id: types::LeaderId {
                term: vote.term,
                node_id: vote.node,
            },
            committed: vote.committed,
        }
    }
}

impl From<&types::Membership> for Membership {
    fn from(membership: &types::Membership) -> Self {
        Self {
            configs: membership.get_joint_config().clone(),
            nodes: membership
                .nodes()
                .map(|(&id, node)| (id, node.addr.clone()))
                .collect(),
        }
    }
}

impl TryFrom<Membership> for types::Membership {
    type Error = Error;

    fn try_from(membership: Membership) -> Result<Self, Error> {
        // The state before a cluster is formed has no voters, which openraft builds only by default.
        if membership.configs.is_empty() && membership.nodes.is_empty() {
            return Ok(Self::default());
        }
        let nodes: BTreeMap<u64, BasicNode> = membership
            .nodes
            .into_iter()
            .map(|(id, addr)| (id, BasicNode { addr }))
            .collect();
        Self::new(membership.configs, nodes).map_err(|error| Error::Membership(error.to_string()))
    }
}

impl From<&types::StoredMembership> for StoredMembership {
    fn from(stored: &types::StoredMembership) -> Self {
        Self {
            log_id: stored.log_id().map(LogId::from),
            membership: stored.membership().into(),
        }
    }
}

impl TryFrom<StoredMembership> for types::StoredMembership {
    type Error = Error;

    fn try_from(stored: StoredMembership) -> Result<Self, Error> {
        Ok(Self::new(
            stored.log_id.map(types::LogId::from),
            stored.membership.try_into()?,
        ))
    }
}

impl From<&types::Entry> for Entry {
    fn from(entry: &types::Entry) -> Self {
        Self {
            id: entry.log_id.into(),
            payload: match &entry.payload {
                EntryPayload::Blank => Payload::Blank,
                EntryPayload::Membership(membership) => Payload::Membership(membership.into()),
                EntryPayload::Normal(batch) => Payload::Commands {
                    at: batch.at,
                    commands: batch.commands.clone(),
                },
            },
        }
    }
}

impl Entry {
    pub(super) const fn id(&self) -> LogId {
        self.id
    }

    pub(super) fn into_raft(self) -> Result<types::Entry, Error> {
        Ok(types::Entry {
            log_id: self.id.into(),
            payload: match self.payload {
                Payload::Blank => EntryPayload::Blank,
                Payload::Membership(membership) => EntryPayload::Membership(membership.try_into()?),
                Payload::Commands { at, commands } => {
                    EntryPayload::Normal(types::Batch { at, commands })
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> types::Entry {
        let id = LogId {
            term: 3,
            node: 1,
            index: 300,
        };
        types::Entry {
            log_id: id.into(),
            payload: EntryPayload::Normal(types::Batch {
                at: Timestamp::from_millis(1_795_377_600_250),
                commands: vec![vec![1, 2, 3], vec![]],
            }),
        }
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let bytes = seal(&Entry::from(&entry())).expect("small");
        let back: Entry = unseal(&bytes).expect("whole");
        assert_eq!(back.into_raft().expect("valid"), entry());
    }

    #[test]
    fn the_bytes_of_version_1_stay() {
        let bytes = seal(&Entry::from(&entry())).expect("small");
        let golden = [
            0x94, 0xc6, 0xdc, 0xa3, 1, 3, 1, 251, 0x2c, 1, 2, 253, 0xf4, 0x2d, 0xb0, 9, 0x44, 3, 0,
            0, 2, 3, 1, 2, 3, 0,
        ];
        assert_eq!(bytes, golden);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = seal(&Entry::from(&entry())).expect("small");
        for position in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[position / 8] ^= 1 << (position % 8);
            assert!(unseal::<Entry>(&damaged).is_err(), "bit {position}");
        }
        assert!(matches!(unseal::<Entry>(&bytes[..3]), Err(Error::Short)));
    }

    #[test]
    fn a_full_entry_fits_its_limit() {
        let largest = types::Entry {
            log_id: LogId {
                term: u64::MAX,
                node: u64::MAX,
                index: u64::MAX,
            }
            .into(),
            payload: EntryPayload::Normal(types::Batch {
                at: Timestamp::from_millis(i64::MIN),
                commands: vec![vec![0; COMMANDS_MAX - COMMAND_OVERHEAD]],
            }),
        };
        assert!(seal(&Entry::from(&largest)).expect("small").len() <= ENTRY_MAX);
    }
}
