//! Pure: bodies about subclips.

use serde::{Deserialize, Serialize};

use super::video::VideoError;
use crate::clip::Mode;
use crate::id::{ClipId, VideoId};
use crate::time::Timestamp;

/// Where a subclip stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ClipStatus {
    /// It plays from its video's segments; there is no file of its own.
    Virtual,
    Queued,
    Rendering,
    /// Its file can be downloaded.
    Ready,
    Failed,
}

/// A subclip.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Clip {
    pub id: ClipId,
    pub video_id: VideoId,
    pub name: String,
    pub mode: Mode,
    pub status: ClipStatus,
    /// How far its file has come, 0 to 1000.
    pub progress_permille: u16,
    /// Counted from the first frame of the source.
    pub in_frame: u64,
    /// The first frame that does not belong to it.
    pub out_frame: u64,
    /// The in point as the source's timecode; `null` where the frame rate has none.
    #[serde(rename = "in")]
    pub in_timecode: Option<String>,
    /// The out point as the source's timecode.
    #[serde(rename = "out")]
    pub out_timecode: Option<String>,
    pub duration_frames: u64,
    /// Multivariant playlist from the video's segments; `null` until the video plays.
    /// It begins a little early and says where to start; the player stops at the out point.
    pub hls_url: Option<String>,
    /// Of its file; `null` until that is ready.
    pub size_bytes: Option<u64>,
    pub created_at: Timestamp,
    /// Why its file could not be made.
    pub error: Option<VideoError>,
}

/// What `POST /videos/{id}/clips` marks: each point either as a frame or as a timecode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewClip {
    /// Without one it is called after its in point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_frame: Option<u64>,
    /// Exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_frame: Option<u64>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub in_timecode: Option<String>,
    /// Exclusive.
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub out_timecode: Option<String>,
    #[serde(default)]
    pub mode: Mode,
    /// Make its file at once.
    #[serde(default)]
    pub render: bool,
}

/// What `PATCH /clips/{id}` changes; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClipChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_frame: Option<u64>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub in_timecode: Option<String>,
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub out_timecode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}
