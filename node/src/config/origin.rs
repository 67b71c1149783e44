//! `[origin]`: where everything derived from an original lies.

use serde::{Deserialize, Serialize};

use super::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// `file://PATH`; a path that begins with `./` lies in the node's data folder.
    pub url: String,
    /// Whether a `file://` origin is one folder that all machines see.
    pub shared: bool,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            url: "file://./origin".to_owned(),
            shared: false,
        }
    }
}

impl Origin {
    /// Several nodes publish into one origin, and read from it what others have published.
    pub(super) fn check_reach(&self, one_machine: bool) -> Result<(), Error> {
        let invalid = |problem: &str| Err(Error::invalid("origin.url", problem));
        let Some(path) = self.url.strip_prefix("file://") else {
            return Ok(());
        };
        if path.starts_with("./") {
            return invalid(
                "each node would have an origin of its own in its data folder; write one that all nodes reach, such as file:///srv/reelmesh/origin",
            );
        }
        if !one_machine && !self.shared {
            return invalid(
                "the nodes run on several machines, and a folder is on one; if it is a network mount that all of them see, say so with origin.shared = true",
            );
        }
        Ok(())
    }

    /// Whether it is a folder on the disk of this machine.
    pub fn is_near(&self) -> bool {
        self.url.starts_with("file://") && !self.shared
    }

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
