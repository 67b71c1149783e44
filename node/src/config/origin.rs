//! `[origin]`: where everything derived from an original lies.

use serde::{Deserialize, Serialize};

use super::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// `file://PATH`; a path that begins with `./` lies in the node's data folder.
    pub url: String,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            url: "file://./origin".to_owned(),
        }
    }
}

impl Origin {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.url.starts_with("file://") && self.url.len() > "file://".len() {
            return Ok(());
        }
        Err(Error::invalid(
            "origin.url",
            format!(
                "{:?} is not an origin this version knows; write file://PATH",
                self.url
            ),
        ))
    }
}
