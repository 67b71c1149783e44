//! Pure: what in the origin nobody needs, and why: the mark of mark and sweep.
//!
//! In doubt an object stays: what has no name that we give is not ours, and what belongs to a
//! generation that is being built or taken away has others who look after it.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeSet;

use coordinator::catalog::Catalog;
use coordinator::catalog::generation::Stage;
use protocol::id::{GenerationId, VideoId};
use protocol::manifest::Manifest;

use super::hls::names;

/// Why an object may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No generation of that name is in the catalogue.
    NoGeneration,
    /// No list of its generation names it: an attempt left it that was lost.
    NotNamed,
    /// `origin check` was killed.
    Check,
    /// A large object that was begun and never put together.
    Unfinished,
}

impl Reason {
    pub const ALL: [Self; 4] = [
        Self::NoGeneration,
        Self::NotNamed,
        Self::Check,
        Self::Unfinished,
    ];

    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoGeneration => "no_generation",
            Self::NotNamed => "not_named",
            Self::Check => "check",
            Self::Unfinished => "unfinished",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoGeneration => "the catalogue knows nothing that it belongs to",
            Self::NotNamed => "an attempt left it whose result does not count",
            Self::Check => "a check of the origin that was killed left it",
            Self::Unfinished => "a large object that was begun and never put together",
        }
    }
}

/// What is to become of an object, as far as its key and the catalogue tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// It has no name that we give.
    Foreign,
    Orphan(Reason),
    /// The lists of that generation tell.
    Ask(GenerationId),
}

/// Judges the object under `key`. `check` is the folder in which checks write.
pub fn judge(catalog: &Catalog, key: &str, check: &str) -> Verdict {
    let mut parts = key.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(folder), Some(_), Some(_), None) if folder == check => Verdict::Orphan(Reason::Check),
        (Some("hls"), Some(video), Some(id), Some(name)) if names::is_valid(name) => {
            // Only the printed form is a name that we give.
            let ids = (video.parse::<VideoId>(), id.parse::<GenerationId>());
            let (Ok(video_id), Ok(generation_id)) = ids else {
                return Verdict::Foreign;
            };
            if video_id.to_string() != video || generation_id.to_string() != id {
                return Verdict::Foreign;
            }
            let generation = catalog.generation(generation_id);
            match generation.filter(|generation| generation.video == video_id) {
                None => Verdict::Orphan(Reason::NoGeneration),
                Some(generation) if generation.stage == Stage::Published => {
                    Verdict::Ask(generation_id)
                }
                Some(_) => Verdict::Keep,
            }
        }
        _ => Verdict::Foreign,
    }
}

/// The names below a published generation that are needed, from the lists of all its units.
pub fn needed<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> BTreeSet<String> {
    let objects = manifests.into_iter().flat_map(Manifest::objects);
    objects.map(|object| object.name.clone()).collect()
}

/// Whether the object called `name` below a published generation is needed.
pub fn is_needed(needed: &BTreeSet<String>, name: &str) -> bool {
    // What carries no hash, such as playlists, is replaced by each attempt rather than left by it.
    names::hash_in(name).is_none() || needed.contains(name)
}

#[cfg(test)]
mod tests {
    use coordinator::catalog::Command;

    use super::super::fixture;
    use super::*;

    #[tokio::test]
    async fn in_doubt_an_object_stays() {
        let handle = fixture::library().await;
        let (video, generation) = fixture::probed(&handle, 1, "a.mov", b"original").await;
        let check = |key: &str, expect: Verdict| {
            let verdict = handle.read(|catalog| judge(catalog, key, "check"));
            assert_eq!(verdict, expect, "{key}");
        };
        let key = names::key(video, generation, "720p/000000-0123456789abcdef.m4s");
        check(&key, Verdict::Keep);
        let id = generation.to_string();
        let other = format!(
            "{}{}",
            &id[..id.len() - 1],
            if id.ends_with('0') { '1' } else { '0' }
        );
        check(
            &key.replace(&id, &other),
            Verdict::Orphan(Reason::NoGeneration),
        );
        check(&key.replace(&id, "latest"), Verdict::Foreign);
        check(&key.to_uppercase().replace("HLS", "hls"), Verdict::Foreign);
        for foreign in [
            "readme.txt",
            "hls/notes.txt",
            "hls/a/b/c",
            "films/a/b.mov",
            "check/a",
        ] {
            check(foreign, Verdict::Foreign);
        }
        check("check/0190/once", Verdict::Orphan(Reason::Check));
        handle
            .propose(Command::DeleteVideo { video })
            .await
            .unwrap();
        // Retired: others take it away, playlists first.
        check(&key, Verdict::Keep);
    }
}
