//! Pure: secondary indexes: derived from the records by one hook each, never persisted.
//!
//! Loading a snapshot runs the same hooks, so an index cannot differ from what was kept along the
//! way; a property test compares the two.

mod clips;
mod generations;
mod jobs;
mod markers;
mod names;
mod videos;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use clips::ClipIndex;
pub(super) use generations::GenerationIndex;
pub(super) use jobs::JobIndex;
pub(super) use markers::MarkerIndex;
pub(super) use names::{Facet, Key, Sort};
pub(super) use videos::{Listing, VideoIndex, folded};

/// All indexes of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) videos: VideoIndex,
    pub(super) jobs: JobIndex,
    pub(super) generations: GenerationIndex,
    pub(super) clips: ClipIndex,
    pub(super) markers: MarkerIndex,
}

/// Adds `value` to the set under `key`.
fn link<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: K, value: V) {
    map.entry(key).or_default().insert(value);
}

/// Removes `value` from the set under `key`, and the set when it is empty: an index that was
/// rebuilt knows nothing of keys that once were.
fn unlink<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
