//! Pure: a cut as an MP4 or MOV file: the index in front, then the media, picture and sound side by
//! side.
//!
//! What describes the coding is copied from the source byte by byte; tables, edit lists and the
//! timecode track are written anew.

use std::ops::Range;

use protocol::media::FrameRate;
use protocol::timecode::Timecode;

use super::bytes::{Boxes, Reader, descend};
use super::cut::{Cut, Error, TrackCut};
use super::movie::Kind;

/// A file as it is to be written: `head`, then the bytes at `extents`.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    /// Everything up to the first copied byte.
    pub head: Vec<u8>,
    /// In order, each with the position of its file; what lies side by side is one.
    pub extents: Vec<(usize, Range<u64>)>,
}

/// The timecode of the first picture, and the rate that it counts.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    pub timecode: Timecode,
    pub rate: FrameRate,
    /// Pictures of the file.
    pub frames: u64,
    /// Name of the reel that they were recorded on.
    pub reel: Option<&'a str>,
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brand {
    Mov,
    Mp4,
}

/// Largest index; a day of pictures and sound has a tenth of it.
const INDEX_MAX: usize = 512 << 20;

/// Bytes that are copied of what a track says about itself, such as its label.
const LABELS_MAX: usize = 60 << 10;

impl Draft {
    /// # Errors
    /// A track whose coding cannot be copied.
    pub fn of(cut: &Cut<'_>, brand: Brand, start: Option<Start<'_>>) -> Result<Self, Error> {
        let order = interleaved(cut);
        let mut extents: Vec<(usize, Range<u64>)> = Vec::new();
        let mut bytes = 0_u64;
        // From the first copied byte.
        let mut offsets: Vec<Vec<u64>> = vec![Vec::new(); cut.tracks.len()];
        for (track, chunk) in order {
            offsets[track].push(bytes);
            for span in &cut.tracks[track].chunks[chunk].spans {
                bytes = bytes.saturating_add(span.bytes());
                let end = span.offset.saturating_add(span.bytes());
                match extents.last_mut() {
                    Some((file, last)) if *file == span.file && last.end == span.offset => {
                        last.end = end;
                    }
                    _ => extents.push((span.file, span.offset..end)),
                }
            }
        }
        let ftyp = file_type(brand);
        // The timecode's only sample stands in front of the copied bytes.
        let sample = start.map(|start| start.timecode.frame().to_be_bytes());
        let sample = sample.as_ref().map_or(&[][..], |sample| &sample[..]);
        let media = bytes.saturating_add(sample.len() as u64);
        let header = media_header(media);
        let index = |base: u64, large: bool| {
            let layout = Layout {
                cut,
                brand,
                start,
                offsets: &offsets,
                base,
                large,
            };
            layout.moov()
        };
        // How long the index is does not depend on where the media begins, once it is known
        // whether offsets are large.
        let small = index(0, false)?;
        let reach = ftyp.len() + small.len() + header.len();
        let large = media.saturating_add(reach as u64) > u64::from(u32::MAX);
        let length = if large {
            index(0, true)?.len()
        } else {
            small.len()
        };
        if length > INDEX_MAX {
            return Err(Error::TooManyPictures);
        }
        let base = (ftyp.len() + length + header.len()) as u64;
        let moov = index(base, large)?;
        debug_assert_eq!(moov.len(), length);
        let head = [&ftyp[..], &moov, &header, sample].concat();
        Ok(Self { head, extents })
    }

    /// Of the whole file.
    pub fn size_bytes(&self) -> u64 {
        let head = self.head.len() as u64;
        (self.extents.iter()).fold(head, |sum, (_, extent)| {
            sum.saturating_add(extent.end - extent.start)
        })
    }
}

/// All chunks by time, as positions of track and chunk.
fn interleaved(cut: &Cut<'_>) -> Vec<(usize, usize)> {
    let mut order = Vec::new();
    for (position, track) in cut.tracks.iter().enumerate() {
        for (number, chunk) in track.chunks.iter().enumerate() {
            let ms = u128::from(chunk.start) * 1000 / u128::from(track.track.timescale.max(1));
            order.push((ms, position, number));
        }
    }
    order.sort_unstable();
    order
        .into_iter()
        .map(|(_, track, chunk)| (track, chunk))
        .collect()
}

struct Layout<'a> {
    cut: &'a Cut<'a>,
    brand: Brand,
    start: Option<Start<'a>>,
    /// Of each track's chunks, from the first copied byte.
    offsets: &'a [Vec<u64>],
    /// Where the media begins.
    base: u64,
    /// 64 bits for an offset.
    large: bool,
}

impl Layout<'_> {
    fn moov(&self) -> Result<Vec<u8>, Error> {
        let count = u32::try_from(self.cut.tracks.len()).map_err(|_| Error::Damaged)?;
        let timecode = self.start.map(|_| count + 1);
        let mut moov = self.movie_header(count + 2);
        for ((track, offsets), id) in self.cut.tracks.iter().zip(self.offsets).zip(1..) {
            let reference = timecode.filter(|_| track.track.kind == Kind::Video);
            moov.extend(self.track(track, offsets, id, reference)?);
        }
        if let (Some(start), Some(id)) = (self.start, timecode) {
            moov.extend(self.timecode_track(start, id));
        }
        Ok(boxed(*b"moov", &moov))
    }

    fn movie_header(&self, next_id: u32) -> Vec<u8> {
        let mut body = Body::full(1, 0);
        // No dates: they would make each copy another file.
        body.u64(0)
            .u64(0)
            .u32(self.cut.timescale)
            .u64(self.cut.duration);
        // Speed and loudness as recorded.
        body.u32(0x1_0000).u16(0x0100).zeros(10);
        body.bytes(&UPRIGHT).zeros(24).u32(next_id);
        body.boxed(*b"mvhd")
    }

    fn track(
        &self,
        cut: &TrackCut<'_>,
        offsets: &[u64],
        id: u32,
        timecode: Option<u32>,
    ) -> Result<Vec<u8>, Error> {
        let trak = cut.track.trak;
        let find = |path: &[[u8; 4]]| descend(trak, path).ok_or(Error::Damaged);
        let mut track = track_header(find(&[*b"tkhd"])?, id, self.cut.duration)?;
        for kind in [*b"tapt", *b"udta"] {
            if let Some(content) = Boxes::new(trak).find(kind)
                && content.len() <= LABELS_MAX
            {
                track.extend(boxed(kind, content));
            }
        }
        if let Some(timecode) = timecode {
            let tmcd = boxed(*b"tmcd", &timecode.to_be_bytes());
            track.extend(boxed(*b"tref", &tmcd));
        }
        track.extend(edits(cut, self.cut.duration));

        let duration =
            (cut.chunks.iter()).fold(0_u64, |sum, chunk| sum.saturating_add(chunk.duration));
        let language = language(find(&[*b"mdia", *b"mdhd"])?).unwrap_or(UNDETERMINED);
        let mut mdia = media_times(cut.track.timescale, duration, language);
        mdia.extend(boxed(*b"hdlr", find(&[*b"mdia", *b"hdlr"])?));
        let mut minf = Vec::new();
        for (kind, content) in Boxes::new(find(&[*b"mdia", *b"minf"])?) {
            // What sort of media it is; where it lies and its tables are ours.
            if !matches!(&kind, b"dinf" | b"stbl" | b"free" | b"skip") {
                minf.extend(boxed(kind, content));
            }
        }
        minf.extend(data_reference());
        let stsd = find(&[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
        let mut stbl = descriptions(stsd, cut.parameter_sets.as_deref())?;
        stbl.extend(self.tables(cut, offsets)?);
        minf.extend(boxed(*b"stbl", &stbl));
        mdia.extend(boxed(*b"minf", &minf));
        track.extend(boxed(*b"mdia", &mdia));
        Ok(boxed(*b"trak", &track))
    }

    fn tables(&self, cut: &TrackCut<'_>, offsets: &[u64]) -> Result<Vec<u8>, Error> {
        let spans = || cut.spans();
        let durations = spans().map(|span| (span.count, span.duration));
        let mut tables = runs(durations).full(*b"stts", 0);
        let delayed = spans().any(|span| span.composition.saturating_add(cut.shift) != 0);
        if delayed {
            let shifts: Vec<(u32, u32)> = spans()
                .map(|span| {
                    let shift = i32::try_from(span.composition.saturating_add(cut.shift));
                    let shift = shift.map_err(|_| Error::Damaged)?;
                    Ok((span.count, shift.cast_unsigned()))
                })
                .collect::<Result<_, Error>>()?;
            let signed = shifts.iter().any(|(_, shift)| shift.cast_signed() < 0);
            tables.extend(runs(shifts.into_iter()).full(*b"ctts", u8::from(signed)));
        }
        if spans().any(|span| !span.sync) {
            let mut syncs = Vec::new();
            let mut number = 1_u32;
            for span in spans() {
                if span.sync {
                    syncs.extend(number..number.saturating_add(span.count));
                }
                number = number.saturating_add(span.count);
            }
            let mut body = Body::full(0, 0);
            body.u32(count(syncs.len()));
            for number in syncs {
                body.u32(number);
            }
            tables.extend(body.boxed(*b"stss"));
        }
        tables.extend(sizes(cut));
        tables.extend(chunk_runs(cut));
        tables.extend(self.chunk_offsets(offsets));
        Ok(tables)
    }

    fn chunk_offsets(&self, offsets: &[u64]) -> Vec<u8> {
        let sample = if self.start.is_some() { 4 } else { 0 };
        let mut body = Body::full(0, 0);
        body.u32(count(offsets.len()));
        for offset in offsets {
            let offset = (self.base + sample).saturating_add(*offset);
            if self.large {
                body.u64(offset);
            } else {
                // Only asked for where it fits, but for the first look at the length.
                body.u32(u32::try_from(offset).unwrap_or(u32::MAX));
            }
        }
        body.boxed(if self.large { *b"co64" } else { *b"stco" })
    }

    /// One sample: the number of the first frame (`QuickTime` File Format, "Timecode media").
    fn timecode_track(&self, start: Start<'_>, id: u32) -> Vec<u8> {
        let Start { timecode, rate, .. } = start;
        let counting = timecode.counting();
        let mut header = Body::full(1, 3);
        header.u64(0).u64(0).u32(id).u32(0).u64(self.cut.duration);
        header.zeros(8).u16(0).u16(0).u16(0).u16(0);
        header.bytes(&UPRIGHT).u32(0).u32(0);
        let mut track = header.boxed(*b"tkhd");
        let mut list = Body::full(1, 0);
        list.u32(1).u64(self.cut.duration).u64(0).u32(0x1_0000);
        track.extend(boxed(*b"edts", &list.boxed(*b"elst")));

        let ticks = start.frames.saturating_mul(u64::from(rate.den()));
        let mut mdia = media_times(rate.num(), ticks, UNDETERMINED);
        let mut handler = Body::full(0, 0);
        let component = if self.brand == Brand::Mov {
            *b"mhlr"
        } else {
            [0; 4]
        };
        handler.bytes(&component).bytes(b"tmcd").zeros(12).u8(0);
        mdia.extend(handler.boxed(*b"hdlr"));

        let mut graphics = Body::full(0, 0);
        graphics
            .u16(0x40)
            .u16(0x8000)
            .u16(0x8000)
            .u16(0x8000)
            .u16(0)
            .u16(0);
        let mut shown = Body::full(0, 0);
        // Font, face, size; black on white; no name.
        shown.u16(0).u16(0).u16(12).u16(0).zeros(6);
        shown.u16(0xffff).u16(0xffff).u16(0xffff).u8(0);
        let mut gmhd = graphics.boxed(*b"gmin");
        gmhd.extend(boxed(*b"tmcd", &shown.boxed(*b"tcmi")));
        let mut minf = boxed(*b"gmhd", &gmhd);
        minf.extend(data_reference());

        let mut entry = Body::default();
        entry.zeros(6).u16(1).u32(0);
        entry.u32(WRAPS | u32::from(counting.is_drop_frame()));
        entry.u32(rate.num()).u32(rate.den());
        let nominal = u8::try_from(counting.per_second()).unwrap_or(u8::MAX);
        entry.u8(nominal).u8(0);
        if let Some(reel) = start.reel {
            // International text: its length, and a language that is not said.
            let length = reel.floor_char_boundary(LABELS_MAX);
            let mut name = Body::default();
            name.u16(u16::try_from(length).unwrap_or(0))
                .u16(UNDETERMINED);
            name.bytes(&reel.as_bytes()[..length]);
            entry.bytes(&name.boxed(*b"name"));
        }
        let mut stsd = Body::full(0, 0);
        stsd.u32(1).bytes(&entry.boxed(*b"tmcd"));
        let mut stbl = stsd.boxed(*b"stsd");
        let length = u32::try_from(ticks).unwrap_or(u32::MAX);
        stbl.extend(runs([(1, length)].into_iter()).full(*b"stts", 0));
        let mut stsz = Body::full(0, 0);
        stsz.u32(4).u32(1);
        stbl.extend(stsz.boxed(*b"stsz"));
        let mut stsc = Body::full(0, 0);
        stsc.u32(1).u32(1).u32(1).u32(1);
        stbl.extend(stsc.boxed(*b"stsc"));
        let mut offset = Body::full(0, 0);
        offset.u32(1);
        // In front of all other media.
        if self.large {
            stbl.extend(offset.u64(self.base).take().boxed(*b"co64"));
        } else {
            let base = u32::try_from(self.base).unwrap_or(u32::MAX);
            stbl.extend(offset.u32(base).take().boxed(*b"stco"));
        }
        minf.extend(boxed(*b"stbl", &stbl));
        mdia.extend(boxed(*b"minf", &minf));
        track.extend(boxed(*b"mdia", &mdia));
        boxed(*b"trak", &track)
    }
}

/// Flag of a timecode track: the clock ends after 24 hours.
const WRAPS: u32 = 2;

/// As it is stored.
pub(super) const UPRIGHT: [u8; 36] = {
    let mut matrix = [0; 36];
    matrix[1] = 1;
    matrix[17] = 1;
    matrix[32] = 0x40;
    matrix
};

/// `und`, in three times five bits.
pub(super) const UNDETERMINED: u16 = 0x55c4;

fn file_type(brand: Brand) -> Vec<u8> {
    let brands: &[u8] = match brand {
        Brand::Mov => b"qt  \0\0\x02\0qt  ",
        Brand::Mp4 => b"isom\0\0\x02\0isomiso2mp41mp42",
    };
    boxed(*b"ftyp", brands)
}

/// The header of an `mdat` box with `bytes` in it.
fn media_header(bytes: u64) -> Vec<u8> {
    if let Ok(size) = u32::try_from(bytes.saturating_add(8)) {
        return [&size.to_be_bytes()[..], b"mdat"].concat();
    }
    let size = bytes.saturating_add(16).to_be_bytes();
    [&1_u32.to_be_bytes()[..], b"mdat", &size[..]].concat()
}

/// The source's header with another number and length: flags, loudness, turn and size stay.
fn track_header(tkhd: &[u8], id: u32, duration: u64) -> Result<Vec<u8>, Error> {
    /// Everything behind the duration, in either version.
    const TAIL: usize = 60;
    let (_, flags) = Reader::new(tkhd).version_flags().ok_or(Error::Damaged)?;
    let version = tkhd.first().copied().unwrap_or(0);
    let from = if version == 1 { 36 } else { 24 };
    let tail = tkhd.get(from..from + TAIL).ok_or(Error::Damaged)?;
    let mut body = Body::full(1, flags);
    body.u64(0).u64(0).u32(id).u32(0).u64(duration).bytes(tail);
    Ok(body.boxed(*b"tkhd"))
}

fn edits(cut: &TrackCut<'_>, duration: u64) -> Vec<u8> {
    const WAIT: u64 = u64::MAX;
    const SPEED: u32 = 0x1_0000;
    let mut entries = Vec::new();
    let wait = if cut.shown == 0 { duration } else { cut.delay };
    if wait > 0 {
        entries.push((wait, WAIT));
    }
    if cut.shown > 0 {
        entries.push((cut.shown, cut.media_time));
    }
    let mut list = Body::full(1, 0);
    list.u32(count(entries.len()));
    for (length, time) in entries {
        list.u64(length).u64(time).u32(SPEED);
    }
    boxed(*b"edts", &list.boxed(*b"elst"))
}

fn language(mdhd: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(mdhd);
    let (version, _) = reader.version_flags()?;
    reader.skip(if version == 1 { 28 } else { 16 })?;
    reader.u16()
}

fn media_times(timescale: u32, duration: u64, language: u16) -> Vec<u8> {
    let mut body = Body::full(1, 0);
    body.u64(0).u64(0).u32(timescale).u64(duration);
    body.u16(language).u16(0);
    body.boxed(*b"mdhd")
}

/// The media lies in this very file.
fn data_reference() -> Vec<u8> {
    let mut dref = Body::full(0, 0);
    dref.u32(1).bytes(&Body::full(0, 1).boxed(*b"url "));
    boxed(*b"dinf", &dref.boxed(*b"dref"))
}

/// Bytes of a visual sample entry behind the data reference (14496-12, 12.1.3).
const VISUAL_ENTRY: usize = 70;

/// The source's only sample entry, with other parameter sets if there are some.
fn descriptions(stsd: &[u8], parameter_sets: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let mut reader = Reader::new(stsd);
    reader.version_flags().ok_or(Error::Damaged)?;
    if reader.u32() != Some(1) {
        return Err(Error::Descriptions);
    }
    let (kind, entry) = Boxes::new(reader.rest()).next().ok_or(Error::Damaged)?;
    // Six reserved bytes, then which data reference: there is one.
    let rest = entry.get(8..).ok_or(Error::Damaged)?;
    let mut copy = Body::default();
    copy.zeros(6).u16(1);
    match parameter_sets {
        None => {
            copy.bytes(rest);
        }
        Some(sets) => {
            let fixed = rest.get(..VISUAL_ENTRY).ok_or(Error::Damaged)?;
            copy.bytes(fixed);
            for (kind, content) in Boxes::new(&rest[VISUAL_ENTRY..]) {
                let content = if &kind == b"avcC" { sets } else { content };
                copy.bytes(&boxed(kind, content));
            }
        }
    }
    let mut body = Body::full(0, 0);
    body.u32(1).bytes(&copy.boxed(kind));
    Ok(body.boxed(*b"stsd"))
}

fn sizes(cut: &TrackCut<'_>) -> Vec<u8> {
    let mut spans = cut.spans();
    let samples = (cut.spans()).fold(0_u32, |sum, span| sum.saturating_add(span.count));
    let mut body = Body::full(0, 0);
    let first = spans.next().map_or(0, |span| span.size);
    if first > 0 && spans.all(|span| span.size == first) {
        body.u32(first).u32(samples);
    } else {
        body.u32(0).u32(samples);
        for span in cut.spans() {
            for _ in 0..span.count {
                body.u32(span.size);
            }
        }
    }
    body.boxed(*b"stsz")
}

fn chunk_runs(cut: &TrackCut<'_>) -> Vec<u8> {
    let mut entries: Vec<(u32, u32)> = Vec::new();
    for (chunk, number) in cut.chunks.iter().zip(1..) {
        let samples = chunk.samples();
        if entries.last().is_none_or(|(_, last)| *last != samples) {
            entries.push((number, samples));
        }
    }
    let mut body = Body::full(0, 0);
    body.u32(count(entries.len()));
    for (number, samples) in entries {
        body.u32(number).u32(samples).u32(1);
    }
    body.boxed(*b"stsc")
}

/// (count, value) pairs with equal neighbours made one.
struct Runs(Vec<(u32, u32)>);

fn runs(pairs: impl Iterator<Item = (u32, u32)>) -> Runs {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (count, value) in pairs {
        match runs.last_mut() {
            Some((known, last)) if *last == value => *known = known.saturating_add(count),
            _ => runs.push((count, value)),
        }
    }
    Runs(runs)
}

impl Runs {
    fn full(self, kind: [u8; 4], version: u8) -> Vec<u8> {
        let mut body = Body::full(version, 0);
        body.u32(count(self.0.len()));
        for (count, value) in self.0 {
            body.u32(count).u32(value);
        }
        body.boxed(kind)
    }
}

pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

pub(super) fn boxed(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = count(content.len() + 8).to_be_bytes();
    [&size[..], &kind, content].concat()
}

/// The content of a box under way.
#[derive(Default)]
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn full(version: u8, flags: u32) -> Self {
        let word = (u32::from(version) << 24) | (flags & 0x00ff_ffff);
        Self(word.to_be_bytes().to_vec())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }

    pub(super) fn boxed(self, kind: [u8; 4]) -> Vec<u8> {
        boxed(kind, &self.0)
    }
}
