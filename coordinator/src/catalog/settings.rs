//! Pure: what all nodes must agree on: the ladder, limits and lease times.

use bincode::{Decode, Encode};
use protocol::media::Ladder;
use protocol::time::Span;

/// Replicated settings, set from `cluster.toml` by the leader.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Settings {
    pub ladder: Ladder,
    /// Attempts that a job may fail before it is given up.
    pub max_attempts: u32,
    /// Attempts that may be lost with their node, on top.
    pub max_lost_attempts: u32,
    /// How long an assignment holds without renewal.
    pub lease: Span,
    /// First wait before a retry; doubles with each attempt.
    pub retry_backoff: Span,
    /// An upload that nobody touches is given up after this long.
    pub upload_expiry: Span,
    /// Largest file in bytes.
    pub upload_max_bytes: u64,
    /// Longest file name in characters.
    pub filename_max_chars: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ladder: Ladder::default(),
            max_attempts: 3,
            max_lost_attempts: 100,
            lease: Span::from_secs(15),
            retry_backoff: Span::from_secs(5),
            upload_expiry: Span::from_secs(7 * 24 * 3600),
            upload_max_bytes: 1 << 40,
            filename_max_chars: 255,
        }
    }
}
