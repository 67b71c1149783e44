//! What `reelmesh doctor` tries on the machine of a node, whether or not the node runs.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::worker::{Output, Request, Task};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::config::Config;
use crate::media::process::{Clocks, End, Launcher};
use crate::origin::check;
use crate::origin::check::{Outcome, Step};

/// A sync that takes longer holds up every upload.
const SLOW_SYNC: Duration = Duration::from_millis(100);

/// Writes that are timed.
const SYNCS: u32 = 8;

/// Tries everything; each step is given to `tell` as it ends.
pub async fn examine(
    config: &Config,
    node: &config::Node,
    environment: crate::origin::Environment<'_>,
    runs: bool,
    mut tell: impl FnMut(Step),
) {
    let mut timed = |name, began: Instant, (outcome, seen, mend): Seen| {
        tell(Step {
            name,
            outcome,
            seen,
            mend,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    };
    for (name, step) in [
        ("http_port", tcp(node.http, runs)),
        ("quic_port", udp(node.quic, runs)),
    ] {
        timed(name, Instant::now(), step);
    }
    let began = Instant::now();
    timed("data_folder", began, folder(&node.data_dir));
    let began = Instant::now();
    timed("disk", began, disk(&node.data_dir, config));
    let began = Instant::now();
    timed("fsync", began, sync(&node.data_dir));
    let began = Instant::now();
    timed("keys", began, keys(node, config));
    let began = Instant::now();
    timed("rendering", began, worker(config, node).await);
    let page = "https://player.example";
    let report = check::run(&config.origin, &node.data_dir, environment, page).await;
    for mut step in report.steps {
        // Only a store that browsers read directly needs these; `origin check` shows them.
        if step.name.starts_with("cors") {
            continue;
        }
        if step.name == "clock" && step.outcome == Outcome::Skipped {
            continue;
        }
        step.seen = format!("origin: {}", step.seen);
        tell(step);
    }
}

type Seen = (Outcome, String, Option<String>);

fn ok(text: impl Into<String>) -> Seen {
    (Outcome::Ok, text.into(), None)
}

fn failed(text: impl Into<String>, mend: impl Into<String>) -> Seen {
    (Outcome::Failed, text.into(), Some(mend.into()))
}

fn warning(text: impl Into<String>, mend: impl Into<String>) -> Seen {
    (Outcome::Warning, text.into(), Some(mend.into()))
}

fn port(
    bound: std::io::Result<()>,
    what: &str,
    key: &str,
    address: SocketAddr,
    runs: bool,
) -> Seen {
    match bound {
        Ok(()) if runs => warning(
            format!("the node runs, but not on {what} {address}"),
            format!("is it started with another file? {key} says {address}"),
        ),
        Ok(()) => ok(format!("{what} {address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && runs => {
            ok(format!("{what} {address} is the node's"))
        }
        Err(error) => failed(
            format!("cannot listen on {what} {address}: {error}"),
            format!("end the program that has it, or write another address as {key}"),
        ),
    }
}

fn tcp(address: SocketAddr, runs: bool) -> Seen {
    port(
        TcpListener::bind(address).map(drop),
        "TCP",
        "node.http",
        address,
        runs,
    )
}

fn udp(address: SocketAddr, runs: bool) -> Seen {
    port(
        UdpSocket::bind(address).map(drop),
        "UDP",
        "node.quic",
        address,
        runs,
    )
}

fn folder(data_dir: &Path) -> Seen {
    let there = data_dir.exists();
    let tried = std::fs::create_dir_all(data_dir).and_then(|()| {
        let file = tempfile::NamedTempFile::new_in(data_dir)?;
        std::fs::write(file.path(), b"reelmesh doctor")
    });
    if !there {
        // A doctor leaves nothing behind; a folder that is not empty stays.
        drop(std::fs::remove_dir(data_dir));
    }
    match tried {
        Ok(()) => ok(format!("{} can be written", data_dir.display())),
        Err(error) => failed(
            format!("cannot write into {}: {error}", data_dir.display()),
            "give the folder to the user that runs the node, or write another as node.data_dir",
        ),
    }
}

/// The nearest folder that is there.
fn standing(path: &Path) -> &Path {
    let parents = path.ancestors().find(|path| path.is_dir());
    parents.unwrap_or_else(|| Path::new("."))
}

fn disk(data_dir: &Path, config: &Config) -> Seen {
    let free = match rustix::fs::statvfs(standing(data_dir)) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            return failed(
                format!("cannot look at the disk: {error}"),
                "look at the file system that holds node.data_dir",
            );
        }
    };
    let (free_mb, wanted) = (free >> 20, config.limits.disk_reserve.as_bytes());
    if free < wanted {
        return failed(
            format!("{free_mb} MiB are free"),
            format!(
                "make room: below {} (limits.disk_reserve) nothing is taken",
                config.limits.disk_reserve
            ),
        );
    }
    if free < wanted.saturating_mul(4) {
        return warning(
            format!("{free_mb} MiB are free"),
            "make room before it is too late",
        );
    }
    ok(format!("{free_mb} MiB are free"))
}

fn sync(data_dir: &Path) -> Seen {
    let timed = || -> std::io::Result<Duration> {
        let mut file = tempfile::tempfile_in(standing(data_dir))?;
        let began = Instant::now();
        for _ in 0..SYNCS {
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
        }
        Ok(began.elapsed() / SYNCS)
    };
    match timed() {
        Ok(took) if took > SLOW_SYNC => warning(
            format!("a sync takes {} ms", took.as_millis()),
            "every acknowledged upload waits for it: put node.data_dir on a faster disk",
        ),
        Ok(took) => ok(format!(
            "a sync takes {:.1} ms",
            took.as_secs_f64() * 1000.0
        )),
        Err(error) => failed(
            format!("cannot sync: {error}"),
            "the file system must keep what it says it has written: put node.data_dir on another",
        ),
    }
}

/// A node of a cluster has keys, which nobody else may read. They are good for a century.
fn keys(node: &config::Node, config: &Config) -> Seen {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = node.data_dir.join("tls");
    let files = match std::fs::read_dir(&folder) {
        Ok(files) => files,
        Err(_) if config.nodes.len() == 1 => return ok("none yet; the first start makes them"),
        Err(_) => {
            return warning(
                "this machine has not joined the cluster",
                "found it with `reelmesh cluster init`, or join with a token (`reelmesh token create`)",
            );
        }
    };
    for file in files.flatten() {
        let name = file.file_name();
        let mode = file.metadata().map_or(0, |meta| meta.permissions().mode());
        if name.to_string_lossy().contains("key") && mode & 0o077 != 0 {
            return failed(
                format!("others may read {}", file.path().display()),
                format!("chmod 600 {}", file.path().display()),
            );
        }
    }
    ok("this machine has its keys, and nobody else may read them")
}

/// Starts a worker that tries the encoders, confined as for a render.
async fn worker(config: &Config, node: &config::Node) -> Seen {
    let missing = "install GStreamer with its base, good, bad, ugly and libav plug-ins: scripts/setup.sh run names the packages";
    let broken = |error: &dyn std::fmt::Display| failed(format!("no worker: {error}"), missing);
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return broken(&error),
    };
    let options = match super::media_options(config, node, scratch.path(), 1) {
        Ok(options) => options.process,
        Err(error) => return broken(&error),
    };
    let launcher = match Launcher::new(options) {
        Ok(launcher) => launcher,
        Err(error) => return broken(&error),
    };
    let level = match launcher.level().await {
        Ok(level) => level,
        Err(error) => {
            return failed(
                format!("workers cannot be confined: {error}"),
                "use a kernel with Landlock and seccomp, or write sandbox = \"best-effort\" in [render]",
            );
        }
    };
    // The list only saves time.
    drop(launcher.prepare().await);
    let request = Request {
        input: String::new(),
        filename: String::new(),
        output: String::new(),
        task: Task::Hardware,
    };
    let clocks = Clocks::of(&request.task);
    let stop = CancellationToken::new();
    match launcher.run(&request, clocks, |_| {}, &stop).await {
        End::Done(Output::Hardware { encoders }) if encoders.is_empty() => {
            failed("no encoder works here", missing)
        }
        End::Done(Output::Hardware { encoders }) => {
            let names: Vec<&str> = encoders.iter().map(|e| e.factory()).collect();
            ok(format!(
                "{} passed a test; workers are confined: {level}",
                names.join(", ")
            ))
        }
        End::Failed(failure) => broken(&failure.message),
        _ => broken(&"it gave no answer"),
    }
}
