//! Pure: errors as `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `about:blank`: the `code` says which problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason phrase of the status.
    pub title: String,
    pub status: u16,
    /// A whole sentence: what was wrong, and what to do about it.
    pub detail: String,
    /// Stable and lower-case, such as `video_not_found`.
    pub code: String,
}
