//! Pure: what is inside a file, as the probe found it.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::media::{FrameRate, Resolution};

/// The facts of a source file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Probe {
    /// Short name of the container: `mp4`, `mov`, `mkv`, `webm`, `mxf`, `ts`, `avi` ...
    pub container: String,
    /// How fit the pictures are for the web as they are.
    pub web: Web,
    /// The video track that is rendered; a file without one is refused by the probe.
    pub video: VideoTrack,
    /// In the order of the file.
    pub audio: Vec<AudioTrack>,
    /// Start timecode, if the file carries one.
    pub timecode: Option<SourceTimecode>,
    /// Name of the reel, tape or card that the pictures were recorded on, if the file carries one.
    pub reel: Option<String>,
    /// Whole sentences about what is odd but was dealt with, such as a variable frame rate.
    pub remarks: Vec<String>,
}

/// What a player needs that gets the coded pictures themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Web {
    /// Frames that a segment may begin with: IDR pictures that everything after them can do
    /// without what lies before. In order; some may be left out where there are very many.
    pub entries: Vec<u32>,
    /// Bit rate of the pictures in kbit/s.
    pub kbps: u32,
    /// Why they must be encoded again, as the second half of a sentence.
    pub refused: Option<String>,
}

/// The picture track.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoTrack {
    /// Short name: `h264`, `hevc`, `vp9`, `av1`, `mpeg2`, `prores`, `dnxhd`, `mjpeg` ...
    pub codec: String,
    /// As stored, before rotation and pixel aspect are applied.
    pub coded: Resolution,
    /// As a viewer should see it: upright, with square pixels.
    pub display: Resolution,
    /// Pixel aspect ratio, width : height.
    pub pixel_aspect: (u32, u32),
    /// Clockwise turn in degrees that makes the picture upright: 0, 90, 180 or 270.
    pub rotation: u16,
    pub frame_rate: FrameRate,
    /// Frame distances differ; `frame_rate` is then the nearest constant rate.
    pub variable_frame_rate: bool,
    /// Pictures that a player shows, counted in the file, not computed from the duration.
    pub frames: u64,
    /// From the start of the first shown picture to the end of the last, in nanoseconds.
    pub duration_ns: u64,
    /// Bits of one sample: 8, 10, 12.
    pub bit_depth: u8,
    /// Chroma subsampling: `4:2:0`, `4:2:2`, `4:4:4`, `rgb`, `gray`.
    pub chroma: String,
    /// `progressive`, `tff` or `bff`.
    pub field_order: String,
    /// GStreamer's colorimetry string, such as `bt709` or `bt2100-pq`; empty if the file says nothing.
    pub colorimetry: String,
    /// The same by the numbers of ITU-T H.273.
    pub colour: Colour,
    /// PQ or HLG transfer.
    pub hdr: bool,
    /// Every part can be decoded from a key picture near it, without what lies before: several
    /// nodes can render the video together.
    pub random_access: bool,
}

/// A sound track.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AudioTrack {
    /// Short name: `aac`, `opus`, `pcm`, `ac3`, `mp3` ...
    pub codec: String,
    pub channels: u16,
    /// In hertz.
    pub sample_rate: u32,
    /// ISO 639 code, if the file names one.
    pub language: Option<String>,
    /// In nanoseconds.
    pub duration_ns: u64,
    /// What the file calls the track, such as `Boom`.
    pub label: Option<String>,
    /// Where its channels are heard: `mono`, `stereo`, `5.1`, `7.1`, or the channels one by one,
    /// such as `L R C`; empty if nobody says.
    pub layout: String,
    /// Bits of one uncompressed sample; 0 where the coding has none.
    pub sample_bits: u16,
}

/// Colour by the numbers of ITU-T H.273; 0 where the file says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Colour {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
    /// From 0 to the largest number, rather than from black to white of television.
    pub full_range: bool,
}

/// A start timecode and where it was read.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceTimecode {
    /// As printed by SMPTE ST 12-1: `01:00:00:00`, or `01:00:00;00` with drop-frame counting.
    pub text: String,
    pub drop_frame: bool,
    /// Where it was read: `tmcd`, `mxf`, `tag`, `rtmd`.
    pub source: String,
}
