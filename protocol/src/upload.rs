//! Pure: the upload protocol: chunks in any order, each named by its hash, acknowledged once on disk.
//!
//! Every bidirectional stream carries one [`Request`] and its answers.
//! `Open` says which chunks the node holds, each `Put` brings one chunk on a stream of its own,
//! `Finish` has the whole verified and makes it a video.
//! Before that `Look` asks how a node is, and `Known` whether the bytes are in the cluster already.
//!
//! A chunk's hash is the chaining value of its subtree in the file's BLAKE3 tree (BLAKE3 paper,
//! 5.1), so the hash of the whole file follows from the chunks' hashes and nothing is hashed twice.

use bincode::{Decode, Encode};
use blake3::hazmat::{self, HasherExt, Mode};

use crate::access::Secret;
use crate::code::ErrorCode;
use crate::id::{BlobHash, UploadId, VideoId};
use crate::time::Timestamp;

/// Bytes of a chunk; the last one of a file may be shorter. A power of two of at least 1 KiB,
/// or chunks would not be subtrees of the file's hash tree.
pub const CHUNK_SIZE: u32 = 4 << 20;

/// Largest file in bytes: its chunk map still fits a frame with much room.
pub const FILE_SIZE_MAX: u64 = 16 << 40;

/// Largest request frame in bytes: `Open` with the longest name.
pub const REQUEST_MAX: usize = 4 << 10;

/// Largest answer frame in bytes: `Opened` with the map of the largest file.
pub const ANSWER_MAX: usize = 800 << 10;

/// Longest file name in bytes that is looked at; longer ones are refused.
pub const NAME_BYTES_MAX: usize = 1024;

/// Longest file name in characters that is kept where nothing else is configured; longer ones are
/// cut before their extension.
pub const NAME_CHARS_MAX: usize = 255;

/// What a client says first on a stream. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    Open(Open),
    /// `length` bytes of chunk follow the frame, then the end of the stream.
    Put(Put),
    Finish(Finish),
    /// How is this node, and who else is there?
    Look(Look),
    /// Make a video of bytes that the cluster has.
    Known(Known),
}

/// Begins an upload, or finds the one that was begun with the same key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Open {
    pub key: FileKey,
    /// As the client's system has it; only ever shown.
    pub filename: String,
    pub size_bytes: u64,
    /// Forget what an earlier upload with this key left behind.
    pub fresh: bool,
    /// Take the upload over even if the node that has it is up: the client cannot reach that one.
    pub here: bool,
    /// Hash of the first chunk, by which an upload that was begun over HTTP is found: those have
    /// no key.
    pub first: Option<ChunkHash>,
    /// For a node that lets nobody in without.
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Look {
    /// Of the file that is to be sent.
    pub size_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Known {
    /// Of the whole file.
    pub hash: BlobHash,
    pub size_bytes: u64,
    /// As in [`Open`].
    pub filename: String,
    pub proof: Proof,
}

/// Proof that somebody has a file and not only heard of its hash: a keyed hash of parts of it.
///
/// Key and parts follow from the TLS connection (RFC 8446, 7.5), so nobody can choose them, and
/// what was said on another connection proves nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Proof([u8; 32]);

/// What both ends export from their connection for a [`Proof`].
pub const PROOF_LABEL: &[u8] = b"EXPORTER-reelmesh-upload-proof";

/// Parts of a file that are looked at, and the bytes of each. Whoever has nine tenths of a file
/// passes once in 800 times.
const PROOF_PARTS: usize = 64;
const PROOF_PART_BYTES: u32 = 256;

impl Proof {
    /// Where to look: offsets and lengths, in order.
    pub fn parts(secret: &[u8; 32], size_bytes: u64) -> Vec<(u64, u32)> {
        let length = u64::from(PROOF_PART_BYTES).min(size_bytes);
        let mut drawn = [0; PROOF_PARTS * 8];
        blake3::Hasher::new_keyed(secret)
            .update(b"parts")
            .finalize_xof()
            .fill(&mut drawn);
        let (offsets, _) = drawn.as_chunks::<8>();
        let mut offsets: Vec<u64> = offsets
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes) % (size_bytes - length + 1))
            .collect();
        offsets.sort_unstable();
        let length = u32::try_from(length).unwrap_or(PROOF_PART_BYTES);
        offsets.into_iter().map(|offset| (offset, length)).collect()
    }

    /// From the bytes of all parts, in order.
    pub fn new(secret: &[u8; 32], hash: &BlobHash, parts: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(secret);
        hasher.update(hash.as_bytes()).update(parts);
        Self(*hasher.finalize().as_bytes())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Put {
    pub upload: UploadId,
    pub index: u32,
    pub hash: ChunkHash,
    pub length: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Finish {
    pub upload: UploadId,
    /// Hash of the whole file as the client read it.
    pub hash: BlobHash,
}

/// What a node answers. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    Opened(Opened),
    /// The chunk and the note of it are on disk.
    Stored {
        index: u32,
        /// On so many nodes.
        copies: u8,
    },
    /// Sent now and then while the whole is verified, so that silence means trouble.
    Verifying {
        done_bytes: u64,
    },
    Finished {
        video: VideoId,
        hash: BlobHash,
    },
    Refused(Refused),
    Seen(Outlook),
    /// The upload was begun at another node, which is up: go there.
    Elsewhere {
        node: String,
        /// Host and port.
        address: String,
    },
    /// The bytes were in the cluster; this is the video.
    Known {
        video: VideoId,
        /// There was such a video before.
        was_there: bool,
    },
    /// The cluster does not have these bytes: send them.
    Unknown,
}

/// What a client needs to know to choose a node.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Outlook {
    /// Its name.
    pub node: String,
    pub site: String,
    /// That an upload may take.
    pub free_bytes: u64,
    /// Under way there.
    pub uploads: u32,
    /// Busy share of its cores, 0 to 1000.
    pub cpu_permille: u16,
    /// It does not want uploads now: it drains, or only renders.
    pub is_closed: bool,
    /// TCP port of its web page, on the same host.
    pub http_port: u16,
    /// Some original has exactly the size that was asked about: hash the file before sending it.
    pub has_twin: bool,
    /// Other nodes that are up.
    pub peers: Vec<PeerAddress>,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PeerAddress {
    pub node: String,
    /// Host and port.
    pub address: String,
}

/// Other nodes that are told of at most, so that the answer stays small.
pub const PEERS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Opened {
    pub upload: UploadId,
    pub video: VideoId,
    pub chunk_size: u32,
    pub have: ChunkMap,
    /// The upload is complete already; nothing is left to send.
    pub finished: Option<BlobHash>,
    /// When the upload lapses if nobody touches it.
    pub expires_at: Timestamp,
    /// Nodes that a chunk is to be on before it is acknowledged.
    pub copies: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub code: ErrorCode,
    /// A whole sentence for a person.
    pub message: String,
}

/// What a client knows a file by before it has read it: name, size, time of change and the hashes
/// of the first and the last chunk. It finds an upload again when the client remembers nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct FileKey([u8; 32]);

impl FileKey {
    pub fn new(
        filename: &str,
        size_bytes: u64,
        modified: Timestamp,
        first: &ChunkHash,
        last: &ChunkHash,
    ) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("reelmesh 2026 upload file key v1");
        hasher
            .update(&size_bytes.to_le_bytes())
            .update(&modified.as_millis().to_le_bytes())
            .update(&first.0)
            .update(&last.0)
            // Last, since it alone has no fixed length.
            .update(filename.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

/// The chaining value of a chunk in the file's BLAKE3 tree; of a file's only chunk, its plain hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ChunkHash([u8; 32]);

impl ChunkHash {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of chunk `index` of a file that is cut by `layout`, from bytes in memory.
    pub fn of(layout: Layout, index: u32, bytes: &[u8]) -> Self {
        let mut hasher = ChunkHasher::new(layout, index);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl std::fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", BlobHash::from_bytes(self.0).short())
    }
}

/// Hashes one chunk as its bytes come. Give it 64 KiB or more at a time, or it cannot use the
/// processor's wide instructions.
#[derive(Debug, Clone)]
pub struct ChunkHasher {
    hasher: blake3::Hasher,
    /// A file of one chunk has no parent nodes above it: that chunk is the root.
    is_root: bool,
    room: u64,
}

impl ChunkHasher {
    /// # Panics
    /// If the file has no chunk `index`.
    pub fn new(layout: Layout, index: u32) -> Self {
        assert!(index < layout.chunks(), "the chunk is one of the file's");
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(layout.offset(index));
        Self {
            hasher,
            is_root: layout.chunks() == 1,
            room: u64::from(layout.length(index)),
        }
    }

    /// Takes more bytes; those beyond the chunk's length would belong to the next chunk and are
    /// left out.
    pub fn update(&mut self, bytes: &[u8]) {
        let taken = usize::try_from(self.room).map_or(bytes.len(), |room| room.min(bytes.len()));
        self.room -= taken as u64;
        self.hasher.update(&bytes[..taken]);
    }

    /// How many bytes the chunk still lacks.
    pub const fn missing(&self) -> u64 {
        self.room
    }

    pub fn finish(&self) -> ChunkHash {
        if self.is_root || self.hasher.count() == 0 {
            ChunkHash(*self.hasher.finalize().as_bytes())
        } else {
            ChunkHash(self.hasher.finalize_non_root())
        }
    }
}

/// How a file of some size is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    size_bytes: u64,
}

impl Layout {
    /// `None` for an empty file, and for one larger than [`FILE_SIZE_MAX`].
    pub const fn new(size_bytes: u64) -> Option<Self> {
        if size_bytes == 0 || size_bytes > FILE_SIZE_MAX {
            return None;
        }
        Some(Self { size_bytes })
    }

    pub const fn size_bytes(self) -> u64 {
        self.size_bytes
    }

    /// How many chunks the file has, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "FILE_SIZE_MAX / CHUNK_SIZE is 4 Mi"
    )]
    pub const fn chunks(self) -> u32 {
        self.size_bytes.div_ceil(CHUNK_SIZE as u64) as u32
    }

    /// Where chunk `index` begins in the file.
    pub const fn offset(self, index: u32) -> u64 {
        index as u64 * CHUNK_SIZE as u64
    }

    /// Bytes of chunk `index`: zero if the file has no such chunk.
    #[expect(clippy::cast_possible_truncation, reason = "at most CHUNK_SIZE")]
    pub const fn length(self, index: u32) -> u32 {
        let left = self.size_bytes.saturating_sub(self.offset(index));
        if left < CHUNK_SIZE as u64 {
            left as u32
        } else {
            CHUNK_SIZE
        }
    }

    /// The BLAKE3 hash of the whole file, from the hashes of all its chunks in order.
    ///
    /// `None` if `hashes` are not as many as the file has chunks.
    pub fn root(self, hashes: &[ChunkHash]) -> Option<BlobHash> {
        if hashes.len() != self.chunks() as usize {
            return None;
        }
        match hashes {
            [] => None,
            [only] => Some(BlobHash::from_bytes(only.0)),
            hashes => {
                let (left, right) = hashes.split_at(left_len(hashes.len()));
                let root = hazmat::merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
                Some(BlobHash::from(root))
            }
        }
    }
}

/// The chaining value over neighbouring chunks; the recursion is as deep as the tree, at most 22.
fn subtree(hashes: &[ChunkHash]) -> [u8; 32] {
    match hashes {
        [only] => only.0,
        hashes => {
            let (left, right) = hashes.split_at(left_len(hashes.len()));
            hazmat::merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The left subtree takes the largest power of two that leaves something for the right
/// (BLAKE3 paper, 2.1).
const fn left_len(chunks: usize) -> usize {
    1 << (chunks - 1).ilog2()
}

/// Which chunks of a file are there: one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChunkMap {
    chunks: u32,
    /// Least significant bit first.
    bits: Vec<u8>,
}

impl ChunkMap {
    /// A map of `chunks` chunks, none of them there.
    pub fn new(chunks: u32) -> Self {
        Self {
            chunks,
            bits: vec![0; chunks.div_ceil(8) as usize],
        }
    }

    pub const fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Total: a map from the wire may have fewer bits than it says.
    pub fn contains(&self, index: u32) -> bool {
        index < self.chunks
            && self
                .bits
                .get(index as usize / 8)
                .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Notes chunk `index`; false if the file has no such chunk.
    pub fn insert(&mut self, index: u32) -> bool {
        self.set(index, true)
    }

    /// Forgets chunk `index`; false if the file has no such chunk.
    pub fn remove(&mut self, index: u32) -> bool {
        self.set(index, false)
    }

    fn set(&mut self, index: u32, there: bool) -> bool {
        if index >= self.chunks {
            return false;
        }
        let Some(byte) = self.bits.get_mut(index as usize / 8) else {
            return false;
        };
        let mask = 1 << (index % 8);
        if there {
            *byte |= mask;
        } else {
            *byte &= !mask;
        }
        true
    }

    /// Indexes of the chunks that are not there, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.chunks).filter(|&index| !self.contains(index))
    }

    pub fn is_full(&self) -> bool {
        self.missing().next().is_none()
    }
}

/// A name to show for a file, made from what a client sent.
///
/// The last component of a path, whichever way its slashes lean, since a name is never a path;
/// without control characters and marks that reorder text; at most `chars_max` characters, cut
/// before the extension.
///
/// # Errors
/// More than [`NAME_BYTES_MAX`] bytes, or nothing left to show.
pub fn display_name(raw: &str, chars_max: usize) -> Result<String, NameError> {
    if raw.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { bytes: raw.len() });
    }
    let last = raw
        .trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let shown: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_reordering(*c))
        .collect();
    let shown = shown.trim();
    if shown.is_empty() || shown.chars().all(|c| c == '.') {
        return Err(NameError::Empty);
    }
    Ok(cut(shown, chars_max))
}

/// Why a name cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the file name has {bytes} bytes, at most {NAME_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    #[error("the file name has no character that can be shown")]
    Empty,
}

/// Marks that make text read in another order than it is written (Unicode 6.3, bidirectional
/// formatting): `gpj.exe` must not pass for `exe.jpg`.
const fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `name` with at most `chars_max` characters; a short extension stays.
fn cut(name: &str, chars_max: usize) -> String {
    if name.chars().count() <= chars_max {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= 16 => (stem, extension),
        _ => (name, ""),
    };
    let tail = 1 + if extension.is_empty() {
        0
    } else {
        1 + extension.chars().count()
    };
    let mut short: String = stem.chars().take(chars_max.saturating_sub(tail)).collect();
    short.push('…');
    if !extension.is_empty() {
        short.push('.');
        short.push_str(extension);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn bytes(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new()
            .update(&length.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_hash_of_the_whole_follows_from_its_chunks() {
        let chunk = CHUNK_SIZE as usize;
        for size in [
            1,
            1024,
            chunk - 1,
            chunk,
            chunk + 1,
            2 * chunk,
            3 * chunk - 5,
            5 * chunk + 1,
        ] {
            let file = bytes(size);
            let layout = Layout::new(size as u64).expect("in range");
            let hashes: Vec<_> = file
                .chunks(chunk)
                .zip(0..)
                .map(|(bytes, index)| ChunkHash::of(layout, index, bytes))
                .collect();
            assert_eq!(layout.root(&hashes), Some(BlobHash::of(&file)), "{size}");
            assert_eq!(layout.root(&hashes[1..]), None);
        }
    }

    #[test]
    fn bytes_beyond_the_chunk_are_left_out() {
        let layout = Layout::new(10).expect("in range");
        let mut hasher = ChunkHasher::new(layout, 0);
        hasher.update(&bytes(20)[..4]);
        assert_eq!(hasher.missing(), 6);
        hasher.update(&bytes(20)[4..]);
        assert_eq!(hasher.missing(), 0);
        assert_eq!(hasher.finish(), ChunkHash::of(layout, 0, &bytes(20)[..10]));
    }

    #[test]
    fn a_layout_covers_the_file_exactly() {
        let layout = Layout::new(u64::from(CHUNK_SIZE) * 2 + 7).expect("in range");
        assert_eq!(layout.chunks(), 3);
        assert_eq!(layout.length(1), CHUNK_SIZE);
        assert_eq!(layout.length(2), 7);
        assert_eq!(layout.length(3), 0);
        assert_eq!(Layout::new(0), None);
        assert_eq!(Layout::new(FILE_SIZE_MAX + 1), None);
    }

    #[test]
    fn the_map_of_the_largest_file_fits_an_answer() {
        let layout = Layout::new(FILE_SIZE_MAX).expect("in range");
        let opened = Answer::Opened(Opened {
            upload: UploadId::from_uuid(uuid::Uuid::max()),
            video: VideoId::from_uuid(uuid::Uuid::max()),
            chunk_size: CHUNK_SIZE,
            have: ChunkMap::new(layout.chunks()),
            finished: None,
            expires_at: Timestamp::from_millis(i64::MAX),
            copies: 2,
        });
        assert!(codec::encode(&opened).expect("fits").len() <= ANSWER_MAX);
    }

    #[test]
    fn a_proof_needs_the_bytes_and_holds_for_one_connection() {
        let file = bytes(100_000);
        let hash = BlobHash::of(&file);
        let prove = |secret: &[u8; 32], file: &[u8]| {
            let parts: Vec<u8> = Proof::parts(secret, file.len() as u64)
                .into_iter()
                .flat_map(|(offset, length)| {
                    let offset = usize::try_from(offset).expect("small");
                    file[offset..offset + length as usize].to_vec()
                })
                .collect();
            Proof::new(secret, &hash, &parts)
        };
        assert_eq!(prove(&[1; 32], &file), prove(&[1; 32], &file));
        assert_ne!(prove(&[1; 32], &file), prove(&[2; 32], &file));
        let half = [&file[..50_000], &vec![0; 50_000]].concat();
        assert_ne!(prove(&[1; 32], &file), prove(&[1; 32], &half));
        let tiny = [7; 3];
        assert_eq!(prove(&[1; 32], &tiny), prove(&[1; 32], &tiny));
        assert_eq!(Proof::parts(&[1; 32], 3)[0], (0, 3));
    }

    #[test]
    fn a_map_that_lies_about_its_length_is_harmless() {
        let mut map = ChunkMap {
            chunks: u32::MAX,
            bits: vec![1],
        };
        assert!(map.contains(0) && !map.contains(9));
        assert!(!map.insert(100));
        map.remove(0);
        assert_eq!(map.missing().next(), Some(0));
    }

    #[test]
    fn names_are_text_and_never_paths() {
        let check =
            |raw: &str, shown: &str| assert_eq!(display_name(raw, 255).as_deref(), Ok(shown));
        check("reel.mov", "reel.mov");
        check("../x", "x");
        check("..\\..\\secret/clip.mp4", "clip.mp4");
        check("folder/", "folder");
        check(" a\0b\nc\u{202e}4pm.exe ", "abc4pm.exe");
        check("影片.mp4", "影片.mp4");
        assert_eq!(display_name("/", 255), Err(NameError::Empty));
        assert_eq!(display_name("a/..", 255), Err(NameError::Empty));
        assert_eq!(display_name(" \n", 255), Err(NameError::Empty));
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_a_huge_one_is_refused() {
        let shown = display_name(&format!("{}.mp4", "名".repeat(300)), NAME_CHARS_MAX)
            .expect("300 characters");
        assert_eq!(shown.chars().count(), NAME_CHARS_MAX);
        assert!(shown.ends_with("名….mp4"), "{shown}");
        let shown = display_name(&"n".repeat(300), NAME_CHARS_MAX).expect("300 characters");
        assert_eq!(shown.chars().count(), NAME_CHARS_MAX);
        assert_eq!(
            display_name(&"名".repeat(500), 255),
            Err(NameError::TooLong { bytes: 1500 })
        );
    }
}
