//! Pure: the size of a JPEG picture from its headers (ITU-T T.81, annex B).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::media::Resolution;

/// The size of the picture in `bytes`, or none if this is no whole JPEG file.
pub fn resolution(bytes: &[u8]) -> Option<Resolution> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    if !bytes.ends_with(&[0xff, 0xd9]) {
        return None;
    }
    loop {
        let (&[0xff, marker], after) = rest.split_first_chunk()? else {
            return None;
        };
        if marker == 0xff {
            // A fill byte in front of a marker (B.1.1.2).
            rest = &rest[1..];
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        let (segment, after) = after.split_at_checked(length.max(2))?;
        match marker {
            // Frame headers, but for the tables DHT (C4), JPG (C8) and DAC (CC) in their midst.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let &[_, _, _precision, h1, h0, w1, w0, ..] = segment else {
                    return None;
                };
                let resolution = Resolution {
                    width: u32::from(u16::from_be_bytes([w1, w0])),
                    height: u32::from(u16::from_be_bytes([h1, h0])),
                };
                return (resolution.width > 0 && resolution.height > 0).then_some(resolution);
            }
            // The scan, or anything without a length: no frame header came before it.
            0xda | 0xd0..=0xd9 | 0x00 | 0x01 => return None,
            _ => rest = after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[u8] = &[
        0xff, 0xd8, // start
        0xff, 0xe0, 0, 4, 1, 2, // an application segment
        0xff, 0xff, 0xc4, 0, 3, 9, // a table, behind a fill byte
        0xff, 0xc0, 0, 8, 8, 0x01, 0x68, 0x02, 0x80, 3, // 640x360
        0xff, 0xda, 0, 2, 7, 7, 7, // the scan
        0xff, 0xd9, // end
    ];

    #[test]
    fn the_size_stands_in_the_frame_header() {
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
        assert_eq!(resolution(b"\x89PNG\r\n\x1a\n"), None);
        assert_eq!(
            resolution(&[0xff, 0xd8, 0xff, 0xda, 0, 2, 0xff, 0xd9]),
            None
        );
    }
}
