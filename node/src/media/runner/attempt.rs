//! One attempt from an empty folder to a proved result in the outbox.

use std::io;
use std::path::Path;
use std::time::Duration;

use coordinator::catalog::command::{JobResult, UnitTotals};
use protocol::failure::{Failure, FailureClass};
use protocol::id::{GenerationId, JobId};
use protocol::job::{Progress, Unit};
use protocol::manifest::Manifest;
use protocol::media::FrameRange;
use protocol::worker::{Output, Request, Task};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::blob;
use crate::media::order::Order;
use crate::media::outbox::{self, Outbox};
use crate::media::process::{self, Clocks, End, Launcher};
use crate::media::verify;

/// What all attempts on a node share.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) launcher: Launcher,
    pub(super) outbox: Outbox,
    pub(super) originals: blob::Fetcher,
    /// Space that is left alone.
    pub(super) disk_reserve_bytes: u64,
    /// The longest that a render may stand still.
    pub(super) stall: Duration,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Proved, durable, and in its place.
    Finished(JobResult),
    Failed(Failure),
    /// As asked for; nothing is to be reported.
    Stopped,
}

/// Why an attempt goes no further.
enum Halt {
    Failed(Failure),
    Stopped,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How often free space is looked at while a worker writes.
const DISK_CHECK: Duration = Duration::from_secs(5);

impl Bench {
    /// Carries `order` out; leaves nothing in scratch, whatever happens.
    pub(super) async fn run(
        &self,
        order: &Order,
        on_progress: impl FnMut(Progress),
        stop: &CancellationToken,
    ) -> Outcome {
        let result = self.try_run(order, on_progress, stop).await;
        match result {
            Ok(result) => Outcome::Finished(result),
            Err(Halt::Failed(failure)) => Outcome::Failed(failure),
            Err(Halt::Stopped) => Outcome::Stopped,
        }
    }

    async fn try_run(
        &self,
        order: &Order,
        on_progress: impl FnMut(Progress),
        stop: &CancellationToken,
    ) -> Result<JobResult, Halt> {
        self.bring_original(order, stop).await?;
        self.check_space(order.needed_bytes)?;
        let (job, epoch) = (order.job, order.epoch);
        let begin = self.outbox.clone();
        let folder = blocking(move || begin.begin(job, epoch)).await?;
        let result = self.fill(order, &folder, on_progress, stop).await;
        // Gone already after a success.
        let left = folder.clone();
        if let Err(failure) = blocking(move || outbox::remove(&left)).await {
            warn!(%job, detail = %failure.detail, "scratch folder not removed");
        }
        result
    }

    /// Has the original here, from another node if need be.
    async fn bring_original(&self, order: &Order, stop: &CancellationToken) -> Result<(), Halt> {
        use blob::transfer::Error;
        let brought = self.originals.ensure(order.original);
        match stop.run_until_cancelled(brought).await {
            None => Err(Halt::Stopped),
            Some(Ok(())) => Ok(()),
            // The job can do nothing for it: once the lease has lapsed it is tried elsewhere.
            Some(Err(error @ (Error::NoHolder(_) | Error::Unwanted(_)))) => {
                warn!(job = %order.job, %error, "attempt given up: no original");
                Err(Halt::Stopped)
            }
            Some(Err(error @ Error::NoSpace { .. })) => {
                let message = "The node's disk is too full for the original.";
                Err(resource("disk_full", message, &error.to_string()).into())
            }
            Some(Err(error)) => {
                let message = "The node could not bring the original here; its log says more.";
                Err(resource("original_missing", message, &error.to_string()).into())
            }
        }
    }

    async fn fill(
        &self,
        order: &Order,
        folder: &Path,
        on_progress: impl FnMut(Progress),
        stop: &CancellationToken,
    ) -> Result<JobResult, Halt> {
        let output = self.render(order, folder, on_progress, stop).await?;
        match (output, order.unit) {
            (Output::Probe(probe), None) => {
                verify::facts(&probe).map_err(Failure::from)?;
                Ok(JobResult::Probe(probe))
            }
            (Output::Manifest, Some((generation, unit))) => {
                let (task, read) = (order.task.clone(), folder.to_owned());
                let manifest = blocking(move || Ok(verify::unit(&read, &task))).await?;
                let manifest = manifest.map_err(Failure::from)?;
                if stop.is_cancelled() {
                    return Err(Halt::Stopped);
                }
                self.deliver(order.job, folder, generation, unit).await?;
                Ok(JobResult::Unit(totals(&manifest)))
            }
            _ => Err(Failure::from(verify::Error::WrongOutput).into()),
        }
    }

    async fn render(
        &self,
        order: &Order,
        folder: &Path,
        on_progress: impl FnMut(Progress),
        stop: &CancellationToken,
    ) -> Result<Output, Halt> {
        let original = self.originals.store().path(&order.original);
        // A worker starts in another folder than the node.
        let original = std::path::absolute(&original).unwrap_or(original);
        let not_started = |error: process::Error| {
            let message = "The node could not start a worker; its log says why.";
            resource("worker_not_started", message, &error.to_string())
        };
        let request = Request {
            input: process::path_text(&original).map_err(not_started)?,
            filename: order.filename.clone(),
            output: process::path_text(folder).map_err(not_started)?,
            task: order.task.clone(),
        };
        let mut clocks = Clocks::of(&order.task);
        if !matches!(order.task, Task::Probe) {
            clocks.stall = self.stall;
        }
        let stop_worker = stop.child_token();
        let run = self
            .launcher
            .run(&request, clocks, on_progress, &stop_worker);
        tokio::pin!(run);
        let end = tokio::select! {
            end = &mut run => end,
            failure = self.disk_fills_up() => {
                stop_worker.cancel();
                run.await;
                return Err(failure.into());
            }
        };
        match end {
            End::Done(output) => Ok(output),
            End::Failed(failure) => Err(failure.into()),
            End::Stopped => Err(Halt::Stopped),
        }
    }

    async fn deliver(
        &self,
        job: JobId,
        folder: &Path,
        generation: GenerationId,
        unit: Unit,
    ) -> Result<(), Failure> {
        let (outbox, from) = (self.outbox.clone(), folder.to_owned());
        let to = blocking(move || outbox.deliver(&from, generation, unit)).await?;
        tracing::debug!(%job, folder = %to.display(), "result delivered");
        Ok(())
    }

    /// Returns once less than the reserve is left.
    async fn disk_fills_up(&self) -> Failure {
        loop {
            tokio::time::sleep(DISK_CHECK).await;
            if let Err(failure) = self.check_space(0) {
                return failure;
            }
        }
    }

    fn check_space(&self, needed_bytes: u64) -> Result<(), Failure> {
        let free_bytes = self.outbox.free_bytes().map_err(|error| disk(&error))?;
        let wanted_bytes = self.disk_reserve_bytes.saturating_add(needed_bytes);
        if free_bytes >= wanted_bytes {
            return Ok(());
        }
        let message = format!(
            "The node's disk is too full to render: {} MiB are free, {} MiB are needed.",
            free_bytes >> 20,
            wanted_bytes >> 20,
        );
        Err(resource("disk_full", &message, ""))
    }
}

/// The sums that the catalogue keeps.
fn totals(manifest: &Manifest) -> UnitTotals {
    let count = manifest.objects().count();
    UnitTotals {
        objects: u32::try_from(count).unwrap_or(u32::MAX),
        size_bytes: manifest.size_bytes(),
        frames: manifest.frames.map_or(0, FrameRange::len),
    }
}

/// Runs disk work off the threads that serve the network.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| disk(&error)),
        Err(error) => Err(Failure::new(
            FailureClass::Internal,
            "runner_panicked",
            "The node made a mistake while it handled the result; its log says more.",
            error.to_string(),
        )),
    }
}

fn disk(error: &io::Error) -> Failure {
    let message = "The node's disk does not work; its log says more.";
    resource("disk_failed", message, &error.to_string())
}

fn resource(code: &str, message: &str, detail: &str) -> Failure {
    Failure::new(FailureClass::Resource, code, message, detail)
}
