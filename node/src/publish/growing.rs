//! Playlists in the origin itself of a video that is still rendered, for players and CDNs that read
//! the store directly.
//!
//! The leader writes them, media playlists before the multivariant one, and only while the
//! catalogue, read anew, still says that the video is being built. A put is bound to what stood
//! there when the catalogue was read, where the store knows how, so that a leader that has lost its
//! place without knowing it cannot put an older playlist over a newer one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use bytes::Bytes;
use coordinator::catalog::generation::{Generation, Stage};
use coordinator::raft::Handle;
use protocol::id::{BlobHash, GenerationId};
use protocol::job::Unit;
use protocol::manifest::Manifest;
use tokio::time::Instant;

use super::hls::{generation, manifest, names};
use super::service::Error;
use super::uploader;
use crate::origin::{Headers, Origin};

/// Between two writes for one video: players ask no more often than that.
const EVERY: Duration = Duration::from_secs(2);

/// Videos whose lists of segments are kept in memory; those of the others are read again.
const KEPT_MAX: usize = 32;

/// What was written of the videos that are being rendered.
#[derive(Debug, Default)]
pub(super) struct Growing {
    of: BTreeMap<GenerationId, Grown>,
}

#[derive(Debug, Default)]
struct Grown {
    /// Units that the playlists in the origin name.
    listed: usize,
    at: Option<Instant>,
    manifests: BTreeMap<Unit, Manifest>,
    /// What stands in the origin, by name.
    written: BTreeMap<String, BlobHash>,
}

impl Growing {
    /// Brings the playlists of `generation` up to date. Returns how soon to come back, if there is
    /// more to write than was due.
    pub(super) async fn write(
        &mut self,
        generation: &Generation,
        catalog: &Handle,
        origin: &Origin,
    ) -> Result<Option<Duration>, Error> {
        let units = generation::playable(generation);
        let keeps = self.of.len() < KEPT_MAX || self.of.contains_key(&generation.id);
        let grown = self.of.entry(generation.id).or_default();
        if units.len() <= grown.listed {
            return Ok(None);
        }
        if let Some(since) = grown.at.map(|at| at.elapsed())
            && since < EVERY
        {
            return Ok(Some(EVERY.saturating_sub(since)));
        }
        grown.at = Some(Instant::now());
        for &unit in &units {
            if let Entry::Vacant(vacant) = grown.manifests.entry(unit) {
                vacant.insert(read(generation, unit, origin).await?);
            }
        }
        let texts = generation::growing(generation, &grown.manifests)?;
        if put(generation, texts, &mut grown.written, catalog, origin).await? {
            grown.listed = units.len();
        }
        if !keeps {
            grown.manifests.clear();
        }
        Ok(None)
    }

    /// The list of a unit, if it was read before.
    pub(super) fn manifest(&self, generation: GenerationId, unit: Unit) -> Option<&Manifest> {
        self.of.get(&generation)?.manifests.get(&unit)
    }

    /// Forgets all but those that are still being built.
    pub(super) fn keep(&mut self, is_building: impl Fn(GenerationId) -> bool) {
        self.of.retain(|id, _| is_building(*id));
    }
}

/// A unit's list in the origin.
pub(super) async fn read(
    generation: &Generation,
    unit: Unit,
    origin: &Origin,
) -> Result<Manifest, Error> {
    let name = names::unit_manifest(unit);
    let key = names::key(generation.video, generation.id, &name);
    let bytes = origin.get(&key, manifest::BYTES_MAX).await?;
    manifest::parse(unit, &bytes).map_err(|source| Error::Manifest { unit, source })
}

/// Writes what changed; whether all of it stands now.
async fn put(
    generation: &Generation,
    texts: Vec<(String, String)>,
    written: &mut BTreeMap<String, BlobHash>,
    catalog: &Handle,
    origin: &Origin,
) -> Result<bool, Error> {
    let mut wanted = Vec::new();
    for (name, text) in texts {
        let hash = BlobHash::of(text.as_bytes());
        if written.get(&name) == Some(&hash) {
            continue;
        }
        let key = names::key(generation.video, generation.id, &name);
        let standing = if origin.has_conditional_put() {
            origin.head(&key).await?
        } else {
            None
        };
        wanted.push((name, key, hash, text, standing));
    }
    // After what stands was looked at, before anything is put in its place.
    catalog.linearize().await?;
    let builds = catalog.read(|catalog| {
        let generation = catalog.generation(generation.id);
        generation.is_some_and(|generation| generation.stage == Stage::Building)
    });
    if !builds {
        return Ok(false);
    }
    for (name, key, hash, text, standing) in wanted {
        let headers = Headers {
            cache_control: names::GROWING_CACHE,
            ..uploader::headers(&name)
        };
        let done = origin.replace(&key, Bytes::from(text), headers, standing);
        if !done.await? {
            // Somebody else writes them: look again next time.
            written.clear();
            return Ok(false);
        }
        written.insert(name, hash);
    }
    Ok(true)
}
