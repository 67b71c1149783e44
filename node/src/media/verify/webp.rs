//! Pure: the size of a lossy WebP picture from its headers (RFC 9649, RFC 6386).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::media::Resolution;

/// The size of the picture in `bytes`, or none if this is no whole file of one VP8 key picture.
pub fn resolution(bytes: &[u8]) -> Option<Resolution> {
    let (size, body) = bytes.strip_prefix(b"RIFF")?.split_first_chunk::<4>()?;
    if usize::try_from(u32::from_le_bytes(*size)).ok()? != body.len() {
        return None;
    }
    let (size, data) = body.strip_prefix(b"WEBPVP8 ")?.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    // Chunks are padded to an even length.
    if size.checked_next_multiple_of(2)? != data.len() {
        return None;
    }
    // RFC 6386, 9.1: a key picture has its lowest bit clear, then a start code and both sides.
    let (tag, rest) = data.split_first_chunk::<3>()?;
    let &[w0, w1, h0, h1, ..] = rest.strip_prefix(&[0x9d, 0x01, 0x2a])? else {
        return None;
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let resolution = Resolution {
        width: side(w0, w1),
        height: side(h0, h1),
    };
    let shown = tag[0] & 1 == 0 && resolution.width > 0 && resolution.height > 0;
    shown.then_some(resolution)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[u8] =
        b"RIFF\x18\0\0\0WEBPVP8 \x0b\0\0\0\x10\x02\0\x9d\x01\x2a\x80\x02\x68\x01\x07\0";

    #[test]
    fn the_size_stands_in_the_key_picture() {
        let expected = Resolution {
            width: 640,
            height: 360,
        };
        assert_eq!(resolution(SMALL), Some(expected));
    }

    #[test]
    fn cut_off_or_foreign_bytes_have_no_size() {
        for len in 0..SMALL.len() {
            assert_eq!(resolution(&SMALL[..len]), None);
        }
        assert_eq!(resolution(b"\xff\xd8\xff\xd9"), None);
        let mut delta = SMALL.to_vec();
        delta[20] |= 1;
        assert_eq!(resolution(&delta), None);
    }
}
