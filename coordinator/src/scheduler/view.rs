//! Pure: all that the scheduler looks at, as plain data: what waits, what runs, who could do it.

use std::collections::BTreeMap;

use protocol::failure::Failure;
use protocol::id::{GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::job::Unit;
use protocol::time::{Span, Timestamp};
use protocol::vitals::Vitals;

use crate::catalog::Catalog;
use crate::catalog::generation::{Stage, UnitState};
use crate::catalog::job::{Class, Job, State};

/// Waiting jobs of each class that one view holds; those that are due first.
/// What does not fit gets its turn when they are done.
const WAITING_MAX: usize = 1000;
/// A node that reported within this time counts as alive; it reports every few seconds.
pub const FRESH_FOR: Span = Span::from_secs(15);

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub waiting: BTreeMap<JobId, WaitingJob>,
    pub running: BTreeMap<JobId, RunningJob>,
    pub nodes: BTreeMap<NodeId, NodeView>,
    pub uploads: Vec<UploadView>,
    /// Finished work that lies on its node and nowhere else yet.
    pub rendered: Vec<RenderedUnit>,
    /// Since when this leader looks: before, it heard of nobody.
    pub looking_since: Timestamp,
    /// How long a new assignment holds.
    pub lease: Span,
    pub upload_expiry: Span,
}

/// A job that nobody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingJob {
    pub id: JobId,
    pub video: VideoId,
    /// Older videos come first.
    pub video_created_at: Timestamp,
    pub created_at: Timestamp,
    pub class: Class,
    /// Not to be assigned earlier.
    pub due: Timestamp,
    /// The node of the last attempt and why it failed, if it failed.
    pub failed: Option<(Option<NodeId>, Failure)>,
    /// Nodes that hold the original.
    pub copies: Vec<NodeId>,
    /// A viewer waits for it.
    pub wanted: bool,
}

/// A job under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningJob {
    pub id: JobId,
    pub video: VideoId,
    pub class: Class,
    pub node: NodeId,
    pub epoch: u32,
    pub lease_until: Timestamp,
}

/// A machine and what it is up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub id: NodeId,
    pub name: String,
    pub slots: u16,
    pub draining: bool,
    /// It has an encoder that works.
    pub can_encode: bool,
    /// When it last reported; none: not since this leader looks.
    pub seen_at: Option<Timestamp>,
    /// Where its data folder lies; none if it does not know.
    pub disk_free_bytes: Option<u64>,
    pub load: Load,
}

/// Jobs that a node runs, by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub interactive: u32,
    pub sound: u32,
    pub bulk: u32,
}

/// A unit that is in the outbox of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderedUnit {
    pub generation: GenerationId,
    pub unit: Unit,
    pub epoch: u32,
    pub node: NodeId,
}

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadView {
    pub id: UploadId,
    pub node: NodeId,
    pub opened_at: Timestamp,
}

impl Load {
    pub const fn total(self) -> u32 {
        self.interactive + self.sound + self.bulk
    }

    pub(super) fn add(&mut self, class: Class) {
        *self.of(class) += 1;
    }

    pub(super) fn remove(&mut self, class: Class) {
        let count = self.of(class);
        *count = count.saturating_sub(1);
    }

    fn of(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Sound => &mut self.sound,
            Class::Bulk => &mut self.bulk,
        }
    }
}

impl NodeView {
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.seen_at
            .is_some_and(|seen_at| now.since(seen_at) <= FRESH_FOR)
    }
}

impl View {
    /// What the catalogue and the nodes' reports say.
    pub fn of(catalog: &Catalog, vitals: &BTreeMap<NodeId, Vitals>, now: Timestamp) -> Self {
        let settings = catalog.settings();
        let mut nodes: BTreeMap<NodeId, NodeView> = (catalog.members())
            .map(|node| {
                let report = vitals.get(&node.id);
                let view = NodeView {
                    id: node.id,
                    name: node.name.clone(),
                    slots: node.slots,
                    draining: node.draining,
                    can_encode: !node.encoders.is_empty(),
                    // By the node's clock, which may run ahead of ours.
                    seen_at: report.map(|report| report.at.min(now)),
                    disk_free_bytes: report
                        .filter(|report| report.disk_total_bytes > 0)
                        .map(|report| report.disk_free_bytes),
                    load: Load::default(),
                };
                (node.id, view)
            })
            .collect();
        let mut running = BTreeMap::new();
        for job in catalog.running_jobs() {
            let State::Running {
                node, lease_until, ..
            } = job.state
            else {
                continue;
            };
            if let Some(node) = nodes.get_mut(&node) {
                node.load.add(job.kind.class());
            }
            let view = RunningJob {
                id: job.id,
                video: job.video,
                class: job.kind.class(),
                node,
                epoch: job.epoch,
                lease_until,
            };
            running.insert(job.id, view);
        }
        let waiting = [Class::Interactive, Class::Sound, Class::Bulk]
            .into_iter()
            .flat_map(|class| catalog.waiting_jobs(class).take(WAITING_MAX))
            // What a viewer waits for may be far behind.
            .chain(catalog.wanted_jobs(now))
            .map(|job| (job.id, WaitingJob::of(catalog, job, now)))
            .collect();
        Self {
            waiting,
            running,
            nodes,
            uploads: (catalog.uploads())
                .map(|upload| UploadView {
                    id: upload.id,
                    node: upload.node,
                    opened_at: upload.opened_at,
                })
                .collect(),
            rendered: (catalog.generations_in(Stage::Building))
                .flat_map(|generation| {
                    let units = generation.units.iter();
                    units.filter_map(|(&unit, state)| match *state {
                        UnitState::Rendered { node, epoch, .. } => Some(RenderedUnit {
                            generation: generation.id,
                            unit,
                            epoch,
                            node,
                        }),
                        _ => None,
                    })
                })
                .collect(),
            looking_since: Timestamp::default(),
            lease: settings.lease,
            upload_expiry: settings.upload_expiry,
        }
    }

    /// The same with `job` in it, should it wait behind more jobs than a view holds.
    #[must_use]
    pub fn with_job(mut self, catalog: &Catalog, job: &Job) -> Self {
        if job.state == State::Waiting {
            let view = WaitingJob::of(catalog, job, catalog.at());
            self.waiting.insert(job.id, view);
        }
        self
    }
}

impl WaitingJob {
    fn of(catalog: &Catalog, job: &Job, now: Timestamp) -> Self {
        let video = catalog.video(job.video);
        Self {
            id: job.id,
            video: job.video,
            video_created_at: video.map_or(job.created_at, |video| video.created_at),
            created_at: job.created_at,
            class: job.kind.class(),
            due: job.not_before,
            failed: (job.failure.clone()).map(|failure| (job.last_node, failure)),
            copies: video.map_or_else(Vec::new, |video| video.copies.clone()),
            wanted: catalog.is_wanted(job, now),
        }
    }
}
