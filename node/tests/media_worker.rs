//! Real worker processes that misbehave, and what the parent makes of them.
//!
//! This program starts itself as the worker; the file name of the request says what the worker
//! does. It has a `main` of its own, because a worker must confine itself while it has one thread.

#![expect(clippy::print_stderr, reason = "a test program without a harness")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coordinator::catalog::Command;
use coordinator::catalog::generation::UnitState;
use coordinator::catalog::job::{Job, Kind, State};
use coordinator::catalog::node::{Node, Role};
use coordinator::catalog::settings::Settings;
use coordinator::raft;
use node::blob;
use node::media::process::{Clocks, End, Launcher, Options, PREPARE_FLAG, SUBCOMMAND};
use node::media::sandbox::{self, Enforcement, Limits};
use node::media::verify;
use protocol::failure::{Failure, FailureClass};
use protocol::id::{BlobHash, JobId, NodeId, UploadId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::manifest::{Manifest, Object, Still};
use protocol::media::{FrameRate, Resolution};
use protocol::probe::{Probe, VideoTrack};
use protocol::time::{Span, Timestamp};
use protocol::worker::{Encoder, Event, Output, Request, Task, read_frame, write_frame};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

/// A test by its name.
type Case = (&'static str, fn() -> Test);
type Test = Pin<Box<dyn Future<Output = ()>>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(SUBCOMMAND) => return worker(args.get(2).map(String::as_str)),
        Some("__node") => return node_with_a_worker(Path::new(&args[2])),
        _ => {}
    }
    let tests: Vec<Case> = vec![
        ("a_worker_reports", || Box::pin(a_worker_reports())),
        ("confined", || Box::pin(confined())),
        (
            "the_attempts_are_real",
            || Box::pin(the_attempts_are_real()),
        ),
        ("level", || Box::pin(level())),
        ("crashes", || Box::pin(crashes())),
        ("garbage", || Box::pin(garbage())),
        ("clocks", || Box::pin(clocks())),
        ("descendants_die_too", || Box::pin(descendants_die_too())),
        ("stopped_and_dropped", || Box::pin(stopped_and_dropped())),
        ("dies_with_the_node", || Box::pin(dies_with_the_node())),
        ("limits", || Box::pin(limits())),
        ("jobs_are_carried_out", || Box::pin(jobs_are_carried_out())),
        ("jobs_are_let_go", || Box::pin(jobs_are_let_go())),
    ];
    let filter = args.iter().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, test) in tests {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(test());
        eprintln!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

// ---- The parent's side ----

struct Place {
    dir: tempfile::TempDir,
    launcher: Arc<Launcher>,
}

const SHORT: Clocks = Clocks {
    wall: Duration::from_secs(20),
    stall: Duration::from_secs(20),
};

fn place(limits: Limits) -> Place {
    let dir = tempfile::tempdir().expect("a folder");
    for folder in ["output", "node"] {
        std::fs::create_dir(dir.path().join(folder)).expect("a folder");
    }
    std::fs::write(dir.path().join("input"), b"media").expect("a file");
    std::fs::write(dir.path().join("node/secret"), b"secret").expect("a file");
    let launcher = launcher(dir.path(), limits);
    Place { dir, launcher }
}

fn launcher(dir: &Path, limits: Limits) -> Arc<Launcher> {
    Arc::new(Launcher::new(options(dir, limits)).expect("a thread"))
}

fn options(dir: &Path, limits: Limits) -> Options {
    Options {
        program: std::env::current_exe().expect("this program"),
        registry: dir.join("registry.bin"),
        enforcement: Enforcement::Required,
        limits,
    }
}

fn request(dir: &Path, what: &str) -> Request {
    let text = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    Request {
        input: text("input"),
        filename: what.to_owned(),
        output: text("output"),
        task: Task::Probe,
    }
}

impl Place {
    async fn run(&self, what: &str, clocks: Clocks) -> End {
        let stop = CancellationToken::new();
        let request = request(self.dir.path(), what);
        self.launcher.run(&request, clocks, |_| {}, &stop).await
    }

    async fn failure(&self, what: &str, clocks: Clocks) -> Failure {
        match self.run(what, clocks).await {
            End::Failed(failure) => failure,
            other => panic!("{what}: {other:?}"),
        }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.dir.path().join("output").join(name)
    }
}

async fn a_worker_reports() {
    let place = place(Limits::default());
    let mut seen = Vec::new();
    let stop = CancellationToken::new();
    let request = request(place.dir.path(), "reports");
    let on_progress = |progress: Progress| seen.push(progress.done);
    let end = place
        .launcher
        .run(&request, SHORT, on_progress, &stop)
        .await;
    assert_eq!(end, End::Done(Output::Manifest));
    assert_eq!(seen, [1, 3], "what does not grow is not passed on");

    let failure = place.failure("fails", SHORT).await;
    assert_eq!(failure.class, FailureClass::Input);
    assert_eq!(failure.code, "not_a_video");
}

async fn confined() {
    let place = place(Limits::default());
    let end = place.run("tries everything", SHORT).await;
    assert_eq!(end, End::Done(Output::Manifest));
    let secret = place.dir.path().join("node/secret");
    assert_eq!(std::fs::read(secret).expect("still there"), b"secret");
}

/// The same attempts without confinement succeed, so that `confined` proves something.
async fn the_attempts_are_real() {
    let place = place(Limits::default());
    let failure = place.failure("tries everything, free", SHORT).await;
    for violation in [
        "can read /etc/passwd",
        "can read the node's data",
        "can change the node's data",
        "can make a symbolic link",
        "can open up a file",
        "can open a TCP socket",
        "can start a program",
        "can signal the parent",
        "can outlive the parent",
    ] {
        assert!(
            failure.detail.contains(violation),
            "{violation}: {failure:?}"
        );
    }
}

async fn level() {
    let place = place(Limits::default());
    let level = place.launcher.level().await.expect("a level");
    // What is missing depends on the kernel, but file rules are always required.
    assert!(!level.missing.contains(&"file rules".to_owned()), "{level}");
    place.launcher.prepare().await.expect("it writes a list");
    assert!(place.dir.path().join("registry.bin").exists());
}

async fn crashes() {
    let place = place(Limits::default());
    for (what, part) in [
        ("signal SEGV", "(SIGSEGV)"),
        ("signal SYS", "the sandbox denied a system call (SIGSYS)"),
        ("signal KILL", "memory ran out (SIGKILL)"),
        ("abort", "(SIGABRT)"),
        ("exit 3", "exit status 3"),
        ("exit 0", "left early"),
        ("closes its pipe", "closed its pipe"),
    ] {
        let failure = place.failure(what, SHORT).await;
        assert_eq!(failure.class, FailureClass::Crashed, "{what}");
        assert_eq!(failure.code, "worker_crashed", "{what}");
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    let failure = place.failure("exit 3", SHORT).await;
    assert!(failure.detail.ends_with("last words"), "{}", failure.detail);

    let failure = place.failure("exit 78", SHORT).await;
    assert_eq!(failure.class, FailureClass::Resource);
    assert_eq!(failure.code, "sandbox_unavailable");
}

async fn garbage() {
    let place = place(Limits::default());
    for what in ["garbage", "endless frame", "half a frame", "flood"] {
        let failure = place.failure(what, SHORT).await;
        assert_eq!(failure.code, "worker_crashed", "{what}");
    }
}

async fn clocks() {
    let place = place(Limits::default());
    let stall = Clocks {
        stall: Duration::from_millis(300),
        ..SHORT
    };
    let failure = place.failure("stands still", stall).await;
    assert_eq!(failure.code, "worker_stalled");
    assert_gone(&place.output("pid")).await;

    let wall = Clocks {
        wall: Duration::from_millis(300),
        ..SHORT
    };
    let failure = place.failure("never ends", wall).await;
    assert_eq!(failure.code, "worker_timed_out");
    assert_gone(&place.output("pid")).await;
}

async fn descendants_die_too() {
    let place = place(Limits::default());
    let wall = Clocks {
        wall: Duration::from_millis(500),
        ..SHORT
    };
    let failure = place.failure("has a child", wall).await;
    assert_eq!(failure.code, "worker_timed_out");
    assert_gone(&place.output("grandchild")).await;

    // Also when the worker itself leaves in good order.
    let end = place.run("leaves a child", SHORT).await;
    assert_eq!(end, End::Done(Output::Manifest));
    assert_gone(&place.output("grandchild")).await;
}

async fn stopped_and_dropped() {
    let place = place(Limits::default());
    let stop = CancellationToken::new();
    let request = request(place.dir.path(), "never ends");
    let run = |stop: CancellationToken| {
        let launcher = Arc::clone(&place.launcher);
        let request = request.clone();
        tokio::spawn(async move { launcher.run(&request, SHORT, |_| {}, &stop).await })
    };

    let running = run(stop.clone());
    appears(&place.output("pid")).await;
    stop.cancel();
    assert_eq!(running.await.expect("no panic"), End::Stopped);
    assert_gone(&place.output("pid")).await;

    let running = run(CancellationToken::new());
    appears(&place.output("pid")).await;
    running.abort();
    assert_gone(&place.output("pid")).await;
}

async fn dies_with_the_node() {
    let place = place(Limits::default());
    let mut node = std::process::Command::new(std::env::current_exe().expect("this program"))
        .arg("__node")
        .arg(place.dir.path())
        .spawn()
        .expect("started");
    appears(&place.output("pid")).await;
    node.kill().expect("running");
    node.wait().expect("reaped");
    assert_gone(&place.output("pid")).await;
}

async fn limits() {
    let place = place(Limits {
        address_space_bytes: 1 << 30,
        cpu_s: 1,
        file_bytes: 1 << 20,
        ..Limits::default()
    });
    let failure = place.failure("spins", SHORT).await;
    assert_eq!(failure.code, "worker_timed_out", "{failure:?}");
    let failure = place.failure("writes 2 MiB", SHORT).await;
    assert!(failure.message.contains("(SIGXFSZ)"), "{failure:?}");
    let failure = place.failure("allocates 2 GiB", SHORT).await;
    assert!(failure.message.contains("(SIGABRT)"), "{failure:?}");
}

/// A catalogue with one uploaded video, and a node that works on it.
struct Site {
    dir: tempfile::TempDir,
    catalogue: raft::Handle,
    media: node::media::Handle,
    shutdown: CancellationToken,
    service: tokio::task::JoinHandle<()>,
}

const NODE: NodeId = NodeId(1);

fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

impl Site {
    async fn new(filename: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let data_dir = dir.path().join("data");
        let originals = blob::Store::open(data_dir.join("blobs")).expect("made");
        let original = data_dir.join("original");
        std::fs::write(&original, b"media").expect("written");
        let blob = BlobHash::of(b"media");
        originals.adopt(&original, &blob).expect("adopted");

        let catalogue = raft::Handle::in_memory_at(NODE, Arc::new(wall_clock));
        let at = wall_clock();
        let (upload, video) = (UploadId::derived(at, 1, 0), VideoId::derived(at, 2, 0));
        let settings = Settings {
            lease: Span::from_secs(2),
            ..Settings::default()
        };
        for command in [
            Command::SetSettings { settings },
            Command::AnnounceNode {
                node: Box::new(description()),
            },
            Command::OpenUpload {
                upload,
                video,
                filename: filename.to_owned(),
                size_bytes: 5,
                node: NODE,
            },
            Command::CompleteUpload {
                upload,
                blob,
                node: NODE,
            },
        ] {
            catalogue.propose(command).await.expect("accepted");
        }
        let options = node::media::Options {
            data_dir: data_dir.clone(),
            process: options(&data_dir, Limits::default()),
            slots: 1,
            threads: 1,
            disk_reserve_bytes: 0,
            stall: Duration::from_secs(20),
        };
        let (service, media) = node::media::Service::new(
            options,
            catalogue.clone(),
            blob::Fetcher::alone(originals, catalogue.clone()),
        )
        .expect("opened");
        let shutdown = CancellationToken::new();
        let service = tokio::spawn(service.run(shutdown.clone()));
        Self {
            dir,
            catalogue,
            media,
            shutdown,
            service,
        }
    }

    /// Assigns the only job of `kind` once it is due, as the leader's driver does.
    async fn assign(&self, wanted: impl Fn(&Kind) -> bool) -> JobId {
        let find = || {
            self.catalogue.read(|catalog| {
                let mut jobs = catalog.jobs();
                let job = jobs.find(|job| wanted(&job.kind));
                job.map(|job| (job.id, job.state == State::Waiting))
            })
        };
        until("the job waits", || find().is_some_and(|(_, waits)| waits)).await;
        let (job, _) = find().expect("just seen");
        loop {
            let command = Command::AssignJob {
                job,
                node: NODE,
                lease_until: wall_clock() + Span::from_secs(2),
            };
            match self.catalogue.propose(command).await {
                Ok(_) => return job,
                // Not due yet.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn job(&self, id: JobId) -> Arc<Job> {
        let job = self.catalogue.read(|catalog| catalog.job(id).cloned());
        job.expect("in the catalogue")
    }

    async fn probe(&self) {
        let probe = self.assign(|kind| *kind == Kind::Probe).await;
        until("the probe is done", || self.job(probe).state == State::Done).await;
    }

    async fn shut_down(self) -> raft::Handle {
        self.shutdown.cancel();
        self.service.await.expect("no panic");
        self.catalogue
    }
}

fn description() -> Node {
    Node {
        id: NODE,
        name: "node-1".to_owned(),
        site: "here".to_owned(),
        role: Role::Voter,
        version: "0".to_owned(),
        slots: 1,
        cpu_cores: 1,
        encoders: vec!["x264enc".to_owned()],
        sandbox: "full".to_owned(),
        draining: false,
        announced_at: Timestamp::default(),
        address: String::new(),
        removed_at: None,
    }
}

fn is_unit(kind: &Kind, wanted: Unit) -> bool {
    matches!(kind, Kind::Unit { unit, .. } if *unit == wanted)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(held.is_ok(), "{what}: never");
}

async fn jobs_are_carried_out() {
    let site = Site::new("probes, makes stills, crashes otherwise").await;
    site.probe().await;
    let abilities = site.media.abilities().borrow().clone().expect("known");
    assert_eq!(abilities.encoders, [Encoder::X264]);

    let stills = site.assign(|kind| is_unit(kind, Unit::Stills)).await;
    until("the stills are done", || {
        site.job(stills).state == State::Done
    })
    .await;
    let Kind::Unit { generation, unit } = site.job(stills).kind else {
        panic!("a unit");
    };
    let state = site.catalogue.read(|catalog| {
        let generation = catalog.generation(generation).expect("planned");
        generation.units[&unit]
    });
    let totals = match state {
        UnitState::Rendered { node, totals, .. } if node == NODE => totals,
        other => panic!("{other:?}"),
    };
    assert_eq!(totals.objects, 6, "three sizes, each as JPEG and as WebP");
    let outbox = site.dir.path().join("data/outbox");
    let folder = outbox.join(generation.to_string()).join("stills");
    let manifest = verify::read_manifest(&folder).expect("delivered");
    assert_eq!(manifest.size_bytes(), totals.size_bytes);

    let piece = site.assign(|kind| is_unit(kind, Unit::Piece(0))).await;
    until("the piece has failed", || {
        site.job(piece).failed_attempts > 0
    })
    .await;
    let failure = site.job(piece).failure.clone().expect("set");
    assert_eq!(failure.code, "worker_crashed");
    assert_eq!(site.job(piece).state, State::Waiting, "it is tried again");
    let scratch = site.dir.path().join("data/scratch");
    until("scratch is empty", || {
        std::fs::read_dir(&scratch).is_ok_and(|entries| entries.count() == 0)
    })
    .await;
    site.shut_down().await;
}

async fn jobs_are_let_go() {
    let site = Site::new("probes, never ends otherwise").await;
    site.probe().await;
    let mut progress = site.media.progress();
    let piece = site.assign(|kind| is_unit(kind, Unit::Piece(0))).await;
    let lease_until = |job: &Job| match &job.state {
        State::Running { lease_until, .. } => *lease_until,
        _ => Timestamp::default(),
    };
    let first = lease_until(&site.job(piece));
    let moves = |running: &node::media::runner::Running| {
        running
            .get(&piece)
            .is_some_and(|progress| progress.done > 3)
    };
    progress.wait_for(moves).await.expect("still runs");
    until("the lease is renewed", || {
        lease_until(&site.job(piece)) > first
    })
    .await;

    // Somebody takes it away.
    let epoch = site.job(piece).epoch;
    let pid = |epoch: u32| {
        let scratch = site.dir.path().join("data/scratch");
        let pid = scratch.join(format!("{piece}-{epoch}")).join("pid");
        std::fs::read_to_string(pid).expect("running")
    };
    let first_pid = pid(epoch);
    let reason = "the lease lapsed".to_owned();
    let job = piece;
    let command = Command::ReleaseJob { job, epoch, reason };
    site.catalogue.propose(command).await.expect("accepted");
    process_ends(&first_pid).await;
    progress
        .wait_for(|running| !running.contains_key(&piece))
        .await
        .expect("still runs");

    // It comes back, then the node is shut down.
    site.assign(|kind| is_unit(kind, Unit::Piece(0))).await;
    progress.wait_for(moves).await.expect("still runs");
    let second = site.job(piece).epoch;
    assert_eq!(second, epoch + 1);
    let second_pid = pid(second);
    let catalogue = site.shut_down().await;
    process_ends(&second_pid).await;
    let state = catalogue.read(|catalog| catalog.job(piece).expect("kept").state.clone());
    assert_eq!(
        state,
        State::Waiting,
        "given back without waiting for the lease"
    );
}

async fn appears(path: &Path) {
    let wait = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(found.is_ok(), "{} never appears", path.display());
}

/// The process whose id `path` holds is gone, or soon is. Removes the file.
async fn assert_gone(path: &Path) {
    appears(path).await;
    let id = std::fs::read_to_string(path).expect("an id");
    std::fs::remove_file(path).expect("removed");
    process_ends(&id).await;
}

async fn process_ends(id: &str) {
    let stat = PathBuf::from(format!("/proc/{id}/stat"));
    let wait = async {
        // A zombie is dead; whoever inherited it reaps it.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(5), wait).await;
    assert!(gone.is_ok(), "process {id} still runs");
}

/// Plays a node whose worker never ends, until it is killed.
fn node_with_a_worker(dir: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let launcher = launcher(dir, Limits::default());
    let request = request(dir, "never ends");
    let stop = CancellationToken::new();
    runtime.block_on(launcher.run(&request, SHORT, |_| {}, &stop));
    ExitCode::FAILURE
}

// ---- The worker's side ----

#[expect(clippy::too_many_lines, reason = "one list of plays")]
fn worker(flag: Option<&str>) -> ExitCode {
    if flag == Some(PREPARE_FLAG) {
        // A list of plug-ins; not confined, since no file is read.
        let registry = std::env::var_os("GST_REGISTRY").expect("set");
        std::fs::write(registry, b"list").expect("written");
        return ExitCode::from(u8::from(std::env::var_os(sandbox::POLICY_VAR).is_some()));
    }
    let policy = std::env::var(sandbox::POLICY_VAR).unwrap_or_default();
    if policy.contains(r#""purpose":"check""#) {
        let error = sandbox::enter().expect_err("a check never returns");
        eprintln!("{error}");
        return ExitCode::from(sandbox::EXIT_UNCONFINED);
    }
    let request: Request = read_frame(&mut std::io::stdin())
        .expect("whole")
        .expect("a request");
    let output = Path::new(&request.output);
    let what = request.filename.as_str();
    // A real worker cannot start processes: these do it before they are confined.
    if matches!(what, "has a child" | "leaves a child") {
        #[expect(clippy::zombie_processes, reason = "leaving it behind is the play")]
        let child = std::process::Command::new("sleep")
            .arg("600")
            .stdin(std::process::Stdio::null())
            .spawn()
            .expect("started");
        publish(output, "grandchild", child.id());
    }
    if what != "tries everything, free"
        && let Err(error) = sandbox::enter()
    {
        eprintln!("{error}");
        return ExitCode::from(sandbox::EXIT_UNCONFINED);
    }
    let what = match (&request.task, what.strip_prefix("probes, ")) {
        (Task::Hardware, _) => {
            let encoders = vec![Encoder::X264];
            say(&Event::Done(Output::Hardware { encoders }));
            return ExitCode::SUCCESS;
        }
        (Task::Probe, Some(_)) => {
            say(&Event::Done(Output::Probe(Box::new(facts()))));
            return ExitCode::SUCCESS;
        }
        (Task::Stills(task), Some(_)) => {
            make_stills(output, &task.widths);
            say(&Event::Done(Output::Manifest));
            return ExitCode::SUCCESS;
        }
        (_, Some("never ends otherwise")) => "never ends",
        (_, Some(_)) => "abort",
        (_, None) => what,
    };
    match what {
        "reports" => {
            for done in [1, 1, 3, 2] {
                say(&Event::Progress(Progress { done, total: 3 }));
            }
            say(&Event::Done(Output::Manifest));
        }
        "fails" => {
            let class = FailureClass::Input;
            let failure = Failure::new(class, "not_a_video", "It is a song.", "");
            say(&Event::Failed(failure));
        }
        "tries everything" | "tries everything, free" => {
            let violations = violations(&request);
            if violations.is_empty() {
                say(&Event::Done(Output::Manifest));
            } else {
                let class = FailureClass::Internal;
                let list = violations.join(", ");
                say(&Event::Failed(Failure::new(class, "violations", "", list)));
            }
        }
        "closes its pipe" => {
            let _ = rustix::stdio::dup2_stdout(std::fs::File::open("/dev/null").expect("allowed"));
            sleep();
        }
        "garbage" => raw(b"gst_mini_object_unref: assertion failed\n"),
        "endless frame" => raw(&[0xff; 32]),
        "half a frame" => raw(&[0, 0, 0, 9, 1]),
        "flood" => {
            for _ in 0..2000 {
                eprintln!("{}", "x".repeat(1000));
            }
        }
        "stands still" => {
            publish(output, "pid", std::process::id());
            // As long as somebody listens.
            loop {
                say(&Event::Progress(Progress { done: 5, total: 9 }));
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        "never ends" | "has a child" => {
            publish(output, "pid", std::process::id());
            for done in 0.. {
                say(&Event::Progress(Progress { done, total: 9 }));
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        "leaves a child" => say(&Event::Done(Output::Manifest)),
        "spins" => {
            for number in 0_u64.. {
                std::hint::black_box(number);
            }
        }
        "writes 2 MiB" => {
            std::fs::write(output.join("big"), vec![0; 2 << 20]).expect("ended before");
        }
        "allocates 2 GiB" => drop(std::hint::black_box(vec![1_u8; 2 << 30])),
        "abort" => std::process::abort(),
        other => {
            if let Some(signal) = other.strip_prefix("signal ") {
                let signal = match signal {
                    "SEGV" => Signal::SEGV,
                    "SYS" => Signal::SYS,
                    _ => Signal::KILL,
                };
                // The first SIGSEGV only removes the handler that the standard library put there.
                loop {
                    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
                }
            }
            let code: Option<u8> = other
                .strip_prefix("exit ")
                .and_then(|code| code.parse().ok());
            eprint!("last words");
            return ExitCode::from(code.expect("a known play"));
        }
    }
    ExitCode::SUCCESS
}

fn facts() -> Probe {
    let size = Resolution {
        width: 1280,
        height: 720,
    };
    Probe {
        container: "mp4".to_owned(),
        web: protocol::probe::Web::default(),
        video: VideoTrack {
            codec: "h264".to_owned(),
            coded: size,
            display: size,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: FrameRate::new(25, 1).expect("not zero"),
            variable_frame_rate: false,
            frames: 250,
            duration_ns: 10_000_000_000,
            bit_depth: 8,
            chroma: "4:2:0".to_owned(),
            field_order: "progressive".to_owned(),
            colorimetry: "bt709".to_owned(),
            colour: protocol::probe::Colour::default(),
            hdr: false,
            random_access: false,
        },
        audio: vec![],
        timecode: None,
        reel: None,
        remarks: vec![],
    }
}

/// Pictures that consist of their headers.
fn make_stills(output: &Path, widths: &[u32]) {
    let still = |width: u32, ending: &str| {
        let resolution = Resolution {
            width,
            height: width * 9 / 16,
        };
        let bytes = match ending {
            "jpg" => jpeg(resolution),
            _ => webp(resolution),
        };
        let blake3 = BlobHash::of(&bytes);
        let name = format!("thumb-{width}-{}.{ending}", blake3.short());
        std::fs::write(output.join(&name), &bytes).expect("written");
        Still {
            resolution,
            width_class: width,
            object: Object {
                name,
                size_bytes: bytes.len() as u64,
                blake3,
            },
        }
    };
    let stills = widths
        .iter()
        .flat_map(|&width| ["jpg", "webp"].map(|ending| still(width, ending)));
    let manifest = Manifest {
        stills: stills.collect(),
        ..Manifest::default()
    };
    let text = serde_json::to_vec(&manifest).expect("JSON");
    std::fs::write(output.join(Manifest::FILE_NAME), text).expect("written");
}

fn side(side: u32) -> u16 {
    u16::try_from(side).expect("small")
}

fn jpeg(size: Resolution) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 8, 8];
    bytes.extend(side(size.height).to_be_bytes());
    bytes.extend(side(size.width).to_be_bytes());
    bytes.extend([3, 0xff, 0xda, 0, 2, 7, 0xff, 0xd9]);
    bytes
}

fn webp(size: Resolution) -> Vec<u8> {
    let mut bytes = b"RIFF\x18\0\0\0WEBPVP8 \x0b\0\0\0\x10\x02\0\x9d\x01\x2a".to_vec();
    bytes.extend(side(size.width).to_le_bytes());
    bytes.extend(side(size.height).to_le_bytes());
    bytes.extend([7, 0]);
    bytes
}

fn say(event: &Event) {
    if write_frame(&mut std::io::stdout(), event).is_err() {
        std::process::exit(1);
    }
}

fn raw(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    stdout.write_all(bytes).expect("written");
    stdout.flush().expect("written");
}

fn sleep() {
    std::thread::sleep(Duration::from_mins(10));
}

/// Leaves a process id in a file that appears whole.
fn publish(output: &Path, name: &str, id: u32) {
    let temp = output.join("temp");
    std::fs::write(&temp, id.to_string()).expect("written");
    std::fs::rename(temp, output.join(name)).expect("renamed");
}

/// Everything that a confined worker can do and must not, or cannot do and must.
#[expect(clippy::too_many_lines, reason = "one list of attempts")]
fn violations(request: &Request) -> Vec<String> {
    let input = Path::new(&request.input);
    let output = Path::new(&request.output);
    let secret = input.with_file_name("node").join("secret");
    let parent = rustix::process::getppid().expect("a parent");
    let own = rustix::process::getpid();

    let mut found = Vec::new();
    let mut must = |what: &str, works: bool| {
        if !works {
            found.push(format!("cannot {what}"));
        }
    };
    must(
        "read the input",
        std::fs::read(input).is_ok_and(|b| b == b"media"),
    );
    must(
        "write its output",
        std::fs::write(output.join("a"), b"a").is_ok(),
    );
    must("read its output", std::fs::read(output.join("a")).is_ok());
    must(
        "make a folder",
        std::fs::create_dir(output.join("720p")).is_ok(),
    );
    let moved = output.join("720p/a");
    must("rename", std::fs::rename(output.join("a"), &moved).is_ok());
    must("remove", std::fs::remove_file(moved).is_ok());
    must(
        "write to /dev/null",
        std::fs::write("/dev/null", b"x").is_ok(),
    );
    let thread = std::thread::Builder::new().spawn(|| 7);
    must("start a thread", thread.is_ok_and(|t| t.join().is_ok()));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    must(
        "have no capabilities",
        status.contains("CapEff:\t0000000000000000"),
    );
    must("gain none", status.contains("NoNewPrivs:\t1"));

    let mut must_not = |what: &str, works: bool| {
        if works {
            found.push(format!("can {what}"));
        }
    };
    must_not("read /etc/passwd", std::fs::read("/etc/passwd").is_ok());
    must_not("read the node's data", std::fs::read(&secret).is_ok());
    must_not(
        "list the node's data",
        std::fs::read_dir(input.with_file_name("node")).is_ok(),
    );
    must_not("read the parent's memory map", {
        std::fs::read(format!("/proc/{}/maps", parent.as_raw_nonzero())).is_ok()
    });
    must_not(
        "change the node's data",
        std::fs::write(&secret, b"x").is_ok(),
    );
    must_not("change the input", std::fs::write(input, b"x").is_ok());
    must_not("remove the input", std::fs::remove_file(input).is_ok());
    must_not(
        "move the input",
        std::fs::rename(input, output.join("i")).is_ok(),
    );
    must_not(
        "link the input",
        std::fs::hard_link(input, output.join("i")).is_ok(),
    );
    must_not("make a symbolic link", {
        std::os::unix::fs::symlink(&secret, output.join("s")).is_ok()
    });
    must_not("open up a file", {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&secret, mode).is_ok()
    });
    must_not("write to /tmp", {
        std::fs::write(std::env::temp_dir().join("reelmesh-worker"), b"x").is_ok()
    });
    must_not(
        "open a TCP socket",
        std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
    );
    must_not(
        "open a UDP socket",
        std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
    );
    must_not("open a socket in the file system", {
        std::os::unix::net::UnixListener::bind(output.join("sock")).is_ok()
    });
    must_not("start a program", {
        std::process::Command::new("/bin/true").spawn().is_ok()
    });
    must_not("signal the parent", {
        rustix::process::kill_process(parent, Signal::CONT).is_ok()
    });
    must_not("signal everybody", {
        rustix::process::kill_current_process_group(Signal::CONT).is_ok()
    });
    must_not(
        "leave its group",
        rustix::process::setpgid(Some(own), Some(parent)).is_ok(),
    );
    must_not("start a session", rustix::process::setsid().is_ok());
    must_not("outlive the parent", {
        rustix::process::set_parent_process_death_signal(None).is_ok()
    });
    must_not(
        "reserve 16 GiB",
        Vec::<u8>::new().try_reserve_exact(16 << 30).is_ok(),
    );
    must_not("open 300 files", {
        let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null")).collect();
        files.iter().all(Result::is_ok)
    });
    found
}
