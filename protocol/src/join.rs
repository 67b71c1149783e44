//! Pure: how a machine becomes a node: the token that an admin carries over, and what is said with it.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use crate::codec;
use crate::id::{BlobHash, NodeId};
use crate::time::Timestamp;

/// What the text of every token begins with.
const PREFIX: &str = "rmj-";
/// Longest text of a token.
const TEXT_MAX: usize = 4096;
/// Largest request or answer in bytes.
pub const MESSAGE_MAX: usize = 64 << 10;
/// Clocks that differ by more are set right before a machine joins.
pub const CLOCKS_DIFFER_MAX_MS: u64 = 30_000;

/// A permission to join, good for one machine and a while.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// Hash of the certificate of the cluster's authority: the machine believes nobody else.
    pub authority: BlobHash,
    /// Known to whoever holds the token; the cluster keeps its hash.
    pub secret: [u8; 32],
    pub expires_at: Timestamp,
    /// Where nodes of the cluster are reached, the best first.
    pub addresses: Vec<String>,
}

impl Token {
    /// What the cluster knows the token by.
    pub fn hash(&self) -> BlobHash {
        BlobHash::of(&self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("authority", &self.authority)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = codec::encode(self).map_err(|_| fmt::Error)?;
        f.write_str(PREFIX)?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a join token; copy the whole line that `reelmesh token create` printed")]
pub struct ParseTokenError;

impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(ParseTokenError)?;
        if digits.len() > TEXT_MAX || !digits.is_ascii() || !digits.len().is_multiple_of(2) {
            return Err(ParseTokenError);
        }
        let bytes: Option<Vec<u8>> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
            .collect();
        codec::decode(&bytes.ok_or(ParseTokenError)?).map_err(|_| ParseTokenError)
    }
}

/// What a machine sends.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    pub secret: [u8; 32],
    pub name: String,
    pub site: String,
    /// Where the other nodes will reach it.
    pub address: String,
    /// A P-256 public key, uncompressed.
    pub public_key: Vec<u8>,
    /// By the machine's clock.
    pub at: Timestamp,
}

/// What it gets.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Answer {
    Admitted(Box<Admission>) = 0,
    /// A sentence that says what to do.
    Refused(String) = 1,
}

/// All that makes a machine a node.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Admission {
    pub node: NodeId,
    pub certificate_pem: String,
    pub authority_pem: String,
    /// For voters: whichever of them is left can admit others.
    pub authority_key_pem: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(admission) => admission.fmt(f),
            Self::Refused(why) => f.debug_tuple("Refused").field(why).finish(),
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_printed_and_nothing_else_is_one() {
        let token = Token {
            authority: BlobHash::of(b"authority"),
            secret: [7; 32],
            expires_at: Timestamp::from_millis(1_795_377_600_000),
            addresses: vec!["127.0.0.1:7443".to_owned()],
        };
        let text = token.to_string();
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token));
        for bad in ["", "rmj-", "rmj-zz", &text[..text.len() - 2], &text[4..]] {
            assert_eq!(bad.parse::<Token>(), Err(ParseTokenError), "{bad}");
        }
        assert!(!format!("{:?}", text.parse::<Token>()).contains("0707"));
    }
}
