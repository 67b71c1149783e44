//! The client's end of the upload protocol: sends one file over one connection.
//!
//! Which chunks are missing is the node's to say; the client remembers nothing. Making a new
//! connection when one breaks is up to the caller.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use protocol::code::ErrorCode;
use protocol::id::{BlobHash, UploadId, VideoId};
use protocol::time::Timestamp;
use protocol::upload::{
    ANSWER_MAX, Answer, CHUNK_SIZE, ChunkHash, FileKey, Finish, Layout, Open, Opened, Put, Refused,
    Request,
};
use quinn::Connection;
use tokio::task::JoinSet;

use super::blocking;
use crate::transport::stream::{self, read_frame, write_frame};

/// Chunks under way at once. One connection needs about ten to hide the wait for the disk.
pub const STREAMS: usize = 12;

/// A node that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Longest piece handed to a stream at once: quinn holds a piece until all of it is acknowledged.
const PIECE_BYTES: usize = 512 << 10;

/// How often a chunk is sent again after the node found it damaged.
const CHUNK_ATTEMPTS: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0} changed while it was sent")]
    Changed(PathBuf),
    /// The node said no.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The connection broke, or the node fell silent: another connection may do.
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the node answered what was not asked")]
    Protocol,
}

impl Error {
    /// Whether the same may succeed over a new connection.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Refused(refused) => refused.code.is_retryable(),
            Self::Read { .. } | Self::Changed(_) | Self::Protocol => false,
        }
    }
}

impl From<stream::Error> for Error {
    fn from(error: stream::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<quinn::ConnectionError> for Error {
    fn from(error: quinn::ConnectionError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A file to send, and what is known of it.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    layout: Layout,
    key: FileKey,
    filename: String,
    modified: Timestamp,
    /// Hashes of chunks, as far as they have been read.
    hashes: Mutex<Vec<Option<ChunkHash>>>,
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
            hashes: Mutex::new(vec![None; layout.chunks() as usize]),
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
    fn chunk(&self, index: u32) -> Result<(ChunkHash, Bytes), Error> {
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

    /// The hash of the whole; chunks that were not read for sending are read now. Blocks.
    fn root(&self) -> Result<BlobHash, Error> {
        for index in 0..self.layout.chunks() {
            let known = self.hashes.lock().expect("no holder panics")[index as usize];
            if known.is_none() {
                self.chunk(index)?;
            }
        }
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

/// How an upload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The node knows the file; it had `resumed_bytes` of it before.
    Opened {
        upload: UploadId,
        video: VideoId,
        resumed_bytes: u64,
    },
    /// A chunk of so many bytes is on the node's disk.
    Stored { bytes: u32 },
    /// All is there; the node has verified so much of it.
    Verifying { done_bytes: u64 },
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    pub upload: UploadId,
    pub video: VideoId,
    pub hash: BlobHash,
    /// The node had all of it before, finished.
    pub was_there: bool,
}

/// Sends what the node lacks of `source` over `connection`, and waits until it is a video.
///
/// # Errors
/// See [`Error::is_retryable`] for whether a new connection may help.
pub async fn upload(
    connection: &Connection,
    source: &Arc<Source>,
    is_fresh: bool,
    on_event: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Finished, Error> {
    let on_event: OnEvent = Arc::new(on_event);
    let opened = open(connection, source, is_fresh).await?;
    let resumed_bytes = (0..opened.have.chunks())
        .filter(|&index| opened.have.contains(index))
        .map(|index| u64::from(source.layout.length(index)))
        .sum();
    on_event(Event::Opened {
        upload: opened.upload,
        video: opened.video,
        resumed_bytes,
    });
    if let Some(hash) = opened.finished {
        return Ok(Finished {
            upload: opened.upload,
            video: opened.video,
            hash,
            was_there: true,
        });
    }
    send_missing(connection, source, &opened, &on_event).await?;
    let shared = Arc::clone(source);
    let hash = blocking(move || shared.root()).await?;
    let (video, hash) = finish(connection, opened.upload, hash, &on_event).await?;
    Ok(Finished {
        upload: opened.upload,
        video,
        hash,
        was_there: false,
    })
}

type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

pub(super) async fn open(
    connection: &Connection,
    source: &Source,
    fresh: bool,
) -> Result<Opened, Error> {
    let (mut send, mut recv) = connection.open_bi().await?;
    let request = Request::Open(Open {
        key: source.key,
        filename: source.filename.clone(),
        size_bytes: source.size_bytes(),
        fresh,
        first: source.hashes.lock().expect("no holder panics")[0],
    });
    write_frame(&mut send, &request, SILENCE_MAX).await?;
    drop(send.finish());
    match read_frame(&mut recv, ANSWER_MAX, SILENCE_MAX).await? {
        Answer::Opened(opened)
            if opened.chunk_size == CHUNK_SIZE
                && opened.have.chunks() == source.layout.chunks() =>
        {
            Ok(opened)
        }
        Answer::Refused(refused) => Err(refused.into()),
        _ => Err(Error::Protocol),
    }
}

async fn send_missing(
    connection: &Connection,
    source: &Arc<Source>,
    opened: &Opened,
    on_event: &OnEvent,
) -> Result<(), Error> {
    let missing: Arc<[u32]> = opened.have.missing().collect();
    let next = Arc::new(AtomicU32::new(0));
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS.min(missing.len()) {
        let (connection, source) = (connection.clone(), Arc::clone(source));
        let (missing, next) = (Arc::clone(&missing), Arc::clone(&next));
        let (upload, on_event) = (opened.upload, Arc::clone(on_event));
        streams.spawn(async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed) as usize;
                let Some(&index) = missing.get(turn) else {
                    return Ok::<(), Error>(());
                };
                let shared = Arc::clone(&source);
                let (hash, bytes) = blocking(move || shared.chunk(index)).await?;
                let length = source.layout.length(index);
                let put = Put {
                    upload,
                    index,
                    hash,
                    length,
                };
                send_chunk(&connection, put, bytes).await?;
                on_event(Event::Stored { bytes: length });
            }
        });
    }
    while let Some(stream) = streams.join_next().await {
        // Dropping the set at the first error stops the others.
        stream.map_err(|error| Error::Broken(error.to_string()))??;
    }
    Ok(())
}

async fn send_chunk(connection: &Connection, put: Put, bytes: Bytes) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        match try_chunk(connection, put, bytes.clone()).await {
            Err(Error::Refused(refused))
                if matches!(refused.code, ErrorCode::ChunkMismatch | ErrorCode::Busy)
                    && attempt < CHUNK_ATTEMPTS =>
            {
                tokio::time::sleep(Duration::from_millis(100) * attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn try_chunk(connection: &Connection, put: Put, mut bytes: Bytes) -> Result<(), Error> {
    let (mut send, mut recv) = connection.open_bi().await?;
    // The head of the file first: it can be looked at before the tail is there.
    drop(send.set_priority(-i32::try_from(put.index).unwrap_or(i32::MAX)));
    let write = async {
        write_frame(&mut send, &Request::Put(put), SILENCE_MAX).await?;
        while !bytes.is_empty() {
            let piece = bytes.split_to(PIECE_BYTES.min(bytes.len()));
            let written = tokio::time::timeout(SILENCE_MAX, send.write_chunk(piece));
            match written.await {
                // The node does not want the rest and says why on the other half.
                Ok(Err(quinn::WriteError::Stopped(_))) => return Ok(()),
                Ok(Err(error)) => return Err(Error::Broken(error.to_string())),
                Err(_) => return Err(Error::Broken("the node is silent".to_owned())),
                Ok(Ok(())) => {}
            }
        }
        drop(send.finish());
        Ok(())
    };
    write.await?;
    match read_frame(&mut recv, ANSWER_MAX, SILENCE_MAX).await? {
        Answer::Stored { index } if index == put.index => Ok(()),
        Answer::Refused(refused) => Err(refused.into()),
        _ => Err(Error::Protocol),
    }
}

async fn finish(
    connection: &Connection,
    upload: UploadId,
    hash: BlobHash,
    on_event: &OnEvent,
) -> Result<(VideoId, BlobHash), Error> {
    let (mut send, mut recv) = connection.open_bi().await?;
    let request = Request::Finish(Finish { upload, hash });
    write_frame(&mut send, &request, SILENCE_MAX).await?;
    drop(send.finish());
    loop {
        match read_frame(&mut recv, ANSWER_MAX, SILENCE_MAX).await? {
            Answer::Verifying { done_bytes } => on_event(Event::Verifying { done_bytes }),
            Answer::Finished { video, hash } => return Ok((video, hash)),
            Answer::Refused(refused) => return Err(refused.into()),
            _ => return Err(Error::Protocol),
        }
    }
}
