//! One worker process from spawn to reap: talks to it, times it, kills it with all it started.
//!
//! The child is this program again with the hidden subcommand [`SUBCOMMAND`]. It gets a clean
//! environment, one request on standard input, and answers with events on standard output; what it
//! writes to standard error is kept for the log, the end of it at least.
//! Nothing that the child does can hurt the parent: every size is limited, two clocks run, and
//! whatever is neither a result nor a failure is a crash.

mod exit;
mod group;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::codec;
use protocol::failure::{Failure, FailureClass};
use protocol::job::Progress;
use protocol::worker::{self, Event, Output, Request, Task};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::exit::Exit;
use self::group::{Ended, Group, Spawner};
use super::sandbox::{self, Enforcement, Level, Limits, Policy, Purpose};

/// The hidden subcommand that a worker is started with.
pub const SUBCOMMAND: &str = "__worker";
/// Makes the worker load GStreamer once, unconfined and without any media, so that it writes its
/// list of plug-ins: a confined worker can neither write it nor start the scanner.
pub const PREPARE_FLAG: &str = "--prepare";

/// How a node starts its workers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Usually [`std::env::current_exe`].
    pub program: PathBuf,
    /// File that GStreamer keeps its list of plug-ins in, within the node's data folder.
    pub registry: PathBuf,
    pub enforcement: Enforcement,
    pub limits: Limits,
}

/// The longest that an attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// From start to result.
    pub wall: Duration,
    /// Without growing progress.
    pub stall: Duration,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The worker says it is done. Nothing of that is verified yet.
    Done(Output),
    Failed(Failure),
    /// The caller asked for it.
    Stopped,
}

/// Why a worker could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start {}: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("cannot start the thread that starts workers: {0}")]
    Thread(io::Error),
    #[error("cannot make a folder for the list of plug-ins: {0}")]
    Registry(io::Error),
    #[error("the path {} is not UTF-8", .0.display())]
    Path(PathBuf),
    #[error("the worker ended: {reason}")]
    Ended { reason: String },
}

/// How long a worker may take to leave once it has said its last word.
const GRACE: Duration = Duration::from_secs(5);
/// How long the list of plug-ins and the check of the sandbox may take.
const SETUP_MAX: Duration = Duration::from_mins(2);
/// Bytes kept of what a worker writes to standard error.
const TAIL_MAX: usize = 8 << 10;
/// Variables by which an administrator says where libraries and plug-ins lie; folders of a path.
const PASSED_ON: [&str; 5] = [
    "LD_LIBRARY_PATH",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
];

impl Clocks {
    /// Room for twenty times the length of the source, two minutes at least.
    pub fn of(task: &Task) -> Self {
        let source_ns = match task {
            Task::Ladder(task) => task.probe.video.frame_rate.frame_to_ns(task.frames.len()),
            Task::Audio(task) => task.probe.video.duration_ns,
            // The pictures before the in point count too, up to the whole source.
            Task::Clip(task) => task.probe.video.duration_ns,
            // Encoded, written and read back, with each sound track in a pass of its own.
            Task::Proxy(task) => {
                let passes = 2 + task.sound.len() as u64;
                task.probe.video.duration_ns.saturating_mul(passes)
            }
            // One decoded picture, wherever it lies.
            Task::Stills(_) => 0,
            Task::Probe | Task::Hardware => {
                let wall = Duration::from_secs(30);
                return Self { wall, stall: wall };
            }
        };
        let wall = Duration::from_nanos(source_ns.saturating_mul(20));
        Self {
            wall: wall.max(Duration::from_mins(2)),
            stall: Duration::from_mins(1),
        }
    }
}

/// Starts workers. Dropping it ends those that still run.
#[derive(Debug)]
pub struct Launcher {
    options: Options,
    spawner: Spawner,
}

impl Launcher {
    /// # Errors
    /// [`Error::Thread`].
    pub fn new(mut options: Options) -> Result<Self, Error> {
        // Workers start in another folder.
        if let Ok(registry) = std::path::absolute(&options.registry) {
            options.registry = registry;
        }
        let spawner = Spawner::new().map_err(Error::Thread)?;
        Ok(Self { options, spawner })
    }

    /// Lets GStreamer write its list of plug-ins. Quick when the list is up to date.
    ///
    /// # Errors
    /// The worker could not be started, or did not succeed in time.
    pub async fn prepare(&self) -> Result<(), Error> {
        if let Some(folder) = self.options.registry.parent() {
            std::fs::create_dir_all(folder).map_err(Error::Registry)?;
        }
        let mut command = self.command(None)?;
        command.arg(PREPARE_FLAG);
        self.ask(command).await.map(drop)
    }

    /// How far workers are confined on this machine: starts one that only finds out.
    ///
    /// # Errors
    /// The worker could not be started, or could not be confined.
    pub async fn level(&self) -> Result<Level, Error> {
        let mut policy = self.policy();
        policy.purpose = Purpose::Check;
        let answer = self.ask(self.command(Some(&policy))?).await?;
        serde_json::from_slice(&answer).map_err(|error| Error::Ended {
            reason: format!("its answer is not a level: {error}"),
        })
    }

    /// Runs one attempt to its end and leaves no process behind, not even when dropped.
    ///
    /// `on_progress` is called when `done` has grown, and never with less than before.
    pub async fn run(
        &self,
        request: &Request,
        clocks: Clocks,
        on_progress: impl FnMut(Progress),
        stop: &CancellationToken,
    ) -> End {
        match self.try_run(request, clocks, on_progress, stop).await {
            Ok(end) => end,
            Err(error) => End::Failed(Failure::new(
                FailureClass::Resource,
                exit::NOT_STARTED,
                "The node could not start a worker; its log says why.",
                error.to_string(),
            )),
        }
    }

    async fn try_run(
        &self,
        request: &Request,
        clocks: Clocks,
        mut on_progress: impl FnMut(Progress),
        stop: &CancellationToken,
    ) -> Result<End, Error> {
        let mut policy = self.policy();
        if !request.input.is_empty() {
            policy = policy.reading(&request.input);
        }
        if !request.output.is_empty() {
            policy = policy.writing(&request.output);
        }
        let frame = worker::frame(request).map_err(|error| Error::Ended {
            reason: error.to_string(),
        })?;
        let mut group = self.spawn(self.command(Some(&policy))?).await?;
        let stdin = group.child.stdin.take();
        let mut events = Events::new(group.child.stdout.take());
        let tail = Tail::follow(group.child.stderr.take());

        // A child that does not read fills the pipe: the clocks take care of it.
        let send = async {
            if let Some(mut stdin) = stdin {
                drop(stdin.write_all(&frame).await);
            }
            std::future::pending::<()>().await;
        };
        tokio::pin!(send);
        let wall = tokio::time::sleep(clocks.wall);
        tokio::pin!(wall);
        let stall = tokio::time::sleep(clocks.stall);
        tokio::pin!(stall);
        let mut done_most = 0;

        let verdict = loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => break Verdict::Stopped,
                () = &mut wall => break Verdict::TimedOut,
                () = &mut stall => break Verdict::Stalled,
                () = &mut send => continue,
                event = events.next() => event,
            };
            match event {
                Ok(Some(Event::Started { gstreamer })) => debug!(%gstreamer, "worker started"),
                Ok(Some(Event::Progress(progress))) if progress.done > done_most => {
                    done_most = progress.done;
                    stall.as_mut().reset(Instant::now() + clocks.stall);
                    on_progress(progress);
                }
                Ok(Some(Event::Progress(_))) => {}
                Ok(Some(Event::Done(output))) => break Verdict::Done(output),
                Ok(Some(Event::Failed(failure))) => break Verdict::Failed(failure),
                Ok(None) => break Verdict::Silent,
                Err(reason) => break Verdict::Garbled(reason),
            }
        };
        let grace = match verdict {
            Verdict::Done(_) | Verdict::Failed(_) | Verdict::Silent => GRACE,
            _ => Duration::ZERO,
        };
        let ended = group.end(grace).await;
        Ok(verdict.end(ended, clocks, tail.text().await))
    }

    async fn ask(&self, command: Command) -> Result<Vec<u8>, Error> {
        let mut group = self.spawn(command).await?;
        drop(group.child.stdin.take());
        let tail = Tail::follow(group.child.stderr.take());
        let mut answer = Vec::new();
        let read = async {
            if let Some(stdout) = group.child.stdout.take() {
                let mut stdout = stdout.take(TAIL_MAX as u64);
                drop(stdout.read_to_end(&mut answer).await);
            }
        };
        let in_time = tokio::time::timeout(SETUP_MAX, read).await.is_ok();
        let grace = if in_time { GRACE } else { Duration::ZERO };
        match group.end(grace).await {
            Ok(ended) if ended.status.success() => Ok(answer),
            Ok(ended) => Err(Error::Ended {
                reason: format!("{}; {}", Exit::from(ended.status), tail.text().await.trim()),
            }),
            Err(error) => Err(Error::Ended {
                reason: error.to_string(),
            }),
        }
    }

    async fn spawn(&self, command: Command) -> Result<Group, Error> {
        let failed = |source| Error::Spawn {
            program: self.options.program.clone(),
            source,
        };
        self.spawner.spawn(command).await.map_err(failed)
    }

    fn policy(&self) -> Policy {
        let mut policy = Policy::new(self.options.enforcement, self.options.limits)
            .reading(&self.options.registry);
        for (_, folders) in passed_on() {
            policy.read.extend(std::env::split_paths(&folders));
        }
        policy
    }

    fn command(&self, policy: Option<&Policy>) -> Result<Command, Error> {
        let registry = &self.options.registry;
        let mut command = Command::new(&self.options.program);
        command
            .arg(SUBCOMMAND)
            .env_clear()
            .envs(passed_on())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .env("LANG", "C.UTF-8")
            .env("GIO_USE_VFS", "local")
            .env("GSETTINGS_BACKEND", "memory")
            .env("GST_DEBUG_NO_COLOR", "1")
            // Each arena reserves 64 MiB of address space, and libc makes eight for every core.
            .env("MALLOC_ARENA_MAX", "8")
            // Pictures are megabytes, taken and let go of by the hundred: kept, they cost the kernel
            // no new pages (3 % of a render).
            .env("MALLOC_MMAP_THRESHOLD_", "1073741824")
            .env("MALLOC_TRIM_THRESHOLD_", "4294967296")
            .env("MALLOC_TOP_PAD_", "67108864")
            .env("GST_REGISTRY", registry)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(policy) = policy {
            let text = policy
                .to_json()
                .map_err(|_| Error::Path(registry.clone()))?;
            // A confined worker can start no scanner and write no list; without a list it looks
            // for plug-ins itself, which is slow but works.
            command
                .env(sandbox::POLICY_VAR, text)
                .env("GST_REGISTRY_FORK", "no");
            if registry.exists() {
                command.env("GST_REGISTRY_UPDATE", "no");
            }
        }
        Ok(command)
    }
}

fn passed_on() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    PASSED_ON
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Why the conversation with a worker is over.
#[derive(Debug)]
enum Verdict {
    Done(Output),
    Failed(Failure),
    /// Standard output ended without a last word.
    Silent,
    Garbled(String),
    Stalled,
    TimedOut,
    Stopped,
}

impl Verdict {
    fn end(self, ended: io::Result<Ended>, clocks: Clocks, tail: String) -> End {
        let crashed = |code, message: String| {
            End::Failed(Failure::new(
                FailureClass::Crashed,
                code,
                message,
                tail.clone(),
            ))
        };
        if let Err(error) = &ended {
            warn!(%error, "worker not reaped");
        }
        match self {
            Self::Done(output) => {
                if !ended.is_ok_and(|ended| ended.status.success()) {
                    debug!(detail = %tail, "worker did not leave cleanly after its result");
                }
                End::Done(output)
            }
            Self::Failed(failure) => End::Failed(exit::reported(failure)),
            Self::Stopped => End::Stopped,
            Self::Silent => match ended {
                Ok(ended) if ended.by_itself => End::Failed(Exit::from(ended.status).failure(tail)),
                _ => crashed(
                    exit::CRASHED,
                    "The worker closed its pipe without a result and was ended.".to_owned(),
                ),
            },
            Self::Garbled(reason) => crashed(
                exit::CRASHED,
                format!("The worker said something that makes no sense: {reason}."),
            ),
            Self::Stalled => crashed(
                exit::STALLED,
                format!(
                    "The worker stood still for {} s and was ended.",
                    clocks.stall.as_secs()
                ),
            ),
            Self::TimedOut => crashed(
                exit::TIMED_OUT,
                format!(
                    "The worker was not done after {} s and was ended.",
                    clocks.wall.as_secs()
                ),
            ),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self {
            code: status.code(),
            signal: status.signal(),
        }
    }
}

/// Frames from a pipe. [`Events::next`] may be dropped half-way without losing bytes.
#[derive(Debug)]
struct Events<R> {
    pipe: Option<R>,
    /// Never longer than one frame and one read.
    buffer: bytes::BytesMut,
}

impl<R: AsyncRead + Unpin> Events<R> {
    fn new(pipe: Option<R>) -> Self {
        Self {
            pipe,
            buffer: bytes::BytesMut::new(),
        }
    }

    /// The next event, or none at the end of the pipe.
    async fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            if let Some(header) = self.buffer.first_chunk::<4>() {
                let size = worker::frame_size(*header).map_err(|error| error.to_string())?;
                if self.buffer.len() >= 4 + size {
                    let frame = self.buffer.split_to(4 + size);
                    return codec::decode(&frame[4..])
                        .map(Some)
                        .map_err(|error| error.to_string());
                }
            }
            let Some(pipe) = &mut self.pipe else {
                return Ok(None);
            };
            self.buffer.reserve(8 << 10);
            match pipe.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err("its last message is cut off".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// The last bytes of a pipe that somebody must keep reading.
#[derive(Debug)]
struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Tail {
    fn follow(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            let Some(mut pipe) = pipe else { return };
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                let mut kept = to.lock().expect("no holder panics");
                kept.extend_from_slice(&chunk[..read]);
                let surplus = kept.len().saturating_sub(TAIL_MAX);
                kept.drain(..surplus);
            }
        });
        Self { kept, task }
    }

    /// What was kept, as printable text that fits into a failure: its end matters most.
    async fn text(mut self) -> String {
        // All writers are dead by now, so the pipe ends at once.
        drop(tokio::time::timeout(Duration::from_secs(1), &mut self.task).await);
        let kept = self.kept.lock().expect("no holder panics");
        let text = exit::printable(&String::from_utf8_lossy(&kept));
        let start = text.len().saturating_sub(Failure::DETAIL_MAX);
        text[text.ceil_char_boundary(start)..].to_owned()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `path` as a request carries it.
///
/// # Errors
/// [`Error::Path`] if it is not UTF-8.
pub fn path_text(path: &Path) -> Result<String, Error> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Path(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8]) -> Result<Vec<Event>, String> {
        let mut events = Events::new(Some(bytes));
        let mut all = Vec::new();
        while let Some(event) = events.next().await? {
            all.push(event);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn events_are_read_whole_or_refused() {
        let progress = Event::Progress(Progress { done: 3, total: 9 });
        let frame = worker::frame(&progress).expect("small");
        let twice = [frame.clone(), frame.clone()].concat();
        assert_eq!(read_all(&twice).await, Ok(vec![progress.clone(), progress]));
        assert_eq!(read_all(&[]).await, Ok(vec![]));
        assert!(read_all(&twice[..twice.len() - 1]).await.is_err());
        assert!(read_all(&[0xff; 64]).await.is_err());
        assert!(read_all(b"\0\0\0\x05hello").await.is_err());
    }

    #[tokio::test]
    async fn only_the_end_of_standard_error_is_kept() {
        let mut text = vec![b'a'; 50_000];
        text.extend_from_slice(b"\x1b[31mthe end");
        let tail = Tail::follow(Some(io::Cursor::new(text))).text().await;
        assert!(tail.ends_with("a[31mthe end"));
        assert_eq!(tail.len(), Failure::DETAIL_MAX);
    }

    #[test]
    fn clocks_follow_the_length_of_the_work() {
        assert_eq!(Clocks::of(&Task::Probe).wall, Duration::from_secs(30));
    }
}
