//! Pure: uploads under way; which chunks are in stays with the node that has them.

use bincode::{Decode, Encode};
use protocol::id::{BlobHash, NodeId, UploadId, VideoId};
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::job::{Job, Kind};
use super::labels::Labels;
use super::limits;
use super::outcome::{Rejection, Reply};
use super::video::{Status, Video};

/// An open upload. It is gone once complete.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Upload {
    pub id: UploadId,
    pub video: VideoId,
    /// The node whose spool holds the chunks.
    pub node: NodeId,
    pub opened_at: Timestamp,
}

/// What `OpenUpload` asks for.
pub(super) struct Opening {
    pub(super) upload: UploadId,
    pub(super) video: VideoId,
    pub(super) filename: String,
    pub(super) size_bytes: u64,
    pub(super) node: NodeId,
}

impl Catalog {
    pub(super) fn open_upload(
        &mut self,
        context: &mut Context,
        opening: Opening,
    ) -> Result<Reply, Rejection> {
        let Opening {
            upload,
            video,
            filename,
            size_bytes,
            node,
        } = opening;
        if let Some(open) = self.uploads.get(&upload) {
            // A repeated command: the proposer did not learn what came of the first.
            return Ok(Reply::UploadOpened {
                upload,
                video: open.video,
            });
        }
        if self.index.videos.by_upload.contains_key(&upload) {
            return Err(Rejection::Exists {
                what: format!("upload {upload}"),
            });
        }
        if self.videos.contains_key(&video) {
            return Err(Rejection::Exists {
                what: format!("video {video}"),
            });
        }
        limits::check_filename(&filename, &self.settings)?;
        limits::at_most(
            "the file's size in bytes",
            size_bytes,
            self.settings.upload_max_bytes,
        )?;
        limits::at_most(
            "the number of open uploads",
            count(self.uploads.len() + 1),
            count(limits::UPLOADS_MAX),
        )?;

        self.put_upload(
            context,
            Upload {
                id: upload,
                video,
                node,
                opened_at: context.at,
            },
        );
        self.put_video(
            context,
            Video {
                id: video,
                filename,
                size_bytes,
                created_at: context.at,
                upload: Some(upload),
                blob: None,
                copies: Vec::new(),
                probe: None,
                published: None,
                building: None,
                failure: None,
                status: Status::Uploading,
                labels: Labels::default(),
            },
        );
        Ok(Reply::UploadOpened { upload, video })
    }

    pub(super) fn complete_upload(
        &mut self,
        context: &mut Context,
        upload: UploadId,
        blob: BlobHash,
        node: NodeId,
    ) -> Result<Reply, Rejection> {
        let mut video = self.video_of_upload_or_refuse(upload)?;
        if let Some(known) = video.blob {
            if known == blob {
                return Ok(Reply::Already);
            }
            return Err(Rejection::WrongState {
                what: format!("upload {upload}"),
                state: "complete with other content".to_owned(),
            });
        }
        let id = video.id;
        video.blob = Some(blob);
        video.copies = vec![node];
        self.remove_upload(context, upload);
        self.put_video(context, video);
        let job = context.job_id();
        self.put_job(context, Job::new(job, id, Kind::Probe, context.at));
        Ok(Reply::UploadCompleted { video: id })
    }

    pub(super) fn abort_upload(
        &mut self,
        context: &mut Context,
        upload: UploadId,
    ) -> Result<Reply, Rejection> {
        let video = self.video_of_upload_or_refuse(upload)?;
        if video.blob.is_some() {
            return Err(Rejection::WrongState {
                what: format!("upload {upload}"),
                state: "complete".to_owned(),
            });
        }
        self.remove_upload(context, upload);
        self.remove_video(context, video.id);
        Ok(Reply::Done)
    }

    fn video_of_upload_or_refuse(&self, upload: UploadId) -> Result<Video, Rejection> {
        self.video_of_upload(upload)
            .map(|video| (**video).clone())
            .ok_or_else(|| Rejection::NotFound {
                what: format!("upload {upload}"),
            })
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
