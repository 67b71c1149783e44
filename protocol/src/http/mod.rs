//! Pure: JSON bodies of the HTTP API, `/api/v1`.
//!
//! Names are snake case, times RFC 3339, frame rates fractions.

pub mod clip;
pub mod cluster;
pub mod event;
pub mod job;
pub mod node;
pub mod origin;
pub mod problem;
pub mod quic;
pub mod review;
pub mod scrub;
pub mod upload;
pub mod video;

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it back as `cursor` to get the next page; `null` on the last.
    pub next_cursor: Option<String>,
    /// How many items match, on all pages together.
    pub total: u64,
}
