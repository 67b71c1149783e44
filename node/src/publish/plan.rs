//! Pure: wanted against present: what has to be put into the origin, and what goes out of it first.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::{BTreeMap, BTreeSet};

use protocol::manifest::{Manifest, Object};

use super::hls::names::{self, Kind};

/// The objects of `manifest` that the origin lacks, init segments first, each once.
///
/// `present` holds names below the generation and sizes. An object of another size under the
/// right name is put again.
pub fn puts<'a>(manifest: &'a Manifest, present: &BTreeMap<String, u64>) -> Vec<&'a Object> {
    let mut seen = BTreeSet::new();
    manifest
        .objects()
        .filter(|object| present.get(&object.name) != Some(&object.size_bytes))
        .filter(|object| seen.insert(object.name.as_str()))
        .collect()
}

/// What to remove of a retired generation: first what leads viewers in, later the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// The multivariant playlist, then the others, and the indexes.
    pub playlists: Vec<String>,
    /// Whoever has read a playlist may still fetch these for a while.
    pub rest: Vec<String>,
}

/// Sorts the keys of a retired generation by when they go.
pub fn removal(present: impl IntoIterator<Item = String>) -> Removal {
    let (mut playlists, rest): (Vec<String>, Vec<String>) = present.into_iter().partition(|key| {
        let name = key.rsplit('/').next().unwrap_or(key);
        matches!(Kind::of(name), Some(Kind::Playlist | Kind::Index))
    });
    playlists.sort_by_key(|key| !key.ends_with(names::MASTER));
    Removal { playlists, rest }
}

#[cfg(test)]
mod tests {
    use protocol::id::BlobHash;
    use protocol::manifest::Still;
    use protocol::media::Resolution;

    use super::*;

    fn manifest(names: &[&str]) -> Manifest {
        let still = |name: &&str| Still {
            resolution: Resolution {
                width: 320,
                height: 180,
            },
            width_class: 320,
            object: Object {
                name: (*name).to_owned(),
                size_bytes: 10,
                blake3: BlobHash::of(name.as_bytes()),
            },
        };
        Manifest {
            stills: names.iter().map(still).collect(),
            ..Manifest::default()
        }
    }

    fn check(present: &[(&str, u64)], expect: &[&str]) {
        let manifest = manifest(&["a", "b", "a", "c"]);
        let present = present
            .iter()
            .map(|&(name, size)| (name.to_owned(), size))
            .collect();
        let puts: Vec<&str> = puts(&manifest, &present)
            .iter()
            .map(|o| o.name.as_str())
            .collect();
        assert_eq!(puts, expect);
    }

    #[test]
    fn puts_what_is_missing_or_cut_short_once() {
        check(&[], &["a", "b", "c"]);
        check(&[("b", 10), ("other", 10)], &["a", "c"]);
        check(&[("a", 10), ("b", 9), ("c", 10)], &["b"]);
        check(&[("a", 10), ("b", 10), ("c", 10)], &[]);
    }

    #[test]
    fn playlists_go_first_and_the_multivariant_one_before_the_others() {
        let keys = [
            "g/360p/000000-x.m4s",
            "g/360p/media.m3u8",
            "g/master.m3u8",
            "g/units/audio.json",
        ];
        let removal = removal(keys.map(str::to_owned));
        assert_eq!(removal.playlists, ["g/master.m3u8", "g/360p/media.m3u8"]);
        assert_eq!(removal.rest, ["g/360p/000000-x.m4s", "g/units/audio.json"]);
    }
}
