//! Subclips of files of every kind: what is cut out shows exactly those pictures of the source.

use std::path::{Path, PathBuf};

use gst::prelude::*;
use gst_video::prelude::*;
use node::media::graph;
use node::worker::container::layout::Layout;
use node::worker::container::movie::Movie;
use node::worker::probe::codec::VideoCodec;
use protocol::clip::{Clock, Mode};
use protocol::failure::Failure;
use protocol::id::BlobHash;
use protocol::manifest::Manifest;
use protocol::media::FrameRange;
use protocol::probe::Probe;
use protocol::worker::{ClipTask, Encoder, Request, Task};

use super::media::{Case, case, cases};
use super::probe;

/// Cuts `frames` out of `source`; the folder lives as long as the file is wanted.
pub(crate) fn cut(
    source: &Path,
    probe: &Probe,
    frames: FrameRange,
    mode: Mode,
) -> Result<(tempfile::TempDir, PathBuf), Failure> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let size_bytes = source.metadata().expect("it is there").len();
    let encode = (mode != Mode::Instant).then(|| {
        let task = graph::clip::encode(probe, size_bytes, frames, 2, Encoder::X264);
        Box::new(task.expect("the source is decoded"))
    });
    let task = Task::Clip(ClipTask {
        probe: probe.clone(),
        size_bytes,
        encode,
        frames,
        mode,
    });
    let request = Request {
        input: text(source),
        filename: "holiday.mp4".to_owned(),
        output: text(folder.path()),
        task: task.clone(),
    };
    node::worker::render(&request, &mut |_| ())?;
    let manifest: Manifest =
        node::media::verify::unit(folder.path(), &task).expect("the parent agrees");
    let name = manifest.clip.expect("there is a file").name;
    let path = folder.path().join(name);
    Ok((folder, path))
}

/// When each picture is shown, from the first on, and the hash of its pixels.
fn pictures(path: &Path) -> Vec<(u64, BlobHash)> {
    let sample = |sample: &gst::Sample| {
        let buffer = sample.buffer().expect("a sample has one");
        let segment = sample.segment().expect("a sample has one");
        let segment = segment.downcast_ref::<gst::ClockTime>().expect("in time");
        let at = segment.to_running_time(buffer.pts());
        let caps = sample.caps().expect("a sample has some");
        let info = gst_video::VideoInfo::from_caps(caps).expect("raw pictures");
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info);
        (
            at.map_or(0, gst::ClockTime::nseconds),
            hash(&frame.expect("readable")),
        )
    };
    let mut pictures = decode(path, Wanted::Pictures, sample);
    pictures.sort_unstable();
    from_zero(pictures)
}

fn from_zero(pictures: Vec<(u64, BlobHash)>) -> Vec<(u64, BlobHash)> {
    let first = pictures.first().map_or(0, |(at, _)| *at);
    let moved = pictures.into_iter().map(|(at, hash)| (at - first, hash));
    moved.collect()
}

/// What a player that honours edit lists shows of `path`.
///
/// Everything is decoded and the edit list applied here: GStreamer 1.22 shows nothing of a file
/// whose edit begins further on in the media than the whole movie is long.
fn shown(path: &Path) -> Vec<(u64, BlobHash)> {
    let (plain, from, to) = unedited(path);
    let sample = |sample: &gst::Sample| {
        let buffer = sample.buffer().expect("a sample has one");
        let caps = sample.caps().expect("a sample has some");
        let info = gst_video::VideoInfo::from_caps(caps).expect("raw pictures");
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info);
        let at = buffer.pts().map_or(0, gst::ClockTime::nseconds);
        (at, hash(&frame.expect("readable")))
    };
    let mut all = decode(&plain, Wanted::Pictures, sample);
    all.sort_unstable();
    // Times are rounded to nanoseconds.
    all.retain(|(at, _)| at + 1000 >= from && at + 1000 < to);
    from_zero(all)
}

/// The same, small and grey.
pub(crate) fn shown_grey(path: &Path) -> Vec<Vec<u8>> {
    let (plain, from, to) = unedited(path);
    let mut all = timed_grey(&plain);
    all.retain(|(at, _)| at + 1000 >= from && at + 1000 < to);
    all.into_iter().map(|(_, picture)| picture).collect()
}

/// All pictures, small, square and grey, in order.
pub(crate) fn grey(path: &Path) -> Vec<Vec<u8>> {
    let all = timed_grey(path);
    all.into_iter().map(|(_, picture)| picture).collect()
}

fn timed_grey(path: &Path) -> Vec<(u64, Vec<u8>)> {
    // A decoder gives them out in order.
    decode(path, Wanted::Grid, |sample| {
        let buffer = sample.buffer().expect("a sample has one");
        let at = buffer.pts().map_or(0, gst::ClockTime::nseconds);
        (at, buffer.map_readable().expect("readable").to_vec())
    })
}

/// The file without its edit list, and from when to when that shows it, in nanoseconds.
fn unedited(path: &Path) -> (PathBuf, u64, u64) {
    let mut bytes = std::fs::read(path).expect("it is there");
    let end = bytes.len() as u64;
    let mut reader = std::io::Cursor::new(&bytes);
    let layout = Layout::scan(&mut reader, end).expect("memory can be read");
    let range = layout.moov.expect("there is an index");
    let place = |at: u64| usize::try_from(at).expect("a small file");
    let range = place(range.start)..place(range.end);
    let movie = Movie::parse(&bytes[range.clone()]).expect("an index");
    let video = movie.video().expect("a picture track");
    let edit = video.edits.iter().find(|edit| edit.media_time.is_some());
    let edit = edit.expect("a subclip has one");
    let ns = |ticks: u64, timescale: u32| ticks * 1_000_000_000 / u64::from(timescale);
    let from = edit.media_time.expect("asked for above");
    let from = ns(from, video.timescale);
    let to = from + ns(edit.duration, movie.timescale);
    // Longer than all of it, in ticks of the movie.
    let whole = video.duration + edit.media_time.unwrap_or(0);
    let whole = whole * u64::from(movie.timescale) / u64::from(video.timescale) + edit.duration;
    // The picture track comes first in these files. The edit: a count, length and media time.
    let index = &bytes[range.clone()];
    let list = index.windows(4).position(|word| word == b"elst");
    let entry = range.start + list.expect("there is an edit") + 4 + 8;
    bytes[entry..entry + 8].copy_from_slice(&whole.to_be_bytes());
    bytes[entry + 8..entry + 16].copy_from_slice(&0_u64.to_be_bytes());
    // Version 1: version, two dates and the time scale stand before the duration.
    let mvhd = range.start + 8 + 4 + 8 + 8 + 4;
    bytes[mvhd..mvhd + 8].copy_from_slice(&whole.to_be_bytes());
    let plain = path.with_extension("plain");
    std::fs::write(&plain, &bytes).expect("it can be written");
    (plain, from, to)
}

/// Without what lies between the end of a line and the beginning of the next.
fn hash(frame: &gst_video::VideoFrameRef<&gst::BufferRef>) -> BlobHash {
    let mut seen = Vec::new();
    let bytes = |number: i32| usize::try_from(number).expect("lines go forwards");
    for (plane, stride) in (0..frame.n_planes()).zip(frame.plane_stride()) {
        let component = (0..frame.n_components())
            .find(|component| frame.format_info().plane()[*component as usize] == plane)
            .expect("a plane has a component");
        let width = frame.comp_width(component) as usize * bytes(frame.comp_pstride(component));
        let data = frame.plane_data(plane).expect("mapped");
        let lines = data.chunks(bytes(*stride));
        for line in lines.take(frame.comp_height(component) as usize) {
            seen.extend_from_slice(&line[..width]);
        }
    }
    BlobHash::of(&seen)
}

/// All sound of the first track, as 16 bit samples.
fn sound(path: &Path) -> Vec<u8> {
    let bytes = decode(path, Wanted::Sound, |sample| {
        let buffer = sample.buffer().expect("a sample has one");
        buffer.map_readable().expect("readable").to_vec()
    });
    bytes.concat()
}

/// What of a file is decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Pictures,
    Sound,
    /// Small and grey, to be compared with those of another coding.
    Thumbnails,
    /// Small, square and grey.
    Grid,
}

/// All pictures, small and grey.
fn thumbnails(path: &Path) -> Vec<Vec<u8>> {
    let mut pictures = decode(path, Wanted::Thumbnails, |sample| {
        let buffer = sample.buffer().expect("a sample has one");
        let at = buffer.pts().map_or(0, gst::ClockTime::nseconds);
        (at, buffer.map_readable().expect("readable").to_vec())
    });
    pictures.sort_unstable();
    pictures.into_iter().map(|(_, picture)| picture).collect()
}

fn distance(one: &[u8], other: &[u8]) -> u64 {
    let pairs = one.iter().zip(other);
    pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
}

fn decode<T: Send + 'static>(
    path: &Path,
    wanted: Wanted,
    take: impl Fn(&gst::Sample) -> T + Send + 'static,
) -> Vec<T> {
    let pipeline = gst::parse::launch("filesrc name=source ! qtdemux name=demux")
        .expect("the demuxer is installed");
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let source = pipeline.by_name("source").expect("named above");
    source.set_property("location", path);
    let demux = pipeline.by_name("demux").expect("named above");
    let weak = pipeline.downgrade();
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .build();
    // Before the start, since it gives nothing while it sleeps.
    pipeline.add(&sink).expect("a new sink");
    let end = sink.clone();
    demux.connect_pad_added(move |_, pad| {
        let pipeline = weak.upgrade().expect("running");
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let codec = VideoCodec::of(&caps);
        let raw = caps.to_string().contains("x-raw");
        let text = match (codec, wanted) {
            (Some(codec), Wanted::Pictures | Wanted::Thumbnails | Wanted::Grid) => {
                let parser = codec
                    .parser
                    .map_or_else(String::new, |name| format!("{name} ! "));
                let small = match wanted {
                    Wanted::Thumbnails => {
                        " ! videoconvert ! videoscale ! capsfilter caps=video/x-raw,format=GRAY8,width=64,height=36"
                    }
                    Wanted::Grid => {
                        " ! videoconvert ! videoscale method=bilinear add-borders=false ! capsfilter caps=video/x-raw,format=GRAY8,width=16,height=16"
                    }
                    _ => "",
                };
                format!(
                    "{parser}{}{small}",
                    codec.decoder().expect("the decoder is installed")
                )
            }
            (None, Wanted::Sound) if pad.name() == "audio_0" => {
                let decoder = if raw {
                    "identity"
                } else {
                    "aacparse ! avdec_aac"
                };
                format!("{decoder} ! audioconvert ! capsfilter caps=audio/x-raw,format=S16LE")
            }
            _ => "fakesink sync=false async=false".to_owned(),
        };
        let is_wanted = !text.starts_with("fakesink");
        let bin =
            gst::parse::bin_from_description(&format!("queue ! {text}"), true).expect("a bin");
        pipeline.add(&bin).expect("a new bin");
        if is_wanted {
            bin.link(&end).expect("the pads fit");
        }
        bin.sync_state_with_parent().expect("the bin starts");
        pad.link(&bin.static_pad("sink").expect("a ghost pad"))
            .expect("the pads fit");
    });
    let _started = pipeline.set_state(gst::State::Playing);
    let mut taken = Vec::new();
    let bus = pipeline.bus().expect("a pipeline has one");
    loop {
        match sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            Some(sample) => taken.push(take(&sample)),
            None if sink.is_eos() => break,
            None => {
                if let Some(error) = bus.pop_filtered(&[gst::MessageType::Error]) {
                    panic!("{}: {error:?}", path.display());
                }
            }
        }
    }
    let _stopped = pipeline.set_state(gst::State::Null);
    taken
}

/// Ranges that begin and end at every kind of place.
fn ranges(frames: u64) -> Vec<FrameRange> {
    let range = |start, end| FrameRange { start, end };
    let mut ranges = vec![
        range(0, 1),
        range(0, frames),
        range(frames - 1, frames),
        range(frames / 3, 2 * frames / 3 + 1),
        range(1, 2),
    ];
    ranges.retain(|range| range.is_within(frames));
    ranges.dedup();
    ranges
}

fn check(case: &Case, mode: Mode) -> Result<(), String> {
    let path = case.file();
    let source = probe(&path).expect("the case is good");
    let all = pictures(&path);
    for frames in ranges(source.video.frames) {
        let place = format!("{}-{}", frames.start, frames.end);
        let fail = |what: String| Err(format!("{place}: {what}"));
        let (_folder, file) = cut(&path, &source, frames, mode)
            .map_err(|failure| format!("{place}: {} {}", failure.code, failure.message))?;
        facts_agree(&file, &source, frames).map_err(|what| format!("{place}: {what}"))?;
        let start = usize::try_from(frames.start).expect("small");
        let end = usize::try_from(frames.end).expect("small");
        let expected = &all[start..end];
        let shown = shown(&file);
        let hashes = |pictures: &[(u64, BlobHash)]| -> Vec<BlobHash> {
            pictures.iter().map(|(_, hash)| *hash).collect()
        };
        if hashes(&shown) != hashes(expected) {
            let place = |hash: &BlobHash| all.iter().position(|(_, known)| known == hash);
            let shown: Vec<_> = hashes(&shown).iter().map(place).collect();
            return fail(format!("shows {shown:?}"));
        }
        for ((at, _), (known, _)) in shown.iter().zip(expected) {
            // Movie ticks are rounded to nanoseconds in both files.
            if at.abs_diff(known - expected[0].0) > 2_000 {
                return fail(format!(
                    "a picture at {at} instead of {}",
                    known - expected[0].0
                ));
            }
        }
    }
    Ok(())
}

/// What the probe finds in a subclip follows from what it found in the source.
fn facts_agree(file: &Path, source: &Probe, frames: FrameRange) -> Result<(), String> {
    let found = match probe(file) {
        Ok(found) => found,
        // See `shown`.
        Err(failure) if failure.code == "undecodable" => return Ok(()),
        Err(failure) => return Err(format!("{failure:?}")),
    };
    let clock = Clock::of(source).expect("a usual rate");
    let wanted = clock.at(frames.start).to_string();
    let told = found.timecode.map(|timecode| timecode.text);
    if told.as_deref() != Some(&wanted) {
        return Err(format!("timecode {told:?} instead of {wanted}"));
    }
    if found.video.frames != frames.len() || found.audio.len() != source.audio.len() {
        return Err(format!("{} frames, {:?}", found.video.frames, found.audio));
    }
    if found.video.rotation != source.video.rotation {
        return Err(format!("rotation {}", found.video.rotation));
    }
    for (one, other) in found.audio.iter().zip(&source.audio) {
        let same = one.codec == other.codec && one.language == other.language;
        if !same || one.channels != other.channels {
            return Err(format!("{one:?} instead of {other:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_copied_subclip_shows_exactly_its_pictures() {
    let mut refused = Vec::new();
    let mut complaints = Vec::new();
    for case in cases() {
        let Ok(path) = case.try_file() else { continue };
        let Ok(facts) = probe(&path) else { continue };
        if !matches!(facts.container.as_str(), "mp4" | "mov") {
            continue;
        }
        match check(&case, Mode::Instant) {
            Ok(()) => {}
            Err(what) if what.contains("clip_not_cut") => refused.push(case.name),
            Err(what) => complaints.push(format!("{}: {what}", case.name)),
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    refused.sort_unstable();
    assert_eq!(refused, ["h264-fragments.mp4"]);
}

#[test]
fn sound_that_is_copied_is_exact_to_the_sample() {
    let path = case("prores-pcm.mov").file();
    let source = probe(&path).expect("the case is good");
    let all = sound(&path);
    // Stereo, 16 bits; 24 pictures of 2002 samples at 48 kHz; the sound ends after a second.
    let frame = 2002 * 4;
    for (start, end) in [(0, 1), (3, 17), (23, 24)] {
        let frames = FrameRange { start, end };
        let (_folder, file) = cut(&path, &source, frames, Mode::Instant).expect("it is cut");
        let start = usize::try_from(start).expect("small") * frame;
        let end = (usize::try_from(end).expect("small") * frame).min(all.len());
        assert_eq!(sound(&file).len(), all[start..end].len(), "{frames:?}");
        assert!(sound(&file) == all[start..end], "{frames:?}");
    }
}

/// Encoded again, picture for picture: each looks most like the one it was made of.
fn looks_alike(name: &str, mode: Mode) {
    let path = case(name).file();
    let source = probe(&path).expect("the case is good");
    let all = thumbnails(&path);
    for frames in ranges(source.video.frames) {
        let (_folder, file) = cut(&path, &source, frames, mode).expect("it is cut");
        let found = probe(&file).expect("it is a video");
        assert_eq!(found.video.codec, "h264", "{name} {frames:?}");
        facts_agree(&file, &source, frames).unwrap_or_else(|what| panic!("{name}: {what}"));
        let shown = thumbnails(&file);
        assert_eq!(shown.len() as u64, frames.len(), "{name} {frames:?}");
        let start = usize::try_from(frames.start).expect("small");
        for (picture, number) in shown.iter().zip(start..) {
            let near = number.saturating_sub(3)..(number + 4).min(all.len());
            let best = near.min_by_key(|other| distance(picture, &all[*other]));
            assert_eq!(best, Some(number), "{name} {frames:?}");
        }
    }
}

#[test]
fn an_encoded_subclip_shows_exactly_its_pictures() {
    for name in [
        "h264-aac.mp4",
        "tc-2997-df.mov",
        "prores-pcm.mov",
        "variable.mp4",
        "edit-list.mp4",
    ] {
        looks_alike(name, Mode::Encode);
    }
}

/// Key pictures lie twelve apart in these files.
#[test]
fn a_smart_subclip_is_encoded_up_to_a_key_picture_and_copied_from_there() {
    for name in ["three-languages.mp4", "tc-2997-df.mov", "edit-list.mp4"] {
        looks_alike(name, Mode::Smart);
    }
    let path = case("h264-aac.mp4").file();
    let source = probe(&path).expect("the case is good");
    let all = pictures(&path);
    let hashes = |pictures: &[(u64, BlobHash)]| -> Vec<BlobHash> {
        pictures.iter().map(|(_, hash)| *hash).collect()
    };
    for (start, end, copied) in [(12, 36, 12), (12, 35, 12), (7, 31, 12), (23, 50, 24)] {
        let frames = FrameRange { start, end };
        let (_folder, file) = cut(&path, &source, frames, Mode::Smart).expect("it is cut");
        let shown = pictures(&file);
        assert_eq!(shown.len() as u64, frames.len());
        let place = |frame: u64| usize::try_from(frame).expect("small");
        let behind = hashes(&shown[place(copied - start)..]);
        let source = hashes(&all[place(copied)..place(end)]);
        assert_eq!(behind, source, "bit for bit behind the seam of {frames:?}");
        let before = hashes(&shown[..place(copied - start)]);
        let source = hashes(&all[place(start)..place(copied)]);
        assert!(before.is_empty() || before != source, "encoded before it");
        let ns = |(at, _): &(u64, BlobHash)| *at;
        for (picture, known) in shown.iter().zip(&all[place(start)..]) {
            let wanted = ns(known) - ns(&all[place(start)]);
            assert!(ns(picture).abs_diff(wanted) < 2000, "{frames:?}");
        }
    }
    looks_alike("h264-aac.mp4", Mode::Smart);
}
