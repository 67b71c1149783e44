//! Pure: what comes out of `apply`.

use bincode::{Decode, Encode};
use protocol::id::{ClipId, GenerationId, JobId, MarkerId, NodeId, UploadId, VideoId};
use protocol::time::Timestamp;

use super::node::Role;

/// Where in the log a command stands, and when it was proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub index: u64,
    /// Position within the entry, since one entry carries many commands.
    pub sequence: u16,
    pub at: Timestamp,
}

/// What a command led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub reply: Result<Reply, Rejection>,
    /// Wake-ups. Losing one costs latency, never correctness.
    pub effects: Vec<Effect>,
}

impl Outcome {
    pub fn done(reply: Reply, effects: Vec<Effect>) -> Self {
        Self {
            reply: Ok(reply),
            effects,
        }
    }

    pub fn refused(rejection: Rejection) -> Self {
        Self {
            reply: Err(rejection),
            effects: Vec::new(),
        }
    }
}

/// The answer to whoever proposed the command.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Reply {
    Done = 0,
    /// The command had been carried out before; nothing changed.
    Already = 1,
    UploadOpened {
        upload: UploadId,
        video: VideoId,
    } = 2,
    UploadCompleted {
        video: VideoId,
    } = 3,
    JobAssigned {
        job: JobId,
        epoch: u32,
    } = 4,
    /// A machine has its number; it may have had it before.
    NodeAdmitted {
        node: NodeId,
        role: Role,
    } = 5,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[repr(u8)]
pub enum Rejection {
    #[error("there is no {what}")]
    NotFound { what: String } = 0,
    #[error("{what} exists already")]
    Exists { what: String } = 1,
    /// The lease has a newer epoch: somebody else works on it, or it is finished.
    #[error(
        "this result comes too late: the job is at epoch {current}, the result has epoch {given}"
    )]
    Stale { given: u32, current: u32 } = 2,
    #[error("{what} is {state}, so this cannot be done")]
    WrongState { what: String, state: String } = 3,
    #[error("{what} has {given}, the limit is {limit}")]
    Limit {
        what: String,
        given: u64,
        limit: u64,
    } = 4,
}

/// What changed, for loops that look at the state again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Bins, or what is in them, or tags.
    BinsChanged,
    ClipChanged(ClipId),
    ClipDeleted {
        clip: ClipId,
        video: VideoId,
    },
    GenerationChanged(GenerationId),
    JobChanged(JobId),
    /// Also its comments.
    MarkerChanged(MarkerId),
    MarkerDeleted {
        marker: MarkerId,
        video: VideoId,
    },
    NodeChanged(NodeId),
    UploadChanged(UploadId),
    VideoChanged(VideoId),
    VideoDeleted(VideoId),
}
