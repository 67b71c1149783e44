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
}

/// What the leader answers to a report: all that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Fleet {
    /// By the leader's clock.
    pub now: Timestamp,
    /// Stamped by the leader's clock as well, whatever the clocks of the nodes say.
    pub reports: Vec<Vitals>,
}
