//! Pure: the life of a video: uploading, probing, rendering, ready or failed.

use bincode::{Decode, Encode};
use protocol::failure::Failure;
use protocol::id::{BlobHash, GenerationId, NodeId, UploadId, VideoId};
use protocol::probe::Probe;
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::labels::Labels;
use super::limits;
use super::outcome::{Rejection, Reply};

/// One video. Aim: less than 1 KiB, so that a million fit in memory.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Video {
    pub id: VideoId,
    /// Display text, never a path.
    pub filename: String,
    pub size_bytes: u64,
    pub created_at: Timestamp,
    /// The upload it came in by. It stays when the upload is complete and gone, so that a repeated
    /// `CompleteUpload` is recognised.
    pub upload: Option<UploadId>,
    /// The original; none until the upload is complete.
    pub blob: Option<BlobHash>,
    /// Nodes that hold the original.
    pub copies: Vec<NodeId>,
    pub probe: Option<Box<Probe>>,
    /// The published generation: what plays.
    pub published: Option<GenerationId>,
    /// The generation being made.
    pub building: Option<GenerationId>,
    /// Why it cannot be made ready; cleared by a retry.
    pub failure: Option<Failure>,
    /// Follows from the other fields; kept here because the list is indexed by it.
    pub status: Status,
    /// Its tags, and the bins it is in.
    pub labels: Labels,
}

/// Where a video stands. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Status {
    Uploading = 0,
    Probing = 1,
    Rendering = 2,
    Ready = 3,
    Failed = 4,
}

impl Status {
    pub const ALL: [Self; 5] = [
        Self::Uploading,
        Self::Probing,
        Self::Rendering,
        Self::Ready,
        Self::Failed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Probing => "probing",
            Self::Rendering => "rendering",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl Video {
    /// The status that follows from the other fields.
    ///
    /// What plays stays ready, whatever becomes of a newer generation.
    pub fn status_now(&self) -> Status {
        if self.blob.is_none() {
            Status::Uploading
        } else if self.published.is_some() {
            Status::Ready
        } else if self.failure.is_some() {
            Status::Failed
        } else if self.building.is_none() {
            Status::Probing
        } else {
            Status::Rendering
        }
    }
}

impl Catalog {
    pub(super) fn rename_video(
        &mut self,
        context: &mut Context,
        id: VideoId,
        filename: String,
    ) -> Result<Reply, Rejection> {
        let mut video = self.video_or_refuse(id)?;
        limits::check_filename(&filename, &self.settings)?;
        if video.filename == filename {
            return Ok(Reply::Already);
        }
        video.filename = filename;
        self.put_video(context, video);
        Ok(Reply::Done)
    }

    pub(super) fn delete_video(
        &mut self,
        context: &mut Context,
        id: VideoId,
    ) -> Result<Reply, Rejection> {
        let video = self.video_or_refuse(id)?;
        if let Some(upload) = video.upload {
            self.remove_upload(context, upload);
        }
        for marker in self.marker_ids_of_video(id) {
            self.remove_marker(context, marker);
        }
        for clip in self.clip_ids_of_video(id) {
            self.remove_clip(context, clip);
        }
        for job in self.job_ids_of_video(id) {
            self.remove_job(context, job);
        }
        for generation in self.generation_ids_of_video(id) {
            self.retire_generation(context, generation);
        }
        self.remove_video(context, id);
        Ok(Reply::Done)
    }

    pub(super) fn video_or_refuse(&self, id: VideoId) -> Result<Video, Rejection> {
        self.videos
            .get(&id)
            .map(|video| (**video).clone())
            .ok_or_else(|| Rejection::NotFound {
                what: format!("video {id}"),
            })
    }
}
