//! Pure: the one way in which records get in and out, so that no index and no wake-up is forgotten.

use std::sync::Arc;

use protocol::id::{ClipId, GenerationId, JobId, UploadId, VideoId};

use super::Catalog;
use super::clip::Clip;
use super::context::Context;
use super::generation::Generation;
use super::job::Job;
use super::node::Node;
use super::outcome::Effect;
use super::upload::Upload;
use super::video::Video;

impl Catalog {
    /// Stores `video` with its status brought up to date.
    pub(super) fn put_video(&mut self, context: &mut Context, mut video: Video) {
        video.status = video.status_now();
        context.wake(Effect::VideoChanged(video.id));
        self.load_video(video);
    }

    pub(super) fn remove_video(&mut self, context: &mut Context, id: VideoId) {
        if let Some(old) = self.videos.remove(&id) {
            self.index.videos.updated(Some(&old), None);
            self.release_charge(id);
            context.wake(Effect::VideoDeleted(id));
        }
    }

    pub(super) fn put_upload(&mut self, context: &mut Context, upload: Upload) {
        context.wake(Effect::UploadChanged(upload.id));
        self.load_upload(upload);
    }

    pub(super) fn remove_upload(&mut self, context: &mut Context, id: UploadId) {
        if let Some(old) = self.uploads.remove(&id) {
            self.unlink_key(&old);
            context.wake(Effect::UploadChanged(id));
        }
    }

    pub(super) fn put_generation(&mut self, context: &mut Context, generation: Generation) {
        context.wake(Effect::GenerationChanged(generation.id));
        self.load_generation(generation);
    }

    pub(super) fn remove_generation(&mut self, context: &mut Context, id: GenerationId) {
        if let Some(old) = self.generations.remove(&id) {
            self.index.generations.updated(Some(&old), None);
            context.wake(Effect::GenerationChanged(id));
        }
    }

    pub(super) fn put_clip(&mut self, context: &mut Context, clip: Clip) {
        context.wake(Effect::ClipChanged(clip.id));
        self.load_clip(clip);
    }

    pub(super) fn remove_clip(&mut self, context: &mut Context, id: ClipId) {
        if let Some(old) = self.clips.remove(&id) {
            self.index.clips.updated(Some(&old), None);
            context.wake(Effect::ClipDeleted {
                clip: id,
                video: old.video,
            });
        }
    }

    pub(super) fn put_job(&mut self, context: &mut Context, job: Job) {
        context.wake(Effect::JobChanged(job.id));
        self.load_job(job);
    }

    pub(super) fn remove_job(&mut self, context: &mut Context, id: JobId) {
        if let Some(old) = self.jobs.remove(&id) {
            self.index.jobs.updated(Some(&old), None);
            context.wake(Effect::JobChanged(id));
        }
    }

    pub(super) fn put_node(&mut self, context: &mut Context, node: Node) {
        context.wake(Effect::NodeChanged(node.id));
        self.load_node(node);
    }

    // Without a wake-up, for snapshots.

    pub(super) fn load_video(&mut self, video: Video) {
        let new = Arc::new(video);
        let old = self.videos.insert(new.id, Arc::clone(&new));
        self.index.videos.updated(old.as_deref(), Some(&new));
    }

    pub(super) fn load_upload(&mut self, upload: Upload) {
        if let Some(key) = upload.key {
            self.index.uploads_by_key.insert(key, upload.id);
        }
        self.uploads.insert(upload.id, Arc::new(upload));
    }

    fn unlink_key(&mut self, upload: &Upload) {
        if let Some(key) = &upload.key
            && self.index.uploads_by_key.get(key) == Some(&upload.id)
        {
            self.index.uploads_by_key.remove(key);
        }
    }

    pub(super) fn load_generation(&mut self, generation: Generation) {
        let new = Arc::new(generation);
        let old = self.generations.insert(new.id, Arc::clone(&new));
        self.index.generations.updated(old.as_deref(), Some(&new));
    }

    pub(super) fn load_clip(&mut self, clip: Clip) {
        let new = Arc::new(clip);
        let old = self.clips.insert(new.id, Arc::clone(&new));
        self.index.clips.updated(old.as_deref(), Some(&new));
    }

    pub(super) fn load_job(&mut self, job: Job) {
        let new = Arc::new(job);
        let old = self.jobs.insert(new.id, Arc::clone(&new));
        self.index.jobs.updated(old.as_deref(), Some(&new));
    }

    pub(super) fn load_node(&mut self, node: Node) {
        self.nodes.insert(node.id, Arc::new(node));
    }
}
