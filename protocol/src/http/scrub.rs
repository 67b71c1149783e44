//! Pure: indexes of small pictures and of outlines of sound. URLs in them are relative to the index.

use serde::{Deserialize, Serialize};

/// What `sprites_url` of a video leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sprites {
    /// Of one small picture, in pixels.
    pub width: u32,
    pub height: u32,
    pub sheets: Vec<SpriteSheet>,
    /// In order of presentation, without gaps.
    pub cells: Vec<Sprite>,
}

/// An image that holds several small pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpriteSheet {
    pub url: String,
    pub width: u32,
    pub height: u32,
}

/// A small picture, and the time that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sprite {
    /// The frame of the source that it shows.
    pub frame: u64,
    pub start_ms: u64,
    pub end_ms: u64,
    /// Position in `sheets`.
    pub sheet: u32,
    /// Upper left corner in that image.
    pub x: u32,
    pub y: u32,
}

/// What `peaks_url` of a video leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outlines {
    /// One for each rendition of the sound.
    pub tracks: Vec<Outline>,
}

/// The lowest and highest sample of each bucket of one track, in a file of its own.
///
/// The file is one `audiowaveform` data block (version 2, 8 bits) for each level, coarsest first:
/// 24 bytes of header, then for each bucket and channel the lowest and the highest sample as
/// signed bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outline {
    /// Name of the rendition.
    pub track: String,
    pub url: String,
    pub sample_rate: u32,
    pub channels: u16,
    pub levels: Vec<OutlineLevel>,
}

/// One zoom level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutlineLevel {
    pub samples_per_bucket: u32,
    pub buckets: u32,
    /// Where its block begins in the file, in bytes.
    pub offset: u64,
}
