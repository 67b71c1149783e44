//! Pure: how nodes give each other originals, named by the hash of the whole file.

use bincode::{Decode, Encode};

use crate::id::BlobHash;

/// A part of an original is asked for; one stream carries one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    pub blob: BlobHash,
    pub offset: u64,
    /// At most this many bytes.
    pub length: u64,
}

/// The answer; after `Found` come the bytes and the end of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Have {
    Missing = 0,
    Found {
        /// Of the whole file.
        size_bytes: u64,
        /// That follow.
        length: u64,
    } = 1,
}

/// Largest request or answer in bytes, without the file's bytes.
pub const MESSAGE_MAX: usize = 256;

/// Bytes asked for at once.
pub const PART_BYTES: u64 = 4 << 20;
