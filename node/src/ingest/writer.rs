//! Bytes from the network into the spool: hashed and written as they come, noted once whole.
//!
//! A writer holds two buffers, never a whole chunk, so memory follows the number of streams and
//! not the size of chunks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use protocol::upload::{ChunkHash, ChunkHasher};
use tokio::sync::OwnedRwLockReadGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::live::{Claim, Live, Pending, Ticket};
use super::session::Record;
use super::{Error, blocking, join, spool};

/// Bytes gathered before they are hashed and written: packets are small, and BLAKE3 and the disk
/// like large pieces. A writer holds two such buffers.
const BUFFER_BYTES: usize = 256 << 10;

/// Whole chunks of one in-order upload that may wait for the disk while the next is received.
const COMMITS_AHEAD_MAX: usize = 4;

/// A sender that brings nothing for so long has gone, whatever its socket says.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Leave to write, held by every piece of work that is still under way: whoever takes over waits
/// until the last of them has ended.
type Leave = Arc<OwnedRwLockReadGuard<()>>;

/// Writes one chunk. What it wrote counts only after a commit.
///
/// While one buffer is hashed and written, the next is filled.
#[derive(Debug)]
pub struct ChunkWriter {
    live: Arc<Live>,
    index: u32,
    /// Bytes of the chunk that are hashed and written, or about to be.
    written: u32,
    /// Away while it is hashing. Boxed: it has two kilobytes, and goes from hand to hand.
    hasher: Option<Box<ChunkHasher>>,
    buffer: BytesMut,
    /// A buffer that is being hashed and written, and comes back.
    behind: Option<JoinHandle<Flushed>>,
    /// The chunk is here already, with this hash: what comes is compared, never written over it.
    known: Option<ChunkHash>,
    /// Held so that no other stream writes the same chunk, until the last write has ended.
    held: Arc<(Claim, Leave)>,
}

type Flushed = (Box<ChunkHasher>, BytesMut, Result<(), spool::Error>);

impl ChunkWriter {
    /// # Errors
    /// The file has no such chunk, or another stream writes it.
    fn new(live: &Arc<Live>, leave: &Leave, index: u32) -> Result<Self, Error> {
        if index >= live.layout().chunks() {
            return Err(Error::Invalid(format!("the file has no chunk {index}")));
        }
        let claim = live.claim(index)?;
        Ok(Self {
            live: Arc::clone(live),
            index,
            written: 0,
            hasher: Some(Box::new(ChunkHasher::new(live.layout(), index))),
            buffer: BytesMut::new(),
            behind: None,
            known: live.session().hash(index).copied(),
            held: Arc::new((claim, Arc::clone(leave))),
        })
    }

    /// Goes on behind the first `length` bytes, whose state is `hasher`.
    fn resume(mut self, length: u32, hasher: ChunkHasher) -> Self {
        self.written = length;
        self.hasher = Some(Box::new(hasher));
        self
    }

    /// Bytes that the chunk still lacks.
    pub fn missing(&self) -> usize {
        let length = self.live.layout().length(self.index) as usize;
        length - self.written as usize - self.buffer.len()
    }

    /// Takes as much of `bytes` as the chunk lacks and leaves the rest.
    pub async fn push(&mut self, bytes: &mut Bytes) -> Result<(), Error> {
        while !bytes.is_empty() && self.missing() > 0 {
            let room = BUFFER_BYTES - self.buffer.len();
            let taken = room.min(self.missing()).min(bytes.len());
            self.buffer.extend_from_slice(&bytes.split_to(taken));
            if self.buffer.len() == BUFFER_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Begins to hash and write what is in the buffer, once the buffer before is done.
    async fn flush(&mut self) -> Result<(), Error> {
        let spare = self.settle().await?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let buffer = std::mem::replace(&mut self.buffer, spare);
        let mut hasher = self.hasher.take().ok_or(Error::Poisoned)?;
        let offset = self.live.layout().offset(self.index) + u64::from(self.written);
        self.written += u32::try_from(buffer.len()).expect("a buffer is smaller than a chunk");
        let (live, held) = (Arc::clone(&self.live), Arc::clone(&self.held));
        let is_new = self.known.is_none();
        self.behind = Some(tokio::task::spawn_blocking(move || {
            hasher.update(&buffer);
            let result = if is_new {
                live.folder().write_at(&buffer, offset)
            } else {
                Ok(())
            };
            // Not before: even if nobody waits any more, this was a write to the chunk.
            drop(held);
            (hasher, buffer, result)
        }));
        Ok(())
    }

    /// Waits until all that was begun is written; the buffer that it leaves behind.
    async fn settle(&mut self) -> Result<BytesMut, Error> {
        let Some(behind) = self.behind.take() else {
            return Ok(BytesMut::new());
        };
        let (hasher, mut buffer, result) = join(behind).await;
        result?;
        self.hasher = Some(hasher);
        buffer.clear();
        Ok(buffer)
    }

    /// The whole chunk is written: its record. Asks for nothing on disk yet.
    async fn whole(mut self) -> Result<(Self, ChunkHash), Error> {
        self.flush().await?;
        self.settle().await?;
        let hash = self.hasher.as_ref().ok_or(Error::Poisoned)?.finish();
        Ok((self, hash))
    }
}

/// Receives chunk `index` from `bytes` and makes it durable. Returns the number of nodes that have
/// it.
///
/// # Errors
/// [`Error::ChunkMismatch`] if the bytes are not those announced; then nothing is noted.
pub async fn put<S, E>(
    live: &Arc<Live>,
    ticket: &Ticket,
    index: u32,
    hash: ChunkHash,
    bytes: S,
) -> Result<u8, Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let leave = Arc::new(live.enter(ticket).await?);
    if live.session().has(index) {
        return match live.session().hash(index) {
            Some(known) if *known == hash => Ok(1),
            _ => Err(Error::FileMismatch),
        };
    }
    let mut writer = ChunkWriter::new(live, &leave, index)?;
    let mut bytes = std::pin::pin!(bytes);
    while let Some(mut piece) = next(ticket, &mut bytes).await? {
        writer.push(&mut piece).await?;
        if !piece.is_empty() {
            return Err(Error::ChunkMismatch { index });
        }
    }
    if writer.missing() > 0 {
        return Err(Error::ChunkMismatch { index });
    }
    let (writer, found) = writer.whole().await?;
    if found != hash {
        return Err(Error::ChunkMismatch { index });
    }
    let copies = live.commit(Record::Chunk { index, hash }).await?;
    drop(writer);
    Ok(copies)
}

/// How bytes that come in order are taken.
#[derive(Debug)]
pub struct Append {
    pub offset: u64,
    /// How far it may go where the length of the whole is not known yet.
    pub room: Room,
    /// Nothing counts before this was found right.
    pub check: Option<Box<dyn Check>>,
}

/// Bound of an upload whose length is not known yet.
#[derive(Debug, Clone, Copy)]
pub enum Room {
    /// The largest file that is accepted.
    Size(u64),
    /// What is free on the disk, and the offset that it reaches to.
    Disk { free_bytes: u64, end: u64 },
}

/// Looks at bytes as they come, and says at the end whether they are those that were meant.
pub trait Check: Send + std::fmt::Debug {
    fn update(&mut self, bytes: &[u8]);

    /// # Errors
    /// They are not, or what they should be cannot be understood.
    fn finish(&mut self) -> Result<(), Error>;
}

/// As [`append_with`], for a whole of known length.
///
/// # Errors
/// As there.
pub async fn append<S, E>(
    live: &Arc<Live>,
    ticket: &Ticket,
    offset: u64,
    bytes: S,
) -> Result<u64, Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let append = Append {
        offset,
        room: Room::Size(protocol::upload::FILE_SIZE_MAX),
        check: None,
    };
    append_with(live, ticket, append, bytes).await
}

/// Receives bytes in order from an offset on, for a client that speaks tus. Returns the offset
/// that is on disk, all of it acknowledged by a sync.
///
/// When the sender goes away or somebody takes over, what had arrived by then is kept, unless it
/// was to be checked first.
///
/// # Errors
/// [`Error::Offset`] if the upload stands elsewhere.
pub async fn append_with<S, E>(
    live: &Arc<Live>,
    ticket: &Ticket,
    append: Append,
    bytes: S,
) -> Result<u64, Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let Append {
        offset,
        room,
        mut check,
    } = append;
    let leave = Arc::new(live.enter(ticket).await?);
    let length = live.length();
    let end = length.unwrap_or(match room {
        Room::Size(bytes) => bytes,
        Room::Disk { end, .. } => end,
    });
    let expected = live.session().offset();
    if offset != expected {
        return Err(Error::Offset {
            expected,
            given: offset,
        });
    }
    let mut notes = Notes::new(live, check.is_some());
    let mut bytes = std::pin::pin!(bytes);
    let mut writer: Option<ChunkWriter> = None;
    let mut at = offset;
    let mut result = Ok(());
    'receive: loop {
        let mut piece = match next(ticket, &mut bytes).await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        if let Some(check) = &mut check {
            check.update(&piece);
        }
        while !piece.is_empty() {
            if at == end {
                result = Err(beyond(length, room, end));
                break 'receive;
            }
            let mut taken = piece.split_to(piece.len().min(within(end - at)));
            while !taken.is_empty() {
                let mut current = match writer.take() {
                    Some(writer) => writer,
                    None => begin(live, &leave, at).await?,
                };
                let before = taken.len();
                current.push(&mut taken).await?;
                at += (before - taken.len()) as u64;
                if current.missing() == 0 {
                    notes.chunk(current).await?;
                } else {
                    writer = Some(current);
                }
            }
        }
    }
    if let Some(mut check) = check {
        // Half of what was to be checked as a whole says nothing.
        result?;
        check.finish()?;
        result = Ok(());
    }
    // Whatever ended it: what is here is kept.
    if let Some(writer) = writer {
        notes.tail(writer).await?;
    }
    notes.wait().await?;
    result.map(|()| live.session().offset())
}

const fn beyond(length: Option<u64>, room: Room, end: u64) -> Error {
    match (length, room) {
        (Some(size_bytes), _) => Error::TooMuch { size_bytes },
        (None, Room::Size(max_bytes)) => Error::TooLarge {
            size_bytes: end + 1,
            max_bytes,
        },
        (None, Room::Disk { free_bytes, .. }) => Error::NoSpace {
            size_bytes: free_bytes + 1,
            free_bytes,
            elsewhere: None,
        },
    }
}

fn within(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// What one in-order stream has noted, or will once it is known to be right.
struct Notes<'a> {
    live: &'a Arc<Live>,
    /// Written, and not to be noted before the whole is checked.
    held: Option<Vec<Record>>,
    pending: VecDeque<Pending>,
}

impl<'a> Notes<'a> {
    const fn new(live: &'a Arc<Live>, is_held: bool) -> Self {
        Self {
            live,
            held: if is_held { Some(Vec::new()) } else { None },
            pending: VecDeque::new(),
        }
    }

    async fn chunk(&mut self, writer: ChunkWriter) -> Result<(), Error> {
        let (writer, hash) = writer.whole().await?;
        let index = writer.index;
        match writer.known {
            Some(known) if known == hash => Ok(()),
            Some(_) => Err(Error::FileMismatch),
            None => self.note(Record::Chunk { index, hash }).await,
        }
    }

    async fn tail(&mut self, writer: ChunkWriter) -> Result<(), Error> {
        if writer.known.is_some() {
            return Ok(());
        }
        let (writer, hash) = writer.whole().await?;
        let record = Record::Tail {
            index: writer.index,
            length: writer.written,
            hash,
        };
        self.note(record).await
    }

    async fn note(&mut self, record: Record) -> Result<(), Error> {
        if let Some(held) = &mut self.held {
            held.push(record);
            return Ok(());
        }
        self.pending.push_back(self.live.submit(record).await?);
        if self.pending.len() > COMMITS_AHEAD_MAX
            && let Some(oldest) = self.pending.pop_front()
        {
            oldest.wait().await?;
        }
        Ok(())
    }

    /// Waits until all of it is on disk.
    async fn wait(mut self) -> Result<(), Error> {
        for record in self.held.take().unwrap_or_default() {
            self.pending.push_back(self.live.submit(record).await?);
        }
        for commit in self.pending {
            commit.wait().await?;
        }
        Ok(())
    }
}

/// A writer at `offset`: at the start of a chunk, or behind the tail of one that was begun.
async fn begin(live: &Arc<Live>, leave: &Leave, offset: u64) -> Result<ChunkWriter, Error> {
    let layout = live.layout();
    let index = u32::try_from(offset / layout.offset(1)).expect("within the file");
    let length = u32::try_from(offset % layout.offset(1)).expect("less than a chunk");
    let writer = ChunkWriter::new(live, leave, index)?;
    if live.length().is_none() {
        let (shared, range) = (Arc::clone(live), offset..layout.offset(index + 1));
        blocking(move || shared.folder().reserve(range)).await?;
    }
    if length == 0 {
        return Ok(writer);
    }
    let noted = live.session().tail().map(|tail| tail.hash);
    let folder = Arc::clone(live);
    let hasher = blocking(move || folder.folder().hash(index, length)).await?;
    if noted != Some(hasher.finish()) {
        // The bytes on disk are not those that were noted: the chunk starts anew.
        let record = Record::Tail {
            index,
            length: 0,
            hash: ChunkHasher::new(layout, index).finish(),
        };
        live.commit(record).await?;
        return Err(Error::Offset {
            expected: layout.offset(index),
            given: offset,
        });
    }
    Ok(writer.resume(length, hasher))
}

/// The next piece, unless somebody takes over first.
async fn next<S, E>(
    ticket: &Ticket,
    bytes: &mut std::pin::Pin<&mut S>,
) -> Result<Option<Bytes>, Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    tokio::select! {
        biased;
        () = ticket.superseded() => Err(Error::Superseded),
        piece = timeout(SILENCE_MAX, bytes.next()) => match piece {
            Err(_) => Err(Error::Gone("it fell silent".to_owned())),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(Error::Gone(error.to_string())),
        },
    }
}
