//! Pure: bodies about what people note: tags, bins, the order of subclips, markers and comments.

use serde::{Deserialize, Serialize};

use crate::id::{BinId, ClipId, CommentId, MarkerId, VideoId};
use crate::marker::Colour;
use crate::media::FrameRate;
use crate::time::Timestamp;

/// A named part of the library.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bin {
    pub id: BinId,
    pub name: String,
    /// How many videos are in it.
    pub videos: u64,
    pub created_at: Timestamp,
}

/// What `POST /bins` makes, and what `PATCH /bins/{id}` changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BinName {
    pub name: String,
}

/// A word that videos share.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tag {
    pub name: String,
    /// How many videos have it.
    pub videos: u64,
}

/// A frame rate of the library.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RateCount {
    pub frame_rate: FrameRate,
    pub videos: u64,
}

/// A site, and how many videos have their original there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SiteCount {
    pub name: String,
    pub videos: u64,
}

/// What the library can be narrowed by, with the number of videos of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facets {
    /// In alphabetical order.
    pub tags: Vec<Tag>,
    /// In alphabetical order.
    pub bins: Vec<Bin>,
    pub rates: Vec<RateCount>,
    pub sites: Vec<SiteCount>,
}

/// `POST /labels`: tags and bins of many videos at once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Labelling {
    /// At most 200; those that are gone are passed over.
    pub videos: Vec<VideoId>,
    pub add_tags: Vec<String>,
    pub remove_tags: Vec<String>,
    pub add_bins: Vec<BinId>,
    pub remove_bins: Vec<BinId>,
}

/// `PUT /videos/{id}/clip-order`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClipOrder {
    /// Subclips of the video; those left out follow in the order of their in points.
    pub clips: Vec<ClipId>,
}

/// Something said about a picture or a range of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Marker {
    pub id: MarkerId,
    pub video_id: VideoId,
    /// Counted from the first frame of the source.
    pub in_frame: u64,
    /// The first frame that does not belong to it; the one after `in_frame` if it is on one picture.
    pub out_frame: u64,
    /// As the source's timecode; `null` where the frame rate has none.
    #[serde(rename = "in")]
    pub in_timecode: Option<String>,
    #[serde(rename = "out")]
    pub out_timecode: Option<String>,
    pub colour: Colour,
    /// May be empty, and have several lines.
    pub text: String,
    /// As its author calls themselves; may be empty.
    pub author: String,
    pub created_at: Timestamp,
    /// When its text was changed last.
    pub edited_at: Option<Timestamp>,
    /// When it was said to be dealt with.
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
    /// Oldest first.
    pub comments: Vec<Comment>,
}

/// An answer to a marker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comment {
    pub id: CommentId,
    pub text: String,
    pub author: String,
    pub created_at: Timestamp,
    pub edited_at: Option<Timestamp>,
}

/// What `POST /videos/{id}/markers` pins: each point either as a frame or as a timecode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewMarker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_frame: Option<u64>,
    /// Exclusive; without an out point the marker is on one picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_frame: Option<u64>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub in_timecode: Option<String>,
    /// Exclusive.
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub out_timecode: Option<String>,
    #[serde(default)]
    pub colour: Colour,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub author: String,
}

/// What `PATCH /markers/{id}` changes; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MarkerChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_frame: Option<u64>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub in_timecode: Option<String>,
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub out_timecode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether it is dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<bool>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// What `POST /markers/{id}/comments` adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewComment {
    pub text: String,
    #[serde(default)]
    pub author: String,
}

/// What `PATCH /comments/{id}` changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommentChange {
    pub text: String,
}
