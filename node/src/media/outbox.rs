//! Where results lie: `scratch/` while a worker writes, `outbox/` once they are proved and durable.
//!
//! A folder enters the outbox by rename, after everything in it was synced: what lies there under
//! its name is whole, until `publish` takes it away. Scratch is worth nothing and is wiped at every
//! start.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use protocol::id::{GenerationId, JobId};
use protocol::job::Unit;

/// The two folders, both within one data folder and so on one file system.
#[derive(Debug, Clone)]
pub struct Outbox {
    scratch: PathBuf,
    outbox: PathBuf,
}

impl Outbox {
    /// Makes the folders in `data_dir` and throws away what earlier runs left in scratch.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        // Workers are given absolute paths.
        fs::create_dir_all(data_dir)?;
        let data_dir = data_dir.canonicalize()?;
        let outbox = Self {
            scratch: data_dir.join("scratch"),
            outbox: data_dir.join("outbox"),
        };
        remove(&outbox.scratch)?;
        fs::create_dir_all(&outbox.scratch)?;
        fs::create_dir_all(&outbox.outbox)?;
        sync(&data_dir)?;
        Ok(outbox)
    }

    /// A new, empty folder for one attempt.
    ///
    /// # Errors
    /// The disk fails.
    pub fn begin(&self, job: JobId, epoch: u32) -> io::Result<PathBuf> {
        let folder = self.scratch.join(format!("{job}-{epoch}"));
        remove(&folder)?;
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Where the files of a finished unit lie.
    pub fn unit(&self, generation: GenerationId, unit: Unit) -> PathBuf {
        self.generation(generation).join(unit.to_string())
    }

    /// Makes the proved files in `folder` durable and moves them to where the unit belongs, in
    /// place of what an earlier attempt left there.
    ///
    /// # Errors
    /// The disk fails. The folder may then be in either place, whole.
    pub fn deliver(
        &self,
        folder: &Path,
        generation: GenerationId,
        unit: Unit,
    ) -> io::Result<PathBuf> {
        sync_tree(folder)?;
        let shelf = self.generation(generation);
        if !shelf.exists() {
            fs::create_dir_all(&shelf)?;
            sync(&self.outbox)?;
        }
        let to = self.unit(generation, unit);
        if to.exists() {
            let old = folder.with_extension("old");
            remove(&old)?;
            fs::rename(&to, &old)?;
            remove(&old)?;
        }
        fs::rename(folder, &to)?;
        sync(&shelf)?;
        Ok(to)
    }

    /// Room for new files, in bytes.
    ///
    /// # Errors
    /// The disk fails.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.scratch)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn generation(&self, id: GenerationId) -> PathBuf {
        self.outbox.join(id.to_string())
    }
}

/// Removes a folder with all that is in it, if it is there.
///
/// # Errors
/// The disk fails.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Files first, then the folders that name them.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            sync(&entry.path())?;
        }
    }
    sync(folder)
}

/// Files and folders alike.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::time::Timestamp;

    fn ids() -> (JobId, GenerationId) {
        let at = Timestamp::from_millis(1_700_000_000_000);
        (JobId::derived(at, 1, 0), GenerationId::derived(at, 2, 0))
    }

    #[test]
    fn a_result_moves_whole_and_replaces_an_older_one() {
        let data = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(data.path()).expect("made");
        let (job, generation) = ids();
        for text in ["first", "second"] {
            let folder = outbox.begin(job, 1).expect("made");
            fs::create_dir(folder.join("720p")).expect("made");
            fs::write(folder.join("720p/a"), text).expect("written");
            let to = outbox
                .deliver(&folder, generation, Unit::Piece(0))
                .expect("moved");
            assert!(to.ends_with(format!("outbox/{generation}/piece-0000")));
            assert_eq!(fs::read(to.join("720p/a")).expect("there"), text.as_bytes());
            assert!(!folder.exists());
        }
    }

    #[test]
    fn scratch_does_not_survive_a_start() {
        let data = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(data.path()).expect("made");
        let (job, generation) = ids();
        let half = outbox.begin(job, 1).expect("made");
        fs::write(half.join("half"), "x").expect("written");
        let whole = outbox.begin(job, 2).expect("made");
        let whole = outbox
            .deliver(&whole, generation, Unit::Audio)
            .expect("moved");
        Outbox::open(data.path()).expect("made again");
        assert!(!half.exists());
        assert!(whole.exists());
    }
}
