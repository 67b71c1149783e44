//! Pure: one complete, immutable published set of a video, or the file of a subclip or an edit
//! proxy.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use protocol::id::{GenerationId, NodeId, VideoId};
use protocol::job::Unit;
use protocol::media::{FrameRange, Rendition};
use protocol::time::Timestamp;

use super::Catalog;
use super::attempt::Loss;
use super::command::UnitTotals;
use super::context::Context;
use super::job::{Job, Kind};
use super::outcome::{Rejection, Reply};

/// A generation and how far each of its units has come.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Generation {
    pub id: GenerationId,
    pub video: VideoId,
    pub created_at: Timestamp,
    /// Highest first; empty for the file of a subclip or an edit proxy.
    pub renditions: Vec<Rendition>,
    /// Frames between forced IDR pictures.
    pub gop_frames: u32,
    /// Frames of a full segment, whole GOPs.
    pub segment_frames: u32,
    /// The first frames of all segments where the top rendition is a copy of the source; empty
    /// where everything is encoded, and segments lie on the grid.
    pub cuts: Vec<u64>,
    /// Why it is no copy, as the second half of a sentence, where somebody may wonder.
    pub encoded_because: String,
    pub audio_kbps: u32,
    /// Position of the rendered sound track in the probe; none: no sound.
    pub audio_track: Option<u16>,
    /// Frames of the source that each piece covers, in order, without gaps.
    pub pieces: Vec<FrameRange>,
    pub units: BTreeMap<Unit, UnitState>,
    pub stage: Stage,
}

/// How far a unit has come. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum UnitState {
    Pending = 0,
    /// Its files lie in the outbox of `node`; only that epoch's result counts.
    Rendered {
        node: NodeId,
        epoch: u32,
        totals: UnitTotals,
    } = 1,
    /// Its files are in the origin.
    Published {
        totals: UnitTotals,
    } = 2,
}

/// Where a generation stands. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Stage {
    Building = 0,
    Published = 1,
    /// No video points to it: its objects may be removed, then it is forgotten.
    Retired = 2,
}

impl Generation {
    /// Whether the top rendition is a copy of the source.
    pub fn keeps_top(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Whether it holds the file of a subclip: no renditions, and no playlists.
    pub fn is_of_clip(&self) -> bool {
        self.units.contains_key(&Unit::Clip)
    }

    /// Whether it holds an edit proxy.
    pub fn is_of_proxy(&self) -> bool {
        self.units.contains_key(&Unit::Proxy)
    }

    /// Whether it holds one file that is fetched as it is: nothing of it plays by playlists.
    pub fn is_file(&self) -> bool {
        self.is_of_clip() || self.is_of_proxy()
    }

    /// Whether every unit is in the origin, so that playlists can be written.
    pub fn is_whole(&self) -> bool {
        !self.units.is_empty()
            && self
                .units
                .values()
                .all(|state| matches!(state, UnitState::Published { .. }))
    }
}

impl Stage {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "being built",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }
}

impl Catalog {
    /// A unit was rendered by `node` in attempt `epoch`.
    pub(super) fn unit_rendered(
        &mut self,
        context: &mut Context,
        id: GenerationId,
        unit: Unit,
        state: UnitState,
    ) {
        if let Some(generation) = self.generations.get(&id) {
            let mut generation = (**generation).clone();
            generation.units.insert(unit, state);
            self.put_generation(context, generation);
        }
    }

    pub(super) fn publish_unit(
        &mut self,
        context: &mut Context,
        id: GenerationId,
        unit: Unit,
        epoch: u32,
    ) -> Result<Reply, Rejection> {
        let (mut generation, state) = self.unit_or_refuse(id, unit)?;
        if let UnitState::Published { .. } = state {
            return Ok(Reply::Already);
        }
        generation.check_stage(Stage::Building)?;
        match state {
            UnitState::Rendered {
                epoch: current,
                totals,
                ..
            } if current == epoch => {
                generation
                    .units
                    .insert(unit, UnitState::Published { totals });
                self.put_generation(context, generation);
                Ok(Reply::Done)
            }
            _ => Err(self.stale_unit(&generation, unit, epoch)),
        }
    }

    pub(super) fn lose_unit(
        &mut self,
        context: &mut Context,
        id: GenerationId,
        unit: Unit,
        epoch: u32,
    ) -> Result<Reply, Rejection> {
        let (mut generation, state) = self.unit_or_refuse(id, unit)?;
        generation.check_stage(Stage::Building)?;
        let job = self.job_of_unit(&generation, unit);
        match state {
            UnitState::Rendered { epoch: current, .. } if current == epoch => {
                generation.units.insert(unit, UnitState::Pending);
                self.put_generation(context, generation);
                if let Some(job) = job {
                    self.lose_attempt(context, job, Loss::Files, "its files were lost");
                }
                Ok(Reply::Done)
            }
            UnitState::Published { .. } => Err(Rejection::WrongState {
                what: format!("unit {unit} of generation {id}"),
                state: "published".to_owned(),
            }),
            UnitState::Pending if job.is_some_and(|job| job.epoch == epoch) => Ok(Reply::Already),
            _ => Err(self.stale_unit(&generation, unit, epoch)),
        }
    }

    pub(super) fn publish_generation(
        &mut self,
        context: &mut Context,
        id: GenerationId,
    ) -> Result<Reply, Rejection> {
        let mut generation = self.generation_or_refuse(id)?;
        if generation.stage == Stage::Published {
            return Ok(Reply::Already);
        }
        generation.check_stage(Stage::Building)?;
        if !generation.is_whole() {
            return Err(Rejection::WrongState {
                what: format!("generation {id}"),
                state: "not whole yet".to_owned(),
            });
        }
        if let Some(clip) = self.clip_of_generation(id) {
            let clip = (**clip).clone();
            generation.stage = Stage::Published;
            self.put_generation(context, generation);
            self.clip_published(context, clip, id);
            return Ok(Reply::Done);
        }
        if let Some(proxy) = self.proxy_of_generation(id) {
            let proxy = (**proxy).clone();
            generation.stage = Stage::Published;
            self.put_generation(context, generation);
            self.proxy_published(context, proxy, id);
            return Ok(Reply::Done);
        }
        let mut video = self.video_or_refuse(generation.video)?;
        generation.stage = Stage::Published;
        self.put_generation(context, generation);
        if let Some(older) = video.published.replace(id) {
            self.retire_generation(context, older);
        }
        video.building = None;
        video.failure = None;
        self.put_video(context, video);
        Ok(Reply::Done)
    }

    pub(super) fn forget_generation(
        &mut self,
        context: &mut Context,
        id: GenerationId,
    ) -> Result<Reply, Rejection> {
        let Some(generation) = self.generations.get(&id) else {
            return Ok(Reply::Already);
        };
        generation.check_stage(Stage::Retired)?;
        self.remove_generation(context, id);
        Ok(Reply::Done)
    }

    /// Nothing points to the generation any more: its objects may be removed from the origin.
    /// Its jobs go, since nobody can want their results.
    pub(super) fn retire_generation(&mut self, context: &mut Context, id: GenerationId) {
        let Some(generation) = self.generations.get(&id) else {
            return;
        };
        if generation.stage == Stage::Retired {
            return;
        }
        let mut generation = (**generation).clone();
        generation.stage = Stage::Retired;
        let jobs: Vec<_> = self
            .jobs_of_video(generation.video)
            .filter(|job| matches!(job.kind, Kind::Unit { generation, .. } if generation == id))
            .map(|job| job.id)
            .collect();
        for job in jobs {
            self.remove_job(context, job);
        }
        self.put_generation(context, generation);
    }

    pub(super) fn generation_ids_of_video(&self, video: VideoId) -> Vec<GenerationId> {
        let ids = self.index.generations.by_video.get(&video);
        ids.into_iter().flatten().copied().collect()
    }

    fn generation_or_refuse(&self, id: GenerationId) -> Result<Generation, Rejection> {
        self.generations
            .get(&id)
            .map(|generation| (**generation).clone())
            .ok_or_else(|| Rejection::NotFound {
                what: format!("generation {id}"),
            })
    }

    fn unit_or_refuse(
        &self,
        id: GenerationId,
        unit: Unit,
    ) -> Result<(Generation, UnitState), Rejection> {
        let generation = self.generation_or_refuse(id)?;
        match generation.units.get(&unit).copied() {
            Some(state) => Ok((generation, state)),
            None => Err(Rejection::NotFound {
                what: format!("unit {unit} of generation {id}"),
            }),
        }
    }

    /// The job that makes `unit`.
    fn job_of_unit(&self, generation: &Generation, unit: Unit) -> Option<Job> {
        let kind = Kind::Unit {
            generation: generation.id,
            unit,
        };
        self.jobs_of_video(generation.video)
            .find(|job| job.kind == kind)
            .map(|job| (**job).clone())
    }

    /// The epoch of a rendered unit is that of its job, whether or not it runs again.
    fn stale_unit(&self, generation: &Generation, unit: Unit, epoch: u32) -> Rejection {
        let job = self.job_of_unit(generation, unit);
        Rejection::Stale {
            given: epoch,
            current: job.map_or(0, |job| job.epoch),
        }
    }
}

impl Generation {
    fn check_stage(&self, wanted: Stage) -> Result<(), Rejection> {
        if self.stage == wanted {
            return Ok(());
        }
        Err(Rejection::WrongState {
            what: format!("generation {}", self.id),
            state: self.stage.as_str().to_owned(),
        })
    }
}
