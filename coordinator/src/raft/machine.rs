//! openraft's state machine around the catalogue; the rules themselves are the catalogue's.

use std::io;
use std::sync::{Arc, RwLock};

use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use protocol::codec;
use tokio::sync::{broadcast, watch};

use crate::catalog::{Catalog, Effect, Rejection, Reply, Request, Stamp};

use super::blocking::blocking;
use super::snapshots::{Loaded, SnapshotFile, Snapshots};
use super::types::{Batch, LogId, Replies, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// Effects that a slow reader may fall behind before it is told to look at the state instead.
const EFFECTS: usize = 1024;

/// The catalogue of this node and the bells that ring when it changes.
#[derive(Debug)]
pub(super) struct Replica {
    catalog: RwLock<Catalog>,
    changes: watch::Sender<u64>,
    effects: broadcast::Sender<Effect>,
}

impl Replica {
    pub(super) fn new(catalog: Catalog, index: u64) -> Self {
        Self {
            catalog: RwLock::new(catalog),
            changes: watch::channel(index).0,
            effects: broadcast::channel(EFFECTS).0,
        }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.catalog.read().expect("apply never panics"))
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn effects(&self) -> broadcast::Receiver<Effect> {
        self.effects.subscribe()
    }

    /// Applies the requests of one entry, then rings.
    pub(super) fn apply(
        &self,
        index: u64,
        at: protocol::time::Timestamp,
        requests: Vec<Request>,
    ) -> Vec<Result<Reply, Rejection>> {
        let mut effects = Vec::new();
        let mut replies = Vec::with_capacity(requests.len());
        let mut catalog = self.catalog.write().expect("apply never panics");
        for (request, sequence) in requests.into_iter().zip(0..) {
            let stamp = Stamp {
                index,
                sequence,
                at,
            };
            let outcome = catalog.apply_once(stamp, request);
            effects.extend(outcome.effects);
            replies.push(outcome.reply);
        }
        drop(catalog);
        for effect in effects {
            // Nobody listens: nobody needs to wake.
            let _ = self.effects.send(effect);
        }
        self.changes.send_replace(index);
        replies
    }

    fn replace(&self, catalog: Catalog, index: u64) {
        *self.catalog.write().expect("apply never panics") = catalog;
        self.changes.send_replace(index);
    }
}

/// What openraft applies entries to.
#[derive(Debug)]
pub struct Machine {
    replica: Arc<Replica>,
    snapshots: Arc<Snapshots>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl Machine {
    pub(super) fn new(snapshots: Arc<Snapshots>, loaded: Option<Loaded>) -> Self {
        let (meta, catalog) =
            loaded.map_or_else(Default::default, |loaded| (loaded.meta, loaded.catalog));
        let index = meta.last_log_id.map_or(0, |id| id.index);
        Self {
            replica: Arc::new(Replica::new(catalog, index)),
            snapshots,
            applied: meta.last_log_id,
            membership: meta.last_membership,
        }
    }

    pub(super) fn replica(&self) -> Arc<Replica> {
        Arc::clone(&self.replica)
    }

    /// Index of the newest entry in the catalogue.
    pub(super) fn applied(&self) -> Option<LogId> {
        self.applied
    }
}

/// A node that cannot read a committed command must stop: skipping it would part its catalogue
/// from the others'.
fn decode(index: u64, requests: &[Vec<u8>]) -> io::Result<Vec<Request>> {
    requests
        .iter()
        .map(|bytes| codec::decode(bytes))
        .collect::<Result<_, _>>()
        .map_err(|error| io::Error::other(format!("entry {index} cannot be applied: {error}")))
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let id = entry.log_id;
            let mut replies = Replies::default();
            match entry.payload {
                EntryPayload::Normal(Batch { at, commands }) => {
                    let requests = decode(id.index, &commands)?;
                    replies.0 = self.replica.apply(id.index, at, requests);
                }
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(id), membership);
                }
                EntryPayload::Blank => {}
            }
            self.applied = Some(id);
            if let Some(responder) = responder {
                responder.send(replies);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            snapshots: Arc::clone(&self.snapshots),
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
            },
            // Shares the records, so it costs their number and not their size.
            catalog: Arc::new(self.replica.read(Catalog::clone)),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotFile,
    ) -> io::Result<()> {
        let snapshots = Arc::clone(&self.snapshots);
        let loaded = blocking(move || snapshots.install(&snapshot)).await?;
        if loaded.meta.last_log_id != meta.last_log_id {
            return Err(io::Error::other("the snapshot is not the one announced"));
        }
        self.replica.replace(
            loaded.catalog,
            loaded.meta.last_log_id.map_or(0, |id| id.index),
        );
        self.applied = loaded.meta.last_log_id;
        self.membership = loaded.meta.last_membership;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let snapshots = Arc::clone(&self.snapshots);
        let newest = blocking(move || snapshots.newest()).await?;
        Ok(newest.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// A catalogue held still while it is written.
#[derive(Debug)]
pub struct Builder {
    snapshots: Arc<Snapshots>,
    meta: SnapshotMeta,
    catalog: Arc<Catalog>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (snapshots, meta) = (Arc::clone(&self.snapshots), self.meta.clone());
        let catalog = Arc::clone(&self.catalog);
        let snapshot = blocking(move || snapshots.write(&meta, &catalog)).await?;
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot,
        })
    }
}
