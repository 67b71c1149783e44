//! Pure: the machines of the cluster, as they announced themselves.

use bincode::{Decode, Encode};
use protocol::id::NodeId;
use protocol::time::Timestamp;

/// One machine. Load and free space are not facts of the catalogue; see `vitals`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub site: String,
    pub role: Role,
    /// Of the program.
    pub version: String,
    /// Jobs it runs at once.
    pub slots: u16,
    pub cpu_cores: u16,
    /// Encoders that passed a test encode; empty: it renders nothing.
    pub encoders: Vec<String>,
    /// How well its workers are confined: `full`, or what is missing.
    pub sandbox: String,
    /// Gets no new work.
    pub draining: bool,
    /// Set by `apply`.
    pub announced_at: Timestamp,
}

/// What a node is to Raft. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Role {
    Voter = 0,
    /// Replica of the catalogue without a vote.
    Learner = 1,
    /// Renders only.
    Worker = 2,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voter => "voter",
            Self::Learner => "learner",
            Self::Worker => "worker",
        }
    }
}
