//! Pure: what the media runner and its confined child process say to each other.
//!
//! The parent writes one [`Request`] to the child's standard input and closes it.
//! The child answers on standard output with [`Event`]s and ends with exactly one
//! [`Event::Done`] or [`Event::Failed`].
//! Both ways, a message is a frame: its length as four bytes, most significant first, and one
//! record of [`crate::codec`]; [`write_frame`] and [`read_frame`] do this for blocking pipes.
//! Whatever else happens, an exit without either, a signal, silence, is [`FailureClass::Crashed`].
//!
//! [`FailureClass::Crashed`]: crate::failure::FailureClass::Crashed

use std::io::{self, Read, Write};

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::clip::Mode;
use crate::codec;
use crate::failure::Failure;
use crate::job::Progress;
use crate::media::{FrameRange, FrameRate, Rendition, Resolution};
use crate::preset::{Lut, Preset};
use crate::probe::Probe;

/// One job attempt, complete: the child knows nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Request {
    /// Absolute path of the original, readable and nothing more.
    pub input: String,
    /// The name the user gave the file, for sentences only; never a path.
    pub filename: String,
    /// Absolute path of an empty folder that the results go to. The only place the child may write.
    pub output: String,
    pub task: Task,
}

/// What to make. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[repr(u8)]
pub enum Task {
    /// Look into the file; refuse what must not be decoded.
    Probe = 0,
    /// Encode a range of frames to every rendition at once.
    Ladder(LadderTask) = 1,
    /// Encode the sound.
    Audio(AudioTask) = 2,
    /// Make poster images.
    Stills(StillsTask) = 3,
    /// Find out which H.264 encoders really work here; `input` and `output` are not used.
    Hardware = 4,
    /// Make the file of a subclip.
    Clip(ClipTask) = 5,
    /// Make an edit proxy.
    Proxy(Box<ProxyTask>) = 6,
}

/// A GStreamer pipeline in the syntax of `gst-launch-1.0`, without any path in it.
///
/// The parent writes it from the facts of the probe, so that the child decides nothing; the child
/// sets the file of [`Pipeline::SOURCE`], links the wanted track of [`Pipeline::DEMUX`] to
/// [`Pipeline::ENTRY`], and takes what comes out of the sinks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Pipeline {
    pub text: String,
}

impl Pipeline {
    /// The element that reads the file.
    pub const SOURCE: &'static str = "source";
    /// The demuxer; its pads are linked by the child as they appear.
    pub const DEMUX: &'static str = "demux";
    /// The first element behind the demuxer.
    pub const ENTRY: &'static str = "entry";
    /// The element behind the decoder at which pictures are counted, timed and cut.
    pub const GATE: &'static str = "gate";
    /// The element whose pictures are given a look.
    pub const LOOK: &'static str = "look";
    /// The element that writes a line of text into the pictures.
    pub const CAPTION: &'static str = "caption";
    /// The element whose pictures get their timecode written into them.
    pub const BURN: &'static str = "burn";
    /// The element that lets only those pictures through that become [`Cells`].
    pub const CELLS: &'static str = "cells";
    /// The kind of element that the child brings along: ten-bit pictures of a high dynamic range or
    /// of wide colours in, BT.709 out.
    pub const TO_SDR: &'static str = "reelmeshtosdr";

    /// The encoder of rendition `index`.
    pub fn encoder(index: usize) -> String {
        format!("encoder{index}")
    }

    /// The last element before encoder `index`, where the child links the two.
    pub fn joint(index: usize) -> String {
        format!("joint{index}")
    }

    /// The element that ends the branch of rendition `index`, or of the only output, 0.
    pub fn sink(index: usize) -> String {
        format!("sink{index}")
    }
}

/// H.264 encoders, best first. Append only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Encoder {
    Nv = 0,
    Va = 1,
    VaLowPower = 2,
    Qsv = 3,
    V4l2 = 4,
    X264 = 5,
}

impl Encoder {
    /// In order of preference.
    pub const ALL: [Self; 6] = [
        Self::Nv,
        Self::Va,
        Self::VaLowPower,
        Self::Qsv,
        Self::V4l2,
        Self::X264,
    ];

    /// Name of the GStreamer element.
    pub const fn factory(self) -> &'static str {
        match self {
            Self::Nv => "nvh264enc",
            Self::Va => "vah264enc",
            Self::VaLowPower => "vah264lpenc",
            Self::Qsv => "qsvh264enc",
            Self::V4l2 => "v4l2h264enc",
            Self::X264 => "x264enc",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct LadderTask {
    pub probe: Probe,
    /// Which frames of the source; segment boundaries count from frame 0 of the source.
    pub frames: FrameRange,
    /// Those that are encoded, highest first.
    pub renditions: Vec<Rendition>,
    /// One above them that is a copy of the source's pictures.
    pub kept: Option<Rendition>,
    /// The first frames of all segments of the range where they do not lie on a grid.
    pub cuts: Vec<u64>,
    /// The number of the first of those segments.
    pub first_segment: u64,
    /// Frames between forced IDR pictures; divides `segment_frames`.
    pub gop_frames: u32,
    /// Frames of a full segment. `frames.start` is a multiple of it.
    pub segment_frames: u32,
    /// Threads that the encoders may use together.
    pub threads: u16,
    /// Ends in one sink for each rendition, in their order, and one more for `cells`.
    pub pipeline: Pipeline,
    /// Which small pictures are taken on the way; a subclip has none.
    pub cells: Option<Cells>,
}

impl LadderTask {
    /// Every rendition that comes out, highest first.
    pub fn all(&self) -> impl Iterator<Item = &Rendition> {
        self.kept.iter().chain(&self.renditions)
    }
}

/// Small pictures at a steady distance, for scrubbing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Cells {
    /// Frames from one to the next, counted from frame 0 of the source.
    pub every_frames: u32,
    pub size: Resolution,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct AudioTask {
    pub probe: Probe,
    /// Position in [`Probe::audio`].
    pub track: u16,
    pub kbps: u32,
    /// Length of a full segment in nanoseconds, as the video has it; cut at the nearest AAC frame.
    pub segment_ns: u64,
    /// Takes the file apart and throws the pictures away: tells when the first one is shown.
    pub origin: Pipeline,
    /// From the file to PCM in sink 0.
    pub decode: Pipeline,
    /// From an `appsrc` called [`Pipeline::SOURCE`] to AAC in sink 0.
    pub encode: Pipeline,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct StillsTask {
    pub probe: Probe,
    /// Wanted widths in pixels; a still is never wider than the source.
    pub widths: Vec<u32>,
    /// From the file to upright, square pixels in sink 0.
    pub pipeline: Pipeline,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ClipTask {
    pub probe: Probe,
    /// Of the original.
    pub size_bytes: u64,
    /// Which frames of the source.
    pub frames: FrameRange,
    pub mode: Mode,
    /// How its pictures are encoded, once they are cut out, where the mode asks for that: one
    /// rendition, counted from the subclip's first frame.
    pub encode: Option<Box<LadderTask>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProxyTask {
    pub probe: Probe,
    pub preset: Preset,
    /// The look that the preset names.
    pub lut: Option<Lut>,
    /// Of the proxy's pictures, as they are stored.
    pub size: Resolution,
    /// Of the proxy: the original's, or the constant rate that a variable one is brought to.
    pub rate: FrameRate,
    /// Encoders that take turns: picture `n` goes to encoder `n % lanes`.
    pub lanes: u16,
    /// From the file to coded pictures in one sink for each lane. Encoders stand alone behind
    /// their [`Pipeline::joint`].
    pub pictures: Pipeline,
    /// Takes the file apart and throws the pictures away: tells when the first one is shown.
    pub origin: Pipeline,
    /// One for each sound track, in their order: from the file to samples in sink 0.
    pub sound: Vec<SoundTask>,
    /// From an `appsrc` called [`Pipeline::SOURCE`] to raw pictures in sink 0: reads the proxy back.
    pub review: Pipeline,
}

/// One sound track of an edit proxy.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SoundTask {
    pub pipeline: Pipeline,
    pub sample_rate: u32,
    pub channels: u16,
    /// 16 or 24.
    pub sample_bits: u16,
}

/// What the child says. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[repr(u8)]
pub enum Event {
    /// The child is confined and has loaded GStreamer; carries the GStreamer version.
    Started {
        gstreamer: String,
    } = 0,
    /// At least once a second while frames move.
    Progress(Progress) = 1,
    Done(Output) = 2,
    Failed(Failure) = 3,
}

/// What was made. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[repr(u8)]
pub enum Output {
    Probe(Box<Probe>) = 0,
    /// A manifest lies in the output folder under [`crate::manifest::Manifest::FILE_NAME`],
    /// beside the files it names.
    Manifest = 1,
    /// The encoders that made a picture here, best first.
    Hardware {
        encoders: Vec<Encoder>,
    } = 2,
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the pipe broke: {0}")]
    Io(#[from] io::Error),
    #[error(
        "the frame has {size} bytes, more than the allowed {}",
        codec::RECORD_MAX
    )]
    TooLarge { size: usize },
    #[error(transparent)]
    Record(#[from] codec::Error),
}

/// Writes `value` as one frame and flushes.
///
/// # Errors
/// [`Error::Record`] if the record is too large, [`Error::Io`] if the other side is gone.
pub fn write_frame<T: Encode>(writer: &mut impl Write, value: &T) -> Result<(), Error> {
    writer.write_all(&frame(value)?)?;
    writer.flush()?;
    Ok(())
}

/// The bytes of `value` as one frame.
///
/// # Errors
/// [`Error::Record`] if the record is too large.
pub fn frame<T: Encode>(value: &T) -> Result<Vec<u8>, Error> {
    let record = codec::encode(value)?;
    let size = u32::try_from(record.len()).map_err(|_| Error::TooLarge { size: record.len() })?;
    let mut bytes = Vec::with_capacity(record.len() + 4);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&record);
    Ok(bytes)
}

/// The next frame; `None` if the other side ended between frames.
///
/// # Errors
/// Anything but whole frames with whole records.
pub fn read_frame<T: Decode<()>>(reader: &mut impl Read) -> Result<Option<T>, Error> {
    let mut header = [0; 4];
    let mut filled = 0;
    while filled < header.len() {
        match reader.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let size = frame_size(header)?;
    let mut record = vec![0; size];
    reader.read_exact(&mut record)?;
    Ok(Some(codec::decode(&record)?))
}

/// The length of the record behind a frame's first four bytes, for readers that do not block.
///
/// # Errors
/// [`Error::TooLarge`]; nothing is allocated for a hostile length.
pub fn frame_size(header: [u8; 4]) -> Result<usize, Error> {
    let size = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if size > codec::RECORD_MAX {
        return Err(Error::TooLarge { size });
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_and_end() {
        let mut pipe = Vec::new();
        let events = [
            Event::Started {
                gstreamer: "1.22.0".to_owned(),
            },
            Event::Done(Output::Hardware {
                encoders: vec![Encoder::X264],
            }),
        ];
        for event in &events {
            write_frame(&mut pipe, event).expect("a vector takes everything");
        }
        let mut reader = pipe.as_slice();
        for event in events {
            assert_eq!(read_frame(&mut reader).expect("whole"), Some(event));
        }
        assert!(read_frame::<Event>(&mut reader).expect("ended").is_none());
    }

    #[test]
    fn cut_off_and_oversized_frames_are_errors() {
        let bytes = frame(&Event::Done(Output::Manifest)).expect("small");
        for len in 1..bytes.len() {
            assert!(read_frame::<Event>(&mut &bytes[..len]).is_err());
        }
        let hostile = [0xff, 0xff, 0xff, 0xff, 1, 2, 3];
        assert!(matches!(
            read_frame::<Event>(&mut hostile.as_slice()),
            Err(Error::TooLarge { .. })
        ));
    }
}
