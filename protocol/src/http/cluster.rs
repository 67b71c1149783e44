//! Pure: bodies about who belongs to the cluster.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `POST /tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateToken {
    /// What the machine may become: `voter`, `learner` or `worker`.
    pub role: String,
    /// Seconds.
    pub valid_for_s: u64,
}

/// A permission to join. Keep it secret until it is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoinToken {
    pub token: String,
    pub role: String,
    pub expires_at: Timestamp,
}

/// `POST /cluster/apply`: the machines of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Apply {
    pub nodes: Vec<Machine>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Machine {
    pub name: String,
    pub site: String,
    /// `voter`, `learner` or `worker`.
    pub role: String,
    /// Host and port where other nodes reach it.
    pub address: String,
}

/// What is being done, and what is left to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Applied {
    /// Empty if the cluster is as the file says.
    pub sentences: Vec<String>,
}

/// `POST /nodes/{name}/drain`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Drain {
    pub draining: bool,
}
