//! Pure: bodies about playback: grants, the keys that sign them, what a viewer waits for.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What opens a video to a player for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grant {
    /// Multivariant playlist under the grant; `null` until the video plays.
    pub hls_url: Option<String>,
    /// Stands in place of the leading `/hls/` of any other URL of the video, such as a subclip's.
    pub prefix: String,
    pub expires_at: Timestamp,
    /// Ask again from then on, to go on playing.
    pub renew_at: Timestamp,
}

/// A key that signs grants, or did until a newer one came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKey {
    pub id: u32,
    /// For the configuration of a CDN that checks grants itself; base64url.
    pub secret: String,
    pub added_at: Timestamp,
    /// Whether new grants are signed with it.
    pub signs: bool,
}

/// Where in a video that is still rendered a viewer would like to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Want {
    pub frame: u64,
}
