//! The catalogue on disk and over the network: openraft with its log on sled.
//!
//! `open` starts this node's replica and returns a [`Handle`] for everybody and a [`Service`] to
//! run. A proposal goes through the batcher into openraft, from there to the log on disk and to
//! the other voters, and once committed to the state machine, which is the catalogue in memory.

pub mod error;
pub mod handle;

pub mod driver;

mod answer;
mod asking;
mod batcher;
mod clock;
mod machine;

pub mod membership;
pub mod network;
mod wire;

mod log_store;
mod snapshots;

mod blocking;
pub mod disk;
mod files;
mod keys;
mod record;
pub mod types;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::{BasicNode, Config, SnapshotPolicy};
use protocol::id::{ClusterId, NodeId};
use protocol::time::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use asking::Asking;
use batcher::Batcher;
use clock::Steady;
use handle::{Consensus, OwnRuntime};
use network::Links;
use writer::Writer;

pub use disk::{Disk, Durability};
pub use error::{Error, OpenError};
pub use handle::Handle;
pub use log_store::LogStore;
pub use machine::Machine;
pub use membership::{Change, Member, Refusal};
pub use network::{Alone, CallError, Network, Peer};
pub use record::ENTRY_MAX;
pub use snapshots::{SnapshotFile, Snapshots};
pub use types::{Batch, Raft, Replies, TypeConfig};

/// The time of day, for entries that this node proposes as the leader.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A commit that takes longer is reported as unknown.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);
/// A node alone has to read its log, vote and commit one entry.
const RECOVER_WITHIN: Duration = Duration::from_secs(30);

/// How to open the catalogue.
#[derive(Clone)]
pub struct Options {
    /// The node's data folder: `raft/` and `snap/` are made in it.
    pub dir: PathBuf,
    pub node: NodeId,
    /// Where peers reach this node.
    pub address: String,
    /// Written at the first start; refused later if it is another.
    pub cluster: Option<ClusterId>,
    /// Whether an empty log forms a new cluster of this node alone, rather than wait to be added.
    pub bootstrap: bool,
    pub clock: Clock,
    /// Entries after which the next snapshot is written.
    pub snapshot_every: u64,
    /// Entries before the newest snapshot kept in memory for followers that lag.
    pub keep_entries: u64,
    pub durability: Durability,
    pub pace: Pace,
}

/// How soon a silent leader is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The leader speaks this often.
    pub heartbeat_ms: u64,
    /// After a silence of `election_max_ms` voters may choose another; each waits between these
    /// two on top, so that they do not all stand at once.
    pub election_min_ms: u64,
    pub election_max_ms: u64,
}

impl Default for Pace {
    /// A new leader within 1.1 to 1.5 s; a round trip must take less than a heartbeat.
    fn default() -> Self {
        Self {
            heartbeat_ms: 150,
            election_min_ms: 450,
            election_max_ms: 700,
        }
    }
}

impl Pace {
    /// A leader that was silent for so long may be gone.
    fn unsure_after(self) -> Duration {
        Duration::from_millis(2 * self.heartbeat_ms + 50)
    }

    /// A member that has not answered for so long counts as gone.
    fn silent_after(self) -> Duration {
        Duration::from_millis(2 * self.election_max_ms)
    }
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>, node: NodeId, clock: Clock) -> Self {
        Self {
            dir: dir.into(),
            node,
            address: String::new(),
            cluster: None,
            bootstrap: true,
            clock,
            snapshot_every: 50_000,
            keep_entries: 2_000,
            durability: Durability::Power,
            pace: Pace::default(),
        }
    }

    fn raft_config(&self) -> Config {
        Config {
            cluster_name: "reelmesh".to_owned(),
            heartbeat_interval: self.pace.heartbeat_ms,
            election_timeout_min: self.pace.election_min_ms,
            election_timeout_max: self.pace.election_max_ms,
            max_payload_entries: 300,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.keep_entries,
            replication_lag_threshold: 100,
            // A node that comes back with a higher term must not depose a leader that works.
            enable_pre_vote: Some(true),
            // Others may have committed, in its term, entries that it had not synced yet when the
            // power failed: leading on in that term, it would put others in their place.
            enable_leader_restore: Some(false),
            // The lease and the longest election.
            quorum_loss_probe_interval: Some(2 * self.pace.election_max_ms),
            ..Config::default()
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("dir", &self.dir)
            .field("node", &self.node)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// What is kept: the log, the state machine, and the snapshots of it.
type Storage = (LogStore, Machine, Arc<Snapshots>);

/// The log and the state machine on disk, checked and loaded. Blocks.
pub fn open_storage(options: &Options) -> Result<Storage, OpenError> {
    let database = disk::open_database(&options.dir.join("raft"), options.durability)?;
    load_storage(options, Box::new(database), Writer::start)
}

fn load_storage(
    options: &Options,
    disk: Box<dyn Disk>,
    write: impl FnOnce(Box<dyn Disk>, writer::Position) -> io::Result<Writer>,
) -> Result<Storage, OpenError> {
    let (snapshots, loaded) = Snapshots::open(&options.dir.join("snap"))?;
    let snapshots = Arc::new(snapshots);
    let log = LogStore::open(
        &options.dir.join("raft"),
        disk,
        (options.node, options.cluster),
        Arc::clone(&snapshots),
        write,
    )?;
    let machine = Machine::new(Arc::clone(&snapshots), loaded);
    if let Some(purged) = log.purged()
        && machine
            .applied()
            .is_none_or(|applied| applied.index < purged.index)
    {
        return Err(OpenError::damaged(
            &options.dir,
            &format!(
                "the log begins after entry {}, and no whole snapshot reaches that far",
                purged.index
            ),
        ));
    }
    Ok((log, machine, snapshots))
}

/// Opens this node's replica and takes part in the cluster. A cluster of one is ready for
/// proposals when this returns, and its catalogue holds everything that was acknowledged.
pub async fn open(options: Options, network: impl Network) -> Result<(Handle, Service), OpenError> {
    // Rendering saturates the machine; heartbeats must not queue behind the program's other tasks.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("raft")
        .enable_all()
        .build()
        .map_err(OpenError::io("start the threads for", &options.dir))?;
    let opening = options.clone();
    let network: Arc<dyn Network> = Arc::new(network);
    let started = runtime.spawn(async move {
        let opened = opening.clone();
        let storage = tokio::task::spawn_blocking(move || open_storage(&opened))
            .await
            .map_err(|error| OpenError::Raft(error.to_string()))??;
        start(opening, storage, network).await
    });
    let started = started.await;
    let runtime = OwnRuntime(Mutex::new(Some(runtime)));
    let started = started.map_err(|error| OpenError::Raft(error.to_string()))??;
    Ok(started.into_parts(&options, runtime))
}

/// The same on the runtime that this is called on, with the log on `disk`: for a simulation,
/// where nothing may happen outside the one thread. Snapshots still are files in `options.dir`.
pub async fn open_here(
    options: Options,
    disk: Box<dyn Disk>,
    network: impl Network,
) -> Result<(Handle, Service), OpenError> {
    let storage = load_storage(&options, disk, |disk, position| {
        Ok(Writer::start_task(disk, position))
    })?;
    let started = start(options.clone(), storage, Arc::new(network)).await?;
    Ok(started.into_parts(&options, OwnRuntime(Mutex::new(None))))
}

struct Started {
    raft: Raft,
    replica: Arc<machine::Replica>,
    proposals: mpsc::Sender<batcher::Proposal>,
    log: LogStore,
    snapshots: Arc<Snapshots>,
    network: Arc<dyn Network>,
}

impl Started {
    fn into_parts(self, options: &Options, runtime: OwnRuntime) -> (Handle, Service) {
        let consensus = Consensus {
            raft: self.raft,
            proposals: self.proposals,
            log: self.log,
            snapshots: self.snapshots,
            runtime,
            network: self.network,
            asking: Asking::new(options.node),
            pace: options.pace,
            caught_up: AtomicBool::new(false),
            quarantined: watch::channel(None).0,
        };
        let handle = Handle::new(options.node, self.replica, consensus);
        let service = Service {
            handle: handle.clone(),
        };
        (handle, service)
    }
}

async fn start(
    options: Options,
    (log, machine, snapshots): Storage,
    network: Arc<dyn Network>,
) -> Result<Started, OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::Raft(error.to_string());
    let config = options.raft_config().validate().map_err(|e| failed(&e))?;
    let node = options.node;
    let replica = machine.replica();
    let links = Links::new(Arc::clone(&network));
    let raft = Raft::new(node.0, Arc::new(config), links, log.clone(), machine)
        .await
        .map_err(|e| failed(&e))?;
    let alone = if raft.is_initialized().await.map_err(|e| failed(&e))? {
        let voters = raft
            .with_raft_state(|state| {
                state
                    .membership_state
                    .effective()
                    .voter_ids()
                    .collect::<Vec<_>>()
            })
            .await
            .map_err(|e| failed(&e))?;
        let alone = voters == [node.0];
        if alone {
            // Nobody else could be leading: no need to wait for silence.
            raft.trigger().elect(false).await.map_err(|e| failed(&e))?;
        }
        alone
    } else if options.bootstrap {
        let members = BTreeMap::from([(node.0, BasicNode::new(&options.address))]);
        raft.initialize(members).await.map_err(|e| failed(&e))?;
        true
    } else {
        false
    };
    if alone {
        raft.wait(Some(RECOVER_WITHIN))
            .current_leader(node.0, "this node leads")
            .await
            .map_err(|e| failed(&e))?;
        raft.wait_for_recovery(Some(RECOVER_WITHIN))
            .await
            .map_err(|e| failed(&e))?;
    }
    let (proposals, queue) = mpsc::channel(batcher::QUEUE);
    let batcher = Batcher {
        raft: raft.clone(),
        replica: Arc::clone(&replica),
        clock: Steady::new(options.clock),
        network: Arc::clone(&network),
        pace: options.pace,
    };
    tokio::spawn(batcher.run(queue));
    info!(%node, dir = %options.dir.display(), "catalogue open");
    Ok(Started {
        raft,
        replica,
        proposals,
        log,
        snapshots,
        network,
    })
}

/// Watches over the replica until told to stop.
#[derive(Debug)]
pub struct Service {
    handle: Handle,
}

impl Service {
    /// Runs until `shutdown`, then closes the catalogue.
    ///
    /// # Errors
    /// If the log can no longer be written: then this node must stop, since nothing is
    /// acknowledged any more.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let raft = self.handle.raft().expect("a service has a raft").clone();
        let wait = raft.wait(None);
        let stopped = wait.metrics(|metrics| metrics.running_state.is_err(), "stop");
        let mut watched = self.handle.quarantined().expect("a service has a raft");
        let quarantined = async {
            match watched.wait_for(Option::is_some).await {
                Ok(why) => why.clone(),
                Err(_) => None,
            }
        };
        let caught_up = async {
            self.handle.catch_up().await;
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                // Nobody has to notice by its silence that the leader is gone.
                if let Err(error) = self.handle.hand_over().await {
                    debug!(%error, "leadership not handed over");
                }
                Ok(())
            }
            () = caught_up => Ok(()),
            why = quarantined => match why {
                Some(why) => Err(Error::Quarantined(why)),
                None => Ok(()),
            },
            metrics = stopped => match metrics.map(|metrics| metrics.running_state) {
                Ok(Err(fatal)) => match Error::from(fatal) {
                    Error::Closed => Ok(()),
                    error => Err(error),
                },
                Ok(Ok(())) | Err(_) => Ok(()),
            },
        };
        self.handle.shutdown().await;
        result
    }
}
