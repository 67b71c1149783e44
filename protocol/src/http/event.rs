//! Pure: server-sent events of `GET /events` (WHATWG HTML, 9.2).
//!
//! The `event` field is `video`, `video_deleted`, `clip`, `clip_deleted`, `marker`,
//! `marker_deleted`, `bins`, `job`, `node` or `reset`; the data is the JSON below. `reset` says that events may have been missed: fetch what is shown anew.

use serde::{Deserialize, Serialize};

use super::{clip::Clip, job::Job, node::Node, review::Marker, video::Video};
use crate::id::{ClipId, MarkerId, VideoId};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Event {
    Video(Box<Video>),
    VideoDeleted {
        id: VideoId,
    },
    Clip(Box<Clip>),
    ClipDeleted {
        id: ClipId,
        video_id: VideoId,
    },
    /// Also when its comments change.
    Marker(Box<Marker>),
    MarkerDeleted {
        id: MarkerId,
        video_id: VideoId,
    },
    /// Bins, what is in them, or tags changed: ask for `/facets` anew.
    Bins {},
    Job(Box<Job>),
    Node(Box<Node>),
    Reset {},
}
