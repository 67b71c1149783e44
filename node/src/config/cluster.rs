//! `[cluster]`: what all machines share.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Shown in the page and in metrics.
    pub name: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: "reelmesh".to_owned(),
        }
    }
}
