//! Pure: videos by creation, by name and parts of it, by status, by the hash of the original and by
//! upload.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::id::{BlobHash, UploadId, VideoId};
use protocol::time::Timestamp;

use super::names::{Facet, NameIndex, Named};
use super::{link, unlink};
use crate::catalog::video::{Status, Video};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct VideoIndex {
    pub(in crate::catalog) all: Listing,
    /// A listing of its own per status, so that a page with a filter costs what one without costs.
    pub(in crate::catalog) by_status: BTreeMap<Status, Listing>,
    /// Which videos need a blob.
    pub(in crate::catalog) by_hash: BTreeMap<BlobHash, BTreeSet<VideoId>>,
    /// Also uploads that are complete and gone.
    pub(in crate::catalog) by_upload: BTreeMap<UploadId, VideoId>,
    /// For a part of a name.
    pub(in crate::catalog) by_text: NameIndex,
}

/// Videos in both orders in which lists are asked for; names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct Listing {
    pub(in crate::catalog) by_created: BTreeMap<(Timestamp, VideoId), Arc<str>>,
    pub(in crate::catalog) by_filename: BTreeSet<(Arc<str>, VideoId)>,
}

impl Listing {
    fn insert(&mut self, created_at: Timestamp, name: &Arc<str>, id: VideoId) {
        self.by_created.insert((created_at, id), Arc::clone(name));
        self.by_filename.insert((Arc::clone(name), id));
    }

    fn remove(&mut self, created_at: Timestamp, name: &Arc<str>, id: VideoId) {
        self.by_created.remove(&(created_at, id));
        self.by_filename.remove(&(Arc::clone(name), id));
    }

    fn is_empty(&self) -> bool {
        self.by_created.is_empty()
    }
}

impl VideoIndex {
    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn updated(&mut self, old: Option<&Video>, new: Option<&Video>) {
        if let (Some(old), Some(new)) = (old, new)
            && old.filename == new.filename
            && old.created_at == new.created_at
            && length_ms(old) == length_ms(new)
        {
            // The usual change: names stay, a status may move.
            if old.status != new.status {
                let name = folded(&new.filename);
                self.leave(old, &name);
                self.enter(new, &name);
                self.by_text
                    .move_to(&named(new, &name), old.status, new.status);
            }
            let (before, after) = (facets(old), facets(new));
            if before != after {
                let name = folded(&new.filename);
                self.by_text.refile(&named(new, &name), &before, &after);
            }
        } else {
            if let Some(old) = old {
                let name = folded(&old.filename);
                self.all.remove(old.created_at, &name, old.id);
                self.leave(old, &name);
                self.by_text
                    .remove(&named(old, &name), old.status, &facets(old));
            }
            if let Some(new) = new {
                let name = folded(&new.filename);
                self.all.insert(new.created_at, &name, new.id);
                self.enter(new, &name);
                self.by_text
                    .insert(named(new, &name), new.status, &facets(new));
            }
        }

        let hash = |video: Option<&Video>| video.and_then(|video| Some((video.blob?, video.id)));
        if hash(old) != hash(new) {
            if let Some((blob, id)) = hash(old) {
                unlink(&mut self.by_hash, &blob, &id);
            }
            if let Some((blob, id)) = hash(new) {
                link(&mut self.by_hash, blob, id);
            }
        }

        let upload =
            |video: Option<&Video>| video.and_then(|video| Some((video.upload?, video.id)));
        if upload(old) != upload(new) {
            if let Some((upload, _)) = upload(old) {
                self.by_upload.remove(&upload);
            }
            if let Some((upload, id)) = upload(new) {
                self.by_upload.insert(upload, id);
            }
        }
    }

    fn enter(&mut self, video: &Video, name: &Arc<str>) {
        self.by_status
            .entry(video.status)
            .or_default()
            .insert(video.created_at, name, video.id);
    }

    fn leave(&mut self, video: &Video, name: &Arc<str>) {
        if let Some(listing) = self.by_status.get_mut(&video.status) {
            listing.remove(video.created_at, name, video.id);
            if listing.is_empty() {
                self.by_status.remove(&video.status);
            }
        }
    }
}

/// A name as it is sorted and searched.
pub(in crate::catalog) fn folded(filename: &str) -> Arc<str> {
    filename.to_lowercase().into()
}

fn named(video: &Video, name: &Arc<str>) -> Named {
    Named {
        created_at: video.created_at,
        name: Arc::clone(name),
        id: video.id,
        length_ms: length_ms(video),
    }
}

/// How long it plays; zero until that is known.
fn length_ms(video: &Video) -> u32 {
    let probe = video.probe.as_deref();
    probe.map_or(0, |probe| {
        u32::try_from(probe.video.duration_ns / 1_000_000).unwrap_or(u32::MAX)
    })
}

/// What lists are narrowed by, in order.
fn facets(video: &Video) -> Vec<Facet> {
    let tags = video.labels.tags.iter();
    let mut facets: Vec<Facet> = tags.map(|tag| Facet::Tag(folded(tag))).collect();
    facets.extend(video.labels.bins.iter().copied().map(Facet::Bin));
    facets.extend(video.probe.as_deref().map(|probe| {
        let rate = probe.video.frame_rate;
        Facet::Rate(rate.num(), rate.den())
    }));
    facets.extend(video.copies.iter().copied().map(Facet::Holder));
    facets
}
