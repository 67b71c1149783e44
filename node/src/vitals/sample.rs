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
}

impl Sampler {
    pub fn new(node: NodeId, data_dir: PathBuf) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self {
            node,
            data_dir,
            system,
        }
    }

    /// Load since the sample before, memory and disk as of now.
    ///
    /// # Errors
    /// The data folder's disk cannot be looked at.
    pub fn sample(&mut self) -> Result<Vitals, Error> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let disk = rustix::fs::statvfs(&self.data_dir).map_err(|errno| Error {
            path: self.data_dir.clone(),
            source: errno.into(),
        })?;
        Ok(Vitals {
            node: self.node,
            at: now(),
            cpu_permille: permille(self.system.global_cpu_usage()),
            memory_total_bytes: self.system.total_memory(),
            memory_used_bytes: self.system.used_memory(),
            disk_total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
            // What an ordinary process may still write, without root's reserve.
            disk_free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            applied: 0,
        })
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
        let vitals = sampler.sample().unwrap();
        assert!(vitals.cpu_permille <= 1000);
        assert!(vitals.memory_used_bytes <= vitals.memory_total_bytes);
        assert!(vitals.memory_total_bytes > 0);
        assert!(vitals.disk_free_bytes <= vitals.disk_total_bytes);
        assert!(vitals.disk_total_bytes > 0);
        let mut lost = Sampler::new(NodeId(1), "/nowhere/at/all".into());
        assert!(lost.sample().is_err());
    }

    #[test]
    fn load_stays_within_its_bounds() {
        assert_eq!(permille(12.34), 123);
        assert_eq!(permille(101.0), 1000);
        assert_eq!(permille(f32::NAN), 0);
    }
}
