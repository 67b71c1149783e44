//! How a command ends: kind of error, exit code, and what to try.

use std::fmt;
use std::process::ExitCode;

use super::Shared;

/// The exit codes that scripts may rely on; 0 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    Refused = 5,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// An error for a person, with hints printed apart.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Adds a line that says what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Prints the error the way the caller reads it, and gives the exit code.
    #[expect(
        clippy::print_stderr,
        clippy::print_stdout,
        reason = "this is the command line"
    )]
    pub fn report(&self, shared: &Shared) -> ExitCode {
        if shared.json {
            let error = serde_json::json!({
                "error": { "kind": self.kind.as_str(), "message": self.message, "hints": self.hints }
            });
            println!("{error}");
        } else {
            eprintln!("error: {}", self.message);
            for hint in &self.hints {
                eprintln!("hint: {hint}");
            }
        }
        ExitCode::from(self.kind as u8)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Kind::Failed, format!("{error:#}"))
    }
}
