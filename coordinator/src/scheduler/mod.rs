//! Pure: what to do next: which waiting job goes to which node, and which lease has lapsed.
//!
//! It runs on the leader, outside `apply`. Its decisions come back as commands, and `apply` checks
//! that they still make sense, so two leaders that both believe in themselves do no harm.
//! The same view gives the same decisions; once they are carried out, there is nothing to decide
//! until something changes.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

pub mod lease;
pub mod need;
pub mod placement;
pub mod reason;
pub mod retry;
pub mod view;

use std::collections::BTreeMap;

use protocol::id::{GenerationId, JobId, NodeId, UploadId};
use protocol::job::Unit;
use protocol::time::Timestamp;

use crate::catalog::Command;
pub use reason::waiting_because;
pub use view::View;
use view::{Load, WaitingJob};

/// Something to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Assign {
        job: JobId,
        node: NodeId,
        lease_until: Timestamp,
    },
    ExpireUpload {
        upload: UploadId,
    },
    /// A result went with its node.
    LoseUnit {
        generation: GenerationId,
        unit: Unit,
        epoch: u32,
    },
    Release {
        job: JobId,
        epoch: u32,
        reason: String,
    },
}

impl From<Decision> for Command {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Assign {
                job,
                node,
                lease_until,
            } => Self::AssignJob {
                job,
                node,
                lease_until,
            },
            Decision::ExpireUpload { upload } => Self::AbortUpload { upload },
            Decision::LoseUnit {
                generation,
                unit,
                epoch,
            } => Self::LoseUnit {
                generation,
                unit,
                epoch,
            },
            Decision::Release { job, epoch, reason } => Self::ReleaseJob { job, epoch, reason },
        }
    }
}

/// What to do now. A job that is released here is assigned by the next plan at the earliest.
pub fn plan(view: &View, now: Timestamp) -> Vec<Decision> {
    let released = lease::lapsed(view, now).map(|job| Decision::Release {
        job: job.id,
        epoch: job.epoch,
        reason: format!("the lease of its node lapsed at {}", job.lease_until),
    });
    let expired = lease::expired_uploads(view, now).map(|upload| Decision::ExpireUpload { upload });
    let assigned = dry_run(view, now).assigned.into_iter();
    let assigned = assigned.map(|(job, node)| Decision::Assign {
        job: job.id,
        node,
        lease_until: now + view.lease,
    });
    let lost = lease::lost_units(view, now).map(|unit| Decision::LoseUnit {
        generation: unit.generation,
        unit: unit.unit,
        epoch: unit.epoch,
    });
    (released.chain(expired).chain(lost))
        .chain(assigned)
        .collect()
}

/// Assignments, and what the nodes run once they are made.
struct Planned<'a> {
    assigned: Vec<(&'a WaitingJob, NodeId)>,
    loads: BTreeMap<NodeId, Load>,
}

fn dry_run(view: &View, now: Timestamp) -> Planned<'_> {
    let mut loads: BTreeMap<NodeId, Load> = (view.nodes.iter())
        .map(|(id, node)| (*id, node.load))
        .collect();
    // The place of a lapsed job is free: its node has stopped it by itself, or is gone.
    for job in lease::lapsed(view, now) {
        let load = loads.entry(job.node).or_default();
        load.remove(job.class, job.result_bytes);
    }
    let assigned = placement::assign(view, &mut loads, now);
    Planned { assigned, loads }
}
