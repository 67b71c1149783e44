//! Pure: one upload: which chunks are in, what is next, when it lapses.
//!
//! Everything that happens to a session after it was opened is a [`Record`]; the spool writes
//! records in order, and replaying them gives the session back.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use protocol::id::{BlobHash, UploadId, VideoId};
use protocol::time::{Span, Timestamp};
use protocol::upload::{ChunkHash, ChunkMap, FileKey, Layout};

use super::shape::Shape;

/// What is known about an upload when it is opened, and how far its end has come.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Meta {
    pub upload: UploadId,
    pub video: VideoId,
    /// By which a client that remembers nothing finds it again; uploads over HTTP have none.
    pub key: Option<FileKey>,
    pub filename: String,
    /// What else the client said, given back to it and not looked at.
    pub metadata: Option<String>,
    /// Zero while it is not known.
    pub size_bytes: u64,
    pub created_at: Timestamp,
    pub stage: Stage,
    pub shape: Shape,
    /// The API token that it counts against.
    pub owner: Option<BlobHash>,
}

impl Meta {
    /// How the bytes are cut; `None` if no file can have such a size.
    pub fn layout(&self) -> Option<Layout> {
        self.shape.layout(self.size_bytes)
    }

    /// Bytes of the whole, once they are known.
    pub fn length(&self) -> Option<u64> {
        self.shape.is_measured().then_some(self.size_bytes)
    }
}

/// How far an upload has come. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Stage {
    Receiving = 0,
    /// All bytes are verified; the file is about to move, or has moved, into the blob store.
    Adopting(BlobHash) = 1,
    /// The catalogue knows it. Kept for a while so that a late client hears of it.
    Finished(BlobHash) = 2,
}

/// What happened to a session. Append only: the spool's log holds the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// The chunk is on disk.
    Chunk { index: u32, hash: ChunkHash },
    /// The first `length` bytes of the chunk are on disk.
    Tail {
        index: u32,
        length: u32,
        hash: ChunkHash,
    },
    /// What is on disk is not what was noted: the chunk is missing again.
    Lost { index: u32 },
}

/// One upload as far as its bytes go.
#[derive(Debug, Clone)]
pub struct Session {
    layout: Layout,
    chunks: BTreeMap<u32, ChunkHash>,
    /// Number of chunks from the start without a gap.
    prefix: u32,
    /// The begin of the chunk right after the prefix, for clients that send in order.
    tail: Option<Tail>,
    touched_at: Timestamp,
}

/// The begin of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    pub index: u32,
    /// Bytes, fewer than the chunk has.
    pub length: u32,
    pub hash: ChunkHash,
}

impl Session {
    pub fn new(layout: Layout, touched_at: Timestamp) -> Self {
        Self {
            layout,
            chunks: BTreeMap::new(),
            prefix: 0,
            tail: None,
            touched_at,
        }
    }

    /// Takes note of `record`; false if it makes no sense for this file, and then nothing changed.
    pub fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::Chunk { index, hash } => {
                if index >= self.layout.chunks() {
                    return false;
                }
                self.chunks.insert(index, hash);
                while self.chunks.contains_key(&self.prefix) {
                    self.prefix += 1;
                }
            }
            Record::Tail {
                index,
                length,
                hash,
            } => {
                if length >= self.layout.length(index) {
                    return false;
                }
                self.tail = Some(Tail {
                    index,
                    length,
                    hash,
                });
            }
            Record::Lost { index } => {
                if index >= self.layout.chunks() {
                    return false;
                }
                self.chunks.remove(&index);
                self.prefix = self.prefix.min(index);
            }
        }
        // A tail counts only right behind the prefix: everything else is sent as whole chunks.
        if self.tail.is_some_and(|tail| tail.index != self.prefix) {
            self.tail = None;
        }
        true
    }

    /// Notes that somebody cares.
    pub fn touch(&mut self, now: Timestamp) {
        self.touched_at = self.touched_at.max(now);
    }

    pub const fn layout(&self) -> Layout {
        self.layout
    }

    pub fn has(&self, index: u32) -> bool {
        self.chunks.contains_key(&index)
    }

    pub fn hash(&self, index: u32) -> Option<&ChunkHash> {
        self.chunks.get(&index)
    }

    /// Chunks that are in, in order.
    pub fn chunks(&self) -> impl Iterator<Item = (u32, ChunkHash)> + '_ {
        self.chunks.iter().map(|(&index, &hash)| (index, hash))
    }

    pub const fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// Chunks that are in, as the wire wants them.
    pub fn map(&self) -> ChunkMap {
        let mut map = ChunkMap::new(self.layout.chunks());
        for &index in self.chunks.keys() {
            map.insert(index);
        }
        map
    }

    /// How many chunks are missing.
    pub fn missing(&self) -> u32 {
        let there = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.layout.chunks().saturating_sub(there)
    }

    /// Bytes from the start without a gap: the offset of an upload that comes in order.
    pub fn offset(&self) -> u64 {
        let whole = self
            .layout
            .offset(self.prefix)
            .min(self.layout.size_bytes());
        whole + self.tail.map_or(0, |tail| u64::from(tail.length))
    }

    /// Bytes that are in, wherever they lie.
    pub fn received_bytes(&self) -> u64 {
        let last = self.layout.chunks() - 1;
        let chunks = u64::try_from(self.chunks.len()).unwrap_or(u64::MAX);
        let mut bytes = self.layout.offset(1) * chunks;
        if self.chunks.contains_key(&last) {
            bytes -= self.layout.offset(1) - u64::from(self.layout.length(last));
        }
        bytes + self.tail.map_or(0, |tail| u64::from(tail.length))
    }

    /// The hash of the whole file; `None` while chunks are missing.
    pub fn root(&self) -> Option<BlobHash> {
        // The map is in order of index; if it is complete it is the list of all.
        let hashes: Vec<ChunkHash> = self.chunks.values().copied().collect();
        self.layout.root(&hashes)
    }

    /// When it lapses if nobody touches it.
    pub fn expires_at(&self, expiry: Span) -> Timestamp {
        self.touched_at + expiry
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::upload::CHUNK_SIZE;

    use super::*;

    const CHUNK: u64 = CHUNK_SIZE as u64;

    fn session(size_bytes: u64) -> Session {
        Session::new(Layout::new(size_bytes).unwrap(), Timestamp::from_millis(0))
    }

    fn hash(n: u8) -> ChunkHash {
        ChunkHash::from_bytes([n; 32])
    }

    fn chunk(index: u32) -> Record {
        Record::Chunk {
            index,
            hash: hash(1),
        }
    }

    fn tail(index: u32, length: u32) -> Record {
        Record::Tail {
            index,
            length,
            hash: hash(2),
        }
    }

    #[test]
    fn chunks_come_in_any_order_and_the_offset_waits_for_the_gap() {
        let mut s = session(3 * CHUNK + 5);
        assert!(s.apply(chunk(2)) && s.apply(chunk(0)));
        assert_eq!((s.offset(), s.received_bytes()), (CHUNK, 2 * CHUNK));
        assert!(s.apply(chunk(3)));
        assert_eq!((s.offset(), s.received_bytes()), (CHUNK, 2 * CHUNK + 5));
        assert_eq!(s.root(), None);
        assert!(s.apply(chunk(1)));
        assert_eq!((s.offset(), s.missing()), (3 * CHUNK + 5, 0));
        assert!(s.root().is_some() && s.map().is_full());
    }

    #[test]
    fn a_tail_counts_only_behind_the_prefix() {
        let mut s = session(2 * CHUNK);
        assert!(s.apply(tail(0, 7)));
        assert_eq!(s.offset(), 7);
        assert!(s.apply(tail(0, 9)));
        assert_eq!(s.offset(), 9);
        assert!(s.apply(chunk(0)));
        assert_eq!((s.offset(), s.tail()), (CHUNK, None));
        assert!(s.apply(tail(0, 3)));
        assert_eq!((s.offset(), s.tail()), (CHUNK, None), "behind the times");
    }

    #[test]
    fn a_lost_chunk_is_missing_again() {
        let mut s = session(3 * CHUNK);
        (0..3).for_each(|index| assert!(s.apply(chunk(index))));
        assert!(s.apply(Record::Lost { index: 1 }));
        assert_eq!((s.offset(), s.missing()), (CHUNK, 1));
        assert_eq!(s.map().missing().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn records_that_make_no_sense_change_nothing() {
        let mut s = session(CHUNK + 1);
        for record in [
            chunk(2),
            Record::Lost { index: 2 },
            tail(1, 1),
            tail(5, 0),
            tail(0, CHUNK_SIZE),
        ] {
            assert!(!s.apply(record), "{record:?}");
        }
        assert_eq!((s.offset(), s.received_bytes()), (0, 0));
    }

    #[test]
    fn touching_moves_the_end_and_never_backwards() {
        let mut s = session(1);
        s.touch(Timestamp::from_millis(500));
        s.touch(Timestamp::from_millis(100));
        assert_eq!(
            s.expires_at(Span::from_secs(1)),
            Timestamp::from_millis(1500)
        );
    }

    proptest! {
        #[test]
        fn the_sums_agree_with_the_map(
            size in 1..6 * CHUNK,
            records in prop::collection::vec((0..7_u32, 0..3_u8, 0..CHUNK_SIZE), 0..40),
        ) {
            let mut s = session(size);
            for (index, kind, length) in records {
                s.apply(match kind {
                    0 => chunk(index),
                    1 => tail(index, length),
                    _ => Record::Lost { index },
                });
                let map = s.map();
                let layout = s.layout();
                let whole: u64 = s.chunks().map(|(i, _)| u64::from(layout.length(i))).sum();
                let part = s.tail().map_or(0, |tail| u64::from(tail.length));
                prop_assert_eq!(s.received_bytes(), whole + part);
                prop_assert_eq!(s.missing() as usize, map.missing().count());
                let prefix: u64 = (0..layout.chunks())
                    .take_while(|&i| map.contains(i))
                    .map(|i| u64::from(layout.length(i)))
                    .sum();
                prop_assert_eq!(s.offset(), prefix + part);
                prop_assert!(s.offset() <= size);
                prop_assert_eq!(s.root().is_some(), map.is_full());
            }
        }
    }
}
