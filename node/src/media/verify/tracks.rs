//! Reads CMAF tracks back and holds their times against the source.

use std::fs::File;
use std::path::Path;

use protocol::manifest::{KeyPicture, Manifest, Segment, Track, TrackKind};
use protocol::media::Rendition;
use protocol::probe::VideoTrack;
use protocol::worker::{AudioTask, LadderTask};

use super::boxes::{self, Defaults, Fragment, Head, Init};
use super::{Error, io_error, read_at, read_bounded};

/// Largest init segment and largest `moof`.
const HEADER_MAX: u64 = 16 << 20;
/// By how much sound may be longer or shorter than sound and picture of the source: containers
/// round the length of their sound, and encoders start and end in whole frames.
const AUDIO_SLACK_MS: u64 = 250;
const AUDIO_NAME: &str = "audio";

/// The times of a track, in its ticks: the starts of its segments and the end of the last.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    starts: Vec<u64>,
    end: u64,
}

impl Times {
    fn start(&self) -> u64 {
        self.starts.first().copied().unwrap_or(self.end)
    }
}

/// Every rendition has all the frames, at their times, cut at the same places. Notes where pictures
/// lie that decode alone.
pub(super) fn ladder(
    folder: &Path,
    manifest: &mut Manifest,
    task: &LadderTask,
) -> Result<(), Error> {
    Error::unless_equal("the number of posters", &0, &manifest.stills.len())?;
    let range = |frames: &Option<protocol::media::FrameRange>| match frames {
        Some(frames) => format!("frames {} to {}", frames.start, frames.end),
        None => "no frames".to_owned(),
    };
    let wanted = range(&Some(task.frames));
    Error::unless_equal("the covered range", &wanted, &range(&manifest.frames))?;
    let (wanted, found) = (task.all().count(), manifest.tracks.len());
    Error::unless_equal("the number of tracks", &wanted, &found)?;

    let mut first: Option<(u32, Times)> = None;
    for (rendition, track) in task.all().zip(&mut manifest.tracks) {
        let times = video(folder, track, rendition, task)?;
        match &first {
            None => first = Some((track.timescale, times)),
            Some((timescale, same)) => {
                let name = &track.name;
                let what = format!("the timescale of {name}");
                Error::unless_equal(what, timescale, &track.timescale)?;
                if times != *same {
                    return Err(Error::mismatch(
                        format!("the list of segment starts of {name}"),
                        "the same as on the other renditions",
                        "different",
                    ));
                }
            }
        }
    }
    Ok(())
}

fn video(
    folder: &Path,
    track: &mut Track,
    rendition: &Rendition,
    task: &LadderTask,
) -> Result<Times, Error> {
    let source = &task.probe.video;
    let name = &track.name;
    Error::unless_equal("the name of the track", &rendition.name, name)?;
    let wanted = format!("{} at {} fps", rendition.resolution, source.frame_rate);
    let found = match &track.kind {
        TrackKind::Video {
            resolution,
            frame_rate,
        } => format!("{resolution} at {frame_rate} fps"),
        TrackKind::Audio { .. } => "sound".to_owned(),
    };
    Error::unless_equal(format!("the picture of {name}"), &wanted, &found)?;
    Error::unless_equal(
        format!("the number of frames of {name}"),
        &task.frames.len(),
        &track.frames(),
    )?;
    let init = init(folder, track, *b"vide")?;
    let sides = (rendition.resolution.width, rendition.resolution.height);
    if (init.width, init.height) != sides {
        let found = format!("{}x{}", init.width, init.height);
        let what = format!("the size in {}", track.init.name);
        return Err(Error::mismatch(what, rendition.resolution, found));
    }
    let (times, keys) = read(folder, track, &init)?;
    for (segment, keys) in track.segments.iter_mut().zip(keys) {
        segment.keys = keys;
    }
    if source.variable_frame_rate {
        variable_times(track, &times, task)?;
    } else {
        constant_times(track, &times, task)?;
    }
    Ok(times)
}

/// Each segment begins at a frame of the grid and at the time of that frame.
fn constant_times(track: &Track, times: &Times, task: &LadderTask) -> Result<(), Error> {
    let mut frame = task.frames.start;
    for (segment, start) in track.segments.iter().zip(&times.starts) {
        let name = &segment.object.name;
        at_frame(format!("the start of {name}"), frame, *start, track, task)?;
        let (fits, expected) = if task.cuts.is_empty() {
            let segment = u64::from(task.segment_frames.max(1));
            let expected = format!("a multiple of {segment}");
            (frame.is_multiple_of(segment), expected)
        } else {
            let expected = "a key picture of the source".to_owned();
            (task.cuts.binary_search(&frame).is_ok(), expected)
        };
        if !fits {
            return Err(Error::mismatch(
                format!("the first frame of {name}"),
                expected,
                frame,
            ));
        }
        frame += u64::from(segment.frames);
    }
    let what = format!("the end of {}", track.name);
    at_frame(what, task.frames.end, times.end, track, task)
}

/// `ticks` is where frame `frame` begins; within a tick where the timescale cannot say it exactly.
fn at_frame(
    what: String,
    frame: u64,
    ticks: u64,
    track: &Track,
    task: &LadderTask,
) -> Result<(), Error> {
    let rate = task.probe.video.frame_rate;
    let (num, den) = (u128::from(rate.num()), u128::from(rate.den()));
    let exact = u128::from(frame) * u128::from(track.timescale) * den;
    let off = (u128::from(ticks) * num).abs_diff(exact);
    // Less than one tick: `num` is one tick here.
    if off < num {
        Ok(())
    } else {
        Err(Error::mismatch(
            what,
            format!("tick {}", exact / num),
            format!("tick {ticks}"),
        ))
    }
}

/// Frame times are the source's own; the whole must be as long, within one frame.
fn variable_times(track: &Track, times: &Times, task: &LadderTask) -> Result<(), Error> {
    let source: &VideoTrack = &task.probe.video;
    if task.frames.start == 0 {
        let what = format!("the start of {}", track.name);
        Error::unless_equal(what, &0, &times.start())?;
    }
    if task.frames.start == 0 && task.frames.end == source.frames {
        let found_ns = ticks_to_ns(times.end, track.timescale);
        let frame_ns = source.frame_rate.frame_to_ns(1);
        if found_ns.abs_diff(source.duration_ns) > frame_ns {
            return Err(Error::mismatch(
                format!("the length of {}", track.name),
                millis(source.duration_ns),
                millis(found_ns),
            ));
        }
    }
    Ok(())
}

/// One sound track, from 0 on, as long as the source.
pub(super) fn audio(folder: &Path, manifest: &Manifest, task: &AudioTask) -> Result<(), Error> {
    Error::unless_equal("the number of posters", &0, &manifest.stills.len())?;
    let [track] = manifest.tracks.as_slice() else {
        let found = manifest.tracks.len();
        return Err(Error::mismatch("the number of tracks", 1, found));
    };
    Error::unless_equal("the name of the track", &AUDIO_NAME.to_owned(), &track.name)?;
    let TrackKind::Audio { sample_rate, .. } = track.kind else {
        return Err(Error::mismatch("the track", "sound", "pictures"));
    };
    Error::unless_equal("the timescale of the sound", &sample_rate, &track.timescale)?;
    let init = init(folder, track, *b"soun")?;
    let (times, _) = read(folder, track, &init)?;
    Error::unless_equal("the start of the sound", &0, &times.start())?;

    let picture_ns = task.probe.video.duration_ns;
    let source = task.probe.audio.get(usize::from(task.track));
    let sound_ns = source.map_or(picture_ns, |source| source.duration_ns);
    let slack_ns = AUDIO_SLACK_MS * 1_000_000;
    let shortest = picture_ns.min(sound_ns).saturating_sub(slack_ns);
    let longest = picture_ns.max(sound_ns).saturating_add(slack_ns);
    let found_ns = ticks_to_ns(times.end, track.timescale);
    if (shortest..=longest).contains(&found_ns) {
        Ok(())
    } else {
        let expected = format!("between {} and {}", millis(shortest), millis(longest));
        Err(Error::mismatch(
            "the length of the sound",
            expected,
            millis(found_ns),
        ))
    }
}

fn init(folder: &Path, track: &Track, handler: [u8; 4]) -> Result<Init, Error> {
    let name = &track.init.name;
    in_folder(track, name)?;
    let bytes = read_bounded(&folder.join(name), HEADER_MAX)?;
    let init = Init::parse(&bytes).map_err(|source| Error::Boxes {
        name: name.clone(),
        source,
    })?;
    let what = format!("the timescale in {name}");
    Error::unless_equal(what, &track.timescale, &init.timescale)?;
    let text = |kind: [u8; 4]| String::from_utf8_lossy(&kind).into_owned();
    let what = format!("the kind of track in {name}");
    Error::unless_equal(what, &text(handler), &text(init.handler))?;
    Ok(init)
}

/// The files of a track lie in the folder of its name.
fn in_folder(track: &Track, name: &str) -> Result<(), Error> {
    match name.split_once('/') {
        Some((folder, _)) if folder == track.name => Ok(()),
        _ => Err(Error::Name(name.to_owned())),
    }
}

/// Reads all segments; they follow each other without gap or overlap. Beside their times it gives
/// the pictures of each that decode alone.
fn read(folder: &Path, track: &Track, init: &Init) -> Result<(Times, Vec<Vec<KeyPicture>>), Error> {
    if track.segments.is_empty() {
        let what = format!("the number of segments of {}", track.name);
        return Err(Error::mismatch(what, "at least 1", 0));
    }
    let mut starts = Vec::with_capacity(track.segments.len());
    let mut all_keys = Vec::with_capacity(track.segments.len());
    let mut at = None;
    for segment in &track.segments {
        in_folder(track, &segment.object.name)?;
        let mut keys = Vec::new();
        let (start, end) = read_segment(folder, segment, init.defaults, at, &mut keys)?;
        starts.push(start);
        all_keys.push(keys);
        at = Some(end);
    }
    let end = at.unwrap_or_default();
    Ok((Times { starts, end }, all_keys))
}

/// The start and end of a segment that should begin at `at`, if that is known.
/// Adds the pictures to `keys` that stand first in their fragment and decode alone.
fn read_segment(
    folder: &Path,
    segment: &Segment,
    defaults: Defaults,
    mut at: Option<u64>,
    keys: &mut Vec<KeyPicture>,
) -> Result<(u64, u64), Error> {
    let name = &segment.object.name;
    let path = folder.join(name);
    let file = File::open(&path).map_err(|source| io_error(&path, source))?;
    let damaged = |source| Error::Boxes {
        name: name.clone(),
        source,
    };
    let size = segment.object.size_bytes;
    let mut first = None;
    let mut shown = Vec::new();
    let mut open: Option<(u64, Fragment)> = None;
    let mut position = 0;
    while position < size {
        let left = size - position;
        let count = usize::try_from(left.min(Head::MAX as u64)).unwrap_or(Head::MAX);
        let bytes = read_at(&file, &path, position, count)?;
        let head = Head::parse(&bytes, left).map_err(damaged)?;
        match &head.kind {
            b"moof" => {
                if open.is_some() {
                    return Err(damaged(boxes::Error::Missing("mdat")));
                }
                let body_bytes = head.size_bytes - head.head_bytes;
                if body_bytes > HEADER_MAX {
                    let what = format!("the largest fragment head of {name} in bytes");
                    return Err(Error::mismatch(
                        what,
                        format!("at most {HEADER_MAX}"),
                        body_bytes,
                    ));
                }
                let count = usize::try_from(body_bytes).unwrap_or_default();
                let body = read_at(&file, &path, position + head.head_bytes, count)?;
                let fragment = Fragment::parse(&body, defaults).map_err(damaged)?;
                if first.is_none() && !fragment.samples.first().is_some_and(|s| s.sync) {
                    let what = format!("the first frame of {name}");
                    return Err(Error::mismatch(what, "a key frame", "none"));
                }
                if let Some(at) = at {
                    let what = format!("the start of a fragment in {name}");
                    Error::unless_equal(what, &at, &fragment.start)?;
                }
                first.get_or_insert(fragment.start);
                at = Some(fragment.start.saturating_add(fragment.duration()));
                shown.extend(fragment.presentation());
                open = Some((head.size_bytes, fragment));
            }
            b"mdat" => {
                let Some((moof_bytes, fragment)) = open.take() else {
                    return Err(damaged(boxes::Error::Missing("moof")));
                };
                let data = head.size_bytes - head.head_bytes;
                let samples = fragment.size_bytes();
                if samples != data {
                    return Err(damaged(boxes::Error::Data { samples, data }));
                }
                let expected = i64::try_from(moof_bytes + head.head_bytes).unwrap_or(i64::MAX);
                let found = fragment.data_offset;
                if found != expected {
                    return Err(damaged(boxes::Error::Offset { found, expected }));
                }
                if let Some(sample) = fragment.samples.first().filter(|sample| sample.sync) {
                    let began = first.unwrap_or(fragment.start);
                    let at = i128::from(fragment.start - began) + i128::from(sample.offset);
                    keys.push(KeyPicture {
                        offset: position - moof_bytes,
                        size_bytes: moof_bytes + head.head_bytes + u64::from(sample.size),
                        at: u64::try_from(at).unwrap_or(0),
                    });
                }
            }
            _ => {}
        }
        position += head.size_bytes;
    }
    let (Some(start), Some(end), None) = (first, at, &open) else {
        return Err(damaged(boxes::Error::Missing("mdat")));
    };
    let what = format!("the number of frames in {name}");
    Error::unless_equal(what, &(segment.frames as usize), &shown.len())?;
    let what = format!("the length of {name} in ticks");
    Error::unless_equal(what, &segment.duration, &end.saturating_sub(start))?;
    presented(name, &mut shown, start, end)?;
    Ok((start, end))
}

/// Each frame has a time of its own within the segment, the first its start.
fn presented(name: &str, shown: &mut [i128], start: u64, end: u64) -> Result<(), Error> {
    shown.sort_unstable();
    let first = shown.first().copied().unwrap_or_default();
    let what = format!("the first presented tick of {name}");
    Error::unless_equal(what, &i128::from(start), &first)?;
    let distinct = shown.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = shown.last().is_some_and(|last| *last < i128::from(end));
    if distinct && inside {
        Ok(())
    } else {
        let what = format!("the presentation times in {name}");
        Err(Error::mismatch(
            what,
            "distinct and inside the segment",
            "not",
        ))
    }
}

fn ticks_to_ns(ticks: u64, timescale: u32) -> u64 {
    let ns = u128::from(ticks) * 1_000_000_000 / u128::from(timescale.max(1));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

fn millis(ns: u64) -> String {
    format!("{} ms", ns / 1_000_000)
}
