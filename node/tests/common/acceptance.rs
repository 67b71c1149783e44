//! Holds the acceptance set: frame `n` of each proxy shows `n`, a subclip from `a` to `b` shows
//! exactly `a` to `b - 1`, and timecodes, tracks and fields are as they should be.

use std::path::{Path, PathBuf};

use node::media::graph;
use node::media::verify;
use protocol::clip::{Clock, Mode};
use protocol::manifest::{Manifest, Proxy};
use protocol::media::{FrameRange, Rendition};
use protocol::preset::Preset;
use protocol::probe::Probe;
use protocol::worker::{Encoder, LadderTask, Request, Task};

use super::clips::{cut, grey};
use super::numbered::{NUMBERS, Numbered, read, set};
use super::probe;

type Checked = Result<(), String>;

/// `Err` with both unless they are equal.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, found: &T) -> Checked {
    if wanted == found {
        Ok(())
    } else {
        Err(format!("{what}: {found:?} instead of {wanted:?}"))
    }
}

/// The numbers in all pictures of a file.
fn numbers(path: &Path, rotation: u16) -> Vec<Option<u64>> {
    let pictures = grey(path);
    pictures
        .iter()
        .map(|picture| read(picture, rotation))
        .collect()
}

fn counted(range: impl Iterator<Item = u64>) -> Vec<Option<u64>> {
    range.map(|number| Some(number % NUMBERS)).collect()
}

fn facts(case: &Numbered, path: &Path) -> Result<Probe, String> {
    let found = probe(path).map_err(|failure| format!("{}: {}", failure.code, failure.detail))?;
    let video = &found.video;
    let rate = (video.frame_rate.num(), video.frame_rate.den());
    same("frame rate", &case.rate, &rate)?;
    same("frames", &case.frames, &video.frames)?;
    same("varies", &case.keep.is_some(), &video.variable_frame_rate)?;
    same(
        "field order",
        &case.field_order,
        &video.field_order.as_str(),
    )?;
    same("rotation", &case.rotation, &video.rotation)?;
    same("pixel aspect", &case.pixel_aspect, &video.pixel_aspect)?;
    same("high dynamic range", &case.hdr, &video.hdr)?;
    same("bit depth", &case.bit_depth, &video.bit_depth)?;
    let told = found.timecode.as_ref();
    let told = told.map(|told| (told.text.as_str(), told.source.as_str()));
    same("timecode", &case.timecode, &told)?;
    let channels: Vec<u16> = found.audio.iter().map(|track| track.channels).collect();
    same("channels", &case.audio, &channels)?;
    Ok(found)
}

/// An edit proxy by the preset of that name; the folder lives as long as the file is wanted.
pub(crate) fn proxy(
    source: &Path,
    facts: &Probe,
    preset: &Preset,
) -> Result<(tempfile::TempDir, PathBuf, Proxy), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let task = graph::proxy::describe(facts, preset, None, 2).map_err(|e| e.to_string())?;
    let task = Task::Proxy(Box::new(task));
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let request = Request {
        input: text(source),
        filename: "A001_C002.mov".to_owned(),
        output: text(folder.path()),
        task: task.clone(),
    };
    node::worker::render(&request, &mut |_| ())
        .map_err(|failure| format!("{}: {} {}", failure.code, failure.message, failure.detail))?;
    let manifest: Manifest =
        verify::unit(folder.path(), &task).map_err(|error| error.to_string())?;
    let proxy = manifest.proxy.expect("there is a proxy");
    let path = folder.path().join(&proxy.object.name);
    Ok((folder, path, proxy))
}

/// What `ffprobe` finds, which shares no code of ours; nothing where it is not installed.
fn independent(path: &Path, made: &Proxy) -> Checked {
    let output = std::process::Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-show_streams",
            "-of",
            "json",
        ])
        .arg(path)
        .output();
    let Ok(output) = output else { return Ok(()) };
    let text = String::from_utf8_lossy(&output.stderr);
    same("complaints of ffprobe", &"", &text.trim())?;
    let found: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let streams = found["streams"]
        .as_array()
        .ok_or("ffprobe names no streams")?;
    let of = |kind: &str| -> Vec<&serde_json::Value> {
        let streams = streams.iter();
        streams
            .filter(|stream| stream["codec_type"] == kind)
            .collect()
    };
    let facts = &made.facts;
    let video = of("video");
    let video = video.first().ok_or("ffprobe sees no pictures")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let frames = text(&video["nb_read_frames"]);
    same(
        "frames by ffprobe",
        &facts.video.frames.to_string(),
        &frames,
    )?;
    let rate = facts.video.frame_rate;
    let wanted = format!("{}/{}", rate.num(), rate.den());
    same("rate by ffprobe", &wanted, &text(&video["r_frame_rate"]))?;
    let wanted = match facts.video.field_order.as_str() {
        "tff" => ["tt", "tb"],
        "bff" => ["bb", "bt"],
        _ => ["progressive", "unknown"],
    };
    let order = text(&video["field_order"]);
    if !wanted.contains(&order.as_str()) {
        return Err(format!("field order by ffprobe: {order}"));
    }
    let wanted = facts.timecode.as_ref().map(|told| told.text.clone());
    let told = text(&video["tags"]["timecode"]);
    same("timecode by ffprobe", &wanted.unwrap_or_default(), &told)?;
    let channels: Vec<u64> = (of("audio").iter())
        .map(|stream| stream["channels"].as_u64().unwrap_or(0))
        .collect();
    let wanted: Vec<u64> = facts
        .audio
        .iter()
        .map(|track| track.channels.into())
        .collect();
    same("channels by ffprobe", &wanted, &channels)
}

fn presets() -> Vec<Preset> {
    Preset::built_in()
}

/// Everything that edit software compares.
fn check_proxy(case: &Numbered, path: &Path, source: &Probe, preset: &Preset) -> Checked {
    let (_folder, file, made) = proxy(path, source, preset)?;
    independent(&file, &made)?;
    let wanted = match &made.frame_map {
        Some(map) => {
            check_map(source, &made.facts, map)?;
            counted(map.iter().map(|number| u64::from(*number)))
        }
        None => counted(0..case.frames),
    };
    same("pictures", &wanted, &numbers(&file, 0))?;
    let found = &made.facts;
    same("codec", &preset.codec.family(), &found.video.codec.as_str())?;
    same("frames", &(wanted.len() as u64), &found.video.frames)?;
    if !source.video.variable_frame_rate {
        same("rate", &source.video.frame_rate, &found.video.frame_rate)?;
    }
    same("varies", &false, &found.video.variable_frame_rate)?;
    same(
        "fields",
        &source.video.field_order,
        &found.video.field_order,
    )?;
    same("rotation", &source.video.rotation, &found.video.rotation)?;
    same("reel", &source.reel, &found.reel)?;
    let (a, b) = source.video.pixel_aspect;
    let (c, d) = found.video.pixel_aspect;
    same("pixel aspect", &(a * d), &(b * c))?;
    let start = |probe: &Probe| Clock::of(probe).map(|clock| clock.start().to_string());
    same("timecode", &start(source), &start(found))?;
    let written = found.timecode.as_ref().map(|told| told.source.as_str());
    same("place of the timecode", &Some("tmcd"), &written)?;
    let tracks = |probe: &Probe| -> Vec<(u16, u32, Option<String>, Option<String>)> {
        let track = |track: &protocol::probe::AudioTrack| {
            let (label, language) = (track.label.clone(), track.language.clone());
            (track.channels, track.sample_rate, label, language)
        };
        probe.audio.iter().map(track).collect()
    };
    same("sound", &tracks(source), &tracks(found))?;
    let colour = |probe: &Probe| probe.video.colour;
    let (one, other) = (colour(source), colour(found));
    if one.primaries != 0 && (one.primaries, one.transfer) != (other.primaries, other.transfer) {
        return Err(format!("colour {other:?} instead of {one:?}"));
    }
    Ok(())
}

/// Within half a frame all along: no drift at the end.
fn check_map(source: &Probe, proxy: &Probe, map: &[u32]) -> Checked {
    let rate = proxy.video.frame_rate;
    let frames = rate.ns_to_frame(source.video.duration_ns);
    same("frames of the map", &frames, &(map.len() as u64))?;
    same("the first picture", &Some(&0), &map.first())?;
    let last = u32::try_from(source.video.frames - 1).expect("small");
    same("the last picture", &Some(&last), &map.last())
}

/// The lowest rung of a ladder.
fn check_rung(case: &Numbered, path: &Path, source: &Probe) -> Checked {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let display = source.video.display;
    let part = (display.height / 120).max(1);
    let renditions = vec![Rendition {
        name: "low".to_owned(),
        resolution: protocol::media::Resolution {
            width: display.width / part,
            height: display.height / part,
        }
        .even(),
        video_kbps: 800,
    }];
    let gop_frames = u32::try_from(source.video.frame_rate.frames_in_ms(500)).expect("small");
    let extent = graph::ladder::Extent::Whole;
    let pipeline =
        graph::ladder::describe(source, &renditions, gop_frames, 2, Encoder::X264, extent)
            .map_err(|error| error.to_string())?;
    let task = Task::Ladder(LadderTask {
        probe: source.clone(),
        frames: FrameRange {
            start: 0,
            end: source.video.frames,
        },
        renditions,
        gop_frames,
        segment_frames: gop_frames * 2,
        kept: None,
        cuts: Vec::new(),
        first_segment: 0,
        cells: None,
        threads: 2,
        pipeline,
    });
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let request = Request {
        input: text(path),
        filename: "A001_C002.mov".to_owned(),
        output: text(folder.path()),
        task: task.clone(),
    };
    node::worker::render(&request, &mut |_| ())
        .map_err(|failure| format!("{}: {}", failure.code, failure.detail))?;
    let manifest = verify::unit(folder.path(), &task).map_err(|error| error.to_string())?;
    let track = manifest.tracks.first().ok_or("no track")?;
    let mut bytes = std::fs::read(folder.path().join(&track.init.name)).expect("it is there");
    for segment in &track.segments {
        bytes.extend(std::fs::read(folder.path().join(&segment.object.name)).expect("there"));
    }
    let whole = folder.path().join("whole.mp4");
    std::fs::write(&whole, bytes).expect("it can be written");
    let wanted = counted(0..case.frames);
    same("pictures", &wanted, &numbers(&whole, source.video.rotation))
}

/// Ranges that begin and end at every kind of place.
fn ranges(frames: u64) -> Vec<FrameRange> {
    let range = |start, end| FrameRange { start, end };
    let mut ranges = vec![
        range(frames / 3, 2 * frames / 3 + 1),
        range(frames - 1, frames),
    ];
    ranges.retain(|range| range.is_within(frames));
    ranges
}

fn check_clips(case: &Numbered, path: &Path, source: &Probe) -> Checked {
    for mode in Mode::ALL {
        if graph::clip::offered(mode, source).is_err() {
            continue;
        }
        for frames in ranges(case.frames) {
            let place = format!("{mode} {}-{}", frames.start, frames.end);
            let (_folder, file) = cut(path, source, frames, mode)
                .map_err(|failure| format!("{place}: {} {}", failure.code, failure.message))?;
            // What was encoded is upright.
            let encoded = probe(&file).is_ok_and(|facts| facts.video.rotation == 0);
            let turned = if encoded { source.video.rotation } else { 0 };
            let wanted = counted(frames.start..frames.end);
            // GStreamer 1.22 honours the usual edit lists; see `clips` for the others.
            if numbers(&file, turned) != wanted {
                let found: Vec<_> = (super::clips::shown_grey(&file).iter())
                    .map(|picture| read(picture, turned))
                    .collect();
                same(&place, &wanted, &found)?;
            }
            let Ok(facts) = probe(&file) else { continue };
            let wanted = Clock::of(source).map(|clock| clock.at(frames.start).to_string());
            let told = facts.timecode.map(|told| told.text);
            same(&format!("{place} timecode"), &wanted, &told)?;
        }
    }
    Ok(())
}

fn check(case: &Numbered, presets: &[Preset]) -> Vec<String> {
    let path = case.file();
    let facts = match facts(case, &path) {
        Ok(facts) => facts,
        Err(what) => return vec![format!("{}: {what}", case.name)],
    };
    let mut complaints = Vec::new();
    let mut note = |part: String, checked: Checked| {
        if let Err(what) = checked {
            complaints.push(format!("{} {part}: {what}", case.name));
        }
    };
    for preset in presets {
        note(
            preset.name.clone(),
            check_proxy(case, &path, &facts, preset),
        );
    }
    note("rung".to_owned(), check_rung(case, &path, &facts));
    note("clip".to_owned(), check_clips(case, &path, &facts));
    complaints
}

/// A core of the set, each file by one preset in turn.
#[test]
fn every_frame_of_a_proxy_a_rung_and_a_subclip_shows_its_number() {
    gst::init().expect("GStreamer is installed");
    let all = presets();
    let mut complaints = Vec::new();
    for (number, case) in set().iter().filter(|case| case.core).enumerate() {
        complaints.extend(check(case, &all[number % all.len()..][..1]));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// All of it by all presets: `make acceptance`.
#[test]
#[ignore = "takes minutes: make acceptance"]
fn the_whole_acceptance_set_holds() {
    gst::init().expect("GStreamer is installed");
    let only = std::env::var("REELMESH_CASE").ok();
    let mut complaints = Vec::new();
    for case in set() {
        if only
            .as_deref()
            .is_some_and(|only| !case.name.contains(only))
        {
            continue;
        }
        // One that cannot even be made must not hide the others.
        let checked = std::panic::catch_unwind(|| check(&case, &presets()));
        let failed = |_| vec![format!("{}: panicked", case.name)];
        complaints.extend(checked.unwrap_or_else(failed));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
