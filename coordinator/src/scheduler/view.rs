//! Pure: all that the scheduler looks at, as plain data: what waits, what runs, who could do it.

use std::collections::BTreeMap;

use protocol::failure::Failure;
use protocol::id::{GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::job::Unit;
use protocol::time::{Span, Timestamp};
use protocol::vitals::{Rest, Vitals};

use super::need;
use crate::catalog::Catalog;
use crate::catalog::generation::{Stage, UnitState};
use crate::catalog::job::{Class, Job, State, Work};
use crate::catalog::node::Node;

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
    pub work: Work,
    /// Room that its result may take.
    pub result_bytes: u64,
    /// Size of the original, which a node that has none must get first.
    pub source_bytes: u64,
    /// What there is to encode.
    pub megapixels: u64,
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
    pub result_bytes: u64,
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
    /// What it keeps free.
    pub disk_reserve_bytes: u64,
    /// How fast it gets originals from others.
    pub link_bytes_per_s: u64,
    /// What one of its slots encodes in a second: in software, and with what it has.
    pub software_megapixels_per_s: u64,
    pub megapixels_per_s: u64,
    /// Why it wants no work now.
    pub rest: Option<Rest>,
    /// Kinds of work that it keeps failing at: until when it gets none, and how it failed last.
    pub barred: BTreeMap<Work, (Timestamp, String)>,
    pub load: Load,
}

/// Jobs that a node runs, by class, and the room that their results may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub interactive: u32,
    pub sound: u32,
    pub bulk: u32,
    pub result_bytes: u64,
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

    pub(super) fn add(&mut self, class: Class, result_bytes: u64) {
        *self.of(class) += 1;
        self.result_bytes = self.result_bytes.saturating_add(result_bytes);
    }

    pub(super) fn remove(&mut self, class: Class, result_bytes: u64) {
        let count = self.of(class);
        *count = count.saturating_sub(1);
        self.result_bytes = self.result_bytes.saturating_sub(result_bytes);
    }

    fn of(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Sound => &mut self.sound,
            Class::Bulk => &mut self.bulk,
        }
    }
}

/// Of a node that has not brought an original from another yet: a link of 400 Mbit/s.
const LINK_BYTES_PER_S: u64 = 50 << 20;
/// What one core encodes in a second, measured with the settings of the worker.
const CORE_MEGAPIXELS_PER_S: u64 = 90;
/// How much quicker an encoder in hardware is than all cores of a slot.
const HARDWARE_GAIN: u64 = 4;

impl NodeView {
    fn of(node: &Node, report: Option<&Vitals>, now: Timestamp) -> Self {
        let known = |number: u64, otherwise: u64| if number > 0 { number } else { otherwise };
        let cores = u64::from(node.cpu_cores.max(1));
        let software = (cores * CORE_MEGAPIXELS_PER_S / u64::from(node.slots.max(1))).max(1);
        let in_hardware = node.encoders.iter().any(|name| is_hardware(name));
        let link = report.map_or(0, |report| report.link_bytes_per_s);
        Self {
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
            disk_reserve_bytes: report.map_or(0, |report| report.disk_reserve_bytes),
            link_bytes_per_s: known(link, LINK_BYTES_PER_S),
            software_megapixels_per_s: software,
            megapixels_per_s: if in_hardware {
                software * HARDWARE_GAIN
            } else {
                software
            },
            rest: report.and_then(|report| report.rest),
            barred: BTreeMap::new(),
            load: Load::default(),
        }
    }

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
            .map(|node| (node.id, NodeView::of(node, vitals.get(&node.id), now)))
            .collect();
        for strikes in catalog.strikes() {
            if let Some(until) = strikes.barred_until.filter(|&until| until > now)
                && let Some(node) = nodes.get_mut(&strikes.node)
            {
                node.barred
                    .insert(strikes.work, (until, strikes.why.clone()));
            }
        }
        let mut running = BTreeMap::new();
        for job in catalog.running_jobs() {
            let State::Running {
                node, lease_until, ..
            } = job.state
            else {
                continue;
            };
            if let Some(node) = nodes.get_mut(&node) {
                node.load
                    .add(job.kind.class(), need::result_bytes(catalog, job));
            }
            let view = RunningJob {
                result_bytes: need::result_bytes(catalog, job),
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
            work: job.kind.work(),
            result_bytes: need::result_bytes(catalog, job),
            source_bytes: video.map_or(0, |video| video.size_bytes),
            megapixels: need::megapixels(catalog, job),
            due: job.not_before,
            failed: (job.failure.clone()).map(|failure| (job.last_node, failure)),
            copies: video.map_or_else(Vec::new, |video| video.copies.clone()),
            wanted: catalog.is_wanted(job, now),
        }
    }
}

/// Whether an encoder of this name works in hardware.
fn is_hardware(name: &str) -> bool {
    ["nv", "va", "qsv", "amf", "msdk", "v4l2", "vtenc"]
        .iter()
        .any(|family| name.starts_with(family))
}
