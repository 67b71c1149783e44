//! The one loop of publishing: units this node rendered, playlists and sweeping if it leads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coordinator::catalog::generation::{Generation, Stage, UnitState};
use coordinator::catalog::{Catalog, Command};
use coordinator::raft::{self, Handle};
use futures::stream::{self, StreamExt};
use protocol::id::{GenerationId, NodeId};
use protocol::job::Unit;
use protocol::manifest::Manifest;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::hls::{manifest, names, playlist};
use super::retention::{self, Waiting};
use super::uploader;
use crate::origin::{self, Origin};
use crate::telemetry::metrics;

/// Units that are carried at once.
const UNITS_AT_ONCE: usize = 2;

/// The state is looked at this often even if nothing wakes the loop.
const TICK: Duration = Duration::from_secs(10);

/// Pause after a round in which something failed.
const BACKOFF: Duration = Duration::from_secs(2);

/// Outbox folders that are looked through in one round.
const OUTBOX_MAX: usize = 10_000;

/// How publishing is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Finished units lie in `<outbox>/<generation>/<unit>/`.
    pub outbox: PathBuf,
    /// How long the segments of a retired generation stay for those who still watch it.
    pub retired_grace: Duration,
}

/// Why a step failed; each is tried again in the next round.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Catalog(#[from] raft::Error),
    #[error(transparent)]
    Origin(#[from] origin::Error),
    #[error(transparent)]
    Upload(#[from] uploader::Error),
    #[error("the manifest of {unit} in the origin cannot be used: {source}")]
    Manifest { unit: Unit, source: manifest::Error },
    #[error(transparent)]
    Playlist(#[from] playlist::Error),
    #[error("cannot tidy {path}: {source}")]
    Outbox {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Publishes until it is stopped.
#[derive(Debug)]
pub struct Service {
    options: Options,
    catalog: Handle,
    origin: Origin,
    waiting: Waiting,
}

/// What the catalogue asks for right now.
#[derive(Debug, Default)]
struct Wanted {
    /// Units that lie in this node's outbox.
    units: Vec<(Arc<Generation>, Unit, u32)>,
    whole: Vec<Arc<Generation>>,
    retired: Vec<Arc<Generation>>,
}

impl Service {
    pub fn new(options: Options, catalog: Handle, origin: Origin) -> Self {
        Self {
            options,
            catalog,
            origin,
            waiting: Waiting::default(),
        }
    }

    /// Reconciles on every change of the catalogue until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut changes = self.catalog.changes();
        // What an earlier process left is looked at once, then every tick.
        let mut tidy_at = Instant::now();
        loop {
            changes.mark_unchanged();
            let round = async {
                let fine = self.reconcile().await;
                if Instant::now() >= tidy_at {
                    tidy_at = Instant::now() + TICK;
                    if let Err(error) = self.tidy().await {
                        warn!(%error, "cannot tidy the outbox");
                    }
                }
                fine
            };
            let fine = tokio::select! {
                fine = round => fine,
                () = shutdown.cancelled() => return,
            };
            let pause = if fine { TICK } else { BACKOFF };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                changed = changes.changed(), if fine => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// One round; whether every step went well.
    async fn reconcile(&mut self) -> bool {
        let me = self.catalog.node();
        let leader = self.catalog.is_leader();
        let wanted = self.catalog.read(|catalog| wanted(catalog, me, leader));
        let mut fine = true;
        {
            let mut carried = stream::iter(&wanted.units)
                .map(|(generation, unit, epoch)| self.carry(generation, *unit, *epoch))
                .buffer_unordered(UNITS_AT_ONCE);
            while let Some(done) = carried.next().await {
                fine &= done;
            }
        }
        for generation in &wanted.whole {
            if let Err(error) = self.finish(generation).await {
                warn!(generation = %generation.id, video = %generation.video, %error, "cannot write playlists");
                fine = false;
            }
        }
        for generation in &wanted.retired {
            if let Err(error) = self.retire(generation).await {
                warn!(generation = %generation.id, video = %generation.video, %error, "cannot sweep a retired generation");
                fine = false;
            }
        }
        fine
    }

    /// Publishes one unit, or tells the catalogue that it is lost; whether that went well.
    async fn carry(&self, generation: &Generation, unit: Unit, epoch: u32) -> bool {
        let folder = unit_folder(&self.options.outbox, generation.id, unit);
        let (video, id) = (generation.video, generation.id);
        let began = Instant::now();
        let command = match uploader::upload(&self.origin, video, id, unit, &folder).await {
            Ok(manifest) => {
                let size_bytes = manifest.size_bytes();
                metrics::published(size_bytes, began.elapsed());
                info!(%video, generation = %id, %unit, size_bytes, "unit published");
                Command::PublishUnit {
                    generation: id,
                    unit,
                    epoch,
                }
            }
            Err(error @ uploader::Error::Lost(_)) => {
                warn!(%video, generation = %id, %unit, %error, "unit lost, it is made again");
                Command::LoseUnit {
                    generation: id,
                    unit,
                    epoch,
                }
            }
            Err(error) => {
                metrics::publish_failed();
                warn!(%video, generation = %id, %unit, %error, "cannot publish a unit, trying again");
                return false;
            }
        };
        match self.catalog.propose(command).await {
            Ok(_) => {}
            // Somebody else's result counts, or the video is gone: these files are of no use.
            Err(raft::Error::Rejected(rejection)) => {
                debug!(%video, generation = %id, %unit, %rejection, "unit was not wanted any more");
            }
            Err(error) => {
                warn!(%video, generation = %id, %unit, %error, "cannot tell the catalogue of a unit");
                return false;
            }
        }
        // The catalogue has answered for good, so the folder is of no more use.
        if let Err(error) = retention::remove_folder(&folder).await {
            warn!(%error, folder = %folder.display(), "cannot remove a published unit from the outbox");
        }
        true
    }

    /// Writes the playlists of a generation whose units are all in the origin.
    async fn finish(&self, generation: &Generation) -> Result<(), Error> {
        let mut manifests = BTreeMap::new();
        for &unit in generation.units.keys() {
            let name = names::unit_manifest(unit);
            let key = names::key(generation.video, generation.id, &name);
            let bytes = self.origin.get(&key, manifest::BYTES_MAX).await?;
            let manifest =
                manifest::parse(unit, &bytes).map_err(|source| Error::Manifest { unit, source })?;
            manifests.insert(unit, manifest);
        }
        for (name, text) in playlists(generation, &manifests)? {
            let key = names::key(generation.video, generation.id, &name);
            self.origin.put(&key, Bytes::from(text)).await?;
        }
        let command = Command::PublishGeneration {
            generation: generation.id,
        };
        match self.catalog.propose(command).await {
            Ok(_) => {
                info!(video = %generation.video, generation = %generation.id, "video plays");
                Ok(())
            }
            Err(raft::Error::Rejected(rejection)) => {
                debug!(generation = %generation.id, %rejection, "generation was not wanted any more");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a retired generation out of the origin: playlists now, the rest after the grace time.
    async fn retire(&mut self, generation: &Generation) -> Result<(), Error> {
        let id = generation.id;
        let base = names::folder(generation.video, id);
        if self.waiting.is_new(id) {
            retention::close(&self.origin, &base).await?;
            self.waiting.begin(id, Instant::now());
        }
        if !self
            .waiting
            .is_over(id, self.options.retired_grace, Instant::now())
        {
            return Ok(());
        }
        let objects = retention::sweep(&self.origin, &base).await?;
        match self
            .catalog
            .propose(Command::ForgetGeneration { generation: id })
            .await
        {
            Ok(_) | Err(raft::Error::Rejected(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.waiting.end(id);
        info!(video = %generation.video, generation = %id, objects, "retired generation removed");
        Ok(())
    }

    /// Removes outbox folders of generations that are gone, retired or published.
    async fn tidy(&self) -> Result<(), Error> {
        let outbox = &self.options.outbox;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Outbox { path, source }
        };
        let found = retention::outbox(outbox, OUTBOX_MAX)
            .await
            .map_err(failed(outbox))?;
        if found.is_empty() {
            return Ok(());
        }
        // An old copy of the catalogue may not know a generation yet that this node works on.
        self.catalog.linearize().await?;
        for generation in found {
            let dead = self.catalog.read(|catalog| {
                catalog
                    .generation(generation)
                    .is_none_or(|generation| generation.stage != Stage::Building)
            });
            if dead {
                let folder = outbox.join(generation.to_string());
                retention::remove_folder(&folder)
                    .await
                    .map_err(failed(&folder))?;
            }
        }
        Ok(())
    }
}

fn wanted(catalog: &Catalog, me: NodeId, leader: bool) -> Wanted {
    let mut wanted = Wanted::default();
    for generation in catalog.generations() {
        match generation.stage {
            Stage::Building => {
                if leader && generation.is_whole() && !generation.units.is_empty() {
                    wanted.whole.push(Arc::clone(generation));
                }
                for (&unit, state) in &generation.units {
                    if let UnitState::Rendered { node, epoch, .. } = *state
                        && node == me
                    {
                        wanted.units.push((Arc::clone(generation), unit, epoch));
                    }
                }
            }
            Stage::Retired if leader => wanted.retired.push(Arc::clone(generation)),
            Stage::Published | Stage::Retired => {}
        }
    }
    wanted
}

/// Folder of a unit in the outbox.
fn unit_folder(outbox: &Path, generation: GenerationId, unit: Unit) -> PathBuf {
    outbox.join(generation.to_string()).join(unit.to_string())
}

/// Names and texts of all playlists, the multivariant one last.
fn playlists(
    generation: &Generation,
    manifests: &BTreeMap<Unit, Manifest>,
) -> Result<Vec<(String, String)>, playlist::Error> {
    // Units order by piece number, so each rendition's shares come in order of presentation.
    let pieces = || {
        let is_piece = |unit: &Unit| matches!(unit, Unit::Piece(_));
        manifests
            .iter()
            .filter(move |(unit, _)| is_piece(unit))
            .map(|(_, manifest)| manifest)
    };
    let mut videos = Vec::new();
    for rendition in &generation.renditions {
        let mut parts = Vec::new();
        for piece in pieces() {
            let part = piece
                .tracks
                .iter()
                .find(|track| track.name == rendition.name);
            parts.push(part.ok_or_else(|| playlist::Error::Differ {
                track: rendition.name.clone(),
                what: "their renditions",
            })?);
        }
        videos.push(playlist::Rendition::join(parts)?);
    }
    let audio = match manifests.get(&Unit::Audio) {
        Some(manifest) => Some(playlist::Rendition::join(
            manifest.tracks.iter().take(1).collect(),
        )?),
        None => None,
    };
    let mut texts: Vec<(String, String)> = videos
        .iter()
        .chain(&audio)
        .map(|rendition| {
            (
                names::media_playlist(rendition.name()),
                playlist::media(rendition),
            )
        })
        .collect();
    let master = playlist::multivariant(&videos, audio.as_ref())?;
    texts.push((names::MASTER.to_owned(), master));
    Ok(texts)
}
