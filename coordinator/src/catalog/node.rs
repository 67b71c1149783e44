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
/// Longest address in bytes.
const ADDRESS_MAX_BYTES: usize = 255;

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
    /// Where the other nodes reach it; empty: it has not said.
    pub address: String,
    /// Gets no new work.
    pub draining: bool,
    /// Set by `apply`.
    pub announced_at: Timestamp,
    /// It is no member any more. The record stays, so that its number is never given out again.
    pub removed_at: Option<Timestamp>,
}

impl Node {
    /// A machine of which nothing is known yet.
    pub(super) fn admitted(id: NodeId, role: Role, at: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            site: String::new(),
            role,
            version: String::new(),
            slots: 0,
            cpu_cores: 0,
            encoders: Vec::new(),
            sandbox: String::new(),
            address: String::new(),
            draining: false,
            announced_at: at,
            removed_at: None,
        }
    }

    /// Keeps texts and lists within their limits.
    pub(super) fn bound(&mut self) {
        limits::cut(&mut self.name, NAME_MAX_BYTES);
        limits::cut(&mut self.site, NAME_MAX_BYTES);
        limits::cut(&mut self.version, NAME_MAX_BYTES);
        limits::cut(&mut self.sandbox, SANDBOX_MAX_BYTES);
        limits::cut(&mut self.address, ADDRESS_MAX_BYTES);
        self.encoders.truncate(ENCODERS_MAX);
        for encoder in &mut self.encoders {
            limits::cut(encoder, NAME_MAX_BYTES);
        }
    }
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
    /// What the node says about itself. Its role, and whether it drains, is the cluster's to say
    /// once it is known.
    pub(super) fn announce_node(
        &mut self,
        context: &mut Context,
        mut node: Node,
    ) -> Result<Reply, Rejection> {
        self.check_name(&node.name, Some(node.id))?;
        node.removed_at = None;
        match self.nodes.get(&node.id) {
            Some(known) if known.removed_at.is_some() => {
                return Err(Rejection::WrongState {
                    what: format!("node {}", node.id),
                    state: "removed from the cluster; move its data folder away and let the machine join as a new node".to_owned(),
                });
            }
            Some(known) => {
                node.role = known.role;
                node.draining = known.draining;
                if node.address.is_empty() {
                    node.address.clone_from(&known.address);
                }
            }
            None => limits::at_most(
                "the number of nodes",
                u64::try_from(self.nodes.len() + 1).unwrap_or(u64::MAX),
                u64::try_from(limits::NODES_MAX).unwrap_or(u64::MAX),
            )?,
        }
        node.bound();
        node.announced_at = context.at;
        self.clear_all_strikes(node.id);
        self.put_node(context, node);
        Ok(Reply::Done)
    }
}
