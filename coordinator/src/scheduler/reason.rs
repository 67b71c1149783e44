//! Pure: why a job waits, as whole sentences for the person who asks.

use protocol::id::{JobId, NodeId};
use protocol::time::Timestamp;
use protocol::vitals::Rest;

use super::placement::{self, Obstacle};
use super::view::{View, WaitingJob};
use super::{Planned, dry_run};

/// Nodes that are named one by one; the rest are counted.
const NODES_NAMED_MAX: usize = 8;

/// Whole sentences, one a reason; empty if the job does not wait.
pub fn waiting_because(view: &View, job: JobId, now: Timestamp) -> Vec<String> {
    let Some(job) = view.waiting.get(&job) else {
        return Vec::new();
    };
    if job.due > now {
        return vec![retry_sentence(job)];
    }
    if view.nodes.is_empty() {
        return vec!["No node has announced itself yet.".to_owned()];
    }
    if view.nodes.values().all(|node| !node.can_encode) {
        return vec!["No node can encode: none of them has an encoder that works.".to_owned()];
    }
    if !placement::has_source(view, job, now) {
        let name = |id: &NodeId| view.nodes.get(id).map(|node| node.name.as_str());
        let names: Vec<&str> = job.copies.iter().filter_map(name).collect();
        let names = names.join(", ");
        return vec![format!(
            "Its original lies on node {names}, which is away; it starts when that is back."
        )];
    }
    let Planned {
        assigned, loads, ..
    } = dry_run(view, now);
    if let Some((_, node)) = assigned.iter().find(|(planned, _)| planned.id == job.id) {
        let name = view.nodes.get(node).map_or("", |node| &node.name);
        return vec![format!("It starts on node {name} in a moment.")];
    }
    let mut sentences: Vec<String> = (view.nodes.values())
        .take(NODES_NAMED_MAX)
        .filter_map(|node| {
            let load = placement::load_of(&loads, node);
            let obstacle = placement::obstacle(view, node, load, job, now)?;
            Some(obstacle_sentence(&node.name, job, &obstacle))
        })
        .collect();
    if view.nodes.len() > NODES_NAMED_MAX {
        let more = view.nodes.len() - NODES_NAMED_MAX;
        sentences.push(format!("{more} more nodes cannot take it either."));
    }
    if sentences.is_empty() {
        sentences.push("It waits for its turn: older work comes first.".to_owned());
    }
    sentences
}

fn retry_sentence(job: &WaitingJob) -> String {
    let time = time_of_day(job.due);
    match &job.failed {
        None => format!("It starts at {time} UTC at the earliest."),
        Some((_, failure)) => {
            let message = failure.message.trim_end_matches('.');
            format!("It tries again at {time} UTC after failing: {message}.")
        }
    }
}

fn obstacle_sentence(name: &str, job: &WaitingJob, obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Away { seen_at: None } => {
            format!("Node {name} has not reported yet.")
        }
        Obstacle::Away {
            seen_at: Some(seen_at),
        } => {
            let time = time_of_day(*seen_at);
            format!("Node {name} is away; it last reported at {time} UTC.")
        }
        Obstacle::CannotEncode => format!("Node {name} has no encoder that works."),
        Obstacle::Barred { until, why } => {
            let (what, time) = (job.work.plural(), time_of_day(*until));
            let why = why.trim_end_matches('.');
            format!(
                "Node {name} gets no {what} until {time} UTC, since it failed at several in a row, last: {why}."
            )
        }
        Obstacle::DiskFull {
            free_bytes,
            needed_bytes,
        } => {
            let (free, least) = (free_bytes >> 20, needed_bytes >> 20);
            format!("Node {name} has only {free} MiB of disk left and needs {least} MiB.")
        }
        Obstacle::FailedThere => {
            format!("It failed on node {name}, so it waits for another.")
        }
        Obstacle::Resting(Rest::OffHours) => {
            format!("Node {name} works at other hours (work in its section of cluster.toml).")
        }
        Obstacle::Resting(Rest::InUse) => {
            format!("Node {name} is in use by somebody else, and works when it is idle.")
        }
        Obstacle::Draining => format!("Node {name} is draining and gets no new work."),
        Obstacle::NoSlots => format!("Node {name} has no slots."),
        Obstacle::SlotsBusy { busy, slots } => {
            format!("It waits for a free slot on node {name}: {busy} of {slots} busy.")
        }
    }
}

/// `20:14:05` of a time printed by RFC 3339.
fn time_of_day(at: Timestamp) -> String {
    let text = at.to_string();
    let time = text.split_once('T').map_or(text.as_str(), |(_, time)| time);
    time.split('.').next().unwrap_or(time).to_owned()
}
