//! What this node tells about itself: load, memory, disk.

pub mod sample;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::NodeId;
use protocol::vitals::Vitals;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use sample::Sampler;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(2);

/// The newest report of each node.
pub type Table = Arc<BTreeMap<NodeId, Vitals>>;

/// What is watched.
#[derive(Debug, Clone)]
pub struct Options {
    pub node: NodeId,
    /// The disk that holds it is reported.
    pub data_dir: PathBuf,
}

/// Takes a sample every two seconds.
#[derive(Debug)]
pub struct Service {
    options: Options,
    table: watch::Sender<Table>,
}

/// Cheap to clone; sees the newest reports.
#[derive(Debug, Clone)]
pub struct Handle {
    table: watch::Receiver<Table>,
}

impl Handle {
    pub fn watch(&self) -> watch::Receiver<Table> {
        self.table.clone()
    }
}

impl Service {
    pub fn new(options: Options) -> (Self, Handle) {
        let (sender, table) = watch::channel(Table::default());
        let service = Self {
            options,
            table: sender,
        };
        (service, Handle { table })
    }

    /// Samples until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut sampler = Sampler::new(self.options.node, self.options.data_dir);
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
            match sample {
                Ok(vitals) => self.table.send_modify(|table| {
                    Arc::make_mut(table).insert(vitals.node, vitals);
                }),
                Err(error) => warn!(%error, "cannot look at this machine"),
            }
        }
    }
}
