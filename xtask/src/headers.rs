//! Every file says what it is for; every pure room carries the lints that keep it pure.

use crate::tree::{Complaint, Tree};

/// Lints that a pure room, or a room above it, denies.
const PURE_LINTS: [&str; 3] = [
    "clippy::disallowed_methods",
    "clippy::disallowed_types",
    "clippy::iter_over_hash_type",
];

pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in &tree.files {
        if !text.starts_with("//! ") {
            complaints.push(Complaint {
                path: path.clone(),
                line: 1,
                rule: "header",
                text: "begins with no `//!` sentence that says what the room is for".to_owned(),
            });
        }
        if text.starts_with("//! Pure:") && !is_kept_pure(tree, path) {
            complaints.push(Complaint {
                path: path.clone(),
                line: 1,
                rule: "pure-attribute",
                text: format!(
                    "says it is pure, but neither it nor a room above denies {}",
                    PURE_LINTS.join(", ")
                ),
            });
        }
    }
    complaints
}

/// Inner lint attributes reach into child modules, so a pure parent covers its children.
fn is_kept_pure(tree: &Tree, path: &str) -> bool {
    let own = std::iter::once(path.to_owned());
    own.chain(parents(path))
        .filter_map(|path| tree.files.get(&path))
        .any(|text| text.contains("#![deny(") && PURE_LINTS.iter().all(|lint| text.contains(lint)))
}

/// The files of the modules above `path`, nearest first, up to `lib.rs`.
fn parents(path: &str) -> Vec<String> {
    let mut folder = path;
    let mut parents = Vec::new();
    while let Some((above, _)) = folder.rsplit_once('/') {
        parents.push(format!("{above}/mod.rs"));
        parents.push(format!("{above}.rs"));
        parents.push(format!("{above}/lib.rs"));
        folder = above;
    }
    parents
}
