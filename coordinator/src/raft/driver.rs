//! On the leader: looks at the catalogue, asks the scheduler what to do, proposes that.
//!
//! Waking it late costs latency only: every round looks at the whole state again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use protocol::id::NodeId;
use protocol::time::Timestamp;
use protocol::vitals::Vitals;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::catalog::{Catalog, Command};
use crate::scheduler::{self, Decision, View};

use super::clock::Steady;
use super::{Clock, Error, Handle};

/// The newest report of every node.
pub type Fleet = watch::Receiver<Arc<BTreeMap<NodeId, Vitals>>>;

/// Leases lapse and back-offs end without anything changing in the catalogue.
const TICK: Duration = Duration::from_secs(1);
/// Rounds are at least this far apart, so that a burst of changes is looked at once.
const PAUSE: Duration = Duration::from_millis(20);
/// Proposals under way at once: they share log entries.
const AT_ONCE: usize = 256;

/// What the driver works with.
pub struct Options {
    pub catalog: Handle,
    pub fleet: Fleet,
    pub clock: Clock,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// The loop; every node runs one, and it does nothing except on the leader.
pub struct Service {
    options: Options,
    clock: Steady,
    /// Since when this node leads.
    leading_since: Option<Timestamp>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    pub fn new(options: Options) -> Self {
        let clock = Steady::new(Arc::clone(&options.clock));
        Self {
            options,
            clock,
            leading_since: None,
        }
    }

    /// Runs until `shutdown`, or until the catalogue is closed.
    pub async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.drive()).await;
    }

    async fn drive(mut self) {
        let mut changes = self.options.catalog.changes();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => {}
                changed = changes.changed() => if changed.is_err() { return },
                changed = self.options.fleet.changed() => if changed.is_err() { return },
            }
            // What changes from here on wakes the next round.
            changes.mark_unchanged();
            if self.options.catalog.is_leader() {
                match self.round().await {
                    Ok(()) => {}
                    Err(Error::Closed) => return,
                    Err(Error::NotLeader { .. }) => debug!("no longer the leader"),
                    Err(error) => warn!(%error, "scheduling put off"),
                }
            } else {
                self.leading_since = None;
            }
            sleep(PAUSE).await;
        }
    }

    /// Decides once and proposes the decisions.
    async fn round(&mut self) -> Result<(), Error> {
        // A new leader may not have seen yet what the one before decided.
        self.options.catalog.linearize().await?;
        let catalog = &self.options.catalog;
        // By the time of the entries: a job may be due by it while the clock has gone back.
        let now = self.clock.now(catalog.read(Catalog::at));
        let mut vitals = Arc::clone(&self.options.fleet.borrow_and_update());
        let behind = now.since((self.options.clock)());
        for report in Arc::make_mut(&mut vitals).values_mut() {
            report.at = report.at + behind;
        }
        let mut view = catalog.read(|catalog| View::of(catalog, &vitals, now));
        view.looking_since = *self.leading_since.get_or_insert(now);
        let decisions = stream::iter(scheduler::plan(&view, now));
        let mut proposed = decisions
            .map(|decision| propose(catalog, decision))
            .buffer_unordered(AT_ONCE);
        while let Some(result) = proposed.next().await {
            result?;
        }
        Ok(())
    }
}

async fn propose(catalog: &Handle, decision: Decision) -> Result<(), Error> {
    match catalog.propose(Command::from(decision.clone())).await {
        Ok(_) => {
            debug!(?decision, "decided");
            Ok(())
        }
        // Something happened between look and proposal; the next round looks again.
        Err(Error::Rejected(rejection)) => {
            debug!(?decision, %rejection, "decision out of date");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use protocol::id::{BlobHash, JobId, UploadId, VideoId};

    use crate::catalog::job::State;
    use crate::catalog::node::{Node, Role};

    use super::*;

    const NODE: NodeId = NodeId(1);

    struct World {
        handle: Handle,
        now: Arc<AtomicI64>,
        fleet: watch::Sender<Arc<BTreeMap<NodeId, Vitals>>>,
    }

    impl World {
        fn new() -> Self {
            let now = Arc::new(AtomicI64::new(1_795_377_600_000));
            let told = Arc::clone(&now);
            let clock: Clock =
                Arc::new(move || Timestamp::from_millis(told.load(Ordering::Relaxed)));
            let handle = Handle::in_memory_at(NODE, Arc::clone(&clock));
            let (fleet, reports) = watch::channel(Arc::default());
            let service = Service::new(Options {
                catalog: handle.clone(),
                fleet: reports,
                clock,
            });
            tokio::spawn(service.run(CancellationToken::new()));
            Self { handle, now, fleet }
        }

        fn report(&self) {
            let vitals = Vitals {
                node: NODE,
                at: Timestamp::from_millis(self.now.load(Ordering::Relaxed)),
                cpu_permille: 0,
                memory_total_bytes: 1 << 30,
                memory_used_bytes: 0,
                disk_total_bytes: 1 << 40,
                disk_free_bytes: 1 << 39,
                applied: 0,
                disk_reserve_bytes: 1 << 30,
                link_bytes_per_s: 0,
                rest: None,
            };
            self.fleet
                .send_replace(Arc::new(BTreeMap::from([(NODE, vitals)])));
        }

        async fn propose(&self, command: Command) {
            self.handle.propose(command).await.expect("accepted");
        }

        /// A node, and a video whose original lies on it.
        async fn fill(&self) {
            let at = Timestamp::from_millis(1);
            let upload = UploadId::derived(at, 1, 0);
            self.propose(Command::AnnounceNode {
                node: Box::new(Node {
                    id: NODE,
                    name: "one".to_owned(),
                    site: String::new(),
                    role: Role::Voter,
                    version: String::new(),
                    slots: 2,
                    cpu_cores: 2,
                    encoders: vec!["x264enc".to_owned()],
                    sandbox: "full".to_owned(),
                    draining: false,
                    announced_at: Timestamp::default(),
                    address: String::new(),
                    removed_at: None,
                }),
            })
            .await;
            self.propose(Command::OpenUpload {
                upload,
                video: VideoId::derived(at, 2, 0),
                filename: "a.mov".to_owned(),
                size_bytes: 10,
                node: NODE,
            })
            .await;
            self.propose(Command::CompleteUpload {
                upload,
                blob: BlobHash::of(b"a"),
                node: NODE,
            })
            .await;
        }

        fn job(&self) -> (JobId, State, u32) {
            self.handle.read(|catalog| {
                let job = catalog.jobs().next().expect("a probe");
                (job.id, job.state.clone(), job.epoch)
            })
        }

        /// Waits until the job is as wished; virtual time, so it is over at once.
        async fn until(&self, wished: impl Fn(&State, u32) -> bool) {
            for _ in 0..100 {
                let (_, state, epoch) = self.job();
                if wished(&state, epoch) {
                    return;
                }
                sleep(PAUSE).await;
            }
            panic!("{:?}", self.job());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_job_goes_to_a_node_that_reports() {
        let world = World::new();
        world.fill().await;
        sleep(3 * TICK).await;
        assert_eq!(world.job().1, State::Waiting);
        world.report();
        world
            .until(|state, _| matches!(state, State::Running { node, .. } if *node == NODE))
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_back_holds_no_job_up() {
        let world = World::new();
        world.fill().await;
        world.now.fetch_sub(3_600_000, Ordering::Relaxed);
        world.report();
        world
            .until(|state, _| matches!(state, State::Running { .. }))
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lapsed_lease_is_noticed_by_the_tick_alone() {
        let world = World::new();
        world.fill().await;
        world.report();
        world.until(|_, epoch| epoch == 1).await;
        world.now.fetch_add(3_600_000, Ordering::Relaxed);
        world
            .until(|state, _| matches!(state, State::Waiting))
            .await;
        world.report();
        world.until(|_, epoch| epoch == 2).await;
    }
}
