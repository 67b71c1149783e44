//! The object store that holds everything derived, opened from a URL.
//!
//! What an object is (its type, how long it may be cached, its tag) follows from its key, never
//! from attributes in the store: a folder has none.
//!
//! A `file://` origin is durable when `put` returns: the store writes beside, syncs the file,
//! renames it and syncs the folder, so an object that has its name has its bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::io::AsyncReadExt as _;

/// Tries of one call, the first included.
const ATTEMPTS: u32 = 3;

/// Pause before the second try; doubles with each.
const BACKOFF: Duration = Duration::from_millis(100);

/// Bytes of a large file that are read at once, and parts that are on their way at once.
const PART_BYTES: usize = 1 << 20;
const PARTS_AT_ONCE: usize = 4;

/// Why an object could not be written, read or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{url:?} is not an origin this version knows; write file://PATH")]
    Url { url: String },
    #[error("cannot make the folder of the origin, {path}: {source}")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read {path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{key:?} is not a valid object key: {source}")]
    Key {
        key: String,
        source: object_store::path::Error,
    },
    #[error("there is no object {key}")]
    NotFound { key: String },
    #[error("object {key} has {size_bytes} bytes, more than the {max_bytes} that are read at once")]
    TooLarge {
        key: String,
        size_bytes: u64,
        max_bytes: u64,
    },
    #[error("cannot {action} {key}: {source}")]
    Store {
        action: &'static str,
        key: String,
        source: object_store::Error,
    },
}

impl Error {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    fn of(action: &'static str, key: &str) -> impl FnOnce(object_store::Error) -> Self {
        let key = key.to_owned();
        move |source| match source {
            object_store::Error::NotFound { .. } => Self::NotFound { key },
            source => Self::Store {
                action,
                key,
                source,
            },
        }
    }
}

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

/// Cheap to clone; every clone is the same store.
#[derive(Debug, Clone)]
pub struct Origin {
    store: Arc<dyn ObjectStore>,
    /// In front of every key; empty for a folder, which is its own prefix.
    prefix: Path,
}

impl Origin {
    /// Opens the store at `url`: `file:///absolute/path`, or `file://./path` in `data_dir`.
    ///
    /// # Errors
    /// An unknown scheme, or a folder that cannot be made.
    pub fn open(url: &str, data_dir: &FilePath) -> Result<Self, Error> {
        let unknown = || Error::Url {
            url: url.to_owned(),
        };
        let path = FilePath::new(url.strip_prefix("file://").ok_or_else(unknown)?);
        let folder = if path.is_absolute() {
            path.to_owned()
        } else {
            let inside = path
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !inside || path.as_os_str().is_empty() {
                return Err(unknown());
            }
            data_dir.join(path)
        };
        let failed = |source| Error::Folder {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(Error::of("open", &folder.to_string_lossy()))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: Path::default(),
        })
    }

    /// An origin in memory that forgets everything, for tests of the rooms above.
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(object_store::memory::InMemory::new()),
            prefix: Path::default(),
        }
    }

    /// Writes a whole object; durable once this returns. An object with that key is replaced.
    ///
    /// # Errors
    /// The store still fails after [`ATTEMPTS`] tries.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        let path = self.path(key)?;
        retried(|| async {
            let payload = PutPayload::from_bytes(bytes.clone());
            self.store.put(&path, payload).await
        })
        .await
        .map_err(Error::of("write", key))?;
        Ok(())
    }

    /// Writes the file at `source` as an object, a part at a time; durable once this returns.
    ///
    /// # Errors
    /// The file cannot be read, or the store fails.
    pub async fn put_file(&self, key: &str, source: &FilePath) -> Result<(), Error> {
        let path = self.path(key)?;
        let unreadable = |error| Error::File {
            path: source.to_owned(),
            source: error,
        };
        let mut file = tokio::fs::File::open(source).await.map_err(unreadable)?;
        let upload = retried(|| self.store.put_multipart(&path)).await;
        let mut writer = WriteMultipart::new(upload.map_err(Error::of("write", key))?);
        let mut buffer = vec![0; PART_BYTES];
        let written = loop {
            match file.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    // A few parts on their way, not the whole file in memory.
                    if let Err(error) = writer.wait_for_capacity(PARTS_AT_ONCE).await {
                        break Err(Error::of("write", key)(error));
                    }
                    writer.write(&buffer[..length]);
                }
                Err(error) => break Err(unreadable(error)),
            }
        };
        if let Err(error) = written {
            // What is half there is of no use; the error above says more than another would.
            drop(writer.abort().await);
            return Err(error);
        }
        let finished = writer.finish().await;
        finished.map(drop).map_err(Error::of("write", key))
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
        let found = retried(|| async {
            let options = GetOptions {
                range: range.clone().map(GetRange::Bounded),
                ..GetOptions::default()
            };
            self.store.get_opts(&path, options).await
        })
        .await
        .map_err(Error::of("read", key))?;
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
        retried(|| async {
            let found = self.store.get(&path).await?;
            if found.meta.size > max_bytes {
                return Ok(Err(found.meta.size));
            }
            found.bytes().await.map(Ok)
        })
        .await
        .map_err(Error::of("read", key))?
        .map_err(|size_bytes| Error::TooLarge {
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
        let path = self.path(key)?;
        match retried(|| self.store.head(&path)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(Error::of("look at", key)(source)),
        }
    }

    /// Keys and sizes of everything below `prefix`, a whole folder name.
    ///
    /// # Errors
    /// The store fails.
    pub async fn list(&self, prefix: &str) -> Result<BTreeMap<String, u64>, Error> {
        let path = self.path(prefix)?;
        retried(|| async {
            self.store
                .list(Some(&path))
                .map_ok(|meta| (self.key(&meta.location), meta.size))
                .try_collect()
                .await
        })
        .await
        .map_err(Error::of("list", prefix))
    }

    /// Removes an object. That there is none is as good.
    ///
    /// # Errors
    /// The store fails.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        match retried(|| self.store.delete(&path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(Error::of("remove", key)(source)),
        }
    }

    fn path(&self, key: &str) -> Result<Path, Error> {
        let path = Path::parse(key).map_err(|source| Error::Key {
            key: key.chars().take(200).collect(),
            source,
        })?;
        Ok(self.prefix.parts().chain(path.parts()).collect())
    }

    fn key(&self, path: &Path) -> String {
        match path.prefix_match(&self.prefix) {
            Some(parts) => parts.collect::<Path>().to_string(),
            None => path.to_string(),
        }
    }
}

/// The one retry layer: whatever may pass by itself is tried again.
async fn retried<T, F>(mut call: impl FnMut() -> F) -> Result<T, object_store::Error>
where
    F: Future<Output = Result<T, object_store::Error>>,
{
    let mut pause = BACKOFF;
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(object_store::Error::Generic { .. }) => {}
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    call().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_what_was_put() {
        let data = tempfile::tempdir().unwrap();
        let origin = Origin::open("file://./origin", data.path()).unwrap();
        let key = "hls/v/g/1080p/000000-0011223344556677.m4s";
        origin
            .put(key, Bytes::from_static(b"0123456789"))
            .await
            .unwrap();
        let origin = Origin::open("file://./origin", data.path()).unwrap();
        assert_eq!(origin.size(key).await.unwrap(), Some(10));
        assert_eq!(&origin.get(key, 10).await.unwrap()[..], b"0123456789");
        assert!(matches!(
            origin.get(key, 9).await,
            Err(Error::TooLarge { size_bytes: 10, .. })
        ));
        let part = origin.open_object(key, Some(2..5)).await.unwrap();
        assert_eq!((part.size_bytes, part.range), (10, 2..5));
        let bytes: Vec<Bytes> = part.stream.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), b"234");
        let list = origin.list("hls/v").await.unwrap();
        assert_eq!(list.into_iter().collect::<Vec<_>>(), [(key.to_owned(), 10)]);
        origin.delete(key).await.unwrap();
        origin.delete(key).await.unwrap();
        assert!(origin.get(key, 10).await.unwrap_err().is_not_found());
        assert!(origin.list("hls/v").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_origin() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("secret"), "s").unwrap();
        let origin = Origin::open("file://./origin", data.path()).unwrap();
        for key in ["../secret", "a/../../secret", "a//b", "./secret", "a\0b"] {
            assert!(origin.get(key, 10).await.is_err(), "{key:?}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        let data = tempfile::tempdir().unwrap();
        for url in ["", "s3://b", "file://", "file://../x", "http://h/", "/x"] {
            assert!(Origin::open(url, data.path()).is_err(), "{url:?}");
        }
    }
}
