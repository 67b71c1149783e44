//! Limits of one worker process, and what it gives up: capabilities, priority, outliving its node.
//!
//! `RLIMIT_NPROC` is not among them: it counts every process of the user, so that a busy machine
//! would fail; the system call filter forbids new processes instead.

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use super::Error;

/// What a worker may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space, which is far more than memory in use: every thread reserves some.
    pub address_space_bytes: u64,
    /// Processor time of all threads together.
    pub cpu_s: u64,
    /// Largest file that may be written.
    pub file_bytes: u64,
    pub open_files: u64,
    /// Added to the niceness, so that the node itself always gets its turn.
    pub nice: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            address_space_bytes: 8 << 30,
            cpu_s: 6 * 3600,
            file_bytes: 4 << 30,
            open_files: 256,
            nice: 10,
        }
    }
}

/// Seconds between SIGXCPU, which says what happened, and SIGKILL, which cannot be caught.
const CPU_GRACE_S: u64 = 5;

pub(super) fn apply(limits: &Limits) -> Result<(), Error> {
    set("the limit on core dumps", Resource::Core, 0, 0)?;
    let Limits {
        address_space_bytes,
        cpu_s,
        file_bytes,
        open_files,
        nice,
    } = *limits;
    let space = "the limit on address space";
    set(
        space,
        Resource::As,
        address_space_bytes,
        address_space_bytes,
    )?;
    let cpu_max = cpu_s.saturating_add(CPU_GRACE_S);
    set("the limit on processor time", Resource::Cpu, cpu_s, cpu_max)?;
    set(
        "the limit on file size",
        Resource::Fsize,
        file_bytes,
        file_bytes,
    )?;
    set(
        "the limit on open files",
        Resource::Nofile,
        open_files,
        open_files,
    )?;
    system("the priority", rustix::process::nice(nice)).map(drop)
}

fn set(what: &'static str, resource: Resource, current: u64, maximum: u64) -> Result<(), Error> {
    // A limit that already stands lower than ours stays: only a privileged process could raise it.
    let standing = rustix::process::getrlimit(resource).maximum;
    let below = |wanted: u64| Some(standing.map_or(wanted, |standing| standing.min(wanted)));
    let limit = Rlimit {
        current: below(current),
        maximum: below(maximum),
    };
    system(what, rustix::process::setrlimit(resource, limit))
}

/// A node that runs as root has workers that are root in name only.
pub(super) fn drop_capabilities() -> Result<(), Error> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    system(
        "the empty set of capabilities",
        rustix::thread::set_capabilities(None, none),
    )
}

/// The kernel kills this process when the thread that started it ends.
pub(super) fn die_with(parent: u32) -> Result<(), Error> {
    system(
        "death with the parent",
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)),
    )?;
    // Asked after the line above: a parent that went before it is seen here.
    let found = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if found.and_then(|pid| u32::try_from(pid.get()).ok()) == Some(parent) {
        Ok(())
    } else {
        Err(Error::Orphaned)
    }
}

fn system<T>(what: &'static str, result: rustix::io::Result<T>) -> Result<T, Error> {
    result.map_err(|errno| Error::System {
        what,
        source: errno.into(),
    })
}
