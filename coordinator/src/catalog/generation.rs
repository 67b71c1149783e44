//! Pure: one complete, immutable published set of a video.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use protocol::id::{GenerationId, NodeId, VideoId};
use protocol::job::Unit;
use protocol::media::{FrameRange, Rendition};
use protocol::time::Timestamp;

use super::command::UnitTotals;

/// A generation and how far each of its units has come.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Generation {
    pub id: GenerationId,
    pub video: VideoId,
    pub created_at: Timestamp,
    /// Highest first; empty only before planning.
    pub renditions: Vec<Rendition>,
    /// Frames between forced IDR pictures.
    pub gop_frames: u32,
    /// Frames of a full segment, whole GOPs.
    pub segment_frames: u32,
    pub audio_kbps: u32,
    /// Position of the rendered sound track in the probe; none: no sound.
    pub audio_track: Option<u16>,
    /// Frames of the source that each piece covers, in order, without gaps.
    pub pieces: Vec<FrameRange>,
    pub units: BTreeMap<Unit, UnitState>,
    pub stage: Stage,
}

/// How far a unit has come. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum UnitState {
    Pending = 0,
    /// Its files lie in the outbox of `node`; only that epoch's result counts.
    Rendered {
        node: NodeId,
        epoch: u32,
        totals: UnitTotals,
    } = 1,
    /// Its files are in the origin.
    Published {
        totals: UnitTotals,
    } = 2,
}

/// Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Stage {
    Building = 0,
    Published = 1,
    /// No video points to it: its objects may be removed, then it is forgotten.
    Retired = 2,
}

impl Generation {
    /// Whether every unit is in the origin, so that playlists can be written.
    pub fn is_whole(&self) -> bool {
        self.units
            .values()
            .all(|state| matches!(state, UnitState::Published { .. }))
    }
}
