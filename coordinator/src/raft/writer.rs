//! sled made durable behind one thread: plain inserts, `flush`, `fdatasync`, then the callbacks.
//!
//! sled 0.34 alone is not enough: its `flush` does not reach the disk on Linux, pages over a
//! quarter of a segment land in files that are never synced, and a crash while opening leaves a
//! file that stops every later open. Each cure stands where it acts. No batch or transaction of
//! sled is used, since these take a lock shared by every database of the process; sled recovers
//! a prefix of what was written, so inserts in order leave no hole.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::error;

use super::error::OpenError;
use super::record::ENTRY_MAX;
use super::{files, keys};

/// Called once the work is on the disk, or never will be.
pub(super) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What the thread does, in the order of arrival.
pub(super) enum Op {
    Append {
        records: Vec<(u64, Vec<u8>)>,
        done: Done,
    },
    Vote {
        record: Vec<u8>,
        done: Done,
    },
    /// Only a hint for the next start, so it rides on the next sync.
    Committed {
        record: Vec<u8>,
    },
    /// Removes `from` and everything after it.
    Truncate {
        from: u64,
        done: Done,
    },
    /// Removes everything up to and with `upto`, little by little; `record` is its log id.
    Purge {
        upto: u64,
        record: Vec<u8>,
    },
    #[cfg(test)]
    Break,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power.
    #[default]
    Power,
    /// The death of the process only: for tests, the control run of the power-cut test above all.
    Process,
}

/// Pages over a quarter of this would become files that sled never syncs, and a page holds up to
/// 16 records. Fixed when the database is made.
const SEGMENT_SIZE: usize = 8 << 20;
const _: () = assert!(16 * (ENTRY_MAX + 64) < SEGMENT_SIZE / 4);
const CACHE_BYTES: u64 = 64 << 20;
/// sled collects its garbage in the thread that this wakes.
const COLLECT_EVERY_MS: u64 = 1000;
/// One turn of the thread takes no more, so that the first callback does not wait for ever.
const TURN_MAX_BYTES: usize = 4 << 20;
/// Removing 5,000 records takes 19 ms; a vote must not wait that long.
const PURGE_PER_TURN: usize = 256;
/// The node before this one may still be on its way out: sled's own threads let go of the folder a
/// moment after it was closed, and a forked child holds the lock until it executes.
const LOCKED_FOR: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// Raft keeps few writes under way; a full queue makes it wait.
const QUEUE: usize = 1024;

/// Opens the database in `dir`, which is made if it does not exist.
pub(super) fn open_database(dir: &Path) -> Result<Database, OpenError> {
    let at = |doing: &'static str| OpenError::io(doing, dir);
    files::create_dir(dir).map_err(at("create"))?;
    remove_unfinished(dir).map_err(at("tidy"))?;
    let mut left = Some(LOCKED_FOR);
    let opened = loop {
        match try_open(dir) {
            Ok(Err(sled::Error::Io(error))) if is_locked(&error) => match left {
                Some(time) => {
                    std::thread::sleep(LOCK_RETRY);
                    left = time.checked_sub(LOCK_RETRY);
                }
                None => {
                    return Err(OpenError::InUse {
                        path: dir.to_owned(),
                    });
                }
            },
            opened => break opened,
        }
    };
    let (db, log, meta) = match opened {
        Ok(Ok(trees)) => trees,
        Ok(Err(sled::Error::Io(source))) => return Err(at("open")(source)),
        Ok(Err(error)) => return Err(OpenError::damaged(dir, &error)),
        Err(_) => return Err(OpenError::damaged(dir, &"the database cannot be read")),
    };
    let file = File::open(dir.join("db")).map_err(at("open"))?;
    file.sync_all().map_err(at("sync"))?;
    files::sync_dir(dir).map_err(at("sync"))?;
    let database = Database {
        file,
        log,
        meta,
        db,
    };
    if let Some(blob) = files::first_in(&dir.join("blobs")).map_err(at("read"))? {
        let why = format!("sled moved a record to {}", blob.display());
        return Err(OpenError::damaged(dir, &why));
    }
    Ok(database)
}

type Trees = (sled::Db, sled::Tree, sled::Tree);

/// sled panics on some kinds of damage; that is a refusal to start like any other.
fn try_open(dir: &Path) -> std::thread::Result<sled::Result<Trees>> {
    catch_unwind(AssertUnwindSafe(|| {
        let db = sled::Config::new()
            .path(dir)
            .segment_size(SEGMENT_SIZE)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(COLLECT_EVERY_MS))
            .open()?;
        let log = db.open_tree(keys::LOG)?;
        let meta = db.open_tree(keys::META)?;
        db.flush()?;
        Ok((db, log, meta))
    }))
}

/// sled wraps the refusal of `flock` in words of its own.
fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}

/// sled makes `snap.X.generating` and renames it; after a crash it takes a leftover for the newest
/// snapshot and never opens again. The rename is the commit point, so a leftover is rubbish.
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The open database.
pub(super) struct Database {
    /// A second descriptor of sled's file: `fdatasync` works on the file, whoever wrote it.
    file: File,
    pub(super) log: sled::Tree,
    pub(super) meta: sled::Tree,
    // Dropped last: it holds the lock of the folder.
    db: sled::Db,
}

impl Database {
    /// Returns once everything written before is on the disk.
    pub(super) fn commit(&self, durability: Durability) -> io::Result<()> {
        self.db.flush()?;
        match durability {
            Durability::Power => self.file.sync_data(),
            Durability::Process => Ok(()),
        }
    }
}

/// The thread that alone writes.
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Op>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// `next` is the index that the next record must have; none if the log is empty and new.
    /// Records up to `purging` may be left over from the last run.
    pub(super) fn start(
        database: Database,
        durability: Durability,
        next: Option<u64>,
        purging: Option<u64>,
    ) -> io::Result<Self> {
        let (queue, ops) = mpsc::sync_channel(QUEUE);
        let state = State {
            database,
            durability,
            next,
            purging,
            failed: None,
        };
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || state.run(&ops))?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands `op` to the thread; its `done` hears if the thread is gone.
    pub(super) fn send(&self, op: Op) {
        let queue = self.queue.lock().expect("never poisoned").clone();
        let op = match queue {
            Some(queue) => match queue.send(op) {
                Ok(()) => return,
                Err(mpsc::SendError(op)) => op,
            },
            None => op,
        };
        if let Some(done) = op.into_done() {
            done(Err(io::Error::other("the log is closed")));
        }
    }

    /// Writes what is queued, then lets go of the folder. Blocks.
    pub(super) fn close(&self) {
        self.queue.lock().expect("never poisoned").take();
        let thread = self.thread.lock().expect("never poisoned").take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the log's thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Op {
    fn into_done(self) -> Option<Done> {
        match self {
            Self::Append { done, .. } | Self::Vote { done, .. } | Self::Truncate { done, .. } => {
                Some(done)
            }
            Self::Committed { .. } | Self::Purge { .. } => None,
            #[cfg(test)]
            Self::Break => None,
        }
    }
}

struct State {
    database: Database,
    durability: Durability,
    /// Index that the next record must have.
    next: Option<u64>,
    /// Up to where records are still to be removed.
    purging: Option<u64>,
    /// The first error. After a failed sync nobody knows what is on the disk, so nothing is tried
    /// again and nothing is acknowledged any more.
    failed: Option<String>,
}

/// What one turn has gathered.
#[derive(Default)]
struct Turn {
    done: Vec<Done>,
    bytes: usize,
}

impl State {
    fn run(mut self, ops: &Receiver<Op>) {
        loop {
            // Once it has failed nothing is purged: wait, rather than spin until the node has stopped.
            let first = if self.purging.is_some() && self.failed.is_none() {
                match ops.try_recv() {
                    Ok(op) => Some(op),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else {
                match ops.recv() {
                    Ok(op) => Some(op),
                    Err(_) => break,
                }
            };
            self.turn(first, ops);
        }
        if self.failed.is_none()
            && let Err(error) = self.database.commit(self.durability)
        {
            error!(%error, "the log could not be closed cleanly");
        }
    }

    fn turn(&mut self, first: Option<Op>, ops: &Receiver<Op>) {
        let mut turn = Turn::default();
        let mut next = first;
        while let Some(op) = next {
            self.take(op, &mut turn);
            next = if turn.bytes < TURN_MAX_BYTES {
                ops.try_recv().ok()
            } else {
                None
            };
        }
        if self.failed.is_none()
            && let Err(error) = self.purge_some()
        {
            self.fail(&error);
        }
        if !turn.done.is_empty()
            && self.failed.is_none()
            && let Err(error) = self.database.commit(self.durability)
        {
            self.fail(&error);
        }
        for done in turn.done {
            done(match &self.failed {
                None => Ok(()),
                Some(error) => Err(io::Error::other(error.clone())),
            });
        }
    }

    fn take(&mut self, op: Op, turn: &mut Turn) {
        let result = if self.failed.is_none() {
            self.write(&op, turn)
        } else {
            Ok(())
        };
        turn.done.extend(op.into_done());
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    fn write(&mut self, op: &Op, turn: &mut Turn) -> io::Result<()> {
        let Database { log, meta, .. } = &self.database;
        match op {
            Op::Append { records, .. } => {
                for (index, record) in records {
                    if self.next.is_some_and(|next| next != *index) {
                        return Err(io::Error::other(format!(
                            "entry {index} does not follow the log, which goes on at {:?}",
                            self.next
                        )));
                    }
                    log.insert(keys::log(*index), record.as_slice())?;
                    turn.bytes += record.len();
                    self.next = Some(index + 1);
                }
                if let Some((last, _)) = records.last() {
                    meta.insert(keys::REACHES, &keys::log(*last))?;
                }
            }
            Op::Vote { record, .. } => {
                meta.insert(keys::VOTE, record.as_slice())?;
            }
            Op::Committed { record } => {
                meta.insert(keys::COMMITTED, record.as_slice())?;
            }
            Op::Truncate { from, .. } => {
                match from.checked_sub(1) {
                    Some(last) => meta.insert(keys::REACHES, &keys::log(last))?,
                    None => meta.remove(keys::REACHES)?,
                };
                // Backwards, so that no hole can be left.
                while let Some((key, _)) = log.last()? {
                    if keys::log_index(&key).is_some_and(|index| index < *from) {
                        break;
                    }
                    log.remove(key)?;
                }
                self.next = Some(*from);
            }
            Op::Purge { upto, record } => {
                meta.insert(keys::PURGED, record.as_slice())?;
                // A snapshot from the leader may reach beyond this log.
                if self.next.is_none_or(|next| next <= *upto) {
                    meta.insert(keys::REACHES, &keys::log(*upto))?;
                    self.next = Some(upto + 1);
                }
                self.purging = Some(self.purging.map_or(*upto, |before| before.max(*upto)));
            }
            #[cfg(test)]
            Op::Break => return Err(io::Error::other("broken on purpose")),
        }
        Ok(())
    }

    fn purge_some(&mut self) -> io::Result<()> {
        let Some(upto) = self.purging else {
            return Ok(());
        };
        let log = &self.database.log;
        for _ in 0..PURGE_PER_TURN {
            match log.first()? {
                Some((key, _)) if keys::log_index(&key).is_some_and(|index| index <= upto) => {
                    log.remove(key)?;
                }
                _ => {
                    self.purging = None;
                    break;
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        error!(%error, "the log cannot be written; this node stops");
        self.failed.get_or_insert_with(|| error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(writer: &Writer, index: u64) -> Receiver<io::Result<()>> {
        let (told, hears) = mpsc::channel();
        writer.send(Op::Append {
            records: vec![(index, vec![7; 100])],
            done: Box::new(move |result| told.send(result).expect("the test listens")),
        });
        hears
    }

    fn writer(dir: &Path) -> Writer {
        let database = open_database(dir).expect("new");
        Writer::start(database, Durability::Power, Some(0), None).expect("a thread")
    }

    #[test]
    fn after_the_first_error_nothing_is_acknowledged() {
        let dir = tempfile::tempdir().expect("a folder");
        let writer = writer(dir.path());
        assert!(append(&writer, 0).recv().expect("told").is_ok());
        writer.send(Op::Break);
        assert!(append(&writer, 1).recv().expect("told").is_err());
        assert!(append(&writer, 1).recv().expect("told").is_err());
        writer.close();
        assert!(append(&writer, 1).recv().expect("told").is_err());
    }

    #[test]
    fn an_entry_that_leaves_a_hole_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let writer = writer(dir.path());
        assert!(append(&writer, 0).recv().expect("told").is_ok());
        assert!(append(&writer, 2).recv().expect("told").is_err());
    }

    #[test]
    fn a_leftover_of_a_crash_while_opening_does_no_harm() {
        let dir = tempfile::tempdir().expect("a folder");
        let opened = writer(dir.path());
        assert!(append(&opened, 0).recv().expect("told").is_ok());
        opened.close();
        let leftover = dir.path().join("snap.0000000000FFFFFF.generating");
        fs::write(&leftover, b"half a snapshot").expect("writable");
        let database = open_database(dir.path()).expect("opens");
        assert!(!leftover.exists());
        assert!(database.log.get(keys::log(0)).expect("readable").is_some());
    }

    #[test]
    fn a_blob_file_stops_the_start() {
        let dir = tempfile::tempdir().expect("a folder");
        writer(dir.path()).close();
        fs::write(dir.path().join("blobs").join("123"), b"page").expect("writable");
        let error = open_database(dir.path()).err().expect("refused");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}
