//! Pure: subclips: marked, renamed, moved, rendered to a file, deleted.
//!
//! A subclip plays from its video's segments as soon as it is marked. Its file, if one was asked
//! for, is a generation of its own with a single unit.

use bincode::{Decode, Encode};
use protocol::clip::Mode;
use protocol::failure::Failure;
use protocol::id::{ClipId, GenerationId, VideoId};
use protocol::job::Unit;
use protocol::media::FrameRange;
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::generation::{Generation, Stage, UnitState};
use super::job::{Job, Kind, Phase};
use super::limits;
use super::outcome::{Rejection, Reply};

/// One subclip.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Clip {
    pub id: ClipId,
    pub video: VideoId,
    /// Display text.
    pub name: String,
    /// Of the source; the end is exclusive.
    pub frames: FrameRange,
    pub mode: Mode,
    pub created_at: Timestamp,
    /// The generation that is to hold its file.
    pub rendering: Option<GenerationId>,
    /// The generation that holds its file.
    pub rendered: Option<GenerationId>,
    /// Why its file could not be made; cleared by a retry.
    pub failure: Option<Failure>,
    /// Its place among the subclips of its video, if a person arranged them.
    pub rank: Option<u32>,
}

/// Where a subclip stands; follows from its record and its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Virtual,
    Queued,
    Rendering,
    Ready,
    Failed,
}

/// What `CreateClip` asks for.
pub(super) struct Marking {
    pub(super) clip: ClipId,
    pub(super) video: VideoId,
    pub(super) name: String,
    pub(super) frames: FrameRange,
    pub(super) mode: Mode,
}

impl Catalog {
    /// The subclips of one video as a person arranged them; those that nobody did follow in the
    /// order of their in points.
    pub fn clips_of_video(&self, video: VideoId) -> impl Iterator<Item = &std::sync::Arc<Clip>> {
        let set = self.index.clips.by_video.get(&video);
        (set.into_iter().flatten()).filter_map(|(.., id)| self.clips.get(id))
    }

    /// The subclip whose file `generation` holds or is to hold.
    pub fn clip_of_generation(&self, generation: GenerationId) -> Option<&std::sync::Arc<Clip>> {
        let id = self.index.clips.by_generation.get(&generation)?;
        self.clips.get(id)
    }

    pub fn status_of_clip(&self, clip: &Clip) -> Status {
        if clip.failure.is_some() {
            Status::Failed
        } else if let Some(generation) = clip.rendering {
            let job = self.job_of_clip(clip.video, generation);
            match job.map(|job| job.state.phase()) {
                None | Some(Phase::Waiting) => Status::Queued,
                Some(_) => Status::Rendering,
            }
        } else if clip.rendered.is_some() {
            Status::Ready
        } else {
            Status::Virtual
        }
    }

    /// The job that makes the file of a subclip.
    pub fn job_of_clip(&self, video: VideoId, generation: GenerationId) -> Option<&Job> {
        let unit = Unit::Clip;
        let kind = Kind::Unit { generation, unit };
        self.jobs_of_video(video)
            .find(|job| job.kind == kind)
            .map(AsRef::as_ref)
    }

    pub(super) fn create_clip(
        &mut self,
        context: &mut Context,
        marking: Marking,
    ) -> Result<Reply, Rejection> {
        let Marking {
            clip: id,
            video,
            name,
            frames,
            mode,
        } = marking;
        if let Some(known) = self.clips.get(&id) {
            // A repeated command: the proposer did not learn what came of the first.
            let same = known.video == video
                && known.name == name
                && known.frames == frames
                && known.mode == mode;
            return if same {
                Ok(Reply::Already)
            } else {
                Err(Rejection::Exists {
                    what: format!("clip {id}"),
                })
            };
        }
        limits::check_clip_name(&name)?;
        self.check_frames("the subclip", video, frames)?;
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        limits::at_most(
            "the video's number of subclips",
            count(self.clips_of_video(video).count() + 1),
            count(limits::CLIPS_PER_VIDEO_MAX),
        )?;
        let clip = Clip {
            id,
            video,
            name,
            frames,
            mode,
            created_at: context.at,
            rendering: None,
            rendered: None,
            failure: None,
            rank: None,
        };
        self.put_clip(context, clip);
        Ok(Reply::Done)
    }

    pub(super) fn change_clip(
        &mut self,
        context: &mut Context,
        id: ClipId,
        name: Option<String>,
        frames: Option<FrameRange>,
        mode: Option<Mode>,
    ) -> Result<Reply, Rejection> {
        let old = self.clip_or_refuse(id)?;
        let mut clip = old.clone();
        if let Some(name) = name {
            limits::check_clip_name(&name)?;
            clip.name = name;
        }
        if let Some(frames) = frames {
            self.check_frames("the subclip", clip.video, frames)?;
            clip.frames = frames;
        }
        if let Some(mode) = mode {
            clip.mode = mode;
        }
        if clip == old {
            return Ok(Reply::Already);
        }
        if clip.frames != old.frames || clip.mode != old.mode {
            // The file shows something else than the record says now.
            let files = [clip.rendering.take(), clip.rendered.take()];
            for generation in files.into_iter().flatten() {
                self.retire_generation(context, generation);
            }
            clip.failure = None;
        }
        self.put_clip(context, clip);
        Ok(Reply::Done)
    }

    pub(super) fn delete_clip(
        &mut self,
        context: &mut Context,
        id: ClipId,
    ) -> Result<Reply, Rejection> {
        let clip = self.clip_or_refuse(id)?;
        for generation in [clip.rendering, clip.rendered].into_iter().flatten() {
            self.retire_generation(context, generation);
        }
        self.remove_clip(context, id);
        Ok(Reply::Done)
    }

    pub(super) fn render_clip(
        &mut self,
        context: &mut Context,
        id: ClipId,
    ) -> Result<Reply, Rejection> {
        let mut clip = self.clip_or_refuse(id)?;
        if clip.failure.is_none() && (clip.rendering.is_some() || clip.rendered.is_some()) {
            return Ok(Reply::Already);
        }
        if let Some(failed) = clip.rendering.take() {
            self.retire_generation(context, failed);
        }
        let generation = context.generation_id();
        let unit = Unit::Clip;
        let job = context.job_id();
        let kind = Kind::Unit { generation, unit };
        self.put_job(context, Job::new(job, clip.video, kind, context.at));
        self.put_generation(
            context,
            Generation {
                id: generation,
                video: clip.video,
                created_at: context.at,
                renditions: Vec::new(),
                gop_frames: 0,
                segment_frames: 0,
                cuts: Vec::new(),
                encoded_because: String::new(),
                audio_kbps: 0,
                audio_track: None,
                pieces: vec![clip.frames],
                units: [(unit, UnitState::Pending)].into(),
                stage: Stage::Building,
            },
        );
        clip.rendering = Some(generation);
        clip.failure = None;
        self.put_clip(context, clip);
        Ok(Reply::Done)
    }

    /// The file of a subclip is in the origin.
    pub(super) fn clip_published(
        &mut self,
        context: &mut Context,
        mut clip: Clip,
        generation: GenerationId,
    ) {
        if let Some(older) = clip.rendered.replace(generation) {
            self.retire_generation(context, older);
        }
        clip.rendering = None;
        clip.failure = None;
        self.put_clip(context, clip);
    }

    /// The subclip for whose file `job` works.
    pub(super) fn clip_of_job(&self, job: &Job) -> Option<&std::sync::Arc<Clip>> {
        match job.kind {
            Kind::Unit {
                generation,
                unit: Unit::Clip,
            } => self.clip_of_generation(generation),
            _ => None,
        }
    }

    pub(super) fn clip_ids_of_video(&self, video: VideoId) -> Vec<ClipId> {
        self.clips_of_video(video).map(|clip| clip.id).collect()
    }

    fn clip_or_refuse(&self, id: ClipId) -> Result<Clip, Rejection> {
        self.clips
            .get(&id)
            .map(|clip| (**clip).clone())
            .ok_or_else(|| Rejection::NotFound {
                what: format!("clip {id}"),
            })
    }

    /// Whether the video has been looked into and has these frames, which `what` is to show.
    pub(super) fn check_frames(
        &self,
        what: &str,
        video: VideoId,
        frames: FrameRange,
    ) -> Result<(), Rejection> {
        let record = self.videos.get(&video);
        let record = record.ok_or_else(|| Rejection::NotFound {
            what: format!("video {video}"),
        })?;
        let probe = record.probe.as_deref();
        let probe = probe.ok_or_else(|| Rejection::WrongState {
            what: format!("video {video}"),
            state: "not looked into yet".to_owned(),
        })?;
        if frames.is_empty() {
            return Err(Rejection::WrongState {
                what: what.to_owned(),
                state: "empty".to_owned(),
            });
        }
        limits::at_most(
            &format!("{what}'s out point in frames"),
            frames.end,
            probe.video.frames,
        )
    }
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Queued => "queued",
            Self::Rendering => "rendering",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}
