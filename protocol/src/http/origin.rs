//! Pure: bodies about the store of everything derived.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `POST /origin/sweep`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct BeginSweep {
    /// Only say what would go.
    pub dry_run: bool,
    /// Objects that the answer lists, at most 10000.
    pub limit: Option<usize>,
}

/// Where the sweeps of a node stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sweeps {
    /// One goes on right now.
    pub running: bool,
    pub last: Option<Sweep>,
}

/// A sweep that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sweep {
    pub ended_at: Timestamp,
    pub dry_run: bool,
    /// Why it broke off; what it had removed by then is not listed.
    pub error: Option<String>,
    /// Objects that something names.
    pub needed: Sum,
    /// Objects that nothing names and that are younger than `origin.sweep_grace`.
    pub young: Sum,
    /// Objects with names that Reelmesh does not give; they are left alone.
    pub foreign: Sum,
    /// What went, or would go, by reason.
    pub gone: Vec<Reason>,
    /// The first of the objects that went, or would go.
    pub objects: Vec<Orphan>,
    /// Whole sentences on what could not be judged.
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sum {
    pub objects: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    /// `no_generation`, `not_named`, `check` or `unfinished`.
    pub reason: String,
    /// The same as a sentence.
    pub text: String,
    pub objects: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Orphan {
    pub key: String,
    pub size_bytes: u64,
    pub reason: String,
}
