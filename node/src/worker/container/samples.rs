//! Pure: where, when and how long each sample is (14496-12, 8.6 and 8.7), and which pictures an
//! edit list shows.

use std::ops::Range;

use super::bytes::{Boxes, Reader};
use super::movie::{Error, Track};

/// The sample tables of one track, as they lie in the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Table<'a> {
    times: &'a [u8],
    offsets: Option<&'a [u8]>,
    /// `None`: every sample can be decoded alone.
    syncs: Option<&'a [u8]>,
    sizes: Sizes<'a>,
    chunk_runs: &'a [u8],
    chunks: &'a [u8],
    /// Bytes of an entry of `chunks`.
    chunk_width: usize,
}

#[derive(Debug, Clone, Copy)]
enum Sizes<'a> {
    Each(&'a [u8]),
    Fixed { size: u32, count: u32 },
}

impl Default for Sizes<'_> {
    fn default() -> Self {
        Self::Each(&[])
    }
}

/// One sample, in the order of the file's tables, which is the order of decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In ticks of the track.
    pub decode_time: i64,
    /// In ticks of the track, before the edit list.
    pub time: i64,
    pub duration: u32,
    pub offset: u64,
    pub size: u32,
    /// Decoding can start here.
    pub sync: bool,
}

/// The pictures a player shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presentation {
    /// Start of each picture in order of showing, in ticks of the track, from the start of the
    /// movie. May be a little below zero where an edit cuts into a picture.
    pub starts: Vec<i64>,
    /// End of the last picture.
    pub end: i64,
    /// Pictures that no edit shows.
    pub hidden: u64,
    /// Which pictures are shown, counted in order of their times, hidden ones included; `None` if
    /// several edits show several runs of them.
    pub run: Option<Range<usize>>,
}

/// Pictures that a day has at the highest frame rate that is accepted.
pub const MAX_PICTURES: usize = 86_400 * 240;

impl<'a> Table<'a> {
    pub(super) fn parse(stbl: &'a [u8]) -> Self {
        let entries = |kind, width| {
            let content = Boxes::new(stbl).find(kind)?;
            entries(content, width)
        };
        let large = entries(*b"co64", 8);
        Self {
            times: entries(*b"stts", 8).unwrap_or_default(),
            offsets: entries(*b"ctts", 8),
            syncs: entries(*b"stss", 4),
            sizes: Boxes::new(stbl)
                .find(*b"stsz")
                .and_then(Sizes::parse)
                .unwrap_or_default(),
            chunk_runs: entries(*b"stsc", 12).unwrap_or_default(),
            chunks: entries(*b"stco", 4).or(large).unwrap_or_default(),
            chunk_width: if Boxes::new(stbl).find(*b"stco").is_some() {
                4
            } else {
                8
            },
        }
    }

    /// Samples that the size table names.
    pub fn count(&self) -> usize {
        match self.sizes {
            Sizes::Each(sizes) => sizes.len() / 4,
            Sizes::Fixed { count, .. } => usize::try_from(count).unwrap_or(usize::MAX),
        }
    }

    /// Whether decoding can start at every sample.
    pub const fn is_all_sync(&self) -> bool {
        self.syncs.is_none()
    }

    /// Offset of the first chunk.
    pub fn first_offset(&self) -> Option<u64> {
        self.chunk_offset(0)
    }

    /// The byte behind the last sample. Takes time in proportion to the tables, not to what they claim.
    pub fn data_end(&self) -> u64 {
        let mut end = 0;
        let mut index = 0_u64;
        let mut runs = Runs::new(self.chunk_runs);
        for chunk in 0..self.chunks.len() / self.chunk_width.max(1) {
            let left = (self.count() as u64).saturating_sub(index);
            let samples = u64::from(runs.samples_of(chunk)).min(left);
            let bytes: u64 = match self.sizes {
                Sizes::Fixed { size, .. } => samples.saturating_mul(u64::from(size)),
                Sizes::Each(sizes) => (index..index + samples)
                    .filter_map(|index| word(sizes, usize::try_from(index).ok()?))
                    .map(u64::from)
                    .sum(),
            };
            let offset = self.chunk_offset(chunk).unwrap_or(0);
            if samples > 0 {
                end = end.max(offset.saturating_add(bytes));
            }
            index += samples;
        }
        end
    }

    /// Every sample that all tables agree on. Only for tracks of which [`Self::count`] was checked.
    pub fn iter(&self) -> impl Iterator<Item = Sample> + use<'a> {
        Samples {
            table: *self,
            index: 0,
            chunk: 0,
            left_in_chunk: 0,
            offset: 0,
            runs: Runs::new(self.chunk_runs),
            time: 0,
            durations: Steps::new(self.times),
            shifts: self.offsets.map(Steps::new),
            next_sync: 0,
        }
    }

    fn chunk_offset(&self, chunk: usize) -> Option<u64> {
        let at = chunk.checked_mul(self.chunk_width)?;
        let mut reader = Reader::new(self.chunks.get(at..)?);
        match self.chunk_width {
            4 => reader.u32().map(u64::from),
            _ => reader.u64(),
        }
    }
}

impl<'a> Sizes<'a> {
    fn parse(stsz: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(stsz);
        reader.version_flags()?;
        let size = reader.u32()?;
        if size > 0 {
            let count = reader.u32()?;
            return Some(Self::Fixed { size, count });
        }
        entries(stsz.get(4..)?, 4).or(Some(&[][..])).map(Self::Each)
    }

    fn of(&self, index: usize) -> Option<u32> {
        match self {
            Self::Each(sizes) => word(sizes, index),
            Self::Fixed { size, count } => {
                (index < usize::try_from(*count).unwrap_or(usize::MAX)).then_some(*size)
            }
        }
    }
}

/// The entries behind version, flags and count; as many as the box has room for.
fn entries(content: &[u8], width: usize) -> Option<&[u8]> {
    let mut reader = Reader::new(content);
    reader.version_flags()?;
    let count = usize::try_from(reader.u32()?).ok()?;
    let rest = reader.rest();
    let fitting = count.min(rest.len() / width);
    rest.get(..fitting * width)
}

/// The `index`th 32 bit word.
fn word(words: &[u8], index: usize) -> Option<u32> {
    let at = index.checked_mul(4)?;
    Reader::new(words.get(at..)?).u32()
}

/// How many samples each chunk has: (first chunk, samples, description) triples.
#[derive(Debug, Clone, Copy)]
struct Runs<'a> {
    rest: &'a [u8],
    samples: u32,
}

impl<'a> Runs<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            samples: 0,
        }
    }

    /// Samples of `chunk`, counted from 0; to be asked in rising order.
    fn samples_of(&mut self, chunk: usize) -> u32 {
        while let (Some(first), Some(samples)) = (word(self.rest, 0), word(self.rest, 1)) {
            if u64::from(first) > chunk as u64 + 1 {
                break;
            }
            self.samples = samples;
            self.rest = self.rest.get(12..).unwrap_or_default();
        }
        self.samples
    }
}

/// Run lengths: (count, value) pairs.
#[derive(Debug, Clone, Copy)]
struct Steps<'a> {
    rest: &'a [u8],
    left: u32,
    value: u32,
}

impl<'a> Steps<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            left: 0,
            value: 0,
        }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = word(self.rest, 0)?;
            self.value = word(self.rest, 1)?;
            self.rest = self.rest.get(8..).unwrap_or_default();
        }
        self.left -= 1;
        Some(self.value)
    }
}

struct Samples<'a> {
    table: Table<'a>,
    index: usize,
    /// Chunks begun so far.
    chunk: usize,
    left_in_chunk: u32,
    offset: u64,
    runs: Runs<'a>,
    time: i64,
    durations: Steps<'a>,
    shifts: Option<Steps<'a>>,
    /// Position in the sync table.
    next_sync: usize,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        while self.left_in_chunk == 0 {
            self.offset = self.table.chunk_offset(self.chunk)?;
            self.left_in_chunk = self.runs.samples_of(self.chunk);
            self.chunk += 1;
        }
        let size = self.table.sizes.of(self.index)?;
        let duration = self.durations.next()?;
        let shift = match &mut self.shifts {
            // Version 1 is signed; so are the numbers that version 0 files carry in practice.
            Some(shifts) => shifts.next().unwrap_or(0).cast_signed(),
            None => 0,
        };
        let sync = match self.table.syncs {
            None => true,
            Some(syncs) => {
                let here = word(syncs, self.next_sync)
                    .is_some_and(|number| u64::from(number) == self.index as u64 + 1);
                self.next_sync += usize::from(here);
                here
            }
        };
        let sample = Sample {
            decode_time: self.time,
            time: self.time.saturating_add(i64::from(shift)),
            duration,
            offset: self.offset,
            size,
            sync,
        };
        self.index += 1;
        self.left_in_chunk -= 1;
        self.offset = self.offset.saturating_add(u64::from(size));
        self.time = self.time.saturating_add(i64::from(duration));
        Some(sample)
    }
}

impl Presentation {
    /// Which pictures of `track` are shown and when.
    ///
    /// A picture belongs to an edit if its middle does: edit lists are written in coarse movie ticks,
    /// so that an edit of whole pictures often begins or ends a little beside them.
    pub fn of(track: &Track<'_>, movie_timescale: u32) -> Result<Self, Error> {
        let (times, end) = in_order(track)?;
        if track.edits.is_empty() {
            let run = Some(0..times.len());
            return Ok(Self {
                starts: times,
                end,
                hidden: 0,
                run,
            });
        }

        let to_media = |ticks: u64| -> i64 {
            let ticks = u128::from(ticks) * u128::from(track.timescale);
            i64::try_from(ticks / u128::from(movie_timescale.max(1))).unwrap_or(i64::MAX / 4)
        };
        let middle = |index: usize| -> i64 {
            let next = times.get(index + 1).copied().unwrap_or(end);
            i64::midpoint(times[index], next)
        };
        let mut shown = Self::default();
        let mut used = 0_u64;
        let mut cursor = 0_u64;
        let mut runs = 0_u32;
        for edit in &track.edits {
            let base = to_media(cursor);
            cursor = cursor.saturating_add(edit.duration);
            let Some(from) = edit.media_time else {
                continue;
            };
            let from = i64::try_from(from).unwrap_or(i64::MAX / 4);
            let to = match edit.duration {
                0 => end,
                duration => from.saturating_add(to_media(duration)),
            };
            // Middles rise with the index, so both ends can be searched.
            let indices = Indices(times.len());
            let first = indices.partition_point(|index| middle(index) < from);
            let beyond = indices.partition_point(|index| middle(index) < to);
            let pictures = times.get(first..beyond).unwrap_or_default();
            if shown.starts.len() + pictures.len() > MAX_PICTURES {
                return Err(Error::TooManyPictures);
            }
            let place = |time: i64| time.saturating_sub(from).saturating_add(base);
            shown
                .starts
                .extend(pictures.iter().map(|time| place(*time)));
            if beyond > first {
                let last_end = times.get(beyond).copied().unwrap_or(end);
                shown.end = place(last_end.min(to));
            }
            used += pictures.len() as u64;
            runs += 1;
            shown.run = (runs == 1 && edit.normal_speed).then_some(first..beyond);
        }
        shown.hidden = (times.len() as u64).saturating_sub(used);
        Ok(shown)
    }
}

/// When each picture of `track` is shown, in that order, and when the last is over, in ticks of the
/// track and before the edit list.
pub(super) fn in_order(track: &Track<'_>) -> Result<(Vec<i64>, i64), Error> {
    if track.samples.count() > MAX_PICTURES {
        return Err(Error::TooManyPictures);
    }
    let mut last = (i64::MIN, 0);
    let mut times: Vec<i64> = track
        .samples
        .iter()
        .map(|sample| {
            last = last.max((sample.time, i64::from(sample.duration)));
            sample.time
        })
        .collect();
    times.sort_unstable();
    let end = times.last().map_or(0, |time| time.saturating_add(last.1));
    Ok((times, end))
}

/// Binary search over positions.
struct Indices(usize);

impl Indices {
    fn partition_point(&self, below: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.0);
        while low < high {
            let middle = usize::midpoint(low, high);
            if below(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
