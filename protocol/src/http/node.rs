//! Pure: bodies about nodes.

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::time::Timestamp;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub site: String,
    /// `voter`, `learner` or `worker`.
    pub role: String,
    /// What it is to Raft now, on its way to its role: `voter`, `learner` or `none`.
    pub member: String,
    pub leader: bool,
    /// Where the other nodes reach it.
    pub address: String,
    /// It gets no new work.
    pub draining: bool,
    /// Videos whose original lies there and nowhere else; only when one node is asked for.
    pub sole_originals: Option<u64>,
    pub version: String,
    /// `up`, or `away` if it has not been heard of for a while.
    pub state: String,
    pub seen_at: Option<Timestamp>,
    /// Log entries that this node has yet to apply.
    pub lag: u64,
    /// Jobs it may run at once, and runs now.
    pub slots: u16,
    pub slots_busy: u16,
    pub cpu_cores: u16,
    pub cpu_permille: Option<u16>,
    pub memory_total_bytes: Option<u64>,
    pub memory_used_bytes: Option<u64>,
    pub disk_total_bytes: Option<u64>,
    pub disk_free_bytes: Option<u64>,
    /// Encoders that passed a test encode, such as `x264enc`; empty: this node renders nothing.
    pub encoders: Vec<String>,
    /// The folders that it watches; only of the node that is asked.
    pub watches: Option<Vec<Watch>>,
    /// How well the media worker is confined: `full`, or what is missing.
    pub sandbox: String,
}

/// A folder whose files are taken by themselves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Watch {
    pub path: String,
    /// Files that match and were not taken yet.
    pub waiting: u64,
    /// Files taken since the node started.
    pub taken: u64,
    /// Whole sentences, the newest last.
    pub problems: Vec<String>,
}
