//! Pure: the index of an MP4 or MOV file (ISO/IEC 14496-12, and Apple's QuickTime File Format).

use super::bytes::{Boxes, Reader, descend};
use super::samples::Table;

/// What the `moov` box says. Borrows its tables; nothing is copied that can be long.
#[derive(Debug, Clone)]
pub struct Movie<'a> {
    /// Ticks per second of edit durations.
    pub timescale: u32,
    /// In the order of the file.
    pub tracks: Vec<Track<'a>>,
    /// The samples are described by fragments behind the index, not here.
    pub fragmented: bool,
    /// Content of the `meta` box.
    meta: Option<&'a [u8]>,
}

/// One `trak` box.
#[derive(Debug, Clone)]
pub struct Track<'a> {
    pub id: u32,
    pub enabled: bool,
    pub kind: Kind,
    /// ISO 639-2, if the track names one.
    pub language: Option<String>,
    /// How the stored picture is to be turned.
    pub turn: Turn,
    /// Ticks per second of sample times.
    pub timescale: u32,
    /// Length of the media in those ticks; zero if it is not known.
    pub duration: u64,
    /// Type of the first sample entry, such as `avc1`; zeros if there is none.
    pub codec: [u8; 4],
    /// Width and height in the first sample entry, in pixels.
    pub coded: (u16, u16),
    /// Empty means: everything, from the start.
    pub edits: Vec<Edit>,
    /// Track that this one takes its timecode from.
    pub timecode_track: Option<u32>,
    /// How a timecode track counts.
    pub timecode: Option<TimecodeEntry>,
    pub samples: Table<'a>,
    /// Content of the whole `trak` box, to copy from.
    pub(super) trak: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Other,
    Sound,
    Timecode,
    Video,
}

/// A turn and a flip, from the matrix of the track header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Clockwise degrees that make the picture upright: 0, 90, 180 or 270.
    pub degrees: u16,
    pub mirrored: bool,
}

/// An entry of an edit list (14496-12, 8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// In ticks of the movie; zero means to the end of the track.
    pub duration: u64,
    /// In ticks of the track; `None` is an empty edit, a wait.
    pub media_time: Option<u64>,
    /// At the speed it was recorded with.
    pub normal_speed: bool,
}

/// The sample entry of a timecode track (`QuickTime` File Format, "Timecode sample description").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimecodeEntry {
    pub drop_frame: bool,
    /// Ticks per second, and ticks of a frame: 30000 and 1001 for 29.97.
    pub timescale: u32,
    pub frame_duration: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the index is compressed")]
    Compressed,
    #[error("the index has no usable {0}")]
    Malformed(&'static str),
    #[error("the index describes too many pictures")]
    TooManyPictures,
}

/// Tracks read at most; more than any file that is accepted.
const MAX_TRACKS: usize = 1024;

impl<'a> Movie<'a> {
    /// Reads the content of a `moov` box.
    pub fn parse(moov: &'a [u8]) -> Result<Self, Error> {
        if Boxes::new(moov).find(*b"cmov").is_some() {
            return Err(Error::Compressed);
        }
        let mvhd = Boxes::new(moov)
            .find(*b"mvhd")
            .ok_or(Error::Malformed("movie header"))?;
        let timescale = header_timescale(mvhd).ok_or(Error::Malformed("movie time scale"))?;
        let tracks = Boxes::new(moov)
            .filter(|(kind, _)| kind == b"trak")
            .take(MAX_TRACKS)
            .filter_map(|(_, trak)| Track::parse(trak))
            .collect();
        Ok(Self {
            timescale,
            tracks,
            fragmented: Boxes::new(moov).find(*b"mvex").is_some(),
            meta: Boxes::new(moov).find(*b"meta"),
        })
    }

    /// Tracks of one kind, in the order of the file.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Track<'a>> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// The picture track to show: the first, as the renderer takes it from the demuxer.
    pub fn video(&self) -> Option<&Track<'a>> {
        self.of_kind(Kind::Video).next()
    }

    /// The timecode track of `video`, or any.
    pub fn timecode_of(&self, video: &Track<'_>) -> Option<&Track<'a>> {
        let mut tracks = self.of_kind(Kind::Timecode);
        match video.timecode_track {
            Some(id) => tracks.find(|track| track.id == id),
            None => tracks.next(),
        }
    }

    /// The byte behind the last sample of any track.
    pub fn data_end(&self) -> u64 {
        let ends = self.tracks.iter().map(|track| track.samples.data_end());
        ends.max().unwrap_or(0)
    }
}

/// What an audio sample entry says beside the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SoundEntry {
    /// Bits of one uncompressed sample; 0 where the coding has none.
    pub sample_bits: u16,
    /// Core Audio's number for where the channels are heard.
    pub layout_tag: Option<u32>,
}

impl Movie<'_> {
    /// Metadata by their keys, of `QuickTime` files (`QuickTime` File Format, "Metadata"): what is
    /// written as text under `key`.
    pub fn text_of(&self, key: &str) -> Option<String> {
        let meta = self.meta?;
        let keys = Boxes::new(meta).find(*b"keys")?;
        let names = Boxes::new(keys.get(8..)?);
        let number = names
            .take(METADATA_MAX)
            .position(|(_, name)| name == key.as_bytes())?;
        let number = u32::try_from(number + 1).ok()?;
        let item = Boxes::new(Boxes::new(meta).find(*b"ilst")?).find(number.to_be_bytes())?;
        let data = Boxes::new(item).find(*b"data")?;
        line(data.get(8..)?)
    }
}

/// Metadata keys that are looked at.
const METADATA_MAX: usize = 1000;
/// Bytes of a name that are looked at.
const NAME_MAX: usize = 256;

/// Display text on one line; `None` if there is none, or it is no text.
fn line(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = bytes.get(..end.unwrap_or(bytes.len()).min(NAME_MAX))?;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Cut between the bytes of a letter.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim();
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// Text that may stand behind its length and a language, as old `QuickTime` has it.
fn international(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader::new(bytes);
    let length = usize::from(reader.u16()?);
    reader.u16()?;
    let rest = reader.rest();
    if length > 0 && length <= rest.len() && rest.len() <= length + 1 {
        return line(&rest[..length]);
    }
    line(bytes)
}

impl<'a> Track<'a> {
    /// What the file calls the track.
    pub fn label(&self) -> Option<String> {
        let name = descend(self.trak, &[*b"udta", *b"name"])?;
        international(name).or_else(|| line(name))
    }

    /// The reel that a timecode track names.
    pub fn reel(&self) -> Option<String> {
        /// Reserved, flags, timescale, frame duration, frames a second, reserved.
        const FIXED: usize = 8 + 4 + 4 + 4 + 4 + 1 + 1;
        let stsd = descend(self.trak, &[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
        let (_, entry) = Boxes::new(stsd.get(8..)?).next()?;
        international(Boxes::new(entry.get(FIXED..)?).find(*b"name")?)
    }

    /// What the sample entry of a sound track says (`QuickTime` File Format, "Sound sample
    /// descriptions").
    pub fn sound_entry(&self) -> Option<SoundEntry> {
        let stsd = descend(self.trak, &[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
        let (kind, entry) = Boxes::new(stsd.get(8..)?).next()?;
        let mut reader = Reader::new(entry);
        reader.skip(8)?;
        let version = reader.u16()?;
        reader.skip(2 + 4 + 2)?;
        let bits = reader.u16()?;
        let (sample_bits, head) = match (&kind, version) {
            (b"lpcm", 2) => {
                reader.skip(2 + 2 + 4 + 4 + 8 + 4 + 4)?;
                (u16::try_from(reader.u32()?).unwrap_or(0), 64)
            }
            (b"in24", _) => (24, 36),
            (b"in32" | b"fl32", _) => (32, 36),
            (b"fl64", _) => (64, 36),
            (b"sowt" | b"twos" | b"raw " | b"NONE", _) => (bits, 36),
            (b"ipcm" | b"fpcm", _) => (bits, 20),
            (_, 1) => (0, 36),
            (_, 2) => (0, 64),
            _ => (0, 20),
        };
        let head = if version == 0 { 28 } else { 8 + head };
        let boxes = Boxes::new(entry.get(head.min(entry.len())..)?);
        let layout = boxes.clone().find(*b"chan").or_else(|| {
            let wave = boxes.clone().find(*b"wave")?;
            Boxes::new(wave).find(*b"chan")
        });
        let layout_tag = layout.and_then(|chan| {
            let mut reader = Reader::new(chan);
            reader.version_flags()?;
            reader.u32()
        });
        Some(SoundEntry {
            sample_bits,
            layout_tag,
        })
    }

    /// Primaries, transfer, matrix and whether all numbers are used, as the `colr` box of the
    /// pictures says.
    pub fn colour(&self) -> Option<(u16, u16, u16, bool)> {
        let colr = self.box_of_entry(*b"colr")?;
        let mut reader = Reader::new(colr);
        let kind: [u8; 4] = reader.array()?;
        let numbers = (reader.u16()?, reader.u16()?, reader.u16()?);
        let full = match &kind {
            b"nclc" => false,
            b"nclx" => reader.rest().first().is_some_and(|byte| byte & 0x80 != 0),
            _ => return None,
        };
        Some((numbers.0, numbers.1, numbers.2, full))
    }

    /// Number of fields and their order, as the `fiel` box says: `progressive`, `tff` or `bff`.
    pub fn field_order(&self) -> Option<&'static str> {
        match self.box_of_entry(*b"fiel")? {
            [1, ..] => Some("progressive"),
            [2, 1 | 9, ..] => Some("tff"),
            [2, 6 | 14, ..] => Some("bff"),
            _ => None,
        }
    }

    /// The content of a box in the first sample entry of a picture track.
    pub fn box_of_entry(&self, kind: [u8; 4]) -> Option<&'a [u8]> {
        /// Everything in front of the boxes (14496-12, 12.1.3).
        const FIXED: usize = 78;
        let stsd = descend(self.trak, &[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
        let (_, entry) = Boxes::new(stsd.get(8..)?).next()?;
        Boxes::new(entry.get(FIXED..)?).find(kind)
    }

    /// How many sample entries there are: codings that the track changes between.
    pub fn entries(&self) -> u32 {
        let path = [*b"mdia", *b"minf", *b"stbl", *b"stsd"];
        let stsd = descend(self.trak, &path);
        let count = stsd.and_then(|stsd| stsd.get(4..8)?.try_into().ok());
        count.map_or(0, u32::from_be_bytes)
    }

    fn parse(trak: &'a [u8]) -> Option<Self> {
        let (id, enabled, turn) = track_header(Boxes::new(trak).find(*b"tkhd")?)?;
        let mdia = Boxes::new(trak).find(*b"mdia")?;
        let mdhd = Boxes::new(mdia).find(*b"mdhd")?;
        let stbl = descend(mdia, &[*b"minf", *b"stbl"])?;
        let stsd = Boxes::new(stbl).find(*b"stsd").unwrap_or_default();
        let kind = match handler(Boxes::new(mdia).find(*b"hdlr")?)? {
            [b'v', b'i', b'd', b'e'] => Kind::Video,
            [b's', b'o', b'u', b'n'] => Kind::Sound,
            [b't', b'm', b'c', b'd'] => Kind::Timecode,
            _ => Kind::Other,
        };
        let (codec, entry) = Boxes::new(stsd.get(8..).unwrap_or_default())
            .next()
            .unwrap_or_default();
        let elst = descend(trak, &[*b"edts", *b"elst"]);
        let tref = descend(trak, &[*b"tref", *b"tmcd"]);
        Some(Self {
            id,
            enabled,
            kind,
            language: language(mdhd),
            turn,
            timescale: header_timescale(mdhd)?,
            duration: media_duration(mdhd).unwrap_or(0),
            codec,
            coded: picture_size(entry).unwrap_or_default(),
            edits: elst.and_then(edits).unwrap_or_default(),
            timecode_track: tref.and_then(|bytes| Reader::new(bytes).u32()),
            timecode: (kind == Kind::Timecode)
                .then(|| timecode_entry(entry))
                .flatten(),
            samples: Table::parse(stbl),
            trak,
        })
    }
}

/// Time scale of `mvhd` and `mdhd`, which begin alike. Never zero: where a writer left it so, a
/// tick is taken for a second.
fn header_timescale(header: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(header);
    let (version, _) = reader.version_flags()?;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    reader.u32().map(|timescale| timescale.max(1))
}

fn media_duration(mdhd: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(mdhd);
    let (version, _) = reader.version_flags()?;
    let duration = if version == 1 {
        reader.skip(16 + 4)?;
        reader.u64()?
    } else {
        reader.skip(8 + 4)?;
        u64::from(reader.u32()?)
    };
    // All ones: unknown (14496-12, 8.4.2.3).
    let unknown = if version == 1 {
        u64::MAX
    } else {
        u64::from(u32::MAX)
    };
    (duration != unknown).then_some(duration)
}

fn track_header(tkhd: &[u8]) -> Option<(u32, bool, Turn)> {
    let mut reader = Reader::new(tkhd);
    let (version, flags) = reader.version_flags()?;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    let id = reader.u32()?;
    // Reserved, duration, reserved, layer, alternate group, volume, reserved.
    reader.skip(if version == 1 { 12 } else { 8 } + 16)?;
    let (a, b) = (reader.i32()?, reader.i32()?);
    reader.skip(4)?;
    let (c, d) = (reader.i32()?, reader.i32()?);
    Some((id, flags & 1 == 1, Turn::from_matrix(a, b, c, d)))
}

impl Turn {
    /// From the four upper left numbers of a transformation matrix, row by row: a stored point
    /// `(x, y)` is shown at `(ax + cy, bx + dy)`, y pointing down.
    fn from_matrix(a: i32, b: i32, c: i32, d: i32) -> Self {
        let (degrees, mirrored) = match (a.signum(), b.signum(), c.signum(), d.signum()) {
            (0, 1, -1, 0) => (90, false),
            (-1, 0, 0, -1) => (180, false),
            (0, -1, 1, 0) => (270, false),
            (-1, 0, 0, 1) => (0, true),
            (1, 0, 0, -1) => (180, true),
            (0, 1, 1, 0) => (90, true),
            (0, -1, -1, 0) => (270, true),
            _ => (0, false),
        };
        Self { degrees, mirrored }
    }
}

fn handler(hdlr: &[u8]) -> Option<[u8; 4]> {
    let mut reader = Reader::new(hdlr);
    reader.skip(8)?;
    reader.array()
}

/// Three letters packed in 15 bits, or one of Apple's old numbers (`QuickTime`, "Language code values").
fn language(mdhd: &[u8]) -> Option<String> {
    let mut reader = Reader::new(mdhd);
    let (version, _) = reader.version_flags()?;
    reader.skip(if version == 1 { 28 } else { 16 })?;
    let code = reader.u16()?;
    if code < 0x400 {
        let old = [
            "eng", "fra", "deu", "ita", "nld", "swe", "spa", "dan", "por", "nor", "heb", "jpn",
        ];
        return old
            .get(usize::from(code))
            .map(|language| (*language).to_owned());
    }
    let letters = [code >> 10, code >> 5, code].map(|five| (five & 31) + 0x60);
    let text: String = letters
        .iter()
        .filter_map(|letter| char::from_u32(u32::from(*letter)))
        .collect();
    let plain = text.len() == 3 && text.bytes().all(|b| b.is_ascii_lowercase());
    (plain && text != "und").then_some(text)
}

/// Width and height of a visual sample entry (14496-12, 12.1.3).
fn picture_size(entry: &[u8]) -> Option<(u16, u16)> {
    let mut reader = Reader::new(entry);
    reader.skip(24)?;
    Some((reader.u16()?, reader.u16()?))
}

fn edits(elst: &[u8]) -> Option<Vec<Edit>> {
    let mut reader = Reader::new(elst);
    let (version, _) = reader.version_flags()?;
    let count = usize::try_from(reader.u32()?).ok()?;
    let entry_size = if version == 1 { 20 } else { 12 };
    let fitting = count.min(reader.rest().len() / entry_size);
    let mut edits = Vec::with_capacity(fitting);
    for _ in 0..fitting {
        let (duration, media_time) = if version == 1 {
            (reader.u64()?, reader.i64()?)
        } else {
            (u64::from(reader.u32()?), i64::from(reader.i32()?))
        };
        edits.push(Edit {
            duration,
            media_time: u64::try_from(media_time).ok(),
            normal_speed: reader.u32()? == 0x0001_0000,
        });
    }
    Some(edits)
}

fn timecode_entry(entry: &[u8]) -> Option<TimecodeEntry> {
    let mut reader = Reader::new(entry);
    // Reserved and data reference index, reserved.
    reader.skip(8 + 4)?;
    let flags = reader.u32()?;
    let (timescale, frame_duration) = (reader.u32()?, reader.u32()?);
    (timescale > 0 && frame_duration > 0).then_some(TimecodeEntry {
        drop_frame: flags & 1 == 1,
        timescale,
        frame_duration,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_read_from_the_matrix() {
        let one = 0x1_0000;
        for (matrix, degrees, mirrored) in [
            ((one, 0, 0, one), 0, false),
            ((0, one, -one, 0), 90, false),
            ((-one, 0, 0, -one), 180, false),
            ((0, -one, one, 0), 270, false),
            ((-one, 0, 0, one), 0, true),
            ((7, 7, 7, 7), 0, false),
        ] {
            let (a, b, c, d) = matrix;
            let turn = Turn::from_matrix(a, b, c, d);
            assert_eq!((turn.degrees, turn.mirrored), (degrees, mirrored));
        }
    }

    #[test]
    fn languages_are_letters_or_old_numbers() {
        let mdhd = |code: u16| [&[0; 20][..], &code.to_be_bytes()].concat();
        assert_eq!(language(&mdhd(0x15c7)).as_deref(), Some("eng"));
        assert_eq!(language(&mdhd(2)).as_deref(), Some("deu"));
        assert_eq!(language(&mdhd(0x55c4)), None, "und");
        assert_eq!(language(&mdhd(0x7fff)), None);
    }
}
