//! Pure: an upload under way, as the API shows it.

use serde::{Deserialize, Serialize};

use crate::id::{UploadId, VideoId};
use crate::time::Timestamp;

/// An upload that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upload {
    pub id: UploadId,
    /// The video that it becomes.
    pub video_id: VideoId,
    pub filename: String,
    pub size_bytes: u64,
    /// Bytes from the begin on without a gap: where tus goes on.
    pub offset_bytes: u64,
    /// All bytes that are here, wherever they lie.
    pub received_bytes: u64,
    pub created_at: Timestamp,
    /// When it is given up if nobody touches it.
    pub expires_at: Timestamp,
    /// Somebody sends right now, or did until a moment ago.
    pub is_active: bool,
    /// Where tus goes on.
    pub url: String,
}
