//! Rendering of real files of every kind: counted, played back, and held to the parent's checks.

#![cfg(feature = "gstreamer")]

#[path = "common/media.rs"]
mod media;

use std::fs;
use std::path::Path;

use gst::prelude::*;
use node::media::graph::ladder::Extent;
use node::media::{graph, verify};
use protocol::manifest::{Manifest, Segment, Track};
use protocol::media::{FrameRange, Rendition, Resolution, SHORTEST_SEGMENT_MS};
use protocol::probe::Probe;
use protocol::worker::{AudioTask, Cells, Encoder, LadderTask, Output, Request, StillsTask, Task};

use self::media::{Expect, cases};

fn render(input: &Path, output: &Path, task: Task) -> Result<Output, String> {
    let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let request = Request {
        input: path(input),
        filename: "holiday.mp4".to_owned(),
        output: path(output),
        task,
    };
    node::worker::render(&request, &mut |_| ())
        .map_err(|failure| format!("{}: {}", failure.code, failure.detail))
}

fn probe(input: &Path) -> Result<Probe, String> {
    match render(input, Path::new("/"), Task::Probe)? {
        Output::Probe(probe) => Ok(*probe),
        other => Err(format!("{other:?}")),
    }
}

/// The picture as it is, and half of it.
fn ladder(probe: &Probe, frames: FrameRange) -> Result<Task, String> {
    let video = &probe.video;
    let rendition = |name: &str, part: u32, video_kbps| Rendition {
        name: name.to_owned(),
        resolution: Resolution {
            width: video.display.width / part,
            height: video.display.height / part,
        }
        .even(),
        video_kbps,
    };
    let renditions = vec![rendition("full", 1, 900), rendition("half", 2, 300)];
    // One second and half a second, so that short files have several of both.
    let gop_frames = u32::try_from(video.frame_rate.frames_in_ms(500)).expect("small");
    let extent = if frames.len() == video.frames {
        Extent::Whole
    } else {
        Extent::Part
    };
    let pipeline =
        graph::ladder::describe(probe, &renditions, gop_frames, 8, Encoder::X264, extent);
    let mut pipeline = pipeline.map_err(|error| error.to_string())?;
    let cells = Cells {
        every_frames: gop_frames / 2 + 1,
        ..graph::cells::plan(probe)
    };
    let branch = graph::cells::branch(renditions.len(), &cells);
    pipeline.text.push_str(&branch);
    Ok(Task::Ladder(LadderTask {
        probe: probe.clone(),
        frames,
        renditions,
        kept: None,
        cuts: Vec::new(),
        first_segment: 0,
        gop_frames,
        segment_frames: gop_frames * 2,
        threads: 2,
        pipeline,
        cells: Some(cells),
    }))
}

fn audio(probe: &Probe) -> Result<Task, String> {
    let text = |error: graph::Error| error.to_string();
    Ok(Task::Audio(AudioTask {
        probe: probe.clone(),
        track: 0,
        kbps: 128,
        segment_ns: 1_000_000_000,
        origin: graph::audio::origin(probe).map_err(text)?,
        decode: graph::audio::decode(probe, 0).map_err(text)?,
        encode: graph::audio::encode(128),
    }))
}

fn stills(probe: &Probe) -> Result<Task, String> {
    Ok(Task::Stills(StillsTask {
        probe: probe.clone(),
        widths: vec![320, 640, 1280],
        pipeline: graph::stills::describe(probe).map_err(|error| error.to_string())?,
    }))
}

/// Renders one task and holds the folder to what the parent checks.
fn rendered(input: &Path, folder: &Path, task: &Task) -> Result<Manifest, String> {
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    render(input, folder, task.clone())?;
    verify::unit(folder, task).map_err(|error| error.to_string())
}

/// A track as one file, as a player puts it together.
fn joined(folder: &Path, track: &Track) -> std::path::PathBuf {
    let mut bytes = fs::read(folder.join(&track.init.name)).expect("the init segment");
    for segment in &track.segments {
        bytes.extend(fs::read(folder.join(&segment.object.name)).expect("a segment"));
    }
    let path = folder.join(format!("{}.mp4", track.name));
    fs::write(&path, bytes).expect("written");
    path
}

/// Fragments of a segment: each is a GOP that begins with an IDR picture.
fn fragments(folder: &Path, segment: &Segment) -> usize {
    let bytes = fs::read(folder.join(&segment.object.name)).expect("a segment");
    bytes.windows(4).filter(|word| word == b"moof").count()
}

fn check(case: &media::Case, folder: &Path) -> Result<(), String> {
    let input = case.file();
    let source = probe(&input)?;
    let video = &source.video;
    let whole = FrameRange {
        start: 0,
        end: video.frames,
    };
    let ladder = rendered(&input, &folder.join("ladder"), &ladder(&source, whole)?)?;
    let starts: Vec<Vec<u64>> = ladder
        .tracks
        .iter()
        .map(|track| {
            track
                .segments
                .iter()
                .map(|segment| segment.duration)
                .collect()
        })
        .collect();
    if starts[0] != starts[1] {
        return Err(format!("segments are not aligned: {starts:?}"));
    }
    let full = video.frame_rate.frames_in_ms(500) * 2;
    for segment in ladder.tracks.iter().flat_map(|track| &track.segments) {
        let found = fragments(&folder.join("ladder"), segment);
        if u64::from(segment.frames) == full && found != 2 && !video.variable_frame_rate {
            return Err(format!("{} has {found} GOPs", segment.object.name));
        }
    }
    let played = joined(&folder.join("ladder"), &ladder.tracks[0]);
    let again = probe(&played)?;
    let seen = (
        again.video.frames,
        again.video.display,
        again.video.bit_depth,
        again.video.chroma.as_str(),
        again.video.field_order.as_str(),
    );
    let wanted = (
        video.frames,
        video.display.even(),
        8,
        "4:2:0",
        "progressive",
    );
    if seen != wanted {
        return Err(format!("plays as {seen:?}, not {wanted:?}"));
    }
    check_cells(&folder.join("ladder"), &ladder, &played)?;
    if video.random_access {
        check_parts(&input, &source, folder, &played)?;
    }
    if !source.audio.is_empty() {
        rendered(&input, &folder.join("audio"), &audio(&source)?)?;
    }
    let stills = rendered(&input, &folder.join("stills"), &stills(&source)?)?;
    let widest = stills
        .stills
        .iter()
        .map(|still| still.resolution.width)
        .max();
    if widest > Some(video.display.width) {
        return Err("a still is wider than the source".to_owned());
    }
    Ok(())
}

/// Each small picture shows its own frame of what is played, and no other as well.
fn check_cells(folder: &Path, manifest: &Manifest, played: &Path) -> Result<(), String> {
    let kinds = "qtdemux ! h264parse ! avdec_h264";
    for sheet in &manifest.sheets {
        let size = sheet.resolution();
        let (width, cell) = (size.width as usize, sheet.cell);
        let scaled = format!(
            "{kinds} ! videoscale add-borders=false ! video/x-raw,width={},height={}",
            cell.width, cell.height
        );
        let frames = pictures_by(&scaled, played)?;
        let image = pictures_by("jpegdec", &folder.join(&sheet.object.name))?;
        let image = image.first().ok_or("a sheet without a picture")?;
        // Lines of grey pictures are padded to four bytes.
        let stride = width.next_multiple_of(4);
        let cell_width = cell.width as usize;
        for (cell, index) in sheet.cells.iter().zip(0..) {
            let (x, y) = sheet.place(index);
            let lines = image.chunks(stride).skip(y as usize);
            let lines = lines.take(sheet.cell.height as usize);
            let small: Vec<u8> = lines
                .flat_map(|line| &line[x as usize..x as usize + cell_width])
                .copied()
                .collect();
            let near: Vec<u64> = frames
                .iter()
                .map(|frame| {
                    let lines = frame.chunks(cell_width.next_multiple_of(4));
                    let frame: Vec<u8> = lines.flat_map(|l| &l[..cell_width]).copied().collect();
                    difference(&small, &frame)
                })
                .collect();
            let own = usize::try_from(cell.frame).expect("small");
            let best = near.iter().min().ok_or("no frames")?;
            let mean = near[own] / small.len() as u64;
            if near[own] > *best || mean > 400 {
                return Err(format!(
                    "the cell of frame {own} differs by {mean}: {near:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Renders each second by itself: together the parts are the whole, frame for frame.
fn check_parts(input: &Path, source: &Probe, folder: &Path, whole: &Path) -> Result<(), String> {
    let video = &source.video;
    let second = video.frame_rate.frames_in_ms(500) * 2;
    let shortest = video.frame_rate.frames_in_ms(SHORTEST_SEGMENT_MS);
    let mut starts: Vec<u64> = (0..video.frames)
        .step_by(usize::try_from(second).expect("small"))
        .filter(|start| *start == 0 || video.frames - start >= shortest)
        .collect();
    if starts.len() < 2 {
        return Ok(());
    }
    starts.push(video.frames);
    let mut bytes = Vec::new();
    for part in starts.windows(2) {
        let frames = FrameRange {
            start: part[0],
            end: part[1],
        };
        let folder = folder.join(format!("part-{}", frames.start));
        let manifest = rendered(input, &folder, &ladder(source, frames)?)
            .map_err(|error| format!("frames {frames:?}: {error}"))?;
        let track = &manifest.tracks[0];
        if bytes.is_empty() {
            bytes = fs::read(folder.join(&track.init.name)).expect("the init segment");
        }
        for segment in &track.segments {
            bytes.extend(fs::read(folder.join(&segment.object.name)).expect("a segment"));
        }
    }
    let parts = folder.join("parts.mp4");
    fs::write(&parts, bytes).expect("written");
    let (whole, parts) = (pictures(whole)?, pictures(&parts)?);
    if whole.len() != parts.len() {
        return Err(format!(
            "{} frames in parts of {}",
            parts.len(),
            whole.len()
        ));
    }
    for (number, part) in parts.iter().enumerate() {
        let near = |other: usize| whole.get(other).map(|whole| difference(part, whole));
        let here = near(number).expect("as many");
        let beside = [number.checked_sub(1).and_then(near), near(number + 1)];
        if beside.into_iter().flatten().any(|beside| beside < here) {
            return Err(format!(
                "frame {number} of the parts is another of the whole"
            ));
        }
    }
    Ok(())
}

/// Every picture of a file, in grey.
fn pictures(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    pictures_by("qtdemux ! h264parse ! avdec_h264", path)
}

/// The same with the elements that decode it.
fn pictures_by(decoder: &str, path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = format!("{decoder} ! videoconvert ! video/x-raw,format=GRAY8");
    raw_pictures(&text, path)
}

/// The bytes of every picture that comes out of these elements.
fn raw_pictures(elements: &str, path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = format!("filesrc name=source ! {elements} ! appsink name=sink sync=false");
    let pipeline = gst::parse::launch(&text).map_err(|error| error.to_string())?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let element = |name| pipeline.by_name(name).expect("named above");
    element("source").set_property("location", path);
    let sink = element("sink").downcast::<gst_app::AppSink>().expect("one");
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|error| error.to_string())?;
    let mut pictures = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().expect("a picture");
        pictures.push(buffer.map_readable().expect("memory").to_vec());
    }
    pipeline
        .set_state(gst::State::Null)
        .map_err(|error| error.to_string())?;
    Ok(pictures)
}

fn difference(one: &[u8], other: &[u8]) -> u64 {
    let pairs = one.iter().zip(other);
    pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
}

#[test]
fn every_kind_of_file_is_rendered_frame_for_frame() {
    gst::init().expect("GStreamer is installed");
    let complaints: Vec<String> = cases()
        .iter()
        .filter(|case| matches!(case.expect, Expect::Probe(_)))
        .filter_map(|case| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let began = std::time::Instant::now();
            let result = check(case, folder.path());
            eprintln!("{} {:?}", case.name, began.elapsed());
            result
                .err()
                .map(|complaint| format!("{}: {complaint}", case.name))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// A file of so many pictures with a key picture every 12, encoded with these options.
fn with_key_pictures(options: &str) -> media::Case {
    media::Case {
        name: "keys.mp4",
        recipe: media::Recipe::Pipeline {
            text: format!(
                "videotestsrc pattern=ball num-buffers=100 ! video/x-raw,framerate=25/1,width=320,height=180,format=I420 ! x264enc speed-preset=veryfast key-int-max=12 {options} ! h264parse ! mp4mux name=mux"
            ),
            keep: None,
        },
        expect: Expect::Refused("not looked at"),
    }
}

#[test]
fn a_source_that_is_fit_for_the_web_is_its_own_top_rendition() {
    gst::init().expect("GStreamer is installed");
    let case = with_key_pictures("bframes=2");
    let input = case.file();
    let source = probe(&input).expect("readable");
    let grid: Vec<u32> = (0..9).map(|n| n * 12).collect();
    assert_eq!(source.web.entries, grid, "{:?}", source.web);
    assert!(source.web.kbps > 10 && source.web.refused.is_none());
    let Task::Ladder(mut task) =
        ladder(&source, FrameRange { start: 0, end: 100 }).expect("offered")
    else {
        unreachable!()
    };
    // Closer than the encoder usually looks ahead.
    task.gop_frames = 6;
    let mut top = task.renditions.remove(0);
    top.name = "top".to_owned();
    // One rendition is left to encode; the small pictures follow it.
    let cells = task.cells.expect("asked for");
    let part = Extent::Part;
    let pipeline = graph::ladder::describe(
        &source,
        &task.renditions,
        task.gop_frames,
        8,
        Encoder::X264,
        part,
    );
    task.pipeline = pipeline.expect("offered");
    task.pipeline
        .text
        .push_str(&graph::cells::branch(1, &cells));
    task.kept = Some(top);
    let kinds = "qtdemux ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut bytes = Vec::new();
    // Segments of uneven length, in two parts.
    for (number, cuts, end) in [(0, vec![0, 24], 60), (2, vec![60, 72], 100)] {
        task.frames = FrameRange {
            start: cuts[0],
            end,
        };
        task.cuts = cuts;
        task.first_segment = number;
        let folder = folder.path().join(format!("part-{number}"));
        let task = Task::Ladder(task.clone());
        let manifest = rendered(&input, &folder, &task).expect("rendered and proven");
        let lengths = |track: &Track| {
            let frames = track.segments.iter().map(|segment| segment.frames);
            frames.collect::<Vec<_>>()
        };
        assert_eq!(lengths(&manifest.tracks[0]), lengths(&manifest.tracks[1]));
        for segment in &manifest.tracks[1].segments {
            let gops = (segment.frames / 6).max(1);
            assert_eq!(fragments(&folder, segment), gops as usize, "{segment:?}");
        }
        let names = manifest.tracks[0].segments.iter();
        for (segment, number) in names.zip(number..) {
            assert!(
                segment
                    .object
                    .name
                    .starts_with(&format!("top/{number:06}-"))
            );
        }
        if bytes.is_empty() {
            bytes = fs::read(folder.join(&manifest.tracks[0].init.name)).expect("there");
        }
        for segment in &manifest.tracks[0].segments {
            bytes.extend(fs::read(folder.join(&segment.object.name)).expect("there"));
        }
    }
    let joined = folder.path().join("joined.mp4");
    fs::write(&joined, bytes).expect("written");
    let (copied, original) = (raw_pictures(kinds, &joined), raw_pictures(kinds, &input));
    let (copied, original) = (copied.expect("decoded"), original.expect("decoded"));
    assert_eq!(copied.len(), 100);
    assert!(copied == original, "a copy shows the very same pictures");
}

#[test]
fn a_source_that_is_not_fit_for_the_web_says_why() {
    gst::init().expect("GStreamer is installed");
    let open = with_key_pictures("bframes=2 option-string=open-gop=1");
    let web = probe(&open.file()).expect("readable").web;
    assert_eq!(web.entries, [0], "{web:?}");
    for (name, reason) in [
        ("odd-444.mp4", "8 bits"),
        ("anamorphic.mp4", "not square"),
        ("hevc10.mp4", ""),
    ] {
        let web = probe(&media::case(name).file()).expect("readable").web;
        assert!(web.entries.is_empty(), "{name}: {web:?}");
        let refused = web.refused.unwrap_or_default();
        assert!(refused.contains(reason), "{name}: {refused}");
    }
}

/// Four upright bars of ten-bit 4:2:0, 320x180.
fn bars(colours: [[u16; 3]; 4]) -> Vec<u8> {
    let mut frame = Vec::new();
    for (plane, (width, height)) in [(320, 180), (160, 90), (160, 90)].into_iter().enumerate() {
        for _ in 0..height {
            for column in 0..width {
                frame.extend(colours[column * 4 / width][plane].to_le_bytes());
            }
        }
    }
    frame
}

/// The middle of each bar in the rendered picture, as Y, Cb, Cr; and what the file says of colours.
fn rendered_bars(case: &media::Case) -> ([[u8; 3]; 4], String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = case.file();
    let source = probe(&input).expect("readable");
    assert!(source.video.hdr, "{:?}", source.video);
    let whole = FrameRange {
        start: 0,
        end: source.video.frames,
    };
    let task = ladder(&source, whole).expect("offered");
    let manifest = rendered(&input, folder.path(), &task).expect("rendered");
    let played = joined(folder.path(), &manifest.tracks[0]);
    let again = probe(&played).expect("readable").video;
    assert_eq!((again.bit_depth, again.hdr), (8, false));
    let kinds = "qtdemux ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420";
    let frame = raw_pictures(kinds, &played).expect("decoded").remove(0);
    let bar = |bar: usize| {
        let chroma = 320 * 180 + 45 * 160 + bar * 40 + 20;
        [
            frame[90 * 320 + bar * 80 + 40],
            frame[chroma],
            frame[chroma + 160 * 90],
        ]
    };
    ([bar(0), bar(1), bar(2), bar(3)], again.colorimetry)
}

#[test]
fn a_high_dynamic_range_looks_right_on_a_plain_screen() {
    gst::init().expect("GStreamer is installed");
    // Black, a grey card (26 nits), diffuse white (203 nits), and BT.709's red at 50 nits.
    // Codes of ITU-R BT.2408, table 1; the red worked out by hand from BT.2100 and BT.2087.
    let pq = [
        [64, 512, 512],
        [397, 512, 512],
        [573, 512, 512],
        [295, 453, 593],
    ];
    let hlg = [
        [64, 512, 512],
        [397, 512, 512],
        [721, 512, 512],
        [64, 512, 512],
    ];
    for (caps, colours) in [
        (
            "video/x-raw,format=I420_10LE,width=320,height=180,framerate=25/1,colorimetry=bt2100-pq",
            pq,
        ),
        (
            "video/x-raw,format=I420_10LE,width=320,height=180,framerate=25/1,colorimetry=bt2100-hlg",
            hlg,
        ),
    ] {
        let case = media::Case {
            name: "bars.mkv",
            recipe: media::Recipe::Frames {
                caps,
                frame: bars(colours),
                count: 3,
                muxer: "x265enc speed-preset=ultrafast option-string=crf=4 ! h265parse ! matroskamux",
            },
            expect: Expect::Refused("not looked at"),
        };
        let ([black, card, white, red], colorimetry) = rendered_bars(&case);
        let near = |got: [u8; 3], expected: [u8; 3], by: u8| {
            let near = got.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= by);
            assert!(near, "{caps}: {got:?} {expected:?}");
        };
        near(black, [16, 128, 128], 2);
        // A grey card is 41 to 43 % of the signal on a plain screen.
        near(card, [108, 128, 128], 5);
        near(white, [215, 128, 128], 8);
        if colours == pq {
            let level = 255.0 * (50.0_f64 / 203.0).powf(1.0 / 2.4);
            let y = 16.0 + 219.0 / 255.0 * 0.2126 * level;
            let cr = 128.0 + 224.0 / 255.0 * 0.5 * level;
            let cb = 128.0 - 224.0 / 255.0 * 0.1146 * level;
            let seen = red.map(f64::from);
            for (seen, expected) in seen.into_iter().zip([y, cb, cr]) {
                assert!((seen - expected).abs() < 10.0, "{red:?} {y} {cb} {cr}");
            }
        }
        // 320x180 is small, and yet the colours are those of high definition, and say so.
        assert_eq!(colorimetry, "bt709");
    }
}

#[test]
fn the_scenes_of_the_reel_follow_each_other_in_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("reel.mp4");
    node::worker::reel::write(&path, 4).expect("written");
    let video = probe(&path).expect("readable").video;
    let facts = (
        video.frames,
        video.frame_rate.num(),
        video.variable_frame_rate,
        video.random_access,
    );
    assert_eq!(facts, (100, 25, false, true));
}
