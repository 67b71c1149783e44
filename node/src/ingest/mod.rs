//! Uploads: chunks in any order, acknowledged once they are on disk.
//!
//! QUIC and tus are two doors to the same sessions. A session lives in the spool until every
//! chunk is in and verified; then the file moves into the blob store and the catalogue hears of
//! it. Nothing here calls the rooms that render: they see the video in the catalogue.

pub mod session;
pub mod shape;

pub mod spool;

pub mod live;
pub mod registry;
pub mod writer;

pub mod cluster;
pub mod mirror;

pub mod finish;
pub mod parts;
pub mod reconcile;

pub mod watch;

pub mod client;
pub mod quic;
pub mod source;

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::code::ErrorCode;
use protocol::id::UploadId;
use protocol::time::{Span, Timestamp};
use protocol::upload::{NameError, Refused};

pub use cluster::Peers;
pub use reconcile::Service;
pub use registry::{Begin, Handle, Opened, Progress};

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Largest file that is accepted.
    pub size_max_bytes: u64,
    /// A session that nobody touches for so long is removed.
    pub expiry: Span,
    /// Characters of a file name that are kept.
    pub filename_chars: u32,
    /// Room that an upload must leave free on the disk.
    pub reserve_bytes: u64,
    /// Nodes that a chunk is on before it is acknowledged: 1 or 2.
    pub copies: u8,
    /// Web origins other than the node's own that may upload by tus, such as
    /// `https://review.example.org`.
    pub cors_origins: Vec<String>,
    /// Whether nobody may upload without an API token.
    pub require_token: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size_max_bytes: 1 << 40,
            expiry: Span::from_secs(7 * 86_400),
            filename_chars: 255,
            reserve_bytes: 1 << 30,
            copies: 1,
            cors_origins: Vec::new(),
            require_token: false,
        }
    }
}

/// Why an upload does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no upload {0} here")]
    NotFound(UploadId),
    #[error("the file is empty, so there is nothing to render")]
    Empty,
    #[error("the file has {size_bytes} bytes, this node accepts at most {max_bytes}")]
    TooLarge { size_bytes: u64, max_bytes: u64 },
    #[error("the file has {size_bytes} bytes, but only {free_bytes} bytes are free for uploads on this node{}", room(elsewhere.as_deref()))]
    NoSpace {
        size_bytes: u64,
        free_bytes: u64,
        /// A node that has room.
        elsewhere: Option<String>,
    },
    #[error("the bytes have not the checksum that was said")]
    ChecksumMismatch,
    #[error("upload {upload} is not a finished part that could be joined: {problem}")]
    Part {
        upload: UploadId,
        problem: &'static str,
    },
    #[error("this node takes no uploads without an API token of its cluster")]
    Unauthorized,
    #[error(
        "the file has {size_bytes} bytes, but the API token may keep only {left_bytes} bytes more"
    )]
    Quota { size_bytes: u64, left_bytes: u64 },
    #[error("its {what} is {found}, but {list} says {expected}")]
    HashList {
        list: String,
        what: &'static str,
        expected: String,
        found: String,
    },
    #[error("{max} uploads are waiting on this node to be finished, which is all that it keeps")]
    TooMany { max: usize },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("a newer connection has taken over this upload")]
    Superseded,
    #[error("chunk {index} arrived with other bytes than announced")]
    ChunkMismatch { index: u32 },
    #[error("the file that arrived is not the file that was announced")]
    FileMismatch,
    #[error("{missing} chunks are missing")]
    Incomplete { missing: u32 },
    #[error("data was sent for offset {given}, but the upload stands at {expected}")]
    Offset { expected: u64, given: u64 },
    #[error("more data was sent than the {size_bytes} bytes that were announced")]
    TooMuch { size_bytes: u64 },
    #[error("the upload was begun at node {node}, which is up")]
    Elsewhere { node: String, address: String },
    #[error("chunk {index} is being written by another stream")]
    Busy { index: u32 },
    #[error("{0}")]
    Invalid(String),
    #[error("the sender went away: {0}")]
    Gone(String),
    #[error("an earlier failure of the disk has stopped this upload; restart the node")]
    Poisoned,
    #[error(transparent)]
    Spool(#[from] spool::Error),
    #[error(transparent)]
    Blob(#[from] crate::blob::Error),
    #[error("the catalogue does not take the upload: {0}")]
    Catalogue(#[from] coordinator::raft::Error),
    #[error("the node is stopping")]
    ShuttingDown,
}

impl Error {
    /// What a client is told.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound(_) => ErrorCode::UploadNotFound,
            Self::Empty => ErrorCode::EmptyFile,
            Self::TooLarge { .. } | Self::TooMuch { .. } => ErrorCode::TooLarge,
            Self::NoSpace { .. } | Self::Spool(spool::Error::NoSpace { .. }) => ErrorCode::NoSpace,
            Self::Name(_) => ErrorCode::InvalidName,
            Self::Superseded => ErrorCode::Superseded,
            Self::ChunkMismatch { .. } => ErrorCode::ChunkMismatch,
            Self::FileMismatch => ErrorCode::FileMismatch,
            Self::Incomplete { .. } => ErrorCode::Incomplete,
            Self::Offset { .. } => ErrorCode::OffsetConflict,
            Self::Busy { .. } | Self::Elsewhere { .. } => ErrorCode::Busy,
            Self::ChecksumMismatch => ErrorCode::ChecksumMismatch,
            Self::Part { .. } => ErrorCode::PartUnusable,
            Self::TooMany { .. } => ErrorCode::Overloaded,
            Self::Unauthorized => ErrorCode::Unauthorized,
            Self::HashList { .. } => ErrorCode::HashListMismatch,
            Self::Quota { .. } => ErrorCode::QuotaExceeded,
            Self::Invalid(_) | Self::Gone(_) => ErrorCode::InvalidRequest,
            Self::Poisoned | Self::Spool(_) | Self::Blob(_) => ErrorCode::Storage,
            Self::Catalogue(coordinator::raft::Error::Rejected(_)) => ErrorCode::Refused,
            Self::Catalogue(_) => ErrorCode::CatalogueUnavailable,
            Self::ShuttingDown => ErrorCode::ShuttingDown,
        }
    }

    /// The sentence a client is shown. Paths of this machine are for the log.
    pub fn sentence(&self) -> String {
        let text = match self.code() {
            ErrorCode::Storage => "the node cannot use its disk".to_owned(),
            _ => self.to_string(),
        };
        let mut chars = text.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first
            .into_iter()
            .chain(chars)
            .chain(". ".chars())
            .chain(self.code().advice().chars())
            .collect()
    }
}

impl From<&Error> for Refused {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code(),
            message: error.sentence(),
        }
    }
}

fn room(elsewhere: Option<&str>) -> String {
    elsewhere.map_or_else(String::new, |name| format!("; node {name:?} has room"))
}

/// Wall-clock time; only expiry and display depend on it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Runs `work` where it may block on the disk. It runs to its end even if nobody waits any more.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    join(tokio::task::spawn_blocking(work)).await
}

/// What such work came to.
pub(crate) async fn join<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: whoever waits is about to be dropped too.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests;
