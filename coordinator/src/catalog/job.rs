//! Pure: work: enqueued, assigned under a lease, finished, failed or tried again.

use bincode::{Decode, Encode};
use protocol::failure::{Failure, FailureClass};
use protocol::id::{GenerationId, JobId, NodeId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::outcome::{Rejection, Reply};

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
    /// Somebody waits for it and it is short: probe, stills, a subclip.
    Interactive,
    /// Longer, but it leaves the cores to others.
    Sound,
    /// A render: takes all it can get.
    Bulk,
}

/// What a node has to be able to do. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[repr(u8)]
pub enum Work {
    Probe = 0,
    Piece = 1,
    Audio = 2,
    Stills = 3,
    Clip = 4,
    Proxy = 5,
}

impl Work {
    /// As in "barred from pieces".
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Probe => "probes",
            Self::Piece => "pieces",
            Self::Audio => "sound",
            Self::Stills => "stills",
            Self::Clip => "subclips",
            Self::Proxy => "edit proxies",
        }
    }

    /// Whether an encoder in hardware makes it quicker.
    pub const fn gains_from_hardware(self) -> bool {
        matches!(self, Self::Piece | Self::Clip)
    }
}

impl Kind {
    pub const fn work(self) -> Work {
        match self {
            Self::Probe => Work::Probe,
            Self::Unit { unit, .. } => match unit {
                Unit::Piece(_) => Work::Piece,
                Unit::Audio => Work::Audio,
                Unit::Stills => Work::Stills,
                Unit::Clip => Work::Clip,
                Unit::Proxy => Work::Proxy,
            },
        }
    }

    pub const fn class(self) -> Class {
        match self {
            Self::Probe
            | Self::Unit {
                unit: Unit::Stills | Unit::Clip,
                ..
            } => Class::Interactive,
            Self::Unit {
                unit: Unit::Audio, ..
            } => Class::Sound,
            Self::Unit {
                unit: Unit::Piece(_) | Unit::Proxy,
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

    pub(super) fn wrong_state(&self) -> Rejection {
        let state = match self.state.phase() {
            // The sentence says "is" before it.
            Phase::Done => "finished",
            phase => phase.as_str(),
        };
        Rejection::WrongState {
            what: format!("job {}", self.id),
            state: state.to_owned(),
        }
    }

    pub(super) fn stale(&self, epoch: u32) -> Rejection {
        Rejection::Stale {
            given: epoch,
            current: self.epoch,
        }
    }

    /// Whether `node` holds the lease of attempt `epoch`.
    pub(super) fn check_lease(&self, epoch: u32, node: NodeId) -> Result<(), Rejection> {
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

    pub(super) fn end(&mut self, context: &Context, state: State) {
        self.state = state;
        self.finished_at = Some(context.at);
    }

    pub(super) fn wait(&mut self, not_before: Timestamp) {
        self.state = State::Waiting;
        self.not_before = not_before;
        self.finished_at = None;
    }
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
        // One failure stops all work on a video, so one retry revives all of it. The file of a
        // subclip or an edit proxy stands alone.
        let alone = self.stands_alone(&job);
        let belongs = |sibling: &Job| {
            if alone {
                sibling.id == id
            } else {
                !self.stands_alone(sibling)
            }
        };
        let ended: Vec<Job> = self
            .jobs_of_video(job.video)
            .filter(|sibling| matches!(sibling.state, State::Failed | State::Cancelled))
            .filter(|sibling| belongs(sibling))
            .map(|sibling| (**sibling).clone())
            .collect();
        for mut sibling in ended {
            sibling.failed_attempts = 0;
            sibling.lost_attempts = 0;
            sibling.failure = None;
            sibling.wait(context.at);
            self.put_job(context, sibling);
        }
        if self.note_failure(context, &job, None) {
            return Ok(Reply::Done);
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
            "The work was cancelled; retry it to go on.",
            "",
        );
        self.give_up(context, job, State::Cancelled, failure);
        Ok(Reply::Done)
    }

    pub(super) fn job_ids_of_video(&self, video: VideoId) -> Vec<JobId> {
        self.jobs_of_video(video).map(|job| job.id).collect()
    }

    pub(super) fn job_or_refuse(&self, id: JobId) -> Result<Job, Rejection> {
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
