//! The store on disk: `ab/abcdef…`, named by BLAKE3 hash, read-only.
//!
//! A file gets in by rename after it was synced, so whatever has a name in here is whole; what a
//! crash leaves behind lies outside.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use protocol::id::BlobHash;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// Bytes read at once when a file is verified: enough for BLAKE3 to use wide instructions.
const READ_BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// What lies under this name is not what the name says. Nothing was changed.
    #[error("{path} has {found_bytes} bytes where {expected_bytes} are expected")]
    Damaged {
        path: PathBuf,
        found_bytes: u64,
        expected_bytes: u64,
    },
    #[error("there is no blob {0}")]
    NotFound(BlobHash),
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

/// Room on the disk that holds the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// Cheap to clone; every clone is the same folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Held while a blob enters, and while the collector decides about one and removes it.
    entrance: Arc<Mutex<()>>,
}

impl Store {
    /// Opens the store in `root` and makes the folder if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(Error::io("cannot make", &root))?;
        if let Some(parent) = root.parent() {
            sync_dir(parent)?;
        }
        Ok(Self {
            root,
            entrance: Arc::default(),
        })
    }

    /// Takes the file at `from`, whose verified hash is `hash`, into the store: synced, made
    /// read-only, renamed. `from` must lie on the same file system.
    ///
    /// Idempotent: if the store has the blob already, `from` is removed, and the blob counts as one
    /// that came just now.
    ///
    /// # Errors
    /// The disk fails, or another file of another size stands under this name.
    pub fn adopt(&self, from: &Path, hash: &BlobHash) -> Result<PathBuf, Error> {
        let to = self.path(hash);
        let shelf = to.parent().expect("a blob lies on a shelf");
        let file = File::open(from).map_err(Error::io("cannot open", from))?;
        let size_bytes = file
            .metadata()
            .map_err(Error::io("cannot look at", from))?
            .len();
        file.set_permissions(Permissions::from_mode(0o444))
            .map_err(Error::io("cannot make read-only", from))?;
        file.sync_all().map_err(Error::io("cannot sync", from))?;
        drop(file);
        if !shelf.exists() {
            fs::create_dir_all(shelf).map_err(Error::io("cannot make", shelf))?;
            sync_dir(&self.root)?;
        }
        let entrance = self.entrance();
        match rename_new(from, &to) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let found_bytes = fs::metadata(&to)
                    .map_err(Error::io("cannot look at", &to))?
                    .len();
                if found_bytes != size_bytes {
                    return Err(Error::Damaged {
                        path: to,
                        found_bytes,
                        expected_bytes: size_bytes,
                    });
                }
                // Sets the time that the collector goes by: it may have been unnamed for long, and
                // is about to be named again.
                fs::set_permissions(&to, Permissions::from_mode(0o444))
                    .map_err(Error::io("cannot renew", &to))?;
                fs::remove_file(from).map_err(Error::io("cannot remove", from))?;
            }
            Err(errno) => return Err(Error::io("cannot adopt", from)(errno.into())),
        }
        drop(entrance);
        sync_dir(shelf)?;
        if let Some(parent) = from.parent() {
            sync_dir(parent)?;
        }
        Ok(to)
    }

    /// Keeps blobs from entering, so that what is found out about one holds until it is removed.
    pub(super) fn entrance(&self) -> MutexGuard<'_, ()> {
        self.entrance.lock().expect("no holder panics")
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob is, or would be.
    pub fn path(&self, hash: &BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.root.join(&name[..2]).join(name)
    }

    pub fn contains(&self, hash: &BlobHash) -> bool {
        self.path(hash).is_file()
    }

    /// Bytes of the blob.
    ///
    /// # Errors
    /// It is not here, or the disk fails.
    pub fn size(&self, hash: &BlobHash) -> Result<u64, Error> {
        let path = self.path(hash);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound(*hash)),
            Err(error) => Err(Error::io("cannot look at", &path)(error)),
        }
    }

    /// Opens the blob for reading, at any offset.
    ///
    /// # Errors
    /// It is not here, or the disk fails.
    pub fn open_blob(&self, hash: &BlobHash) -> Result<File, Error> {
        let path = self.path(hash);
        match File::open(&path) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound(*hash)),
            Err(error) => Err(Error::io("cannot open", &path)(error)),
        }
    }

    /// Reads the whole blob and says whether its bytes still have its hash. Blocks for as long
    /// as the disk takes.
    ///
    /// # Errors
    /// It is not here, or the disk fails.
    pub fn verify(&self, hash: &BlobHash) -> Result<bool, Error> {
        let file = self.open_blob(hash)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut offset = 0;
        loop {
            let read = file
                .read_at(&mut buffer, offset)
                .map_err(Error::io("cannot read", &self.path(hash)))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            offset += read as u64;
        }
        Ok(BlobHash::from(hasher.finalize()) == *hash)
    }

    /// Removes the blob if it is here. Only for the collector, once the catalogue no longer
    /// names it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, hash: &BlobHash) -> Result<(), Error> {
        let path = self.path(hash);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(path.parent().expect("a blob lies on a shelf")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("cannot remove", &path)(error)),
        }
    }

    /// Every blob in the store, in order of hash. Names that are no hashes are left alone.
    ///
    /// # Errors
    /// The disk fails.
    pub fn list(&self) -> Result<Vec<BlobHash>, Error> {
        let mut hashes = Vec::new();
        for shelf in entries(&self.root)? {
            if !shelf.is_dir() {
                continue;
            }
            for path in entries(&shelf)? {
                let name = path.file_name().and_then(|name| name.to_str());
                if let Some(hash) = name.and_then(|name| name.parse().ok()) {
                    hashes.push(hash);
                }
            }
        }
        hashes.sort_unstable();
        Ok(hashes)
    }

    /// Room on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn space(&self) -> Result<Space, Error> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|errno| Error::io("cannot measure", &self.root)(errno.into()))?;
        Ok(Space {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

/// Renames unless the target exists.
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot: look first. Only this process adopts, and two that adopt the
        // same hash bring the same bytes.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if to.exists() {
                return Err(Errno::EXIST);
            }
            rustix::fs::renameat(CWD, from, CWD, to)
        }
        result => result,
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(Error::io("cannot list", dir))
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    // The parent of a relative path of one component is the empty path.
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("cannot sync", dir))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path().join("blobs")).unwrap();
            Self { dir, store }
        }

        fn file(&self, name: &str, bytes: &[u8]) -> (PathBuf, BlobHash) {
            let path = self.dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            (path, BlobHash::of(bytes))
        }
    }

    #[test]
    fn an_adopted_file_is_found_by_its_hash_and_is_read_only() {
        let f = Fixture::new();
        let (from, hash) = f.file("a", b"reel one");
        assert!(!f.store.contains(&hash));
        let path = f.store.adopt(&from, &hash).unwrap();
        assert_eq!(path, f.store.path(&hash));
        assert!(f.store.contains(&hash) && !from.exists());
        assert_eq!(f.store.size(&hash).unwrap(), 8);
        let mut text = String::new();
        let mut blob = f.store.open_blob(&hash).unwrap();
        blob.read_to_string(&mut text).unwrap();
        assert_eq!(text, "reel one");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        assert_eq!(f.store.list().unwrap(), vec![hash]);
        assert!(f.store.verify(&hash).unwrap());
    }

    #[test]
    fn adopting_twice_is_adopting_once() {
        let f = Fixture::new();
        let (one, hash) = f.file("one", b"same");
        let (two, _) = f.file("two", b"same");
        f.store.adopt(&one, &hash).unwrap();
        f.store.adopt(&two, &hash).unwrap();
        assert!(!two.exists());
        assert_eq!(f.store.list().unwrap().len(), 1);
    }

    #[test]
    fn a_blob_is_never_overwritten() {
        let f = Fixture::new();
        let (one, hash) = f.file("one", b"first");
        f.store.adopt(&one, &hash).unwrap();
        let (other, _) = f.file("other", b"something else");
        let refused = f.store.adopt(&other, &hash);
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        assert!(other.exists() && f.store.verify(&hash).unwrap());
    }

    #[test]
    fn half_an_adoption_is_harmless() {
        let f = Fixture::new();
        // A crash after the shelf was made and the file turned read-only.
        let (from, hash) = f.file("a", b"half");
        fs::create_dir(f.store.path(&hash).parent().unwrap()).unwrap();
        fs::set_permissions(&from, Permissions::from_mode(0o444)).unwrap();
        assert!(!f.store.contains(&hash) && f.store.list().unwrap().is_empty());
        f.store.adopt(&from, &hash).unwrap();
        assert!(f.store.verify(&hash).unwrap());
    }

    #[test]
    fn a_rotten_blob_is_told() {
        let f = Fixture::new();
        let (from, hash) = f.file("a", b"good bytes");
        let path = f.store.adopt(&from, &hash).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"baad bytes").unwrap();
        assert!(!f.store.verify(&hash).unwrap());
    }

    #[test]
    fn what_is_not_there_is_an_error_to_open_and_none_to_remove() {
        let f = Fixture::new();
        let hash = BlobHash::of(b"nowhere");
        assert!(matches!(f.store.open_blob(&hash), Err(Error::NotFound(_))));
        assert!(matches!(f.store.size(&hash), Err(Error::NotFound(_))));
        f.store.remove(&hash).unwrap();
    }

    #[test]
    fn the_disk_has_room() {
        let space = Fixture::new().store.space().unwrap();
        assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
    }
}
