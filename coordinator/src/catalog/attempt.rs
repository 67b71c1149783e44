//! Pure: how an attempt ends: with a result, with a failure, or lost without a fault of the job.

use std::sync::Arc;

use protocol::failure::{Failure, FailureClass};
use protocol::id::{GenerationId, JobId, VideoId};
use protocol::job::Unit;
use protocol::probe::Probe;

use super::Catalog;
use super::command::{JobResult, UnitTotals};
use super::context::Context;
use super::generation::UnitState;
use super::job::{Job, Kind, Lease, Phase, State};
use super::limits;
use super::outcome::{Rejection, Reply};
use super::plan;
use super::video::Video;
use crate::scheduler::retry::{self, Verdict};

/// How an attempt was lost without a fault of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The result was there, then its files were not.
    Files,
    /// The lease lapsed or was given back.
    Lease,
}

impl Catalog {
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
        let work = job.kind.work();
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
        self.clear_strikes(lease.node, work);
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
        self.count_strike(lease.node, job.kind.work(), job.video, &failure);
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
        let alone = self.stands_alone(&job);
        if !alone && self.videos.get(&job.video).is_some_and(stopped) {
            // Other work of the video failed meanwhile; a retry of that revives this as well.
            self.end_job(context, job, State::Cancelled);
            return;
        }
        // A node that died is not the job's fault; files that went may go again.
        let free = match loss {
            Loss::Files => 0,
            Loss::Lease => 2,
        };
        let verdict = retry::after_loss(
            job.lost_attempts,
            free,
            self.settings.max_lost_attempts,
            self.settings.retry_backoff,
        );
        match verdict {
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

    /// `job` ends without a result. The video cannot become whole, so its other work stops too;
    /// a running attempt notices that its assignment is gone.
    pub(super) fn give_up(
        &mut self,
        context: &mut Context,
        job: Job,
        end: State,
        failure: Failure,
    ) {
        let (id, video) = (job.id, job.video);
        let alone = self.note_failure(context, &job, Some(failure.clone()));
        self.end_job(context, job, end);
        if alone {
            // The video plays all the same.
            return;
        }
        let others: Vec<Job> = self
            .jobs_of_video(video)
            .filter(|other| other.id != id)
            .filter(|other| matches!(other.state, State::Waiting | State::Running { .. }))
            .filter(|other| !self.stands_alone(other))
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
        let number = match unit {
            Unit::Piece(number) => number,
            Unit::Clip | Unit::Proxy => 0,
            Unit::Audio | Unit::Stills => return Ok(()),
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
}
