//! Pure: uploads as the whole cluster sees them: found again by their file, moved to another node,
//! copied as they come, spared where the file is here already.

use bincode::{Decode, Encode};
use protocol::id::{BlobHash, NodeId, UploadId, VideoId};
use protocol::upload::FileKey;

use super::Catalog;
use super::context::Context;
use super::job::{Job, Kind};
use super::labels::Labels;
use super::limits;
use super::outcome::{Rejection, Reply};
use super::upload::{Opening, Upload};
use super::video::{Status, Video};

/// Changes to uploads and originals. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum IngestCommand {
    /// As `OpenUpload`, and any node finds it again by the file's key.
    Open {
        upload: UploadId,
        video: VideoId,
        filename: String,
        size_bytes: u64,
        node: NodeId,
        key: FileKey,
    } = 0,
    /// The upload goes on at `to`. Refused if it has left `from` meanwhile.
    Move {
        upload: UploadId,
        from: NodeId,
        to: NodeId,
    } = 1,
    /// Who else holds what `node` acknowledges.
    Mirror {
        upload: UploadId,
        node: NodeId,
        mirror: Option<Mirror>,
    } = 2,
    /// A file whose bytes are in the cluster becomes a video without being sent.
    Adopt {
        video: VideoId,
        filename: String,
        size_bytes: u64,
        blob: BlobHash,
    } = 3,
}

/// A second node that gets every chunk before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Mirror {
    pub node: NodeId,
    /// It also has all that was acknowledged before it became the mirror.
    pub is_complete: bool,
}

impl Catalog {
    /// The open upload of the file with this key.
    pub fn upload_by_key(&self, key: &FileKey) -> Option<&Upload> {
        let upload = self.index.uploads_by_key.get(key)?;
        self.uploads.get(upload).map(AsRef::as_ref)
    }

    /// Whether some original has exactly so many bytes.
    pub fn has_original_of_size(&self, size_bytes: u64) -> bool {
        self.index
            .videos
            .by_size
            .range((size_bytes, VideoId::LEAST)..)
            .next()
            .is_some_and(|&(size, _)| size == size_bytes)
    }

    pub(super) fn change_ingest(
        &mut self,
        context: &mut Context,
        command: IngestCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            IngestCommand::Open {
                upload,
                video,
                filename,
                size_bytes,
                node,
                key,
            } => {
                if let Some(open) = self.upload_by_key(&key)
                    && open.id != upload
                {
                    return Err(Rejection::Exists {
                        what: "an upload of this very file".to_owned(),
                    });
                }
                let opening = Opening {
                    upload,
                    video,
                    filename,
                    size_bytes,
                    node,
                    key: Some(key),
                };
                self.open_upload(context, opening)
            }
            IngestCommand::Move { upload, from, to } => self.move_upload(context, upload, from, to),
            IngestCommand::Mirror {
                upload,
                node,
                mirror,
            } => self.mirror_upload(context, upload, node, mirror),
            IngestCommand::Adopt {
                video,
                filename,
                size_bytes,
                blob,
            } => self.adopt_original(context, video, filename, size_bytes, blob),
        }
    }

    fn move_upload(
        &mut self,
        context: &mut Context,
        upload: UploadId,
        from: NodeId,
        to: NodeId,
    ) -> Result<Reply, Rejection> {
        let mut open = self.upload_or_refuse(upload)?;
        if open.node == to {
            return Ok(Reply::Already);
        }
        if open.node != from {
            return Err(Rejection::WrongState {
                what: format!("upload {upload}"),
                state: format!("at node {} by now", open.node),
            });
        }
        open.node = to;
        open.mirror = None;
        self.put_upload(context, open);
        Ok(Reply::Done)
    }

    fn mirror_upload(
        &mut self,
        context: &mut Context,
        upload: UploadId,
        node: NodeId,
        mirror: Option<Mirror>,
    ) -> Result<Reply, Rejection> {
        let mut open = self.upload_or_refuse(upload)?;
        if open.node != node || mirror.is_some_and(|mirror| mirror.node == node) {
            return Err(Rejection::WrongState {
                what: format!("upload {upload}"),
                state: format!("at node {}", open.node),
            });
        }
        if open.mirror == mirror {
            return Ok(Reply::Already);
        }
        open.mirror = mirror;
        self.put_upload(context, open);
        Ok(Reply::Done)
    }

    fn adopt_original(
        &mut self,
        context: &mut Context,
        id: VideoId,
        filename: String,
        size_bytes: u64,
        blob: BlobHash,
    ) -> Result<Reply, Rejection> {
        limits::check_filename(&filename, &self.settings)?;
        let same_name = self
            .videos_of_blob(&blob)
            .find(|video| video.filename == filename || video.id == id);
        if let Some(known) = same_name {
            return Ok(Reply::UploadCompleted { video: known.id });
        }
        let known = self.videos_of_blob(&blob).next();
        let copies = match known {
            Some(known) if known.size_bytes == size_bytes => known.copies.clone(),
            _ => {
                return Err(Rejection::NotFound {
                    what: "original with these bytes".to_owned(),
                });
            }
        };
        if self.videos.contains_key(&id) {
            return Err(Rejection::Exists {
                what: format!("video {id}"),
            });
        }
        self.put_video(
            context,
            Video {
                id,
                filename,
                size_bytes,
                created_at: context.at,
                upload: None,
                blob: Some(blob),
                copies,
                probe: None,
                published: None,
                building: None,
                failure: None,
                status: Status::Probing,
                labels: Labels::default(),
            },
        );
        let job = context.job_id();
        self.put_job(context, Job::new(job, id, Kind::Probe, context.at));
        Ok(Reply::UploadCompleted { video: id })
    }

    fn upload_or_refuse(&self, upload: UploadId) -> Result<Upload, Rejection> {
        let open = self.uploads.get(&upload);
        open.map(|open| (**open).clone())
            .ok_or_else(|| Rejection::NotFound {
                what: format!("upload {upload}"),
            })
    }
}
