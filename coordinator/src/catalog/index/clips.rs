//! Pure: subclips by video, and by the generations that hold their files.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{ClipId, GenerationId, VideoId};
use protocol::media::FrameRange;
use protocol::time::Timestamp;

use super::{link, unlink};
use crate::catalog::clip::Clip;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct ClipIndex {
    /// As a person arranged them; those that nobody did follow in the order of their in points.
    pub(in crate::catalog) by_video: BTreeMap<VideoId, BTreeSet<Place>>,
    pub(in crate::catalog) by_generation: BTreeMap<GenerationId, ClipId>,
}

/// Where a subclip stands among those of its video.
pub(in crate::catalog) type Place = (u32, FrameRange, Timestamp, ClipId);

fn place(clip: &Clip) -> Place {
    let rank = clip.rank.unwrap_or(u32::MAX);
    (rank, clip.frames, clip.created_at, clip.id)
}

impl ClipIndex {
    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn updated(&mut self, old: Option<&Clip>, new: Option<&Clip>) {
        let generations = |clip: &Clip| [clip.rendering, clip.rendered].into_iter().flatten();
        if let Some(old) = old {
            unlink(&mut self.by_video, &old.video, &place(old));
            for generation in generations(old) {
                self.by_generation.remove(&generation);
            }
        }
        if let Some(new) = new {
            link(&mut self.by_video, new.video, place(new));
            for generation in generations(new) {
                self.by_generation.insert(generation, new.id);
            }
        }
    }
}
