//! Carries one finished unit from the outbox into the origin: its files, then its manifest.
//!
//! Every call begins anew by comparing, so a crash at any point costs only what was under way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::id::{BlobHash, GenerationId, VideoId};
use protocol::job::Unit;
use protocol::manifest::{Manifest, Object};

use super::hls::{manifest, names};
use super::plan;
use crate::origin::{self, Origin};

/// Objects that one unit puts at once. Each is in memory as a whole, a few MB.
const CONCURRENCY: usize = 4;

/// Larger objects are put piece by piece.
const WHOLE_MAX_BYTES: u64 = 32 << 20;

/// Told of every file whose name carries its hash once it was put, with its key: viewers of this node need not fetch it then.
#[derive(Clone)]
pub struct Keep(Arc<KeepFn>);

type KeepFn = dyn Fn(&str, &Bytes) + Send + Sync;

impl Keep {
    pub fn new(keep: impl Fn(&str, &Bytes) + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }

    pub(super) fn object(&self, key: &str, bytes: &Bytes) {
        (self.0)(key, bytes);
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self::new(|_, _| {})
    }
}

impl std::fmt::Debug for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keep")
    }
}

/// Why a unit could not be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The files are not what their maker said; only doing the work again helps.
    #[error("the outbox of this unit is lost: {0}")]
    Lost(String),
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Origin(#[from] origin::Error),
    #[error("{key} has {found:?} bytes in the origin, {expected} were written")]
    Size {
        key: String,
        found: Option<u64>,
        expected: u64,
    },
}

/// Puts all of `folder`, the unit's outbox folder, into the origin; durable once this returns.
///
/// # Errors
/// [`Error::Lost`] if the outbox does not hold what its manifest says; all others may pass.
pub(super) async fn upload(
    origin: &Origin,
    video: VideoId,
    generation: GenerationId,
    unit: Unit,
    folder: &Path,
    keep: &Keep,
) -> Result<Manifest, Error> {
    let bytes = read(folder.join(Manifest::FILE_NAME), manifest::BYTES_MAX).await?;
    let manifest = manifest::parse(unit, &bytes).map_err(|error| Error::Lost(error.to_string()))?;
    let base = names::folder(video, generation);
    let present = below(&base, origin.list(&base).await?);
    let puts: Vec<_> = plan::puts(&manifest, &present)
        .into_iter()
        .map(|object| put(origin, &base, folder, object, keep))
        .collect();
    stream::iter(puts)
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await?;
    // Last: whoever reads the manifest finds everything it names.
    let key = format!("{base}/{}", names::unit_manifest(unit));
    origin.put(&key, bytes).await?;
    Ok(manifest)
}

async fn put(
    origin: &Origin,
    base: &str,
    folder: &Path,
    object: &Object,
    keep: &Keep,
) -> Result<(), Error> {
    let path = folder.join(&object.name);
    if object.size_bytes > WHOLE_MAX_BYTES {
        return put_large(origin, base, path, object).await;
    }
    let bytes = read(path, object.size_bytes).await?;
    if BlobHash::of(&bytes) != object.blake3 {
        return Err(Error::Lost(format!("{} is damaged", object.name)));
    }
    let key = format!("{base}/{}", object.name);
    origin.put(&key, bytes.clone()).await?;
    keep.object(&key, &bytes);
    arrived(origin, key, object).await
}

/// A file that is not held in memory.
async fn put_large(
    origin: &Origin,
    base: &str,
    path: PathBuf,
    object: &Object,
) -> Result<(), Error> {
    let read = path.clone();
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(&read)?)?;
        Ok(BlobHash::from(hasher.finalize()))
    });
    match hashed.await.expect("hashing a file does not panic") {
        Ok(hash) if hash == object.blake3 => {}
        Ok(_) => return Err(Error::Lost(format!("{} is damaged", object.name))),
        Err(error) => return Err(unread(path, error)),
    }
    let key = format!("{base}/{}", object.name);
    origin.put_file(&key, &path).await?;
    arrived(origin, key, object).await
}

async fn arrived(origin: &Origin, key: String, object: &Object) -> Result<(), Error> {
    let found = origin.size(&key).await?;
    if found == Some(object.size_bytes) {
        return Ok(());
    }
    Err(Error::Size {
        key,
        found,
        expected: object.size_bytes,
    })
}

/// Keys below `base` by their name relative to it.
pub(super) fn below(base: &str, keys: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    keys.into_iter()
        .filter_map(|(key, size)| {
            let name = key.strip_prefix(base)?.strip_prefix('/')?;
            Some((name.to_owned(), size))
        })
        .collect()
}

/// A whole file of the outbox. A missing or overlong one means that the unit is lost.
async fn read(path: PathBuf, max_bytes: u64) -> Result<Bytes, Error> {
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes)) {
            Ok(length) if length as u64 > max_bytes => {
                Err(Error::Lost(format!("{} is too long", path.display())))
            }
            Ok(_) => Ok(Bytes::from(bytes)),
            Err(error) => Err(unread(path, error)),
        }
    });
    read.await.expect("reading a file does not panic")
}

fn unread(path: PathBuf, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::NotFound {
        Error::Lost(format!("{} is missing", path.display()))
    } else {
        Error::Read { path, source }
    }
}
