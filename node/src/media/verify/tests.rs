//! A small result, written by hand, and every way of spoiling it.

use std::fs;
use std::path::Path;

use protocol::failure::{Failure, FailureClass};
use protocol::id::BlobHash;
use protocol::manifest::{
    Cell, KeyPicture, Manifest, Object, PeakLevel, Peaks, Segment, Sheet, Still, Track, TrackKind,
};
use protocol::media::{FrameRange, FrameRate, Rendition, Resolution};
use protocol::probe::{AudioTrack, Probe, VideoTrack};
use protocol::worker::{AudioTask, Cells, LadderTask, Pipeline, StillsTask, Task};

use super::{Error, read_manifest, sheets, unit};

pub(super) fn probe() -> Probe {
    let size = Resolution {
        width: 640,
        height: 360,
    };
    Probe {
        container: "mp4".to_owned(),
        web: protocol::probe::Web::default(),
        video: VideoTrack {
            codec: "h264".to_owned(),
            coded: size,
            display: size,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: FrameRate::new(30_000, 1001).expect("not zero"),
            variable_frame_rate: false,
            frames: 8,
            duration_ns: 266_933_333,
            bit_depth: 8,
            chroma: "4:2:0".to_owned(),
            field_order: "progressive".to_owned(),
            colorimetry: "bt709".to_owned(),
            colour: protocol::probe::Colour::default(),
            hdr: false,
            random_access: false,
        },
        audio: vec![AudioTrack {
            codec: "aac".to_owned(),
            channels: 2,
            sample_rate: 48_000,
            language: None,
            duration_ns: 266_933_333,
            label: None,
            layout: "stereo".to_owned(),
            sample_bits: 0,
        }],
        timecode: None,
        reel: None,
        remarks: vec!["The frame rate is odd.".to_owned()],
    }
}

fn no_pipeline() -> Pipeline {
    Pipeline {
        text: String::new(),
    }
}

fn renditions() -> Vec<Rendition> {
    [("360p", 640, 360), ("180p", 320, 180)]
        .into_iter()
        .map(|(name, width, height)| Rendition {
            name: name.to_owned(),
            resolution: Resolution { width, height },
            video_kbps: 500,
        })
        .collect()
}

/// Eight frames in segments of three: 3, 3 and 2.
fn ladder_task() -> Task {
    Task::Ladder(LadderTask {
        probe: probe(),
        frames: FrameRange { start: 0, end: 8 },
        renditions: renditions(),
        kept: None,
        cuts: Vec::new(),
        first_segment: 0,
        gop_frames: 3,
        segment_frames: 3,
        threads: 1,
        pipeline: no_pipeline(),
        cells: None,
    })
}

fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("small");
    [&size.to_be_bytes(), &kind, body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn init_bytes(timescale: u32, handler: [u8; 4], (width, height): (u32, u32)) -> Vec<u8> {
    let handler = u32::from_be_bytes(handler);
    let mdhd = boxed(*b"mdhd", &words(&[0, 0, 0, timescale, 0, 0]));
    let hdlr = boxed(*b"hdlr", &words(&[0, 0, handler, 0, 0, 0, 0]));
    let mdia = boxed(*b"mdia", &[mdhd, hdlr].concat());
    let tkhd = boxed(*b"tkhd", &words(&[0, 0, 0, 1, width << 16, height << 16]));
    let trak = boxed(*b"trak", &[tkhd, mdia].concat());
    let mvex = boxed(*b"mvex", &boxed(*b"trex", &words(&[0, 1, 1, 0, 0, 0])));
    let moov = boxed(*b"moov", &[trak, mvex].concat());
    [boxed(*b"ftyp", b"iso6\0\0\0\0cmfc"), moov].concat()
}

/// One fragment of `frames` frames of 4 bytes each; the second and third are swapped in coding.
fn fragment(start: u64, frames: u32, ticks: u32, first_sync: bool) -> Vec<u8> {
    let mut run = vec![0x0100_0f01, frames, 0];
    for index in 0..frames {
        let offset: i32 = match index {
            1 if frames > 2 => ticks.cast_signed(),
            2 => -ticks.cast_signed(),
            _ => 0,
        };
        let is_sync = index == 0 && first_sync;
        let flags = if is_sync { 0x0200_0000 } else { 0x0101_0000 };
        run.extend([ticks, 4, flags, offset.cast_unsigned()]);
    }
    let head = |offset: u32| {
        run[2] = offset;
        let tfhd = boxed(*b"tfhd", &words(&[0x0002_0000, 1]));
        let time = [start.to_be_bytes().as_slice()].concat();
        let tfdt = boxed(*b"tfdt", &[words(&[0x0100_0000]), time].concat());
        let trun = boxed(*b"trun", &words(&run));
        let traf = boxed(*b"traf", &[tfhd, tfdt, trun].concat());
        boxed(*b"moof", &[boxed(*b"mfhd", &words(&[0, 1])), traf].concat())
    };
    let mut head = head;
    let size = u32::try_from(head(0).len()).expect("small");
    let data = vec![7; 4 * frames as usize];
    [head(size + 8), boxed(*b"mdat", &data)].concat()
}

fn object(folder: &Path, stem: &str, extension: &str, bytes: &[u8]) -> Object {
    let blake3 = BlobHash::of(bytes);
    let name = format!("{stem}-{}.{extension}", blake3.short());
    let path = folder.join(&name);
    fs::create_dir_all(path.parent().expect("joined")).expect("a folder");
    fs::write(path, bytes).expect("written");
    Object {
        name,
        size_bytes: bytes.len() as u64,
        blake3,
    }
}

/// What a test may change about a track before it is written.
struct Plan {
    lengths: Vec<u32>,
    start: u64,
    gap: u64,
    first_sync: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            lengths: vec![3, 3, 2],
            start: 0,
            gap: 0,
            first_sync: true,
        }
    }
}

fn video_track(folder: &Path, rendition: &Rendition, plan: &Plan) -> Track {
    let size = rendition.resolution;
    let init = init_bytes(30_000, *b"vide", (size.width, size.height));
    let name = &rendition.name;
    let mut at = plan.start;
    let segments = plan
        .lengths
        .iter()
        .zip(0..)
        .map(|(&frames, number)| {
            let mut bytes = boxed(*b"styp", b"msdh\0\0\0\0cmfc");
            bytes.extend(fragment(at, frames, 1001, plan.first_sync));
            at += u64::from(frames) * 1001 + plan.gap;
            Segment {
                object: object(folder, &format!("{name}/{number:06}"), "m4s", &bytes),
                duration: u64::from(frames) * 1001,
                frames,
                keys: Vec::new(),
            }
        })
        .collect();
    Track {
        name: name.clone(),
        kind: TrackKind::Video {
            resolution: size,
            frame_rate: probe().video.frame_rate,
        },
        codec: "avc1.64001e".to_owned(),
        timescale: 30_000,
        init: object(folder, &format!("{name}/init"), "mp4", &init),
        segments,
    }
}

fn ladder(folder: &Path, plans: &[Plan; 2]) -> Manifest {
    let tracks = renditions()
        .iter()
        .zip(plans)
        .map(|(rendition, plan)| video_track(folder, rendition, plan))
        .collect();
    Manifest {
        frames: Some(FrameRange { start: 0, end: 8 }),
        tracks,
        stills: vec![],
        ..Manifest::default()
    }
}

fn list(folder: &Path, manifest: &Manifest) {
    let text = serde_json::to_vec(manifest).expect("JSON");
    fs::write(folder.join(Manifest::FILE_NAME), text).expect("written");
}

/// The sentence about a ladder that was spoiled by `spoil` after it was written.
fn spoiled(plans: &[Plan; 2], spoil: impl FnOnce(&Path, &mut Manifest)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manifest = ladder(folder.path(), plans);
    spoil(folder.path(), &mut manifest);
    list(folder.path(), &manifest);
    match unit(folder.path(), &ladder_task()) {
        Ok(_) => "passed".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn planned(plan: Plan) -> String {
    spoiled(&[plan, Plan::default()], |_, _| {})
}

#[test]
fn a_good_ladder_passes() {
    let sentence = spoiled(&[Plan::default(), Plan::default()], |_, _| {});
    assert_eq!(sentence, "passed");
}

#[test]
fn where_key_pictures_lie_is_found_and_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut manifest = ladder(folder, &[Plan::default(), Plan::default()]);
    for segment in manifest
        .tracks
        .iter_mut()
        .flat_map(|track| &mut track.segments)
    {
        segment.keys = vec![KeyPicture {
            offset: 1 << 40,
            size_bytes: 1,
            at: 5,
        }];
    }
    let text = serde_json::to_vec(&manifest).unwrap();
    fs::write(folder.join(Manifest::FILE_NAME), text).unwrap();
    let proved = unit(folder, &ladder_task()).unwrap();
    assert_eq!(
        read_manifest(folder).unwrap(),
        proved,
        "the list on disk says it too"
    );
    for segment in proved.tracks.iter().flat_map(|track| &track.segments) {
        let [key] = segment.keys.as_slice() else {
            panic!("{:?}", segment.keys);
        };
        let bytes = fs::read(folder.join(&segment.object.name)).unwrap();
        let from = usize::try_from(key.offset).unwrap();
        assert_eq!(&bytes[from + 4..from + 8], b"moof");
        assert_eq!(key.at, 0);
        let data = bytes[from..]
            .windows(4)
            .position(|kind| kind == b"mdat")
            .unwrap();
        // The picture's own bytes end the range, not those of the pictures behind it.
        assert!(key.offset + key.size_bytes < segment.object.size_bytes);
        assert!(key.size_bytes > data as u64 + 4);
    }
}

#[test]
fn missing_frames_gaps_and_wrong_starts_are_found() {
    let sentence = planned(Plan {
        lengths: vec![3, 3],
        ..Plan::default()
    });
    assert_eq!(
        sentence,
        "the number of frames of 360p should be 8, but is 6"
    );
    let sentence = planned(Plan {
        gap: 1,
        ..Plan::default()
    });
    assert!(
        sentence.contains("should be 3003, but is 3004"),
        "{sentence}"
    );
    let sentence = planned(Plan {
        start: 1001,
        ..Plan::default()
    });
    assert!(sentence.contains("should be tick 0"), "{sentence}");
    let sentence = planned(Plan {
        lengths: vec![4, 4],
        ..Plan::default()
    });
    assert!(sentence.contains("a multiple of 3, but is 4"), "{sentence}");
    let sentence = planned(Plan {
        first_sync: false,
        ..Plan::default()
    });
    assert!(sentence.contains("a key frame"), "{sentence}");
}

#[test]
fn renditions_must_be_cut_alike() {
    // Both are on the grid, so only the comparison can tell.
    let longer = Plan {
        lengths: vec![3, 5],
        ..Plan::default()
    };
    let sentence = spoiled(&[Plan::default(), longer], |_, _| {});
    assert!(sentence.contains("segment starts of 180p"), "{sentence}");
}

#[test]
fn files_must_be_exactly_those_of_the_list() {
    let good = || [Plan::default(), Plan::default()];
    let sentence = spoiled(&good(), |folder, manifest| {
        let path = folder.join(&manifest.tracks[0].segments[1].object.name);
        let mut bytes = fs::read(&path).expect("there");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(path, bytes).expect("written");
    });
    assert!(sentence.contains("the hash of 360p/000001"), "{sentence}");

    let sentence = spoiled(&good(), |folder, manifest| {
        let path = folder.join(&manifest.tracks[0].segments[1].object.name);
        fs::write(path, b"<html>502 Bad Gateway</html>").expect("written");
    });
    assert!(sentence.contains("but is 28"), "{sentence}");

    let sentence = spoiled(&good(), |folder, manifest| {
        fs::remove_file(folder.join(&manifest.tracks[1].init.name)).expect("there");
    });
    assert!(sentence.contains("the number of files"), "{sentence}");

    let sentence = spoiled(&good(), |folder, _| {
        fs::write(folder.join("360p/core"), b"x").expect("written");
    });
    assert_eq!(sentence, "the file 360p/core is not listed");

    let sentence = spoiled(&good(), |folder, manifest| {
        let path = folder.join(&manifest.tracks[0].init.name);
        fs::remove_file(&path).expect("there");
        std::os::unix::fs::symlink("/etc/passwd", path).expect("linked");
    });
    assert!(sentence.contains("is not listed"), "{sentence}");
}

#[test]
fn names_cannot_leave_the_folder() {
    let good = || [Plan::default(), Plan::default()];
    for name in [
        "../secret",
        "/etc/passwd",
        "360p/..",
        "a/b/c",
        "360p/A.mp4",
        "360p//init.mp4",
        "",
        ".hidden",
    ] {
        let sentence = spoiled(&good(), |_, manifest| {
            // Even with the right hash in it.
            let init = &mut manifest.tracks[0].init;
            init.name = name.to_owned();
        });
        assert!(sentence.contains("is not allowed"), "{name}: {sentence}");
    }
    let sentence = spoiled(&good(), |_, manifest| {
        let twin = manifest.tracks[0].init.clone();
        manifest.tracks[1].init = twin;
    });
    assert!(sentence.contains("listed twice"), "{sentence}");
}

#[test]
fn tracks_must_be_those_that_were_asked_for() {
    let good = || [Plan::default(), Plan::default()];
    let sentence = spoiled(&good(), |_, manifest| {
        manifest.tracks[0].kind = TrackKind::Video {
            resolution: Resolution {
                width: 1920,
                height: 1080,
            },
            frame_rate: probe().video.frame_rate,
        };
    });
    assert!(sentence.contains("should be 640x360"), "{sentence}");
    let sentence = spoiled(&good(), |_, manifest| {
        manifest.frames = Some(FrameRange { start: 0, end: 9 });
    });
    assert!(sentence.contains("frames 0 to 9"), "{sentence}");
    let sentence = spoiled(&good(), |folder, manifest| {
        let init = init_bytes(90_000, *b"vide", (640, 360));
        let old = folder.join(&manifest.tracks[0].init.name);
        fs::remove_file(old).expect("there");
        manifest.tracks[0].init = object(folder, "360p/init", "mp4", &init);
    });
    assert!(
        sentence.contains("should be 30000, but is 90000"),
        "{sentence}"
    );
}

#[test]
fn a_mismatch_is_a_retryable_failure_and_a_bad_disk_is_the_nodes() {
    let mismatch = Failure::from(Error::mismatch("the length", 8, 6));
    assert_eq!(mismatch.class, FailureClass::Verification);
    assert_eq!(
        mismatch.message,
        "The result does not match the source: the length should be 8, but is 6."
    );
    let folder = tempfile::tempdir().expect("a folder");
    let missing = unit(folder.path(), &ladder_task()).expect_err("nothing there");
    assert_eq!(Failure::from(missing).class, FailureClass::Resource);
}

fn audio_manifest(folder: &Path, frames: u32) -> Manifest {
    let buckets = frames * 4;
    let fields = [2, 1, 48_000, 256, buckets, 2];
    let mut outline: Vec<u8> = fields.iter().flat_map(|f| f.to_le_bytes()).collect();
    outline.resize(24 + buckets as usize * 4, 0);
    let init = init_bytes(48_000, *b"soun", (0, 0));
    let bytes = fragment(0, frames, 1024, true);
    Manifest {
        tracks: vec![Track {
            name: "audio".to_owned(),
            kind: TrackKind::Audio {
                channels: 2,
                sample_rate: 48_000,
                language: None,
            },
            codec: "mp4a.40.2".to_owned(),
            timescale: 48_000,
            init: object(folder, "audio/init", "mp4", &init),
            segments: vec![Segment {
                object: object(folder, "audio/000000", "m4s", &bytes),
                duration: u64::from(frames) * 1024,
                frames,
                keys: Vec::new(),
            }],
        }],
        peaks: vec![Peaks {
            object: object(folder, "audio/peaks", "dat", &outline),
            track: "audio".to_owned(),
            sample_rate: 48_000,
            channels: 2,
            levels: vec![PeakLevel {
                samples_per_bucket: 256,
                buckets,
                offset: 0,
            }],
        }],
        ..Manifest::default()
    }
}

#[test]
fn sound_is_as_long_as_the_source() {
    let task = Task::Audio(AudioTask {
        probe: probe(),
        track: 0,
        kbps: 128,
        segment_ns: 6_000_000_000,
        origin: no_pipeline(),
        decode: no_pipeline(),
        encode: no_pipeline(),
    });
    // 267 ms are 12.5 frames.
    for (frames, passes) in [(13, true), (24, true), (26, false), (200, false)] {
        let folder = tempfile::tempdir().expect("a folder");
        list(folder.path(), &audio_manifest(folder.path(), frames));
        let result = unit(folder.path(), &task);
        assert_eq!(result.is_ok(), passes, "{frames}: {result:?}");
    }
}

#[test]
fn outlines_are_as_long_as_their_track() {
    let check = |spoil: fn(&mut Manifest)| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut manifest = audio_manifest(folder.path(), 13);
        spoil(&mut manifest);
        match sheets::outlines(folder.path(), &manifest) {
            Ok(()) => "passed".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(check(|_| {}), "passed");
    let sentence = check(|m| m.tracks[0].segments[0].duration += 256);
    assert!(sentence.contains("should be 53, but is 52"), "{sentence}");
    let sentence = check(|m| m.peaks[0].levels[0].buckets -= 1);
    assert!(sentence.contains("no outline"), "{sentence}");
    let sentence = check(|m| m.peaks.clear());
    assert!(sentence.contains("number of outlines"), "{sentence}");
    let sentence = check(|m| m.peaks[0].track = "1080p".to_owned());
    assert!(sentence.contains("but is 1080p"), "{sentence}");
}

/// The head of a JPEG picture and its end.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let (w, h) = (width.to_be_bytes(), height.to_be_bytes());
    [
        &[0xff, 0xd8, 0xff, 0xc0, 0, 8, 8, h[0], h[1], w[0], w[1], 3][..],
        &[0xff, 0xda, 0, 2, 7, 0xff, 0xd9][..],
    ]
    .concat()
}

#[test]
fn every_small_picture_of_the_grid_is_there() {
    let Task::Ladder(mut task) = ladder_task() else {
        unreachable!()
    };
    let cell = Resolution {
        width: 32,
        height: 18,
    };
    task.cells = Some(Cells {
        every_frames: 3,
        size: cell,
    });
    let check = |frames: &[u64], (width, height): (u16, u16), spoil: fn(&mut Sheet)| {
        let folder = tempfile::tempdir().expect("a folder");
        let rate = task.probe.video.frame_rate;
        let mut sheet = Sheet {
            object: object(folder.path(), "sprites/0", "jpg", &jpeg(width, height)),
            cell,
            columns: 2,
            cells: frames
                .iter()
                .map(|&frame| Cell {
                    frame,
                    at_ns: rate.frame_to_ns(frame),
                })
                .collect(),
        };
        spoil(&mut sheet);
        let manifest = Manifest {
            sheets: vec![sheet],
            ..Manifest::default()
        };
        match sheets::check(folder.path(), &manifest, &task) {
            Ok(()) => "passed".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(check(&[0, 3, 6], (64, 36), |_| {}), "passed");
    let sentence = check(&[0, 3], (64, 18), |_| {});
    assert!(sentence.contains("of frame 6"), "{sentence}");
    let sentence = check(&[0, 3, 7], (64, 36), |_| {});
    assert!(sentence.contains("should be 6, but is 7"), "{sentence}");
    let sentence = check(&[0, 3, 6, 9], (64, 36), |_| {});
    assert!(sentence.contains("should be none, but is 9"), "{sentence}");
    let sentence = check(&[0, 3, 6], (64, 18), |_| {});
    assert!(sentence.contains("should be 64x36"), "{sentence}");
    let sentence = check(&[0, 3, 6], (64, 36), |sheet| sheet.cells[1].at_ns += 1);
    assert!(sentence.contains("the time of a small"), "{sentence}");
}

#[test]
fn posters_have_the_size_that_is_listed() {
    let task = Task::Stills(StillsTask {
        probe: probe(),
        widths: vec![320],
        pipeline: no_pipeline(),
    });
    let jpeg = jpeg(320, 180);
    let webp = b"RIFF\x18\0\0\0WEBPVP8 \x0b\0\0\0\x10\x02\0\x9d\x01\x2a\x40\x01\xb4\0\x07\0";
    let check = |width_class: u32, width: u32, bytes: &[u8], second: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let still = |bytes: &[u8], ending: &str| Still {
            resolution: Resolution { width, height: 180 },
            width_class,
            object: object(folder.path(), "thumb-320", ending, bytes),
        };
        let manifest = Manifest {
            stills: vec![still(bytes, "jpg"), still(webp, second)],
            ..Manifest::default()
        };
        list(folder.path(), &manifest);
        match unit(folder.path(), &task) {
            Ok(_) => "passed".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(check(320, 320, &jpeg, "webp"), "passed");
    assert!(check(320, 321, &jpeg, "webp").contains("should be 321x180, but is 320x180"));
    assert!(check(640, 320, &jpeg, "webp").contains("widths of posters"));
    assert!(check(320, 320, &jpeg, "png").contains("posters in .webp"));
    assert!(check(320, 320, &jpeg[..jpeg.len() - 1], "webp").contains("no whole picture"));
}
