//! The acceptance set: videos of every kind that an editor meets, with a number in every picture
//! that a program can read, whatever is done to the picture on the way.
//!
//! The picture is a chequerboard of four by four fields, light or dark: ten of them are the number,
//! six a check on it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;
use gst_video::prelude::*;

/// One file of the set.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    /// With the extension that a user would see.
    pub(crate) name: &'static str,
    /// `gst-launch` syntax; pictures pass an element called `paint`, and what comes out of the
    /// muxer `mux` becomes the file.
    pub(crate) text: String,
    /// Coded pictures that one number is painted into: two where fields become pictures.
    pub(crate) fields: u64,
    /// Of so many pictures those are kept, by their place.
    pub(crate) keep: Option<(u64, &'static [u64])>,
    /// What is done to the finished bytes.
    pub(crate) change: Option<fn(Vec<u8>) -> Vec<u8>>,
    pub(crate) frames: u64,
    pub(crate) rate: (u32, u32),
    /// Start, and where it stands.
    pub(crate) timecode: Option<(&'static str, &'static str)>,
    pub(crate) field_order: &'static str,
    pub(crate) rotation: u16,
    pub(crate) pixel_aspect: (u32, u32),
    pub(crate) hdr: bool,
    /// Channels of each track.
    pub(crate) audio: Vec<u16>,
    pub(crate) bit_depth: u8,
    /// It is part of every `make test`.
    pub(crate) core: bool,
}

/// Numbers that can be told apart.
pub(crate) const NUMBERS: u64 = 1 << 10;

/// The fields of `number`, row by row.
fn fields(number: u64) -> [bool; 16] {
    let number = number % NUMBERS;
    let check = (number * 37 + 11) % 61;
    let word = number | check << 10;
    std::array::from_fn(|bit| word >> bit & 1 == 1)
}

/// The number in a grey picture of 16 by 16, turned clockwise by `rotation` degrees before it is
/// read; none if the check does not hold.
pub(crate) fn read(grey: &[u8], rotation: u16) -> Option<u64> {
    let value = |x: usize, y: usize| {
        // The middle of a field.
        let sum: u32 = [(1, 1), (1, 2), (2, 1), (2, 2)]
            .iter()
            .map(|(dx, dy)| u32::from(grey[(y * 4 + dy) * 16 + x * 4 + dx]))
            .sum();
        sum / 4
    };
    let mut word = 0_u64;
    let all: Vec<u32> = (0..16).map(|cell| value(cell % 4, cell / 4)).collect();
    let (low, high) = (*all.iter().min()?, *all.iter().max()?);
    let middle = u32::midpoint(low, high);
    for bit in 0..16 {
        let (x, y) = (bit % 4, bit / 4);
        let (x, y) = match rotation {
            90 => (3 - y, x),
            180 => (3 - x, 3 - y),
            270 => (y, 3 - x),
            _ => (x, y),
        };
        word |= u64::from(value(x, y) > middle) << bit;
    }
    let number = word & (NUMBERS - 1);
    (word >> 10 == (number * 37 + 11) % 61 && high - low > 40).then_some(number)
}

/// Paints `number` over the whole of a planar picture.
fn paint(frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>, number: u64) {
    let fields = fields(number);
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let stride = usize::try_from(frame.plane_stride()[0]).expect("forwards");
    let data = frame.plane_data_mut(0).expect("a planar picture");
    for y in 0..height {
        for x in 0..width {
            let cell = x * 4 / width + y * 4 / height * 4;
            // A little texture, so that coding has something to do.
            let noise = u8::try_from((x * 7 + y * 13) % 9).expect("small");
            data[y * stride + x] = if fields[cell] { 190 } else { 50 } + noise;
        }
    }
}

/// Files under way; tests run side by side.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

impl Numbered {
    /// The file, made if it is not there yet.
    pub(crate) fn file(&self) -> PathBuf {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};

        let mut hasher = DefaultHasher::new();
        (&self.text, self.fields, self.keep, self.change.is_some()).hash(&mut hasher);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("numbered");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(format!("{:016x}-{}", hasher.finish(), self.name));
        if path.exists() {
            return path;
        }
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let draft = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        self.make(&draft);
        if let Some(change) = self.change {
            let bytes = std::fs::read(&draft).expect("it was made");
            std::fs::write(&draft, change(bytes)).expect("it can be written");
        }
        std::fs::rename(&draft, &path).expect("a draft can be renamed");
        path
    }

    fn make(&self, path: &Path) {
        let text = format!("{} mux. ! filesink name=file", self.text);
        let pipeline = gst::parse::launch(&text).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
        let file = pipeline.by_name("file").expect("named above");
        file.set_property("location", path);
        let (fields, keep) = (self.fields, self.keep);
        let count = AtomicU64::new(0);
        let pad = pipeline.by_name("paint").expect("named in the text");
        let pad = pad.static_pad("src").expect("identity has one");
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            if keep.is_some_and(|(group, kept)| !kept.contains(&(number % group))) {
                return gst::PadProbeReturn::Drop;
            }
            // Of those that are kept.
            let number = match keep {
                Some((group, kept)) => {
                    let place = kept.iter().position(|place| *place == number % group);
                    number / group * kept.len() as u64 + place.expect("kept") as u64
                }
                None => number / fields,
            };
            let caps = pad.current_caps().expect("pictures have a format");
            let of = gst_video::VideoInfo::from_caps(&caps).expect("raw");
            let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
                return gst::PadProbeReturn::Ok;
            };
            let buffer = buffer.make_mut();
            let frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &of);
            paint(&mut frame.expect("writable"), number);
            gst::PadProbeReturn::Ok
        });
        let bus = pipeline.bus().expect("a pipeline has one");
        let _started = pipeline.set_state(gst::State::Playing);
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(120), &kinds);
        let _stopped = pipeline.set_state(gst::State::Null);
        match message.as_deref().map(gst::MessageRef::view) {
            Some(gst::MessageView::Eos(_)) => {}
            Some(gst::MessageView::Error(error)) => {
                panic!("{}: {} {:?}", self.name, error.error(), error.debug())
            }
            _ => panic!("{}: not finished in two minutes", self.name),
        }
    }
}

const FILM: (u32, u32) = (24000, 1001);
const PAL: (u32, u32) = (25, 1);
const NTSC: (u32, u32) = (30000, 1001);
const AVC: &str =
    "x264enc speed-preset=ultrafast bframes=2 b-adapt=false key-int-max=12 threads=1 ! h264parse";

/// Numbered pictures, raw.
fn pictures(count: u64, (num, den): (u32, u32), size: (u32, u32), caps: &str) -> String {
    let (width, height) = size;
    format!(
        "videotestsrc pattern=ball num-buffers={count} ! video/x-raw,format=I420,framerate={num}/{den},width={width},height={height}{caps} ! identity name=paint"
    )
}

fn muxed(pictures: &str, encoder: &str, muxer: &str) -> String {
    format!("{pictures} ! {encoder} ! queue ! mux. {muxer} name=mux")
}

fn stamped(timecode: &str) -> String {
    let drop = timecode.contains(';');
    format!(
        "timecodestamper set=always source=internal drop-frame={drop} set-internal-timecode={timecode}"
    )
}

/// A tone of `ms` milliseconds on `channels` channels, 16 bits.
fn tone(ms: u64, channels: u16, wave: &str) -> String {
    format!(
        " audiotestsrc wave={wave} num-buffers={} samplesperbuffer=480 ! audio/x-raw,format=S16LE,rate=48000,channels={channels} ! audioconvert ! queue ! mux.",
        ms / 10
    )
}

fn base(name: &'static str, text: String, frames: u64, rate: (u32, u32)) -> Numbered {
    Numbered {
        name,
        text,
        fields: 1,
        keep: None,
        change: None,
        frames,
        rate,
        timecode: None,
        field_order: "progressive",
        rotation: 0,
        pixel_aspect: (1, 1),
        hdr: false,
        audio: Vec::new(),
        bit_depth: 8,
        core: false,
    }
}

const SMALL: (u32, u32) = (320, 240);

/// Every rate, with a timecode that is soon over an hour, a minute or midnight.
fn rates() -> Vec<Numbered> {
    [
        ("n-23976.mov", FILM, "00:59:59:20", true),
        ("n-24.mov", (24, 1), "23:59:58:00", false),
        ("n-25.mov", PAL, "23:59:58:00", true),
        ("n-2997-df.mov", NTSC, "00:00:59;25", true),
        ("n-2997-ndf.mov", NTSC, "00:00:59:25", false),
        ("n-30.mov", (30, 1), "10:00:00:00", false),
        ("n-50.mov", (50, 1), "01:00:00:00", false),
        ("n-5994-df.mov", (60000, 1001), "00:08:59;55", true),
        ("n-60.mov", (60, 1), "01:00:00:00", false),
    ]
    .into_iter()
    .map(|(name, rate, timecode, core)| {
        let encoder = format!("{} ! {AVC}", stamped(timecode));
        let text = muxed(&pictures(60, rate, SMALL, ""), &encoder, "qtmux");
        Numbered {
            timecode: Some((timecode, "tmcd")),
            core,
            ..base(name, text, 60, rate)
        }
    })
    .collect()
}

/// Where a timecode stands besides, or does not stand at all.
fn clocks() -> Vec<Numbered> {
    let mxf = |name, rate, timecode: &'static str| {
        let encoder = format!(
            "{} ! x264enc speed-preset=ultrafast bframes=0 key-int-max=1 threads=1 ! h264parse",
            stamped(timecode)
        );
        Numbered {
            timecode: Some((timecode, "mxf")),
            // The muxer always writes midnight: SMPTE ST 377-1, local tag 1501 of eight bytes.
            change: Some(|bytes| {
                let start = 916_813_u64.to_be_bytes();
                let wanted = [&[0x15, 0x01, 0x00, 0x08], &start[..]].concat();
                let written = [0x15, 0x01, 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
                replace(bytes, &written, &wanted)
            }),
            ..base(
                name,
                muxed(&pictures(20, rate, SMALL, ""), &encoder, "mxfmux"),
                20,
                rate,
            )
        }
    };
    let tagged = muxed(
        &pictures(30, PAL, SMALL, ""),
        &format!("taginject tags=\"composer=(string)01:02:03:04\" ! {AVC}"),
        "matroskamux",
    );
    vec![
        mxf("n-mxf.mxf", PAL, "10:11:12:13"),
        Numbered {
            timecode: Some(("01:02:03:04", "tag")),
            // The muxer knows no such tag, and the names are equally long.
            change: Some(|bytes| replace(bytes, b"COMPOSER", b"TIMECODE")),
            ..base("n-tag.mkv", tagged, 30, PAL)
        },
        base(
            "n-none.mp4",
            muxed(&pictures(30, PAL, SMALL, ""), AVC, "mp4mux"),
            30,
            PAL,
        ),
    ]
}

fn shapes() -> Vec<Numbered> {
    let interlaced = |name, top: bool, core| {
        let encoder = format!(
            "interlace field-pattern=1:1 top-field-first={top} ! x264enc speed-preset=ultrafast interlaced=true key-int-max=12 threads=1 ! h264parse"
        );
        Numbered {
            fields: 2,
            field_order: if top { "tff" } else { "bff" },
            core,
            ..base(
                name,
                muxed(&pictures(60, (50, 1), (320, 256), ""), &encoder, "qtmux"),
                30,
                PAL,
            )
        }
    };
    let turned = |name, rotation, core, change: fn(Vec<u8>) -> Vec<u8>| Numbered {
        rotation,
        change: Some(change),
        core,
        ..base(
            name,
            muxed(&pictures(30, NTSC, SMALL, ""), AVC, "mp4mux"),
            30,
            NTSC,
        )
    };
    let variable = Numbered {
        keep: Some((10, &[0, 1, 2, 3, 4, 5, 6, 8, 9])),
        core: true,
        ..base(
            "n-variable.mp4",
            muxed(&pictures(100, (30, 1), SMALL, ""), AVC, "mp4mux"),
            // The muxer's edit list ends before the last.
            89,
            (1320, 49),
        )
    };
    vec![
        variable,
        interlaced("n-tff.mov", true, true),
        interlaced("n-bff.mov", false, false),
        turned("n-90.mp4", 90, true, |bytes| turn(bytes, [0, 1, -1, 0])),
        turned("n-180.mp4", 180, false, |bytes| turn(bytes, [-1, 0, 0, -1])),
        turned("n-270.mp4", 270, false, |bytes| turn(bytes, [0, -1, 1, 0])),
        Numbered {
            pixel_aspect: (4, 3),
            core: true,
            ..base(
                "n-anamorphic.mov",
                muxed(
                    &pictures(30, PAL, (360, 270), ",pixel-aspect-ratio=4/3"),
                    AVC,
                    "qtmux",
                ),
                30,
                PAL,
            )
        },
        base(
            "n-odd.mov",
            muxed(
                &pictures(12, PAL, (1919, 1079), ""),
                "videoconvert ! video/x-raw,format=Y444 ! x264enc speed-preset=ultrafast threads=1 ! video/x-h264,profile=high-4:4:4 ! h264parse",
                "qtmux",
            ),
            12,
            PAL,
        ),
        base(
            "n-8k.mp4",
            muxed(
                &pictures(4, PAL, (7680, 4320), ""),
                "x264enc speed-preset=ultrafast bitrate=100000 bframes=2 key-int-max=12 threads=2 ! h264parse",
                "mp4mux",
            ),
            4,
            PAL,
        ),
    ]
}

/// Puts one in place of the other, wherever it stands.
fn replace(mut bytes: Vec<u8>, written: &[u8], wanted: &[u8]) -> Vec<u8> {
    assert_eq!(written.len(), wanted.len());
    let places: Vec<usize> = (bytes.windows(written.len()).enumerate())
        .filter(|(_, word)| *word == written)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "there is nothing to replace");
    for at in places {
        bytes[at..at + wanted.len()].copy_from_slice(wanted);
    }
    bytes
}

/// Swaps the matrix of the first track.
fn turn(mut bytes: Vec<u8>, [a, b, c, d]: [i32; 4]) -> Vec<u8> {
    let at = bytes.windows(4).position(|word| word == b"tkhd");
    let at = at.expect("a track has a header") + 4 + 40;
    for (place, value) in [(0, a), (4, b), (12, c), (16, d)] {
        bytes[at + place..at + place + 4].copy_from_slice(&(value << 16).to_be_bytes());
    }
    bytes
}

fn sounds() -> Vec<Numbered> {
    let with = |name, audio: Vec<u16>, wave: &str, core| {
        let mut text = muxed(&pictures(30, NTSC, SMALL, ""), AVC, "qtmux");
        for channels in &audio {
            text.push_str(&tone(1000, *channels, wave));
        }
        Numbered {
            audio,
            core,
            ..base(name, text, 30, NTSC)
        }
    };
    vec![
        with("n-mono.mov", vec![1], "sine", false),
        with("n-stereo.mov", vec![2], "sine", true),
        with("n-51.mov", vec![6], "sine", false),
        with("n-eight.mov", vec![1; 8], "sine", true),
        with("n-silent.mov", vec![2], "silence", false),
    ]
}

fn codings() -> Vec<Numbered> {
    let ten = "videoconvert ! video/x-raw,format=I422_10LE ! avenc_prores_ks profile=standard";
    let hdr = |name, colour: &str, hdr| {
        let text = format!(
            "{} ! capssetter caps=video/x-raw,colorimetry={colour} ! videoconvert ! video/x-raw,format=I420_10LE,colorimetry={colour} ! x265enc speed-preset=ultrafast ! h265parse ! queue ! mux. mp4mux name=mux",
            pictures(24, (24, 1), SMALL, "")
        );
        Numbered {
            hdr,
            bit_depth: 10,
            ..base(name, text, 24, (24, 1))
        }
    };
    vec![
        hdr("n-pq.mp4", "bt2100-pq", true),
        hdr("n-hlg.mp4", "bt2100-hlg", true),
        Numbered {
            bit_depth: 10,
            core: true,
            ..base(
                "n-422-10.mov",
                muxed(&pictures(24, FILM, SMALL, ""), ten, "qtmux"),
                24,
                FILM,
            )
        },
        Numbered {
            core: true,
            ..base(
                "n-long-gop.mp4",
                muxed(
                    &pictures(100, NTSC, SMALL, ""),
                    "x264enc speed-preset=faster bframes=3 key-int-max=250 threads=1 option-string=scenecut=0 ! h264parse",
                    "mp4mux",
                ),
                100,
                NTSC,
            )
        },
        Numbered {
            core: true,
            ..base(
                "n-open-gop.mp4",
                muxed(
                    &pictures(80, PAL, SMALL, ""),
                    "x264enc speed-preset=ultrafast bframes=3 b-adapt=false ref=3 key-int-max=17 threads=1 option-string=open-gop=1:scenecut=0 ! h264parse",
                    "mp4mux",
                ),
                80,
                PAL,
            )
        },
        base(
            "n-ts.ts",
            muxed(&pictures(50, PAL, SMALL, ""), AVC, "mpegtsmux"),
            50,
            PAL,
        ),
        base(
            "n-mkv.mkv",
            muxed(&pictures(50, FILM, SMALL, ""), AVC, "matroskamux"),
            50,
            FILM,
        ),
    ]
}

/// The whole set.
pub(crate) fn set() -> Vec<Numbered> {
    [rates(), clocks(), shapes(), sounds(), codings()].concat()
}
