//! What the log is written on: two ordered maps and one way to make them durable.
//!
//! The real one is sled 0.34, which alone is not enough: its `flush` does not reach the disk on
//! Linux, pages over a quarter of a segment land in files that are never synced, and a crash while
//! opening leaves a file that stops every later open. Each cure stands where it acts. No batch or
//! transaction of sled is used, since these take a lock shared by every database of the process;
//! sled recovers a prefix of what was written, so inserts in order leave no hole.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use super::error::OpenError;
use super::record::ENTRY_MAX;
use super::{files, keys};

/// Where the log and the few facts beside it lie. What is written after one commit and before the
/// next may be lost with the power, but only its end: never something in front of what is kept.
pub trait Disk: Send + 'static {
    /// A fact beside the log.
    fn fact(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;
    fn set_fact(&mut self, key: &[u8], value: &[u8]) -> io::Result<()>;
    fn remove_fact(&mut self, key: &[u8]) -> io::Result<()>;

    fn set_entry(&mut self, index: u64, record: &[u8]) -> io::Result<()>;
    fn remove_entry(&mut self, index: u64) -> io::Result<()>;
    fn first_entry(&self) -> io::Result<Option<u64>>;
    fn last_entry(&self) -> io::Result<Option<u64>>;
    /// The records from `index` on, in order.
    fn entries_from(&self, index: u64) -> Box<dyn Iterator<Item = io::Result<Record>> + '_>;

    /// Returns once everything written before is durable.
    fn commit(&mut self) -> io::Result<()>;

    /// How long the next commit takes, for a disk that only pretends.
    fn commit_takes(&mut self) -> Duration {
        Duration::ZERO
    }
}

/// A record of the log with its index.
pub type Record = (u64, Vec<u8>);

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
/// The node before this one may still be on its way out: sled's own threads let go of the folder a
/// moment after it was closed, and a forked child holds the lock until it executes.
const LOCKED_FOR: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Opens the database in `dir`, which is made if it does not exist.
pub(super) fn open_database(dir: &Path, durability: Durability) -> Result<Database, OpenError> {
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
        durability,
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
    log: sled::Tree,
    meta: sled::Tree,
    durability: Durability,
    // Dropped last: it holds the lock of the folder.
    db: sled::Db,
}

impl Disk for Database {
    fn fact(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.meta.get(key)?.map(|value| value.to_vec()))
    }

    fn set_fact(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.meta.insert(key, value)?;
        Ok(())
    }

    fn remove_fact(&mut self, key: &[u8]) -> io::Result<()> {
        self.meta.remove(key)?;
        Ok(())
    }

    fn set_entry(&mut self, index: u64, record: &[u8]) -> io::Result<()> {
        self.log.insert(keys::log(index), record)?;
        Ok(())
    }

    fn remove_entry(&mut self, index: u64) -> io::Result<()> {
        self.log.remove(keys::log(index))?;
        Ok(())
    }

    fn first_entry(&self) -> io::Result<Option<u64>> {
        self.log.first()?.map(|(key, _)| index_of(&key)).transpose()
    }

    fn last_entry(&self) -> io::Result<Option<u64>> {
        self.log.last()?.map(|(key, _)| index_of(&key)).transpose()
    }

    fn entries_from(&self, index: u64) -> Box<dyn Iterator<Item = io::Result<Record>> + '_> {
        let records = self.log.range(keys::log(index)..);
        Box::new(records.map(|item| {
            let (key, record) = item?;
            Ok((index_of(&key)?, record.to_vec()))
        }))
    }

    fn commit(&mut self) -> io::Result<()> {
        self.db.flush()?;
        match self.durability {
            Durability::Power => self.file.sync_data(),
            Durability::Process => Ok(()),
        }
    }
}

fn index_of(key: &[u8]) -> io::Result<u64> {
    keys::log_index(key).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{key:?} is no log index"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Database {
        open_database(dir, Durability::Power).expect("opens")
    }

    #[test]
    fn a_leftover_of_a_crash_while_opening_does_no_harm() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut database = open(dir.path());
        database.set_entry(0, &[7; 100]).expect("writable");
        database.commit().expect("writable");
        drop(database);
        let leftover = dir.path().join("snap.0000000000FFFFFF.generating");
        fs::write(&leftover, b"half a snapshot").expect("writable");
        let database = open(dir.path());
        assert!(!leftover.exists());
        assert_eq!(database.last_entry().expect("readable"), Some(0));
    }

    #[test]
    fn a_blob_file_stops_the_start() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(open(dir.path()));
        fs::write(dir.path().join("blobs").join("123"), b"page").expect("writable");
        let error = open_database(dir.path(), Durability::Power)
            .err()
            .expect("refused");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}
