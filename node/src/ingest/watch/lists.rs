//! The media hash lists of a watched folder: what each file of it must be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::steady::Look;
use crate::digest::mhl::{self, Listed};
use crate::digest::{Algorithm, Hasher};
use crate::ingest::Error;

/// Bytes hashed at once.
const READ_BYTES: usize = 1 << 20;

/// Missing files that are named one by one.
const NAMED_MAX: usize = 5;

/// All lists that were read, each as it looked then.
#[derive(Debug, Default)]
pub struct Lists {
    read: BTreeMap<PathBuf, (Look, Vec<Listed>)>,
}

/// What a list says about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The list's path in the folder.
    pub list: PathBuf,
    pub size_bytes: Option<u64>,
    pub algorithm: Algorithm,
    pub hash: String,
}

/// The folder that the list at `path` describes, and whether it is a list at all.
pub fn base(path: &Path) -> Option<&Path> {
    if !path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("mhl"))
    {
        return None;
    }
    let folder = path.parent()?;
    // ASC MHL keeps its lists in a folder of their own.
    if folder.file_name().is_some_and(|name| name == "ascmhl") {
        folder.parent()
    } else {
        Some(folder)
    }
}

impl Lists {
    /// Reads lists that are new or changed; returns sentences about those that cannot be used, and
    /// about files that they name and that are not there. Blocks on the disk.
    pub fn refresh(&mut self, root: &Path, all: &BTreeMap<PathBuf, Look>) -> Vec<String> {
        let mut sentences = Vec::new();
        self.read.retain(|path, _| all.contains_key(path));
        for (path, look) in all {
            let Some(base) = base(path) else { continue };
            if self
                .read
                .get(path)
                .is_some_and(|(before, _)| before == look)
            {
                continue;
            }
            let files = match read(&root.join(path)) {
                Ok(files) => files,
                Err(problem) => {
                    sentences.push(format!(
                        "The hash list {} cannot be used: {problem}. Its files are taken without being compared.",
                        path.display()
                    ));
                    Vec::new()
                }
            };
            let missing: Vec<_> = files
                .iter()
                .filter(|file| !all.contains_key(&base.join(&file.path)))
                .map(|file| file.path.as_str())
                .collect();
            if !missing.is_empty() {
                let named = missing[..missing.len().min(NAMED_MAX)].join(", ");
                sentences.push(format!(
                    "The hash list {} names {} files that are not there: {named}.",
                    path.display(),
                    missing.len()
                ));
            }
            self.read.insert(path.clone(), (*look, files));
        }
        sentences
    }

    /// What the newest list that knows the file says about it.
    pub fn wanted(&self, path: &Path) -> Option<Wanted> {
        // Generations of ASC MHL are numbered, so the last in order of name is the newest.
        self.read.iter().rev().find_map(|(list, (_, files))| {
            let relative = path.strip_prefix(base(list)?).ok()?.to_str()?;
            let file = files.iter().rev().find(|file| file.path == relative)?;
            let (algorithm, hash) = file.best()?;
            Some(Wanted {
                list: list.clone(),
                size_bytes: file.size_bytes,
                algorithm: *algorithm,
                hash: hash.clone(),
            })
        })
    }
}

/// Folders whose lists do not stand still yet: nothing in them is compared, so nothing is taken.
pub fn unsettled<'a>(
    all: &'a BTreeMap<PathBuf, Look>,
    steady: &[(PathBuf, Look)],
) -> BTreeSet<&'a Path> {
    let still: BTreeSet<&Path> = steady.iter().map(|(path, _)| path.as_path()).collect();
    all.keys()
        .filter(|path| !still.contains(path.as_path()))
        .filter_map(|path| base(path))
        .collect()
}

fn read(path: &Path) -> Result<Vec<Listed>, String> {
    let mut text = String::new();
    let limit = u64::try_from(mhl::BYTES_MAX).unwrap_or(u64::MAX) + 1;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    mhl::parse(&text).map_err(|error| error.to_string())
}

/// Reads the whole file and compares it with what a list says. Blocks on the disk.
///
/// # Errors
/// [`Error::HashList`] with both hashes; the file cannot be read.
pub fn compare(path: &Path, wanted: &Wanted) -> Result<(), Error> {
    let gone = |error: io::Error| Error::Gone(error.to_string());
    let mut file = File::open(path).map_err(gone)?;
    let size_bytes = file.metadata().map_err(gone)?.len();
    let list = wanted.list.display().to_string();
    if let Some(expected) = wanted.size_bytes
        && expected != size_bytes
    {
        return Err(Error::HashList {
            list,
            what: "size in bytes",
            expected: expected.to_string(),
            found: size_bytes.to_string(),
        });
    }
    let mut hasher = Hasher::new(wanted.algorithm);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(gone)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let found = hasher.text();
    if found == wanted.hash {
        return Ok(());
    }
    Err(Error::HashList {
        list,
        what: mhl::name(wanted.algorithm).unwrap_or("hash"),
        expected: wanted.hash.clone(),
        found,
    })
}
