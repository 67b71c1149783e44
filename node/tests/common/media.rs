//! Small videos of many kinds, made with GStreamer as they are asked for, and what is true of each.
//!
//! They lie in cargo's folder for test files under a name made from their recipe, so that each is
//! made once and again only when its recipe changes.

#![allow(dead_code)]

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use gst::prelude::*;

/// One test file.
pub struct Case {
    /// With the extension that a user would see.
    pub name: &'static str,
    pub recipe: Recipe,
    pub expect: Expect,
}

/// How a file is made.
#[derive(Clone, Hash)]
pub enum Recipe {
    /// `gst-launch` syntax; the muxer is called `mux`, and what comes out of it becomes the file.
    /// An element called `thin` lets only those pictures through whose position in a group of
    /// that many is named.
    Pipeline {
        text: String,
        keep: Option<(u64, &'static [u64])>,
    },
    /// The same buffer a few times, muxed with lying caps.
    Frames {
        caps: &'static str,
        frame: Vec<u8>,
        count: u64,
        muxer: &'static str,
    },
    /// The file of another case, changed.
    Derived {
        from: &'static str,
        change: Change,
    },
    Bytes(Vec<u8>),
}

#[derive(Clone, Copy, Hash)]
pub enum Change {
    /// Only so many thousandths from the start.
    Cut(usize),
    /// The box `moov` becomes junk, as in a recording that was never finished.
    NoIndex,
    /// Every such word becomes the other.
    Replace([u8; 4], [u8; 4]),
    /// Track 1 shows `duration` ticks of the movie from tick `from` of its own.
    EditList { from: u32, duration: u32 },
    /// The matrix of track 1.
    Matrix([i32; 4]),
}

pub enum Expect {
    Probe(Box<Facts>),
    /// Code of the refusal.
    Refused(&'static str),
}

/// What the probe must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub container: &'static str,
    pub codec: &'static str,
    /// As shown.
    pub display: (u32, u32),
    pub rotation: u16,
    pub rate: (u32, u32),
    pub variable: bool,
    pub frames: u64,
    pub bit_depth: u8,
    pub chroma: &'static str,
    pub field_order: &'static str,
    pub hdr: bool,
    /// Codec, channels, language.
    pub audio: Vec<(&'static str, u16, Option<&'static str>)>,
    pub timecode: Option<&'static str>,
}

/// What is usual; the cases name only what differs.
fn facts(container: &'static str, codec: &'static str, rate: (u32, u32), frames: u64) -> Facts {
    Facts {
        container,
        codec,
        display: (320, 180),
        rotation: 0,
        rate,
        variable: false,
        frames,
        bit_depth: 8,
        chroma: "4:2:0",
        field_order: "progressive",
        hdr: false,
        audio: Vec::new(),
        timecode: None,
    }
}

/// Moving pictures, raw.
fn picture(frames: u64, rate: (u32, u32), caps: &str) -> String {
    let (num, den) = rate;
    let size = if caps.contains("width") {
        ""
    } else {
        ",width=320,height=180"
    };
    let caps = if caps.contains("format") {
        caps.to_owned()
    } else {
        format!("format=I420{caps}")
    };
    format!(
        "videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,framerate={num}/{den}{size},{caps}"
    )
}

/// A tone of `ms` milliseconds behind `encoder`, into the muxer.
fn tone(ms: u64, encoder: &str) -> String {
    // Ten buffers a second.
    format!(
        "audiotestsrc num-buffers={} samplesperbuffer=4800 ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! {encoder} ! queue ! mux.",
        ms / 100
    )
}

const H264: &str =
    "x264enc speed-preset=ultrafast bframes=2 b-adapt=false key-int-max=12 threads=1 ! h264parse";
const AAC: &str = "avenc_aac ! aacparse";

const FILM: (u32, u32) = (24000, 1001);
const PAL: (u32, u32) = (25, 1);
const NTSC: (u32, u32) = (30000, 1001);

/// Every test file.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut good = |name, text: String, facts: Facts| {
        let recipe = Recipe::Pipeline { text, keep: None };
        let expect = Expect::Probe(Box::new(facts));
        cases.push(Case {
            name,
            recipe,
            expect,
        });
    };
    let muxed = |video: String, encoder: &str, muxer: &str| {
        format!("{video} ! {encoder} ! queue ! mux. {muxer} name=mux")
    };

    // Codings and containers.
    good(
        "h264-aac.mp4",
        format!(
            "{} {}",
            muxed(picture(50, PAL, ""), H264, "mp4mux"),
            tone(2000, AAC)
        ),
        Facts {
            audio: vec![("aac", 2, None)],
            ..facts("mp4", "h264", PAL, 50)
        },
    );
    good(
        "h264-faststart.mp4",
        muxed(picture(50, PAL, ""), H264, "mp4mux faststart=true"),
        facts("mp4", "h264", PAL, 50),
    );
    good(
        "h264-fragments.mp4",
        muxed(picture(50, PAL, ""), H264, "mp4mux fragment-duration=500"),
        // The muxer delays the pictures by two without an edit list to say so, and GStreamer
        // shows only what lies within the duration.
        facts("mp4", "h264", PAL, 48),
    );
    good(
        "h264-vorbis.mkv",
        format!(
            "{} {}",
            muxed(picture(47, FILM, ""), H264, "matroskamux"),
            tone(1900, "vorbisenc")
        ),
        Facts {
            audio: vec![("vorbis", 2, Some("en"))],
            ..facts("mkv", "h264", FILM, 47)
        },
    );
    good(
        "h264-ac3.ts",
        format!(
            "{} {}",
            muxed(picture(50, (50, 1), ""), H264, "mpegtsmux"),
            tone(1000, "avenc_ac3 ! ac3parse")
        ),
        Facts {
            audio: vec![("ac3", 2, None)],
            ..facts("ts", "h264", (50, 1), 50)
        },
    );
    good(
        "h264-aac.flv",
        format!(
            "{} {}",
            muxed(picture(30, (30, 1), ""), H264, "flvmux"),
            tone(1000, AAC)
        ),
        Facts {
            audio: vec![("aac", 2, None)],
            ..facts("flv", "h264", (30, 1), 30)
        },
    );
    good(
        "hevc10.mp4",
        muxed(
            picture(36, FILM, "format=I420_10LE"),
            "x265enc speed-preset=ultrafast ! h265parse",
            "mp4mux",
        ),
        Facts {
            bit_depth: 10,
            ..facts("mp4", "hevc", FILM, 36)
        },
    );
    good(
        "hevc-pq.mkv",
        muxed(
            picture(24, (24, 1), "format=I420_10LE,colorimetry=bt2100-pq"),
            "x265enc speed-preset=ultrafast ! h265parse",
            "matroskamux",
        ),
        Facts {
            bit_depth: 10,
            hdr: true,
            ..facts("mkv", "hevc", (24, 1), 24)
        },
    );
    good(
        "vp8-hidden-frames.webm",
        muxed(
            picture(40, NTSC, ""),
            "vp8enc deadline=1 cpu-used=8 auto-alt-ref=true lag-in-frames=12 keyframe-max-dist=20 end-usage=vbr target-bitrate=200000",
            "webmmux",
        ),
        facts("webm", "vp8", NTSC, 40),
    );
    good(
        "vp9-opus.webm",
        format!(
            "{} {}",
            muxed(
                picture(40, NTSC, ""),
                "vp9enc deadline=1 cpu-used=8 auto-alt-ref=true lag-in-frames=12 end-usage=vbr target-bitrate=200000",
                "webmmux",
            ),
            tone(1300, "audioresample ! opusenc")
        ),
        Facts {
            audio: vec![("opus", 2, Some("en"))],
            ..facts("webm", "vp9", NTSC, 40)
        },
    );
    good(
        "av1.mkv",
        muxed(
            picture(12, PAL, ""),
            "av1enc cpu-used=8 usage-profile=realtime ! av1parse",
            "matroskamux",
        ),
        facts("mkv", "av1", PAL, 12),
    );
    good(
        "av1.mp4",
        muxed(
            picture(12, PAL, ""),
            "av1enc cpu-used=8 usage-profile=realtime ! av1parse",
            "mp4mux",
        ),
        facts("mp4", "av1", PAL, 12),
    );
    good(
        "mpeg2-mp2.ts",
        format!(
            "{} {}",
            muxed(
                picture(30, PAL, ""),
                "mpeg2enc format=3 b-per-refframe=2 ! mpegvideoparse",
                "mpegtsmux",
            ),
            tone(1200, "avenc_mp2 ! mpegaudioparse")
        ),
        Facts {
            audio: vec![("mp2", 2, None)],
            ..facts("ts", "mpeg2", PAL, 30)
        },
    );
    good(
        "mpeg2.mpg",
        muxed(
            picture(30, PAL, ""),
            "mpeg2enc format=3 b-per-refframe=2 ! mpegvideoparse",
            "avmux_vob",
        ),
        facts("ps", "mpeg2", PAL, 30),
    );
    good(
        "mpeg4-mp3.avi",
        format!(
            "{} {}",
            muxed(
                picture(30, PAL, ""),
                "avenc_mpeg4 ! mpeg4videoparse",
                "avimux"
            ),
            tone(1200, "lamemp3enc ! mpegaudioparse")
        ),
        Facts {
            audio: vec![("mp3", 2, None)],
            ..facts("avi", "mpeg4", PAL, 30)
        },
    );
    good(
        "mjpeg.avi",
        muxed(picture(15, (15, 1), ""), "jpegenc", "avimux"),
        facts("avi", "mjpeg", (15, 1), 15),
    );
    good(
        "mjpeg.mov",
        muxed(picture(15, (15, 1), ""), "jpegenc", "qtmux"),
        facts("mov", "mjpeg", (15, 1), 15),
    );
    good(
        "prores-pcm.mov",
        format!(
            "{} {}",
            muxed(
                picture(24, FILM, "format=I422_10LE"),
                "avenc_prores",
                "qtmux"
            ),
            tone(1000, "audio/x-raw,format=S16LE")
        ),
        Facts {
            bit_depth: 10,
            chroma: "4:2:2",
            audio: vec![("pcm", 2, None)],
            ..facts("mov", "prores", FILM, 24)
        },
    );
    good(
        "dnxhr.mxf",
        muxed(
            picture(12, PAL, "format=Y42B,width=1280,height=720"),
            "timecodestamper set=always source=internal ! avenc_dnxhd profile=dnxhr_lb",
            "mxfmux",
        ),
        Facts {
            chroma: "4:2:2",
            display: (1280, 720),
            timecode: Some("00:00:00:00"),
            ..facts("mxf", "dnxhd", PAL, 12)
        },
    );
    good(
        "theora.ogg",
        muxed(picture(25, PAL, ""), "theoraenc", "oggmux"),
        facts("ogg", "theora", PAL, 25),
    );
    good(
        "ffv1.mkv",
        muxed(picture(10, PAL, "format=Y444"), "avenc_ffv1", "matroskamux"),
        Facts {
            chroma: "4:4:4",
            ..facts("mkv", "ffv1", PAL, 10)
        },
    );

    // Shapes.
    good(
        "odd-444.mp4",
        muxed(
            picture(25, PAL, "format=Y444,width=161,height=91"),
            "x264enc speed-preset=ultrafast ! video/x-h264,profile=high-4:4:4 ! h264parse",
            "mp4mux",
        ),
        Facts {
            display: (161, 91),
            chroma: "4:4:4",
            ..facts("mp4", "h264", PAL, 25)
        },
    );
    good(
        "anamorphic.mp4",
        muxed(
            picture(
                25,
                PAL,
                "format=I420,width=360,height=288,pixel-aspect-ratio=64/45",
            ),
            H264,
            "mp4mux",
        ),
        Facts {
            display: (512, 288),
            ..facts("mp4", "h264", PAL, 25)
        },
    );
    good(
        "interlaced-tff.ts",
        muxed(
            picture(50, (50, 1), ""),
            "interlace field-pattern=1:1 top-field-first=true ! x264enc speed-preset=ultrafast interlaced=true ! h264parse",
            "mpegtsmux",
        ),
        Facts {
            field_order: "tff",
            ..facts("ts", "h264", PAL, 25)
        },
    );
    good(
        "interlaced-bff.mkv",
        muxed(
            picture(50, (50, 1), ""),
            "interlace field-pattern=1:1 top-field-first=false ! x264enc speed-preset=ultrafast interlaced=true ! h264parse",
            "matroskamux",
        ),
        Facts {
            field_order: "bff",
            ..facts("mkv", "h264", PAL, 25)
        },
    );

    // Sound.
    good(
        "three-languages.mp4",
        format!(
            "{} {} {} {}",
            muxed(picture(25, PAL, ""), H264, "mp4mux"),
            tone(
                1000,
                "taginject tags=language-code=eng ! avenc_aac ! aacparse"
            ),
            tone(
                1000,
                "taginject tags=language-code=deu ! avenc_aac ! aacparse"
            ),
            tone(1000, AAC)
        ),
        Facts {
            audio: vec![
                ("aac", 2, Some("eng")),
                ("aac", 2, Some("deu")),
                ("aac", 2, None),
            ],
            ..facts("mp4", "h264", PAL, 25)
        },
    );
    good(
        "two-languages.mkv",
        format!(
            "{} {} {}",
            muxed(picture(25, PAL, ""), H264, "matroskamux"),
            tone(
                1000,
                "taginject tags=language-code=fr ! avenc_aac ! aacparse"
            ),
            tone(
                1000,
                "taginject tags=language-code=ja ! avenc_aac ! aacparse"
            )
        ),
        Facts {
            audio: vec![("aac", 2, Some("fr")), ("aac", 2, Some("ja"))],
            ..facts("mkv", "h264", PAL, 25)
        },
    );

    // Timecode, as QuickTime carries it.
    for (name, rate, drop, set, text) in [
        ("tc-23976.mov", FILM, false, "01:00:00:00", "01:00:00:00"),
        ("tc-24.mov", (24, 1), false, "00:59:59:23", "00:59:59:23"),
        ("tc-25.mov", PAL, false, "23:59:58:00", "23:59:58:00"),
        ("tc-2997-df.mov", NTSC, true, "00:01:00;02", "00:01:00;02"),
        ("tc-2997-ndf.mov", NTSC, false, "10:00:00:00", "10:00:00:00"),
        ("tc-50.mov", (50, 1), false, "12:34:56:49", "12:34:56:49"),
        (
            "tc-5994-df.mov",
            (60000, 1001),
            true,
            "01:00:00;00",
            "01:00:00;00",
        ),
    ] {
        good(
            name,
            muxed(
                picture(12, rate, ""),
                &format!(
                    "timecodestamper set=always source=internal drop-frame={drop} set-internal-timecode={set} ! {H264}"
                ),
                "qtmux",
            ),
            Facts {
                timecode: Some(text),
                ..facts("mov", "h264", rate, 12)
            },
        );
    }

    // Variable rate: of each ten pictures of 30 a second, five are missing, unevenly.
    // The MP4 muxer's edit list ends before the last two.
    for (name, muxer, rate, frames) in [
        ("variable.mp4", "mp4mux", (15, 1), 28),
        ("variable.mkv", "matroskamux", (15000, 1001), 30),
    ] {
        let text = muxed(
            picture(60, (30, 1), ""),
            &format!("identity name=thin ! {H264}"),
            muxer,
        );
        let container = if muxer == "mp4mux" { "mp4" } else { "mkv" };
        let keep: Option<(u64, &'static [u64])> = Some((10, &[0, 1, 2, 5, 9]));
        cases.push(Case {
            name,
            recipe: Recipe::Pipeline { text, keep },
            expect: Expect::Probe(Box::new(Facts {
                variable: true,
                ..facts(container, "h264", rate, frames)
            })),
        });
    }

    // Made from others.
    let derived = |name, from, change, expect| Case {
        name,
        recipe: Recipe::Derived { from, change },
        expect,
    };
    let probe = |facts: Facts| Expect::Probe(Box::new(facts));
    let one = 0x1_0000;
    for (name, matrix, rotation) in [
        ("rotated-90.mp4", [0, one, -one, 0], 90),
        ("rotated-180.mp4", [-one, 0, 0, -one], 180),
        ("rotated-270.mp4", [0, -one, one, 0], 270),
    ] {
        let upright = facts("mp4", "h264", PAL, 50);
        let display = if rotation == 180 {
            (320, 180)
        } else {
            (180, 320)
        };
        cases.push(derived(
            name,
            "h264-faststart.mp4",
            Change::Matrix(matrix),
            probe(Facts {
                display,
                rotation,
                ..upright
            }),
        ));
    }
    let audio = vec![("aac", 2, None)];
    cases.extend([
        derived(
            "edit-list.mp4",
            "h264-aac.mp4",
            // Both count 2500 ticks a second, 100 a frame. Pictures are delayed by two frames, so
            // this is frames 10 to 30.
            Change::EditList {
                from: 1200,
                duration: 2000,
            },
            probe(Facts {
                audio,
                ..facts("mp4", "h264", PAL, 20)
            }),
        ),
        derived(
            "cut-faststart.mp4",
            "h264-faststart.mp4",
            Change::Cut(600),
            Expect::Refused("truncated"),
        ),
        derived(
            "cut.mp4",
            "h264-aac.mp4",
            Change::Cut(600),
            Expect::Refused("truncated"),
        ),
        derived(
            "no-index.mp4",
            "h264-aac.mp4",
            Change::NoIndex,
            Expect::Refused("incomplete_recording"),
        ),
        derived(
            "dnxhr.mov",
            "prores-pcm.mov",
            Change::Replace(*b"apcn", *b"AVdh"),
            Expect::Refused("unsupported_codec"),
        ),
        derived(
            "encrypted.mp4",
            "h264-faststart.mp4",
            Change::Replace(*b"avc1", *b"encv"),
            Expect::Refused("encrypted"),
        ),
    ]);

    // Refused.
    let refused = |name, recipe, code| Case {
        name,
        recipe,
        expect: Expect::Refused(code),
    };
    let pipeline = |text: String| Recipe::Pipeline { text, keep: None };
    cases.extend([
        refused("empty.mp4", Recipe::Bytes(Vec::new()), "empty_file"),
        refused(
            "text.mp4",
            Recipe::Bytes(b"Dear diary, ".repeat(200)),
            "not_media",
        ),
        refused("zeros.mov", Recipe::Bytes(vec![0; 100_000]), "not_media"),
        refused(
            "stream.mp4",
            Recipe::Bytes(
                b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/a.ts\n".to_vec(),
            ),
            "playlist",
        ),
        refused(
            "manifest.mp4",
            Recipe::Bytes(
                b"<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"></MPD>"
                    .to_vec(),
            ),
            "playlist",
        ),
        refused(
            "session.mp4",
            Recipe::Bytes(
                b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n".to_vec(),
            ),
            "playlist",
        ),
        refused(
            "huge.png",
            Recipe::Bytes(png(20_000, 20_000)),
            "still_picture",
        ),
        refused(
            "still.jpg",
            pipeline(format!(
                "{} ! jpegenc ! identity name=mux",
                picture(1, PAL, "")
            )),
            "still_picture",
        ),
        refused(
            "sound.wav",
            pipeline("audiotestsrc num-buffers=10 ! wavenc name=mux".into()),
            "no_video_track",
        ),
        refused(
            "sound.m4a",
            pipeline(format!("{} mp4mux name=mux", tone(1000, AAC))),
            "no_video_track",
        ),
        refused(
            "sound.mkv",
            pipeline(format!("{} matroskamux name=mux", tone(1000, AAC))),
            "no_video_track",
        ),
        refused(
            "windows.wmv",
            pipeline(muxed(picture(10, PAL, ""), "avenc_wmv2", "asfmux")),
            "unsupported_container",
        ),
        refused(
            "fast.mp4",
            pipeline(muxed(picture(20, (500, 1), ""), H264, "mp4mux")),
            "frame_rate_too_high",
        ),
        refused(
            "long.mkv",
            // One picture every two hours.
            pipeline(muxed(picture(20, (1, 7200), ""), "jpegenc", "matroskamux")),
            "too_long",
        ),
        refused(
            "tracks.mkv",
            pipeline(format!(
                "{} {}",
                muxed(picture(2, PAL, ""), H264, "matroskamux"),
                "audiotestsrc num-buffers=1 ! queue ! mux. ".repeat(70)
            )),
            "too_many_tracks",
        ),
    ]);
    for (name, caps, muxer) in [
        (
            "huge.mp4",
            "image/jpeg,parsed=true,framerate=25/1,width=20000,height=20000",
            "qtmux",
        ),
        (
            "huge-inside.mov",
            "image/jpeg,parsed=true,framerate=25/1,width=640,height=480",
            "qtmux",
        ),
        (
            "huge.mkv",
            "image/jpeg,framerate=25/1,width=20000,height=20000",
            "matroskamux",
        ),
        (
            "huge-inside.mkv",
            "image/jpeg,framerate=25/1,width=640,height=480",
            "matroskamux",
        ),
        (
            "huge-inside.avi",
            "image/jpeg,framerate=25/1,width=640,height=480",
            "avimux",
        ),
    ] {
        let recipe = Recipe::Frames {
            caps,
            frame: jpeg(20_000, 20_000),
            count: 5,
            muxer,
        };
        cases.push(refused(name, recipe, "picture_too_large"));
    }
    cases.push(refused(
        "huge-inside.webm",
        Recipe::Frames {
            caps: "video/x-vp8,framerate=25/1,width=640,height=480",
            // A key frame of 16383 x 16383.
            frame: vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0],
            count: 5,
            muxer: "webmmux",
        },
        "picture_too_large",
    ));
    cases.push(refused(
        "huge-png.mov",
        Recipe::Frames {
            caps: "image/png,framerate=25/1,width=640,height=480",
            frame: png(20_000, 20_000),
            count: 5,
            muxer: "qtmux",
        },
        "picture_too_large",
    ));
    cases
}

/// The case of that name.
pub fn case(name: &str) -> Case {
    cases()
        .into_iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("no case is called {name}"))
}

impl Case {
    /// The file, made if it is not there yet.
    pub fn file(&self) -> PathBuf {
        self.try_file()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// As [`Self::file`], or what GStreamer had against the recipe.
    pub fn try_file(&self) -> Result<PathBuf, String> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        gst::init().expect("GStreamer is installed");
        let mut hasher = DefaultHasher::new();
        self.recipe.hash(&mut hasher);
        if let Recipe::Derived { from, .. } = &self.recipe {
            case(from).recipe.hash(&mut hasher);
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("media")
            .join(format!("{:016x}", hasher.finish()));
        let path = folder.join(self.name);
        if path.is_file() {
            return Ok(path);
        }
        // Sources first, for their making takes the lock as well.
        let source = match &self.recipe {
            Recipe::Derived { from, .. } => Some(case(from).file()),
            _ => None,
        };
        let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if path.is_file() {
            return Ok(path);
        }
        fs::create_dir_all(&folder).expect("the folder for test files can be made");
        // Another test program may be making the same file.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let draft = folder.join(format!("draft-{}-{number}", std::process::id()));
        match &self.recipe {
            Recipe::Pipeline { text, keep } => run(text, *keep, &draft)?,
            Recipe::Frames {
                caps,
                frame,
                count,
                muxer,
            } => {
                frames(caps, frame, *count, muxer, &draft)?;
            }
            Recipe::Derived { change, .. } => {
                let bytes = fs::read(source.expect("made above")).expect("a file just made");
                fs::write(&draft, change.apply(bytes)).expect("the file can be written");
            }
            Recipe::Bytes(bytes) => fs::write(&draft, bytes).expect("the file can be written"),
        }
        fs::rename(&draft, &path).expect("a draft can be renamed");
        Ok(path)
    }
}

fn run(text: &str, keep: Option<(u64, &'static [u64])>, path: &Path) -> Result<(), String> {
    let text = format!("{text} mux. ! filesink name=file");
    let pipeline = gst::parse::launch(&text).map_err(|error| error.to_string())?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    pipeline
        .by_name("file")
        .expect("named above")
        .set_property("location", path);
    if let Some((group, kept)) = keep {
        let thin = pipeline.by_name("thin").expect("named in the recipe");
        let pad = thin.static_pad("src").expect("identity has one");
        let number = Mutex::new(0);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let mut number = number.lock().expect("one thread");
            *number += 1;
            if kept.contains(&((*number - 1) % group)) {
                gst::PadProbeReturn::Ok
            } else {
                gst::PadProbeReturn::Drop
            }
        });
    }
    finish(&pipeline)
}

fn frames(caps: &str, frame: &[u8], count: u64, muxer: &str, path: &Path) -> Result<(), String> {
    let text = format!("appsrc name=in format=time ! {caps} ! {muxer} ! filesink name=file");
    let pipeline = gst::parse::launch(&text).map_err(|error| error.to_string())?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    pipeline
        .by_name("file")
        .expect("named above")
        .set_property("location", path);
    let source = pipeline.by_name("in").expect("named above");
    let source = source.downcast::<gst_app::AppSrc>().expect("an appsrc");
    source.set_caps(Some(&caps.parse().expect("caps")));
    for number in 0..count {
        let mut buffer = gst::Buffer::from_slice(frame.to_vec());
        let fields = buffer.get_mut().expect("not shared yet");
        let at = gst::ClockTime::from_mseconds(40);
        fields.set_pts(at * number);
        fields.set_duration(at);
        source.push_buffer(buffer).expect("the queue has room");
    }
    source.end_of_stream().expect("the stream can end");
    finish(&pipeline)
}

fn finish(pipeline: &gst::Pipeline) -> Result<(), String> {
    let bus = pipeline.bus().expect("a pipeline has one");
    let _started = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &kinds);
    let _stopped = pipeline.set_state(gst::State::Null);
    match message.as_deref().map(gst::MessageRef::view) {
        None => Err("not finished in a minute".to_owned()),
        Some(gst::MessageView::Error(error)) => {
            Err(format!("{} {:?}", error.error(), error.debug()))
        }
        Some(_) => Ok(()),
    }
}

impl Change {
    fn apply(self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Cut(permille) => bytes.truncate(bytes.len() * permille / 1000),
            Self::NoIndex => {
                let at = position(&bytes, b"moov");
                // Without its index the recorder had not written the end of the file either.
                bytes.truncate(at - 4);
            }
            Self::Replace(from, to) => {
                let mut at = 0;
                let mut found = 0;
                while at + 4 <= bytes.len() {
                    if bytes[at..at + 4] == from {
                        bytes[at..at + 4].copy_from_slice(&to);
                        found += 1;
                    }
                    at += 1;
                }
                assert!(found > 0, "nothing to replace");
            }
            Self::EditList { from, duration } => return with_edit(bytes, from, duration),
            Self::Matrix([a, b, c, d]) => {
                // Version 0: 4 bytes of type, then 40 to the matrix.
                let at = position(&bytes, b"tkhd") + 4 + 40;
                for (place, value) in [(0, a), (4, b), (12, c), (16, d)] {
                    bytes[at + place..at + place + 4].copy_from_slice(&value.to_be_bytes());
                }
            }
        }
        bytes
    }
}

fn position(bytes: &[u8], mark: &[u8; 4]) -> usize {
    let at = bytes.windows(4).position(|window| window == mark);
    at.unwrap_or_else(|| panic!("no {}", String::from_utf8_lossy(mark)))
}

/// Puts an edit list of one edit into the first track. The index must lie behind the media data,
/// so that nothing else has to move.
fn with_edit(mut bytes: Vec<u8>, from: u32, duration: u32) -> Vec<u8> {
    let moov = position(&bytes, b"moov") - 4;
    let trak = moov + position(&bytes[moov..], b"trak") - 4;
    let mdia = trak + position(&bytes[trak..], b"mdia") - 4;
    let edit = [
        &36_u32.to_be_bytes()[..],
        b"edts",
        &28_u32.to_be_bytes(),
        b"elst",
        &[0; 4],
        &1_u32.to_be_bytes(),
        &duration.to_be_bytes(),
        &from.to_be_bytes(),
        &0x1_0000_u32.to_be_bytes(),
    ]
    .concat();
    // An older list is renamed to something that is skipped.
    if let Some(at) = bytes[trak..mdia]
        .windows(4)
        .position(|window| window == b"edts")
    {
        bytes[trak + at..trak + at + 4].copy_from_slice(b"free");
    }
    for start in [moov, trak] {
        let size: [u8; 4] = bytes[start..start + 4].try_into().expect("four bytes");
        let size = u32::from_be_bytes(size) + 36;
        bytes[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes.splice(mdia..mdia, edit);
    bytes
}

/// The header of a PNG picture of that size, and no more than a few bytes of it.
fn png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        let mut crc = u32::MAX;
        for byte in &body {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
            }
        }
        let len = u32::try_from(data.len()).expect("short");
        [&len.to_be_bytes()[..], &body, &(!crc).to_be_bytes()].concat()
    };
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[0x78, 0x9c, 1, 0, 0, 0xff, 0xff]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

/// The headers of a JPEG picture of that size, and a scan of nothing.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let [w0, w1] = width.to_be_bytes();
    let [h0, h1] = height.to_be_bytes();
    let tables = [&[0xff, 0xdb, 0, 67, 0][..], &[1; 64]].concat();
    let frame = [
        0xff, 0xc0, 0, 17, 8, h0, h1, w0, w1, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0,
    ];
    let huffman = [&[0xff, 0xc4, 0, 20, 0, 1][..], &[0; 15], &[0]].concat();
    let scan = [0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0, 0x55, 0x55];
    [
        &[0xff, 0xd8][..],
        &tables,
        &frame,
        &huffman,
        &scan,
        &[0xff, 0xd9],
    ]
    .concat()
}
