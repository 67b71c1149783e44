//! Pure: what a node tells the leader about itself, every few seconds. Never enters the log.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::time::Timestamp;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Vitals {
    pub node: NodeId,
    /// When it was taken, by the node's own clock.
    pub at: Timestamp,
    /// Busy share of all cores, 0 to 1000.
    pub cpu_permille: u16,
    pub memory_total_bytes: u64,
    pub memory_used_bytes: u64,
    /// Of the file system that holds the data folder.
    pub disk_total_bytes: u64,
    pub disk_free_bytes: u64,
    /// Index of the newest log entry that its copy of the catalogue holds.
    pub applied: u64,
    /// What the node keeps free: with less, and what a job needs on top, it takes none.
    pub disk_reserve_bytes: u64,
    /// How fast it last got an original from another node; 0: it has not yet.
    pub link_bytes_per_s: u64,
    /// Why it wants no work now.
    pub rest: Option<Rest>,
}

/// Why a node wants no work for a while. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[repr(u8)]
pub enum Rest {
    /// It is not the time of day for it.
    OffHours = 0,
    /// Somebody else uses the machine.
    InUse = 1,
}

/// What the leader answers to a report: all that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Fleet {
    /// By the leader's clock.
    pub now: Timestamp,
    /// Stamped by the leader's clock as well, whatever the clocks of the nodes say.
    pub reports: Vec<Vitals>,
}
