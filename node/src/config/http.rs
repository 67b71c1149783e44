//! `[http]`: the page, the API, uploads by tus.

use serde::{Deserialize, Serialize};

use super::Error;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Web pages of other origins that may upload here; `*` stands for all.
    pub cors_origins: Vec<String>,
}

impl Http {
    pub(super) fn check(&self) -> Result<(), Error> {
        for origin in &self.cors_origins {
            let rest = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let is_origin = rest.is_some_and(|host| {
                !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', ',', '*'])
            });
            if !is_origin && origin != "*" {
                return Err(Error::invalid(
                    "http.cors_origins",
                    format!(
                        "{origin:?} is not an origin: write scheme, host and port as browsers do, such as \"https://review.example.org\", or \"*\" for all"
                    ),
                ));
            }
        }
        Ok(())
    }
}
