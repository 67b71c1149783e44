//! Pure: the secret by which a client may use the API.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use crate::id::BlobHash;

/// What the text of every secret begins with.
const PREFIX: &str = "rmt-";

/// What an API token is to whoever holds it. The cluster keeps its hash.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Secret([u8; 32]);

impl Secret {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What the cluster knows the token by.
    pub fn hash(&self) -> BlobHash {
        BlobHash::of(&self.0)
    }
}

/// Never the secret: it must not get into a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an API token; copy the whole line that `reelmesh token create --api` printed")]
pub struct ParseSecretError;

impl FromStr for Secret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(ParseSecretError)?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseSecretError);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16)
                .map_err(|_| ParseSecretError)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_printed_and_never_logged() {
        let secret = Secret::from_bytes([0xa7; 32]);
        let text = secret.to_string();
        assert_eq!(text.parse(), Ok(secret));
        assert_eq!(format!(" {text}\n").parse(), Ok(secret));
        for bad in ["", "rmt-", &text[..text.len() - 1], &text[4..], "rmt-+7"] {
            assert_eq!(bad.parse::<Secret>(), Err(ParseSecretError), "{bad}");
        }
        assert!(!format!("{secret:?}").contains("a7"));
    }
}
