//! Pure: what an upload is where it is not simply a file of known length: one whose length is said
//! later, a stretch of a file that comes in several, the file that is made of such stretches.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use bincode::{Decode, Encode};
use protocol::id::UploadId;
use protocol::upload::{FILE_SIZE_MAX, Layout};

/// Parts that one file may be made of.
pub const PARTS_MAX: usize = 256;

/// Append only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Shape {
    /// A file whose length was said when it was begun, or since.
    #[default]
    Whole = 0,
    /// A file whose length is still to be said.
    Unmeasured = 1,
    /// A stretch of a file that is sent in several, side by side.
    Part {
        is_measured: bool,
        /// The file that it has become part of.
        joined: Option<UploadId>,
    } = 2,
    /// A file made of parts that lie here, in this order.
    Joined { parts: Vec<UploadId> } = 3,
}

impl Shape {
    /// Known to this node only: the catalogue hears of a file once its length is known, and of a
    /// part never.
    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Unmeasured | Self::Part { .. })
    }

    /// Whether the length was said.
    pub const fn is_measured(&self) -> bool {
        match self {
            Self::Whole | Self::Joined { .. } => true,
            Self::Unmeasured => false,
            Self::Part { is_measured, .. } => *is_measured,
        }
    }

    pub const fn is_part(&self) -> bool {
        matches!(self, Self::Part { .. })
    }

    /// How the bytes are cut into chunks. A private upload is cut as the largest of files would
    /// be: the hashes of its chunks then are those of any longer file that it may turn out to be,
    /// except one of a single chunk.
    pub const fn layout(&self, size_bytes: u64) -> Option<Layout> {
        if self.is_private() {
            Layout::new(FILE_SIZE_MAX)
        } else {
            Layout::new(size_bytes)
        }
    }
}
