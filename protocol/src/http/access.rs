//! Pure: bodies about who may use the API.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `POST /api-tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateApiToken {
    /// For people; unique.
    pub name: String,
    /// Bytes of originals that it may keep here; without limit if left out.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
}

/// The one time that a token is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewApiToken {
    /// Sent as `Authorization: Bearer`.
    pub token: String,
    pub name: String,
}

/// `PATCH /api-tokens/{name}`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeApiToken {
    /// `null` takes the limit away.
    pub quota_bytes: Option<u64>,
}

/// A token as the list shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiToken {
    pub name: String,
    pub quota_bytes: Option<u64>,
    /// Bytes of the originals that came with it and are here or on their way.
    pub used_bytes: u64,
    pub created_at: Timestamp,
}
