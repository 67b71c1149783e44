//! Pure: which waiting job goes to which node.
//!
//! Light work may run beside a node's renders: sound takes one place more than the node has slots,
//! a probe or a poster two. So nobody waits for a poster as long as an hour's render takes, and a
//! node never runs more than its slots and two.

use std::collections::BTreeMap;

use protocol::id::{NodeId, VideoId};
use protocol::time::Timestamp;

use super::view::{Load, NodeView, View, WaitingJob};
use crate::catalog::job::Class;

/// With less free space a node gets no new work.
pub const DISK_FREE_MIN_BYTES: u64 = 512 << 20;

/// Why a node cannot take a job now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    Away { seen_at: Option<Timestamp> },
    CannotEncode,
    DiskFull { free_bytes: u64 },
    Draining,
    NoSlots,
    SlotsBusy { busy: u32, slots: u32 },
}

/// Gives waiting jobs to nodes until either runs out. `loads` are what the nodes run, and grow.
pub(super) fn assign<'a>(
    view: &'a View,
    loads: &mut BTreeMap<NodeId, Load>,
    now: Timestamp,
) -> Vec<(&'a WaitingJob, NodeId)> {
    let mut of_video: BTreeMap<VideoId, u32> = BTreeMap::new();
    for job in view.running.values() {
        *of_video.entry(job.video).or_default() += 1;
    }
    let mut waiting: Vec<&WaitingJob> = (view.waiting.values())
        .filter(|job| job.due <= now)
        .collect();
    waiting.sort_by_key(|job| {
        (
            job.class,
            job.video_created_at,
            job.video,
            job.created_at,
            job.id,
        )
    });

    let mut assigned = Vec::new();
    for class in [Class::Interactive, Class::Sound, Class::Bulk] {
        let mut queue: Vec<&WaitingJob> = (waiting.iter())
            .filter(|job| job.class == class)
            .copied()
            .collect();
        while !queue.is_empty() {
            // The video that has the least running goes first, the oldest of those in front: one
            // long video cut into many pieces does not hold up all that came after it.
            let next = (0..queue.len())
                .min_by_key(|&position| {
                    let job = queue[position];
                    let running = of_video.get(&job.video);
                    // Somebody sits and waits for it: there are few such at any time.
                    (!job.wanted, running.copied().unwrap_or(0), position)
                })
                .unwrap_or(0);
            let job = queue.remove(next);
            if !has_source(view, job, now) {
                continue;
            }
            let Some(node) = choose(view, loads, job, now) else {
                // Nodes differ only in what holds for every job of a class alike.
                break;
            };
            loads.entry(node).or_default().add(class);
            *of_video.entry(job.video).or_default() += 1;
            assigned.push((job, node));
        }
    }
    assigned
}

/// Whether a node that has the original is there; without a record of copies nobody can tell.
pub(super) fn has_source(view: &View, job: &WaitingJob, now: Timestamp) -> bool {
    let mut holders = job.copies.iter();
    job.copies.is_empty()
        || holders.any(|id| view.nodes.get(id).is_some_and(|node| node.is_fresh(now)))
}

/// The best node for `job`, if one can take it now.
fn choose(
    view: &View,
    loads: &BTreeMap<NodeId, Load>,
    job: &WaitingJob,
    now: Timestamp,
) -> Option<NodeId> {
    let failed_on = job.failed.as_ref().and_then(|(node, _)| *node);
    (view.nodes.values())
        .filter(|node| obstacle(node, load_of(loads, node), job.class, now).is_none())
        .min_by_key(|node| {
            let busy = load_of(loads, node).total();
            // Thousandths of its slots, so that a large node is not treated like a small one.
            let share = u64::from(busy) * 1000 / u64::from(node.slots.max(1));
            (
                failed_on == Some(node.id),
                share,
                !job.copies.contains(&node.id),
                node.id,
            )
        })
        .map(|node| node.id)
}

/// What keeps `node` from taking one more job of `class`.
pub(super) fn obstacle(
    node: &NodeView,
    load: Load,
    class: Class,
    now: Timestamp,
) -> Option<Obstacle> {
    if node.draining {
        return Some(Obstacle::Draining);
    }
    if !node.is_fresh(now) {
        return Some(Obstacle::Away {
            seen_at: node.seen_at,
        });
    }
    if !node.can_encode {
        return Some(Obstacle::CannotEncode);
    }
    if node.slots == 0 {
        return Some(Obstacle::NoSlots);
    }
    if let Some(free_bytes) = node.disk_free_bytes
        && free_bytes < DISK_FREE_MIN_BYTES
    {
        return Some(Obstacle::DiskFull { free_bytes });
    }
    let slots = u32::from(node.slots);
    // Each row: what counts against a limit, and whether the new job is part of it.
    let limits = [
        (load.bulk, slots, class >= Class::Bulk),
        (load.bulk + load.sound, slots + 1, class >= Class::Sound),
        (load.total(), slots + 2, true),
    ];
    limits
        .into_iter()
        .find(|&(busy, limit, counts)| counts && busy >= limit)
        .map(|(busy, slots, _)| Obstacle::SlotsBusy { busy, slots })
}

pub(super) fn load_of(loads: &BTreeMap<NodeId, Load>, node: &NodeView) -> Load {
    loads.get(&node.id).copied().unwrap_or_default()
}
