//! Pure: identifiers as types: parse, print, order.
//!
//! Record ids are UUIDs (RFC 9562) that the proposer of a command picks, version 7 so that they
//! sort by time; ids that `apply` derives are version 8 and follow from the log position alone.
//! Content is named by its BLAKE3 hash.

use std::fmt;
use std::str::FromStr;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}")]
pub struct ParseIdError {
    kind: &'static str,
    text: String,
}

impl ParseIdError {
    fn new(kind: &'static str, text: &str) -> Self {
        // Ids are short; a hostile text is not echoed whole.
        let text = text.chars().take(80).collect();
        Self { kind, text }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// An id that follows from the position of a log entry: the `sequence`-th id that
            /// the entry at `index` gives rise to, a version 8 UUID (RFC 9562, 5.8).
            #[must_use]
            pub fn derived(at: crate::time::Timestamp, index: u64, sequence: u16) -> Self {
                let millis = u128::try_from(at.as_millis().max(0)).unwrap_or(0) & 0xffff_ffff_ffff;
                let value = (millis << 80) | (u128::from(sequence) << 64 & 0x0fff << 64) | u128::from(index);
                let mut bytes = value.to_be_bytes();
                bytes[6] = (bytes[6] & 0x0f) | 0x80;
                bytes[8] = (bytes[8] & 0x3f) | 0x80;
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| ParseIdError::new($kind, text))
            }
        }

        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.0.as_bytes().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Ok(Self(Uuid::from_bytes(Decode::decode(decoder)?)))
            }
        }

        impl<'de, C> BorrowDecode<'de, C> for $name {
            fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, DecodeError> {
                Decode::decode(decoder)
            }
        }
    };
}

uuid_id!(
    /// A video in the library.
    VideoId,
    "video id"
);
uuid_id!(
    /// A subclip: an in and out point on a video.
    ClipId,
    "clip id"
);
uuid_id!(
    /// A bin: a named part of the library.
    BinId,
    "bin id"
);
uuid_id!(
    /// A marker on a video.
    MarkerId,
    "marker id"
);
uuid_id!(
    /// A comment on a marker.
    CommentId,
    "comment id"
);
uuid_id!(
    /// A resumable upload.
    UploadId,
    "upload id"
);
uuid_id!(
    /// A piece of scheduled work.
    JobId,
    "job id"
);
uuid_id!(
    /// One complete, immutable published set of a video.
    GenerationId,
    "generation id"
);
uuid_id!(
    /// A cluster; in every handshake, so that clusters never merge by accident.
    ClusterId,
    "cluster id"
);

/// A node, as Raft numbers it. Never reused: a replaced disk is a new node.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The BLAKE3 hash of a whole file, 32 bytes, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlobHash([u8; 32]);

impl BlobHash {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of bytes that are already in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first 16 hexadecimal digits: enough to tell versions of one named object apart.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(16);
        text
    }
}

impl From<blake3::Hash> for BlobHash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(Self::from)
            .map_err(|_| ParseIdError::new("BLAKE3 hash", text))
    }
}

impl Serialize for BlobHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn ids_print_and_parse() {
        let id = VideoId::derived(Timestamp::from_millis(1_700_000_000_000), 42, 3);
        assert_eq!(id.to_string().parse::<VideoId>(), Ok(id));
        assert!("../etc/passwd".parse::<VideoId>().is_err());
    }

    #[test]
    fn derived_ids_differ_by_position_and_sequence() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let ids = [
            JobId::derived(at, 1, 0),
            JobId::derived(at, 1, 1),
            JobId::derived(at, 2, 0),
        ];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }

    #[test]
    fn hashes_print_and_parse() {
        let hash = BlobHash::of(b"reel");
        assert_eq!(hash.to_string().parse::<BlobHash>(), Ok(hash));
        assert_eq!(hash.short().len(), 16);
        assert!("zz".parse::<BlobHash>().is_err());
    }
}
