//! Pure: work: enqueued, assigned under a lease, finished, failed or tried again.

use std::sync::Arc;

use bincode::{Decode, Encode};
use protocol::failure::{Failure, FailureClass};
use protocol::id::{GenerationId, JobId, NodeId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::probe::Probe;
use protocol::time::Timestamp;

use super::Catalog;
use super::command::{JobResult, UnitTotals};
use super::context::Context;
use super::generation::UnitState;
use super::limits;
use super::outcome::{Rejection, Reply};
use super::plan;
use super::video::Video;
use crate::scheduler::retry::{self, Verdict};

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Job {
    pub id: JobId,
    pub video: VideoId,
    pub kind: Kind,
    pub state: State,
    /// Grows with every assignment; a result with an older one is refused.
    pub epoch: u32,
    /// Attempts that failed.
    pub failed_attempts: u32,
    /// Attempts that were lost with their node or given back.
    pub lost_attempts: u32,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Not to be assigned earlier.
    pub not_before: Timestamp,
    /// Of the last attempt that failed.
    pub failure: Option<Failure>,
    /// Node of the last attempt.
    pub last_node: Option<NodeId>,
}

/// What to do. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[repr(u8)]
pub enum Kind {
    Probe = 0,
    Unit {
        generation: GenerationId,
        unit: Unit,
    } = 1,
}

/// Where a job stands. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum State {
    Waiting = 0,
    Running {
        node: NodeId,
        lease_until: Timestamp,
        /// As of the last renewal.
        progress: Progress,
    } = 1,
    Done = 2,
    Failed = 3,
    Cancelled = 4,
}

/// A state without its details, to filter and sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Waiting,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// How much of a node a job takes, lightest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for it and it is short: probe, stills.
    Interactive,
    /// Longer, but it leaves the cores to others.
    Sound,
    /// A render: takes all it can get.
    Bulk,
}

impl Kind {
    pub const fn class(self) -> Class {
        match self {
            Self::Probe
            | Self::Unit {
                unit: Unit::Stills, ..
            } => Class::Interactive,
            Self::Unit {
                unit: Unit::Audio, ..
            } => Class::Sound,
            Self::Unit {
                unit: Unit::Piece(_),
                ..
            } => Class::Bulk,
        }
    }
}

impl State {
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Waiting => Phase::Waiting,
            Self::Running { .. } => Phase::Running,
            Self::Done => Phase::Done,
            Self::Failed => Phase::Failed,
            Self::Cancelled => Phase::Cancelled,
        }
    }
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Job {
    pub(super) fn new(id: JobId, video: VideoId, kind: Kind, at: Timestamp) -> Self {
        Self {
            id,
            video,
            kind,
            state: State::Waiting,
            epoch: 0,
            failed_attempts: 0,
            lost_attempts: 0,
            created_at: at,
            started_at: None,
            finished_at: None,
            not_before: at,
            failure: None,
            last_node: None,
        }
    }

    fn wrong_state(&self) -> Rejection {
        Rejection::WrongState {
            what: format!("job {}", self.id),
            state: self.state.phase().as_str().to_owned(),
        }
    }

    fn stale(&self, epoch: u32) -> Rejection {
        Rejection::Stale {
            given: epoch,
            current: self.epoch,
        }
    }

    /// Whether `node` holds the lease of attempt `epoch`.
    fn check_lease(&self, epoch: u32, node: NodeId) -> Result<(), Rejection> {
        match &self.state {
            State::Running { node: holder, .. } if epoch == self.epoch => {
                if *holder == node {
                    Ok(())
                } else {
                    Err(Rejection::WrongState {
                        what: format!("job {}", self.id),
                        state: format!("running on node {holder}"),
                    })
                }
            }
            _ => Err(self.stale(epoch)),
        }
    }

    fn end(&mut self, context: &Context, state: State) {
        self.state = state;
        self.finished_at = Some(context.at);
    }

    fn wait(&mut self, not_before: Timestamp) {
        self.state = State::Waiting;
        self.not_before = not_before;
        self.finished_at = None;
    }
}

/// How an attempt was lost without a fault of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The result was there, then its files were not.
    Files,
    /// The lease lapsed or was given back.
    Lease,
}

impl Catalog {
    pub(super) fn assign_job(
        &mut self,
        context: &mut Context,
        id: JobId,
        node: NodeId,
        lease_until: Timestamp,
    ) -> Result<Reply, Rejection> {
        let mut job = self.job_or_refuse(id)?;
        match &job.state {
            State::Waiting => {}
            State::Running {
                node: holder,
                lease_until: held_until,
                ..
            } if *holder == node && *held_until == lease_until => return Ok(Reply::Already),
            _ => return Err(job.wrong_state()),
        }
        if job.not_before > context.at {
            return Err(Rejection::WrongState {
                what: format!("job {id}"),
                state: format!("not due before {}", job.not_before),
            });
        }
        let Some(target) = self.nodes.get(&node) else {
            return Err(Rejection::NotFound {
                what: format!("node {node}"),
            });
        };
        if target.draining {
            return Err(Rejection::WrongState {
                what: format!("node {}", target.name),
                state: "draining".to_owned(),
            });
        }
        let Some(epoch) = job.epoch.checked_add(1) else {
            return Err(job.wrong_state());
        };
        job.epoch = epoch;
        job.state = State::Running {
            node,
            lease_until,
            progress: Progress::default(),
        };
        job.started_at = Some(context.at);
        job.finished_at = None;
        job.last_node = Some(node);
        self.put_job(context, job);
        Ok(Reply::JobAssigned { job: id, epoch })
    }

    pub(super) fn renew_lease(
        &mut self,
        context: &mut Context,
        id: JobId,
        lease: Lease,
        until: Timestamp,
        progress: Progress,
    ) -> Result<Reply, Rejection> {
        let mut job = self.job_or_refuse(id)?;
        job.check_lease(lease.epoch, lease.node)?;
        if let State::Running {
            lease_until,
            progress: known,
            ..
        } = &mut job.state
        {
            *lease_until = until.max(*lease_until);
            // Reports may overtake each other; what was seen never shrinks.
            if progress.done >= known.done && progress.permille() >= known.permille() {
                *known = progress;
            }
        }
        self.put_job(context, job);
        Ok(Reply::Done)
    }

    pub(super) fn finish_job(
        &mut self,
        context: &mut Context,
        id: JobId,
        lease: Lease,
        result: JobResult,
    ) -> Result<Reply, Rejection> {
        let job = self.job_or_refuse(id)?;
        if job.state == State::Done && job.epoch == lease.epoch && job.last_node == Some(lease.node)
        {
            return Ok(Reply::Already);
        }
        job.check_lease(lease.epoch, lease.node)?;
        match (job.kind, result) {
            (Kind::Probe, JobResult::Probe(probe)) => {
                self.finish_probe(context, job, *probe)?;
            }
            (Kind::Unit { generation, unit }, JobResult::Unit(totals)) => {
                self.check_totals(generation, unit, totals)?;
                self.end_job(context, job, State::Done);
                let state = UnitState::Rendered {
                    node: lease.node,
                    epoch: lease.epoch,
                    totals,
                };
                self.unit_rendered(context, generation, unit, state);
            }
            (Kind::Probe, JobResult::Unit(_)) | (Kind::Unit { .. }, JobResult::Probe(_)) => {
                return Err(Rejection::WrongState {
                    what: format!("job {id}"),
                    state: "of another kind than its result".to_owned(),
                });
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn fail_job(
        &mut self,
        context: &mut Context,
        id: JobId,
        lease: Lease,
        failure: Failure,
    ) -> Result<Reply, Rejection> {
        let mut job = self.job_or_refuse(id)?;
        let failure = limits::bounded_failure(failure);
        let ended = job.state.phase() != Phase::Running;
        if ended && job.epoch == lease.epoch && job.failure.as_ref() == Some(&failure) {
            return Ok(Reply::Already);
        }
        job.check_lease(lease.epoch, lease.node)?;
        job.failed_attempts = job.failed_attempts.saturating_add(1);
        job.failure = Some(failure.clone());
        let verdict = retry::after_failure(
            failure.class,
            job.failed_attempts,
            self.settings.max_attempts,
            self.settings.retry_backoff,
        );
        match verdict {
            Verdict::Again { after } => {
                job.wait(context.at + after);
                self.put_job(context, job);
            }
            Verdict::GiveUp => self.give_up(context, job, State::Failed, failure),
        }
        Ok(Reply::Done)
    }

    pub(super) fn release_job(
        &mut self,
        context: &mut Context,
        id: JobId,
        epoch: u32,
        reason: &str,
    ) -> Result<Reply, Rejection> {
        let job = self.job_or_refuse(id)?;
        match job.state {
            State::Running { .. } if job.epoch == epoch => {
                self.lose_attempt(context, job, Loss::Lease, reason);
                Ok(Reply::Done)
            }
            State::Waiting if job.epoch == epoch => Ok(Reply::Already),
            _ => Err(job.stale(epoch)),
        }
    }

    /// Puts `job` back into the queue, unless its attempts were lost too often.
    pub(super) fn lose_attempt(
        &mut self,
        context: &mut Context,
        mut job: Job,
        loss: Loss,
        reason: &str,
    ) {
        job.lost_attempts = job.lost_attempts.saturating_add(1);
        let stopped = |video: &Arc<Video>| video.failure.is_some();
        if self.videos.get(&job.video).is_some_and(stopped) {
            // Other work of the video failed meanwhile; a retry of that revives this as well.
            self.end_job(context, job, State::Cancelled);
            return;
        }
        match retry::after_loss(job.lost_attempts, self.settings.max_lost_attempts) {
            Verdict::Again { after } => {
                job.wait(context.at + after);
                self.put_job(context, job);
            }
            Verdict::GiveUp => {
                let what = match loss {
                    Loss::Files => "Its finished files were lost",
                    Loss::Lease => "Its node was lost or gave it back",
                };
                let message = format!(
                    "{what} {} times; look at the nodes, then retry.",
                    job.lost_attempts
                );
                let failure =
                    Failure::new(FailureClass::Resource, "attempts_lost", message, reason);
                job.failure = Some(failure.clone());
                self.give_up(context, job, State::Failed, failure);
            }
        }
    }

    pub(super) fn retry_job(
        &mut self,
        context: &mut Context,
        id: JobId,
    ) -> Result<Reply, Rejection> {
        let mut job = self.job_or_refuse(id)?;
        match job.state {
            State::Running { .. } => return Ok(Reply::Already),
            State::Waiting if job.not_before <= context.at => return Ok(Reply::Already),
            State::Waiting => {
                // It waits after a failure; the person does not want to.
                job.not_before = context.at;
                self.put_job(context, job);
                return Ok(Reply::Done);
            }
            State::Done => return Err(job.wrong_state()),
            State::Failed | State::Cancelled => {}
        }
        // One failure stops all work on a video, so one retry revives all of it.
        let ended: Vec<Job> = self
            .jobs_of_video(job.video)
            .filter(|sibling| matches!(sibling.state, State::Failed | State::Cancelled))
            .map(|sibling| (**sibling).clone())
            .collect();
        for mut sibling in ended {
            sibling.failed_attempts = 0;
            sibling.lost_attempts = 0;
            sibling.failure = None;
            sibling.wait(context.at);
            self.put_job(context, sibling);
        }
        let mut video = self.video_or_refuse(job.video)?;
        video.failure = None;
        self.put_video(context, video);
        Ok(Reply::Done)
    }

    pub(super) fn cancel_job(
        &mut self,
        context: &mut Context,
        id: JobId,
    ) -> Result<Reply, Rejection> {
        let job = self.job_or_refuse(id)?;
        match job.state {
            State::Waiting | State::Running { .. } => {}
            State::Cancelled => return Ok(Reply::Already),
            State::Done | State::Failed => return Err(job.wrong_state()),
        }
        let failure = Failure::new(
            FailureClass::Cancelled,
            "cancelled",
            "The work on this video was cancelled; retry it to go on.",
            "",
        );
        self.give_up(context, job, State::Cancelled, failure);
        Ok(Reply::Done)
    }

    /// `job` ends without a result. The video cannot become whole, so its other work stops too;
    /// a running attempt notices that its assignment is gone.
    fn give_up(&mut self, context: &mut Context, job: Job, end: State, failure: Failure) {
        let (id, video) = (job.id, job.video);
        self.end_job(context, job, end);
        let others: Vec<Job> = self
            .jobs_of_video(video)
            .filter(|other| other.id != id)
            .filter(|other| matches!(other.state, State::Waiting | State::Running { .. }))
            .map(|other| (**other).clone())
            .collect();
        for other in others {
            self.end_job(context, other, State::Cancelled);
        }
        if let Some(video) = self.videos.get(&video) {
            let mut video = (**video).clone();
            video.failure = Some(failure);
            self.put_video(context, video);
        }
    }

    fn finish_probe(
        &mut self,
        context: &mut Context,
        mut job: Job,
        probe: Probe,
    ) -> Result<(), Rejection> {
        let mut video = self.video_or_refuse(job.video)?;
        let probe = limits::bounded_probe(probe);
        let id = context.generation_id();
        let planned = plan::generation(id, video.id, context.at, &self.settings.ladder, &probe);
        video.probe = Some(Box::new(probe));
        let generation = match planned {
            Ok(generation) => generation,
            Err(failure) => {
                // No node can make more of this file, so this is the job's end.
                job.failed_attempts = job.failed_attempts.saturating_add(1);
                job.failure = Some(failure.clone());
                self.put_video(context, video);
                self.give_up(context, job, State::Failed, failure);
                return Ok(());
            }
        };
        video.building = Some(id);
        for unit in plan::units_in_order(&generation) {
            let kind = Kind::Unit {
                generation: id,
                unit,
            };
            let job = Self::new_job(context, video.id, kind);
            self.put_job(context, job);
        }
        self.put_generation(context, generation);
        self.end_job(context, job, State::Done);
        self.put_video(context, video);
        Ok(())
    }

    fn new_job(context: &mut Context, video: VideoId, kind: Kind) -> Job {
        let id = context.job_id();
        Job::new(id, video, kind, context.at)
    }

    fn end_job(&mut self, context: &mut Context, mut job: Job, state: State) {
        job.end(context, state);
        self.put_job(context, job);
    }

    /// A piece that lacks a frame, or has one too many, is not that piece.
    fn check_totals(
        &self,
        generation: GenerationId,
        unit: Unit,
        totals: UnitTotals,
    ) -> Result<(), Rejection> {
        let Some(generation) = self.generations.get(&generation) else {
            return Err(Rejection::NotFound {
                what: format!("generation {generation}"),
            });
        };
        let Unit::Piece(number) = unit else {
            return Ok(());
        };
        let wanted = usize::try_from(number)
            .ok()
            .and_then(|number| generation.pieces.get(number))
            .map_or(0, |piece| piece.len());
        if totals.frames != wanted {
            return Err(Rejection::WrongState {
                what: format!("the result of {unit}"),
                state: format!("{} frames long instead of {wanted}", totals.frames),
            });
        }
        Ok(())
    }

    pub(super) fn job_ids_of_video(&self, video: VideoId) -> Vec<JobId> {
        self.jobs_of_video(video).map(|job| job.id).collect()
    }

    fn job_or_refuse(&self, id: JobId) -> Result<Job, Rejection> {
        self.jobs
            .get(&id)
            .map(|job| (**job).clone())
            .ok_or_else(|| Rejection::NotFound {
                what: format!("job {id}"),
            })
    }
}

/// Who claims to hold which attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) epoch: u32,
    pub(super) node: NodeId,
}
