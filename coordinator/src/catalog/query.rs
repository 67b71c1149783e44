//! Pure: read-only views with filter, order and cursor.
//!
//! A page starts after the last item of the page before, never at a number: videos that come and
//! go meanwhile neither repeat an item nor hide one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use protocol::id::{BinId, BlobHash, GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::media::FrameRate;
use protocol::time::Timestamp;
use roaring::RoaringBitmap;

use super::Catalog;
use super::generation::{Generation, Stage};
use super::index::{Facet, Key, Listing, Sort, folded};
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
    /// All of them, upper or lower case.
    pub tags: Vec<String>,
    pub bin: Option<BinId>,
    /// Frames a second.
    pub rate: Option<FrameRate>,
    /// A node at this site has a copy of the original.
    pub site: Option<String>,
    /// Made from then on.
    pub from: Option<Timestamp>,
    /// Made before.
    pub to: Option<Timestamp>,
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
    /// How long it plays, the shortest first.
    Length,
    LengthDescending,
}

impl VideoOrder {
    pub const ALL: [Self; 6] = [
        Self::CreatedAt,
        Self::CreatedAtDescending,
        Self::Filename,
        Self::FilenameDescending,
        Self::Length,
        Self::LengthDescending,
    ];

    const fn sort(self) -> Sort {
        match self {
            Self::CreatedAt | Self::CreatedAtDescending => Sort::Created,
            Self::Filename | Self::FilenameDescending => Sort::Name,
            Self::Length | Self::LengthDescending => Sort::Length,
        }
    }

    const fn is_descending(self) -> bool {
        matches!(
            self,
            Self::CreatedAtDescending | Self::FilenameDescending | Self::LengthDescending
        )
    }
}

/// The sort key of an item and its id; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct VideoCursor {
    /// Milliseconds of the time or the length, or the name in lower case.
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
        if query.is_narrowed() || query.order.sort() == Sort::Length {
            return self.page_of_found(query);
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

    /// One page of what sets have to be intersected for.
    fn page_of_found(&self, query: &VideoQuery) -> Page<Arc<Video>, VideoCursor> {
        let index = &self.index.videos.by_text;
        let found = self.found(query);
        let sort = query.order.sort();
        let after = query.after.as_ref().and_then(|after| match sort {
            Sort::Created => time_key(after).map(|(at, id)| Key::Created(at, id)),
            Sort::Length => (after.key.parse().ok()).map(|length| Key::Length(length, after.id)),
            Sort::Name => Some(Key::Name(&after.key, after.id)),
        });
        // One more tells whether there is another page.
        let most = query.limit.clamp(1, PAGE_MAX) + 1;
        let first = index.first_of(&found, sort, query.order.is_descending(), after, most);
        let total = usize::try_from(found.len()).unwrap_or(usize::MAX);
        let places = (first.into_iter()).map(|named| Place {
            created_at: named.created_at,
            length_ms: named.length_ms,
            name: &named.name,
            id: named.id,
        });
        self.page_of(query, total, places)
    }

    /// Everything that `query` asks for, on all pages.
    fn found(&self, query: &VideoQuery) -> RoaringBitmap {
        let index = &self.index.videos.by_text;
        let text = query.text.as_deref().unwrap_or_default().to_lowercase();
        let mut found = index.find(&text, query.status);
        let tags = query.tags.iter().map(|tag| Facet::Tag(folded(tag)));
        let rate = query.rate.map(|rate| Facet::Rate(rate.num(), rate.den()));
        for facet in tags.chain(query.bin.map(Facet::Bin)).chain(rate) {
            match index.with(&facet) {
                Some(set) => found &= set,
                None => found.clear(),
            }
        }
        if let Some(site) = &query.site {
            let there = (self.members().filter(|node| node.site == *site))
                .filter_map(|node| index.with(&Facet::Holder(node.id)))
                .fold(RoaringBitmap::new(), |all, set| all | set);
            found &= there;
        }
        if query.from.is_some() || query.to.is_some() {
            found &= index.made_between(query.from, query.to);
        }
        found
    }

    /// Frame rates of the library with the number of videos that have each.
    pub fn rates(&self) -> impl Iterator<Item = (FrameRate, u64)> {
        (self.index.videos.by_text.facets()).filter_map(|(facet, count)| match facet {
            Facet::Rate(num, den) => Some((FrameRate::new(*num, *den)?, count)),
            Facet::Tag(_) | Facet::Bin(_) | Facet::Holder(_) => None,
        })
    }

    /// Sites with the number of videos whose original lies there.
    pub fn sites(&self) -> Vec<(&str, u64)> {
        let mut sites: BTreeMap<&str, RoaringBitmap> = BTreeMap::new();
        for node in self.members() {
            let set = self.index.videos.by_text.with(&Facet::Holder(node.id));
            let all = sites.entry(&node.site).or_default();
            if let Some(set) = set {
                *all |= set;
            }
        }
        (sites.into_iter())
            .map(|(site, set)| (site, set.len()))
            .collect()
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
        for place in places.by_ref().take(limit) {
            items.extend(self.videos.get(&place.id).map(Arc::clone));
            last = Some(place);
        }
        let next = places.next().and(last).map(|place| VideoCursor {
            key: match query.order.sort() {
                Sort::Created => place.created_at.as_millis().to_string(),
                Sort::Length => place.length_ms.to_string(),
                Sort::Name => place.name.to_string(),
            },
            id: place.id,
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

/// A video in a list, with what it may be sorted by.
struct Place<'a> {
    created_at: Timestamp,
    length_ms: u32,
    name: &'a Arc<str>,
    id: VideoId,
}

impl VideoQuery {
    /// Whether sets have to be intersected to find what it asks for.
    fn is_narrowed(&self) -> bool {
        self.text.as_ref().is_some_and(|text| !text.is_empty())
            || !self.tags.is_empty()
            || self.bin.is_some()
            || self.rate.is_some()
            || self.site.is_some()
            || self.from.is_some()
            || self.to.is_some()
    }
}

/// The videos of `listing` in `order`, from `after` on.
/// The time is only known, and only needed, where it is the key; a listing has no lengths.
fn walk<'a>(
    listing: &'a Listing,
    order: VideoOrder,
    after: Option<&VideoCursor>,
) -> Box<dyn Iterator<Item = Place<'a>> + 'a> {
    let time_key = || after.and_then(time_key);
    let name_key = || after.map(|after| (Arc::from(after.key.as_str()), after.id));
    let by_time = |((at, id), name): (&'a (Timestamp, VideoId), &'a Arc<str>)| Place {
        created_at: *at,
        length_ms: 0,
        name,
        id: *id,
    };
    let by_name = |(name, id): &'a (Arc<str>, VideoId)| Place {
        created_at: Timestamp::default(),
        length_ms: 0,
        name,
        id: *id,
    };
    match (order.sort(), order.is_descending()) {
        (Sort::Name, false) => {
            let start = name_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_filename.range((start, Bound::Unbounded));
            Box::new(range.map(by_name))
        }
        (Sort::Name, true) => {
            let end = name_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_filename.range((Bound::Unbounded, end)).rev();
            Box::new(range.map(by_name))
        }
        (Sort::Created | Sort::Length, false) => {
            let start = time_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_created.range((start, Bound::Unbounded));
            Box::new(range.map(by_time))
        }
        (Sort::Created | Sort::Length, true) => {
            let end = time_key().map_or(Bound::Unbounded, Bound::Excluded);
            let range = listing.by_created.range((Bound::Unbounded, end)).rev();
            Box::new(range.map(by_time))
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
