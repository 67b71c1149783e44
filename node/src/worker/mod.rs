//! The child side of rendering, and the only user of GStreamer.
//!
//! One process does one task: a request on standard input, events on standard output, files in the
//! folder that the request names. It decides nothing: the pipelines come with the request.

mod audio;
pub mod cadence;
mod cells;
mod clip;
pub mod cmaf;
mod colour;
pub mod container;
mod feed;
mod gate;
mod hardware;
mod keep;
mod ladder;
mod output;
pub mod peaks;
mod pipeline;
pub mod probe;
mod proxy;
pub mod reel;
mod refuse;
pub mod sdr;
mod stills;

use std::fs::File;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use protocol::failure::{Failure, FailureClass};
use protocol::job::Progress;
use protocol::worker::{self, Event, Output, Request, Task};

/// Twice a second: the parent renews a lease with it, and a person watches a bar.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Loads GStreamer and nothing else, so that it writes its list of plug-ins where
/// `GST_REGISTRY` says.
///
/// # Errors
/// GStreamer is not there.
pub fn prepare() -> Result<(), gst::glib::Error> {
    gst::init()
}

/// Does the one task that stands on standard input and answers on standard output.
pub fn main() -> ExitCode {
    let mut events = match claim_stdout() {
        Ok(events) => events,
        Err(error) => {
            log(&format!("standard output is not there: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| serve(&mut events)));
    let last = match result {
        Ok(Ok(output)) => Event::Done(output),
        Ok(Err(failure)) => Event::Failed(failure),
        Err(panic) => Event::Failed(panicked(panic.as_ref())),
    };
    let failed = matches!(last, Event::Failed(_));
    if let Err(error) = worker::write_frame(&mut events, &last) {
        log(&format!("the parent is gone: {error}"));
        return ExitCode::FAILURE;
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Keeps standard output for events alone: whatever a library prints goes to standard error.
fn claim_stdout() -> io::Result<File> {
    let events = rustix::io::dup(rustix::stdio::stdout())?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(events))
}

fn serve(events: &mut File) -> Result<Output, Failure> {
    let request: Request = worker::read_frame(&mut io::stdin().lock())
        .map_err(|error| pipeline::internal(&error.to_string()))?
        .ok_or_else(|| pipeline::internal("no request came"))?;
    let copies = matches!(&request.task, Task::Clip(task) if task.encode.is_none());
    if !copies {
        // Loading it takes longer than most copies.
        gst::init().map_err(|error| {
            Failure::new(
                FailureClass::Resource,
                "gstreamer_missing",
                "GStreamer cannot be started on this node; install the packages named in the documentation.",
                error.to_string(),
            )
        })?;
    }
    let (major, minor, micro, _) = gst::version();
    let started = Event::Started {
        gstreamer: format!("{major}.{minor}.{micro}"),
    };
    tell(events, &started)?;
    let mut pace = Pace::new();
    render(&request, &mut |progress| {
        // A parent that is gone is noticed when the last event is written.
        if pace.allows(progress)
            && let Err(failure) = tell(events, &Event::Progress(progress))
        {
            log(&failure.detail);
        }
    })
}

/// Does the task of `request` in this process, which has called `gst::init`.
///
/// # Errors
/// What the parent should store and show.
pub fn render(request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<Output, Failure> {
    let output = output::Output::new(&request.output);
    let mut progress = |done, total| progress(Progress { done, total });
    let manifest = match &request.task {
        Task::Probe => return Ok(Output::Probe(Box::new(probe::run(request)?))),
        Task::Ladder(task) => ladder::run(task, &request.input, &output, &mut progress)?,
        Task::Audio(task) => audio::run(task, &request.input, &output, &mut progress)?,
        Task::Stills(task) => stills::run(task, &request.input, &output, &mut progress)?,
        Task::Clip(task) => clip::run(task, &request.input, &output, &mut progress)?,
        Task::Proxy(task) => proxy::run(
            task,
            &request.input,
            &request.filename,
            &output,
            &mut progress,
        )?,
        Task::Hardware => {
            let encoders = hardware::run();
            return Ok(Output::Hardware { encoders });
        }
    };
    output.finish(&manifest)?;
    Ok(Output::Manifest)
}

/// Lets progress through at a steady pace, and only when something moved.
struct Pace {
    done: u64,
    sent: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            done: 0,
            sent: Instant::now(),
        }
    }

    fn allows(&mut self, progress: Progress) -> bool {
        let allowed = progress.done > self.done && self.sent.elapsed() >= PROGRESS_EVERY;
        if allowed {
            self.done = progress.done;
            self.sent = Instant::now();
        }
        allowed
    }
}

fn tell(events: &mut File, event: &Event) -> Result<(), Failure> {
    worker::write_frame(events, event).map_err(|error| pipeline::internal(&error.to_string()))
}

/// A line on standard error, which the parent keeps for the log.
fn log(line: &str) {
    // There is nowhere left to complain to.
    drop(writeln!(io::stderr(), "{line}"));
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words");
    pipeline::internal(text)
}
