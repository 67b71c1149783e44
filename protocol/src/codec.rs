//! Pure: the one place where records become bytes and bytes become records.
//!
//! Every encoded record is one version byte and the bincode form of the value.
//! bincode reads an old shape as a new one without complaint, so a record whose shape changes gets
//! a new version (`VERSION`), and its reader tells the two apart.
//! Decoding is bounded: lengths in hostile bytes can neither allocate nor panic, and bytes left
//! over are an error.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

/// Largest encoded record in bytes, version byte included.
pub const RECORD_MAX: usize = 1 << 20;

/// The version that new records are written with.
pub const VERSION: u8 = 1;

/// Why bytes are not the record that was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the record is empty")]
    Empty,
    #[error(
        "the record has version {found}, this program reads version {VERSION}; update this node"
    )]
    Version { found: u8 },
    #[error("the record has {size} bytes, more than the allowed {RECORD_MAX}")]
    TooLarge { size: usize },
    #[error("the record is damaged: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    #[error("the record is damaged: {0} bytes are left over")]
    LeftOver(usize),
    #[error("the value cannot be encoded: {0}")]
    Encode(#[from] bincode::error::EncodeError),
}

type Bounded = Configuration<LittleEndian, Varint, Limit<RECORD_MAX>>;

const fn config() -> Bounded {
    bincode::config::standard().with_limit::<RECORD_MAX>()
}

/// The bytes of `value`, version byte first.
///
/// # Errors
/// [`Error::TooLarge`] if the record would exceed [`RECORD_MAX`].
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![VERSION];
    bincode::encode_into_std_write(value, &mut bytes, config())?;
    if bytes.len() > RECORD_MAX {
        return Err(Error::TooLarge { size: bytes.len() });
    }
    Ok(bytes)
}

/// The value that `bytes` hold, all of them.
///
/// # Errors
/// Anything but exactly one whole record of a known version.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.len() > RECORD_MAX {
        return Err(Error::TooLarge { size: bytes.len() });
    }
    let (&version, body) = bytes.split_first().ok_or(Error::Empty)?;
    if version != VERSION {
        return Err(Error::Version { found: version });
    }
    let (value, read) = bincode::decode_from_slice(body, config())?;
    if read != body.len() {
        return Err(Error::LeftOver(body.len() - read));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Progress;

    #[test]
    fn what_is_encoded_decodes() {
        let progress = Progress { done: 7, total: 9 };
        let bytes = encode(&progress).expect("small");
        assert_eq!(decode::<Progress>(&bytes).expect("whole"), progress);
    }

    #[test]
    fn left_over_cut_off_and_foreign_bytes_are_errors() {
        let mut bytes = encode(&Progress { done: 7, total: 9 }).expect("small");
        assert!(decode::<Progress>(&bytes[..bytes.len() - 1]).is_err());
        bytes.push(0);
        assert!(matches!(
            decode::<Progress>(&bytes),
            Err(Error::LeftOver(1))
        ));
        bytes[0] = 9;
        assert!(matches!(
            decode::<Progress>(&bytes),
            Err(Error::Version { found: 9 })
        ));
        assert!(matches!(decode::<Progress>(&[]), Err(Error::Empty)));
    }

    #[test]
    fn a_hostile_length_neither_allocates_nor_panics() {
        let bytes = [VERSION, 253, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert!(decode::<String>(&bytes).is_err());
    }
}
