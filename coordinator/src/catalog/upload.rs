//! Pure: uploads under way; which chunks are in stays with the node that has them.

use bincode::{Decode, Encode};
use protocol::id::{NodeId, UploadId, VideoId};
use protocol::time::Timestamp;

/// An open upload. It is gone once complete.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Upload {
    pub id: UploadId,
    pub video: VideoId,
    /// The node whose spool holds the chunks.
    pub node: NodeId,
    pub opened_at: Timestamp,
}
