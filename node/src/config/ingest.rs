//! `[ingest]`: how uploads are taken.

use serde::{Deserialize, Serialize};

use super::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Machines that a part of an upload is on before it is acknowledged.
    pub copies: u8,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { copies: 1 }
    }
}

impl Ingest {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(1..=2).contains(&self.copies) {
            return Err(Error::invalid(
                "ingest.copies",
                format!("{} is neither 1 nor 2", self.copies),
            ));
        }
        Ok(())
    }
}
