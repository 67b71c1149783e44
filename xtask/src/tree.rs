//! The Rust sources of the workspace, and complaints about them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Path from the workspace root, with `/`, and text of every source file.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// The tree that this program was built from.
    pub(crate) fn of_workspace() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the workspace");
        let mut tree = Self {
            files: BTreeMap::new(),
        };
        for member in ["protocol", "coordinator", "node", "xtask"] {
            tree.read(root, &root.join(member));
        }
        tree
    }

    #[cfg(test)]
    pub(crate) fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        Self { files }
    }

    fn read(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).expect("the workspace is readable") {
            let path = entry.expect("the workspace is readable").path();
            if path.is_dir() {
                self.read(root, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                let name = path.strip_prefix(root).expect("below the root");
                self.files.insert(name.to_string_lossy().into_owned(), text);
            }
        }
    }
}

/// One broken rule, with its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Complaint {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            text,
        } = self;
        write!(f, "{path}:{line}: [{rule}] {text}")
    }
}
