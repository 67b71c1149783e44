//! Pure: which files of a watched folder have stood still for long enough to be taken.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use protocol::time::{Span, Timestamp};

/// What a file looks like from outside. It changed if any of these did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Look {
    pub size_bytes: u64,
    pub modified_ns: i128,
    pub inode: u64,
}

/// Watches files stand still.
#[derive(Debug, Default)]
pub struct Steady {
    seen: BTreeMap<PathBuf, (Look, Timestamp)>,
}

impl Steady {
    /// Takes in one look at the folder, and says which files have not changed for `stable`.
    ///
    /// Time counts from the look that first saw the file so, never from the file's own time: the
    /// clock of another machine may have written that.
    pub fn handle(
        &mut self,
        now: Timestamp,
        stable: Span,
        files: BTreeMap<PathBuf, Look>,
    ) -> Vec<(PathBuf, Look)> {
        let mut seen = BTreeMap::new();
        for (path, look) in files {
            let since = match self.seen.get(&path) {
                Some((before, since)) if *before == look => *since,
                _ => now,
            };
            seen.insert(path, (look, since));
        }
        self.seen = seen;
        self.seen
            .iter()
            // An empty file was made by somebody who means to write to it.
            .filter(|(_, (look, since))| look.size_bytes > 0 && now.since(*since) >= stable)
            .map(|(path, (look, _))| (path.clone(), *look))
            .collect()
    }
}

/// The card that a file belongs to: the outermost folder; none for a file beside the cards.
pub fn card(path: &Path) -> Option<&Path> {
    let mut parts = path.iter();
    let first = parts.next()?;
    parts.next().map(|_| Path::new(first))
}

/// Of the files that stand still, those whose whole card does.
pub fn whole_cards(
    all: &BTreeMap<PathBuf, Look>,
    steady: Vec<(PathBuf, Look)>,
) -> Vec<(PathBuf, Look)> {
    let mut moving: BTreeMap<&Path, usize> = BTreeMap::new();
    for path in all.keys() {
        if let Some(card) = card(path) {
            *moving.entry(card).or_default() += 1;
        }
    }
    for (path, _) in &steady {
        if let Some(count) = card(path).and_then(|card| moving.get_mut(card)) {
            *count -= 1;
        }
    }
    steady
        .into_iter()
        .filter(|(path, _)| card(path).is_none_or(|card| moving.get(card) == Some(&0)))
        .collect()
}

/// Names under which programs write what is not finished.
pub fn is_unfinished(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with('.')
        || lower.starts_with('~')
        || [
            ".part",
            ".partial",
            ".tmp",
            ".temp",
            ".crdownload",
            ".filepart",
            ".!ut",
            "~",
        ]
        .iter()
        .any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(size_bytes: u64, modified_ns: i128) -> Look {
        Look {
            size_bytes,
            modified_ns,
            inode: 1,
        }
    }

    fn files(list: &[(&str, u64, i128)]) -> BTreeMap<PathBuf, Look> {
        list.iter()
            .map(|(path, size, modified)| (PathBuf::from(path), look(*size, *modified)))
            .collect()
    }

    fn names(steady: &[(PathBuf, Look)]) -> Vec<&str> {
        steady
            .iter()
            .filter_map(|(path, _)| path.to_str())
            .collect()
    }

    const STABLE: Span = Span::from_secs(10);

    #[test]
    fn a_growing_file_is_never_taken() {
        let mut steady = Steady::default();
        for second in 0..100 {
            let now = Timestamp::from_millis(second * 1000);
            let size = u64::try_from(second).unwrap() + 1;
            // It grows every nine seconds, as over a slow share.
            let taken = steady.handle(now, STABLE, files(&[("a.mov", size / 9 + 1, 0)]));
            assert!(taken.is_empty(), "at {second} s");
        }
        let still = files(&[("a.mov", 12, 0)]);
        let taken = steady.handle(Timestamp::from_millis(107_000), STABLE, still.clone());
        assert!(taken.is_empty(), "it has only just stopped");
        let taken = steady.handle(Timestamp::from_millis(108_000), STABLE, still);
        assert_eq!(names(&taken), ["a.mov"]);
    }

    #[test]
    fn what_changes_in_place_or_is_replaced_or_is_empty_waits() {
        let mut steady = Steady::default();
        let at = Timestamp::from_millis;
        steady.handle(
            at(0),
            STABLE,
            files(&[("a", 5, 1), ("b", 5, 1), ("c", 0, 1)]),
        );
        // Same size, written over; and one that is gone and comes back.
        steady.handle(at(9_000), STABLE, files(&[("a", 5, 2), ("c", 0, 1)]));
        let all = files(&[("a", 5, 2), ("b", 5, 1), ("c", 0, 1)]);
        let taken = steady.handle(at(15_000), STABLE, all.clone());
        assert!(taken.is_empty());
        assert_eq!(
            names(&steady.handle(at(19_000), STABLE, all.clone())),
            ["a"]
        );
        assert_eq!(names(&steady.handle(at(25_000), STABLE, all)), ["a", "b"]);
    }

    #[test]
    fn a_card_is_taken_as_a_whole() {
        let all = files(&[
            ("A001/clip/1.mov", 1, 0),
            ("A001/clip/2.mov", 1, 0),
            ("A002/1.mov", 1, 0),
            ("loose.mov", 1, 0),
        ]);
        let some: Vec<_> = all
            .iter()
            .filter(|(path, _)| !path.ends_with("2.mov"))
            .map(|(path, look)| (path.clone(), *look))
            .collect();
        let taken = whole_cards(&all, some);
        assert_eq!(names(&taken), ["A002/1.mov", "loose.mov"]);
        let every: Vec<_> = all.iter().map(|(p, l)| (p.clone(), *l)).collect();
        assert_eq!(whole_cards(&all, every).len(), 4);
    }

    #[test]
    fn names_of_unfinished_files_are_known() {
        for name in [".hidden.mov", "a.mov.part", "a.MOV.TMP", "~a.mov", "a.mov~"] {
            assert!(is_unfinished(name), "{name}");
        }
        assert!(!is_unfinished("a.part.mov"));
    }
}
