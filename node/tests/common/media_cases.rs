//! The table of test files: how each is made, and what the probe must say about it.

use super::{Case, Change, Expect, Facts, Recipe};

/// Every test file.
pub fn cases() -> Vec<Case> {
    [
        codings(),
        other_codings(),
        shapes(),
        sounds(),
        timecodes(),
        variable_rates(),
        derived(),
        refused(),
        huge(),
    ]
    .concat()
}

/// H.264 and HEVC in their containers.
fn codings() -> Vec<Case> {
    vec![
        good(
            "h264-aac.mp4",
            format!(
                "{} {}",
                muxed(&picture(50, PAL, ""), H264, "mp4mux"),
                tone(2000, AAC)
            ),
            Facts {
                audio: vec![("aac", 2, None)],
                ..facts("mp4", "h264", PAL, 50)
            },
        ),
        good(
            "h264-faststart.mp4",
            muxed(&picture(50, PAL, ""), H264, "mp4mux faststart=true"),
            facts("mp4", "h264", PAL, 50),
        ),
        // Key pictures that are no IDR pictures, and pictures that lead them.
        good(
            "h264-open-gop.mp4",
            muxed(&picture(100, PAL, ""), OPEN_GOP, "mp4mux"),
            facts("mp4", "h264", PAL, 100),
        ),
        good(
            "h264-fragments.mp4",
            muxed(&picture(50, PAL, ""), H264, "mp4mux fragment-duration=500"),
            // The muxer delays the pictures by two without an edit list to say so, and GStreamer
            // shows only what lies within the duration.
            facts("mp4", "h264", PAL, 48),
        ),
        good(
            "h264-vorbis.mkv",
            format!(
                "{} {}",
                muxed(&picture(47, FILM, ""), H264, "matroskamux"),
                tone(1900, "vorbisenc")
            ),
            Facts {
                audio: vec![("vorbis", 2, Some("en"))],
                ..facts("mkv", "h264", FILM, 47)
            },
        ),
        good(
            "h264-ac3.ts",
            format!(
                "{} {}",
                muxed(&picture(50, (50, 1), ""), H264, "mpegtsmux"),
                tone(1000, "avenc_ac3 ! ac3parse")
            ),
            Facts {
                audio: vec![("ac3", 2, None)],
                ..facts("ts", "h264", (50, 1), 50)
            },
        ),
        good(
            "h264-aac.flv",
            format!(
                "{} {}",
                muxed(&picture(30, (30, 1), ""), H264, "flvmux"),
                tone(1000, AAC)
            ),
            Facts {
                audio: vec![("aac", 2, None)],
                ..facts("flv", "h264", (30, 1), 30)
            },
        ),
        good(
            "hevc10.mp4",
            muxed(
                &picture(36, FILM, "format=I420_10LE"),
                "x265enc speed-preset=ultrafast ! h265parse",
                "mp4mux",
            ),
            Facts {
                bit_depth: 10,
                ..facts("mp4", "hevc", FILM, 36)
            },
        ),
        good(
            "hevc-pq.mkv",
            muxed(
                &picture(24, (24, 1), "format=I420_10LE,colorimetry=bt2100-pq"),
                "x265enc speed-preset=ultrafast ! h265parse",
                "matroskamux",
            ),
            Facts {
                bit_depth: 10,
                hdr: true,
                ..facts("mkv", "hevc", (24, 1), 24)
            },
        ),
    ]
}

/// The codings of the web, of broadcast, of cutting rooms and of old.
#[allow(clippy::too_many_lines)]
fn other_codings() -> Vec<Case> {
    vec![
        good(
            "vp8-hidden-frames.webm",
            muxed(
                &picture(40, NTSC, ""),
                "vp8enc deadline=1 cpu-used=8 auto-alt-ref=true lag-in-frames=12 keyframe-max-dist=20 end-usage=vbr target-bitrate=200000",
                "webmmux",
            ),
            facts("webm", "vp8", NTSC, 40),
        ),
        good(
            "vp9-opus.webm",
            format!(
                "{} {}",
                muxed(
                    &picture(40, NTSC, ""),
                    "vp9enc deadline=1 cpu-used=8 auto-alt-ref=true lag-in-frames=12 end-usage=vbr target-bitrate=200000",
                    "webmmux",
                ),
                tone(1300, "audioresample ! opusenc")
            ),
            Facts {
                audio: vec![("opus", 2, Some("en"))],
                ..facts("webm", "vp9", NTSC, 40)
            },
        ),
        good(
            "av1.mkv",
            muxed(
                &picture(12, PAL, ""),
                "av1enc cpu-used=8 usage-profile=realtime ! av1parse",
                "matroskamux",
            ),
            facts("mkv", "av1", PAL, 12),
        ),
        good(
            "av1.mp4",
            muxed(
                &picture(12, PAL, ""),
                "av1enc cpu-used=8 usage-profile=realtime ! av1parse",
                "mp4mux",
            ),
            facts("mp4", "av1", PAL, 12),
        ),
        good(
            "mpeg2-mp2.ts",
            format!(
                "{} {}",
                muxed(
                    &picture(30, PAL, ""),
                    "mpeg2enc format=3 b-per-refframe=2 ! mpegvideoparse",
                    "mpegtsmux",
                ),
                tone(1200, "avenc_mp2 ! mpegaudioparse")
            ),
            Facts {
                audio: vec![("mp2", 2, None)],
                ..facts("ts", "mpeg2", PAL, 30)
            },
        ),
        good(
            "mpeg2.mpg",
            muxed(
                &picture(30, PAL, ""),
                "mpeg2enc format=3 b-per-refframe=2 ! mpegvideoparse",
                "avmux_vob",
            ),
            facts("ps", "mpeg2", PAL, 30),
        ),
        good(
            "mpeg4-mp3.avi",
            format!(
                "{} {}",
                muxed(
                    &picture(30, PAL, ""),
                    "avenc_mpeg4 ! mpeg4videoparse",
                    "avimux"
                ),
                tone(1200, "lamemp3enc ! mpegaudioparse")
            ),
            Facts {
                audio: vec![("mp3", 2, None)],
                ..facts("avi", "mpeg4", PAL, 30)
            },
        ),
        good(
            "mjpeg.avi",
            muxed(&picture(15, (15, 1), ""), "jpegenc", "avimux"),
            facts("avi", "mjpeg", (15, 1), 15),
        ),
        good(
            "mjpeg.mov",
            muxed(&picture(15, (15, 1), ""), "jpegenc", "qtmux"),
            facts("mov", "mjpeg", (15, 1), 15),
        ),
        good(
            "prores-pcm.mov",
            format!(
                "{} {}",
                muxed(
                    &picture(24, FILM, "format=I422_10LE"),
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
        ),
        good(
            "dnxhr.mxf",
            muxed(
                &picture(12, PAL, "format=Y42B,width=1280,height=720"),
                "timecodestamper set=always source=internal ! avenc_dnxhd profile=dnxhr_lb",
                "mxfmux",
            ),
            Facts {
                chroma: "4:2:2",
                display: (1280, 720),
                timecode: Some("00:00:00:00"),
                ..facts("mxf", "dnxhd", PAL, 12)
            },
        ),
        good(
            "theora.ogg",
            muxed(&picture(25, PAL, ""), "theoraenc", "oggmux"),
            facts("ogg", "theora", PAL, 25),
        ),
        good(
            "ffv1.mkv",
            muxed(
                &picture(10, PAL, "format=Y444"),
                "avenc_ffv1",
                "matroskamux",
            ),
            Facts {
                chroma: "4:4:4",
                ..facts("mkv", "ffv1", PAL, 10)
            },
        ),
    ]
}

/// Odd, flat, and made of fields.
fn shapes() -> Vec<Case> {
    vec![
        good(
            "odd-444.mp4",
            muxed(
                &picture(25, PAL, "format=Y444,width=161,height=91"),
                "x264enc speed-preset=ultrafast ! video/x-h264,profile=high-4:4:4 ! h264parse",
                "mp4mux",
            ),
            Facts {
                display: (161, 91),
                chroma: "4:4:4",
                ..facts("mp4", "h264", PAL, 25)
            },
        ),
        good(
            "anamorphic.mp4",
            muxed(
                &picture(
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
        ),
        good(
            "interlaced-tff.ts",
            muxed(
                &picture(50, (50, 1), ""),
                "interlace field-pattern=1:1 top-field-first=true ! x264enc speed-preset=ultrafast interlaced=true ! h264parse",
                "mpegtsmux",
            ),
            Facts {
                field_order: "tff",
                ..facts("ts", "h264", PAL, 25)
            },
        ),
        good(
            "interlaced.mxf",
            muxed(
                &picture(50, (50, 1), ""),
                "interlace field-pattern=1:1 top-field-first=true ! x264enc speed-preset=ultrafast interlaced=true ! h264parse",
                "mxfmux",
            ),
            Facts {
                field_order: "tff",
                timecode: Some("00:00:00:00"),
                ..facts("mxf", "h264", PAL, 25)
            },
        ),
        good(
            "interlaced-bff.mkv",
            muxed(
                &picture(50, (50, 1), ""),
                "interlace field-pattern=1:1 top-field-first=false ! x264enc speed-preset=ultrafast interlaced=true ! h264parse",
                "matroskamux",
            ),
            Facts {
                field_order: "bff",
                ..facts("mkv", "h264", PAL, 25)
            },
        ),
    ]
}

/// Several sound tracks.
fn sounds() -> Vec<Case> {
    vec![
        good(
            "three-languages.mp4",
            format!(
                "{} {} {} {}",
                muxed(&picture(25, PAL, ""), H264, "mp4mux"),
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
        ),
        good(
            "two-languages.mkv",
            format!(
                "{} {} {}",
                muxed(&picture(25, PAL, ""), H264, "matroskamux"),
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
        ),
    ]
}

/// Timecode, as `QuickTime` carries it.
fn timecodes() -> Vec<Case> {
    let mut cases = Vec::new();
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
        cases.push(good(
            name,
            muxed(
                &picture(12, rate, ""),
                &format!(
                    "timecodestamper set=always source=internal drop-frame={drop} set-internal-timecode={set} ! {H264}"
                ),
                "qtmux",
            ),
            Facts {
                timecode: Some(text),
                ..facts("mov", "h264", rate, 12)
            },
        ));
    }
    cases
}

/// Of each ten pictures of 30 a second, five are missing, unevenly.
fn variable_rates() -> Vec<Case> {
    let mut cases = Vec::new();
    // The MP4 muxer's edit list ends before the last two.
    for (name, muxer, rate, frames) in [
        ("variable.mp4", "mp4mux", (15, 1), 28),
        ("variable.mkv", "matroskamux", (15000, 1001), 30),
    ] {
        let text = muxed(
            &picture(60, (30, 1), ""),
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
    cases
}

/// Made from others.
fn derived() -> Vec<Case> {
    let mut cases = Vec::new();
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
            "cineform.mov",
            "prores-pcm.mov",
            Change::Replace(*b"apcn", *b"CFHD"),
            Expect::Refused("unsupported_codec"),
        ),
        derived(
            "encrypted.mp4",
            "h264-faststart.mp4",
            Change::Replace(*b"avc1", *b"encv"),
            Expect::Refused("encrypted"),
        ),
    ]);
    cases
}

/// Not videos, or not ones that are taken.
fn refused() -> Vec<Case> {
    let mut cases = Vec::new();
    let pipeline = |text: String| Recipe::Pipeline { text, keep: None };
    cases.extend([
        refuse("empty.mp4", Recipe::Bytes(Vec::new()), "empty_file"),
        refuse(
            "text.mp4",
            Recipe::Bytes(b"Dear diary, ".repeat(200)),
            "not_media",
        ),
        refuse("zeros.mov", Recipe::Bytes(vec![0; 100_000]), "not_media"),
        refuse(
            "stream.mp4",
            Recipe::Bytes(
                b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/a.ts\n".to_vec(),
            ),
            "playlist",
        ),
        refuse(
            "manifest.mp4",
            Recipe::Bytes(
                b"<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"></MPD>"
                    .to_vec(),
            ),
            "playlist",
        ),
        refuse(
            "session.mp4",
            Recipe::Bytes(
                b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n".to_vec(),
            ),
            "playlist",
        ),
        refuse(
            "huge.png",
            Recipe::Bytes(png(20_000, 20_000)),
            "still_picture",
        ),
        refuse(
            "still.jpg",
            pipeline(format!(
                "{} ! jpegenc ! identity name=mux",
                picture(1, PAL, "")
            )),
            "still_picture",
        ),
        refuse(
            "sound.wav",
            pipeline("audiotestsrc num-buffers=10 ! wavenc name=mux".into()),
            "no_video_track",
        ),
        refuse(
            "sound.m4a",
            pipeline(format!("{} mp4mux name=mux", tone(1000, AAC))),
            "no_video_track",
        ),
        refuse(
            "sound.mkv",
            pipeline(format!("{} matroskamux name=mux", tone(1000, AAC))),
            "no_video_track",
        ),
        refuse(
            "windows.wmv",
            pipeline(muxed(&picture(10, PAL, ""), "avenc_wmv2", "asfmux")),
            "unsupported_container",
        ),
        refuse(
            "fast.mp4",
            pipeline(muxed(&picture(20, (500, 1), ""), H264, "mp4mux")),
            "frame_rate_too_high",
        ),
        refuse(
            "long.mkv",
            // One picture every two hours.
            pipeline(muxed(&picture(20, (1, 7200), ""), "jpegenc", "matroskamux")),
            "too_long",
        ),
        refuse(
            "tracks.mkv",
            pipeline(format!(
                "{} {}",
                muxed(&picture(2, PAL, ""), H264, "matroskamux"),
                "audiotestsrc num-buffers=1 ! queue ! mux. ".repeat(70)
            )),
            "too_many_tracks",
        ),
    ]);
    cases
}

/// Pictures beyond the limit, in headers of the container and in their own.
fn huge() -> Vec<Case> {
    let mut cases = Vec::new();
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
        cases.push(refuse(name, recipe, "picture_too_large"));
    }
    cases.push(refuse(
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
    cases.push(refuse(
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

fn good(name: &'static str, text: String, facts: Facts) -> Case {
    let recipe = Recipe::Pipeline { text, keep: None };
    let expect = Expect::Probe(Box::new(facts));
    Case {
        name,
        recipe,
        expect,
    }
}

fn refuse(name: &'static str, recipe: Recipe, code: &'static str) -> Case {
    let expect = Expect::Refused(code);
    Case {
        name,
        recipe,
        expect,
    }
}

fn muxed(video: &str, encoder: &str, muxer: &str) -> String {
    format!("{video} ! {encoder} ! queue ! mux. {muxer} name=mux")
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
const OPEN_GOP: &str = "x264enc speed-preset=ultrafast bframes=3 b-adapt=false ref=3 key-int-max=17 threads=1 option-string=open-gop=1:scenecut=0 ! h264parse";
const AAC: &str = "avenc_aac ! aacparse";

const FILM: (u32, u32) = (24000, 1001);
const PAL: (u32, u32) = (25, 1);
const NTSC: (u32, u32) = (30000, 1001);

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
