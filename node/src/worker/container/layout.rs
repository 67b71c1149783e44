//! Pure: where the top-level boxes of an MP4 or MOV file lie, and whether the file is whole.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// The top level of a file. Made with a few small reads per box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Major brand of `ftyp`; old `QuickTime` files have none.
    pub brand: Option<[u8; 4]>,
    /// Content of the index, without its header.
    pub moov: Option<Range<u64>>,
    /// Bytes of media data boxes that are in the file.
    pub mdat_bytes: u64,
    /// Movie fragments seen.
    pub fragments: u64,
    /// How many bytes the last box promises beyond the end of the file.
    pub missing_bytes: u64,
    /// The box that is cut off.
    pub cut: Option<[u8; 4]>,
}

/// Most boxes looked at: a day in fragments of a second has two boxes for each.
const MAX_BOXES: u32 = 1_000_000;

impl Layout {
    /// Walks the top level of `file`, which has `size_bytes` bytes.
    pub fn scan(file: &mut (impl Read + Seek), size_bytes: u64) -> io::Result<Self> {
        let mut layout = Self::default();
        let mut at = 0;
        for _ in 0..MAX_BOXES {
            let Some(header) = read_header(file, at, size_bytes)? else {
                break;
            };
            let promised = match header.size {
                // To the end of the file (14496-12, 4.2).
                0 => size_bytes - at,
                size => size,
            };
            let end = at.saturating_add(promised);
            let content = at + header.len..end.min(size_bytes).max(at + header.len);
            match &header.kind {
                b"ftyp" if layout.brand.is_none() => {
                    layout.brand = read_array(file, content.start, size_bytes)?;
                }
                b"moov" if layout.moov.is_none() && end <= size_bytes => {
                    layout.moov = Some(content);
                }
                b"mdat" => layout.mdat_bytes += content.end - content.start,
                b"moof" => layout.fragments += 1,
                kind if !is_plain(*kind) => break,
                _ => {}
            }
            if end > size_bytes {
                layout.missing_bytes = end - size_bytes;
                layout.cut = Some(header.kind);
                break;
            }
            at = end;
        }
        Ok(layout)
    }
}

struct Header {
    kind: [u8; 4],
    len: u64,
    size: u64,
}

/// The header at `at`; `None` at the end, and where no box begins.
fn read_header(
    file: &mut (impl Read + Seek),
    at: u64,
    size_bytes: u64,
) -> io::Result<Option<Header>> {
    let Some(head) = read_array::<8>(file, at, size_bytes)? else {
        return Ok(None);
    };
    let [a, b, c, d, kind @ ..] = head;
    let (len, size) = match u32::from_be_bytes([a, b, c, d]) {
        1 => match read_array(file, at + 8, size_bytes)? {
            Some(large) => (16, u64::from_be_bytes(large)),
            None => return Ok(None),
        },
        size => (8, u64::from(size)),
    };
    Ok((size == 0 || size >= len).then_some(Header { kind, len, size }))
}

fn read_array<const N: usize>(
    file: &mut (impl Read + Seek),
    at: u64,
    size_bytes: u64,
) -> io::Result<Option<[u8; N]>> {
    if at.saturating_add(N as u64) > size_bytes {
        return Ok(None);
    }
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether this looks like a box type at all. Some cameras leave junk behind the last box.
fn is_plain(kind: [u8; 4]) -> bool {
    kind.iter()
        .all(|b| b.is_ascii_alphanumeric() || b" _-.".contains(b) || *b == 0xa9)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn scan(parts: &[&[u8]]) -> Layout {
        let bytes = parts.concat();
        let size = bytes.len() as u64;
        Layout::scan(&mut Cursor::new(bytes), size).expect("memory can be read")
    }

    #[test]
    fn finds_the_index_and_the_brand() {
        let layout = scan(&[
            b"\0\0\0\x10ftypqt  \0\0\0\0",
            b"\0\0\0\x0amdat..",
            b"\0\0\0\x0bmoovabc",
        ]);
        assert_eq!(layout.brand, Some(*b"qt  "));
        assert_eq!(layout.moov, Some(34..37));
        assert_eq!((layout.mdat_bytes, layout.missing_bytes), (2, 0));
    }

    #[test]
    fn says_how_much_is_missing() {
        let layout = scan(&[b"\0\0\0\x10ftypqt  \0\0\0\0", b"\0\0\x01\0mdat1234"]);
        assert_eq!((layout.missing_bytes, layout.cut), (244, Some(*b"mdat")));
        assert_eq!(layout.moov, None);
    }

    #[test]
    fn junk_at_the_end_is_left_alone() {
        let layout = scan(&[b"\0\0\0\x0bmoovabc", &[0xff; 100]]);
        assert_eq!(layout.moov, Some(8..11));
        assert_eq!(layout.missing_bytes, 0);
    }
}
