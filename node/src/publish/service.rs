//! The one loop of publishing: units this node rendered, playlists and sweeping if it leads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator::catalog::generation::{Generation, Stage, UnitState};
use coordinator::catalog::{Catalog, Command};
use coordinator::raft::{self, Handle};
use futures::stream::{self, StreamExt};
use protocol::id::{GenerationId, NodeId};
use protocol::job::Unit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::growing;
use super::growing::Growing;
use super::hls::{generation, manifest, names, playlist};
use super::retention::{self, Waiting};
use super::uploader::{self, Keep};
use crate::origin::{self, Origin};
use crate::telemetry::metrics;

/// Units that are carried at once.
const UNITS_AT_ONCE: usize = 2;

/// The state is looked at this often even if nothing wakes the loop.
const TICK: Duration = Duration::from_secs(10);

/// Pause after a round in which something failed; doubles with each such round in a row.
const BACKOFF: Duration = Duration::from_secs(2);

/// The longest such pause while nothing changes: an origin that is back is found after so long.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// An origin that nobody has asked for so long is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(30);

/// A whole video's playlists are looked at again so long after they were written, where the store
/// cannot tell a put that came late from one that is due.
const SETTLES_AFTER: Duration = Duration::from_mins(2);

/// Outbox folders that are looked through in one round.
const OUTBOX_MAX: usize = 10_000;

/// How publishing is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Finished units lie in `<outbox>/<generation>/<unit>/`.
    pub outbox: PathBuf,
    /// How long the segments of a retired generation stay for those who still watch it.
    pub retired_grace: Duration,
    /// Whether the origin gets playlists of what is still rendered.
    pub growing: bool,
    pub keep: Keep,
}

/// Why a step failed; each is tried again in the next round.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
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
    pub(super) options: Options,
    catalog: Handle,
    origin: Origin,
    waiting: Waiting,
    growing: Growing,
    /// Videos whose playlists were written by this process, and when.
    settling: BTreeMap<GenerationId, Instant>,
    probed_at: Option<Instant>,
}

/// How a round went.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) fine: bool,
    /// Something is due that soon.
    soon: Option<Duration>,
}

/// What became of one unit.
enum Carried {
    Done,
    Failed,
    /// The origin is of no use right now, to no unit.
    Outage,
}

/// What the catalogue asks for right now.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Units that lie in this node's outbox.
    pub(super) units: Vec<(Arc<Generation>, Unit, u32)>,
    whole: Vec<Arc<Generation>>,
    retired: Vec<Arc<Generation>>,
    /// Being rendered, and can be watched already.
    growing: Vec<Arc<Generation>>,
}

impl Service {
    pub fn new(options: Options, catalog: Handle, origin: Origin) -> Self {
        Self {
            options,
            catalog,
            origin,
            waiting: Waiting::default(),
            growing: Growing::default(),
            settling: BTreeMap::new(),
            probed_at: None,
        }
    }

    /// Reconciles on every change of the catalogue until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut changes = self.catalog.changes();
        // What an earlier process left is looked at once, then every tick.
        let mut tidy_at = Instant::now();
        let mut backoff = BACKOFF;
        loop {
            changes.mark_unchanged();
            let round = async {
                let done = self.reconcile().await;
                if Instant::now() >= tidy_at {
                    tidy_at = Instant::now() + TICK;
                    if let Err(error) = self.tidy().await {
                        warn!(%error, "cannot tidy the outbox");
                    }
                }
                done
            };
            let round = tokio::select! {
                round = round => round,
                () = shutdown.cancelled() => return,
            };
            // What fails for good is not told again and again, and yet holds nothing else up.
            let (at_least, at_most) = if round.fine {
                backoff = BACKOFF;
                (Duration::ZERO, round.soon.unwrap_or(TICK))
            } else {
                let pause = jittered(backoff);
                backoff = (backoff * 2).min(BACKOFF_MAX);
                (BACKOFF, pause)
            };
            let changed = async {
                tokio::time::sleep(at_least).await;
                changes.changed().await
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(at_most) => {}
                changed = changed => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// One round.
    pub(super) async fn reconcile(&mut self) -> Round {
        let me = self.catalog.node();
        let leader = self.catalog.is_leader();
        let wanted = self.catalog.read(|catalog| wanted(catalog, me, leader));
        metrics::publish_waiting(wanted.units.len());
        let mut round = Round {
            fine: true,
            soon: None,
        };
        if let Err(error) = self.probe().await {
            let units = wanted.units.len();
            warn!(%error, units, "the origin is away, finished units wait for it");
            round.fine = false;
            return round;
        }
        {
            // Made beforehand: a closure inside the stream would not be general enough to spawn.
            let carries: Vec<_> = (wanted.units.iter())
                .map(|(generation, unit, epoch)| self.carry(generation, *unit, *epoch))
                .collect();
            let mut carried = stream::iter(carries).buffer_unordered(UNITS_AT_ONCE);
            while let Some(done) = carried.next().await {
                round.fine &= matches!(done, Carried::Done);
                if matches!(done, Carried::Outage) {
                    // Thousands may wait: to try each of them would take hours.
                    return round;
                }
            }
        }
        let settled = self.settle().await;
        for generation in &wanted.whole {
            if let Err(error) = self.finish(generation).await {
                warn!(generation = %generation.id, video = %generation.video, %error, "cannot write playlists");
                round.fine = false;
            }
        }
        if self.options.growing {
            self.grow(&wanted, &mut round).await;
        }
        for generation in &wanted.retired {
            if let Err(error) = self.retire(generation).await {
                warn!(generation = %generation.id, video = %generation.video, %error, "cannot sweep a retired generation");
                round.fine = false;
            }
        }
        if let Err(error) = settled {
            warn!(%error, "cannot look at playlists again");
            round.fine = false;
        }
        round
    }

    /// Asks for something small if the origin was away, or was not asked for a while: whether it is
    /// there is then known before many are tried, and to those who look at this node's health.
    async fn probe(&mut self) -> Result<(), origin::Error> {
        let away = self.origin.trouble().borrow().is_some();
        if !away && self.probed_at.is_some_and(|at| at.elapsed() < PROBE_EVERY) {
            return Ok(());
        }
        self.probed_at = Some(Instant::now());
        // Any answer will do, also that there is no such object.
        match self.origin.size("hls/probe").await {
            Err(error) if error.is_outage() => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes playlists of what is still rendered.
    async fn grow(&mut self, wanted: &Wanted, round: &mut Round) {
        let building = |id| wanted.growing.iter().any(|generation| generation.id == id);
        self.growing.keep(building);
        for generation in &wanted.growing {
            match self
                .growing
                .write(generation, &self.catalog, &self.origin)
                .await
            {
                Ok(None) => {}
                Ok(Some(soon)) => {
                    round.soon = Some(round.soon.map_or(soon, |sooner| sooner.min(soon)));
                }
                Err(error) => {
                    warn!(generation = %generation.id, video = %generation.video, %error, "cannot write growing playlists");
                    round.fine = false;
                }
            }
        }
    }

    /// Publishes one unit, or tells the catalogue that it is lost.
    async fn carry(&self, generation: &Generation, unit: Unit, epoch: u32) -> Carried {
        let folder = unit_folder(&self.options.outbox, generation.id, unit);
        let (video, id) = (generation.video, generation.id);
        let began = Instant::now();
        let command = match uploader::upload(
            &self.origin,
            video,
            id,
            unit,
            &folder,
            &self.options.keep,
        )
        .await
        {
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
                return if error.is_outage() {
                    Carried::Outage
                } else {
                    Carried::Failed
                };
            }
        };
        match self.catalog.propose(command).await {
            Ok(_) => {}
            // Somebody else's result counts, or the video is gone. The folder may by now belong to
            // a newer attempt, so it stays until the generation is done with.
            Err(raft::Error::Rejected(rejection)) => {
                debug!(%video, generation = %id, %unit, %rejection, "unit was not wanted any more");
                return Carried::Done;
            }
            Err(error) => {
                warn!(%video, generation = %id, %unit, %error, "cannot tell the catalogue of a unit");
                return Carried::Failed;
            }
        }
        // The catalogue has it, so the folder is of no more use.
        if let Err(error) = retention::remove_folder(&folder).await {
            warn!(%error, folder = %folder.display(), "cannot remove a published unit from the outbox");
        }
        Carried::Done
    }

    /// Writes the playlists of a generation whose units are all in the origin.
    async fn finish(&mut self, generation: &Generation) -> Result<(), Error> {
        self.write_whole(generation, true).await?;
        let command = Command::PublishGeneration {
            generation: generation.id,
        };
        match self.catalog.propose(command).await {
            Ok(_) => {
                info!(video = %generation.video, generation = %generation.id, "video plays");
                let doubtful = self.options.growing && !self.origin.has_conditional_put();
                if doubtful && !generation.is_of_clip() {
                    self.settling.insert(generation.id, Instant::now());
                }
                Ok(())
            }
            Err(raft::Error::Rejected(rejection)) => {
                debug!(generation = %generation.id, %rejection, "generation was not wanted any more");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the playlists of a whole generation, all or those that are not as they should be.
    async fn write_whole(&self, generation: &Generation, all: bool) -> Result<(), Error> {
        let mut manifests = BTreeMap::new();
        for &unit in generation.units.keys() {
            let manifest = match self.growing.manifest(generation.id, unit) {
                Some(manifest) => manifest.clone(),
                None => growing::read(generation, unit, &self.origin).await?,
            };
            manifests.insert(unit, manifest);
        }
        for (name, text) in generation::whole(generation, &manifests)? {
            let key = names::key(generation.video, generation.id, &name);
            if !all
                && self
                    .origin
                    .get(&key, text.len() as u64)
                    .await
                    .ok()
                    .as_deref()
                    == Some(text.as_bytes())
            {
                continue;
            }
            let headers = uploader::headers(&name);
            self.origin
                .put_with(&key, Bytes::from(text), headers)
                .await?;
        }
        Ok(())
    }

    /// Looks once more at playlists that a leader which had lost its place may have replaced by
    /// older ones, and puts them right.
    async fn settle(&mut self) -> Result<(), Error> {
        let due = |at: &Instant| at.elapsed() >= SETTLES_AFTER;
        let due: Vec<GenerationId> = (self.settling.iter())
            .filter(|(_, at)| due(at))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let generation = self.catalog.read(|catalog| {
                let generation = catalog.generation(id).map(Arc::clone);
                generation.filter(|generation| generation.stage == Stage::Published)
            });
            if let Some(generation) = generation {
                self.write_whole(&generation, false).await?;
            }
            self.settling.remove(&id);
        }
        Ok(())
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
    pub(super) async fn tidy(&self) -> Result<(), Error> {
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

pub(super) fn wanted(catalog: &Catalog, me: NodeId, leader: bool) -> Wanted {
    let mut wanted = Wanted::default();
    for generation in catalog.generations_in(Stage::Building) {
        if leader && generation.is_whole() {
            wanted.whole.push(Arc::clone(generation));
        } else if leader && !generation.is_of_clip() {
            wanted.growing.push(Arc::clone(generation));
        }
        for (&unit, state) in &generation.units {
            if let UnitState::Rendered { node, epoch, .. } = *state
                && node == me
            {
                wanted.units.push((Arc::clone(generation), unit, epoch));
            }
        }
    }
    if leader {
        wanted.retired = catalog
            .generations_in(Stage::Retired)
            .map(Arc::clone)
            .collect();
    }
    wanted
}

/// Between half of it and all, so that nodes which lost the origin together come back apart.
fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::now_v7().as_u128() % 1000;
    pause / 2 + pause * u32::try_from(random).unwrap_or(0) / 2000
}

/// Folder of a unit in the outbox.
pub(super) fn unit_folder(outbox: &Path, generation: GenerationId, unit: Unit) -> PathBuf {
    outbox.join(generation.to_string()).join(unit.to_string())
}
