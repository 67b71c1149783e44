//! What the nodes tell about themselves: load, memory, disk, and how far their copy has come.
//!
//! Each reports to the leader every two seconds, and gets what the leader knows of all. None of it
//! enters the log: a report that is lost is followed by the next.

mod report;
mod rest;
pub mod sample;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coordinator::raft;
use protocol::id::{ClusterId, NodeId};
use protocol::time::Timestamp;
use protocol::vitals::{Fleet, Vitals};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::Work;
use crate::transport::Pool;

pub use report::Server;
use rest::Resting;
use sample::Sampler;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(2);

/// The newest report of each node.
pub type Table = Arc<BTreeMap<NodeId, Vitals>>;

/// What is watched, and who hears of it.
#[derive(Debug, Clone)]
pub struct Options {
    pub catalog: raft::Handle,
    pub cluster: ClusterId,
    pub pool: Pool,
    /// The disk that holds it is reported.
    pub data_dir: PathBuf,
    /// What is kept free of that disk.
    pub reserve_bytes: u64,
    /// How fast originals came from other nodes, in bytes a second.
    pub link: Arc<AtomicU64>,
    /// When the node wants work.
    pub work: Work,
}

/// Takes a sample every two seconds and reports it.
#[derive(Debug)]
pub struct Service {
    options: Options,
    handle: Handle,
}

/// Cheap to clone; sees the newest reports.
#[derive(Debug, Clone)]
pub struct Handle {
    table: Arc<watch::Sender<Table>>,
}

impl Handle {
    pub fn watch(&self) -> watch::Receiver<Table> {
        self.table.subscribe()
    }

    /// Takes a report in, stamped by this node's clock.
    fn take(&self, mut vitals: Vitals, now: Timestamp) {
        vitals.at = now;
        self.table.send_modify(|table| {
            Arc::make_mut(table).insert(vitals.node, vitals);
        });
    }

    /// All that this node knows.
    fn fleet(&self, now: Timestamp) -> Fleet {
        Fleet {
            now,
            reports: self.table.borrow().values().cloned().collect(),
        }
    }

    /// Takes what the leader knows, in terms of this node's clock, except about this node.
    fn merge(&self, me: NodeId, fleet: Fleet, now: Timestamp) {
        self.table.send_modify(|table| {
            let table = Arc::make_mut(table);
            for mut report in fleet.reports {
                if report.node == me {
                    continue;
                }
                let age = fleet.now.since(report.at);
                report.at = now - age;
                let newer = table
                    .get(&report.node)
                    .is_none_or(|known| known.at < report.at);
                if newer {
                    table.insert(report.node, report);
                }
            }
        });
    }
}

impl Service {
    pub fn new(options: Options) -> (Self, Handle) {
        let handle = Handle {
            table: Arc::new(watch::channel(Table::default()).0),
        };
        let service = Self {
            options,
            handle: handle.clone(),
        };
        (service, handle)
    }

    /// Samples and reports until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let Options {
            catalog,
            cluster,
            pool,
            data_dir,
            reserve_bytes,
            link,
            work,
        } = self.options;
        let mut resting = Resting::new(work);
        let me = catalog.node();
        let mut sampler = Sampler::new(me, data_dir);
        let mut rest_before = None;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = shutdown.cancelled() => return,
            }
            // Reads a few small files of the kernel; the disk may be a slow network mount.
            let sampled = tokio::task::spawn_blocking(move || {
                let sample = sampler.sample();
                (sampler, sample)
            });
            let (back, sample) = sampled.await.expect("a sample does not panic");
            sampler = back;
            let (mut vitals, others_permille) = match sample {
                Ok(sample) => sample,
                Err(error) => {
                    warn!(%error, "cannot look at this machine");
                    continue;
                }
            };
            vitals.applied = *catalog.changes().borrow();
            vitals.disk_reserve_bytes = reserve_bytes;
            vitals.link_bytes_per_s = link.load(Ordering::Relaxed);
            let rest = resting.look(vitals.at, others_permille);
            if rest != rest_before {
                info!(?rest, "this node wants work, or rests");
                rest_before = rest;
            }
            vitals.rest = rest;
            self.handle.take(vitals.clone(), vitals.at);
            let told = report::report(&catalog, cluster, &pool, &vitals);
            match shutdown.run_until_cancelled(told).await {
                None => return,
                Some(Ok(Some(fleet))) => self.handle.merge(me, fleet, sample::now()),
                Some(Ok(None)) => {}
                Some(Err(error)) => debug!(%error, "the leader does not take this node's report"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals(node: u64, at: i64) -> Vitals {
        Vitals {
            node: NodeId(node),
            at: Timestamp::from_millis(at),
            cpu_permille: 0,
            memory_total_bytes: 0,
            memory_used_bytes: 0,
            disk_total_bytes: 0,
            disk_free_bytes: 0,
            applied: 7,
            disk_reserve_bytes: 0,
            link_bytes_per_s: 0,
            rest: None,
        }
    }

    #[test]
    fn reports_are_dated_by_the_clock_of_whoever_reads_them() {
        let handle = Handle {
            table: Arc::new(watch::channel(Table::default()).0),
        };
        let at = Timestamp::from_millis;
        handle.take(vitals(1, 100), at(5_000));
        // The leader's clock runs an hour ahead.
        let fleet = Fleet {
            now: at(3_600_000),
            reports: vec![vitals(1, 0), vitals(2, 3_599_000)],
        };
        handle.merge(NodeId(1), fleet, at(6_000));
        let table = handle.watch().borrow().clone();
        assert_eq!(table[&NodeId(1)].at, at(5_000), "its own it knows best");
        assert_eq!(table[&NodeId(2)].at, at(5_000));
        assert_eq!(handle.fleet(at(9_000)).reports.len(), 2);
    }
}
