//! Pure: a small, bounded reader of the boxes that a CMAF track is made of (ISO/IEC 14496-12).
//!
//! It shares no code with the writer in the worker, so that a mistake there is not repeated here.
//! The bytes come from a process that read hostile media: no length is believed before it is checked.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// Why bytes are not what a CMAF track is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a box is cut off")]
    CutOff,
    #[error("there is no {0} box")]
    Missing(&'static str),
    #[error("there is more than one {0} box")]
    Repeated(&'static str),
    #[error("a fragment claims {0} samples")]
    TooManySamples(u64),
    #[error("the samples have {samples} bytes, the data box has {data}")]
    Data { samples: u64, data: u64 },
    #[error("the samples begin at byte {found} of the fragment, not {expected}")]
    Offset { found: i64, expected: i64 },
    #[error("a timescale of zero")]
    Timescale,
}

/// Samples that one fragment may have: an hour of sound, or of pictures at 48 a second.
const SAMPLES_MAX: u64 = 200_000;

/// What an init segment says about its one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// Ticks a second.
    pub timescale: u32,
    /// `vide` or `soun`.
    pub handler: [u8; 4],
    /// Presentation size in whole pixels; zero for sound.
    pub width: u32,
    pub height: u32,
    pub defaults: Defaults,
}

/// What samples have unless a fragment says otherwise (`trex`, 8.8.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defaults {
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

/// One `moof` and its samples in coding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Decode time of the first sample, in ticks.
    pub start: u64,
    pub samples: Vec<Sample>,
    /// From the first byte of the `moof` to the first byte of the first sample.
    pub data_offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub duration: u32,
    pub size: u32,
    /// Decoding can start here.
    pub sync: bool,
    /// Presentation minus decode time, in ticks.
    pub offset: i64,
}

/// The head of a box: its kind, how long the head is, and how long the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub kind: [u8; 4],
    pub head_bytes: u64,
    pub size_bytes: u64,
}

impl Head {
    /// Bytes that are always enough to read a head.
    pub const MAX: usize = 16;

    /// `available` is how many bytes there are from the start of the box to the end of what holds it.
    pub fn parse(bytes: &[u8], available: u64) -> Result<Self, Error> {
        let mut fields = Fields(bytes);
        let size = fields.u32()?;
        let kind = fields.array()?;
        let (head_bytes, size_bytes) = match size {
            0 => (8, available),
            1 => (16, fields.u64()?),
            size => (8, u64::from(size)),
        };
        if size_bytes < head_bytes || size_bytes > available {
            return Err(Error::CutOff);
        }
        Ok(Self {
            kind,
            head_bytes,
            size_bytes,
        })
    }
}

impl Init {
    /// Reads `ftyp` and `moov`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        only(bytes, *b"ftyp", "ftyp")?;
        let moov = only(bytes, *b"moov", "moov")?;
        let trak = only(moov, *b"trak", "trak")?;
        let mdia = only(trak, *b"mdia", "mdia")?;

        let mut mdhd = Fields(only(mdia, *b"mdhd", "mdhd")?);
        // Two times stand before the timescale, 8 bytes each in version 1 (8.4.2).
        let wide = mdhd.full_box()?.0 == 1;
        mdhd.skip(if wide { 16 } else { 8 })?;
        let timescale = mdhd.u32()?;
        if timescale == 0 {
            return Err(Error::Timescale);
        }
        let mut hdlr = Fields(only(mdia, *b"hdlr", "hdlr")?);
        hdlr.skip(8)?;
        let handler = hdlr.array()?;

        // Width and height are the last fields, as 16.16 (8.3.2).
        let tkhd = only(trak, *b"tkhd", "tkhd")?;
        let sides = tkhd.len().checked_sub(8).ok_or(Error::CutOff)?;
        let mut sides = Fields(&tkhd[sides..]);
        let (width, height) = (sides.u32()? >> 16, sides.u32()? >> 16);

        let mvex = only(moov, *b"mvex", "mvex")?;
        let mut trex = Fields(only(mvex, *b"trex", "trex")?);
        // Version and flags, track, sample description.
        trex.skip(12)?;
        let defaults = Defaults {
            duration: trex.u32()?,
            size: trex.u32()?,
            flags: trex.u32()?,
        };
        Ok(Self {
            timescale,
            handler,
            width,
            height,
            defaults,
        })
    }
}

impl Fragment {
    /// Reads the inside of a `moof`.
    pub fn parse(moof: &[u8], track: Defaults) -> Result<Self, Error> {
        let traf = only(moof, *b"traf", "traf")?;
        let mut tfhd = Fields(only(traf, *b"tfhd", "tfhd")?);
        let (_, flags) = tfhd.full_box()?;
        tfhd.skip(4)?;
        tfhd.skip(if flags & 0x1 != 0 { 8 } else { 0 })?;
        tfhd.skip(if flags & 0x2 != 0 { 4 } else { 0 })?;
        let defaults = Defaults {
            duration: tfhd.u32_if(flags & 0x8 != 0, track.duration)?,
            size: tfhd.u32_if(flags & 0x10 != 0, track.size)?,
            flags: tfhd.u32_if(flags & 0x20 != 0, track.flags)?,
        };
        let mut tfdt = Fields(only(traf, *b"tfdt", "tfdt")?);
        let start = match tfdt.full_box()?.0 {
            1 => tfdt.u64()?,
            _ => u64::from(tfdt.u32()?),
        };
        let trun = only(traf, *b"trun", "trun")?;
        let (data_offset, samples) = run(trun, defaults)?;
        Ok(Self {
            start,
            samples,
            data_offset,
        })
    }

    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.duration)).sum()
    }

    pub fn size_bytes(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.size)).sum()
    }

    /// When each sample is presented, in coding order, in ticks.
    pub fn presentation(&self) -> impl Iterator<Item = i128> {
        self.samples.iter().scan(i128::from(self.start), |at, s| {
            let shown = *at + i128::from(s.offset);
            *at += i128::from(s.duration);
            Some(shown)
        })
    }
}

/// A `trun` (8.8.8).
fn run(trun: &[u8], defaults: Defaults) -> Result<(i64, Vec<Sample>), Error> {
    let mut fields = Fields(trun);
    let (version, flags) = fields.full_box()?;
    let count = fields.u32()?;
    if u64::from(count) > SAMPLES_MAX {
        return Err(Error::TooManySamples(u64::from(count)));
    }
    let data_offset = i64::from(fields.u32_if(flags & 0x1 != 0, 0)?.cast_signed());
    let first_flags = if flags & 0x4 != 0 {
        Some(fields.u32()?)
    } else {
        None
    };
    let samples = (0..count)
        .map(|index| {
            let duration = fields.u32_if(flags & 0x100 != 0, defaults.duration)?;
            let size = fields.u32_if(flags & 0x200 != 0, defaults.size)?;
            let inherited = first_flags.filter(|_| index == 0).unwrap_or(defaults.flags);
            let sample_flags = fields.u32_if(flags & 0x400 != 0, inherited)?;
            let offset = fields.u32_if(flags & 0x800 != 0, 0)?;
            Ok(Sample {
                duration,
                size,
                // sample_is_non_sync_sample (8.8.3.1).
                sync: sample_flags & 0x0001_0000 == 0,
                offset: if version == 0 {
                    i64::from(offset)
                } else {
                    i64::from(offset.cast_signed())
                },
            })
        })
        .collect::<Result<_, _>>()?;
    Ok((data_offset, samples))
}

/// The inside of the only box of `kind` in `bytes`.
fn only<'a>(bytes: &'a [u8], kind: [u8; 4], name: &'static str) -> Result<&'a [u8], Error> {
    let mut rest = bytes;
    let mut found = None;
    while !rest.is_empty() {
        let head = Head::parse(rest, rest.len() as u64)?;
        let size = usize::try_from(head.size_bytes).map_err(|_| Error::CutOff)?;
        let start = usize::try_from(head.head_bytes).map_err(|_| Error::CutOff)?;
        let (whole, after) = rest.split_at_checked(size).ok_or(Error::CutOff)?;
        if head.kind == kind && found.replace(&whole[start..]).is_some() {
            return Err(Error::Repeated(name));
        }
        rest = after;
    }
    found.ok_or(Error::Missing(name))
}

/// Big-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Error::CutOff)?;
        self.0 = rest;
        Ok(*field)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Error> {
        self.0 = self.0.get(bytes..).ok_or(Error::CutOff)?;
        Ok(())
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    fn u32_if(&mut self, present: bool, otherwise: u32) -> Result<u32, Error> {
        if present { self.u32() } else { Ok(otherwise) }
    }

    /// Version and flags.
    fn full_box(&mut self) -> Result<(u8, u32), Error> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Ok((version, word & 0x00ff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("small");
        [&size.to_be_bytes(), &kind, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn moof_body(trun: &[u32]) -> Vec<u8> {
        let tfhd = boxed(*b"tfhd", &words(&[0x0002_0000, 1]));
        let tfdt = boxed(*b"tfdt", &words(&[0x0100_0000, 0, 3000]));
        let trun = boxed(*b"trun", &words(trun));
        boxed(*b"traf", &[tfhd, tfdt, trun].concat())
    }

    #[test]
    fn a_fragment_with_reordered_pictures_is_read() {
        let trun = [
            0x0100_0f01, // version 1; offset, durations, sizes, flags, composition
            3,
            100, // samples, data offset
            1000,
            50,
            0x0200_0000,
            0, // an IDR, shown at once
            1000,
            20,
            0x0101_0000,
            1000, // shown third
            1000,
            10,
            0x0101_0000,
            (-1000_i32).cast_unsigned(), // shown second
        ];
        let fragment =
            Fragment::parse(&moof_body(&trun), Defaults::default()).expect("well formed");
        assert_eq!(fragment.start, 3000);
        assert_eq!(fragment.duration(), 3000);
        assert_eq!(fragment.size_bytes(), 80);
        assert_eq!(fragment.data_offset, 100);
        let shown: Vec<i128> = fragment.presentation().collect();
        assert_eq!(shown, [3000, 5000, 4000]);
        let sync: Vec<bool> = fragment.samples.iter().map(|s| s.sync).collect();
        assert_eq!(sync, [true, false, false]);
    }

    #[test]
    fn defaults_fill_what_a_run_leaves_out() {
        let track = Defaults {
            duration: 1024,
            size: 7,
            flags: 0,
        };
        let fragment = Fragment::parse(&moof_body(&[0x1, 2, 64]), track).expect("well formed");
        assert_eq!(fragment.duration(), 2048);
        assert_eq!(fragment.size_bytes(), 14);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let whole = moof_body(&[0x0000_0100, 2, 1000, 1000]);
        for len in 0..whole.len() {
            assert!(Fragment::parse(&whole[..len], Defaults::default()).is_err());
        }
        let bomb = moof_body(&[0, u32::MAX]);
        assert_eq!(
            Fragment::parse(&bomb, Defaults::default()),
            Err(Error::TooManySamples(u64::from(u32::MAX)))
        );
        let twice = [whole.clone(), whole].concat();
        assert_eq!(
            Fragment::parse(&twice, Defaults::default()),
            Err(Error::Repeated("traf"))
        );
        // A size below the head, a size beyond the end.
        assert!(Head::parse(b"\0\0\0\x07moof", 100).is_err());
        assert!(Head::parse(b"\0\0\0\x65moof", 100).is_err());
    }
}
