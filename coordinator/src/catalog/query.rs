//! Pure: read-only views with filter, order and cursor.
//!
//! A page starts after the last item of the page before, never at a number: videos that come and
//! go meanwhile neither repeat an item nor hide one.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use protocol::id::{BlobHash, GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::time::Timestamp;

use super::Catalog;
use super::generation::{Generation, Stage};
use super::index::{Key, Listing, Sort};
use super::job::{Class, Job, Phase};
use super::video::{Status, Video};

/// Largest page.
pub const PAGE_MAX: usize = 1000;

/// Which videos, in which order, from where.
#[derive(Debug, Clone, Default)]
pub struct VideoQuery {
    pub status: Option<Status>,
    /// Case-insensitive part of the file name.
    pub text: Option<String>,
    pub order: VideoOrder,
    /// From the last item of the page before.
    pub after: Option<VideoCursor>,
    /// Items of the page, 1 to [`PAGE_MAX`].
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VideoOrder {
    CreatedAt,
    #[default]
    CreatedAtDescending,
    Filename,
    FilenameDescending,
}

impl VideoOrder {
    pub const ALL: [Self; 4] = [
        Self::CreatedAt,
        Self::CreatedAtDescending,
        Self::Filename,
        Self::FilenameDescending,
    ];

    const fn is_by_name(self) -> bool {
        matches!(self, Self::Filename | Self::FilenameDescending)
    }

    const fn is_descending(self) -> bool {
        matches!(self, Self::CreatedAtDescending | Self::FilenameDescending)
    }
}

/// The sort key of an item and its id; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct VideoCursor {
    /// Milliseconds, or the name in lower case.
    pub key: String,
    pub id: VideoId,
}

/// Which jobs, newest first, from where.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    pub phase: Option<Phase>,
    pub video: Option<VideoId>,
    /// From the last item of the page before.
    pub after: Option<JobCursor>,
    /// Items of the page, 1 to [`PAGE_MAX`].
    pub limit: usize,
}

/// The sort key of a job; opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct JobCursor {
    pub created_at: Timestamp,
    pub id: JobId,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    /// Position after the last item; none on the last page.
    pub next: Option<C>,
    /// How many match on all pages.
    pub total: u64,
}

impl<T, C> Page<T, C> {
    fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
            total: 0,
        }
    }
}

impl Catalog {
    /// One page of the library. Without a text its cost does not grow with the library; a text is
    /// looked for in the index of names, see there for what it costs.
    pub fn page_of_videos(&self, query: &VideoQuery) -> Page<Arc<Video>, VideoCursor> {
        let text = query.text.as_deref().map(str::to_lowercase);
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            return self.page_of_found(query, &text);
        }
        let index = &self.index.videos;
        let listing = match query.status {
            None => Some(&index.all),
            Some(status) => index.by_status.get(&status),
        };
        let Some(listing) = listing else {
            return Page::empty();
        };
        let walk = walk(listing, query.order, query.after.as_ref());
        self.page_of(query, listing.by_created.len(), walk)
    }

    /// One page of the videos whose name has `text`, which is in lower case.
    fn page_of_found(&self, query: &VideoQuery, text: &str) -> Page<Arc<Video>, VideoCursor> {
        let index = &self.index.videos.by_text;
        let found = index.find(text, query.status);
        let sort = if query.order.is_by_name() {
            Sort::Name
        } else {
            Sort::Created
        };
        let after = query.after.as_ref().and_then(|after| match sort {
            Sort::Created => time_key(after).map(|(at, id)| Key::Created(at, id)),
            Sort::Name => Some(Key::Name(&after.key, after.id)),
        });
        // One more tells whether there is another page.
        let most = query.limit.clamp(1, PAGE_MAX) + 1;
        let first = index.first_of(&found, sort, query.order.is_descending(), after, most);
        let total = usize::try_from(found.len()).unwrap_or(usize::MAX);
        let places = (first.into_iter()).map(|named| (named.created_at, &named.name, named.id));
        self.page_of(query, total, places)
    }

    /// The page that `places` begin with; they are in order and behind the cursor.
    fn page_of<'a>(
        &self,
        query: &VideoQuery,
        total: usize,
        mut places: impl Iterator<Item = Place<'a>>,
    ) -> Page<Arc<Video>, VideoCursor> {
        let limit = query.limit.clamp(1, PAGE_MAX);
        let mut items = Vec::with_capacity(limit.min(total));
        let mut last = None;
        for (created_at, name, id) in places.by_ref().take(limit) {
            items.extend(self.videos.get(&id).map(Arc::clone));
            last = Some((created_at, name, id));
        }
        let next = places.next().and(last).map(|(created_at, name, id)| {
            let key = if query.order.is_by_name() {
                name.to_string()
            } else {
                created_at.as_millis().to_string()
            };
            VideoCursor { key, id }
        });
        Page {
            items,
            next,
            total: count(total),
        }
    }

    /// One page of jobs, newest first.
    pub fn page_of_jobs(&self, query: &JobQuery) -> Page<Arc<Job>, JobCursor> {
        let index = &self.index.jobs;
        let set = match (query.video, query.phase) {
            (Some(video), _) => index.by_video.get(&video),
            (None, Some(phase)) => index.by_phase.get(&phase),
            (None, None) => Some(&index.by_created),
        };
        let Some(set) = set else {
            return Page::empty();
        };
        // Only a video's own jobs, a handful, are looked at one by one.
        let phase = query.video.and(query.phase);
        let fits = |id: &JobId| {
            phase.is_none_or(|phase| {
                (self.jobs.get(id)).is_some_and(|job| job.state.phase() == phase)
            })
        };
        let total = match phase {
            None => set.len(),
            Some(_) => set.iter().filter(|(_, id)| fits(id)).count(),
        };

        let end = match query.after {
            None => Bound::Unbounded,
            Some(after) => Bound::Excluded((after.created_at, after.id)),
        };
        let limit = query.limit.clamp(1, PAGE_MAX);
        let mut found = set
            .range((Bound::Unbounded, end))
            .rev()
            .filter(|(_, id)| fits(id));
        let mut items = Vec::with_capacity(limit.min(total));
        let mut last = None;
        for &(created_at, id) in found.by_ref().take(limit) {
            items.extend(self.jobs.get(&id).map(Arc::clone));
            last = Some(JobCursor { created_at, id });
        }
        let next = found.next().and(last);
        Page {
            items,
            next,
            total: count(total),
        }
    }

    /// Jobs of one video, oldest first.
    pub fn jobs_of_video(&self, video: VideoId) -> impl Iterator<Item = &Arc<Job>> {
        let set = self.index.jobs.by_video.get(&video);
        (set.into_iter().flatten()).filter_map(|(_, id)| self.jobs.get(id))
    }

    /// Jobs that `node` runs by the catalogue's word.
    pub fn jobs_running_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<Job>> {
        let set = self.index.jobs.running.get(&node);
        (set.into_iter().flatten()).filter_map(|id| self.jobs.get(id))
    }

    /// All running jobs, node by node.
    pub fn running_jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        (self.index.jobs.running.values().flatten()).filter_map(|id| self.jobs.get(id))
    }

    /// Waiting jobs of one class, the one that is due first in front.
    pub fn waiting_jobs(&self, class: Class) -> impl Iterator<Item = &Arc<Job>> {
        let set = self.index.jobs.waiting.get(&class);
        (set.into_iter().flatten()).filter_map(|(_, id)| self.jobs.get(id))
    }

    /// Generations in one stage: those to publish, or those to sweep.
    pub fn generations_in(&self, stage: Stage) -> impl Iterator<Item = &Arc<Generation>> {
        let set = self.index.generations.by_stage.get(&stage);
        (set.into_iter().flatten()).filter_map(|id| self.generations.get(id))
    }

    /// All generations of one video, retired ones included.
    pub fn generations_of_video(&self, video: VideoId) -> impl Iterator<Item = &Arc<Generation>> {
        let set = self.index.generations.by_video.get(&video);
        (set.into_iter().flatten()).filter_map(|id: &GenerationId| self.generations.get(id))
    }

    /// How many videos have `blob` as their original; with none left it may be removed.
    pub fn references(&self, blob: &BlobHash) -> usize {
        (self.index.videos.by_hash.get(blob)).map_or(0, BTreeSet::len)
    }

    /// Videos that have `blob` as their original.
    pub fn videos_of_blob(&self, blob: &BlobHash) -> impl Iterator<Item = &Arc<Video>> {
        let set = self.index.videos.by_hash.get(blob);
        (set.into_iter().flatten()).filter_map(|id| self.videos.get(id))
    }

    /// The video that came in by `upload`, also long after the upload is complete.
    pub fn video_of_upload(&self, upload: UploadId) -> Option<&Arc<Video>> {
        let id = self.index.videos.by_upload.get(&upload)?;
        self.videos.get(id)
    }

    /// How many videos have `status`.
    pub fn count_of_videos(&self, status: Status) -> u64 {
        (self.index.videos.by_status.get(&status))
            .map_or(0, |listing| count(listing.by_created.len()))
    }

    /// How many jobs are in `phase`.
    pub fn count_of_jobs(&self, phase: Phase) -> u64 {
        (self.index.jobs.by_phase.get(&phase)).map_or(0, |set| count(set.len()))
    }
}

type Place<'a> = (Timestamp, &'a Arc<str>, VideoId);

/// The videos of `listing` in `order`, from `after` on.
/// The time is only known, and only needed, where it is the key.
fn walk<'a>(
    listing: &'a Listing,
    order: VideoOrder,
    after: Option<&VideoCursor>,
) -> Box<dyn Iterator<Item = Place<'a>> + 'a> {
    let time_key = || after.and_then(time_key);
    let name_key = || after.map(|after| (Arc::from(after.key.as_str()), after.id));
    match order {
        VideoOrder::CreatedAt => {
            let start = time_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_created.range((start, Bound::Unbounded));
            Box::new(range.map(|((at, id), name)| (*at, name, *id)))
        }
        VideoOrder::CreatedAtDescending => {
            let end = time_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_created.range((Bound::Unbounded, end)).rev();
            Box::new(range.map(|((at, id), name)| (*at, name, *id)))
        }
        VideoOrder::Filename => {
            let start = name_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_filename.range((start, Bound::Unbounded));
            Box::new(range.map(|(name, id)| (Timestamp::default(), name, *id)))
        }
        VideoOrder::FilenameDescending => {
            let end = name_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_filename.range((Bound::Unbounded, end)).rev();
            Box::new(range.map(|(name, id)| (Timestamp::default(), name, *id)))
        }
    }
}

/// A cursor that the order did not make leads to the first page.
fn time_key(after: &VideoCursor) -> Option<(Timestamp, VideoId)> {
    let millis = after.key.parse().ok()?;
    Some((Timestamp::from_millis(millis), after.id))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
