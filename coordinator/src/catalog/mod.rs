//! Pure: the replicated catalogue: what the cluster believes.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

pub mod command;
pub mod outcome;

pub mod access;
pub mod clip;
pub mod cluster;
pub mod delivery;
pub mod generation;
pub mod ingest;
pub mod job;
pub mod labels;
pub mod marker;
pub mod node;
pub mod proxy;
pub mod review;
pub mod settings;
pub mod upload;
pub mod video;

pub mod invariant;
pub mod limits;
pub mod query;
pub mod session;
pub mod snapshot;

mod attempt;
mod context;
mod index;
mod keep;
mod plan;
pub mod strike;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::id::{
    BinId, BlobHash, ClipId, CommentId, GenerationId, JobId, MarkerId, NodeId, UploadId, VideoId,
};
use protocol::time::Timestamp;

pub use command::Command;
pub use outcome::{Effect, Outcome, Rejection, Reply, Stamp};
pub use session::Request;

use access::{ApiToken, Charge};
use clip::{Clip, Marking};
use cluster::Token;
use context::Context;
use delivery::{SigningKey, Wish};
use generation::Generation;
use index::Index;
use job::{Job, Lease, Work};
use labels::Bin;
use marker::{Comment, Marker};
use node::Node;
use proxy::Shelf;
use session::{Session, SessionId};
use settings::Settings;
use strike::Strikes;
use upload::{Opening, Upload};
use video::Video;

/// The whole catalogue. Cheap to clone: records are shared until they change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    settings: Settings,
    /// Time of the newest entry; `apply` clamps, so it never runs backwards.
    at: Timestamp,
    videos: BTreeMap<VideoId, Arc<Video>>,
    uploads: BTreeMap<UploadId, Arc<Upload>>,
    generations: BTreeMap<GenerationId, Arc<Generation>>,
    clips: BTreeMap<ClipId, Arc<Clip>>,
    jobs: BTreeMap<JobId, Arc<Job>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    /// Edit proxies, presets and looks.
    shelf: Shelf,
    /// A handful, so without an index.
    tokens: BTreeMap<BlobHash, Token>,
    /// A thousand at most, so without an index.
    bins: BTreeMap<BinId, Bin>,
    markers: BTreeMap<MarkerId, Arc<Marker>>,
    comments: BTreeMap<CommentId, Arc<Comment>>,
    /// Oldest first; the last one signs.
    signing_keys: Vec<SigningKey>,
    /// Pieces that viewers wait for, oldest first.
    wishes: Vec<Wish>,
    /// Whose requests have been carried out already.
    sessions: BTreeMap<SessionId, Session>,
    strikes: BTreeMap<(NodeId, Work), Strikes>,
    api_tokens: BTreeMap<BlobHash, ApiToken>,
    /// Which videos count against which token.
    charges: BTreeMap<VideoId, Charge>,
    /// Follows from the records; only `tables` changes it.
    index: Index,
}

impl Catalog {
    /// Total: any command, however stale, yields an outcome. Never panics, never waits.
    pub fn apply(&mut self, stamp: Stamp, command: Command) -> Outcome {
        self.at = self.at.max(stamp.at);
        let mut context = Context::new(self.at, stamp);
        match self.dispatch(&mut context, command) {
            Ok(reply) => Outcome::done(reply, context.into_effects()),
            Err(rejection) => Outcome::refused(rejection),
        }
    }

    /// Every handler checks first and changes then: a refused command has changed nothing.
    fn dispatch(&mut self, context: &mut Context, command: Command) -> Result<Reply, Rejection> {
        match command {
            Command::AnnounceNode { node } => self.announce_node(context, *node),
            Command::SetSettings { settings } => self.set_settings(settings),
            Command::OpenUpload {
                upload,
                video,
                filename,
                size_bytes,
                node,
            } => {
                let opening = Opening {
                    upload,
                    video,
                    filename,
                    size_bytes,
                    node,
                    key: None,
                };
                self.open_upload(context, opening)
            }
            Command::CompleteUpload { upload, blob, node } => {
                self.complete_upload(context, upload, blob, node)
            }
            Command::AbortUpload { upload } => self.abort_upload(context, upload),
            Command::AssignJob {
                job,
                node,
                lease_until,
            } => self.assign_job(context, job, node, lease_until),
            Command::RenewLease {
                job,
                epoch,
                node,
                lease_until,
                progress,
            } => self.renew_lease(context, job, Lease { epoch, node }, lease_until, progress),
            Command::FinishJob {
                job,
                epoch,
                node,
                result,
            } => self.finish_job(context, job, Lease { epoch, node }, result),
            Command::FailJob {
                job,
                epoch,
                node,
                failure,
            } => self.fail_job(context, job, Lease { epoch, node }, failure),
            Command::ReleaseJob { job, epoch, reason } => {
                self.release_job(context, job, epoch, &reason)
            }
            Command::RetryJob { job } => self.retry_job(context, job),
            Command::CancelJob { job } => self.cancel_job(context, job),
            Command::PublishUnit {
                generation,
                unit,
                epoch,
            } => self.publish_unit(context, generation, unit, epoch),
            Command::LoseUnit {
                generation,
                unit,
                epoch,
            } => self.lose_unit(context, generation, unit, epoch),
            Command::PublishGeneration { generation } => {
                self.publish_generation(context, generation)
            }
            Command::RenameVideo { video, filename } => self.rename_video(context, video, filename),
            Command::DeleteVideo { video } => self.delete_video(context, video),
            Command::ForgetGeneration { generation } => self.forget_generation(context, generation),
            Command::CreateClip {
                clip,
                video,
                name,
                frames,
                mode,
            } => {
                let marking = Marking {
                    clip,
                    video,
                    name,
                    frames,
                    mode,
                };
                self.create_clip(context, marking)
            }
            Command::ChangeClip {
                clip,
                name,
                frames,
                mode,
            } => self.change_clip(context, clip, name, frames, mode),
            Command::DeleteClip { clip } => self.delete_clip(context, clip),
            Command::RenderClip { clip } => self.render_clip(context, clip),
            Command::Cluster(command) => self.change_cluster(context, command),
            Command::Ingest(command) => self.change_ingest(context, command),
            Command::Proxy(command) => self.change_proxies(context, command),
            Command::Review(command) => self.review(context, command),
            Command::Delivery(command) => self.change_delivery(context, command),
            Command::Access(command) => self.change_access(context, command),
        }
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

    pub fn clip(&self, id: ClipId) -> Option<&Arc<Clip>> {
        self.clips.get(&id)
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

    pub fn clips(&self) -> impl Iterator<Item = &Arc<Clip>> {
        self.clips.values()
    }

    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.values()
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }
}
