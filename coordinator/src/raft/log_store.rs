//! openraft's log and vote: in memory for reading, on sled through the writer for keeping.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use protocol::id::{ClusterId, NodeId};
use tokio::sync::oneshot;

use super::disk::Disk;
use super::error::OpenError;
use super::record::{self, ENTRY_MAX, Owner};
use super::snapshots::Snapshots;
use super::types::{Entry, LogId, TypeConfig, Vote};
use super::writer::{Done, Op, Position, Writer};
use super::{keys, types};

/// Bytes of entries in one message to a follower, at least one entry. With the largest entry on
/// top it stays below what a frame between nodes may have.
const MESSAGE_MAX_BYTES: usize = 512 << 10;

/// Cheap to clone; every clone is the same log.
#[derive(Clone)]
pub struct LogStore {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    window: RwLock<Window>,
    snapshots: Arc<Snapshots>,
    cluster: Option<ClusterId>,
}

/// Everything that is read while running.
#[derive(Default)]
struct Window {
    entries: BTreeMap<u64, Entry>,
    vote: Option<Vote>,
    purged: Option<LogId>,
    /// May lag behind `purged`: what the snapshot before the newest needs stays on the disk.
    purged_on_disk: Option<LogId>,
    committed: Option<LogId>,
}

impl Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore")
            .field("entries", &self.window().entries.len())
            .finish_non_exhaustive()
    }
}

impl LogStore {
    /// The log on `disk`, which lies in `dir`, checked from end to end. `write` starts whoever
    /// writes it. Blocks.
    pub(super) fn open(
        dir: &Path,
        mut disk: Box<dyn Disk>,
        (node, cluster): (NodeId, Option<ClusterId>),
        snapshots: Arc<Snapshots>,
        write: impl FnOnce(Box<dyn Disk>, Position) -> io::Result<Writer>,
    ) -> Result<Self, OpenError> {
        let owner = claim(&mut *disk, dir, &Owner { node, cluster })?;
        let window = load(&*disk, dir)?;
        let next = match (window.entries.last_key_value(), window.purged) {
            (Some((&last, _)), _) => Some(last + 1),
            (None, Some(purged)) => Some(purged.index + 1),
            (None, None) => None,
        };
        let purging = window.purged.map(|id| id.index);
        let writer = write(disk, Position { next, purging })
            .map_err(OpenError::io("start the writer of", dir))?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                window: RwLock::new(window),
                snapshots,
                cluster: owner.cluster,
            }),
        })
    }

    /// The cluster that the log belongs to, as told when it was made.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.inner.cluster
    }

    /// Id of the last entry that is no longer in the log.
    pub fn purged(&self) -> Option<LogId> {
        self.window().purged
    }

    /// The newest vote.
    pub fn vote(&self) -> Option<Vote> {
        self.window().vote
    }

    /// All entries still in the log.
    pub fn entries(&self) -> Vec<Entry> {
        self.window().entries.values().cloned().collect()
    }

    /// Writes what is queued and lets go of the folder. Blocks.
    pub fn close(&self) {
        self.inner.writer.close();
    }

    fn window(&self) -> RwLockReadGuard<'_, Window> {
        self.inner.window.read().expect("no writer panics")
    }

    fn window_mut(&self) -> RwLockWriteGuard<'_, Window> {
        self.inner.window.write().expect("no writer panics")
    }

    /// Sends an operation and waits until it is on the disk.
    async fn done(&self, op: impl FnOnce(Done) -> Op) -> io::Result<()> {
        let (told, hears) = oneshot::channel();
        self.inner.writer.send(op(Box::new(move |result| {
            // Nobody waits any more: the future was dropped.
            drop(told.send(result));
        })));
        hears
            .await
            .map_err(|_| io::Error::other("the log is closed"))?
    }
}

/// Makes the log `owner`'s if it is new, refuses it if it is somebody else's.
fn claim(disk: &mut dyn Disk, dir: &Path, owner: &Owner) -> Result<Owner, OpenError> {
    if let Some(found) = meta::<Owner>(disk, dir, keys::OWNER)? {
        if found.node != owner.node {
            return Err(OpenError::ForeignNode {
                path: dir.to_owned(),
                found: found.node,
                expected: owner.node,
            });
        }
        return match (found.cluster, owner.cluster) {
            (Some(found), Some(expected)) if found != expected => Err(OpenError::ForeignCluster {
                path: dir.to_owned(),
                found,
                expected,
            }),
            _ => Ok(found),
        };
    }
    let bytes = record::seal(owner).expect("an owner is small");
    disk.set_fact(keys::OWNER, &bytes)
        .and_then(|()| disk.commit())
        .map_err(OpenError::io("write", dir))?;
    Ok(owner.clone())
}

fn meta<T: bincode::Decode<()>>(
    disk: &dyn Disk,
    dir: &Path,
    key: &[u8],
) -> Result<Option<T>, OpenError> {
    let found = disk
        .fact(key)
        .map_err(|error| OpenError::damaged(dir, &error))?;
    found
        .map(|bytes| record::unseal(&bytes))
        .transpose()
        .map_err(|error| {
            OpenError::damaged(dir, &format!("{}: {error}", String::from_utf8_lossy(key)))
        })
}

/// Reads the whole log. A hole, damage or a log that has become shorter is never repaired:
/// forgetting an entry or a vote that was acknowledged breaks what the cluster agreed on.
fn load(disk: &dyn Disk, dir: &Path) -> Result<Window, OpenError> {
    let damaged = |why: String| OpenError::damaged(dir, &why);
    let purged: Option<LogId> = meta::<record::LogId>(disk, dir, keys::PURGED)?.map(LogId::from);
    let mut next = purged.map_or(0, |id| id.index + 1);
    let mut entries = BTreeMap::new();
    for item in disk.entries_from(next) {
        let (index, bytes) = item.map_err(|error| damaged(error.to_string()))?;
        if index != next {
            return Err(damaged(format!(
                "entries {next} to {} are missing",
                index - 1
            )));
        }
        let entry: Entry = record::unseal::<record::Entry>(&bytes)
            .and_then(record::Entry::into_raft)
            .map_err(|error| damaged(format!("entry {index}: {error}")))?;
        if entry.log_id.index != index {
            return Err(damaged(format!(
                "entry {index} says it is entry {}",
                entry.log_id.index
            )));
        }
        entries.insert(index, entry);
        next += 1;
    }
    let reaches = disk
        .fact(keys::REACHES)
        .map_err(|error| damaged(error.to_string()))?;
    if let Some(reaches) = reaches {
        let reaches = keys::log_index(&reaches)
            .ok_or_else(|| damaged("the mark of the last entry is unreadable".to_owned()))?;
        if reaches >= next {
            return Err(damaged(format!(
                "entries {next} to {reaches} were written but are gone"
            )));
        }
    }
    Ok(Window {
        entries,
        vote: meta::<record::Vote>(disk, dir, keys::VOTE)?.map(Vote::from),
        purged,
        purged_on_disk: purged,
        committed: meta::<record::LogId>(disk, dir, keys::COMMITTED)?.map(LogId::from),
    })
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let window = self.window();
        Ok(window
            .entries
            .range(range)
            .map(|(_, e)| e.clone())
            .collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.window().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut size_bytes = 0;
        for (_, entry) in self.window().entries.range(start..end) {
            size_bytes += size_of_entry(entry);
            if size_bytes > MESSAGE_MAX_BYTES && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }
}

/// About how many bytes `entry` has on the wire.
fn size_of_entry(entry: &Entry) -> usize {
    match &entry.payload {
        openraft::EntryPayload::Normal(types::Batch { commands, .. }) => {
            64 + commands.iter().map(|c| c.len() + 4).sum::<usize>()
        }
        _ => 256,
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let window = self.window();
        let last = window.entries.last_key_value().map(|(_, e)| e.log_id);
        Ok(LogState {
            last_log_id: last.or(window.purged),
            last_purged_log_id: window.purged,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let record = record::seal(&record::Vote::from(*vote)).map_err(io::Error::other)?;
        self.done(|done| Op::Vote { record, done }).await?;
        self.window_mut().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(id) = committed {
            let record = record::seal(&record::LogId::from(id)).map_err(io::Error::other)?;
            self.inner.writer.send(Op::Committed { record });
        }
        self.window_mut().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.window().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut window = self.window_mut();
        for entry in entries {
            let index = entry.log_id.index;
            let record = record::seal(&record::Entry::from(&entry)).map_err(io::Error::other)?;
            if record.len() > ENTRY_MAX {
                return Err(io::Error::other(format!(
                    "entry {index} has {} bytes, the limit is {ENTRY_MAX}",
                    record.len()
                )));
            }
            records.push((index, record));
            window.entries.insert(index, entry);
        }
        drop(window);
        self.inner.writer.send(Op::Append {
            records,
            done: Box::new(move |result| callback.io_completed(result)),
        });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        drop(self.window_mut().entries.split_off(&from));
        self.done(|done| Op::Truncate { from, done }).await
    }

    async fn purge(&mut self, id: LogId) -> io::Result<()> {
        let mut window = self.window_mut();
        let covers_all = window.entries.keys().next_back() <= Some(&id.index);
        let kept = window.entries.split_off(&(id.index + 1));
        window.entries = kept;
        window.purged = Some(id);
        // A snapshot from the leader that reaches beyond this log leaves nothing to keep.
        let on_disk = if covers_all {
            Some(id)
        } else {
            self.inner.snapshots.expendable().min(Some(id))
        };
        let Some(on_disk) = on_disk else {
            return Ok(());
        };
        if window.purged_on_disk >= Some(on_disk) {
            return Ok(());
        }
        window.purged_on_disk = Some(on_disk);
        drop(window);
        let record = record::seal(&record::LogId::from(on_disk)).map_err(io::Error::other)?;
        self.inner.writer.send(Op::Purge {
            upto: on_disk.index,
            record,
        });
        Ok(())
    }
}
