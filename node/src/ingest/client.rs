//! The client's end of the upload protocol: sends one file over one connection.
//!
//! Which chunks are missing is the node's to say; the client remembers nothing. Making a new
//! connection when one breaks is up to the caller.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use protocol::code::ErrorCode;
use protocol::id::{BlobHash, UploadId, VideoId};
use protocol::upload::{
    ANSWER_MAX, Answer, CHUNK_SIZE, Finish, Known, Look, Open, Opened, Outlook, PROOF_LABEL, Put,
    Refused, Request,
};
use quinn::Connection;
use tokio::task::JoinSet;

use super::blocking;
pub use super::source::Source;
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
    /// The node knows of another that has begun with this file and is up.
    #[error("the upload was begun at node {node}, which is up")]
    Elsewhere { node: String, address: String },
    #[error("the node answered what was not asked")]
    Protocol,
}

impl Error {
    /// Whether the same may succeed over a new connection.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Elsewhere { .. } => true,
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

/// How an upload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The node knows the file; it had `resumed_bytes` of it before.
    Opened {
        upload: UploadId,
        video: VideoId,
        resumed_bytes: u64,
        /// Nodes that each part is to be on before it is acknowledged.
        copies: u8,
    },
    /// The cluster may have the file: it is hashed before anything is sent.
    Hashing { done_bytes: u64 },
    /// A chunk of so many bytes is on the disks of so many nodes.
    Stored { bytes: u32, copies: u8 },
    /// All is there; the node has verified so much of it.
    Verifying { done_bytes: u64 },
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    pub video: VideoId,
    pub hash: BlobHash,
    /// There was such a video before.
    pub was_there: bool,
    /// Some of it went over the wire.
    pub was_sent: bool,
}

/// How to begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Begin {
    /// Forget what the node has of an older file of the same look.
    pub is_fresh: bool,
    /// Go on at this node even if another, which cannot be reached from here, has begun.
    pub is_here: bool,
}

/// How a node is, and who else is there.
///
/// # Errors
/// The connection breaks.
pub async fn look(connection: &Connection, size_bytes: u64) -> Result<Outlook, Error> {
    match ask(connection, &Request::Look(Look { size_bytes })).await? {
        Answer::Seen(outlook) => Ok(outlook),
        _ => Err(Error::Protocol),
    }
}

/// Hashes the whole file and asks whether the cluster has it; if so it is a video now.
///
/// # Errors
/// The file cannot be read; the connection breaks.
pub async fn known(
    connection: &Connection,
    source: &Arc<Source>,
    on_event: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Option<Finished>, Error> {
    // What counts against a quota comes in by `Open`.
    if source.secret.is_some() {
        return Ok(None);
    }
    let mut secret = [0; 32];
    connection
        .export_keying_material(&mut secret, PROOF_LABEL, b"")
        .map_err(|_| Error::Protocol)?;
    let shared = Arc::clone(source);
    let (hash, proof) = blocking(move || {
        shared.hash_all(&|done_bytes| on_event(Event::Hashing { done_bytes }))?;
        let hash = shared.root()?;
        Ok::<_, Error>((hash, shared.prove(&secret, &hash)?))
    })
    .await?;
    let request = Request::Known(Known {
        hash,
        size_bytes: source.size_bytes(),
        filename: source.filename().to_owned(),
        proof,
    });
    match ask(connection, &request).await? {
        Answer::Known { video, was_there } => Ok(Some(Finished {
            video,
            hash,
            was_there,
            was_sent: false,
        })),
        Answer::Unknown => Ok(None),
        _ => Err(Error::Protocol),
    }
}

/// One request, one answer.
async fn ask(connection: &Connection, request: &Request) -> Result<Answer, Error> {
    let (mut send, mut recv) = connection.open_bi().await?;
    write_frame(&mut send, request, SILENCE_MAX).await?;
    drop(send.finish());
    match read_frame(&mut recv, ANSWER_MAX, SILENCE_MAX).await? {
        Answer::Refused(refused) => Err(refused.into()),
        answer => Ok(answer),
    }
}

/// Sends what the node lacks of `source` over `connection`, and waits until it is a video.
///
/// # Errors
/// See [`Error::is_retryable`] for whether a new connection may help.
pub async fn upload(
    connection: &Connection,
    source: &Arc<Source>,
    begin: Begin,
    on_event: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Finished, Error> {
    let on_event: OnEvent = Arc::new(on_event);
    let opened = open(connection, source, begin).await?;
    let resumed_bytes = (0..opened.have.chunks())
        .filter(|&index| opened.have.contains(index))
        .map(|index| u64::from(source.layout().length(index)))
        .sum();
    on_event(Event::Opened {
        upload: opened.upload,
        video: opened.video,
        resumed_bytes,
        copies: opened.copies,
    });
    if let Some(hash) = opened.finished {
        return Ok(Finished {
            video: opened.video,
            hash,
            was_there: true,
            was_sent: false,
        });
    }
    send_missing(connection, source, &opened, &on_event).await?;
    let shared = Arc::clone(source);
    let hash = blocking(move || shared.root()).await?;
    let (video, hash) = finish(connection, opened.upload, hash, &on_event).await?;
    Ok(Finished {
        video,
        hash,
        was_there: false,
        was_sent: true,
    })
}

type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

pub(super) async fn open(
    connection: &Connection,
    source: &Source,
    begin: Begin,
) -> Result<Opened, Error> {
    let request = Request::Open(Open {
        key: source.key(),
        filename: source.filename().to_owned(),
        size_bytes: source.size_bytes(),
        secret: source.secret,
        fresh: begin.is_fresh,
        here: begin.is_here,
        first: source.first(),
    });
    match ask(connection, &request).await? {
        Answer::Opened(opened)
            if opened.chunk_size == CHUNK_SIZE
                && opened.have.chunks() == source.layout().chunks() =>
        {
            Ok(opened)
        }
        Answer::Elsewhere { node, address } => Err(Error::Elsewhere { node, address }),
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
                let length = source.layout().length(index);
                let put = Put {
                    upload,
                    index,
                    hash,
                    length,
                };
                source
                    .sent_bytes
                    .fetch_add(u64::from(length), Ordering::Relaxed);
                let copies = send_chunk(&connection, put, bytes).await?;
                on_event(Event::Stored {
                    bytes: length,
                    copies,
                });
            }
        });
    }
    while let Some(stream) = streams.join_next().await {
        // Dropping the set at the first error stops the others.
        stream.map_err(|error| Error::Broken(error.to_string()))??;
    }
    Ok(())
}

async fn send_chunk(connection: &Connection, put: Put, bytes: Bytes) -> Result<u8, Error> {
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

async fn try_chunk(connection: &Connection, put: Put, mut bytes: Bytes) -> Result<u8, Error> {
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
        Answer::Stored { index, copies } if index == put.index => Ok(copies),
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
