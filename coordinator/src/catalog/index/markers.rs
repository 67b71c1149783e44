//! Pure: markers by video, and comments by marker.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{CommentId, MarkerId, VideoId};
use protocol::media::FrameRange;
use protocol::time::Timestamp;

use super::{link, unlink};
use crate::catalog::marker::{Comment, Marker};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct MarkerIndex {
    /// In the order of their pictures.
    pub(in crate::catalog) by_video: BTreeMap<VideoId, BTreeSet<(FrameRange, MarkerId)>>,
    /// Of those that are not resolved.
    pub(in crate::catalog) open: BTreeMap<VideoId, BTreeSet<MarkerId>>,
    /// Of all texts about a video; none where there are no bytes.
    pub(in crate::catalog) bytes: BTreeMap<VideoId, u64>,
    /// Oldest first.
    pub(in crate::catalog) by_marker: BTreeMap<MarkerId, BTreeSet<(Timestamp, CommentId)>>,
}

impl MarkerIndex {
    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn updated(&mut self, old: Option<&Marker>, new: Option<&Marker>) {
        if let Some(old) = old {
            unlink(&mut self.by_video, &old.video, &(old.frames, old.id));
            unlink(&mut self.open, &old.video, &old.id);
            self.shrink(old.video, &old.text);
        }
        if let Some(new) = new {
            link(&mut self.by_video, new.video, (new.frames, new.id));
            self.grow(new.video, &new.text);
            if new.resolved.is_none() {
                link(&mut self.open, new.video, new.id);
            }
        }
    }

    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn commented(&mut self, old: Option<&Comment>, new: Option<&Comment>) {
        if let Some(old) = old {
            unlink(&mut self.by_marker, &old.marker, &(old.created_at, old.id));
            self.shrink(old.video, &old.text);
        }
        if let Some(new) = new {
            link(&mut self.by_marker, new.marker, (new.created_at, new.id));
            self.grow(new.video, &new.text);
        }
    }

    fn grow(&mut self, video: VideoId, text: &str) {
        if !text.is_empty() {
            *self.bytes.entry(video).or_default() += bytes(text);
        }
    }

    fn shrink(&mut self, video: VideoId, text: &str) {
        if let Some(all) = self.bytes.get_mut(&video) {
            *all = all.saturating_sub(bytes(text));
            if *all == 0 {
                self.bytes.remove(&video);
            }
        }
    }
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
