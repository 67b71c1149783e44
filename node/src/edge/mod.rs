//! What viewers ask for, kept in memory and on disk in front of the origin.
//!
//! Only objects that never change under their key belong in here, so nothing ever goes stale: what
//! is kept is served whether or not the origin can be reached. Which objects may be seen at all
//! says the catalogue, and the caller asks it first.

pub mod ahead;
mod shelf;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::origin::{self, Origin};
use crate::telemetry::metrics::{self, EdgeSource};
use shelf::Shelf;

/// No object is kept that takes more than this share of the memory.
const OBJECT_SHARE: u64 = 8;

/// Reads from the origin at once. Each holds an object in memory, a few MB.
const READS_MAX: usize = 64;

/// A viewer is told to come again rather than kept waiting longer for the origin.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// Reads ahead at once, over all viewers.
const AHEAD_MAX: usize = 4;

/// Bytes of playlists that are kept to know what follows on what.
const ORDER_BYTES: u64 = 8 << 20;

/// A part of the memory with a lock of its own; it must have room for several large objects.
const SHARD_BYTES: u64 = 128 << 20;

/// How an edge is set up.
#[derive(Debug, Clone)]
pub struct Options {
    pub memory_bytes: u64,
    pub disk: Option<Disk>,
    /// Segments that are fetched before their viewer asks for them.
    pub ahead: usize,
}

/// Where objects lie that are not in memory.
#[derive(Debug, Clone)]
pub struct Disk {
    pub folder: PathBuf,
    pub budget_bytes: u64,
    /// Free space that is left alone.
    pub reserve_bytes: u64,
}

/// Why an object cannot be served. Every viewer who waited for it is given the same answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("there is no such object")]
    NotFound,
    #[error("the object has {size_bytes} bytes, too many to be kept")]
    TooLarge { size_bytes: u64 },
    #[error("the origin cannot be read: {0}")]
    Away(Arc<str>),
}

impl From<origin::Error> for Error {
    fn from(error: origin::Error) -> Self {
        match error {
            origin::Error::NotFound { .. } | origin::Error::Key { .. } => Self::NotFound,
            origin::Error::TooLarge { size_bytes, .. } => Self::TooLarge { size_bytes },
            error => Self::Away(error.to_string().into()),
        }
    }
}

/// Cheap to clone; every clone is the same cache.
#[derive(Debug, Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

type Read = Shared<BoxFuture<'static, Result<Bytes, Error>>>;

struct Inner {
    origin: Origin,
    ahead: usize,
    object_max_bytes: u64,
    /// S3-FIFO-like: what is asked for once does not push out what is asked for again and again.
    memory: Cache<String, Arc<Entry>, Weight>,
    shelf: Option<Shelf>,
    /// Reads under way: however many viewers wait for an object, the origin is asked once.
    reads: Mutex<BTreeMap<String, Read>>,
    /// Sizes of objects that are too large, so that each range of one does not begin with a look.
    large: Cache<String, u64>,
    /// Media playlists by their folder.
    orders: Cache<String, Bytes, Weight>,
    origin_reads: Semaphore,
    /// How often the origin was asked.
    asked: AtomicU64,
    ahead_reads: Arc<Semaphore>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("memory_bytes", &self.memory.weight())
            .field("shelf", &self.shelf)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    /// Whether what follows was looked for since this came into memory.
    led: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Weight;

impl Weighter<String, Arc<Entry>> for Weight {
    fn weight(&self, key: &String, entry: &Arc<Entry>) -> u64 {
        (key.len() + entry.bytes.len() + 200) as u64
    }
}

impl Weighter<String, Bytes> for Weight {
    fn weight(&self, key: &String, bytes: &Bytes) -> u64 {
        (key.len() + bytes.len() + 200) as u64
    }
}

impl Edge {
    /// A cache in front of `origin`. What an earlier process left on disk is found in the
    /// background.
    ///
    /// # Errors
    /// The folder on disk cannot be made.
    pub fn open(origin: Origin, options: Options) -> std::io::Result<Self> {
        let shelf = options.disk.map(Shelf::open).transpose()?;
        let memory = OptionsBuilder::new()
            .estimated_items_capacity(4096)
            .weight_capacity(options.memory_bytes)
            .shards(shards(options.memory_bytes))
            .build()
            .expect("both capacities are given");
        let orders = Cache::with_weighter(256, ORDER_BYTES, Weight);
        Ok(Self {
            inner: Arc::new(Inner {
                origin,
                ahead: options.ahead,
                object_max_bytes: options.memory_bytes / OBJECT_SHARE,
                memory: Cache::with_options(
                    memory,
                    Weight,
                    RandomState::new(),
                    DefaultLifecycle::default(),
                ),
                shelf,
                reads: Mutex::default(),
                large: Cache::new(1024),
                orders,
                origin_reads: Semaphore::new(READS_MAX),
                asked: AtomicU64::new(0),
                ahead_reads: Arc::new(Semaphore::new(AHEAD_MAX)),
            }),
        })
    }

    /// A cache in memory alone.
    pub fn in_memory(origin: Origin, memory_bytes: u64) -> Self {
        let options = Options {
            memory_bytes,
            disk: None,
            ahead: 0,
        };
        Self::open(origin, options).expect("no folder is made")
    }

    /// The origin behind it, for what is too large to be kept.
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The whole object under `key`.
    ///
    /// # Errors
    /// There is none, the origin is away, or [`Error::TooLarge`]: then read it from the origin as
    /// a stream.
    pub async fn get(&self, key: &str) -> Result<Bytes, Error> {
        match self.inner.memory.get(key) {
            Some(entry) => {
                metrics::edge_read(EdgeSource::Memory);
                Ok(entry.bytes.clone())
            }
            None => self.read(key).await,
        }
    }

    /// As [`Edge::get`], for a segment: those that follow it are fetched before they are asked for.
    ///
    /// # Errors
    /// As [`Edge::get`].
    pub async fn segment(&self, key: &str) -> Result<Bytes, Error> {
        let bytes = self.get(key).await?;
        if self.inner.ahead > 0
            && let Some(entry) = self.inner.memory.peek(key)
            && !entry.led.swap(true, Ordering::Relaxed)
        {
            self.lead(key);
        }
        Ok(bytes)
    }

    /// Keeps an object that this node has made, before anybody asks for it.
    pub fn keep(&self, key: &str, bytes: &Bytes) {
        if bytes.len() as u64 <= self.inner.object_max_bytes {
            self.inner.remember(key, bytes.clone());
            if let Some(shelf) = &self.inner.shelf {
                shelf.put(key, bytes.clone());
            }
        }
    }

    /// Notes in which order the segments in `folder` are played.
    pub fn learn(&self, folder: &str, playlist: &Bytes) {
        if self.inner.ahead > 0 {
            self.inner
                .orders
                .insert(folder.to_owned(), playlist.clone());
        }
    }

    /// Bytes in memory and on disk.
    pub fn used_bytes(&self) -> (u64, u64) {
        let disk = self.inner.shelf.as_ref().map_or(0, Shelf::used_bytes);
        (self.inner.memory.weight(), disk)
    }

    /// Joins the read of `key` that is under way, or begins one. It goes on if this viewer leaves.
    async fn read(&self, key: &str) -> Result<Bytes, Error> {
        if let Some(size_bytes) = self.inner.large.get(key) {
            return Err(Error::TooLarge { size_bytes });
        }
        let read = {
            let mut reads = lock(&self.inner.reads);
            if let Some(read) = reads.get(key) {
                metrics::edge_read(EdgeSource::Joined);
                read.clone()
            } else {
                let read = begin(Arc::clone(&self.inner), key.to_owned());
                reads.insert(key.to_owned(), read.clone());
                read
            }
        };
        read.await
    }

    /// Fetches what follows `key`, as far as a viewer has been told of it.
    fn lead(&self, key: &str) {
        let Some((folder, file)) = key.rsplit_once('/') else {
            return;
        };
        let Some(order) = self.inner.orders.get(folder) else {
            return;
        };
        let order = String::from_utf8_lossy(&order);
        for next in ahead::following(&order, file, self.inner.ahead) {
            let next = format!("{folder}/{next}");
            if self.inner.memory.contains_key(&next) {
                continue;
            }
            // Viewers come first: when many read ahead, the next simply waits to be asked for.
            let Ok(permit) = Arc::clone(&self.inner.ahead_reads).try_acquire_owned() else {
                return;
            };
            let edge = self.clone();
            tokio::spawn(async move {
                if let Err(error) = edge.read(&next).await {
                    debug!(%error, key = next, "nothing was fetched ahead");
                }
                drop(permit);
            });
        }
    }
}

/// Starts a read that ends whether or not somebody still waits for it.
fn begin(inner: Arc<Inner>, key: String) -> Read {
    let task = tokio::spawn(async move {
        let read = tokio::time::timeout(READ_DEADLINE, inner.fill(&key)).await;
        let read = read.unwrap_or_else(|_| Err(Error::Away("it does not answer in time".into())));
        // After it is in memory, so that nobody can slip through in between.
        lock(&inner.reads).remove(&key);
        read
    });
    async move {
        task.await
            .unwrap_or_else(|error| Err(Error::Away(error.to_string().into())))
    }
    .boxed()
    .shared()
}

impl Inner {
    /// Brings an object into memory, from the disk or else from the origin.
    async fn fill(&self, key: &str) -> Result<Bytes, Error> {
        if let Some(shelf) = &self.shelf
            && let Some(bytes) = shelf.get(key).await
        {
            metrics::edge_read(EdgeSource::Disk);
            self.remember(key, bytes.clone());
            return Ok(bytes);
        }
        let permit = self.origin_reads.acquire().await;
        let _permit = permit.expect("the semaphore is never closed");
        metrics::edge_read(EdgeSource::Origin);
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.origin.get(key, self.object_max_bytes).await {
            Ok(bytes) => {
                self.remember(key, bytes.clone());
                if let Some(shelf) = &self.shelf {
                    shelf.put(key, bytes.clone());
                }
                Ok(bytes)
            }
            Err(origin::Error::TooLarge { size_bytes, .. }) => {
                self.large.insert(key.to_owned(), size_bytes);
                Err(Error::TooLarge { size_bytes })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn remember(&self, key: &str, bytes: Bytes) {
        let entry = Entry {
            bytes,
            led: AtomicBool::new(false),
        };
        self.memory.insert(key.to_owned(), Arc::new(entry));
    }
}

/// How many parts with a lock each a memory of `bytes` is divided into: a power of two.
fn shards(bytes: u64) -> usize {
    let wanted = (bytes / SHARD_BYTES).clamp(1, 16);
    1 << wanted.ilog2()
}

/// A panic elsewhere leaves the maps whole, since no call in between can panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
