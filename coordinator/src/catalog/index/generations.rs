//! Pure: generations by stage and by video.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{GenerationId, VideoId};

use super::{link, unlink};
use crate::catalog::generation::{Generation, Stage};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct GenerationIndex {
    pub(in crate::catalog) by_stage: BTreeMap<Stage, BTreeSet<GenerationId>>,
    /// Also videos that are deleted, until their generations are swept.
    pub(in crate::catalog) by_video: BTreeMap<VideoId, BTreeSet<GenerationId>>,
}

impl GenerationIndex {
    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn updated(
        &mut self,
        old: Option<&Generation>,
        new: Option<&Generation>,
    ) {
        if let Some(old) = old {
            unlink(&mut self.by_stage, &old.stage, &old.id);
            unlink(&mut self.by_video, &old.video, &old.id);
        }
        if let Some(new) = new {
            link(&mut self.by_stage, new.stage, new.id);
            link(&mut self.by_video, new.video, new.id);
        }
    }
}
