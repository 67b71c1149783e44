//! Pure: the list of files that a finished unit of work produced.
//!
//! The list lies beside the files, first on the node that made them, then in the origin; the
//! catalogue holds only its totals. Playlists are written from these lists alone.

use serde::{Deserialize, Serialize};

use crate::id::BlobHash;
use crate::media::{FrameRange, FrameRate, Resolution};
use crate::probe::Probe;

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

/// An edit proxy, and what was found in it when it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    pub object: Object,
    /// The facts of the file, as the probe of a source would find them.
    pub facts: Probe,
    /// Pictures that were decoded of it.
    pub decoded: u64,
    /// Those that look like the picture of the source at their place.
    pub alike: u64,
    /// For a source of a variable rate: which picture of the source each picture shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_map: Option<Vec<u32>>,
}

/// Everything that one job produced, for one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The frames of the source that the video tracks, the subclip or the edit proxy show; `None`
    /// for audio and stills.
    pub frames: Option<FrameRange>,
    pub tracks: Vec<Track>,
    pub stills: Vec<Still>,
    /// The file of a subclip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Object>,
    /// An edit proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
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
        let proxy = self.proxy.iter().map(|proxy| &proxy.object);
        (inits.chain(segments).chain(stills))
            .chain(&self.clip)
            .chain(proxy)
    }

    pub fn size_bytes(&self) -> u64 {
        self.objects().map(|object| object.size_bytes).sum()
    }
}
