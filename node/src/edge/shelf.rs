//! Cached objects as files in one folder, within a budget of bytes.
//!
//! Everything here can be had again, so nothing is synced; each file begins with the hash of what
//! follows, and one that does not fit its hash is thrown away when it is read.

use std::fs::{self, File};
use std::hash::RandomState;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use super::Disk;

/// Files written at once. More would hold their bytes in memory for longer; what finds no place is
/// not written, and fetched again another time.
const WRITES_MAX: usize = 8;

/// A file takes its bytes, and about a block for its name and its last part.
const OVERHEAD_BYTES: u64 = 4096;

/// A part of the budget with a lock of its own; it must have room for many large objects.
const SHARD_BYTES: u64 = 1 << 30;

/// Bytes of the hash that stands in front.
const HEAD: usize = blake3::OUT_LEN;

/// Of the hash of the key.
type Name = [u8; 16];

#[derive(Debug, Clone)]
pub(super) struct Shelf {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    reserve_bytes: u64,
    index: Cache<Name, u64, Sizes, RandomState, Evicted>,
    writes: Arc<Semaphore>,
    /// Makes names of files that are being written.
    next: AtomicU64,
    /// Whether the last write failed: said once, not for every segment.
    failing: AtomicBool,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf")
            .field("folder", &self.folder)
            .field("used_bytes", &self.index.weight())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Sizes;

impl Weighter<Name, u64> for Sizes {
    fn weight(&self, _: &Name, size_bytes: &u64) -> u64 {
        size_bytes + OVERHEAD_BYTES
    }
}

/// Collects what an insertion pushes out, so that its files are removed outside of the lock.
#[derive(Debug, Clone, Copy)]
struct Evicted;

impl Lifecycle<Name, u64> for Evicted {
    type RequestState = Vec<Name>;

    fn begin_request(&self) -> Self::RequestState {
        Vec::new()
    }

    fn on_evict(&self, gone: &mut Self::RequestState, name: Name, _: u64) {
        gone.push(name);
    }
}

impl Shelf {
    /// Uses `disk.folder`, which it owns alone. What lies there is found in the background.
    pub(super) fn open(disk: Disk) -> io::Result<Self> {
        fs::create_dir_all(&disk.folder)?;
        let shards = (disk.budget_bytes / SHARD_BYTES).clamp(1, 16);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(8192)
            .weight_capacity(disk.budget_bytes)
            .shards(1 << shards.ilog2())
            .build()
            .expect("both capacities are given");
        let inner = Arc::new(Inner {
            folder: disk.folder,
            reserve_bytes: disk.reserve_bytes,
            index: Cache::with_options(options, Sizes, RandomState::new(), Evicted),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            next: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        });
        let scanned = Arc::clone(&inner);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = scanned.scan() {
                warn!(folder = %scanned.folder.display(), %error, "cannot look through the cache");
            }
        });
        Ok(Self { inner })
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.inner.index.weight()
    }

    /// The object under `key`, if it is here and whole.
    pub(super) async fn get(&self, key: &str) -> Option<Bytes> {
        let name = name_of(key);
        self.inner.index.get(&name)?;
        let inner = Arc::clone(&self.inner);
        let read = tokio::task::spawn_blocking(move || {
            let path = inner.path(&name);
            match read(&path) {
                Ok(Some(bytes)) => Some(bytes),
                damaged_or_gone => {
                    debug!(path = %path.display(), ?damaged_or_gone, "a cached file is of no use");
                    inner.index.remove(&name);
                    drop(fs::remove_file(&path));
                    None
                }
            }
        });
        read.await.ok().flatten()
    }

    /// Writes an object in the background, unless the disk has no time or no room for it.
    pub(super) fn put(&self, key: &str, bytes: Bytes) {
        let name = name_of(key);
        if self.inner.index.contains_key(&name) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.inner.writes).try_acquire_owned() else {
            return;
        };
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            match inner.write(name, &bytes) {
                Ok(()) => inner.failing.store(false, Ordering::Relaxed),
                Err(error) if !inner.failing.swap(true, Ordering::Relaxed) => {
                    warn!(folder = %inner.folder.display(), %error, "cannot cache on disk");
                }
                Err(_) => {}
            }
            drop(permit);
        });
    }
}

impl Inner {
    fn path(&self, name: &Name) -> PathBuf {
        let name = u128::from_be_bytes(*name);
        self.folder.join(format!("{name:032x}"))
    }

    fn write(&self, name: Name, bytes: &[u8]) -> io::Result<()> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < self.reserve_bytes.saturating_add(bytes.len() as u64) {
            return Err(io::Error::other(
                "the disk is as full as limits.disk_reserve allows",
            ));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let beside = self.folder.join(format!("{number}.part"));
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(blake3::hash(bytes).as_bytes())?;
            file.write_all(bytes)?;
            fs::rename(&beside, self.path(&name))
        });
        if written.is_err() {
            drop(fs::remove_file(&beside));
        }
        written?;
        self.list(name, bytes.len() as u64);
        Ok(())
    }

    /// Notes a file, and removes those that have to go for it.
    fn list(&self, name: Name, size_bytes: u64) {
        for gone in self.index.insert_with_lifecycle(name, size_bytes) {
            if let Err(error) = fs::remove_file(self.path(&gone))
                && error.kind() != io::ErrorKind::NotFound
            {
                debug!(%error, "cannot remove a cached file");
            }
        }
    }

    /// Lists what an earlier process left, oldest first, and removes what is no whole file.
    fn scan(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let metadata = entry.metadata()?;
            match name.to_str().and_then(parse) {
                Some(name) if metadata.len() >= HEAD as u64 => {
                    found.push((metadata.modified().ok(), name, metadata.len() - HEAD as u64));
                }
                // Files of this process are listed when they are whole.
                _ if self.next.load(Ordering::Relaxed) > 0 => {}
                _ => drop(fs::remove_file(entry.path())),
            }
        }
        found.sort_unstable();
        let count = found.len();
        for (_, name, size_bytes) in found {
            self.list(name, size_bytes);
        }
        if count > 0 {
            info!(
                files = count,
                bytes = self.index.weight(),
                "cache found on disk"
            );
        }
        Ok(())
    }
}

fn name_of(key: &str) -> Name {
    let hash = blake3::hash(key.as_bytes());
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn parse(name: &str) -> Option<Name> {
    let plain = name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let number = u128::from_str_radix(name, 16).ok().filter(|_| plain)?;
    Some(number.to_be_bytes())
}

/// The bytes behind the hash; none if they do not fit it.
fn read(path: &Path) -> io::Result<Option<Bytes>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut head = [0; HEAD];
    file.read_exact(&mut head)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    let whole = blake3::hash(&bytes) == blake3::Hash::from_bytes(head);
    Ok(whole.then(|| Bytes::from(bytes)))
}
