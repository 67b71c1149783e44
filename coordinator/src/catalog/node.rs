//! Pure: the machines of the cluster, as they announced themselves.

use bincode::{Decode, Encode};
use protocol::id::NodeId;
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::limits;
use super::outcome::{Rejection, Reply};

/// Longest name of a node, a site, a version or an encoder in bytes.
const NAME_MAX_BYTES: usize = 64;
/// Encoders that a node may announce.
const ENCODERS_MAX: usize = 64;
/// Longest text about the sandbox in bytes.
const SANDBOX_MAX_BYTES: usize = 512;

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

impl Catalog {
    pub(super) fn announce_node(
        &mut self,
        context: &mut Context,
        mut node: Node,
    ) -> Result<Reply, Rejection> {
        if node.name.is_empty() {
            return Err(Rejection::WrongState {
                what: "the node's name".to_owned(),
                state: "empty".to_owned(),
            });
        }
        if !self.nodes.contains_key(&node.id) {
            limits::at_most(
                "the number of nodes",
                u64::try_from(self.nodes.len() + 1).unwrap_or(u64::MAX),
                u64::try_from(limits::NODES_MAX).unwrap_or(u64::MAX),
            )?;
        }
        limits::cut(&mut node.name, NAME_MAX_BYTES);
        limits::cut(&mut node.site, NAME_MAX_BYTES);
        limits::cut(&mut node.version, NAME_MAX_BYTES);
        limits::cut(&mut node.sandbox, SANDBOX_MAX_BYTES);
        node.encoders.truncate(ENCODERS_MAX);
        for encoder in &mut node.encoders {
            limits::cut(encoder, NAME_MAX_BYTES);
        }
        node.announced_at = context.at;
        self.put_node(context, node);
        Ok(Reply::Done)
    }
}
