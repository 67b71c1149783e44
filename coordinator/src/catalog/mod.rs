//! Pure: the replicated catalogue: what the cluster believes.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod command;
pub mod generation;
pub mod job;
pub mod node;
pub mod outcome;
pub mod query;
pub mod settings;
pub mod snapshot;
pub mod upload;
pub mod video;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::id::{GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::time::Timestamp;

pub use command::Command;
pub use outcome::{Effect, Outcome, Rejection, Reply, Stamp};

use generation::Generation;
use job::Job;
use node::Node;
use settings::Settings;
use upload::Upload;
use video::Video;

/// The whole catalogue. Cheap to clone: records are shared until they change.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    settings: Settings,
    /// Time of the newest entry; `apply` clamps, so it never runs backwards.
    at: Timestamp,
    videos: BTreeMap<VideoId, Arc<Video>>,
    uploads: BTreeMap<UploadId, Arc<Upload>>,
    generations: BTreeMap<GenerationId, Arc<Generation>>,
    jobs: BTreeMap<JobId, Arc<Job>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
}

impl Catalog {
    /// Total: any command, however stale, yields an outcome. Never panics, never waits.
    pub fn apply(&mut self, stamp: Stamp, command: Command) -> Outcome {
        drop((stamp, command));
        Outcome::refused(Rejection::NotFound {
            what: "everything".to_owned(),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Time of the newest applied entry.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub fn video(&self, id: VideoId) -> Option<&Arc<Video>> {
        self.videos.get(&id)
    }

    pub fn upload(&self, id: UploadId) -> Option<&Arc<Upload>> {
        self.uploads.get(&id)
    }

    pub fn generation(&self, id: GenerationId) -> Option<&Arc<Generation>> {
        self.generations.get(&id)
    }

    pub fn job(&self, id: JobId) -> Option<&Arc<Job>> {
        self.jobs.get(&id)
    }

    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    pub fn videos(&self) -> impl Iterator<Item = &Arc<Video>> {
        self.videos.values()
    }

    pub fn uploads(&self) -> impl Iterator<Item = &Arc<Upload>> {
        self.uploads.values()
    }

    pub fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        self.generations.values()
    }

    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.values()
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }
}
