//! Pure: length-prefixed frames: a record of [`codec`] behind its length.
//!
//! Four bytes of length, big endian, then that many bytes of record. The reader states the
//! largest frame it will take before it reads, so a hostile length costs four bytes.

use bincode::{Decode, Encode};

use crate::codec;

/// Bytes of the length in front of each frame.
pub const HEADER: usize = 4;

/// Largest frame body in bytes that any protocol may carry.
pub const BODY_MAX: usize = codec::RECORD_MAX;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the frame has {size} bytes, {max} are allowed here")]
    TooLarge { size: usize, max: usize },
    #[error("the frame is empty")]
    Empty,
    #[error(transparent)]
    Record(#[from] codec::Error),
}

/// The frame that carries `value`, header first.
///
/// # Errors
/// The record is larger than [`BODY_MAX`].
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, Error> {
    let record = codec::encode(value)?;
    let size = u32::try_from(record.len()).map_err(|_| Error::TooLarge {
        size: record.len(),
        max: BODY_MAX,
    })?;
    let mut frame = Vec::with_capacity(HEADER + record.len());
    frame.extend_from_slice(&size.to_be_bytes());
    frame.extend_from_slice(&record);
    Ok(frame)
}

/// How many bytes of body follow `header`.
///
/// # Errors
/// None, or more than `max`.
pub fn body_len(header: [u8; HEADER], max: usize) -> Result<usize, Error> {
    let size = u32::from_be_bytes(header) as usize;
    match size {
        0 => Err(Error::Empty),
        size if size > max => Err(Error::TooLarge { size, max }),
        size => Ok(size),
    }
}

/// The value in a frame's body.
///
/// # Errors
/// Anything but exactly one whole record.
pub fn decode_body<T: Decode<()>>(body: &[u8]) -> Result<T, Error> {
    Ok(codec::decode(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Progress;

    #[test]
    fn what_is_framed_comes_back() {
        let progress = Progress { done: 1, total: 2 };
        let frame = encode(&progress).expect("small");
        let (header, body) = frame.split_first_chunk::<HEADER>().expect("has a header");
        assert_eq!(body_len(*header, 64).expect("fits"), body.len());
        assert_eq!(decode_body::<Progress>(body).expect("whole"), progress);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_any_byte_is_read() {
        assert!(matches!(
            body_len(u32::MAX.to_be_bytes(), 100),
            Err(Error::TooLarge { max: 100, .. })
        ));
        assert!(matches!(body_len([0; 4], 100), Err(Error::Empty)));
    }
}
