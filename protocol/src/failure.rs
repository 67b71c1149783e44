//! Pure: why work failed, as a class that decides about a retry and a sentence for a person.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a failure says about trying again. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FailureClass {
    /// The file itself cannot be rendered: trying again gives the same answer.
    Input = 0,
    /// The worker died or stood still: perhaps the file, perhaps the machine. Tried again, a few times.
    Crashed = 1,
    /// The node could not do it now: disk full, origin away. Tried again later, here or elsewhere.
    Resource = 2,
    /// The result did not match the source. Tried again, a few times.
    Verification = 3,
    /// A person cancelled it.
    Cancelled = 4,
    /// Our own mistake.
    Internal = 5,
}

impl FailureClass {
    /// Whether another attempt can end differently.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Input | Self::Cancelled => false,
            Self::Crashed | Self::Resource | Self::Verification | Self::Internal => true,
        }
    }
}

/// A failure that can be shown and stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    pub class: FailureClass,
    /// Stable, lower-case, such as `not_a_video`; documented in `docs/errors`.
    pub code: String,
    /// A whole sentence for a person: what was wrong, and what to do about it.
    pub message: String,
    /// What the machine said, for the log; may be empty, at most [`Failure::DETAIL_MAX`] bytes.
    pub detail: String,
}

impl Failure {
    /// Longest `detail` in bytes; the tail is dropped.
    pub const DETAIL_MAX: usize = 2048;
    /// Longest `message` in bytes.
    pub const MESSAGE_MAX: usize = 512;

    pub fn new(
        class: FailureClass,
        code: impl Into<String>,
        message: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            class,
            code: cut(code.into(), 64),
            message: cut(message.into(), Self::MESSAGE_MAX),
            detail: cut(detail.into(), Self::DETAIL_MAX),
        }
    }
}

/// At most `max` bytes of `text`, cut between characters.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let failure = Failure::new(
            FailureClass::Input,
            "code",
            "名".repeat(400),
            "é".repeat(4000),
        );
        assert!(failure.message.len() <= Failure::MESSAGE_MAX);
        assert!(failure.detail.len() <= Failure::DETAIL_MAX);
    }
}
