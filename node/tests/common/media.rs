//! Small videos of many kinds, made with GStreamer as they are asked for, and what is true of each.
//!
//! They lie in cargo's folder for test files under a name made from their recipe, so that each is
//! made once and again only when its recipe changes.

// Each test program that includes this uses a part of it.
#![allow(dead_code, unreachable_pub)]

#[path = "media_cases.rs"]
mod table;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use gst::prelude::*;

pub use self::table::cases;

/// One test file.
#[derive(Clone)]
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

#[derive(Clone)]
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
                let at = position(&bytes, *b"moov");
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
                let at = position(&bytes, *b"tkhd") + 4 + 40;
                for (place, value) in [(0, a), (4, b), (12, c), (16, d)] {
                    bytes[at + place..at + place + 4].copy_from_slice(&value.to_be_bytes());
                }
            }
        }
        bytes
    }
}

fn position(bytes: &[u8], mark: [u8; 4]) -> usize {
    let at = bytes.windows(4).position(|window| *window == mark);
    at.unwrap_or_else(|| panic!("no {}", String::from_utf8_lossy(&mark)))
}

/// Puts an edit list of one edit into the first track. The index must lie behind the media data,
/// so that nothing else has to move.
fn with_edit(mut bytes: Vec<u8>, from: u32, duration: u32) -> Vec<u8> {
    let moov = position(&bytes, *b"moov") - 4;
    let trak = moov + position(&bytes[moov..], *b"trak") - 4;
    let mdia = trak + position(&bytes[trak..], *b"mdia") - 4;
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
