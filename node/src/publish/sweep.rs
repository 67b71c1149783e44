//! Removes from the origin what nobody needs: the sweep of mark and sweep.
//!
//! Whether something is needed is asked of a catalogue that is up to date, after the object was
//! seen and right before it goes, and only of what is older than the grace time: ids are never used
//! again, so what nothing names then is named by nothing later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use coordinator::raft;
use coordinator::raft::Handle;
use futures::stream::StreamExt as _;
use protocol::id::GenerationId;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::hls::names;
use super::orphans;
use super::orphans::{Reason, Verdict};
use super::{growing, service};
use crate::origin::{self, Found, Origin, UnfinishedList};

/// Objects that are judged together, with one look at the catalogue.
const BATCH: usize = 1000;

/// Objects that a report lists; the rest is counted.
pub const LISTED_MAX: usize = 10_000;

/// A node that has just begun to lead has better things to do.
const FIRST_AFTER: Duration = Duration::from_mins(15);

/// Between two looks whether a sweep is due.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How to sweep.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What is younger stays.
    pub grace: Duration,
    /// Only say what would go.
    pub dry_run: bool,
    /// Objects in the report.
    pub list_max: usize,
}

/// Why a sweep ended early; what was removed before stays removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Origin(#[from] origin::Error),
    #[error("the catalogue cannot be read up to date, so nothing was removed from here on: {0}")]
    Catalog(#[from] raft::Error),
}

/// An object that went, or would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub size_bytes: u64,
    pub reason: Reason,
}

/// Objects and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub objects: u64,
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub dry_run: bool,
    pub needed: Sum,
    /// Not needed, and younger than the grace time.
    pub young: Sum,
    /// Not ours: left alone.
    pub foreign: Sum,
    pub gone: BTreeMap<Reason, Sum>,
    /// The first of what is in `gone`.
    pub listed: Vec<Listed>,
    /// Whole sentences on what could not be judged.
    pub remarks: Vec<String>,
}

/// Goes once through the whole origin.
///
/// # Errors
/// The origin or the catalogue cannot be read.
pub async fn run(origin: &Origin, catalog: &Handle, options: Options) -> Result<Report, Error> {
    let mut sweep = Sweep {
        origin,
        catalog,
        options,
        now_ms: now_ms(),
        report: Report {
            dry_run: options.dry_run,
            ..Report::default()
        },
        asked: None,
    };
    for folder in ["hls", origin::check::FOLDER] {
        let mut found = origin.walk(folder)?.chunks(BATCH);
        while let Some(batch) = found.next().await {
            let batch: Vec<Found> = batch.into_iter().collect::<Result<_, _>>()?;
            sweep.batch(batch).await?;
        }
    }
    sweep.unfinished().await?;
    Ok(sweep.report)
}

struct Sweep<'a> {
    origin: &'a Origin,
    catalog: &'a Handle,
    options: Options,
    now_ms: i64,
    report: Report,
    /// The generation that was asked last, and what it needs: objects come generation by generation.
    asked: Option<(GenerationId, Option<BTreeSet<String>>)>,
}

impl Sweep<'_> {
    async fn batch(&mut self, batch: Vec<Found>) -> Result<(), Error> {
        self.catalog.linearize().await?;
        let check = origin::check::FOLDER;
        let mut orphans = Vec::new();
        for found in batch {
            let verdict = self
                .catalog
                .read(|catalog| orphans::judge(catalog, &found.key, check));
            let reason = match verdict {
                Verdict::Orphan(reason) => Some(reason),
                Verdict::Foreign => {
                    self.report.foreign.add(found.size_bytes);
                    continue;
                }
                Verdict::Ask(id) if !self.is_needed(id, &found.key).await? => {
                    Some(Reason::NotNamed)
                }
                Verdict::Keep | Verdict::Ask(_) => None,
            };
            match reason {
                None => self.report.needed.add(found.size_bytes),
                Some(_) if self.is_young(found.modified_ms) => {
                    self.report.young.add(found.size_bytes);
                }
                Some(reason) => orphans.push(Listed {
                    key: found.key,
                    size_bytes: found.size_bytes,
                    reason,
                }),
            }
        }
        if !self.options.dry_run {
            let keys = orphans.iter().map(|orphan| orphan.key.clone());
            self.origin.delete_all(keys).await?;
        }
        for orphan in orphans {
            self.note(orphan);
        }
        Ok(())
    }

    fn note(&mut self, orphan: Listed) {
        let sum = self.report.gone.entry(orphan.reason).or_default();
        sum.add(orphan.size_bytes);
        if self.report.listed.len() < self.options.list_max.min(LISTED_MAX) {
            self.report.listed.push(orphan);
        }
    }

    fn is_young(&self, modified_ms: i64) -> bool {
        let grace_ms = i64::try_from(self.options.grace.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.saturating_sub(modified_ms) < grace_ms
    }

    /// Whether an object of a published generation is named by its lists. If they cannot be read,
    /// everything counts as needed.
    async fn is_needed(&mut self, id: GenerationId, key: &str) -> Result<bool, Error> {
        if self.asked.as_ref().is_none_or(|(asked, _)| *asked != id) {
            self.asked = Some((id, self.ask(id).await?));
        }
        let needed = self.asked.as_ref().and_then(|(_, needed)| needed.as_ref());
        let name = key.splitn(4, '/').nth(3).unwrap_or_default();
        Ok(needed.is_none_or(|needed| orphans::is_needed(needed, name)))
    }

    async fn ask(&mut self, id: GenerationId) -> Result<Option<BTreeSet<String>>, Error> {
        let found = self.catalog.read(|catalog| catalog.generation(id).cloned());
        let Some(generation) = found else {
            return Ok(None);
        };
        let mut manifests = Vec::new();
        for &unit in generation.units.keys() {
            match growing::read(&generation, unit, self.origin).await {
                Ok(manifest) => manifests.push(manifest),
                Err(service::Error::Origin(error)) if error.is_outage() => return Err(error.into()),
                Err(error) => {
                    if self.report.remarks.len() < 100 {
                        self.report.remarks.push(format!(
                            "What belongs to {} cannot be told: {error}.",
                            names::folder(generation.video, id)
                        ));
                    }
                    return Ok(None);
                }
            }
        }
        Ok(Some(orphans::needed(&manifests)))
    }

    /// Large objects that somebody began and never put together.
    async fn unfinished(&mut self) -> Result<(), Error> {
        let found = match self.origin.unfinished().await {
            Ok(UnfinishedList::Found(found)) => found,
            Ok(UnfinishedList::ByTheStore(_)) => return Ok(()),
            Err(error) => {
                self.report
                    .remarks
                    .push(format!("Unfinished uploads cannot be looked for: {error}."));
                return Ok(());
            }
        };
        for upload in found {
            let ours = ["hls/", "check/"]
                .iter()
                .any(|ours| upload.key.starts_with(ours));
            if !ours {
                self.report.foreign.add(0);
            } else if upload.begun_ms.is_none_or(|begun| self.is_young(begun)) {
                self.report.young.add(0);
            } else {
                if !self.options.dry_run {
                    self.origin.abort(&upload).await?;
                }
                self.note(Listed {
                    key: upload.key,
                    size_bytes: 0,
                    reason: Reason::Unfinished,
                });
            }
        }
        Ok(())
    }
}

/// One sweep at a time on this node, and what came of the last one.
#[derive(Debug, Clone, Default)]
pub struct Sweeper {
    state: Arc<Mutex<State>>,
}

/// Where the sweeps of this node stand.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// A sweep goes on right now; as a trial, if so.
    pub running: Option<bool>,
    pub last: Option<Ended>,
}

/// How a sweep ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub at_ms: i64,
    pub result: Result<Arc<Report>, String>,
}

impl Sweeper {
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Begins a sweep, unless one goes on; whether it began.
    pub fn begin(&self, origin: Origin, catalog: Handle, options: Options) -> bool {
        {
            let mut state = self.lock();
            if state.running.is_some() {
                return false;
            }
            state.running = Some(options.dry_run);
        }
        let sweeper = self.clone();
        tokio::spawn(async move {
            // Also when the sweep panics or is dropped, another may begin.
            let _done = Done(&sweeper);
            let result = run(&origin, &catalog, options).await;
            tell(&result);
            sweeper.lock().last = Some(Ended {
                at_ms: now_ms(),
                result: result.map(Arc::new).map_err(|error| error.to_string()),
            });
        });
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Done<'a>(&'a Sweeper);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.lock().running = None;
    }
}

fn tell(result: &Result<Report, Error>) {
    match result {
        Ok(report) => {
            let objects: u64 = report.gone.values().map(|sum| sum.objects).sum();
            let bytes: u64 = report.gone.values().map(|sum| sum.bytes).sum();
            info!(
                objects,
                bytes,
                dry_run = report.dry_run,
                "origin swept of what nothing names"
            );
        }
        Err(error) => warn!(%error, "the sweep of the origin broke off"),
    }
}

/// Sweeps every so often while this node leads.
pub async fn regularly(
    sweeper: Sweeper,
    origin: Origin,
    catalog: Handle,
    every: Duration,
    grace: Duration,
    shutdown: CancellationToken,
) {
    if every.is_zero() {
        shutdown.cancelled().await;
        return;
    }
    let mut due_in = FIRST_AFTER.min(every);
    while shutdown
        .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
        .await
        .is_some()
    {
        if !catalog.is_leader() {
            due_in = FIRST_AFTER.min(every);
            continue;
        }
        due_in = due_in.saturating_sub(LOOK_EVERY);
        if due_in.is_zero() {
            due_in = every;
            let options = Options {
                grace,
                dry_run: false,
                list_max: 100,
            };
            sweeper.begin(origin.clone(), catalog.clone(), options);
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use coordinator::catalog::Command;
    use coordinator::catalog::video::Status;

    use super::super::{Keep, Options as PublishOptions, Service, fixture};
    use super::*;

    const ALL_OLD: Options = Options {
        grace: Duration::ZERO,
        dry_run: false,
        list_max: 2,
    };

    #[tokio::test]
    async fn only_what_nothing_names_and_is_old_goes() {
        let outbox = tempfile::tempdir().unwrap();
        let catalog = fixture::library().await;
        let (video, generation) = fixture::probed(&catalog, 1, "a.mov", b"original").await;
        fixture::render(&catalog, video, outbox.path()).await;
        let (building, _) = fixture::probed(&catalog, 2, "b.mov", b"another").await;
        let origin = Origin::in_memory();
        let options = PublishOptions {
            outbox: outbox.path().to_owned(),
            retired_grace: Duration::ZERO,
            growing: true,
            keep: Keep::default(),
        };
        let mut service = Service::new(options, catalog.clone(), origin.clone());
        for _ in 0..3 {
            service.reconcile().await;
        }
        assert_eq!(
            catalog.read(|c| c.video(video).unwrap().status),
            Status::Ready
        );
        let needed = origin.list("hls").await.unwrap();
        let lost = names::key(video, generation, "720p/000000-00000000000000ff.m4s");
        let gone = lost.replace(&generation.to_string(), &building.to_string());
        let foreign = "hls/readme.txt".to_owned();
        for key in [&lost, &gone, &foreign, &"check/1/a".to_owned()] {
            origin.put(key, Bytes::from_static(b"12345")).await.unwrap();
        }

        let day = Duration::from_hours(24);
        let young = Options {
            grace: day,
            ..ALL_OLD
        };
        let report = run(&origin, &catalog, young).await.unwrap();
        assert_eq!((report.young.objects, report.gone.len()), (3, 0));

        let trial = Options {
            dry_run: true,
            ..ALL_OLD
        };
        let planned = run(&origin, &catalog, trial).await.unwrap();
        assert_eq!(origin.list("hls").await.unwrap().len(), needed.len() + 3);
        assert_eq!(planned.listed.len(), 2, "the rest is counted");
        assert_eq!(planned.needed.objects, needed.len() as u64);
        let sums: Vec<_> = planned
            .gone
            .iter()
            .map(|(r, sum)| (*r, sum.objects, sum.bytes))
            .collect();
        let each = |reason| (reason, 1, 5);
        assert_eq!(
            sums,
            [Reason::NoGeneration, Reason::NotNamed, Reason::Check].map(each)
        );

        let report = run(&origin, &catalog, ALL_OLD).await.unwrap();
        assert_eq!(report.gone, planned.gone);
        let mut left = origin.list("hls").await.unwrap();
        assert_eq!(left.remove(&foreign), Some(5));
        assert_eq!(left, needed);
        assert!(origin.list("check").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn where_the_lists_cannot_be_read_everything_stays() {
        let outbox = tempfile::tempdir().unwrap();
        let catalog = fixture::library().await;
        let (video, generation) = fixture::probed(&catalog, 1, "a.mov", b"original").await;
        fixture::render(&catalog, video, outbox.path()).await;
        let origin = Origin::in_memory();
        let options = PublishOptions {
            outbox: outbox.path().to_owned(),
            retired_grace: Duration::ZERO,
            growing: true,
            keep: Keep::default(),
        };
        let mut service = Service::new(options, catalog.clone(), origin.clone());
        for _ in 0..3 {
            service.reconcile().await;
        }
        let list = names::key(video, generation, "units/piece-0000.json");
        origin.put(&list, Bytes::from_static(b"{")).await.unwrap();
        let before = origin.list("hls").await.unwrap();
        let report = run(&origin, &catalog, ALL_OLD).await.unwrap();
        assert_eq!(origin.list("hls").await.unwrap(), before);
        assert!(
            report.gone.is_empty() && report.remarks.len() == 1,
            "{report:?}"
        );
        // What is retired is left to those who take it away in order.
        catalog
            .propose(Command::DeleteVideo { video })
            .await
            .unwrap();
        run(&origin, &catalog, ALL_OLD).await.unwrap();
        assert_eq!(origin.list("hls").await.unwrap(), before);
    }

    #[tokio::test]
    async fn one_sweep_at_a_time() {
        let catalog = fixture::library().await;
        let sweeper = Sweeper::default();
        assert!(sweeper.begin(Origin::in_memory(), catalog.clone(), ALL_OLD));
        assert!(!sweeper.begin(Origin::in_memory(), catalog.clone(), ALL_OLD));
        while sweeper.state().running.is_some() {
            tokio::task::yield_now().await;
        }
        assert!(sweeper.state().last.unwrap().result.is_ok());
        assert!(sweeper.begin(Origin::in_memory(), catalog, ALL_OLD));
    }
}
