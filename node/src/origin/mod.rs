//! The object store that holds everything derived, opened from a section of the file.
//!
//! What an object is (its type, how long it may be cached, its tag) follows from its key; a store
//! that keeps such attributes is given them for those who read it directly, and is never asked.
//!
//! A `file://` origin is durable when `put` returns: the store writes beside, syncs the file,
//! renames it and syncs the folder, so an object that has its name has its bytes.
//!
//! Requests that may pass by themselves are tried again in one layer only, the client's
//! ([`open`]); whoever calls waits and comes back later, or tells a person.

pub mod check;
mod credentials;
mod error;
mod explain;
mod open;
mod unfinished;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, UpdateVersion, WriteMultipart,
};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use crate::config;
use crate::config::Provider;
use crate::telemetry::metrics;
use open::Opened;

pub use error::Error;
pub use explain::Class;
pub use open::Environment;
pub use unfinished::{Unfinished, UnfinishedList};

/// Parts of one large object that are on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// Most parts that stores take; a few are left free.
const PARTS_MAX: u64 = 9_000;

/// Reads at once, for each write that is allowed: viewers are many, and mostly wait for the store.
const READS_FOR_A_WRITE: usize = 4;

/// An object that is being read.
pub struct Reading {
    /// Of the whole object.
    pub size_bytes: u64,
    /// What of it comes.
    pub range: Range<u64>,
    pub stream: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading")
            .field("size_bytes", &self.size_bytes)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// What those who read a store directly are told of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    pub content_type: &'static str,
    pub cache_control: &'static str,
}

/// An object as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub size_bytes: u64,
    version: UpdateVersion,
}

/// What the store answered to a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    version: UpdateVersion,
}

impl Stored {
    /// Whether this is what that put wrote, as far as the store tells.
    pub fn is(&self, written: &Written) -> bool {
        match (&self.version.e_tag, &written.version.e_tag) {
            (Some(found), Some(put)) => bare(found) == bare(put),
            _ => true,
        }
    }
}

/// A tag without what proxies add to it.
fn bare(tag: &str) -> &str {
    tag.trim_start_matches("W/").trim_matches('"')
}

/// An object that a walk came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub key: String,
    pub size_bytes: u64,
    /// Milliseconds since 1970, by the store's clock.
    pub modified_ms: i64,
}

/// Cheap to clone; every clone is the same store.
#[derive(Debug, Clone)]
pub struct Origin {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// In front of every key; empty for a folder, which is its own prefix.
    prefix: Path,
    /// As the file has it, for messages.
    url: String,
    signer: Option<Arc<dyn Signer>>,
    multiparts: Option<Arc<dyn MultipartStore>>,
    keeps_headers: bool,
    conditional_put: bool,
    folder: Option<PathBuf>,
    provider: Option<Provider>,
    part_bytes: u64,
    writes: Semaphore,
    reads: Semaphore,
    /// Why the store is of no use right now.
    trouble: watch::Sender<Option<String>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// Opens the store at `url` with everything else as the defaults have it: for a folder.
    ///
    /// # Errors
    /// An unknown scheme, or a folder that cannot be made.
    pub fn open(url: &str, data_dir: &FilePath) -> Result<Self, Error> {
        let section = config::Origin {
            url: url.to_owned(),
            ..config::Origin::default()
        };
        Self::from_section(&section, data_dir, &|_| None)
    }

    /// Opens the store that `section` describes, with the credentials that `environment` has.
    /// Nothing is asked of it yet.
    ///
    /// # Errors
    /// A section that describes no store, credentials that cannot be read, a folder that cannot be
    /// made.
    pub fn from_section(
        section: &config::Origin,
        data_dir: &FilePath,
        environment: Environment<'_>,
    ) -> Result<Self, Error> {
        let opened = open::open(section, data_dir, environment)?;
        let url = section.url.clone();
        let part_bytes = section.part_size.as_bytes();
        Ok(Self::new(
            opened,
            url,
            part_bytes,
            section.requests_at_once as usize,
        ))
    }

    /// An origin in memory that forgets everything, for tests of the rooms above.
    pub fn in_memory() -> Self {
        Self::over(Arc::new(object_store::memory::InMemory::new()), true)
    }

    /// An origin over any store, for tests of the rooms above.
    pub fn over(store: Arc<dyn ObjectStore>, conditional_put: bool) -> Self {
        let opened = Opened {
            store,
            prefix: Path::default(),
            signer: None,
            multiparts: None,
            keeps_headers: true,
            conditional_put,
            folder: None,
            provider: None,
        };
        Self::new(opened, "memory".to_owned(), 8 << 20, 16)
    }

    fn new(opened: Opened, url: String, part_bytes: u64, requests_at_once: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: opened.store,
                prefix: opened.prefix,
                url,
                signer: opened.signer,
                multiparts: opened.multiparts,
                keeps_headers: opened.keeps_headers,
                conditional_put: opened.conditional_put,
                folder: opened.folder,
                provider: opened.provider,
                part_bytes,
                writes: Semaphore::new(requests_at_once),
                reads: Semaphore::new(requests_at_once * READS_FOR_A_WRITE),
                trouble: watch::Sender::new(None),
            }),
        }
    }

    /// The URL of the store, as the file has it.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Why the store is of no use right now, by the requests of late.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.inner.trouble.subscribe()
    }

    /// Objects larger than this are sent in parts.
    pub fn part_bytes(&self) -> u64 {
        self.inner.part_bytes
    }

    /// Whether a put may be bound to what is there.
    pub fn has_conditional_put(&self) -> bool {
        self.inner.conditional_put
    }

    /// Writes a whole object; durable once this returns. An object with that key is replaced.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        self.put_mode(key, bytes, None, PutMode::Overwrite)
            .await
            .map(drop)
    }

    /// The same, with what those who read the store directly are told of it.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put_with(
        &self,
        key: &str,
        bytes: Bytes,
        headers: Headers,
    ) -> Result<Written, Error> {
        self.put_mode(key, bytes, Some(headers), PutMode::Overwrite)
            .await
    }

    /// Writes an object in place of `standing`, or where there is none; whether it was still so.
    /// A store that knows no conditions writes it in any case.
    ///
    /// # Errors
    /// The store fails.
    pub async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        headers: Headers,
        standing: Option<Stored>,
    ) -> Result<bool, Error> {
        let mode = match (self.inner.conditional_put, standing) {
            (false, _) => PutMode::Overwrite,
            (true, Some(standing)) => PutMode::Update(standing.version),
            (true, None) => PutMode::Create,
        };
        let path = self.path(key)?;
        let options = self.put_options(Some(headers), mode);
        let written = self.write("write", key, || async {
            let payload = PutPayload::from_bytes(bytes);
            match self.inner.store.put_opts(&path, payload, options).await {
                Ok(_) => Ok(true),
                Err(
                    object_store::Error::Precondition { .. }
                    | object_store::Error::AlreadyExists { .. },
                ) => Ok(false),
                Err(error) => Err(error),
            }
        });
        written.await
    }

    async fn put_mode(
        &self,
        key: &str,
        bytes: Bytes,
        headers: Option<Headers>,
        mode: PutMode,
    ) -> Result<Written, Error> {
        let path = self.path(key)?;
        let options = self.put_options(headers, mode);
        let put = self.write("write", key, || async {
            let payload = PutPayload::from_bytes(bytes);
            self.inner.store.put_opts(&path, payload, options).await
        });
        put.await.map(|put| Written {
            version: put.into(),
        })
    }

    fn put_options(&self, headers: Option<Headers>, mode: PutMode) -> PutOptions {
        PutOptions {
            mode,
            attributes: self.attributes(headers),
            ..PutOptions::default()
        }
    }

    fn attributes(&self, headers: Option<Headers>) -> Attributes {
        let headers = headers.filter(|_| self.inner.keeps_headers);
        let pairs = headers.into_iter().flat_map(|headers| {
            [
                (Attribute::ContentType, headers.content_type),
                (Attribute::CacheControl, headers.cache_control),
            ]
        });
        pairs.collect()
    }

    /// Writes the file at `source` as an object, a part at a time; durable once this returns.
    ///
    /// # Errors
    /// The file cannot be read, or the store fails.
    pub async fn put_file(
        &self,
        key: &str,
        source: &FilePath,
        headers: Headers,
    ) -> Result<Written, Error> {
        let path = self.path(key)?;
        let unreadable = |error| Error::File {
            path: source.to_owned(),
            source: error,
        };
        let mut file = tokio::fs::File::open(source).await.map_err(unreadable)?;
        let size_bytes = file.metadata().await.map_err(unreadable)?.len();
        let part_bytes = self.inner.part_bytes.max(size_bytes / PARTS_MAX + 1);
        let options = PutMultipartOptions {
            attributes: self.attributes(Some(headers)),
            ..PutMultipartOptions::default()
        };
        let begun = self.write("begin a large object", key, || {
            self.inner.store.put_multipart_opts(&path, options)
        });
        let part_bytes = usize::try_from(part_bytes).unwrap_or(usize::MAX);
        let mut writer = WriteMultipart::new_with_chunk_size(begun.await?, part_bytes);
        // One for the whole object: its parts have a bound of their own.
        let _permit = self.inner.writes.acquire().await;
        let began = Instant::now();
        let mut buffer = vec![0; 1 << 20];
        let written = loop {
            match file.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    // A few parts on their way, not the whole file in memory.
                    if let Err(error) = writer.wait_for_capacity(PARTS_AT_ONCE).await {
                        break Err(Error::of("write a part of", key)(error));
                    }
                    writer.write(&buffer[..length]);
                }
                Err(error) => break Err(unreadable(error)),
            }
        };
        if let Err(error) = written {
            // What is half there is of no use; the error above says more than another would.
            drop(writer.abort().await);
            return self.noted("write", began, Err(error));
        }
        let finished = writer.finish().await;
        let finished = finished.map_err(Error::of("put together", key));
        let finished = self.noted("write", began, finished)?;
        Ok(Written {
            version: finished.into(),
        })
    }

    /// Opens an object, or `range` of it, for reading as a stream.
    ///
    /// # Errors
    /// There is none, or the store fails.
    pub async fn open_object(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Reading, Error> {
        let path = self.path(key)?;
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        // A viewer may take long to read the rest, so the permit is not held for it.
        let found = self.read("read", key, || self.inner.store.get_opts(&path, options));
        let found = found.await?;
        Ok(Reading {
            size_bytes: found.meta.size,
            range: found.range.clone(),
            stream: found.into_stream(),
        })
    }

    /// A whole object of at most `max_bytes`.
    ///
    /// # Errors
    /// There is none, it is larger, or the store fails.
    pub async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        let path = self.path(key)?;
        let read = self.read("read", key, || async {
            let found = self.inner.store.get(&path).await?;
            if found.meta.size > max_bytes {
                return Ok(Err(found.meta.size));
            }
            found.bytes().await.map(Ok)
        });
        read.await?.map_err(|size_bytes| Error::TooLarge {
            key: key.to_owned(),
            size_bytes,
            max_bytes,
        })
    }

    /// Bytes of an object; none if there is no such object.
    ///
    /// # Errors
    /// The store fails.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        Ok(self.head(key).await?.map(|stored| stored.size_bytes))
    }

    /// What the store knows of an object; none if there is no such object.
    ///
    /// # Errors
    /// The store fails.
    pub async fn head(&self, key: &str) -> Result<Option<Stored>, Error> {
        let path = self.path(key)?;
        let looked = self.read("look at", key, || self.inner.store.head(&path));
        match looked.await {
            Ok(meta) => Ok(Some(Stored {
                size_bytes: meta.size,
                version: UpdateVersion {
                    e_tag: meta.e_tag,
                    version: meta.version,
                },
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keys and sizes of everything below `prefix`, a whole folder name.
    ///
    /// # Errors
    /// The store fails.
    pub async fn list(&self, prefix: &str) -> Result<BTreeMap<String, u64>, Error> {
        let path = self.path(prefix)?;
        let listed = self.read("list", prefix, || {
            self.inner
                .store
                .list(Some(&path))
                .map_ok(|meta| (self.key(&meta.location), meta.size))
                .try_collect()
        });
        listed.await
    }

    /// Everything below `prefix`, a whole folder name, in no order, as it comes.
    ///
    /// # Errors
    /// The prefix is no key; a failure of the store comes with the stream.
    pub fn walk(&self, prefix: &str) -> Result<BoxStream<'static, Result<Found, Error>>, Error> {
        let path = self.path(prefix)?;
        let origin = self.clone();
        let prefix = prefix.to_owned();
        let found = self.inner.store.list(Some(&path)).map(move |meta| {
            let meta = meta.map_err(Error::of("list", &prefix))?;
            Ok(Found {
                key: origin.key(&meta.location),
                size_bytes: meta.size,
                modified_ms: meta.last_modified.timestamp_millis(),
            })
        });
        Ok(found.boxed())
    }

    /// Removes an object. That there is none is as good.
    ///
    /// # Errors
    /// The store fails.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        let removed = self.write("remove", key, || self.inner.store.delete(&path));
        match removed.await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes objects, many with one request where the store knows how.
    ///
    /// # Errors
    /// The store fails; some may be gone then.
    pub async fn delete_all(&self, keys: impl IntoIterator<Item = String>) -> Result<(), Error> {
        let paths: Vec<Path> = keys
            .into_iter()
            .map(|key| self.path(&key))
            .collect::<Result<_, _>>()?;
        let Some(first) = paths.first().map(|path| self.key(path)) else {
            return Ok(());
        };
        let removed = self.write("remove", &first, || async {
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut removals = self.inner.store.delete_stream(paths);
            while let Some(removal) = removals.next().await {
                match removal {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        removed.await
    }

    async fn write<T, F>(
        &self,
        action: &'static str,
        key: &str,
        call: impl FnOnce() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, object_store::Error>>,
    {
        let _permit = self.inner.writes.acquire().await;
        let began = Instant::now();
        let done = call().await.map_err(Error::of(action, key));
        self.noted("write", began, done)
    }

    async fn read<T, F>(
        &self,
        action: &'static str,
        key: &str,
        call: impl FnOnce() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, object_store::Error>>,
    {
        let _permit = self.inner.reads.acquire().await;
        let began = Instant::now();
        let done = call().await.map_err(Error::of(action, key));
        self.noted("read", began, done)
    }

    /// Counts a request, and remembers whether the store is of use.
    fn noted<T>(
        &self,
        kind: &'static str,
        began: Instant,
        done: Result<T, Error>,
    ) -> Result<T, Error> {
        let trouble = match &done {
            Err(error) if error.is_outage() => Some(error.to_string()),
            // It answered, whatever it said.
            _ => None,
        };
        let fine = trouble.is_none();
        metrics::origin(kind, fine, began.elapsed());
        self.inner.trouble.send_if_modified(|standing| {
            let changes = standing.is_some() != trouble.is_some();
            *standing = trouble;
            changes
        });
        done
    }

    fn path(&self, key: &str) -> Result<Path, Error> {
        let path = Path::parse(key).map_err(|source| Error::Key {
            key: key.chars().take(200).collect(),
            source,
        })?;
        Ok(self.inner.prefix.parts().chain(path.parts()).collect())
    }

    fn key(&self, path: &Path) -> String {
        match path.prefix_match(&self.inner.prefix) {
            Some(parts) => parts.collect::<Path>().to_string(),
            None => path.to_string(),
        }
    }
}

/// How long one signed request may be used.
const SIGNED_FOR: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests;
