//! Pure: the list of files that a finished unit of work produced.
//!
//! The list lies beside the files, first on the node that made them, then in the origin; the
//! catalogue holds only its totals. Playlists are written from these lists alone.

use serde::{Deserialize, Serialize};

use crate::id::BlobHash;
use crate::media::{FrameRange, FrameRate, Resolution};

/// One file. `name` is relative to the folder of the generation, parts joined by `/`,
/// each part `[a-z0-9._-]+`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub name: String,
    pub size_bytes: u64,
    pub blake3: BlobHash,
}

/// One CMAF segment (ISO/IEC 23000-19, 7.3.2.3): starts with an IDR, playable with the init segment alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub object: Object,
    /// In ticks of the track's timescale.
    pub duration: u64,
    /// Pictures, or AAC frames.
    pub frames: u32,
    /// Pictures that decode alone, in order of presentation; none in sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyPicture>,
}

/// Where in a segment's file a picture lies that decodes with the init segment alone: the head of
/// its fragment and the picture itself, nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPicture {
    pub offset: u64,
    pub size_bytes: u64,
    /// Ticks from the start of the segment to its presentation.
    pub at: u64,
}

/// What a track is, for the multivariant playlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TrackKind {
    Video {
        resolution: Resolution,
        frame_rate: FrameRate,
    },
    Audio {
        channels: u16,
        sample_rate: u32,
        language: Option<String>,
    },
}

/// One rendition's share of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Such as `1080p` or `audio`; the folder that its files lie in.
    pub name: String,
    pub kind: TrackKind,
    /// RFC 6381, such as `avc1.640028` or `mp4a.40.2`.
    pub codec: String,
    /// Ticks per second of all times in this track.
    pub timescale: u32,
    pub init: Object,
    /// Gap-free, in order of presentation.
    pub segments: Vec<Segment>,
}

impl Track {
    pub fn frames(&self) -> u64 {
        self.segments.iter().map(|s| u64::from(s.frames)).sum()
    }

    /// In ticks of [`Track::timescale`].
    pub fn duration(&self) -> u64 {
        self.segments.iter().map(|s| s.duration).sum()
    }

    /// Bytes of all segments, without the init segment.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.object.size_bytes).sum()
    }
}

/// One still image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Still {
    pub resolution: Resolution,
    /// The width that was asked for: 320, 640 or 1280. The image is smaller where the source is.
    pub width_class: u32,
    pub object: Object,
}

/// One picture of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Which frame of the source it shows.
    pub frame: u64,
    /// When that frame is shown, in nanoseconds from the first.
    pub at_ns: u64,
}

/// Small pictures of a video in one image, from left to right and then down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    pub object: Object,
    /// Of one small picture.
    pub cell: Resolution,
    /// Small pictures side by side.
    pub columns: u32,
    /// In order of presentation.
    pub cells: Vec<Cell>,
}

impl Sheet {
    /// Of the whole image: full rows, the last one filled up with black.
    pub fn resolution(&self) -> Resolution {
        let count = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let rows = count.div_ceil(self.columns.max(1));
        Resolution {
            width: self.cell.width.saturating_mul(self.columns),
            height: self.cell.height.saturating_mul(rows),
        }
    }

    /// Where cell `index` lies in the image, from its upper left corner.
    pub fn place(&self, index: u32) -> (u32, u32) {
        let columns = self.columns.max(1);
        (
            (index % columns).saturating_mul(self.cell.width),
            (index / columns).saturating_mul(self.cell.height),
        )
    }
}

/// One zoom level of [`Peaks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeakLevel {
    /// Samples that one bucket stands for; the last may stand for fewer.
    pub samples_per_bucket: u32,
    pub buckets: u32,
    /// Where the level begins in the file.
    pub offset: u64,
}

/// The outline of one sound track: the lowest and highest sample of each bucket and channel.
///
/// The file is one data block of BBC's `audiowaveform` (version 2, 8 bits) for each level, the
/// coarsest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peaks {
    pub object: Object,
    /// Name of the track that it belongs to.
    pub track: String,
    pub sample_rate: u32,
    pub channels: u16,
    /// Coarsest first.
    pub levels: Vec<PeakLevel>,
}

/// Everything that one job produced, for one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The frames of the source that the video tracks or the subclip show; `None` for audio and stills.
    pub frames: Option<FrameRange>,
    pub tracks: Vec<Track>,
    pub stills: Vec<Still>,
    /// The file of a subclip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Object>,
    /// Small pictures of the frames that the video tracks show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sheets: Vec<Sheet>,
    /// One for each sound track.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<Peaks>,
}

impl Manifest {
    /// File name of a manifest, in the unit's folder.
    pub const FILE_NAME: &'static str = "manifest.json";

    /// Every file that the manifest names, init segments before segments.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let inits = self.tracks.iter().map(|track| &track.init);
        let segments = self
            .tracks
            .iter()
            .flat_map(|track| track.segments.iter().map(|segment| &segment.object));
        let stills = self.stills.iter().map(|still| &still.object);
        let sheets = self.sheets.iter().map(|sheet| &sheet.object);
        let peaks = self.peaks.iter().map(|peaks| &peaks.object);
        inits
            .chain(segments)
            .chain(stills)
            .chain(&self.clip)
            .chain(sheets)
            .chain(peaks)
    }

    pub fn size_bytes(&self) -> u64 {
        self.objects().map(|object| object.size_bytes).sum()
    }
}
