//! Pure: error codes that cross the wire: a stable number, a stable name, whether trying again
//! can help, and what to try.

use bincode::{Decode, Encode};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $retry:literal, $advice:literal;)*) => {
        /// What went wrong. Append only: the number is on the wire and in scripts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code there is, in order of number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable, lower-case name, as in `code` of a problem document.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether the same request may succeed when it is made again.
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retry,)* }
            }

            /// What to do about it, as a whole sentence.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }

            const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// The request cannot be understood.
    InvalidRequest = 1, "invalid_request", false,
        "Use a client of the same version as the node.";
    /// The upload is not, or no longer, known here.
    UploadNotFound = 2, "upload_not_found", false,
        "Start the upload again; it may have lapsed or been cancelled.";
    /// The bytes of a chunk do not match its hash.
    ChunkMismatch = 3, "chunk_mismatch", true,
        "Send the chunk again.";
    /// The file that arrived is not the file that was announced.
    FileMismatch = 4, "file_mismatch", false,
        "The file changed while it was sent; start the upload again.";
    /// There is not enough room for the whole file.
    NoSpace = 5, "no_space", false,
        "Free space on the node's disk, or upload to another node.";
    /// The file is larger than this node accepts.
    TooLarge = 6, "too_large", false,
        "Raise the limit in the node's configuration.";
    /// The file has no bytes.
    EmptyFile = 7, "empty_file", false,
        "Check that the file was written to the end.";
    /// The name cannot be shown.
    InvalidName = 8, "invalid_name", false,
        "Give the file another name.";
    /// A newer connection has taken over this upload.
    Superseded = 9, "superseded", false,
        "Nothing: the upload goes on over the newer connection.";
    /// Chunks are missing.
    Incomplete = 10, "incomplete", true,
        "Open the upload again and send what is missing.";
    /// The node has as many uploads as it can serve.
    Busy = 11, "busy", true,
        "Try again in a moment.";
    /// The node is stopping.
    ShuttingDown = 12, "shutting_down", true,
        "Try again when the node is back.";
    /// The node's disk failed.
    Storage = 13, "storage", false,
        "Look at the node's log and disk.";
    /// The catalogue takes no changes now: no leader, or no majority.
    CatalogueUnavailable = 14, "catalogue_unavailable", true,
        "Try again in a moment.";
    /// The catalogue said no.
    Refused = 15, "refused", false,
        "Read the message.";
    /// A mistake of ours.
    Internal = 16, "internal", true,
        "Try again, and report it if it stays.";
    /// Data was sent for another offset than the one reached.
    OffsetConflict = 17, "offset_conflict", true,
        "Ask for the offset, and go on from there.";

    // 30 to 39: uploads over HTTP.
    /// The bytes have not the checksum that came with them.
    ChecksumMismatch = 30, "checksum_mismatch", true,
        "Send the same bytes again; none of them were kept.";
    /// A file cannot be made of the parts that were named.
    PartUnusable = 31, "part_unusable", false,
        "Finish every part first, and name each of them once.";
    /// As many uploads are under way as are allowed.
    Overloaded = 32, "overloaded", true,
        "Try again once other uploads have ended.";
    /// The node takes nothing without an API token.
    Unauthorized = 33, "unauthorized", false,
        "Give an API token with --api-token or in REELMESH_TOKEN; `reelmesh token create --api` makes one.";
    /// The token may not keep so much.
    QuotaExceeded = 34, "quota_exceeded", false,
        "Delete what is no longer needed, or have the quota raised.";
    /// The file is not what the hash list beside it says.
    HashListMismatch = 35, "hash_list_mismatch", false,
        "Copy the file from the card again; it changed on the way here.";
}

impl ErrorCode {
    /// The stable number.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Encode for ErrorCode {
    fn encode<E: bincode::enc::Encoder>(
        &self,
        encoder: &mut E,
    ) -> Result<(), bincode::error::EncodeError> {
        self.number().encode(encoder)
    }
}

impl<C> Decode<C> for ErrorCode {
    /// A number from the future reads as [`ErrorCode::Refused`]: its message still says what
    /// is wrong.
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Ok(Self::from_number(u16::decode(decoder)?).unwrap_or(Self::Refused))
    }
}

bincode::impl_borrow_decode!(ErrorCode);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn numbers_come_back_and_names_are_distinct() {
        let mut names = std::collections::BTreeSet::new();
        for &code in ErrorCode::ALL {
            let bytes = codec::encode(&code).expect("small");
            assert_eq!(codec::decode::<ErrorCode>(&bytes).expect("known"), code);
            assert!(names.insert(code.name()), "{code} is there twice");
            assert!(code.advice().ends_with('.'));
        }
    }

    #[test]
    fn a_code_from_the_future_reads_as_refused() {
        let bytes = codec::encode(&9999_u16).expect("small");
        assert_eq!(
            codec::decode::<ErrorCode>(&bytes).expect("decodes"),
            ErrorCode::Refused
        );
    }
}
