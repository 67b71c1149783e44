//! Pure: bodies about work.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::{JobId, VideoId};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobState {
    Waiting,
    Running,
    Done,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    pub id: JobId,
    pub video: VideoId,
    pub filename: String,
    /// `probe`, `piece-0000`, `audio`, `stills` or `clip`.
    pub kind: String,
    pub state: JobState,
    /// Name of the node that runs it or ran it last.
    pub node: Option<String>,
    pub attempts: u32,
    pub max_attempts: u32,
    /// 0 to 1000.
    pub progress_permille: u16,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Whole sentences, one a reason; empty unless the job waits.
    pub waiting_because: Vec<String>,
    /// Of the last attempt that failed.
    pub failure: Option<Failure>,
}
