//! Folders and files that survive the loss of power.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Makes `dir` and what is missing above it, each entered durably in its parent.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or_else(|| Path::new("/"));
    create_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_dir(parent)
}

/// Makes names in `dir` as durable as the files they name.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir)?.sync_all()
}

/// Some entry of `dir`; none if it is empty or does not exist.
pub(super) fn first_in(dir: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries
            .next()
            .transpose()
            .map(|entry| entry.map(|e| e.path())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
