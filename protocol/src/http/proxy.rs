//! Pure: bodies about edit proxies, their presets and whether edit software takes them.

use serde::{Deserialize, Serialize};

use super::video::VideoError;
use crate::id::{ProxyId, VideoId};
use crate::media::Resolution;
use crate::preset::{BurnIn, EditCodec};
use crate::time::Timestamp;

/// Where an edit proxy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProxyStatus {
    Queued,
    Rendering,
    /// It can be downloaded.
    Ready,
    Failed,
}

/// An edit proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proxy {
    pub id: ProxyId,
    pub video_id: VideoId,
    /// Name of the preset that it is made by, as it was when it was asked for.
    pub preset: String,
    pub preset_version: u32,
    pub codec: EditCodec,
    /// Of its pictures, as they are stored; `null` where the video has become unknown.
    pub resolution: Option<Resolution>,
    pub burn_in: BurnIn,
    pub status: ProxyStatus,
    /// 0 to 1000.
    pub progress_permille: u16,
    /// The name that edit software relinks it by: the original's, with another ending.
    pub filename: String,
    /// `null` until it is ready.
    pub size_bytes: Option<u64>,
    pub created_at: Timestamp,
    /// Why it could not be made.
    pub error: Option<VideoError>,
}

/// What `POST /videos/{id}/proxies` asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewProxy {
    /// Name of a preset.
    pub preset: String,
}

/// A list that is never long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proxies {
    /// Oldest first.
    pub items: Vec<Proxy>,
    pub total: u64,
}

/// A preset of edit proxies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preset {
    pub name: String,
    pub version: u32,
    /// It is always there and cannot be changed.
    pub built_in: bool,
    pub codec: EditCodec,
    pub lines: u32,
    /// Hash of the look that is baked in.
    pub lut: Option<String>,
    pub burn_in: BurnIn,
}

/// All presets, by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Presets {
    pub items: Vec<Preset>,
    pub total: u64,
}

/// What `PUT /presets/{name}` saves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PresetChange {
    pub codec: EditCodec,
    /// Lines of the shorter side, at most; 540 if left out.
    #[serde(default)]
    pub lines: Option<u32>,
    /// Hash of a look that `POST /luts` has taken.
    #[serde(default)]
    pub lut: Option<String>,
    #[serde(default)]
    pub burn_in: BurnIn,
}

/// A look that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lut {
    /// BLAKE3 of it.
    pub blake3: String,
    pub name: String,
    /// Points on each axis.
    pub size: u8,
}

/// Whether edit software takes a proxy for its original, found by reading the proxy back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    pub proxy_id: ProxyId,
    /// The original's file name, and the proxy's.
    pub original: String,
    pub proxy: String,
    pub rules: Vec<Rule>,
    pub editors: Vec<Editor>,
}

/// One rule that edit software asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// `name`, `timecode`, `duration`, `frame_rate`, `audio`, `reel`, `field_order`, `size`,
    /// `pixel_aspect`, `colour`, `pictures`.
    pub rule: String,
    pub holds: bool,
    /// As found in the original, and in the proxy.
    pub original: String,
    pub proxy: String,
    /// What follows where it does not hold, as a whole sentence; empty where it does.
    pub note: String,
}

/// What one program will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Editor {
    /// `Premiere Pro`, `DaVinci Resolve`, `Avid Media Composer`, `Final Cut Pro`.
    pub editor: String,
    pub relinks: bool,
    /// Rules that are broken and that it insists on.
    pub blocked_by: Vec<String>,
    /// Rules that are broken and that it lets pass.
    pub warnings: Vec<String>,
    /// How to relink there.
    pub how: String,
}
