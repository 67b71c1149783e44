//! Pure: the life of a video: uploading, probing, rendering, ready or failed.

use bincode::{Decode, Encode};
use protocol::failure::Failure;
use protocol::id::{BlobHash, GenerationId, NodeId, UploadId, VideoId};
use protocol::probe::Probe;
use protocol::time::Timestamp;

/// One video. Aim: less than 1 KiB, so that a million fit in memory.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Video {
    pub id: VideoId,
    /// Display text, never a path.
    pub filename: String,
    pub size_bytes: u64,
    pub created_at: Timestamp,
    /// Set while uploading.
    pub upload: Option<UploadId>,
    /// The original; none until the upload is complete.
    pub blob: Option<BlobHash>,
    /// Nodes that hold the original.
    pub copies: Vec<NodeId>,
    pub probe: Option<Box<Probe>>,
    /// The published generation: what plays.
    pub published: Option<GenerationId>,
    /// The generation being made.
    pub building: Option<GenerationId>,
    /// Why it cannot be made ready; cleared by a retry.
    pub failure: Option<Failure>,
    /// Follows from the other fields; kept here because the list is indexed by it.
    pub status: Status,
}

/// Where a video stands. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Status {
    Uploading = 0,
    Probing = 1,
    Rendering = 2,
    Ready = 3,
    Failed = 4,
}
