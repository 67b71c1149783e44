//! Chunks of unfinished uploads on disk, one folder an upload: `data`, `chunks`, `session`.
//!
//! `data` is the file to be, with room for all of it from the start. `chunks` is a log of what is
//! in: a record is appended and synced only after the bytes it speaks of were synced, so after
//! any crash the log may only say too little. `session` says what the file is called and how far
//! its end has come; it is replaced by rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::codec;
use protocol::id::UploadId;
use protocol::time::Timestamp;
use protocol::upload::{ChunkHash, ChunkHasher, Layout};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tracing::warn;

use super::session::{Meta, Record, Session, Stage};
use super::shape::Shape;

/// First bytes of the log, with its version.
const MAGIC: &[u8; 8] = b"RMCHUNK1";

/// Kind, index, length, hash, checksum.
const RECORD_BYTES: usize = 1 + 4 + 4 + 32 + 4;

/// Largest `session` file that is read.
const META_BYTES_MAX: u64 = 64 << 10;

/// Bytes read at once when chunks are verified.
const READ_BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} cannot be used: {source}")]
    Meta { path: PathBuf, source: codec::Error },
    #[error("{path} is not for a file of any possible size")]
    Size { path: PathBuf },
    #[error("the disk has no room for {size_bytes} bytes")]
    NoSpace { size_bytes: u64 },
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// The folder of folders.
#[derive(Debug, Clone)]
pub struct Spool {
    root: PathBuf,
}

/// One upload's folder, open for writing.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    upload: UploadId,
    layout: Layout,
    files: Mutex<Files>,
}

/// What is open of a folder. A finished upload is remembered for days: nothing is, or the node
/// would run out of file descriptors, and a deleted original would keep its room on the disk.
#[derive(Debug, Default)]
struct Files {
    /// `None` once the file has moved into the blob store.
    data: Option<Arc<File>>,
    log: Option<Arc<File>>,
}

impl Spool {
    /// Opens the spool in `root` and makes the folder if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(Error::io("cannot make", &root))?;
        Ok(Self { root })
    }

    /// Makes the folder of a new upload and reserves room for the whole file.
    ///
    /// It is made beside and renamed, so a crash leaves all of it or nothing.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the disk has no room for the whole file.
    pub fn create(&self, meta: &Meta) -> Result<Folder, Error> {
        let dir = self.root.join(meta.upload.to_string());
        let beside = self.root.join(format!("{}.new", meta.upload));
        let layout = meta
            .layout()
            .ok_or_else(|| Error::Size { path: dir.clone() })?;
        fs::create_dir(&beside).map_err(Error::io("cannot make", &beside))?;
        let made = fill(&beside, meta).and_then(|(data, log)| {
            fs::rename(&beside, &dir).map_err(Error::io("cannot name", &dir))?;
            sync_dir(&self.root)?;
            Ok(Folder {
                dir,
                upload: meta.upload,
                layout,
                files: Files::open(Some(data), log),
            })
        });
        if made.is_err() {
            drop(fs::remove_dir_all(&beside));
        }
        made
    }

    /// Every upload on disk. Folders that are damaged are named in the log and left alone;
    /// those that were never finished being made are removed.
    ///
    /// # Errors
    /// The spool itself cannot be read.
    pub fn load(&self) -> Result<Vec<(Meta, Session, Folder)>, Error> {
        let mut loaded = Vec::new();
        let entries = fs::read_dir(&self.root).map_err(Error::io("cannot list", &self.root))?;
        for entry in entries {
            let path = entry.map_err(Error::io("cannot list", &self.root))?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                drop(fs::remove_dir_all(&path));
                continue;
            }
            match load(&path) {
                Ok(found) => loaded.push(found),
                Err(error) => warn!(path = %path.display(), %error, "upload on disk left alone"),
            }
        }
        Ok(loaded)
    }

    /// One upload as it is on disk.
    ///
    /// # Errors
    /// It is not there, or damaged.
    pub fn load_one(&self, upload: UploadId) -> Result<(Meta, Session, Folder), Error> {
        load(&self.root.join(upload.to_string()))
    }

    /// Removes an upload's folder if it is there.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, upload: UploadId) -> Result<(), Error> {
        let dir = self.root.join(upload.to_string());
        match fs::remove_dir_all(&dir) {
            Ok(()) => sync_dir(&self.root),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("cannot remove", &dir)(error)),
        }
    }
}

impl Folder {
    /// Where the file to be lies.
    pub fn data_path(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Whether the file has moved out of the spool.
    pub fn is_adopted(&self) -> bool {
        self.files().data.is_none()
    }

    /// Closes what is open: nothing more will be written.
    pub fn close(&self) {
        *self.files() = Files::default();
    }

    /// Writes `bytes` at `offset` of the file to be. Nothing is said about them yet.
    ///
    /// # Errors
    /// The disk fails, or the file has moved on.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.data()?
            .write_all_at(bytes, offset)
            .map_err(Error::io("cannot write", &self.dir))
    }

    /// Reserves the bytes of `range`, beyond the end too.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; the disk fails.
    pub fn reserve(&self, range: Range<u64>) -> Result<(), Error> {
        reserve(&*self.data()?, &self.dir, FallocateFlags::KEEP_SIZE, range)
    }

    /// Gives the file the length that was said at last, and reserves all of it.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; the disk fails.
    pub fn measure(&self, size_bytes: u64) -> Result<(), Error> {
        let data = self.data()?;
        reserve(&data, &self.dir, FallocateFlags::KEEP_SIZE, 0..size_bytes)?;
        data.set_len(size_bytes)
            .and_then(|()| data.sync_all())
            .map_err(Error::io("cannot lengthen", &self.dir))
    }

    /// Reads up to `length` bytes from `offset` on; fewer only at the end.
    ///
    /// # Errors
    /// The disk fails, or the file has moved on.
    pub fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let data = self.data()?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let read = data
                .read_at(&mut bytes[filled..], offset + filled as u64)
                .map_err(Error::io("cannot read", &self.dir))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Gives the room of the first `length` bytes back to the disk; they read as zeros then.
    /// Where the file system cannot, nothing happens.
    pub fn give_back(&self, length: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if length > 0
            && let Ok(data) = self.data()
            && let Err(error) = rustix::fs::fallocate(&*data, flags, 0, length)
        {
            warn!(upload = %self.upload, %error, "room not given back yet");
        }
    }

    /// Closes and removes the bytes, and keeps what is known of them.
    ///
    /// # Errors
    /// The disk fails.
    pub fn discard(&self) -> Result<(), Error> {
        self.close();
        let path = self.data_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("cannot remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes durable what was written, then the records that speak of it. When this returns the
    /// records may be acknowledged.
    ///
    /// # Errors
    /// The disk fails. What is on disk is then unknown until it is loaded again.
    pub fn commit(&self, records: &[Record]) -> Result<(), Error> {
        self.data()?
            .sync_data()
            .map_err(Error::io("cannot sync", &self.dir))?;
        let mut bytes = Vec::with_capacity(records.len() * RECORD_BYTES);
        for record in records {
            bytes.extend_from_slice(&encode(self.upload, record));
        }
        // Opened for appending, and only one task commits.
        self.log()
            .and_then(|log| {
                io::Write::write_all(&mut &*log, &bytes)?;
                log.sync_data()
            })
            .map_err(Error::io("cannot note chunks in", &self.dir))
    }

    /// Notes on disk that somebody cares about this upload.
    pub fn touch(&self, now: Timestamp) {
        let time = u64::try_from(now.as_millis())
            .map(|millis| UNIX_EPOCH + std::time::Duration::from_millis(millis));
        if let Ok(time) = time
            && let Err(error) = self.log().and_then(|log| log.set_modified(time))
        {
            warn!(upload = %self.upload, %error, "time of last use not noted");
        }
    }

    /// Replaces the `session` file.
    ///
    /// # Errors
    /// The disk fails; the old file stands then.
    pub fn write_meta(&self, meta: &Meta) -> Result<(), Error> {
        write_meta(&self.dir, meta)
    }

    /// Hashes the first `length` bytes of chunk `index` as they are on disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn hash(&self, index: u32, length: u32) -> Result<ChunkHasher, Error> {
        let data = self.data()?;
        let mut hasher = ChunkHasher::new(self.layout, index);
        let mut buffer = vec![0; READ_BYTES.min(length as usize)];
        let mut offset = self.layout.offset(index);
        let end = offset + u64::from(length);
        while offset < end {
            let want = buffer.len().min(usize::try_from(end - offset).unwrap_or(0));
            let read = data
                .read_at(&mut buffer[..want], offset)
                .map_err(Error::io("cannot read", &self.dir))?;
            if read == 0 {
                // The file was cut short: the hash comes out wrong, which is the right answer.
                break;
            }
            hasher.update(&buffer[..read]);
            offset += read as u64;
        }
        Ok(hasher)
    }

    /// Whether chunk `index` on disk has the hash that was noted.
    ///
    /// # Errors
    /// The disk fails.
    pub fn verify(&self, index: u32, hash: ChunkHash) -> Result<bool, Error> {
        let found = self.hash(index, self.layout.length(index))?;
        Ok(found.missing() == 0 && found.finish() == hash)
    }

    fn data(&self) -> Result<Arc<File>, Error> {
        self.files().data.clone().ok_or_else(|| {
            Error::io("cannot write to", &self.dir)(io::Error::other("the upload is complete"))
        })
    }

    /// Opened for the moment if it was closed.
    fn log(&self) -> io::Result<Arc<File>> {
        let log = self.files().log.clone();
        log.map_or_else(|| open_log(&self.dir.join("chunks")).map(Arc::new), Ok)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("no holder panics")
    }
}

impl Files {
    fn open(data: Option<File>, log: File) -> Mutex<Self> {
        Mutex::new(Self {
            data: data.map(Arc::new),
            log: Some(Arc::new(log)),
        })
    }
}

fn fill(dir: &Path, meta: &Meta) -> Result<(File, File), Error> {
    let path = dir.join("data");
    let data = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(Error::io("cannot make", &path))?;
    match &meta.shape {
        // It takes over the room of its parts as it grows.
        Shape::Joined { .. } => data
            .set_len(meta.size_bytes)
            .map_err(Error::io("cannot lengthen", &path))?,
        Shape::Whole | Shape::Part { .. } if meta.size_bytes > 0 => {
            reserve(&data, &path, FallocateFlags::empty(), 0..meta.size_bytes)?;
        }
        // Reserved piece by piece: how much is needed nobody knows.
        Shape::Whole | Shape::Part { .. } | Shape::Unmeasured => {}
    }
    data.sync_all().map_err(Error::io("cannot sync", &path))?;
    let path = dir.join("chunks");
    let log = open_log(&path).map_err(Error::io("cannot make", &path))?;
    io::Write::write_all(&mut &log, MAGIC)
        .and_then(|()| log.sync_all())
        .map_err(Error::io("cannot write", &path))?;
    write_meta(dir, meta)?;
    Ok((data, log))
}

/// Reserves the bytes of `range`, so that writing them cannot fail for want of room.
fn reserve(
    data: &File,
    path: &Path,
    flags: FallocateFlags,
    range: Range<u64>,
) -> Result<(), Error> {
    let size_bytes = range.end - range.start;
    match rustix::fs::fallocate(data, flags, range.start, size_bytes) {
        Ok(()) => Ok(()),
        Err(Errno::NOSPC | Errno::FBIG | Errno::DQUOT) => Err(Error::NoSpace { size_bytes }),
        // The file system cannot reserve; the check of free space has to do.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) if flags.contains(FallocateFlags::KEEP_SIZE) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => data
            .set_len(range.end)
            .map_err(Error::io("cannot lengthen", path)),
        Err(errno) => Err(Error::io("cannot reserve", path)(errno.into())),
    }
}

fn write_meta(dir: &Path, meta: &Meta) -> Result<(), Error> {
    let path = dir.join("session");
    let beside = dir.join("session.new");
    let bytes = codec::encode(meta).map_err(|source| Error::Meta {
        path: path.clone(),
        source,
    })?;
    let attempt = || {
        let file = File::create(&beside)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    attempt().map_err(Error::io("cannot write", &path))?;
    sync_dir(dir)
}

fn load(dir: &Path) -> Result<(Meta, Session, Folder), Error> {
    let path = dir.join("session");
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(META_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(Error::io("cannot read", &path))?;
    let meta: Meta = codec::decode(&bytes).map_err(|source| Error::Meta {
        path: path.clone(),
        source,
    })?;
    let layout = meta.layout().ok_or(Error::Size { path })?;

    let path = dir.join("data");
    let data = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(data) => Some(data),
        // Moved into the blob store, or about to be: adoption makes it read-only first.
        Err(error)
            if meta.stage != Stage::Receiving
                && matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
        {
            None
        }
        Err(error) => return Err(Error::io("cannot open", &path)(error)),
    };
    let whole_bytes = match &data {
        Some(data) => data
            .metadata()
            .map_err(Error::io("cannot look at", &path))?
            .len(),
        None => 0,
    };
    if let Some(data) = &data
        && whole_bytes < meta.size_bytes
    {
        data.set_len(meta.size_bytes)
            .map_err(Error::io("cannot lengthen", &path))?;
    }

    let path = dir.join("chunks");
    let log = open_log(&path).map_err(Error::io("cannot open", &path))?;
    let (records, touched_at) =
        replay(&log, meta.upload).map_err(Error::io("cannot read", &path))?;
    let mut session = Session::new(layout, meta.created_at.max(touched_at));
    for record in records {
        // Bytes that the file does not even reach are not there, whatever was noted.
        let reaches = |index, length| layout.offset(index) + u64::from(length) <= whole_bytes;
        let holds = match record {
            Record::Chunk { index, .. } => data.is_none() || reaches(index, layout.length(index)),
            Record::Tail { index, length, .. } => reaches(index, length),
            Record::Lost { .. } => true,
        };
        if holds && !session.apply(record) {
            warn!(upload = %meta.upload, ?record, "note about a chunk that cannot be");
        }
    }
    let folder = Folder {
        dir: dir.to_owned(),
        upload: meta.upload,
        layout,
        files: Files::open(data, log),
    };
    if matches!(meta.stage, Stage::Finished(_)) {
        folder.close();
    }
    Ok((meta, session, folder))
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
}

/// The records of a log up to the first that is damaged; what follows is cut off, so that the
/// next record is appended where it will be read.
fn replay(log: &File, upload: UploadId) -> io::Result<(Vec<Record>, Timestamp)> {
    let mut bytes = Vec::new();
    let mut reader = log;
    reader.read_to_end(&mut bytes)?;
    let touched_at = timestamp(log.metadata()?.modified()?);
    let mut records = Vec::new();
    let mut good = 0;
    if let Some(body) = bytes.strip_prefix(MAGIC) {
        for chunk in body.chunks(RECORD_BYTES) {
            match decode(upload, chunk) {
                Some(record) => records.push(record),
                None => break,
            }
        }
        good = MAGIC.len() + records.len() * RECORD_BYTES;
    }
    if good < bytes.len() || good == 0 {
        log.set_len(good as u64)?;
        if good == 0 {
            io::Write::write_all(&mut &*log, MAGIC)?;
        }
        log.sync_all()?;
    }
    Ok((records, touched_at))
}

fn timestamp(time: SystemTime) -> Timestamp {
    let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    Timestamp::from_millis(millis)
}

fn encode(upload: UploadId, record: &Record) -> [u8; RECORD_BYTES] {
    let (kind, index, length, hash) = match record {
        Record::Chunk { index, hash } => (0, *index, 0, *hash.as_bytes()),
        Record::Tail {
            index,
            length,
            hash,
        } => (1, *index, *length, *hash.as_bytes()),
        Record::Lost { index } => (2, *index, 0, [0; 32]),
    };
    let mut bytes = [0; RECORD_BYTES];
    bytes[0] = kind;
    bytes[1..5].copy_from_slice(&index.to_le_bytes());
    bytes[5..9].copy_from_slice(&length.to_le_bytes());
    bytes[9..41].copy_from_slice(&hash);
    let sum = checksum(upload, &bytes[..41]);
    bytes[41..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(upload: UploadId, bytes: &[u8]) -> Option<Record> {
    let (body, sum) = bytes.split_at_checked(41)?;
    if checksum(upload, body).to_le_bytes() != sum {
        return None;
    }
    let index = u32::from_le_bytes(body[1..5].try_into().ok()?);
    let length = u32::from_le_bytes(body[5..9].try_into().ok()?);
    let hash = ChunkHash::from_bytes(body[9..41].try_into().ok()?);
    match body[0] {
        0 => Some(Record::Chunk { index, hash }),
        1 => Some(Record::Tail {
            index,
            length,
            hash,
        }),
        2 => Some(Record::Lost { index }),
        _ => None,
    }
}

/// Covers the upload's id, so that a record of another log is never taken for one of this.
fn checksum(upload: UploadId, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(upload.as_uuid().as_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("cannot sync", dir))
}

#[cfg(test)]
mod tests {
    use std::sync::{LazyLock, Mutex};

    use proptest::prelude::*;
    use protocol::id::VideoId;
    use protocol::upload::CHUNK_SIZE;

    use super::*;

    fn meta(size_bytes: u64) -> Meta {
        Meta {
            upload: UploadId::from_uuid(uuid::Uuid::now_v7()),
            video: VideoId::from_uuid(uuid::Uuid::now_v7()),
            key: None,
            filename: "reel.mov".to_owned(),
            metadata: None,
            size_bytes,
            created_at: Timestamp::from_millis(1),
            stage: Stage::Receiving,
            shape: Shape::Whole,
            owner: None,
        }
    }

    /// A file of two whole chunks and a short one, in the spool, with the tail of the third.
    struct Fixture {
        dir: tempfile::TempDir,
        spool: Spool,
        meta: Meta,
        bytes: Vec<u8>,
    }

    const LAST: u32 = 4096;

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let spool = Spool::open(dir.path().join("spool")).unwrap();
            let size = 2 * CHUNK_SIZE + LAST;
            let mut bytes = vec![0; size as usize];
            blake3::Hasher::new().finalize_xof().fill(&mut bytes);
            let meta = meta(u64::from(size));
            let folder = spool.create(&meta).unwrap();
            let layout = Layout::new(meta.size_bytes).unwrap();
            for index in [1, 0] {
                let start = layout.offset(index);
                let chunk = &bytes[usize::try_from(start).unwrap()..][..CHUNK_SIZE as usize];
                folder.write_at(chunk, start).unwrap();
                let hash = ChunkHash::of(layout, index, chunk);
                folder.commit(&[Record::Chunk { index, hash }]).unwrap();
            }
            let start = layout.offset(2);
            folder
                .write_at(&bytes[usize::try_from(start).unwrap()..][..1000], start)
                .unwrap();
            let hash = folder.hash(2, 1000).unwrap().finish();
            let tail = Record::Tail {
                index: 2,
                length: 1000,
                hash,
            };
            folder.commit(&[tail]).unwrap();
            Self {
                dir,
                spool,
                meta,
                bytes,
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            let folder = self.meta.upload.to_string();
            self.dir.path().join("spool").join(folder).join(name)
        }

        fn load(&self) -> (Session, Folder) {
            let mut all = self.spool.load().unwrap();
            let (meta, session, folder) = all.pop().expect("one upload");
            assert_eq!((meta, all.len()), (self.meta.clone(), 0));
            (session, folder)
        }
    }

    #[test]
    fn what_was_committed_is_there_after_a_restart() {
        let f = Fixture::new();
        let (session, folder) = f.load();
        assert_eq!(session.offset(), u64::from(2 * CHUNK_SIZE + 1000));
        for (index, hash) in session.chunks() {
            assert!(folder.verify(index, hash).unwrap());
        }
        let tail = session.tail().unwrap();
        assert_eq!(folder.hash(2, 1000).unwrap().finish(), tail.hash);
    }

    #[test]
    fn records_after_a_torn_one_are_appended_where_they_are_read() {
        let f = Fixture::new();
        let log = OpenOptions::new()
            .write(true)
            .open(f.path("chunks"))
            .unwrap();
        let torn = log.metadata().unwrap().len() - 3;
        log.set_len(torn).unwrap();
        let (session, folder) = f.load();
        assert_eq!(session.offset(), u64::from(2 * CHUNK_SIZE));
        folder.commit(&[Record::Lost { index: 0 }]).unwrap();
        assert_eq!(f.load().0.offset(), 0);
    }

    #[test]
    fn bytes_that_rot_are_found_by_verifying() {
        let f = Fixture::new();
        let data = OpenOptions::new().write(true).open(f.path("data")).unwrap();
        let byte = f.bytes[5] ^ 1;
        data.write_all_at(&[byte], 5).unwrap();
        let (session, folder) = f.load();
        assert!(!folder.verify(0, *session.hash(0).unwrap()).unwrap());
        assert!(folder.verify(1, *session.hash(1).unwrap()).unwrap());
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        // More than any disk this runs on.
        let refused = spool.create(&meta(protocol::upload::FILE_SIZE_MAX));
        assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn half_made_folders_are_swept_and_damaged_ones_left_alone() {
        let f = Fixture::new();
        let root = f.dir.path().join("spool");
        fs::create_dir(root.join("x.new")).unwrap();
        fs::create_dir(root.join("damaged")).unwrap();
        f.load();
        assert!(!root.join("x.new").exists() && root.join("damaged").exists());
    }

    #[test]
    fn the_last_use_is_remembered() {
        let f = Fixture::new();
        let (_, folder) = f.load();
        let now = Timestamp::from_millis(1_900_000_000_000);
        folder.touch(now);
        let (session, _) = f.load();
        assert_eq!(
            session.expires_at(protocol::time::Span::from_millis(0)),
            now
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_cut_anywhere_never_makes_it_claim_what_is_not_there(
            log_cut in 0..200_u64,
            data_cut in 0..=u64::from(2 * CHUNK_SIZE + LAST),
            cut_data in any::<bool>(),
            flip in prop::option::of((0..140_usize, 0..8_u32)),
        ) {
            // Made once: every case puts back what the one before has damaged.
            static FIXTURE: LazyLock<(Mutex<Fixture>, Vec<u8>)> = LazyLock::new(|| {
                let f = Fixture::new();
                let log = fs::read(f.path("chunks")).unwrap();
                (Mutex::new(f), log)
            });
            let (fixture, log) = &*FIXTURE;
            let f = fixture.lock().unwrap();
            let mut log = log[..log.len().min(usize::try_from(log_cut).unwrap())].to_vec();
            if let Some((at, bit)) = flip
                && let Some(byte) = log.get_mut(at)
            {
                *byte ^= 1 << bit;
            }
            fs::write(f.path("chunks"), log).unwrap();
            let data = OpenOptions::new().write(true).open(f.path("data")).unwrap();
            if cut_data {
                data.set_len(data_cut).unwrap();
            }
            let (session, folder) = f.load();
            for (index, hash) in session.chunks() {
                prop_assert!(folder.verify(index, hash).unwrap(), "chunk {} is claimed", index);
            }
            if let Some(tail) = session.tail() {
                let found = folder.hash(tail.index, tail.length).unwrap();
                prop_assert_eq!(found.finish(), tail.hash);
            }
            if cut_data {
                let from = usize::try_from(data_cut).unwrap();
                data.write_all_at(&f.bytes[from..], data_cut).unwrap();
            }
        }
    }
}
