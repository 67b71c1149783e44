//! Pure: the only ways to change the catalogue.
//!
//! Append only: a variant keeps its place for ever, since old logs hold it.

use bincode::{Decode, Encode};
use protocol::clip::Mode;
use protocol::failure::Failure;
use protocol::id::{BlobHash, ClipId, GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::media::FrameRange;
use protocol::probe::Probe;
use protocol::time::Timestamp;

use super::cluster::ClusterCommand;
use super::node::Node;
use super::review::ReviewCommand;
use super::settings::Settings;

/// A decision somebody proposes. Ids and times were chosen by the proposer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Command {
    /// A node says who it is and what it can do; also after every start.
    AnnounceNode {
        node: Box<Node>,
    } = 0,
    /// Replaces the replicated settings.
    SetSettings {
        settings: Settings,
    } = 1,

    /// Begins an upload, and with it a video in state `uploading`.
    OpenUpload {
        upload: UploadId,
        video: VideoId,
        filename: String,
        size_bytes: u64,
        /// Where the chunks go.
        node: NodeId,
    } = 2,
    /// The whole file is verified and in the blob store of `node`.
    CompleteUpload {
        upload: UploadId,
        blob: BlobHash,
        node: NodeId,
    } = 3,
    /// The upload is given up, or lapsed; its video goes with it.
    AbortUpload {
        upload: UploadId,
    } = 4,

    /// The scheduler gives a waiting job to a node.
    AssignJob {
        job: JobId,
        node: NodeId,
        lease_until: Timestamp,
    } = 5,
    /// The node still works on it.
    RenewLease {
        job: JobId,
        epoch: u32,
        node: NodeId,
        lease_until: Timestamp,
        progress: Progress,
    } = 6,
    /// The attempt succeeded and its result is verified.
    FinishJob {
        job: JobId,
        epoch: u32,
        node: NodeId,
        result: JobResult,
    } = 7,
    /// The attempt failed.
    FailJob {
        job: JobId,
        epoch: u32,
        node: NodeId,
        failure: Failure,
    } = 8,
    /// The lease lapsed or the node gives the job back: the attempt does not count against the job.
    ReleaseJob {
        job: JobId,
        epoch: u32,
        reason: String,
    } = 9,
    /// A person asks for another try.
    RetryJob {
        job: JobId,
    } = 10,
    /// A person does not want it any more.
    CancelJob {
        job: JobId,
    } = 11,

    /// The unit's files and manifest are in the origin.
    PublishUnit {
        generation: GenerationId,
        unit: Unit,
        epoch: u32,
    } = 12,
    /// The node that held a finished, unpublished unit has lost its files: do it again.
    LoseUnit {
        generation: GenerationId,
        unit: Unit,
        epoch: u32,
    } = 13,
    /// Playlists are in the origin; the video plays.
    PublishGeneration {
        generation: GenerationId,
    } = 14,

    RenameVideo {
        video: VideoId,
        filename: String,
    } = 15,
    /// Removes a video with its jobs; its generations become retired, to be swept from the origin.
    DeleteVideo {
        video: VideoId,
    } = 16,
    /// A retired generation's objects are gone from the origin.
    ForgetGeneration {
        generation: GenerationId,
    } = 17,

    /// Marks a subclip.
    CreateClip {
        clip: ClipId,
        video: VideoId,
        name: String,
        /// Of the source; the end is exclusive.
        frames: FrameRange,
        mode: Mode,
    } = 18,
    /// What is left out stays. Another range or mode makes a rendered file void.
    ChangeClip {
        clip: ClipId,
        name: Option<String>,
        frames: Option<FrameRange>,
        mode: Option<Mode>,
    } = 19,
    /// Removes a subclip; its file is swept from the origin.
    DeleteClip {
        clip: ClipId,
    } = 20,
    /// Makes a file of a subclip.
    RenderClip {
        clip: ClipId,
    } = 21,
    /// Who belongs to the cluster, and what lies where.
    Cluster(ClusterCommand) = 22,
    /// What people note about videos.
    Review(ReviewCommand) = 23,
}

/// What a finished attempt brings back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum JobResult {
    Probe(Box<Probe>) = 0,
    /// The unit's files lie in the outbox of the node that made them.
    Unit(UnitTotals) = 1,
}

/// The sums of a unit's manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct UnitTotals {
    pub objects: u32,
    pub size_bytes: u64,
    /// Frames of each rendition, or those that a subclip shows; zero for sound and stills.
    pub frames: u64,
}
