//! Runs the jobs that the catalogue assigns to this node, and nothing else.
//!
//! The loop compares what the catalogue shows with what runs (see `reconcile`): it starts, renews
//! and stops. A change of the catalogue only wakes it. An attempt belongs to one epoch of a lease;
//! without a renewal for two thirds of the lease the node stops it by itself, since nobody can tell
//! it any more that somebody else has the job.

mod attempt;
mod reconcile;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coordinator::catalog::Command;
use coordinator::raft;
use protocol::failure::{Failure, FailureClass};
use protocol::id::{JobId, NodeId};
use protocol::job::Progress;
use protocol::time::{Span, Timestamp};
use protocol::worker::{Encoder, Output, Request, Task};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::attempt::{Bench, Outcome};
use self::reconcile::{Action, Assigned, Attempt, Rules, Why};
use super::graph;
use super::order::{Means, Order};
use super::outbox::Outbox;
use super::process::{self, Clocks, End, Launcher};
use crate::blob;

#[derive(Debug, Clone)]
pub struct Options {
    pub data_dir: PathBuf,
    pub process: process::Options,
    /// Renders at once, at least one.
    pub slots: u16,
    /// Threads that one render may use.
    pub threads: u16,
    /// Free space that renders leave alone.
    pub disk_reserve_bytes: u64,
    /// A worker whose frames stand still this long is ended.
    pub stall: Duration,
}

/// What this node can do, once it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Best first; empty: this node renders nothing.
    pub encoders: Vec<Encoder>,
    /// How well its workers are confined: `full`, or what is missing.
    pub sandbox: String,
}

/// Jobs that run on this node, with their progress as of now.
pub type Running = Arc<BTreeMap<JobId, Progress>>;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    progress: watch::Receiver<Running>,
    abilities: watch::Receiver<Option<Abilities>>,
}

impl Handle {
    /// Fresher than the catalogue, which learns of progress only with each renewal.
    pub fn progress(&self) -> watch::Receiver<Running> {
        self.progress.clone()
    }

    /// None until it has been found out, some seconds after the start.
    pub fn abilities(&self) -> watch::Receiver<Option<Abilities>> {
        self.abilities.clone()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {}: {source}", data_dir.display())]
    Folders {
        data_dir: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Process(#[from] process::Error),
}

/// Runs jobs until it is told to stop.
#[derive(Debug)]
pub struct Service {
    options: Options,
    catalogue: raft::Handle,
    bench: Arc<Bench>,
    progress: watch::Sender<Running>,
    abilities: watch::Sender<Option<Abilities>>,

    means: Means,
    began: Instant,
    clock: LeaderClock,
    running: BTreeMap<JobId, Entry>,
    ended: BTreeMap<JobId, u32>,
    attempts: JoinSet<JobId>,
    renewals: JoinSet<Renewal>,
}

/// An attempt in progress.
#[derive(Debug)]
struct Entry {
    attempt: Attempt,
    stop: CancellationToken,
    /// Nothing is left but to report: the catalogue taking the job away is the answer.
    is_over: Arc<AtomicBool>,
    task: tokio::task::Id,
}

#[derive(Debug)]
struct Renewal {
    job: JobId,
    epoch: u32,
    sent_ms: u64,
    succeeded: bool,
}

/// Many changes in a row are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(20);
const SETUP_RETRY: Duration = Duration::from_secs(30);
/// Room for giving jobs back at the end.
const FAREWELL: Duration = Duration::from_secs(3);

impl Service {
    /// Throws away what an earlier run left half-done.
    ///
    /// # Errors
    /// The data folder cannot be used, or no thread can be started.
    pub fn new(
        options: Options,
        catalogue: raft::Handle,
        originals: blob::Fetcher,
    ) -> Result<(Self, Handle), Error> {
        let outbox = Outbox::open(&options.data_dir).map_err(|source| Error::Folders {
            data_dir: options.data_dir.clone(),
            source,
        })?;
        let bench = Bench {
            launcher: Launcher::new(options.process.clone())?,
            outbox,
            originals,
            disk_reserve_bytes: options.disk_reserve_bytes,
            stall: options.stall,
        };
        let (progress, progress_seen) = watch::channel(Running::default());
        let (abilities, abilities_seen) = watch::channel(None);
        let means = Means {
            encoder: None,
            threads: options.threads,
        };
        let service = Self {
            options,
            catalogue,
            bench: Arc::new(bench),
            progress,
            abilities,
            means,
            began: Instant::now(),
            clock: LeaderClock::default(),
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            attempts: JoinSet::new(),
            renewals: JoinSet::new(),
        };
        let handle = Handle {
            progress: progress_seen,
            abilities: abilities_seen,
        };
        Ok((service, handle))
    }

    /// Runs until `shutdown`, then ends every worker and gives its job back.
    pub async fn run(mut self, shutdown: CancellationToken) {
        if shutdown.run_until_cancelled(self.set_up()).await.is_none() {
            return;
        }
        let mut changes = self.catalogue.changes();
        while !shutdown.is_cancelled() {
            self.reconcile();
            let tick = self.tick();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(ended) = self.attempts.join_next() => self.attempt_ended(ended),
                Some(renewal) = self.renewals.join_next() => self.renewed(renewal),
                changed = changes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    tokio::time::sleep(DEBOUNCE).await;
                    changes.mark_unchanged();
                }
                () = tokio::time::sleep(tick) => {}
            }
        }
        self.farewell().await;
    }

    /// Finds out what this node can do; does not give up.
    async fn set_up(&mut self) {
        loop {
            match self.find_abilities().await {
                Ok(abilities) => {
                    self.means.encoder = graph::choose_encoder(&abilities.encoders);
                    if self.means.encoder.is_none() {
                        warn!("no encoder works here: this node renders nothing");
                    }
                    info!(
                        encoders = ?abilities.encoders,
                        sandbox = %abilities.sandbox,
                        "ready to render"
                    );
                    self.abilities.send_replace(Some(abilities));
                    return;
                }
                Err(error) => {
                    error!(%error, "cannot render, trying again later");
                    // It goes into the catalogue, which takes no more.
                    let sandbox = error.to_string().chars().take(120).collect();
                    let encoders = Vec::new();
                    self.abilities
                        .send_replace(Some(Abilities { encoders, sandbox }));
                    tokio::time::sleep(SETUP_RETRY).await;
                }
            }
        }
    }

    async fn find_abilities(&self) -> Result<Abilities, process::Error> {
        let launcher = &self.bench.launcher;
        let level = launcher.level().await?;
        if let Err(error) = launcher.prepare().await {
            // Each worker then looks for the plug-ins itself: slower, but it works.
            warn!(%error, "no list of GStreamer plug-ins");
        }
        let request = Request {
            input: String::new(),
            filename: String::new(),
            output: String::new(),
            task: Task::Hardware,
        };
        let stop = CancellationToken::new();
        let clocks = Clocks::of(&request.task);
        let encoders = match launcher.run(&request, clocks, |_| {}, &stop).await {
            End::Done(Output::Hardware { encoders }) => encoders,
            End::Failed(failure) => {
                return Err(process::Error::Ended {
                    reason: format!("{} {}", failure.message, failure.detail),
                });
            }
            End::Done(_) | End::Stopped => Vec::new(),
        };
        let sandbox = level.to_string();
        Ok(Abilities { encoders, sandbox })
    }

    fn reconcile(&mut self) {
        let now_ms = self.now_ms();
        let node = self.catalogue.node();
        let (lease, at, assigned) = self.catalogue.read(|catalog| {
            let assigned: BTreeMap<JobId, Assigned> = catalog
                .jobs_running_on(node)
                .map(|job| {
                    let (epoch, class) = (job.epoch, job.kind.class());
                    (job.id, Assigned { epoch, class })
                })
                .collect();
            (catalog.settings().lease, catalog.at(), assigned)
        });
        self.clock.saw(at, now_ms);
        self.ended
            .retain(|job, epoch| assigned.get(job).is_some_and(|a| a.epoch == *epoch));
        let rules = Rules {
            lease_ms: lease.as_millis(),
            slots: usize::from(self.options.slots.max(1)),
        };
        let running = self
            .running
            .iter()
            .map(|(job, entry)| (*job, entry.attempt))
            .collect();
        for action in reconcile::decide(now_ms, rules, &assigned, &running, &self.ended) {
            match action {
                Action::Start { job, epoch } => self.start(job, epoch, now_ms),
                Action::Renew { job, epoch } => self.renew(job, epoch, lease, now_ms),
                Action::Stop { job, why } => self.stop(job, why),
            }
        }
    }

    fn start(&mut self, job: JobId, epoch: u32, now_ms: u64) {
        let order = self.catalogue.read(|catalog| {
            let record = catalog.job(job).filter(|record| record.epoch == epoch)?;
            let order = Order::new(catalog, record, &self.means);
            Some((record.kind.class(), order))
        });
        // Changed since it was decided: the change wakes the loop again.
        let Some((class, order)) = order else { return };
        info!(%job, epoch, "attempt starts");
        let stop = CancellationToken::new();
        let is_over = Arc::new(AtomicBool::new(false));
        let task = Assignment {
            bench: Arc::clone(&self.bench),
            catalogue: self.catalogue.clone(),
            progress: self.progress.clone(),
            stop: stop.clone(),
            is_over: Arc::clone(&is_over),
            job,
            epoch,
        };
        let task = self.attempts.spawn(task.run(order)).id();
        let attempt = Attempt {
            epoch,
            class,
            stopping: false,
            renewing: false,
            renewed_ms: now_ms,
            tried_ms: now_ms,
        };
        self.running.insert(
            job,
            Entry {
                attempt,
                stop,
                is_over,
                task,
            },
        );
    }

    fn renew(&mut self, job: JobId, epoch: u32, lease: Span, now_ms: u64) {
        let Some(entry) = self.running.get_mut(&job) else {
            return;
        };
        entry.attempt.renewing = true;
        entry.attempt.tried_ms = now_ms;
        let progress = self.progress.borrow().get(&job).copied();
        let command = Command::RenewLease {
            job,
            epoch,
            node: self.catalogue.node(),
            lease_until: self.clock.now(now_ms) + lease,
            progress: progress.unwrap_or_default(),
        };
        let catalogue = self.catalogue.clone();
        self.renewals.spawn(async move {
            let reply = catalogue.propose(command).await;
            if let Err(error) = &reply {
                warn!(%job, epoch, %error, "lease not renewed");
            }
            Renewal {
                job,
                epoch,
                sent_ms: now_ms,
                succeeded: reply.is_ok(),
            }
        });
    }

    fn renewed(&mut self, renewal: Result<Renewal, tokio::task::JoinError>) {
        let Ok(renewal) = renewal else { return };
        if let Some(entry) = self.running.get_mut(&renewal.job)
            && entry.attempt.epoch == renewal.epoch
        {
            entry.attempt.renewing = false;
            if renewal.succeeded {
                entry.attempt.renewed_ms = renewal.sent_ms;
            }
        }
    }

    fn stop(&mut self, job: JobId, why: Why) {
        if let Some(entry) = self.running.get_mut(&job) {
            if !entry.is_over.load(Ordering::Relaxed) {
                info!(%job, epoch = entry.attempt.epoch, ?why, "attempt is stopped");
            }
            entry.attempt.stopping = true;
            entry.stop.cancel();
        }
    }

    fn attempt_ended(&mut self, ended: Result<JobId, tokio::task::JoinError>) {
        let job = match ended {
            Ok(job) => Some(job),
            Err(error) => {
                // Not renewed any more, so the lease lapses and the job is tried again.
                error!(%error, "attempt panicked");
                let mut entries = self.running.iter();
                entries
                    .find(|(_, entry)| entry.task == error.id())
                    .map(|(job, _)| *job)
            }
        };
        if let Some(job) = job
            && let Some(entry) = self.running.remove(&job)
        {
            self.ended.insert(job, entry.attempt.epoch);
            self.progress.send_modify(|running| {
                Arc::make_mut(running).remove(&job);
            });
        }
    }

    async fn farewell(mut self) {
        for entry in self.running.values() {
            entry.stop.cancel();
        }
        let node = self.catalogue.node();
        let catalogue = self.catalogue.clone();
        let running: Vec<(JobId, u32)> = self
            .running
            .iter()
            .map(|(job, entry)| (*job, entry.attempt.epoch))
            .collect();
        while self.attempts.join_next().await.is_some() {}
        let give_back = async {
            for (job, epoch) in running {
                if !is_assigned(&catalogue, node, job, epoch) {
                    continue;
                }
                let reason = "the node was shut down".to_owned();
                let command = Command::ReleaseJob { job, epoch, reason };
                if let Err(error) = catalogue.propose(command).await {
                    warn!(%job, %error, "job not given back");
                }
            }
        };
        // Without an answer the lease lapses.
        let _elapsed = tokio::time::timeout(FAREWELL, give_back).await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tick(&self) -> Duration {
        let lease = self.catalogue.read(|catalog| catalog.settings().lease);
        (Duration::from(lease) / 12).clamp(Duration::from_millis(50), Duration::from_secs(2))
    }
}

fn is_assigned(catalogue: &raft::Handle, node: NodeId, job: JobId, epoch: u32) -> bool {
    catalogue.read(|catalog| {
        let mut jobs = catalog.jobs_running_on(node);
        jobs.any(|record| record.id == job && record.epoch == epoch)
    })
}

/// The leader's time, as far as it shows in the catalogue: leases end by it.
#[derive(Debug, Default)]
struct LeaderClock {
    at: Timestamp,
    seen_ms: u64,
}

impl LeaderClock {
    fn saw(&mut self, at: Timestamp, now_ms: u64) {
        if at > self.now(now_ms) || self.at == Timestamp::default() {
            self.at = at;
            self.seen_ms = now_ms;
        }
    }

    fn now(&self, now_ms: u64) -> Timestamp {
        self.at + Span::from_millis(now_ms.saturating_sub(self.seen_ms))
    }
}

/// One attempt as a task of its own: carried out, then reported.
struct Assignment {
    bench: Arc<Bench>,
    catalogue: raft::Handle,
    progress: watch::Sender<Running>,
    stop: CancellationToken,
    is_over: Arc<AtomicBool>,
    job: JobId,
    epoch: u32,
}

impl Assignment {
    async fn run(self, order: Result<Order, Failure>) -> JobId {
        let job = self.job;
        let outcome = match order {
            Ok(order) => {
                let on_progress = |progress| {
                    self.progress.send_modify(|running| {
                        Arc::make_mut(running).insert(job, progress);
                    });
                };
                self.bench.run(&order, on_progress, &self.stop).await
            }
            Err(failure) => Outcome::Failed(failure),
        };
        self.is_over.store(true, Ordering::Relaxed);
        let node = self.catalogue.node();
        let epoch = self.epoch;
        let command = match outcome {
            Outcome::Finished(result) => {
                info!(%job, epoch, "attempt finished");
                Command::FinishJob {
                    job,
                    epoch,
                    node,
                    result,
                }
            }
            Outcome::Failed(failure) => {
                warn!(%job, epoch, code = %failure.code, message = %failure.message, detail = %failure.detail, "attempt failed");
                Command::FailJob {
                    job,
                    epoch,
                    node,
                    failure,
                }
            }
            Outcome::Stopped => {
                info!(%job, epoch, "attempt stopped");
                return job;
            }
        };
        let reported = report(&self.catalogue, command);
        self.stop.run_until_cancelled(reported).await;
        job
    }
}

/// Tells the catalogue, for as long as the lease holds; telling it twice does no harm.
async fn report(catalogue: &raft::Handle, mut command: Command) {
    let mut wait = Duration::from_millis(100);
    loop {
        match catalogue.propose(command.clone()).await {
            Ok(_) => return,
            Err(raft::Error::Rejected(rejection)) => {
                // If the attempt still counts, it must not look lost: that is made good at once
                // and a hundred times. If it does not, this is refused as well.
                let Command::FinishJob {
                    job, epoch, node, ..
                } = command
                else {
                    return;
                };
                warn!(%job, epoch, %rejection, "result refused");
                let failure = Failure::new(
                    FailureClass::Internal,
                    "result_refused",
                    "The work was done, but the catalogue refused its result; the node's log says more.",
                    rejection.to_string(),
                );
                command = Command::FailJob {
                    job,
                    epoch,
                    node,
                    failure,
                };
            }
            Err(error) => {
                warn!(%error, "result not reported yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use coordinator::catalog::command::{JobResult, UnitTotals};
    use coordinator::catalog::job::Phase;
    use coordinator::catalog::node::{Node, Role};
    use protocol::id::{BlobHash, UploadId, VideoId};

    use super::*;

    #[tokio::test]
    async fn a_refused_result_counts_as_a_failed_attempt() {
        let node = NodeId(1);
        let catalogue = raft::Handle::in_memory(node);
        let upload = UploadId::from_uuid(uuid::Uuid::from_u128(1));
        let announced = Node {
            id: node,
            name: "one".to_owned(),
            site: String::new(),
            role: Role::Voter,
            version: String::new(),
            slots: 1,
            cpu_cores: 1,
            encoders: Vec::new(),
            sandbox: String::new(),
            draining: false,
            announced_at: Timestamp::default(),
            address: String::new(),
            removed_at: None,
        };
        for command in [
            Command::AnnounceNode {
                node: Box::new(announced),
            },
            Command::OpenUpload {
                upload,
                video: VideoId::from_uuid(uuid::Uuid::from_u128(2)),
                filename: "a.mov".to_owned(),
                size_bytes: 1,
                node,
            },
            Command::CompleteUpload {
                upload,
                blob: BlobHash::of(b"a"),
                node,
            },
        ] {
            catalogue.propose(command).await.expect("accepted");
        }
        let job = catalogue.read(|c| c.jobs().next().expect("a probe").id);
        let assign = Command::AssignJob {
            job,
            node,
            lease_until: Timestamp::from_millis(10_000),
        };
        catalogue.propose(assign).await.expect("accepted");
        // A probe that ends like a render: the catalogue cannot take it.
        let totals = UnitTotals {
            objects: 0,
            size_bytes: 0,
            frames: 0,
        };
        let finish = Command::FinishJob {
            job,
            epoch: 1,
            node,
            result: JobResult::Unit(totals),
        };
        report(&catalogue, finish).await;
        let (phase, failed_attempts) = catalogue.read(|c| {
            let job = c.job(job).expect("there");
            (job.state.phase(), job.failed_attempts)
        });
        assert_eq!((phase, failed_attempts), (Phase::Waiting, 1));
    }
}
