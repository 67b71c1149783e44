//! What openraft is told about our cluster: its commands, replies, nodes and ids.

use std::fmt;

use protocol::codec;
use protocol::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::catalog::{Rejection, Reply};

use super::snapshots::SnapshotFile;

openraft::declare_raft_types!(
    /// The types of Raft here.
    pub TypeConfig:
        D = Batch,
        R = Replies,
);

pub type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
pub type Membership = openraft::Membership<u64, openraft::BasicNode>;
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub type Snapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotFile>;
pub type Raft = openraft::Raft<TypeConfig, super::machine::Machine>;

/// What one log entry carries: commands of many proposers, encoded, and when it was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// By the leader's clock, never earlier than the batch before.
    pub at: Timestamp,
    /// Each a [`Request`](crate::catalog::Request) through [`protocol::codec`], carried as they
    /// are until they are applied.
    pub commands: Vec<Vec<u8>>,
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands at {}", self.commands.len(), self.at)
    }
}

/// What came of the commands of one entry, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies(pub Vec<Result<Reply, Rejection>>);

// openraft asks for serde because it might carry replies; they have only one encoding, ours.
impl Serialize for Replies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = codec::encode(&self.0).map_err(serde::ser::Error::custom)?;
        bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Replies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        codec::decode(&bytes)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}
