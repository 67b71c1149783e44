//! Pure: which waiting job goes to which node.
//!
//! A job goes to where it is done first: the time to bring the original there over the link that
//! was measured, and the time to encode with what the node has and is not busy with.
//!
//! Light work may run beside a node's renders: sound takes one place more than the node has slots,
//! a probe or a poster two. So nobody waits for a poster as long as an hour's render takes, and a
//! node never runs more than its slots and two.

use std::collections::BTreeMap;

use protocol::id::{NodeId, VideoId};
use protocol::time::Timestamp;
use protocol::vitals::Rest;

use super::view::{Load, NodeView, View, WaitingJob};
use crate::catalog::job::Class;

/// What a node keeps free at least, should it not say how much.
pub const DISK_RESERVE_MIN_BYTES: u64 = 512 << 20;

/// Why a node cannot take a job now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    Away {
        seen_at: Option<Timestamp>,
    },
    Barred {
        until: Timestamp,
        why: String,
    },
    CannotEncode,
    DiskFull {
        free_bytes: u64,
        needed_bytes: u64,
    },
    Draining,
    /// It failed there, and another node may do better.
    FailedThere,
    NoSlots,
    Resting(Rest),
    SlotsBusy {
        busy: u32,
        slots: u32,
    },
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
                if has_place(view, loads, class, now) {
                    // Only this job finds none.
                    continue;
                }
                break;
            };
            loads.entry(node).or_default().add(class, job.result_bytes);
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

/// Whether any node could take one more job of `class`.
fn has_place(view: &View, loads: &BTreeMap<NodeId, Load>, class: Class, now: Timestamp) -> bool {
    let mut nodes = view.nodes.values();
    nodes.any(|node| {
        standing_obstacle(node, now).is_none()
            && busy_obstacle(node, load_of(loads, node), class).is_none()
    })
}

/// The node where `job` is done first, if one can take it now.
fn choose(
    view: &View,
    loads: &BTreeMap<NodeId, Load>,
    job: &WaitingJob,
    now: Timestamp,
) -> Option<NodeId> {
    (view.nodes.values())
        .filter(|node| obstacle(view, node, load_of(loads, node), job, now).is_none())
        .min_by_key(|node| {
            let load = load_of(loads, node);
            (cost_ms(node, load, job), share(node, load), node.id)
        })
        .map(|node| node.id)
}

/// How long `node` takes for `job`: to get the original, if it has none, and to encode, the slower
/// the more of it is busy.
fn cost_ms(node: &NodeView, load: Load, job: &WaitingJob) -> u64 {
    let moving_ms = if job.copies.is_empty() || job.copies.contains(&node.id) {
        0
    } else {
        job.source_bytes.saturating_mul(1000) / node.link_bytes_per_s.max(1)
    };
    let speed = if job.work.gains_from_hardware() {
        node.megapixels_per_s
    } else {
        node.software_megapixels_per_s
    };
    let encoding_ms = job.megapixels.saturating_mul(1000) / speed.max(1);
    let slowed_ms = encoding_ms.saturating_mul(1000 + share(node, load)) / 1000;
    moving_ms.saturating_add(slowed_ms)
}

/// Thousandths of its slots that are busy, so that a large node is not treated like a small one.
fn share(node: &NodeView, load: Load) -> u64 {
    u64::from(load.total()) * 1000 / u64::from(node.slots.max(1))
}

/// What keeps `node` from taking `job` on top of `load`.
pub(super) fn obstacle(
    view: &View,
    node: &NodeView,
    load: Load,
    job: &WaitingJob,
    now: Timestamp,
) -> Option<Obstacle> {
    let failed_on = |id| matches!(&job.failed, Some((Some(node), _)) if *node == id);
    let elsewhere = || {
        let mut others = view.nodes.values().filter(|other| other.id != node.id);
        others.any(|other| lasting_obstacle(other, job, now).is_none())
    };
    lasting_obstacle(node, job, now)
        .or_else(|| (failed_on(node.id) && elsewhere()).then_some(Obstacle::FailedThere))
        .or_else(|| disk_obstacle(node, load.result_bytes, job))
        .or_else(|| busy_obstacle(node, load, job.class))
}

/// What will still be there when the node has done what it does now.
fn lasting_obstacle(node: &NodeView, job: &WaitingJob, now: Timestamp) -> Option<Obstacle> {
    if let Some(obstacle) = standing_obstacle(node, now) {
        return Some(obstacle);
    }
    if let Some((until, why)) = node.barred.get(&job.work) {
        return Some(Obstacle::Barred {
            until: *until,
            why: why.clone(),
        });
    }
    disk_obstacle(node, 0, job)
}

/// What keeps the node from any work.
fn standing_obstacle(node: &NodeView, now: Timestamp) -> Option<Obstacle> {
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
    node.rest.map(Obstacle::Resting)
}

/// The node itself refuses what would leave it less than its reserve: what it is given must pass.
fn disk_obstacle(node: &NodeView, promised_bytes: u64, job: &WaitingJob) -> Option<Obstacle> {
    let free_bytes = node.disk_free_bytes?;
    let original_bytes = if job.copies.is_empty() || job.copies.contains(&node.id) {
        0
    } else {
        job.source_bytes
    };
    let needed_bytes = node
        .disk_reserve_bytes
        .max(DISK_RESERVE_MIN_BYTES)
        .saturating_add(promised_bytes)
        .saturating_add(job.result_bytes)
        .saturating_add(original_bytes);
    (free_bytes < needed_bytes).then_some(Obstacle::DiskFull {
        free_bytes,
        needed_bytes,
    })
}

fn busy_obstacle(node: &NodeView, load: Load, class: Class) -> Option<Obstacle> {
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
