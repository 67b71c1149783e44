//! Pure: a range of pictures out of a movie without encoding anything.
//!
//! What is copied begins where decoding can begin; an edit list hides what comes before the first
//! picture and after the last (14496-12, 8.6.6). Times stay in the ticks of their track, so that
//! nothing is rounded but the length of sound, to the nearest of its own samples.

use protocol::media::FrameRange;

use super::movie::{Kind, Movie, Track};
use super::samples::{MAX_PICTURES, Sample, in_order};

/// All that is copied.
#[derive(Debug)]
pub struct Cut<'a> {
    /// Ticks per second of [`Cut::duration`] and of edits: those of the picture track.
    pub timescale: u32,
    pub duration: u64,
    /// Pictures and sound, in the order of the file; the picture track that counts is among them.
    pub tracks: Vec<TrackCut<'a>>,
    /// Position of the picture track that counts.
    pub picture: usize,
    /// Nothing is shown before the first picture even where edit lists are ignored: it is a key
    /// picture.
    pub begins_with_key: bool,
}

/// What is copied of one track.
#[derive(Debug, Clone)]
pub struct TrackCut<'a> {
    pub track: &'a Track<'a>,
    pub chunks: Vec<Chunk>,
    /// Silence before the first sample, in ticks of the cut.
    pub delay: u64,
    /// Where in the copied samples showing begins, in ticks of the track.
    pub media_time: u64,
    /// How long it shows, in ticks of the cut.
    pub shown: u64,
    /// Added to all composition offsets, so that nothing lies before the first decoding time.
    pub shift: i64,
    /// In place of the source's own: those of two codings, each under numbers of its own.
    pub parameter_sets: Option<Vec<u8>>,
}

/// Where copying takes over from encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seam {
    /// Frames of the source before it, from the in point on.
    pub head: FrameRange,
    /// When each of them is shown, and then the first that is copied, in ticks of the track.
    pub starts: Vec<i64>,
    /// Samples that are copied: the key picture's, and the one behind the last.
    pub samples: (usize, usize),
}

/// Samples that are written side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Decoding time of the first, in ticks of the track, from the first that is copied.
    pub start: u64,
    pub duration: u64,
    pub spans: Vec<Span>,
}

/// Samples that lie side by side in the source and are alike in all other respects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Position of the file it lies in; the source is the first.
    pub file: usize,
    pub offset: u64,
    pub count: u32,
    /// Bytes of each.
    pub size: u32,
    /// Ticks of each.
    pub duration: u32,
    /// From decoding to showing, in ticks.
    pub composition: i64,
    pub sync: bool,
}

/// Why a range cannot be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("its samples lie in fragments")]
    Fragmented,
    #[error("its edit list has several parts or another speed")]
    Edits,
    #[error("a track changes its coding on the way")]
    Descriptions,
    #[error("a sound track is laid out in a way of old QuickTime files")]
    OldSound,
    #[error("it has more pictures than can be looked at")]
    TooManyPictures,
    #[error("its index shows {shown} pictures, and {probed} were found before")]
    Pictures { shown: u64, probed: u64 },
    #[error("nothing before its first picture can be decoded alone")]
    NoStart,
    #[error("its index is damaged")]
    Damaged,
}

/// Sound before the first that is heard, so that the decoder has settled: Opus asks for 80 ms,
/// AAC for less.
const PREROLL_MS: u64 = 80;

/// Length of a chunk in parts of a second; players read picture and sound side by side.
const CHUNKS_PER_SECOND: u32 = 2;

/// Pictures behind a key picture among which one may be shown before it: H.264 reorders 16.
const CLOSED_WITHIN: usize = 64;

/// Chunks of one track: those of five days.
const CHUNKS_MAX: usize = 1_000_000;

/// Which part of a track is shown, and when.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// In ticks of the track.
    from: i64,
    /// None: to the end.
    to: Option<i64>,
    /// When it begins, in ticks of the track from the start of the movie.
    base: i64,
}

impl<'a> Cut<'a> {
    /// The pictures `frames` of the `probed` that the movie shows, and the sound beside them.
    ///
    /// # Errors
    /// The movie cannot be cut this way.
    pub fn of(movie: &'a Movie<'a>, probed: u64, frames: FrameRange) -> Result<Self, Error> {
        if movie.fragmented {
            return Err(Error::Fragmented);
        }
        let video = movie.video().ok_or(Error::Damaged)?;
        let window = Window::of(video, movie.timescale)?;
        let (start, end) = times(video, window, probed, frames)?;
        let duration = u64::try_from(end.saturating_sub(start)).map_err(|_| Error::Damaged)?;
        // From the start of the movie, in ticks of the picture track.
        let begin = start
            .saturating_sub(window.from)
            .saturating_add(window.base);
        let mut tracks = Vec::new();
        let mut picture = 0;
        let mut begins_with_key = false;
        let kept = |track: &&Track<'_>| matches!(track.kind, Kind::Video | Kind::Sound);
        for track in movie.tracks.iter().filter(kept) {
            if std::ptr::eq(track, video) {
                picture = tracks.len();
                let alone = indices(track, 0, start, end, false)?;
                let exact = (alone.1 - alone.0) as u64 == frames.len();
                let mut copied = track.samples.iter().take(alone.1).skip(alone.0);
                begins_with_key = copied.next().is_some_and(|first| first.time == start)
                    && copied.all(|sample| sample.time > start);
                // The picture behind the last too: it says how long the last one shows.
                let chosen = indices(track, 0, start, end, !exact)?;
                let mut cut = TrackCut::of(track, chosen, start)?;
                cut.shown = duration;
                tracks.push(cut);
            } else {
                let clock = (video.timescale, begin, duration);
                tracks.push(beside(track, movie.timescale, clock)?);
            }
        }
        Ok(Self {
            timescale: video.timescale,
            duration,
            tracks,
            picture,
            begins_with_key,
        })
    }

    /// The first key picture behind the in point from which on everything can be copied: what is
    /// decoded before it is shown before it, and what is decoded after it after it.
    ///
    /// # Errors
    /// As [`Cut::of`].
    pub fn seam(movie: &Movie<'_>, frames: FrameRange) -> Result<Option<Seam>, Error> {
        let video = movie.video().ok_or(Error::Damaged)?;
        let window = Window::of(video, movie.timescale)?;
        if video.samples.count() > MAX_PICTURES {
            return Err(Error::TooManyPictures);
        }
        let samples: Vec<Sample> = video.samples.iter().collect();
        let mut times: Vec<i64> = samples.iter().map(|sample| sample.time).collect();
        times.sort_unstable();
        // Frames are counted from the first whose middle is shown, as in `times`.
        let hidden = if video.edits.is_empty() {
            0
        } else {
            let middles = times.windows(2).map(|pair| i64::midpoint(pair[0], pair[1]));
            middles.take_while(|middle| *middle < window.from).count()
        };
        let place = |frame: u64| usize::try_from(frame).ok()?.checked_add(hidden);
        let (Some(start), Some(end)) = (place(frames.start), place(frames.end)) else {
            return Ok(None);
        };
        // A picture that an edit cuts into has no place of its own on the encoder's clock.
        if !video.edits.is_empty() && times.get(start).is_none_or(|time| *time < window.from) {
            return Ok(None);
        }
        let mut latest = i64::MIN;
        for (index, sample) in samples.iter().enumerate() {
            let here = times.partition_point(|time| *time < sample.time);
            let closed = || {
                let later = samples[index + 1..].iter();
                latest < sample.time
                    && later
                        .take(CLOSED_WITHIN)
                        .all(|other| other.time > sample.time)
            };
            if sample.sync && here > start && here < end && closed() {
                let Some(starts) = times.get(start..=here) else {
                    return Ok(None);
                };
                let over = times.get(end).copied().unwrap_or(i64::MAX);
                let needed = samples.iter().rposition(|other| other.time <= over);
                return Ok(Some(Seam {
                    head: FrameRange {
                        start: frames.start,
                        end: frames.start + (here - start) as u64,
                    },
                    starts: starts.to_vec(),
                    samples: (index, needed.map_or(samples.len(), |last| last + 1)),
                }));
            }
            latest = latest.max(sample.time);
        }
        Ok(None)
    }

    /// The pictures alone, and shown longer than they are wanted: whoever takes them counts.
    ///
    /// GStreamer 1.22 shows nothing of a file whose edit begins further on in the media than the
    /// whole movie is long.
    #[must_use]
    pub fn pictures(&self) -> Self {
        let mut track = self.tracks[self.picture].clone();
        track.shown = self.duration.saturating_add(track.media_time);
        Self {
            timescale: self.timescale,
            duration: track.shown,
            tracks: vec![track],
            picture: 0,
            begins_with_key: self.begins_with_key,
        }
    }
}

impl<'a> TrackCut<'a> {
    /// The samples from `first` up to `last`, of which showing begins at `start`.
    fn of(track: &'a Track<'a>, (first, last): (usize, usize), start: i64) -> Result<Self, Error> {
        let mut chunks: Vec<Chunk> = Vec::new();
        let longest = u64::from((track.timescale / CHUNKS_PER_SECOND).max(1));
        let mut origin = None;
        let mut lowest = 0;
        for sample in track.samples.iter().take(last).skip(first) {
            let origin = *origin.get_or_insert(sample.decode_time);
            let at = u64::try_from(sample.decode_time.saturating_sub(origin))
                .map_err(|_| Error::Damaged)?;
            lowest = lowest.min(sample.time.saturating_sub(origin));
            if chunks.len() > CHUNKS_MAX {
                return Err(Error::TooManyPictures);
            }
            match chunks.last_mut() {
                Some(chunk) if chunk.duration < longest => chunk.push(&sample),
                _ => {
                    let mut chunk = Chunk {
                        start: at,
                        duration: 0,
                        spans: Vec::new(),
                    };
                    chunk.push(&sample);
                    chunks.push(chunk);
                }
            }
        }
        let shift = lowest.saturating_neg();
        let media_time = start
            .saturating_sub(origin.unwrap_or(start))
            .saturating_add(shift);
        Ok(Self {
            track,
            chunks,
            delay: 0,
            media_time: u64::try_from(media_time).map_err(|_| Error::Damaged)?,
            shown: 0,
            shift,
            parameter_sets: None,
        })
    }

    /// The copied samples behind `seam`, all of them of the source.
    ///
    /// # Errors
    /// The index is damaged.
    pub fn behind(track: &'a Track<'a>, seam: &Seam) -> Result<Self, Error> {
        let start = seam.starts.last().copied().ok_or(Error::Damaged)?;
        Self::of(track, seam.samples, start)
    }

    /// Everything that is copied of it, span by span.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.chunks.iter().flat_map(|chunk| &chunk.spans)
    }
}

impl Chunk {
    fn push(&mut self, sample: &Sample) {
        self.duration = self.duration.saturating_add(u64::from(sample.duration));
        let composition = sample.time.saturating_sub(sample.decode_time);
        if let Some(span) = self.spans.last_mut() {
            let behind = span.offset.saturating_add(span.bytes());
            if span.file == 0
                && span.size == sample.size
                && span.duration == sample.duration
                && span.composition == composition
                && span.sync == sample.sync
                && behind == sample.offset
                && span.count < u32::MAX
            {
                span.count += 1;
                return;
            }
        }
        self.spans.push(Span {
            file: 0,
            offset: sample.offset,
            count: 1,
            size: sample.size,
            duration: sample.duration,
            composition,
            sync: sample.sync,
        });
    }

    pub fn samples(&self) -> u32 {
        (self.spans.iter()).fold(0, |sum: u32, span| sum.saturating_add(span.count))
    }
}

impl Span {
    pub fn bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(self.size)
    }
}

impl Window {
    fn of(track: &Track<'_>, movie_timescale: u32) -> Result<Self, Error> {
        let mut wait = 0_u64;
        let mut window = None;
        for edit in &track.edits {
            match edit.media_time {
                None if window.is_none() => wait = wait.saturating_add(edit.duration),
                // A wait behind everything shows nothing.
                None => {}
                Some(_) if window.is_some() || !edit.normal_speed => return Err(Error::Edits),
                Some(from) => {
                    let from = i64::try_from(from).map_err(|_| Error::Damaged)?;
                    let length = scaled(edit.duration, movie_timescale, track.timescale)?;
                    window = Some(Self {
                        from,
                        to: (edit.duration > 0).then(|| from.saturating_add(length)),
                        base: scaled(wait, movie_timescale, track.timescale)?,
                    });
                }
            }
        }
        Ok(window.unwrap_or(Self {
            from: 0,
            to: None,
            base: 0,
        }))
    }
}

/// `ticks` of a second's `from` parts in `to` parts, to the nearest.
fn scaled(ticks: u64, from: u32, to: u32) -> Result<i64, Error> {
    let from = u128::from(from.max(1));
    let ticks = (u128::from(ticks) * u128::from(to) + from / 2) / from;
    i64::try_from(ticks).map_err(|_| Error::Damaged)
}

/// When the first of `frames` is shown and when the last is over, in ticks of the track.
///
/// Counts as the probe does: a picture is shown if its middle lies in the window.
fn times(
    video: &Track<'_>,
    window: Window,
    probed: u64,
    frames: FrameRange,
) -> Result<(i64, i64), Error> {
    let (times, end) = in_order(video).map_err(|_| Error::TooManyPictures)?;
    let middle = |index: usize| {
        let next = times.get(index + 1).copied().unwrap_or(end);
        i64::midpoint(times[index], next)
    };
    let edited = !video.edits.is_empty();
    let shown = |index: &usize| {
        let middle = middle(*index);
        !edited || (middle >= window.from && window.to.is_none_or(|to| middle < to))
    };
    let shown: Vec<usize> = (0..times.len()).filter(shown).collect();
    let count = u64::try_from(shown.len()).unwrap_or(u64::MAX);
    if count != probed || !frames.is_within(count) {
        let shown = count;
        return Err(Error::Pictures { shown, probed });
    }
    let at = |frame: u64| {
        let index = usize::try_from(frame).ok()?;
        shown.get(index).map(|index| times[*index])
    };
    let begin = at(frames.start).ok_or(Error::Damaged)?;
    // An edit may begin or end within a picture.
    let begin = if edited {
        begin.max(window.from)
    } else {
        begin
    };
    let over = at(frames.end).unwrap_or_else(|| {
        let last = shown.last().map_or(0, |index| index + 1);
        let over = times.get(last).copied().unwrap_or(end);
        window.to.map_or(over, |to| over.min(to))
    });
    if over <= begin {
        return Err(Error::Damaged);
    }
    Ok((begin, over))
}

/// The first sample to copy and the one behind the last: those that show from `start` to `end`,
/// and those they need, `settle` ticks before and back to where decoding can begin.
fn indices(
    track: &Track<'_>,
    settle: i64,
    start: i64,
    end: i64,
    ends_with_next: bool,
) -> Result<(usize, usize), Error> {
    let settled = start.saturating_sub(settle);
    let mut first = None;
    let mut last = 0;
    for (index, sample) in track.samples.iter().enumerate() {
        if sample.sync && (sample.time <= settled || first.is_none()) {
            first = Some(index);
        }
        let over = sample.time.saturating_add(i64::from(sample.duration));
        let within = sample.time < end || (ends_with_next && sample.time == end);
        if within && (sample.time >= start || over > start) {
            last = index + 1;
        }
    }
    let first = first.ok_or(Error::NoStart)?;
    if track.kind == Kind::Video && first >= last {
        return Err(Error::NoStart);
    }
    Ok((first.min(last), last))
}

/// What of `track` belongs to a stretch of the movie: ticks per second, begin and length.
fn beside<'a>(
    track: &'a Track<'a>,
    movie_timescale: u32,
    (timescale, begin, duration): (u32, i64, u64),
) -> Result<TrackCut<'a>, Error> {
    let window = Window::of(track, movie_timescale)?;
    let own = |ticks: i64| {
        let length = scaled(ticks.unsigned_abs(), timescale, track.timescale)?;
        Ok::<_, Error>(if ticks < 0 { -length } else { length })
    };
    let from = own(begin)?;
    let length = i64::try_from(duration).map_err(|_| Error::Damaged)?;
    let to = from.saturating_add(own(length)?);
    // From the start of the movie to the media, in ticks of the track.
    let wait = window.base.saturating_sub(from).max(0);
    let within = from.saturating_sub(window.base).max(0);
    let start = window.from.saturating_add(within);
    let mut end = window.from.saturating_add(to).saturating_sub(window.base);
    if let Some(limit) = window.to {
        end = end.min(limit);
    }
    let is_sound = track.kind == Kind::Sound;
    let settle = if is_sound && track.samples.is_all_sync() && !is_plain(track) {
        i64::try_from(u64::from(track.timescale) * PREROLL_MS / 1000).unwrap_or(0)
    } else {
        0
    };
    if is_sound && is_old(track) {
        return Err(Error::OldSound);
    }
    if end <= start {
        // It is silent all along.
        return Ok(TrackCut {
            track,
            chunks: Vec::new(),
            delay: duration,
            media_time: 0,
            shown: 0,
            shift: 0,
            parameter_sets: None,
        });
    }
    let with_next = track.kind == Kind::Video;
    let chosen = indices(track, settle, start, end, with_next)?;
    let mut cut = TrackCut::of(track, chosen, start)?;
    let copied = (cut.chunks.iter()).fold(0_u64, |sum, chunk| sum.saturating_add(chunk.duration));
    let length = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
    let ends = cut.media_time.saturating_add(length);
    let heard = ends.min(copied).saturating_sub(cut.media_time);
    let back = |ticks: u64| {
        let ticks = scaled(ticks, track.timescale, timescale)?;
        u64::try_from(ticks).map_err(|_| Error::Damaged)
    };
    cut.delay = back(u64::try_from(wait).unwrap_or(0))?.min(duration);
    cut.shown = back(heard)?.min(duration - cut.delay);
    Ok(cut)
}

/// Sound without coding: one sample is one moment.
fn is_plain(track: &Track<'_>) -> bool {
    track.samples.iter().next().is_some_and(|s| s.duration == 1)
}

/// Old files give such sound a size of one byte and mean a whole sample of all channels.
fn is_old(track: &Track<'_>) -> bool {
    is_plain(track)
        && track.samples.iter().next().is_some_and(|s| s.size == 1)
        && !matches!(&track.codec, b"raw " | b"ulaw" | b"alaw")
}
