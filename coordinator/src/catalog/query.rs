//! Pure: read-only views with filter, order and cursor.

use std::sync::Arc;

use protocol::id::VideoId;

use super::Catalog;
use super::job::Job;
use super::video::{Status, Video};

/// Which videos, in which order, from where.
#[derive(Debug, Clone, Default)]
pub struct VideoQuery {
    pub status: Option<Status>,
    /// Case-insensitive part of the file name.
    pub text: Option<String>,
    pub order: VideoOrder,
    /// From the last item of the page before.
    pub after: Option<VideoCursor>,
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

/// The sort key of an item and its id; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct VideoCursor {
    pub key: String,
    pub id: VideoId,
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

impl Catalog {
    pub fn page_of_videos(&self, query: &VideoQuery) -> Page<Arc<Video>, VideoCursor> {
        let _ = query;
        Page {
            items: Vec::new(),
            next: None,
            total: 0,
        }
    }

    /// Jobs of one video, oldest first.
    pub fn jobs_of_video(&self, video: VideoId) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs().filter(move |job| job.video == video)
    }
}
