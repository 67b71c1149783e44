//! One look at this machine.

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::id::NodeId;
use protocol::time::Timestamp;
use protocol::vitals::Vitals;
use sysinfo::System;

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
#[error("cannot look at the disk that holds {path}: {source}")]
pub struct Error {
    path: PathBuf,
    source: io::Error,
}

/// Keeps what the next sample is compared with: load is a difference.
#[derive(Debug)]
pub struct Sampler {
    node: NodeId,
    data_dir: PathBuf,
    system: System,
    /// Of the processors, when the last sample was taken.
    ticks: Option<Ticks>,
}

/// Time of all processors, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    /// By programs that are not nice, and for them by the kernel. Workers are nice.
    others: u64,
    all: u64,
}

impl Ticks {
    /// From the first line of `/proc/stat`: user, nice, system, idle, and what else there is.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let numbers: Option<Vec<u64>> = line.split_whitespace().map(|n| n.parse().ok()).collect();
        let numbers = numbers?;
        Some(Self {
            others: numbers.first()?.saturating_add(*numbers.get(2)?),
            // The time of guests, from the ninth on, is in the first two already.
            all: numbers.iter().take(8).sum(),
        })
    }

    fn others_permille_since(self, before: Self) -> u16 {
        let all = self.all.saturating_sub(before.all);
        let others = self.others.saturating_sub(before.others).min(all);
        u16::try_from(others.saturating_mul(1000) / all.max(1)).unwrap_or(1000)
    }
}

impl Sampler {
    pub fn new(node: NodeId, data_dir: PathBuf) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self {
            node,
            data_dir,
            system,
            ticks: None,
        }
    }

    /// What everything but nice programs took of the processors since the last time.
    fn others_permille(&mut self) -> u16 {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = Ticks::parse(&stat);
        let before = std::mem::replace(&mut self.ticks, ticks);
        match (ticks, before) {
            (Some(ticks), Some(before)) => ticks.others_permille_since(before),
            _ => 0,
        }
    }

    /// Load since the sample before, memory and disk as of now; and what share of the processors,
    /// in thousandths, everything but renders took.
    ///
    /// # Errors
    /// The data folder's disk cannot be looked at.
    pub fn sample(&mut self) -> Result<(Vitals, u16), Error> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let disk = rustix::fs::statvfs(&self.data_dir).map_err(|errno| Error {
            path: self.data_dir.clone(),
            source: errno.into(),
        })?;
        let others_permille = self.others_permille();
        let vitals = Vitals {
            node: self.node,
            at: now(),
            cpu_permille: permille(self.system.global_cpu_usage()),
            memory_total_bytes: self.system.total_memory(),
            memory_used_bytes: self.system.used_memory(),
            disk_total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
            // What an ordinary process may still write, without root's reserve.
            disk_free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            applied: 0,
            disk_reserve_bytes: 0,
            link_bytes_per_s: 0,
            rest: None,
        };
        Ok((vitals, others_permille))
    }
}

/// This machine's clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Percent as a float, as the library has it, to whole thousandths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=1000 before"
)]
fn permille(percent: f32) -> u16 {
    (percent * 10.0).clamp(0.0, 1000.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_disk() {
        let mut sampler = Sampler::new(NodeId(1), std::env::temp_dir());
        let (vitals, others_permille) = sampler.sample().unwrap();
        assert!(others_permille <= 1000);
        assert!(vitals.cpu_permille <= 1000);
        assert!(vitals.memory_used_bytes <= vitals.memory_total_bytes);
        assert!(vitals.memory_total_bytes > 0);
        assert!(vitals.disk_free_bytes <= vitals.disk_total_bytes);
        assert!(vitals.disk_total_bytes > 0);
        let mut lost = Sampler::new(NodeId(1), "/nowhere/at/all".into());
        assert!(lost.sample().is_err());
    }

    #[test]
    fn renders_are_not_the_use_of_others() {
        let ticks = |stat: &str| Ticks::parse(stat).expect("as the kernel writes it");
        let before = ticks("cpu  100 50 30 800 20 0 0 0 9 9\ncpu0 1 2 3\n");
        let after = ticks("cpu  120 130 50 860 40 0 0 0 9 9\n");
        assert_eq!(
            before,
            Ticks {
                others: 130,
                all: 1000
            }
        );
        assert_eq!(after.others_permille_since(before), 200);
        assert_eq!(before.others_permille_since(after), 0);
        assert_eq!(Ticks::parse("cpu  1 x"), None);
        assert_eq!(Ticks::parse(""), None);
    }

    #[test]
    fn load_stays_within_its_bounds() {
        assert_eq!(permille(12.34), 123);
        assert_eq!(permille(101.0), 1000);
        assert_eq!(permille(f32::NAN), 0);
    }
}
