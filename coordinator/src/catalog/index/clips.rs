//! Pure: subclips by video, and by the generations that hold their files.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{ClipId, GenerationId, VideoId};
use protocol::time::Timestamp;

use super::{link, unlink};
use crate::catalog::clip::Clip;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct ClipIndex {
    /// Oldest first.
    pub(in crate::catalog) by_video: BTreeMap<VideoId, BTreeSet<(Timestamp, ClipId)>>,
    pub(in crate::catalog) by_generation: BTreeMap<GenerationId, ClipId>,
}

impl ClipIndex {
    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn updated(&mut self, old: Option<&Clip>, new: Option<&Clip>) {
        let generations = |clip: &Clip| [clip.rendering, clip.rendered].into_iter().flatten();
        if let Some(old) = old {
            unlink(&mut self.by_video, &old.video, &(old.created_at, old.id));
            for generation in generations(old) {
                self.by_generation.remove(&generation);
            }
        }
        if let Some(new) = new {
            link(&mut self.by_video, new.video, (new.created_at, new.id));
            for generation in generations(new) {
                self.by_generation.insert(generation, new.id);
            }
        }
    }
}
