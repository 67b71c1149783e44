//! What the nodes do with their assignments: workers that take their time, an outbox, the origin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator::catalog::generation::{Stage, UnitState};
use coordinator::catalog::job::{Job, State};
use coordinator::catalog::video::Status;
use coordinator::catalog::{Catalog, Command, Rejection, Reply};
use coordinator::raft::{Error, Handle};
use protocol::failure::FailureClass;
use protocol::id::{GenerationId, JobId};
use protocol::job::{Progress, Unit};
use protocol::time::Span;
use tokio::time::sleep;

use super::chance::Shared;
use super::world;

type Made = (GenerationId, Unit, u32);

/// Finished units of one machine, which its death does not touch.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<BTreeSet<Made>>>);

/// Where published files lie: by unit, of which attempts.
#[derive(Clone, Default)]
pub struct Origin(Arc<Mutex<Files>>);

type Files = BTreeMap<(GenerationId, Unit), BTreeSet<u32>>;

/// What a node works with.
#[derive(Clone)]
pub struct Here {
    pub catalog: Handle,
    pub outbox: Outbox,
    pub origin: Origin,
    pub shared: Shared,
}

/// Looks at the catalogue again and again, as the real runner and publisher do.
pub async fn run(here: Here) {
    let mut at_work: BTreeSet<(JobId, u32)> = BTreeSet::new();
    loop {
        let me = here.catalog.node();
        let mine: Vec<Arc<Job>> = here.catalog.read(|catalog| {
            let mine = catalog
                .jobs()
                .filter(|job| matches!(job.state, State::Running { node, .. } if node == me));
            mine.cloned().collect()
        });
        for job in mine {
            if at_work.insert((job.id, job.epoch)) {
                tokio::spawn(attempt(here.clone(), job));
            }
        }
        publish(&here).await;
        sleep(Duration::from_millis(100)).await;
    }
}

/// One attempt: it renews its lease, and gives up when somebody else has it.
async fn attempt(here: Here, job: Arc<Job>) {
    let node = here.catalog.node();
    let (steps, fails) = here.shared.chance(|c| (c.within(1..8), c.happens(60)));
    for step in 0..steps {
        sleep(Duration::from_millis(300)).await;
        let now = here.catalog.read(Catalog::at);
        let command = Command::RenewLease {
            job: job.id,
            epoch: job.epoch,
            node,
            lease_until: now + LEASE,
            progress: Progress {
                done: step,
                total: steps,
            },
        };
        if let Err(Error::Rejected(Rejection::Stale { .. })) = here.catalog.propose(command).await {
            return;
        }
    }
    let command = if fails {
        Command::FailJob {
            job: job.id,
            epoch: job.epoch,
            node,
            failure: world::failure(FailureClass::Crashed),
        }
    } else {
        if let coordinator::catalog::job::Kind::Unit { generation, unit } = job.kind {
            let mut outbox = here.outbox.0.lock().expect("no panic");
            outbox.insert((generation, unit, job.epoch));
        }
        let result = here.catalog.read(|catalog| {
            let current = catalog.job(job.id).filter(|now| now.epoch == job.epoch);
            current.map(|_| world::result_of(catalog, &job))
        });
        let Some(result) = result else { return };
        Command::FinishJob {
            job: job.id,
            epoch: job.epoch,
            node,
            result,
        }
    };
    // Until it is known to the cluster, or nobody wants it any more.
    loop {
        match here.catalog.propose(command.clone()).await {
            Ok(_) | Err(Error::Rejected(_) | Error::Closed) => return,
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// As long as a lease holds in these runs.
pub const LEASE: Span = Span::from_secs(3);

/// Units that lie here go to the origin; the leader publishes what is whole.
async fn publish(here: &Here) {
    let me = here.catalog.node();
    let leads = here.catalog.is_leader();
    let (rendered, whole): (Vec<Made>, Vec<GenerationId>) = here.catalog.read(|catalog| {
        let building = || catalog.generations().filter(|g| g.stage == Stage::Building);
        let rendered = building().flat_map(|generation| {
            generation
                .units
                .iter()
                .filter_map(|(&unit, state)| match *state {
                    UnitState::Rendered { node, epoch, .. } if node == me => {
                        Some((generation.id, unit, epoch))
                    }
                    _ => None,
                })
        });
        let whole = building().filter(|g| leads && g.is_whole()).map(|g| g.id);
        (rendered.collect(), whole.collect())
    });
    for (generation, unit, epoch) in rendered {
        let is_here = here
            .outbox
            .0
            .lock()
            .expect("no panic")
            .contains(&(generation, unit, epoch));
        let command = if is_here {
            let mut origin = here.origin.0.lock().expect("no panic");
            origin.entry((generation, unit)).or_default().insert(epoch);
            drop(origin);
            Command::PublishUnit {
                generation,
                unit,
                epoch,
            }
        } else {
            Command::LoseUnit {
                generation,
                unit,
                epoch,
            }
        };
        propose(here, command).await;
    }
    for generation in whole {
        propose(here, Command::PublishGeneration { generation }).await;
    }
}

async fn propose(here: &Here, command: Command) -> Option<Reply> {
    here.catalog.propose(command).await.ok()
}

/// Every original was rendered and published, or has a failure that says why not.
pub fn nothing_is_left(catalog: &Catalog) -> bool {
    let mut videos = catalog.videos();
    videos.all(|video| match video.status {
        Status::Ready | Status::Uploading => true,
        Status::Failed => video.failure.is_some(),
        Status::Probing | Status::Rendering => false,
    })
}

/// What is published and has no files in the origin.
pub fn dangling(catalog: &Catalog, origin: &Origin) -> Vec<String> {
    let origin = origin.0.lock().expect("no panic");
    let mut found = Vec::new();
    for generation in catalog.generations() {
        for (unit, state) in &generation.units {
            let job = catalog.jobs_of_video(generation.video).find(|job| {
                job.kind
                    == coordinator::catalog::job::Kind::Unit {
                        generation: generation.id,
                        unit: *unit,
                    }
            });
            let attempts = origin.get(&(generation.id, *unit));
            let there = job.is_none_or(|job| attempts.is_some_and(|a| a.contains(&job.epoch)));
            if matches!(state, UnitState::Published { .. }) && !there {
                found.push(format!(
                    "{unit} of {} is published and not there",
                    generation.id
                ));
            }
        }
    }
    found
}
