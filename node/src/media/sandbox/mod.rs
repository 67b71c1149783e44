//! What a worker may do: the child confines itself here before it reads a single byte of media.
//!
//! Everything happens in the child, first thing in `main`, while the process has one thread: the
//! parent needs no code between fork and exec, and nothing here needs `unsafe`. The layers, in
//! order: limits, no capabilities, death with the parent, landlock, seccomp. No layer can be taken
//! off again, and no grandchild can be made: the filter allows threads but no processes.

mod landlock;
mod limits;
mod seccomp;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::limits::Limits;

/// The environment variable that carries the [`Policy`] to the child, as JSON.
pub const POLICY_VAR: &str = "REELMESH_WORKER_POLICY";

/// Exit status of a worker that could not confine itself, and so did nothing.
pub const EXIT_UNCONFINED: u8 = 78;

/// Everything that a worker may touch and use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub enforcement: Enforcement,
    /// Files and folders that may be read. One that does not exist is left out.
    pub read: Vec<PathBuf>,
    /// The one folder that may be written to. `None`: nowhere.
    pub write: Option<PathBuf>,
    pub limits: Limits,
    /// Process id of the node. A worker that finds another parent ends.
    pub parent: u32,
    pub purpose: Purpose,
}

/// What a worker is started for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To work on a file that nobody trusts.
    #[default]
    Work,
    /// To report the level that was reached, as JSON on standard output, and exit.
    Check,
}

/// What happens when the kernel cannot confine a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// Nothing is rendered without landlock and seccomp.
    #[default]
    Required,
    /// Render anyway, and say what is missing.
    BestEffort,
}

/// How far a process is confined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Layers that this kernel lacks, in words; empty when confinement is full.
    pub missing: Vec<String>,
}

impl Level {
    pub fn is_full(&self) -> bool {
        self.missing.is_empty()
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_full() {
            f.write_str("full")
        } else {
            write!(f, "without {}", self.missing.join(", "))
        }
    }
}

/// Why a process could not be confined. It must not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{POLICY_VAR} is not set: a worker is started by a node, not by hand")]
    NoPolicy,
    #[error("{POLICY_VAR} cannot be read: {0}")]
    BadPolicy(#[from] serde_json::Error),
    #[error("the node that started this worker is gone")]
    Orphaned,
    #[error("the process has {0} threads already; it must be confined before the second starts")]
    Threads(usize),
    #[error("cannot set {what}: {source}")]
    System {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Path {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("landlock: {0}")]
    Landlock(String),
    #[error("seccomp: {0}")]
    Seccomp(String),
}

impl Policy {
    /// What every program needs: libraries, fonts, the facts about processors and memory.
    const COMMON: [&str; 14] = [
        "/usr",
        "/lib",
        "/lib64",
        "/etc/ld.so.cache",
        "/etc/fonts",
        "/etc/localtime",
        "/proc/self",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/stat",
        "/sys/devices/system/cpu",
        "/dev/null",
        "/dev/urandom",
        "/dev/random",
    ];

    /// A policy for a child of this process that may read `read` besides the system's libraries.
    pub fn new(enforcement: Enforcement, limits: Limits) -> Self {
        Self {
            enforcement,
            read: Self::COMMON.iter().map(PathBuf::from).collect(),
            write: None,
            limits,
            parent: std::process::id(),
            purpose: Purpose::Work,
        }
    }

    #[must_use]
    pub fn reading(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    #[must_use]
    pub fn writing(mut self, folder: impl Into<PathBuf>) -> Self {
        self.write = Some(folder.into());
        self
    }

    /// The text for [`POLICY_VAR`].
    ///
    /// # Errors
    /// A path that is not UTF-8.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Confines this process by the policy that its parent left in the environment.
///
/// Call it first thing in `main`, before a runtime, a log writer or a library starts a thread.
/// When the policy only asks for a check, this prints the level and exits.
///
/// # Errors
/// Anything that leaves the process less confined than the policy asks for. The caller must exit.
pub fn enter() -> Result<Level, Error> {
    let text = std::env::var(POLICY_VAR).map_err(|_| Error::NoPolicy)?;
    let policy: Policy = serde_json::from_str(&text)?;
    let level = confine(&policy)?;
    if policy.purpose == Purpose::Check {
        let mut stdout = std::io::stdout();
        let sent = serde_json::to_writer(&mut stdout, &level).is_ok() && stdout.flush().is_ok();
        std::process::exit(i32::from(!sent));
    }
    Ok(level)
}

/// Confines this process for good.
///
/// # Errors
/// As [`enter`].
pub fn confine(policy: &Policy) -> Result<Level, Error> {
    let threads = count_threads()?;
    if threads != 1 {
        return Err(Error::Threads(threads));
    }
    limits::apply(&policy.limits)?;
    limits::drop_capabilities()?;
    limits::die_with(policy.parent)?;

    let mut missing = landlock::restrict(policy)?;
    match seccomp::restrict() {
        Ok(()) => {}
        Err(_) if policy.enforcement == Enforcement::BestEffort => {
            missing.push("system call filter".to_owned());
        }
        Err(error) => return Err(error),
    }
    Ok(Level { missing })
}

fn count_threads() -> Result<usize, Error> {
    let path = Path::new("/proc/self/task");
    std::fs::read_dir(path)
        .map(Iterator::count)
        .map_err(|source| Error::Path {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_travel_as_json() {
        let policy = Policy::new(Enforcement::BestEffort, Limits::default())
            .reading("/data/originals/ab")
            .writing("/data/scratch/1");
        let text = policy.to_json().expect("plain paths");
        assert_eq!(
            serde_json::from_str::<Policy>(&text).expect("just written"),
            policy
        );
    }

    #[test]
    fn a_process_with_threads_is_refused() {
        // The test harness runs every test on a thread of its own.
        let policy = Policy::new(Enforcement::Required, Limits::default());
        assert!(matches!(confine(&policy), Err(Error::Threads(2..))));
    }

    #[test]
    fn levels_say_what_is_missing() {
        let missing = vec!["tcp rules".to_owned()];
        assert_eq!(Level { missing }.to_string(), "without tcp rules");
        assert_eq!(Level::default().to_string(), "full");
    }
}
