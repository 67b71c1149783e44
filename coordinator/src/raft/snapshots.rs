//! Snapshots of the catalogue as files: written beside, synced, renamed; the newest two are kept.
//!
//! A file is a magic number and a format version, then blocks of at most 1 MiB, each with its
//! length and CRC-32; the blocks joined are Raft's position and then the records, each with its
//! length; an empty block and a trailer with totals end the file.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bincode::{Decode, Encode};
use protocol::codec;
use protocol::id::BlobHash;
use tracing::{info, warn};

use crate::catalog::Catalog;
use crate::catalog::snapshot::Record;

use super::error::OpenError;
use super::record::{self, StoredMembership};
use super::types::{LogId, SnapshotMeta};
use super::{files, types};

const MAGIC: &[u8; 8] = b"REELSNAP";
const FORMAT: u32 = 1;
const BLOCK_MAX: usize = 1 << 20;
const SUFFIX: &str = "snap";
/// A snapshot that is being received.
const PART: &str = "part";

/// A whole snapshot file, open, so that it can be read to its end even when it is replaced.
#[derive(Debug)]
pub struct SnapshotFile {
    pub path: PathBuf,
    pub file: File,
}

impl SnapshotFile {
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        Ok(Self { path, file })
    }
}

/// What a snapshot holds.
pub(super) struct Loaded {
    pub(super) meta: SnapshotMeta,
    pub(super) catalog: Catalog,
}

/// The folder of snapshots.
#[derive(Debug)]
pub struct Snapshots {
    dir: PathBuf,
    /// Oldest first.
    kept: Mutex<Vec<Kept>>,
    /// Held while a chunk is written.
    receiving: Mutex<()>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    last: LogId,
    path: PathBuf,
}

impl Snapshots {
    /// Opens the folder and loads its newest snapshot that is whole. Blocks.
    pub(super) fn open(dir: &Path) -> Result<(Self, Option<Loaded>), OpenError> {
        let io = OpenError::io("read", dir);
        files::create_dir(dir).map_err(OpenError::io("create", dir))?;
        let mut kept = Vec::new();
        for entry in fs::read_dir(dir).map_err(&io)? {
            let path = entry.map_err(&io)?.path();
            if path.extension().is_some_and(|suffix| suffix == "tmp") {
                fs::remove_file(&path).map_err(&io)?;
            } else if let Some(last) = position(&path) {
                kept.push(Kept { last, path });
            }
        }
        kept.sort();
        let mut loaded = None;
        while let Some(newest) = kept.last() {
            match load(&newest.path) {
                Ok(whole) => {
                    loaded = Some(whole);
                    break;
                }
                Err(error) => {
                    let path = newest.path.display();
                    warn!(%path, %error, "snapshot damaged; an older one is used");
                    let aside = newest.path.with_extension("damaged");
                    fs::rename(&newest.path, aside).map_err(&io)?;
                    kept.pop();
                }
            }
        }
        let snapshots = Self {
            dir: dir.to_owned(),
            kept: Mutex::new(kept),
            receiving: Mutex::default(),
        };
        Ok((snapshots, loaded))
    }

    /// The last entry that the log may lose for good; none: it is needed from its beginning.
    /// So a damaged newest snapshot costs nothing: what is before it, and the log, are whole.
    pub(super) fn expendable(&self) -> Option<LogId> {
        match self.kept.lock().expect("never poisoned").as_slice() {
            [.., older, _] => Some(older.last),
            _ => None,
        }
    }

    /// The newest snapshot. Blocks.
    pub(super) fn newest(&self) -> io::Result<Option<(SnapshotMeta, SnapshotFile)>> {
        let newest = self.kept.lock().expect("never poisoned").last().cloned();
        let Some(newest) = newest else {
            return Ok(None);
        };
        let meta = Reader::open(&newest.path)?.meta()?;
        Ok(Some((meta, SnapshotFile::open(newest.path)?)))
    }

    /// Writes a snapshot; once this returns, it survives the loss of power. Blocks.
    pub(super) fn write(&self, meta: &SnapshotMeta, catalog: &Catalog) -> io::Result<SnapshotFile> {
        let path = self.dir.join(name(meta));
        let beside = path.with_extension("tmp");
        let mut writer = Writer::create(&beside)?;
        writer.frame(&Meta::from(meta))?;
        for record in catalog.records() {
            writer.frame(&record)?;
        }
        let records = writer.finish()?;
        // Read back before any log is given up for it.
        load(&beside)?;
        self.adopt(&beside, &path, meta)?;
        self.keep(2);
        let file = SnapshotFile::open(path)?;
        info!(path = %file.path.display(), records, "snapshot written");
        Ok(file)
    }

    /// Takes over a snapshot from the leader, and only it is kept. Blocks.
    pub(super) fn install(&self, received: &SnapshotFile) -> io::Result<Loaded> {
        let loaded = load(&received.path)?;
        let path = self.dir.join(name(&loaded.meta));
        if received.path != path {
            File::open(&received.path)?.sync_all()?;
            self.adopt(&received.path, &path, &loaded.meta)?;
        }
        self.keep(1);
        Ok(loaded)
    }

    /// A path in this folder for a snapshot that is being received. It keeps what has come if the
    /// transfer, or this program, breaks off.
    pub fn incoming(&self, hash: &BlobHash) -> PathBuf {
        self.dir.join(format!("{hash}.{PART}"))
    }

    /// Prepares for a snapshot of `size_bytes`; says how many bytes of it are here already. What
    /// is left of others is removed. Blocks.
    pub(super) fn begin_incoming(&self, hash: &BlobHash, size_bytes: u64) -> io::Result<u64> {
        let _one = self.receiving.lock().expect("never poisoned");
        let path = self.incoming(hash);
        for entry in fs::read_dir(&self.dir)? {
            let other = entry?.path();
            if other.extension().is_some_and(|suffix| suffix == PART) && other != path {
                fs::remove_file(&other)?;
            }
        }
        let file = File::options().create(true).append(true).open(&path)?;
        let held = file.metadata()?.len();
        if held > size_bytes {
            file.set_len(0)?;
            return Ok(0);
        }
        Ok(held)
    }

    /// Takes `bytes` if they follow what is here; says how much is here then. Blocks.
    pub(super) fn write_incoming(
        &self,
        hash: &BlobHash,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<u64> {
        let _one = self.receiving.lock().expect("never poisoned");
        let mut file = File::options().append(true).open(self.incoming(hash))?;
        let held = file.metadata()?.len();
        if held != offset {
            return Ok(held);
        }
        file.write_all(bytes)?;
        Ok(held + bytes.len() as u64)
    }

    fn adopt(&self, beside: &Path, path: &Path, meta: &SnapshotMeta) -> io::Result<()> {
        fs::rename(beside, path)?;
        files::sync_dir(&self.dir)?;
        let mut kept = self.kept.lock().expect("never poisoned");
        kept.retain(|other| other.path != path);
        kept.push(Kept {
            last: meta.last_log_id.unwrap_or_else(nowhere),
            path: path.to_owned(),
        });
        kept.sort();
        drop(kept);
        Ok(())
    }

    fn keep(&self, count: usize) {
        let mut kept = self.kept.lock().expect("never poisoned");
        let surplus = kept.len().saturating_sub(count);
        for old in kept.drain(..surplus) {
            // A file that cannot be removed costs space only.
            if let Err(error) = fs::remove_file(&old.path) {
                warn!(path = %old.path.display(), %error, "old snapshot not removed");
            }
        }
    }
}

/// The position before the first entry.
fn nowhere() -> LogId {
    record::LogId {
        term: 0,
        node: 0,
        index: 0,
    }
    .into()
}

fn name(meta: &SnapshotMeta) -> String {
    let last = meta.last_log_id.unwrap_or_else(nowhere);
    let types::LeaderId { term, node_id } = last.leader_id;
    format!("{term}-{node_id}-{}.{SUFFIX}", last.index)
}

/// The position in the name of a snapshot file; none if it is no such name.
fn position(path: &Path) -> Option<LogId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".snap")?;
    let mut numbers = name.split('-').map(str::parse);
    let mut number = || numbers.next()?.ok();
    let (term, node, index) = (number()?, number()?, number()?);
    Some(record::LogId { term, node, index }.into())
}

/// Where in the log a snapshot stands.
#[derive(Debug, Encode, Decode)]
struct Meta {
    last: Option<record::LogId>,
    membership: StoredMembership,
}

impl From<&SnapshotMeta> for Meta {
    fn from(meta: &SnapshotMeta) -> Self {
        Self {
            last: meta.last_log_id.map(record::LogId::from),
            membership: (&meta.last_membership).into(),
        }
    }
}

impl TryFrom<Meta> for SnapshotMeta {
    type Error = record::Error;

    fn try_from(meta: Meta) -> Result<Self, record::Error> {
        Ok(Self {
            last_log_id: meta.last.map(LogId::from),
            last_membership: meta.membership.try_into()?,
        })
    }
}

fn load(path: &Path) -> io::Result<Loaded> {
    let mut reader = Reader::open(path)?;
    let meta = reader.meta()?;
    let mut failed = None;
    let records = std::iter::from_fn(|| {
        reader.frame::<Record>().unwrap_or_else(|error| {
            failed = Some(error);
            None
        })
    });
    let catalog = Catalog::from_records(records);
    match failed {
        None => Ok(Loaded { meta, catalog }),
        Some(error) => Err(error),
    }
}

fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What ends a file, after an empty block.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Trailer {
    bytes: u64,
    frames: u64,
}

impl Trailer {
    const SIZE: usize = 20;

    fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.frames.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..16]);
        bytes[16..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

struct Writer {
    file: BufWriter<File>,
    block: Vec<u8>,
    totals: Trailer,
}

impl Writer {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(MAGIC)?;
        file.write_all(&FORMAT.to_le_bytes())?;
        Ok(Self {
            file,
            block: Vec::with_capacity(BLOCK_MAX),
            totals: Trailer::default(),
        })
    }

    fn frame<T: Encode>(&mut self, value: &T) -> io::Result<()> {
        let bytes = codec::encode(value).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.totals.frames += 1;
        self.bytes(&length.to_le_bytes())?;
        self.bytes(&bytes)
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.totals.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_MAX - self.block.len()));
            self.block.extend_from_slice(now);
            if self.block.len() == BLOCK_MAX {
                self.end_block()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len()).expect("at most BLOCK_MAX");
        self.file.write_all(&length.to_le_bytes())?;
        self.file
            .write_all(&crc32fast::hash(&self.block).to_le_bytes())?;
        self.file.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// Syncs the file; returns how many records it has.
    fn finish(mut self) -> io::Result<u64> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.end_block()?;
        self.file.write_all(&self.totals.encode())?;
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(self.totals.frames - 1)
    }
}

struct Reader {
    file: BufReader<File>,
    block: Vec<u8>,
    /// Read position within `block`.
    at: usize,
    totals: Trailer,
    ended: bool,
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let mut magic = [0; 8];
        file.read_exact(&mut magic)?;
        let format = read_u32(&mut file)?;
        if &magic != MAGIC || format != FORMAT {
            return Err(damaged(format!(
                "not a snapshot of format {FORMAT}: {magic:?} {format}"
            )));
        }
        Ok(Self {
            file,
            block: Vec::new(),
            at: 0,
            totals: Trailer::default(),
            ended: false,
        })
    }

    fn meta(&mut self) -> io::Result<SnapshotMeta> {
        let meta: Meta = self.frame()?.ok_or_else(|| damaged("empty"))?;
        meta.try_into().map_err(damaged)
    }

    /// The next frame; none at the end, which is checked.
    fn frame<T: Decode<()>>(&mut self) -> io::Result<Option<T>> {
        if self.at == self.block.len() {
            self.next_block()?;
        }
        if self.ended {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > codec::RECORD_MAX {
            return Err(damaged(format!("a record of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        self.totals.frames += 1;
        codec::decode(&bytes).map(Some).map_err(damaged)
    }

    fn fill(&mut self, mut wanted: &mut [u8]) -> io::Result<()> {
        self.totals.bytes += wanted.len() as u64;
        while !wanted.is_empty() {
            if self.at == self.block.len() {
                self.next_block()?;
                if self.ended {
                    return Err(damaged("a record is cut off"));
                }
            }
            let there = &self.block[self.at..];
            let count = there.len().min(wanted.len());
            wanted[..count].copy_from_slice(&there[..count]);
            self.at += count;
            wanted = &mut wanted[count..];
        }
        Ok(())
    }

    fn next_block(&mut self) -> io::Result<()> {
        let length = read_u32(&mut self.file)? as usize;
        let checksum = read_u32(&mut self.file)?;
        if length > BLOCK_MAX {
            return Err(damaged(format!("a block of {length} bytes")));
        }
        self.block.resize(length, 0);
        self.at = 0;
        self.file.read_exact(&mut self.block)?;
        if crc32fast::hash(&self.block) != checksum {
            return Err(damaged("the checksum of a block is wrong"));
        }
        if length == 0 {
            self.end()?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let mut trailer = Vec::new();
        self.file
            .by_ref()
            .take(Trailer::SIZE as u64 + 1)
            .read_to_end(&mut trailer)?;
        if trailer != self.totals.encode() {
            return Err(damaged("the end does not fit what was read"));
        }
        self.ended = true;
        Ok(())
    }
}

fn read_u32(file: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
