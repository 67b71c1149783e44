//! Pure: what the media runner and its confined child process say to each other.
//!
//! The parent writes one [`Request`] to the child's standard input and closes it.
//! The child answers on standard output with length-prefixed [`Event`]s (see [`crate::codec`])
//! and ends with exactly one [`Event::Done`] or [`Event::Failed`].
//! Whatever else happens, an exit without either, a signal, silence, is [`FailureClass::Crashed`].
//!
//! [`FailureClass::Crashed`]: crate::failure::FailureClass::Crashed

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::job::Progress;
use crate::media::{FrameRange, Rendition};
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
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct LadderTask {
    pub probe: Probe,
    /// Which frames of the source; segment boundaries count from frame 0 of the source.
    pub frames: FrameRange,
    /// Highest first.
    pub renditions: Vec<Rendition>,
    /// Frames between forced IDR pictures; divides `segment_frames`.
    pub gop_frames: u32,
    /// Frames of a full segment. `frames.start` is a multiple of it.
    pub segment_frames: u32,
    /// Threads that the encoders may use together.
    pub threads: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct AudioTask {
    pub probe: Probe,
    /// Position in [`Probe::audio`].
    pub track: u16,
    pub kbps: u32,
    /// Length of a full segment in nanoseconds, as the video has it; cut at the nearest AAC frame.
    pub segment_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct StillsTask {
    pub probe: Probe,
    /// Wanted widths in pixels; a still is never wider than the source.
    pub widths: Vec<u32>,
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
}
