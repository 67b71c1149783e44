//! Sizes and spans as people write them: `4MiB`, `1.5GB` is refused, `15s`, `7d`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}; write a whole number and a unit, such as {example}")]
pub struct ParseError {
    text: String,
    kind: &'static str,
    example: &'static str,
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $example:literal, $units:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u64);

        impl $name {
            /// Largest unit first.
            const UNITS: &'static [(&'static str, u64)] = $units;
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let error = || ParseError {
                    text: text.chars().take(40).collect(),
                    kind: $kind,
                    example: $example,
                };
                let trimmed = text.trim();
                let split = trimmed
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(trimmed.len());
                let (digits, unit) = trimmed.split_at(split);
                let number: u64 = digits.parse().map_err(|_| error())?;
                let (_, factor) = Self::UNITS
                    .iter()
                    .find(|(name, _)| *name == unit.trim())
                    .ok_or_else(error)?;
                number.checked_mul(*factor).map(Self).ok_or_else(error)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl fmt::Display for $name {
            /// In the largest unit that divides it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (name, factor) = Self::UNITS
                    .iter()
                    .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
                    .or(Self::UNITS.last())
                    .expect("there are units");
                write!(f, "{}{name}", self.0 / factor)
            }
        }
    };
}

quantity!(
    /// Bytes, in powers of 1024.
    ByteSize,
    "size",
    "\"4MiB\"",
    &[
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("B", 1),
    ]
);
quantity!(
    /// A length of time.
    Span,
    "length of time",
    "\"15s\"",
    &[
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1000),
        ("ms", 1),
    ]
);

impl ByteSize {
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl Span {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

impl From<Span> for protocol::time::Span {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses() {
        for text in ["4MiB", "1TiB", "0B", "1500B", "3KiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        for text in ["15s", "7d", "0ms", "1500ms", "90min"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn doubtful_quantities_are_refused() {
        for text in [
            "",
            "4",
            "4 parsecs",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "999999999999d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!("4MB".parse::<ByteSize>().is_err());
    }
}
