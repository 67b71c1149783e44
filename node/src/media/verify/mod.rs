//! Proves a result before it is reported: every byte is hashed, every fragment read back.
//!
//! "Done" from a worker is a claim. It counts once the files on disk are exactly those of the
//! manifest, and the manifest is exactly what was asked for: as many frames as the source has,
//! on every rendition, at the times of the source, cut at the same places.

pub mod boxes;
pub mod jpeg;
pub mod peaks;
pub mod probe;
mod sheets;
mod tracks;
pub mod webp;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use protocol::failure::{Failure, FailureClass};
use protocol::id::BlobHash;
use protocol::manifest::{Manifest, Object, Still};
use protocol::media::{FrameRange, Resolution};
use protocol::probe::Probe;
use protocol::worker::{ClipTask, StillsTask, Task};

/// Why a result is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the list of files cannot be read: {0}")]
    Manifest(serde_json::Error),
    #[error("{what} should be {expected}, but is {found}")]
    Mismatch {
        what: String,
        expected: String,
        found: String,
    },
    #[error("the file name {0:?} is not allowed")]
    Name(String),
    #[error("the file {0} is listed twice")]
    Twice(String),
    #[error("the file {0} is not listed")]
    Unlisted(String),
    #[error("{name} is damaged: {source}")]
    Boxes { name: String, source: boxes::Error },
    #[error("{0} is no whole picture")]
    Picture(String),
    #[error("{0} is no outline of a sound track")]
    Peaks(String),
    #[error("{0}")]
    Probe(String),
    #[error("the worker answered with something else than it was asked for")]
    WrongOutput,
}

impl Error {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts alike, as they are"
    )]
    fn mismatch(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Mismatch {
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// `Err` unless `expected` is `found`.
    fn unless_equal<T: PartialEq + ToString>(
        what: impl Into<String>,
        expected: &T,
        found: &T,
    ) -> Result<(), Self> {
        if expected == found {
            Ok(())
        } else {
            Err(Self::mismatch(
                what,
                expected.to_string(),
                found.to_string(),
            ))
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { .. } => Self::new(
                FailureClass::Resource,
                "result_unreadable",
                "The node could not read its own result back; check its disk.",
                error.to_string(),
            ),
            error => Self::new(
                FailureClass::Verification,
                "result_mismatch",
                format!("The result does not match the source: {error}."),
                "",
            ),
        }
    }
}

/// Largest manifest: a day of video in three renditions has a tenth of it.
const MANIFEST_MAX: u64 = 64 << 20;
const OBJECTS_MAX: usize = 200_000;
const STILL_MAX: u64 = 16 << 20;

/// Checks the folder of a finished attempt against what `task` asked for, and notes in its manifest
/// where pictures lie that decode alone.
///
/// Reads every file once; blocks.
///
/// # Errors
/// The first difference that was found.
pub fn unit(folder: &Path, task: &Task) -> Result<Manifest, Error> {
    let mut manifest = read_manifest(folder)?;
    // Where key pictures lie is found here, not claimed.
    for track in &mut manifest.tracks {
        for segment in &mut track.segments {
            segment.keys.clear();
        }
    }
    let listed = check_names(&manifest)?;
    check_folder(folder, &listed)?;
    for object in manifest.objects() {
        check_bytes(folder, object)?;
    }
    match task {
        Task::Ladder(task) => {
            tracks::ladder(folder, &mut manifest, task)?;
            sheets::check(folder, &manifest, task)?;
            write_manifest(folder, &manifest)?;
        }
        Task::Audio(task) => {
            tracks::audio(folder, &manifest, task)?;
            sheets::outlines(folder, &manifest)?;
        }
        Task::Stills(task) => stills(folder, &manifest, task)?,
        Task::Clip(task) => clip(folder, &manifest, task)?,
        _ => return Err(Error::WrongOutput),
    }
    Ok(manifest)
}

/// Checks reported facts of a file.
///
/// # Errors
/// [`Error::Probe`] with the fact that cannot be.
pub fn facts(probe: &Probe) -> Result<(), Error> {
    probe::check(probe).map_err(Error::Probe)
}

/// The list of files in `folder`, unchecked.
///
/// # Errors
/// [`Error::Io`], [`Error::Manifest`].
pub fn read_manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(Manifest::FILE_NAME);
    let bytes = read_bounded(&path, MANIFEST_MAX)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(Error::Manifest)?;
    if manifest.objects().count() > OBJECTS_MAX {
        let found = manifest.objects().count();
        return Err(Error::mismatch("the number of files", OBJECTS_MAX, found));
    }
    Ok(manifest)
}

/// Replaces the list of files by one that says more of them.
fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let path = folder.join(Manifest::FILE_NAME);
    let bytes = serde_json::to_vec(manifest).map_err(Error::Manifest)?;
    fs::write(&path, bytes).map_err(|source| io_error(&path, source))
}

/// The listed names with their objects; each is safe to join to a folder.
fn check_names(manifest: &Manifest) -> Result<BTreeMap<&str, &Object>, Error> {
    let mut listed = BTreeMap::new();
    for object in manifest.objects() {
        let name = object.name.as_str();
        if !is_safe(name) || !name.contains(&object.blake3.short()) {
            return Err(Error::Name(name.chars().take(80).collect()));
        }
        if listed.insert(name, object).is_some() {
            return Err(Error::Twice(name.to_owned()));
        }
    }
    Ok(listed)
}

/// At most two parts of `[a-z0-9._-]+`, none of them only dots.
fn is_safe(name: &str) -> bool {
    let is_part = |part: &str| {
        part.len() <= 100
            && part.bytes().any(|byte| byte.is_ascii_alphanumeric())
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    };
    name.split('/').count() <= 2 && name.split('/').all(is_part)
}

/// `folder` holds the listed files, each of its size, and nothing else: no link, no device.
fn check_folder(folder: &Path, listed: &BTreeMap<&str, &Object>) -> Result<(), Error> {
    let mut found = 0;
    let mut pending = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = pending.pop() {
        let failed = |source| io_error(&folder, source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            // Does not follow links.
            let metadata = entry.metadata().map_err(failed)?;
            if metadata.is_dir() && prefix.is_empty() {
                pending.push((entry.path(), format!("{name}/")));
            } else if metadata.is_file() && name == Manifest::FILE_NAME {
            } else if let Some(object) = listed.get(name.as_str())
                && metadata.is_file()
            {
                let what = format!("the size of {name} in bytes");
                Error::unless_equal(what, &object.size_bytes, &metadata.len())?;
                found += 1;
            } else {
                return Err(Error::Unlisted(name.chars().take(80).collect()));
            }
        }
    }
    Error::unless_equal("the number of files", &listed.len(), &found)
}

fn check_bytes(folder: &Path, object: &Object) -> Result<(), Error> {
    let path = folder.join(&object.name);
    let failed = |source| io_error(&path, source);
    let file = File::open(&path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(failed)?;
    let found = BlobHash::from(hasher.finalize());
    Error::unless_equal(
        format!("the hash of {}", object.name),
        &object.blake3,
        &found,
    )
}

fn stills(folder: &Path, manifest: &Manifest, task: &StillsTask) -> Result<(), Error> {
    Error::unless_equal("the number of tracks", &0, &manifest.tracks.len())?;
    let classes = |classes: &mut dyn Iterator<Item = u32>| {
        let mut classes: Vec<u32> = classes.collect();
        classes.sort_unstable();
        format!("{classes:?}")
    };
    let wanted = classes(&mut task.widths.iter().copied());
    for ending in [".jpg", ".webp"] {
        let stills = manifest.stills.iter();
        let stills = stills.filter(|still| still.object.name.ends_with(ending));
        let found = classes(&mut stills.map(|still| still.width_class));
        let what = format!("the list of widths of posters in {ending}");
        Error::unless_equal(what, &wanted, &found)?;
    }
    let (wanted, found) = (task.widths.len() * 2, manifest.stills.len());
    Error::unless_equal("the number of posters", &wanted, &found)?;
    manifest
        .stills
        .iter()
        .try_for_each(|still| check_still(folder, still, task.probe.video.display))
}

/// The worker has read the file back by its index; here its outline is looked at once more.
fn clip(folder: &Path, manifest: &Manifest, task: &ClipTask) -> Result<(), Error> {
    Error::unless_equal("the number of tracks", &0, &manifest.tracks.len())?;
    Error::unless_equal("the number of posters", &0, &manifest.stills.len())?;
    let frames = manifest.frames.map_or(0, FrameRange::len);
    Error::unless_equal("the number of pictures", &task.frames.len(), &frames)?;
    let found = manifest.clip.as_ref();
    let found = found.ok_or_else(|| Error::mismatch("the number of files", 1, 0))?;
    let path = folder.join(&found.name);
    let failed = |source| io_error(&path, source);
    let file = File::open(&path).map_err(failed)?;
    let mut kinds = Vec::new();
    let mut at = 0;
    // One of each is enough; more are a mistake.
    while at < found.size_bytes && kinds.len() < 8 {
        let mut head = [0; 16];
        let length = usize::try_from(found.size_bytes - at).unwrap_or(16).min(16);
        file.read_exact_at(&mut head[..length], at)
            .map_err(failed)?;
        let [a, b, c, d, kind @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            1 => u64::from_be_bytes(kind[4..].try_into().unwrap_or_default()),
            size => u64::from(size),
        };
        kinds.push(String::from_utf8_lossy(&kind[..4]).into_owned());
        at = at.saturating_add(size.max(8));
    }
    Error::unless_equal(
        "the list of boxes",
        &"ftyp moov mdat".to_owned(),
        &kinds.join(" "),
    )?;
    Error::unless_equal("the end of the last box", &found.size_bytes, &at)
}

fn check_still(folder: &Path, still: &Still, source: Resolution) -> Result<(), Error> {
    let name = &still.object.name;
    let bytes = read_bounded(&folder.join(name), STILL_MAX)?;
    let found = match name.rsplit_once('.') {
        Some((_, "webp")) => webp::resolution(&bytes),
        _ => jpeg::resolution(&bytes),
    };
    let found = found.ok_or_else(|| Error::Picture(name.clone()))?;
    Error::unless_equal(format!("the size of {name}"), &still.resolution, &found)?;
    let widest = still.width_class.min(source.width);
    if found.width > widest {
        let what = format!("the width of {name}");
        return Err(Error::mismatch(
            what,
            format!("at most {widest}"),
            found.width,
        ));
    }
    Ok(())
}

fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, Error> {
    let failed = |source| io_error(path, source);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("the size of {name} in bytes");
        return Err(Error::mismatch(what, format!("at most {max}"), "larger"));
    }
    Ok(bytes)
}

/// `count` bytes of `file` from `offset`; the caller has checked that they are there.
fn read_at(file: &File, path: &Path, offset: u64, count: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, offset)
        .map_err(|source| io_error(path, source))?;
    Ok(bytes)
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
