//! A look at a watched folder, at who writes in it, and at what was taken from it before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use protocol::codec;
use tracing::debug;

use super::steady::{Look, is_unfinished};

/// Files in one watched folder; beyond that an operator is told.
pub const FILES_MAX: usize = 100_000;

/// How deep it is looked into.
const DEPTH_MAX: usize = 24;

/// Where taken files go, with `after = "move"`; never looked into.
pub const TAKEN: &str = "taken";

/// Largest journal that is read.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// `O_WRONLY` and `O_RDWR` in the octal flags of `/proc/PID/fdinfo`.
const WRITING: u32 = 0o3;

/// Every finished-looking file below `root`, by its path from there. Links are not followed, so
/// nothing outside is ever taken.
///
/// # Errors
/// The folder cannot be read, or has more files than anybody would watch.
pub fn files(root: &Path) -> io::Result<BTreeMap<PathBuf, Look>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // One folder that is closed or gone does not hide the others.
            Err(error) if depth > 0 => {
                debug!(folder = %folder.display(), %error, "folder not looked into");
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if is_unfinished(&name) {
                continue;
            }
            if kind.is_dir() {
                if depth < DEPTH_MAX && name != TAKEN {
                    folders.push((entry.path(), depth + 1));
                }
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let path = entry.path();
            if let Ok(relative) = path.strip_prefix(root)
                && kind.is_file()
            {
                if found.len() >= FILES_MAX {
                    return Err(io::Error::other(format!(
                        "there are more than {FILES_MAX} files in it"
                    )));
                }
                found.insert(relative.to_owned(), look(&metadata));
            }
        }
    }
    Ok(found)
}

pub fn look(metadata: &fs::Metadata) -> Look {
    Look {
        size_bytes: metadata.len(),
        modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
            + i128::from(metadata.mtime_nsec()),
        inode: metadata.ino(),
    }
}

/// Files that some program on this machine has open for writing, of those that may be looked at:
/// those of other users only root sees, and those of other machines nobody.
pub fn being_written() -> BTreeSet<PathBuf> {
    let mut open = BTreeSet::new();
    let Ok(processes) = fs::read_dir("/proc") else {
        return open;
    };
    for process in processes.flatten() {
        let name = process.file_name();
        if !name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let folder = process.path();
        let Ok(files) = fs::read_dir(folder.join("fd")) else {
            continue;
        };
        for file in files.flatten() {
            let Ok(path) = fs::read_link(file.path()) else {
                continue;
            };
            let info = folder.join("fdinfo").join(file.file_name());
            if path.is_absolute() && fs::read_to_string(info).is_ok_and(|info| is_writing(&info)) {
                open.insert(path);
            }
        }
    }
    open
}

fn is_writing(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & WRITING != 0)
}

/// What was taken, so that a restart does not take it again.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    taken: BTreeMap<String, Look>,
}

#[derive(Encode, Decode)]
struct Entry {
    path: String,
    look: Look,
}

impl Journal {
    /// # Errors
    /// It is there and cannot be read: taking everything twice would be worse than stopping.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => drop(file.take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let entries: Vec<Entry> = if bytes.is_empty() {
            Vec::new()
        } else {
            codec::decode(&bytes).map_err(io::Error::other)?
        };
        let taken = entries
            .into_iter()
            .map(|entry| (entry.path, entry.look))
            .collect();
        Ok(Self { path, taken })
    }

    pub fn has(&self, path: &Path, look: &Look) -> bool {
        self.taken.get(&*path.to_string_lossy()) == Some(look)
    }

    /// Notes a file on disk, and forgets those that are not there any more.
    ///
    /// # Errors
    /// The disk fails.
    pub fn note(
        &mut self,
        path: &Path,
        look: Look,
        there: &BTreeMap<PathBuf, Look>,
    ) -> io::Result<()> {
        let names: BTreeSet<String> = there
            .keys()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        self.taken.retain(|path, _| names.contains(path));
        self.taken.insert(path.to_string_lossy().into_owned(), look);
        let entries: Vec<Entry> = self
            .taken
            .iter()
            .map(|(path, look)| Entry {
                path: path.clone(),
                look: *look,
            })
            .collect();
        let bytes = codec::encode(&entries).map_err(io::Error::other)?;
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        io::Write::write_all(&mut file, &bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        File::open(folder)?.sync_all()
    }
}

/// Moves a file into the folder `taken` beside it, under a name that is free.
///
/// # Errors
/// The folder cannot be written.
pub fn put_away(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or_else(|| Path::new(".")).join(TAKEN);
    fs::create_dir_all(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..10_000_u32 {
        let target = if number == 0 {
            folder.join(&*name)
        } else {
            folder.join(format!("{number}-{name}"))
        };
        // A link first: unlike a rename it never replaces what is there.
        match fs::hard_link(path, &target) {
            Ok(()) => {
                fs::remove_file(path)?;
                return Ok(target);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // No links here, as on a network mount.
            Err(_) if !target.exists() => {
                fs::rename(path, &target)?;
                return Ok(target);
            }
            Err(_) => {}
        }
    }
    Err(io::Error::other("there are too many files of this name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hidden_files_and_what_was_taken_are_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("in");
        fs::create_dir_all(root.join("A001/clip")).unwrap();
        fs::create_dir_all(root.join("taken")).unwrap();
        fs::write(dir.path().join("secret.mov"), "x").unwrap();
        for path in [
            "a.mov",
            "A001/clip/b.mov",
            ".c.mov",
            "d.mov.part",
            "taken/e.mov",
        ] {
            fs::write(root.join(path), "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("secret.mov"), root.join("f.mov")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("up")).unwrap();
        let found = files(&root).unwrap();
        let names: Vec<_> = found.keys().filter_map(|path| path.to_str()).collect();
        assert_eq!(names, ["A001/clip/b.mov", "a.mov"]);
        assert!(files(&dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn who_writes_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        // The names in /proc are those after all links.
        let path = dir.path().canonicalize().unwrap().join("a.mov");
        let writer = File::create(&path).unwrap();
        assert!(being_written().contains(&path));
        drop(writer);
        let reader = File::open(&path).unwrap();
        assert!(!being_written().contains(&path));
        drop(reader);
        assert!(is_writing("pos:\t0\nflags:\t0100001\n") && !is_writing("flags:\t0100000\n"));
    }

    #[test]
    fn the_journal_outlives_a_restart_and_forgets_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let look = Look {
            size_bytes: 5,
            modified_ns: -7,
            inode: 3,
        };
        let there = |names: &[&str]| {
            let names = names.iter().map(|name| (PathBuf::from(name), look));
            names.collect::<BTreeMap<_, _>>()
        };
        let mut journal = Journal::open(path.clone()).unwrap();
        journal
            .note(Path::new("a"), look, &there(&["a", "b"]))
            .unwrap();
        journal
            .note(Path::new("b"), look, &there(&["a", "b"]))
            .unwrap();
        let mut journal = Journal::open(path.clone()).unwrap();
        assert!(journal.has(Path::new("a"), &look) && journal.has(Path::new("b"), &look));
        let changed = Look {
            size_bytes: 6,
            ..look
        };
        assert!(!journal.has(Path::new("a"), &changed));
        journal
            .note(Path::new("c"), look, &there(&["b", "c"]))
            .unwrap();
        assert!(
            !Journal::open(path.clone())
                .unwrap()
                .has(Path::new("a"), &look)
        );
        fs::write(&path, "damaged").unwrap();
        assert!(Journal::open(path).is_err());
    }

    #[test]
    fn a_file_that_is_put_away_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mov");
        let mut targets = BTreeSet::new();
        for content in ["one", "two", "three"] {
            fs::write(&path, content).unwrap();
            let target = put_away(&path).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            assert!(targets.insert(target) && !path.exists());
        }
    }
}
