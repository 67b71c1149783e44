//! A file that a client sends: read, cut and hashed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use protocol::access::Secret;
use protocol::id::BlobHash;
use protocol::time::Timestamp;
use protocol::upload::{ChunkHash, FileKey, Layout, Proof};

use super::client::Error;

/// Threads that hash a file which may be in the cluster: one cannot keep up with a fast disk.
const HASHERS: u32 = 2;

/// A file to send, and what is known of it.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    layout: Layout,
    key: FileKey,
    filename: String,
    modified: Timestamp,
    /// Shown to the node, if it wants one.
    pub secret: Option<Secret>,
    /// Hashes of chunks, as far as they have been read.
    hashes: Mutex<Vec<Option<ChunkHash>>>,
    /// Of chunks that were begun to be sent, again and again.
    pub(super) sent_bytes: AtomicU64,
}

impl Source {
    /// Opens a file and reads its first and last chunk. `None` if it is empty or too large to be
    /// sent. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read, or is no file.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let read = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if !metadata.is_file() {
            return Err(read(io::Error::other("it is not a file")));
        }
        let Some(layout) = Layout::new(metadata.len()) else {
            return Ok(None);
        };
        let modified = modified(&metadata);
        let filename = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut source = Self {
            path: path.to_owned(),
            file,
            layout,
            key: FileKey::new(
                "",
                0,
                modified,
                &ChunkHash::from_bytes([0; 32]),
                &ChunkHash::from_bytes([0; 32]),
            ),
            filename,
            modified,
            secret: None,
            hashes: Mutex::new(vec![None; layout.chunks() as usize]),
            sent_bytes: AtomicU64::new(0),
        };
        let (first, _) = source.chunk(0)?;
        let (last, _) = source.chunk(layout.chunks() - 1)?;
        source.key = FileKey::new(
            &source.filename,
            layout.size_bytes(),
            modified,
            &first,
            &last,
        );
        Ok(Some(source))
    }

    pub const fn size_bytes(&self) -> u64 {
        self.layout.size_bytes()
    }

    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// Reads and hashes chunk `index`. Blocks on the disk.
    pub(super) fn chunk(&self, index: u32) -> Result<(ChunkHash, Bytes), Error> {
        let mut bytes = vec![0; self.layout.length(index) as usize];
        self.file
            .read_exact_at(&mut bytes, self.layout.offset(index))
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => Error::Changed(self.path.clone()),
                _ => Error::Read {
                    path: self.path.clone(),
                    source,
                },
            })?;
        let hash = ChunkHash::of(self.layout, index, &bytes);
        self.note(index, hash);
        Ok((hash, bytes.into()))
    }

    fn note(&self, index: u32, hash: ChunkHash) {
        let mut hashes = self.hashes.lock().expect("no holder panics");
        if let Some(slot) = hashes.get_mut(index as usize) {
            *slot = Some(hash);
        }
    }

    /// Bytes of chunks that were begun to be sent, each as often as it was.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub const fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn first(&self) -> Option<ChunkHash> {
        self.hashes.lock().expect("no holder panics")[0]
    }

    pub(super) const fn key(&self) -> FileKey {
        self.key
    }

    /// Reads what has not been read yet, and says now and then how far it is. Blocks.
    pub(super) fn hash_all(&self, on_progress: &(dyn Fn(u64) + Sync)) -> Result<(), Error> {
        let (next, done) = (AtomicU32::new(0), AtomicU64::new(0));
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.layout.chunks() {
                    return Ok::<(), Error>(());
                }
                let known = self.hashes.lock().expect("no holder panics")[index as usize];
                if known.is_none() {
                    self.chunk(index)?;
                }
                let length = u64::from(self.layout.length(index));
                on_progress(done.fetch_add(length, Ordering::Relaxed) + length);
            }
        };
        let threads = HASHERS.min(self.layout.chunks());
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut result = work();
            for other in others {
                let other = other.join().expect("hashing does not panic");
                result = result.and(other);
            }
            result
        })
    }

    /// Proves on a connection with this `secret` that the file is here. Blocks.
    pub(super) fn prove(&self, secret: &[u8; 32], hash: &BlobHash) -> Result<Proof, Error> {
        let mut bytes = Vec::new();
        for (offset, length) in Proof::parts(secret, self.layout.size_bytes()) {
            let at = bytes.len();
            bytes.resize(at + length as usize, 0);
            self.file
                .read_exact_at(&mut bytes[at..], offset)
                .map_err(|source| Error::Read {
                    path: self.path.clone(),
                    source,
                })?;
        }
        Ok(Proof::new(secret, hash, &bytes))
    }

    /// The hash of the whole; chunks that were not read for sending are read now. Blocks.
    pub(super) fn root(&self) -> Result<BlobHash, Error> {
        self.hash_all(&|_| ())?;
        let metadata = self.file.metadata().map_err(|source| Error::Read {
            path: self.path.clone(),
            source,
        })?;
        if metadata.len() != self.layout.size_bytes() || modified(&metadata) != self.modified {
            return Err(Error::Changed(self.path.clone()));
        }
        let hashes = self.hashes.lock().expect("no holder panics");
        let hashes: Vec<ChunkHash> = hashes.iter().copied().flatten().collect();
        self.layout
            .root(&hashes)
            .ok_or_else(|| Error::Changed(self.path.clone()))
    }
}

fn modified(metadata: &std::fs::Metadata) -> Timestamp {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
