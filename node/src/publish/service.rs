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
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

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

/// The longest such pause while nothing changes.
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// Outbox folders that are looked through in one round.
const OUTBOX_MAX: usize = 10_000;

/// How publishing is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Finished units lie in `<outbox>/<generation>/<unit>/`.
    pub outbox: PathBuf,
    /// How long the segments of a retired generation stay for those who still watch it.
    pub retired_grace: Duration,
    pub keep: Keep,
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
        let mut backoff = BACKOFF;
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
            // What fails for good is not told again and again, and yet holds nothing else up.
            let (at_least, at_most) = if fine {
                backoff = BACKOFF;
                (Duration::ZERO, TICK)
            } else {
                let pause = backoff;
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

    /// One round; whether every step went well.
    async fn reconcile(&mut self) -> bool {
        let me = self.catalog.node();
        let leader = self.catalog.is_leader();
        let wanted = self.catalog.read(|catalog| wanted(catalog, me, leader));
        let mut fine = true;
        {
            // Made beforehand: a closure inside the stream would not be general enough to spawn.
            let carries: Vec<_> = (wanted.units.iter())
                .map(|(generation, unit, epoch)| self.carry(generation, *unit, *epoch))
                .collect();
            let mut carried = stream::iter(carries).buffer_unordered(UNITS_AT_ONCE);
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
                return false;
            }
        };
        match self.catalog.propose(command).await {
            Ok(_) => {}
            // Somebody else's result counts, or the video is gone. The folder may by now belong to
            // a newer attempt, so it stays until the generation is done with.
            Err(raft::Error::Rejected(rejection)) => {
                debug!(%video, generation = %id, %unit, %rejection, "unit was not wanted any more");
                return true;
            }
            Err(error) => {
                warn!(%video, generation = %id, %unit, %error, "cannot tell the catalogue of a unit");
                return false;
            }
        }
        // The catalogue has it, so the folder is of no more use.
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
        for (name, text) in generation::whole(generation, &manifests)? {
            let key = names::key(generation.video, generation.id, &name);
            let headers = uploader::headers(&name);
            self.origin
                .put_with(&key, Bytes::from(text), headers)
                .await?;
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
    for generation in catalog.generations_in(Stage::Building) {
        if leader && generation.is_whole() {
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
    if leader {
        wanted.retired = catalog
            .generations_in(Stage::Retired)
            .map(Arc::clone)
            .collect();
    }
    wanted
}

/// Folder of a unit in the outbox.
fn unit_folder(outbox: &Path, generation: GenerationId, unit: Unit) -> PathBuf {
    outbox.join(generation.to_string()).join(unit.to_string())
}

#[cfg(test)]
mod tests {
    use coordinator::catalog::video::Status;
    use protocol::id::VideoId;

    use super::super::fixture;
    use super::super::hls::names::Kind;
    use super::*;

    struct Setup {
        outbox: tempfile::TempDir,
        catalog: Handle,
        origin: Origin,
        video: VideoId,
        generation: GenerationId,
    }

    async fn setup() -> Setup {
        let outbox = tempfile::tempdir().unwrap();
        let catalog = fixture::library().await;
        let (video, generation) = fixture::probed(&catalog, 1, "a.mov", b"original").await;
        fixture::render(&catalog, video, outbox.path()).await;
        Setup {
            outbox,
            catalog,
            origin: Origin::in_memory(),
            video,
            generation,
        }
    }

    impl Setup {
        fn service(&self) -> Service {
            let options = Options {
                outbox: self.outbox.path().to_owned(),
                retired_grace: Duration::ZERO,
                keep: Keep::default(),
            };
            Service::new(options, self.catalog.clone(), self.origin.clone())
        }

        async fn keys(&self) -> Vec<String> {
            let base = names::folder(self.video, self.generation);
            let keys = self.origin.list(&base).await.unwrap();
            keys.into_keys()
                .map(|key| key[base.len() + 1..].to_owned())
                .collect()
        }

        fn status(&self) -> Status {
            self.catalog.read(|c| c.video(self.video).unwrap().status)
        }
    }

    #[tokio::test]
    async fn a_rendered_video_is_published_and_its_outbox_emptied() {
        let setup = setup().await;
        let mut service = setup.service();
        assert!(service.reconcile().await);
        assert!(
            setup
                .keys()
                .await
                .iter()
                .all(|key| Kind::of(key) != Some(Kind::Playlist))
        );
        assert_eq!(setup.status(), Status::Rendering);
        assert!(service.reconcile().await);
        assert_eq!(setup.status(), Status::Ready);
        let key = names::key(setup.video, setup.generation, "1080p/media.m3u8");
        let text = setup.origin.get(&key, 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains("#EXTINF:2.002000,\n000000-"), "{text}");
        let keys = setup.keys().await;
        for wanted in [
            "master.m3u8",
            "720p/media.m3u8",
            "audio/media.m3u8",
            "units/piece-0000.json",
            "units/stills.json",
        ] {
            assert!(keys.iter().any(|key| key == wanted), "{wanted} in {keys:?}");
        }
        let generation = setup.outbox.path().join(setup.generation.to_string());
        assert_eq!(std::fs::read_dir(&generation).unwrap().count(), 0);
        service.tidy().await.unwrap();
        assert!(!generation.exists());
    }

    #[tokio::test]
    async fn files_are_kept_for_viewers_as_they_are_put() {
        let setup = setup().await;
        let mut service = setup.service();
        let kept: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&kept);
        service.options.keep = Keep::new(move |key, bytes| {
            assert!(!bytes.is_empty());
            heard.lock().unwrap().push(key.to_owned());
        });
        service.reconcile().await;
        let kept = kept.lock().unwrap();
        let base = names::folder(setup.video, setup.generation);
        assert!(
            kept.iter()
                .any(|key| key.starts_with(&format!("{base}/1080p/000000-")))
        );
        // A list of files may be written by several nodes until the catalogue names one.
        assert!(
            kept.iter().all(|key| names::hash_in(key).is_some()),
            "{kept:?}"
        );
    }

    #[tokio::test]
    async fn a_crash_between_any_two_steps_is_made_good() {
        let setup = setup().await;
        let mut service = setup.service();
        let wanted = setup.catalog.read(|c| wanted(c, fixture::ME, true));
        // Killed after the files were put, before the catalogue was told; one file was cut short.
        for (generation, unit, _) in &wanted.units {
            let folder = unit_folder(setup.outbox.path(), generation.id, *unit);
            let keep = Keep::default();
            uploader::upload(
                &setup.origin,
                setup.video,
                setup.generation,
                *unit,
                &folder,
                &keep,
            )
            .await
            .unwrap();
        }
        let keys = setup.keys().await;
        let segment = keys
            .iter()
            .find(|key| Kind::of(key) == Some(Kind::Segment))
            .unwrap();
        let key = names::key(setup.video, setup.generation, segment);
        let whole = setup.origin.size(&key).await.unwrap();
        setup
            .origin
            .put(&key, Bytes::from_static(b"cut"))
            .await
            .unwrap();
        service.reconcile().await;
        service.reconcile().await;
        assert_eq!(setup.status(), Status::Ready);
        assert_eq!(setup.origin.size(&key).await.unwrap(), whole);
    }

    #[tokio::test]
    async fn a_lost_or_damaged_outbox_means_to_do_the_work_again() {
        for damage in [true, false] {
            let setup = setup().await;
            let folder = unit_folder(setup.outbox.path(), setup.generation, Unit::Stills);
            if damage {
                let still = std::fs::read_dir(&folder).unwrap().find_map(|entry| {
                    let path = entry.unwrap().path();
                    (path.extension()? == "jpg").then_some(path)
                });
                std::fs::write(still.unwrap(), "something else altogether, and long").unwrap();
            } else {
                std::fs::remove_dir_all(&folder).unwrap();
            }
            let mut service = setup.service();
            service.reconcile().await;
            let again = fixture::waiting(&setup.catalog, setup.video);
            assert_eq!(again.len(), 1, "the posters are made again");
            fixture::render(&setup.catalog, setup.video, setup.outbox.path()).await;
            service.reconcile().await;
            service.reconcile().await;
            assert_eq!(setup.status(), Status::Ready);
        }
    }

    #[tokio::test]
    async fn a_deleted_video_leaves_nothing_in_the_origin() {
        let setup = setup().await;
        let mut service = setup.service();
        service.reconcile().await;
        service.reconcile().await;
        let delete = Command::DeleteVideo { video: setup.video };
        setup.catalog.propose(delete).await.unwrap();
        service.options.retired_grace = Duration::from_hours(1);
        assert!(service.reconcile().await);
        let keys = setup.keys().await;
        assert!(
            !keys.is_empty() && keys.iter().all(|key| Kind::of(key) != Some(Kind::Playlist)),
            "{keys:?}"
        );
        service.options.retired_grace = Duration::ZERO;
        assert!(service.reconcile().await);
        assert!(setup.keys().await.is_empty());
        assert!(
            setup
                .catalog
                .read(|c| c.generation(setup.generation).is_none())
        );
    }

    #[tokio::test]
    async fn the_loop_stops_when_told() {
        let setup = setup().await;
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(setup.service().run(shutdown.clone()));
        let mut changes = setup.catalog.changes();
        while setup.status() != Status::Ready {
            changes.changed().await.unwrap();
        }
        shutdown.cancel();
        running.await.unwrap();
    }
}
