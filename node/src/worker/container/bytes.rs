//! Pure: big-endian fields and nested boxes (ISO/IEC 14496-12, 4.2), never past the end.

/// A cursor over bytes that answers `None` where they end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// The version and flags of a full box.
    pub(super) fn version_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some((word.to_be_bytes()[0], word & 0x00ff_ffff))
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// The boxes that lie side by side in `rest`; ends at the first that does not fit.
#[derive(Debug, Clone)]
pub(super) struct Boxes<'a> {
    rest: &'a [u8],
}

impl<'a> Boxes<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The content of the first box of this kind.
    pub(super) fn find(self, kind: [u8; 4]) -> Option<&'a [u8]> {
        let mut boxes = self;
        boxes.find_map(|(found, content)| (found == kind).then_some(content))
    }
}

impl<'a> Iterator for Boxes<'a> {
    /// Kind and content, without the header.
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader::new(self.rest);
        let size = reader.u32()?;
        let kind = reader.array()?;
        let (header, size) = match size {
            0 => (8, self.rest.len()),
            1 => (16, usize::try_from(reader.u64()?).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        let whole = self.rest.get(..size)?;
        let content = whole.get(header..)?;
        self.rest = &self.rest[size..];
        Some((kind, content))
    }
}

/// The content of the box that lies along `path`.
pub(super) fn descend<'a>(bytes: &'a [u8], path: &[[u8; 4]]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(bytes, |bytes, kind| Boxes::new(bytes).find(*kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_end_where_a_size_does_not_fit() {
        let bytes = [
            &[0, 0, 0, 9][..],
            b"free",
            &[7],
            &[0, 0, 0, 200],
            b"moov",
            &[1, 2],
        ]
        .concat();
        let all: Vec<_> = Boxes::new(&bytes).collect();
        assert_eq!(all, [(*b"free", &[7][..])]);
    }

    #[test]
    fn a_size_below_the_header_ends_the_walk() {
        for size in 2..8 {
            let bytes = [&[0, 0, 0, size][..], b"free"].concat();
            assert_eq!(Boxes::new(&bytes).next(), None);
        }
    }
}
