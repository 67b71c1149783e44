//! `[auth]`: who may use the API.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether the API, the page and uploads need an API token.
    pub require_token: bool,
}
