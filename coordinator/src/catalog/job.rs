//! Pure: work: enqueued, assigned under a lease, finished, failed or tried again.

use bincode::{Decode, Encode};
use protocol::failure::Failure;
use protocol::id::{GenerationId, JobId, NodeId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::time::Timestamp;

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Job {
    pub id: JobId,
    pub video: VideoId,
    pub kind: Kind,
    pub state: State,
    /// Grows with every assignment; a result with an older one is refused.
    pub epoch: u32,
    /// Attempts that failed.
    pub failed_attempts: u32,
    /// Attempts that were lost with their node or given back.
    pub lost_attempts: u32,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Not to be assigned earlier.
    pub not_before: Timestamp,
    /// Of the last attempt that failed.
    pub failure: Option<Failure>,
    /// Node of the last attempt.
    pub last_node: Option<NodeId>,
}

/// What to do. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[repr(u8)]
pub enum Kind {
    Probe = 0,
    Unit {
        generation: GenerationId,
        unit: Unit,
    } = 1,
}

/// Where a job stands. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum State {
    Waiting = 0,
    Running {
        node: NodeId,
        lease_until: Timestamp,
        /// As of the last renewal.
        progress: Progress,
    } = 1,
    Done = 2,
    Failed = 3,
    Cancelled = 4,
}
