//! Pure: how many pictures a coded buffer shows: none (a hidden reference), a field, a frame.

use std::collections::BTreeMap;

use super::bytes::Reader;

/// Counts the shown frames of one coded stream, buffer by buffer. A pair of fields is one frame.
#[derive(Debug)]
pub enum Counter {
    /// Every buffer is a shown frame.
    Buffers,
    H264(Box<H264>),
    Mpeg2(Fields),
    Theora,
    Vp8,
    Vp9,
}

impl Counter {
    /// For the codec with this short name. H.264 is expected as a byte stream.
    pub fn new(codec: &str) -> Self {
        match codec {
            "h264" => Self::H264(Box::default()),
            "mpeg2" => Self::Mpeg2(Fields::default()),
            "theora" => Self::Theora,
            "vp8" => Self::Vp8,
            "vp9" => Self::Vp9,
            _ => Self::Buffers,
        }
    }

    /// How many frames begin to be shown with this buffer.
    pub fn shown(&mut self, buffer: &[u8]) -> u32 {
        match self {
            Self::Buffers => 1,
            Self::H264(h264) => h264.shown(buffer),
            Self::Mpeg2(fields) => mpeg2(fields, buffer),
            // Theora, 6.1: headers have the first bit set; nothing repeats the last picture.
            Self::Theora => buffer.first().map_or(1, |byte| u32::from(byte >> 7 == 0)),
            // RFC 6386, 9.1: the fifth bit of the frame tag.
            Self::Vp8 => buffer.first().map_or(0, |tag| u32::from(tag >> 4 & 1)),
            Self::Vp9 => vp9(buffer),
        }
    }
}

/// Width and height from the header of a coded picture, for codings that no parser reads before
/// the decoder does. `None` where it does not stand in this picture.
pub fn size(codec: &str, picture: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader::new(picture);
    match codec {
        // RFC 6386, 9.1: a key frame has a start code and two times 14 bits.
        "vp8" => {
            let [tag, _, _, 0x9d, 0x01, 0x2a] = reader.array()? else {
                return None;
            };
            let mut side = || Some(u32::from(reader.u16()?.swap_bytes() & 0x3fff));
            (tag & 1 == 0).then_some((side()?, side()?))
        }
        "vp9" => vp9_size(picture),
        // SMPTE RDD 36, 5.1.1: frame size, `icpf`, header size, version, encoder, width, height.
        "prores" => {
            reader.skip(4)?;
            let icpf = reader.array()? == *b"icpf";
            reader.skip(8)?;
            icpf.then_some((u32::from(reader.u16()?), u32::from(reader.u16()?)))
        }
        // SMPTE ST 2019-1: active lines and samples per line.
        "dnxhd" => {
            reader.skip(0x18)?;
            let (lines, samples) = (reader.u16()?, reader.u16()?);
            Some((u32::from(samples), u32::from(lines)))
        }
        _ => None,
    }
}

/// VP9 bitstream, 6.2: the uncompressed header of a key frame, to the frame size.
fn vp9_size(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(frame);
    let marker = bits.read(2)?;
    let profile = bits.read(1)? | bits.read(1)? << 1;
    if profile == 3 {
        bits.read(1)?;
    }
    let (shows_existing, is_inter) = (bits.read(1)?, bits.read(1)?);
    bits.read(2)?;
    if marker != 2 || shows_existing == 1 || is_inter == 1 || bits.read(24)? != 0x49_8342 {
        return None;
    }
    if profile >= 2 {
        bits.read(1)?;
    }
    let is_rgb = bits.read(3)? == 7;
    if !is_rgb {
        bits.read(1)?;
    }
    if profile & 1 == 1 {
        bits.read(if is_rgb { 1 } else { 3 })?;
    }
    Some((bits.read(16)? + 1, bits.read(16)? + 1))
}

/// Remembers a first field until its second comes.
#[derive(Debug, Default)]
pub struct Fields {
    waiting: Option<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bottom: bool,
    /// Pictures of one pair have the same number.
    number: u32,
}

impl Fields {
    fn frame(&mut self) -> u32 {
        self.waiting = None;
        1
    }

    fn field(&mut self, field: Field) -> u32 {
        let pair = self
            .waiting
            .is_some_and(|first| first.bottom != field.bottom && first.number == field.number);
        self.waiting = (!pair).then_some(field);
        u32::from(!pair)
    }
}

/// ISO/IEC 13818-2, 6.2.3.1: the picture structure of each picture in the buffer.
fn mpeg2(fields: &mut Fields, buffer: &[u8]) -> u32 {
    let mut structures = units(buffer).filter_map(|unit| match unit {
        [0xb5, id, _, structure, ..] if id >> 4 == 8 => Some(structure & 3),
        _ => None,
    });
    let Some(first) = structures.next() else {
        // MPEG-1 has no such extension and no fields.
        return u32::from(units(buffer).any(|unit| unit.first() == Some(&0)));
    };
    std::iter::once(first)
        .chain(structures)
        .map(|structure| match structure {
            1 | 2 => fields.field(Field {
                bottom: structure == 2,
                number: 0,
            }),
            _ => fields.frame(),
        })
        .sum()
}

/// What lies between start codes (`00 00 01`).
fn units(buffer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = next_unit(buffer);
    std::iter::from_fn(move || {
        let unit = rest?;
        rest = next_unit(unit);
        let end = rest.map_or(unit.len(), |next| unit.len() - next.len() - 3);
        unit.get(..end)
    })
}

fn next_unit(buffer: &[u8]) -> Option<&[u8]> {
    let at = buffer.windows(3).position(|bytes| bytes == [0, 0, 1])?;
    buffer.get(at + 3..)
}

/// VP9 bitstream, annex B: a superframe holds several frames, of which some are shown.
fn vp9(buffer: &[u8]) -> u32 {
    let Some(last) = buffer.last().copied() else {
        return 0;
    };
    let (frames, width) = (usize::from(last & 7) + 1, usize::from(last >> 3 & 3) + 1);
    let index = buffer
        .len()
        .checked_sub(2 + frames * width)
        .and_then(|at| buffer.get(at..));
    match index {
        Some(index) if last >> 5 == 0b110 && index[0] == last => {
            let mut at = 0_usize;
            let mut shown = 0;
            for size in index[1..index.len() - 1].chunks(width) {
                let bytes = size.iter().rev();
                let size = bytes.fold(0, |size, byte| size << 8 | usize::from(*byte));
                shown += u32::from(buffer.get(at..).is_some_and(vp9_frame_is_shown));
                at = at.saturating_add(size);
            }
            shown
        }
        _ => u32::from(vp9_frame_is_shown(buffer)),
    }
}

/// VP9 bitstream, 6.2: the first bits of the uncompressed header.
fn vp9_frame_is_shown(frame: &[u8]) -> bool {
    let mut bits = Bits::new(frame);
    let read = |bits: &mut Bits<'_>| {
        let marker = bits.read(2)?;
        let profile = bits.read(1)? | bits.read(1)? << 1;
        if profile == 3 {
            bits.read(1)?;
        }
        let shows_existing = bits.read(1)? == 1;
        let _is_inter = bits.read(1)?;
        let is_shown = bits.read(1)? == 1;
        Some(marker == 2 && (shows_existing || is_shown))
    };
    read(&mut bits).unwrap_or(false)
}

/// What of H.264 (ITU-T H.264, 7.3) is needed to tell fields from frames.
#[derive(Debug, Default)]
pub struct H264 {
    sequences: BTreeMap<u32, Sequence>,
    /// Sequence parameter set of each picture parameter set.
    pictures: BTreeMap<u32, u32>,
    fields: Fields,
}

#[derive(Debug, Clone, Copy)]
struct Sequence {
    frame_number_bits: u32,
    frames_only: bool,
    separate_planes: bool,
}

impl H264 {
    /// One access unit.
    fn shown(&mut self, buffer: &[u8]) -> u32 {
        for unit in units(buffer) {
            let Some((header, payload)) = unit.split_first() else {
                continue;
            };
            match header & 31 {
                7 => self.sequence(&unescape(payload, 4096)).unwrap_or(()),
                8 => self.picture(&unescape(payload, 64)).unwrap_or(()),
                1 | 2 | 5 => {
                    if let Some(count) = self.slice(&unescape(payload, 32)) {
                        // The rest is more slices of this picture, which may be long.
                        return count;
                    }
                }
                _ => {}
            }
        }
        0
    }

    /// 7.3.2.1.1
    fn sequence(&mut self, payload: &[u8]) -> Option<()> {
        let mut bits = Bits::new(payload);
        let profile = bits.read(8)?;
        bits.read(16)?;
        let id = bits.unsigned()?;
        let mut separate_planes = false;
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
            let chroma = bits.unsigned()?;
            if chroma == 3 {
                separate_planes = bits.read(1)? == 1;
            }
            bits.unsigned()?;
            bits.unsigned()?;
            bits.read(1)?;
            if bits.read(1)? == 1 {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.read(1)? == 1 {
                        bits.scaling_list(if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_number_bits = bits.unsigned()?.checked_add(4)?;
        match bits.unsigned()? {
            0 => {
                bits.unsigned()?;
            }
            1 => {
                bits.read(1)?;
                bits.unsigned()?;
                bits.unsigned()?;
                for _ in 0..bits.unsigned()?.min(255) {
                    bits.unsigned()?;
                }
            }
            _ => {}
        }
        // Reference frames, gaps, width, height.
        bits.unsigned()?;
        bits.read(1)?;
        bits.unsigned()?;
        bits.unsigned()?;
        let frames_only = bits.read(1)? == 1;
        if id < 32 && frame_number_bits <= 16 {
            let sequence = Sequence {
                frame_number_bits,
                frames_only,
                separate_planes,
            };
            self.sequences.insert(id, sequence);
        }
        Some(())
    }

    /// 7.3.2.2
    fn picture(&mut self, payload: &[u8]) -> Option<()> {
        let mut bits = Bits::new(payload);
        let (id, sequence) = (bits.unsigned()?, bits.unsigned()?);
        if id < 256 {
            self.pictures.insert(id, sequence);
        }
        Some(())
    }

    /// 7.3.3; only the first slice of a picture counts.
    fn slice(&mut self, payload: &[u8]) -> Option<u32> {
        let mut bits = Bits::new(payload);
        if bits.unsigned()? != 0 {
            return None;
        }
        bits.unsigned()?;
        let picture = bits.unsigned()?;
        let sequence = self
            .pictures
            .get(&picture)
            .and_then(|id| self.sequences.get(id))
            .copied();
        let Some(sequence) = sequence.filter(|sequence| !sequence.frames_only) else {
            return Some(self.fields.frame());
        };
        if sequence.separate_planes {
            bits.read(2)?;
        }
        let number = bits.read(sequence.frame_number_bits)?;
        if bits.read(1)? == 0 {
            return Some(self.fields.frame());
        }
        let bottom = bits.read(1)? == 1;
        Some(self.fields.field(Field { bottom, number }))
    }
}

/// At most `limit` bytes of the payload, without emulation prevention (7.3.1).
fn unescape(payload: &[u8], limit: usize) -> Vec<u8> {
    let mut plain = Vec::with_capacity(limit.min(payload.len()));
    let mut zeros = 0;
    for byte in payload.iter().take(limit) {
        if *byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

/// Bits, highest first.
#[derive(Debug)]
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At most 32 bits.
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..count.min(32) {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// ue(v), H.264 9.1
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.read(zeros)?)
    }

    /// se(v)
    fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(if code % 2 == 1 {
            code / 2 + 1
        } else {
            -(code / 2)
        })
    }

    /// 7.3.2.1.1.1
    fn scaling_list(&mut self, size: u32) -> Option<()> {
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..size {
            if next != 0 {
                next = (last + self.signed()? + 256) % 256;
            }
            if next != 0 {
                last = next;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes bits, for streams that no encoder at hand makes.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn bits(mut self, value: u32, count: u32) -> Self {
            self.0
                .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn unsigned(self, value: u32) -> Self {
            let code = value + 1;
            let len = 32 - code.leading_zeros();
            self.bits(0, len - 1).bits(code, len)
        }

        fn unit(mut self, header: u8) -> Vec<u8> {
            self.0.push(true);
            let bytes = self.0.chunks(8).map(|bits| {
                let byte = bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
                byte << (8 - bits.len())
            });
            [0, 0, 1, header].into_iter().chain(bytes).collect()
        }
    }

    fn parameters(frames_only: bool) -> Vec<u8> {
        // Main profile, level 4: id 0, 4 bits of frame number, order type 2, one reference, 2x1.
        let sps = Writer::default()
            .bits(77, 8)
            .bits(40, 16)
            .unsigned(0)
            .unsigned(0)
            .unsigned(2)
            .unsigned(1)
            .bits(0, 1)
            .unsigned(1)
            .unsigned(0)
            .bits(u32::from(frames_only), 1);
        let pps = Writer::default().unsigned(0).unsigned(0);
        [sps.unit(0x67), pps.unit(0x68)].concat()
    }

    fn slice(first_block: u32, number: u32, field: Option<u32>) -> Vec<u8> {
        let slice = Writer::default()
            .unsigned(first_block)
            .unsigned(7)
            .unsigned(0)
            .bits(number, 4);
        match field {
            Some(bottom) => slice.bits(1, 1).bits(bottom, 1),
            None => slice.bits(0, 1),
        }
        .unit(0x65)
    }

    fn check(buffers: &[Vec<u8>], expect: u32) {
        let mut counter = Counter::new("h264");
        let shown: u32 = buffers.iter().map(|buffer| counter.shown(buffer)).sum();
        assert_eq!(shown, expect);
    }

    #[test]
    fn two_fields_make_one_frame_and_slices_make_none() {
        let start = || parameters(false);
        check(&[start(), slice(0, 1, None), slice(0, 2, None)], 2);
        check(&[start(), slice(0, 1, Some(0)), slice(0, 1, Some(1))], 1);
        let two_pairs = [0, 0, 1, 1].map(|number| slice(0, number, Some(number)));
        // Same parity twice: no pair, as each lost its partner.
        check(&[vec![start()], two_pairs.to_vec()].concat(), 4);
        check(
            &[
                start(),
                slice(0, 1, Some(0)),
                slice(5, 1, Some(0)),
                slice(0, 1, Some(1)),
                slice(5, 1, Some(1)),
                slice(0, 2, None),
            ],
            2,
        );
        let frames = parameters(true);
        check(&[frames, slice(0, 1, None), slice(9, 1, None)], 1);
    }

    #[test]
    fn mpeg2_fields_pair_up() {
        let picture = |structure: u8| {
            let extension = [0, 0, 1, 0xb5, 0x8f, 0xff, 0xf0 | structure, 0];
            [&[0, 0, 1, 0, 0, 0][..], &extension].concat()
        };
        let mut counter = Counter::new("mpeg2");
        let shown: Vec<u32> = [3, 1, 2, 2, 1, 3]
            .iter()
            .map(|structure| counter.shown(&picture(*structure)))
            .collect();
        assert_eq!(shown, [1, 1, 0, 1, 0, 1]);
        assert_eq!(counter.shown(&[picture(1), picture(2)].concat()), 1);
    }

    #[test]
    fn hidden_vp8_and_vp9_frames_are_not_counted() {
        let mut vp8 = Counter::new("vp8");
        assert_eq!((vp8.shown(&[0x10, 0]), vp8.shown(&[0x00, 0])), (1, 0));
        // Marker 10, profile 00, existing 0, type 0, shown x.
        let (hidden, shown) = (0b1000_0000_u8, 0b1000_0010_u8);
        let mut vp9 = Counter::new("vp9");
        assert_eq!((vp9.shown(&[shown]), vp9.shown(&[hidden])), (1, 0));
        let index = 0b1100_0001;
        let superframe = [hidden, 7, 7, shown, 7, index, 3, 2, index];
        assert_eq!(vp9.shown(&superframe), 1);
        let existing = 0b1000_1000_u8;
        assert_eq!(vp9.shown(&[existing]), 1);
    }

    #[test]
    fn sizes_stand_in_the_first_picture() {
        let vp8 = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0x10, 0x40];
        assert_eq!(size("vp8", &vp8), Some((16383, 16)));
        let vp9 = [0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0b, 0x30];
        assert_eq!(size("vp9", &vp9), Some((320, 180)));
        let prores = [&[0; 4][..], b"icpf", &[0; 8], &[7, 128, 4, 56]].concat();
        assert_eq!(size("prores", &prores), Some((1920, 1080)));
        assert_eq!(size("vp8", &vp9), None);
        assert_eq!(size("vp9", &vp8), None);
        assert_eq!(size("prores", &vp8), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for codec in ["h264", "mpeg2", "vp8", "vp9", "av1"] {
                let mut counter = Counter::new(codec);
                counter.shown(&bytes);
                size(codec, &bytes);
                counter.shown(&[&[0, 0, 1, 0x67][..], &bytes, &[0, 0, 1, 0x68], &bytes].concat());
            }
        }
    }
}
