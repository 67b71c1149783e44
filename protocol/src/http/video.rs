//! Pure: bodies about videos.

use serde::{Deserialize, Serialize};

use super::clip::Clip;
use crate::id::{BinId, GenerationId, UploadId, VideoId};
use crate::media::{FrameRate, Resolution};
use crate::time::Timestamp;

/// Where a video stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum VideoStatus {
    Uploading,
    Probing,
    Rendering,
    Ready,
    Failed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Video {
    pub id: VideoId,
    pub filename: String,
    pub size_bytes: u64,
    /// `null` until the upload is complete.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub blake3: Option<String>,
    pub status: VideoStatus,
    /// 0 to 1 in thousandths: bytes while uploading, frames while rendering, 1000 when ready.
    pub progress_permille: u16,
    pub created_at: Timestamp,
    pub duration_frames: Option<u64>,
    pub frame_rate: Option<FrameRate>,
    pub start_timecode: Option<String>,
    /// Upright picture, square pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub video_codec: Option<String>,
    pub container: Option<String>,
    pub audio_tracks: Vec<AudioTrack>,
    pub renditions: Vec<Rendition>,
    /// Why the highest rendition is no copy of the source, where one could expect it: the second
    /// half of a sentence.
    pub encoded_because: Option<String>,
    /// Multivariant playlist; `null` until it plays. While the video is rendered the playlists grow.
    pub hls_url: Option<String>,
    /// Whether it plays only under a grant: `POST /videos/{id}/grant`.
    #[serde(default)]
    pub private: bool,
    /// Index of small pictures for scrubbing, as JSON ([`Sprites`]); `sprites.vtt` beside it says
    /// the same as `WebVTT`. `null` until the video plays; grows while it is rendered.
    ///
    /// [`Sprites`]: super::scrub::Sprites
    pub sprites_url: Option<String>,
    /// Index of the outlines of the sound, as JSON ([`Outlines`]); `null` until the video plays, and
    /// without sound.
    ///
    /// [`Outlines`]: super::scrub::Outlines
    pub peaks_url: Option<String>,
    /// Widths and versioned URLs of the poster; empty until it exists.
    pub thumbnails: Vec<Thumbnail>,
    pub generation: Option<GenerationId>,
    /// As a person arranged them; those that nobody did follow in the order of their in points.
    pub clips: Vec<Clip>,
    /// In alphabetical order.
    pub tags: Vec<String>,
    /// The bins it is in.
    pub bins: Vec<BinId>,
    /// Markers that are not dealt with.
    pub open_markers: u64,
    /// Where the original lies.
    pub copies: Vec<Copy>,
    /// Whole sentences about what is odd with the source but was dealt with.
    pub remarks: Vec<String>,
    pub error: Option<VideoError>,
    /// Where its bytes are while it is uploaded.
    pub upload: Option<VideoUpload>,
}

/// An upload under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoUpload {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: UploadId,
    /// Name of the node that takes it.
    pub node: String,
    /// Name of the node that gets every chunk before it is acknowledged, if there is one.
    pub second_node: Option<String>,
    /// Whether what was sent must be sent again if `node` is lost.
    pub sent_again_if_lost: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thumbnail {
    /// `320w`, `640w` or `1280w`.
    pub size: String,
    /// A JPEG image.
    pub url: String,
    /// The same as a WebP image, which is smaller.
    pub webp_url: String,
    pub width: u32,
    pub height: u32,
}

/// A node that has the original.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Copy {
    /// Name of the node.
    pub node: String,
    pub site: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AudioTrack {
    pub codec: String,
    pub channels: u16,
    pub sample_rate: u32,
    pub language: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rendition {
    pub name: String,
    pub resolution: Resolution,
    pub video_kbps: u32,
    /// The source's own pictures, not encoded again.
    pub copy: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoError {
    pub code: String,
    /// A whole sentence for a person.
    pub message: String,
    pub detail: String,
    /// Whether `POST /jobs/{id}/retry` can help.
    pub retryable: bool,
}

/// What `PATCH /videos/{id}` changes; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoChange {
    pub filename: Option<String>,
}
