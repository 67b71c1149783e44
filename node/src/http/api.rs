//! What the handlers share: handles of the rooms below, and live figures that never enter the log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use coordinator::raft::Handle;
use metrics_exporter_prometheus::PrometheusHandle;
use protocol::id::{GenerationId, JobId, NodeId, UploadId};
use protocol::job::Progress;
use protocol::time::Timestamp;
use protocol::vitals::Vitals;
use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, watch};

use super::cluster::Membership;
use super::events;
use super::origin::Sweeping;
use crate::blob;
use crate::edge::Edge;
use crate::publish::sweep::Sweeper;

/// Playlists that are made of manifests at once; each may read megabytes of manifests.
const MANIFEST_READERS_MAX: usize = 4;

/// Growing videos whose playlists are kept as text: about as many as are rendered and watched at once.
const GROWING_MAX: usize = 64;

/// Figures that change too fast for the catalogue. A room that has none gives a closed channel.
#[derive(Debug, Clone)]
pub struct Live {
    /// Bytes on disk of each open upload whose spool is on this node.
    pub uploads: watch::Receiver<Arc<BTreeMap<UploadId, u64>>>,
    /// Progress of the attempts that run on this node.
    pub jobs: watch::Receiver<Arc<BTreeMap<JobId, Progress>>>,
    /// The newest report of each node.
    pub vitals: watch::Receiver<Arc<BTreeMap<NodeId, Vitals>>>,
}

impl Live {
    /// No figures at all.
    pub fn none() -> Self {
        Self {
            uploads: watch::channel(Arc::default()).1,
            jobs: watch::channel(Arc::default()).1,
            vitals: watch::channel(Arc::default()).1,
        }
    }

    pub(super) fn look(&self) -> Figures {
        Figures {
            uploads: Arc::clone(&self.uploads.borrow()),
            jobs: Arc::clone(&self.jobs.borrow()),
            vitals: Arc::clone(&self.vitals.borrow()),
        }
    }
}

/// [`Live`] at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) uploads: Arc<BTreeMap<UploadId, u64>>,
    pub(super) jobs: Arc<BTreeMap<JobId, Progress>>,
    pub(super) vitals: Arc<BTreeMap<NodeId, Vitals>>,
}

/// Playlists by name.
pub(super) type Texts = BTreeMap<String, Bytes>;

/// Cheap to clone; the state of every handler.
#[derive(Clone)]
pub struct Api {
    pub catalog: Handle,
    pub edge: Edge,
    pub blobs: blob::Store,
    pub live: Live,
    /// Prints what `/metrics` shows; none in tests.
    pub metrics: Option<PrometheusHandle>,
    pub data_dir: PathBuf,
    /// Below this much free space on the data disk the node is not ready.
    pub disk_floor_bytes: u64,
    /// How this node lets others in; none in tests.
    pub membership: Option<Membership>,
    /// Brings originals that lie on other nodes.
    pub originals: blob::Fetcher,
    /// Why the cluster does not want this node, if it does not.
    pub trouble: watch::Receiver<Option<String>>,
    /// Sweeps of the origin.
    pub sweeping: Sweeping,
    pub(super) events: events::Handle,
    /// Playlists that are made of manifests at once.
    pub(super) manifest_readers: Arc<Semaphore>,
    /// Playlists of videos that are still rendered, by how many of their units are there.
    pub(super) growing: Arc<Cache<(GenerationId, usize), Arc<Texts>>>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl Api {
    pub fn new(
        catalog: Handle,
        edge: Edge,
        blobs: blob::Store,
        live: Live,
        data_dir: PathBuf,
    ) -> Self {
        let originals = blob::Fetcher::alone(blobs.clone(), catalog.clone());
        Self {
            membership: None,
            originals,
            trouble: watch::channel(None).1,
            catalog,
            edge,
            blobs,
            live,
            metrics: None,
            data_dir,
            disk_floor_bytes: 1 << 30,
            sweeping: Sweeping {
                sweeper: Sweeper::default(),
                grace: Duration::from_hours(48),
            },
            events: events::Handle::new(),
            manifest_readers: Arc::new(Semaphore::new(MANIFEST_READERS_MAX)),
            growing: Arc::new(Cache::new(GROWING_MAX)),
        }
    }

    /// The wall clock.
    pub(super) fn now() -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
