//! `[cluster]`: what all machines share.

use serde::{Deserialize, Serialize};

use super::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Shown in the page and in metrics.
    pub name: String,
    /// Machines that hold each original, as far as there are so many.
    pub copies: u32,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: "reelmesh".to_owned(),
            copies: 2,
        }
    }
}

impl Cluster {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(1..=16).contains(&self.copies) {
            return Err(Error::invalid(
                "cluster.copies",
                format!("{} is not between 1 and 16", self.copies),
            ));
        }
        Ok(())
    }
}
