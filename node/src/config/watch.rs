//! `[[watch]]`: folders of a machine whose files are taken by themselves.

use std::path::PathBuf;

use globset::{Glob, GlobBuilder};
use serde::{Deserialize, Serialize};

use super::Error;
use super::units::Span;

/// Camera and edit formats; sidecars are left where they are.
const PATTERN: &str = "**/*.{mov,mp4,m4v,mxf,mkv,avi,mts,m2ts,webm}";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The machine whose folder it is, by its name.
    pub node: String,
    pub path: PathBuf,
    /// Which files, relative to the folder; letters match in either case.
    #[serde(default = "pattern")]
    pub pattern: String,
    /// A file is taken once neither size nor time of change has moved for so long.
    #[serde(default = "stable")]
    pub stable: Span,
    /// Between two looks at the folder.
    #[serde(default = "rescan")]
    pub rescan: Span,
    /// Each folder in it is a card: nothing of it is taken before all of it stands still.
    #[serde(default)]
    pub cards: bool,
    #[serde(default)]
    pub after: After,
}

/// What becomes of a file that was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// It stays where it is.
    #[default]
    Keep,
    /// It goes to the folder `taken` beside it.
    Move,
}

fn pattern() -> String {
    PATTERN.to_owned()
}

const fn stable() -> Span {
    Span::from_millis(10_000)
}

const fn rescan() -> Span {
    Span::from_millis(5_000)
}

impl Watch {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !self.path.is_absolute() {
            return Err(Error::invalid(
                "watch.path",
                format!(
                    "{} is not absolute; write it from / on",
                    self.path.display()
                ),
            ));
        }
        for (key, span, most) in [
            ("watch.stable", self.stable, 86_400_000),
            ("watch.rescan", self.rescan, 3_600_000),
        ] {
            if !(1000..=most).contains(&span.as_millis()) {
                return Err(Error::invalid(
                    key,
                    format!("{span} is not between 1s and {}h", most / 3_600_000),
                ));
            }
        }
        self.glob().map(drop)
    }

    /// The pattern, understood.
    ///
    /// # Errors
    /// It is no pattern.
    pub fn glob(&self) -> Result<Glob, Error> {
        GlobBuilder::new(&self.pattern)
            .case_insensitive(true)
            .literal_separator(true)
            .build()
            .map_err(|error| {
                Error::invalid(
                    "watch.pattern",
                    format!("{error}; write it like {PATTERN:?}"),
                )
            })
    }
}
