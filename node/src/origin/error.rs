//! Why an object could not be written, read or found, in words for people.

use std::path::PathBuf;

use super::explain;
use super::explain::Class;

/// Why an object could not be written, read or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{text}")]
    Described { text: String },
    #[error("cannot make the folder of the origin, {path}: {source}")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read {path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{key:?} is not a valid object key: {source}")]
    Key {
        key: String,
        source: object_store::path::Error,
    },
    #[error("there is no object {key}")]
    NotFound { key: String },
    #[error("object {key} has {size_bytes} bytes, more than the {max_bytes} that are read at once")]
    TooLarge {
        key: String,
        size_bytes: u64,
        max_bytes: u64,
    },
    /// `said` and `mend` are for people and hold no secrets; the source may.
    #[error("cannot {action} {key} in the origin: {said}{}", hint(*mend))]
    Store {
        action: &'static str,
        key: String,
        said: String,
        mend: Option<&'static str>,
        class: Class,
    },
}

fn hint(mend: Option<&'static str>) -> String {
    mend.map_or(String::new(), |mend| format!("; {mend}"))
}

impl Error {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether every other request would fail too.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Store { class, .. } => *class != Class::Other,
            Self::Folder { .. } => true,
            _ => false,
        }
    }

    pub(super) fn of(action: &'static str, key: &str) -> impl FnOnce(object_store::Error) -> Self {
        let key = key.to_owned();
        move |error| {
            let mut chain = vec![error.to_string()];
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                chain.push(inner.to_string());
                source = inner.source();
            }
            let told = explain::explain(&chain);
            // A store that has no such bucket says "not found" as well.
            let missing = matches!(error, object_store::Error::NotFound { .. });
            if missing && told.class != Class::NoBucket {
                return Self::NotFound { key };
            }
            Self::Store {
                action,
                key,
                said: told.said,
                mend: told.mend,
                class: told.class,
            }
        }
    }
}
