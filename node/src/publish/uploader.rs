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

use super::hls::names::Kind;
use super::hls::{manifest, names};
use super::plan;
use crate::origin::{self, Headers, Origin, Written};

/// Objects that one unit puts at once. Each is in memory as a whole, a few MB.
const CONCURRENCY: usize = 4;

/// Larger objects are put in parts.
const WHOLE_MAX_BYTES: u64 = 16 << 20;

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
    #[error("{key} does not have the bytes in the origin that were written")]
    Bytes { key: String },
}

impl Error {
    /// Whether every other unit would fail too.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Origin(error) if error.is_outage())
    }
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
    let present = present(origin, &base, &manifest).await?;
    let puts: Vec<_> = plan::puts(&manifest, &present)
        .into_iter()
        .map(|object| put(origin, &base, folder, object, keep))
        .collect();
    stream::iter(puts)
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await?;
    // Last: whoever reads the manifest finds everything it names.
    let name = names::unit_manifest(unit);
    let key = format!("{base}/{name}");
    let (hash, size_bytes) = (BlobHash::of(&bytes), bytes.len() as u64);
    let written = origin.put_with(&key, bytes, headers(&name)).await?;
    arrived(origin, key, size_bytes, hash, &written).await?;
    Ok(manifest)
}

/// What of the unit is in the origin already. A list would show all other units as well, so single
/// objects are asked for; if nothing but init segments is there, which units share, nothing was tried.
async fn present(
    origin: &Origin,
    base: &str,
    manifest: &Manifest,
) -> Result<BTreeMap<String, u64>, Error> {
    let is_init = |object: &&Object| Kind::of(&object.name) == Some(Kind::Init);
    let first = manifest.objects().find(|object| !is_init(object));
    let mut asked: Vec<&Object> = manifest.objects().filter(is_init).chain(first).collect();
    let mut present = BTreeMap::new();
    loop {
        let heads: Vec<_> = asked
            .drain(..)
            .map(|object| async move {
                let size = origin.size(&format!("{base}/{}", object.name)).await?;
                Ok::<_, Error>(size.map(|size| (object.name.clone(), size)))
            })
            .collect();
        let found: Vec<_> = stream::iter(heads)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let before = present.len();
        present.extend(found.into_iter().flatten());
        let begun = first.is_some_and(|first| present.contains_key(&first.name));
        if !begun || before > 0 {
            return Ok(present);
        }
        asked = manifest
            .objects()
            .filter(|object| !is_init(object) && !present.contains_key(&object.name))
            .collect();
        if asked.is_empty() {
            return Ok(present);
        }
    }
}

/// What those who read the store directly are told of the object called `name`.
pub(super) fn headers(name: &str) -> Headers {
    let kind = Kind::of(name).unwrap_or(Kind::Manifest);
    Headers {
        content_type: names::content_type(name, kind),
        cache_control: names::cache_control(kind),
    }
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
    let written = origin
        .put_with(&key, bytes.clone(), headers(&object.name))
        .await?;
    keep.object(&key, &bytes);
    arrived(origin, key, object.size_bytes, object.blake3, &written).await
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
    let written = origin.put_file(&key, &path, headers(&object.name)).await?;
    arrived(origin, key, object.size_bytes, object.blake3, &written).await
}

/// Proves that the store has what was sent: the size, and the tag that it answered the put with.
///
/// Where the tag is another one, somebody put the same object at the same time, which is fine if
/// the bytes are the same.
async fn arrived(
    origin: &Origin,
    key: String,
    size_bytes: u64,
    hash: BlobHash,
    written: &Written,
) -> Result<(), Error> {
    let found = origin.head(&key).await?;
    let size = found.as_ref().map(|found| found.size_bytes);
    if size != Some(size_bytes) {
        return Err(Error::Size {
            key,
            found: size,
            expected: size_bytes,
        });
    }
    if found.is_some_and(|found| found.is(written)) {
        return Ok(());
    }
    let mut stream = origin.open_object(&key, None).await?.stream;
    let mut hasher = blake3::Hasher::new();
    loop {
        match stream.try_next().await {
            Ok(Some(bytes)) => drop(hasher.update(&bytes)),
            Ok(None) if BlobHash::from(hasher.finalize()) == hash => return Ok(()),
            // Cut off or other bytes: the next round puts it again.
            _ => return Err(Error::Bytes { key }),
        }
    }
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
