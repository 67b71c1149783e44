//! One file, over as many connections and to as many nodes as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use protocol::code::ErrorCode;
use serde_json::json;

use super::super::progress::Progress;
use super::super::{Error, table};
use super::fleet::{Fleet, Seen};
use super::{Patience, told};
use crate::ingest::client::{self, Begin, Event, Finished, Source};

/// A file that arrived, and where.
pub(super) struct Sent {
    pub(super) finished: Finished,
    pub(super) node: Seen,
}

/// What is remembered from one attempt to the next.
#[derive(Default)]
struct Course {
    begin: Begin,
    has_been_fresh: bool,
    /// It was asked whether the cluster has the file.
    has_asked: bool,
    /// The node that another one named, by address.
    target: Option<String>,
    /// The node that was told of last.
    told: Option<String>,
    /// Connected once: whatever breaks from then on is worth waiting for.
    patience: Option<Patience>,
}

/// Sends until it is done.
pub(super) async fn send(
    fleet: &Fleet,
    source: &Arc<Source>,
    progress: &Progress,
) -> Result<Sent, Error> {
    let mut course = Course::default();
    loop {
        let error = match reach(fleet, source, progress, &mut course).await {
            Ok(node) => {
                let alive = Arc::new(AtomicBool::new(false));
                let result = attempt(&node, source, progress, &mut course, &alive).await;
                if alive.load(Ordering::Relaxed) {
                    course.begin = Begin::default();
                    course.patience = None;
                }
                match result {
                    Ok(finished) => return Ok(Sent { finished, node }),
                    // What the node has of an older file of the same look is of no use.
                    Err(client::Error::Refused(refused))
                        if refused.code == ErrorCode::FileMismatch && !course.has_been_fresh =>
                    {
                        (course.begin.is_fresh, course.has_been_fresh) = (true, true);
                        continue;
                    }
                    Err(client::Error::Elsewhere { node, address }) => {
                        progress.event("elsewhere", json!({ "node": node }));
                        course.target = Some(address);
                        course.patience.get_or_insert_with(Patience::new);
                        continue;
                    }
                    Err(error) => {
                        let is_gone = matches!(&error, client::Error::Refused(refused)
                            if refused.code == ErrorCode::UploadNotFound);
                        // Gone from under us: begin again, which finds or makes it.
                        if !error.is_retryable() && !is_gone {
                            return Err(told(&error));
                        }
                        course.patience.get_or_insert_with(Patience::new);
                        if matches!(error, client::Error::Broken(_)) {
                            fleet.lose(&node);
                        }
                        told(&error)
                    }
                }
            }
            Err(error) => error,
        };
        // A node that was never there is not waited for.
        let Some(patience) = &mut course.patience else {
            return Err(error);
        };
        if !patience.is_left() {
            return Err(error.hint("call the command again later, it goes on where it stopped"));
        }
        progress.say("node went away, trying again");
        if patience.is_first() {
            progress.note(&format!("node went away, trying again ({error})"));
        }
        progress.event("retry", json!({ "message": error.to_string() }));
        patience.pause().await;
    }
}

/// The node to send to: the one that was named, else the best.
async fn reach(
    fleet: &Fleet,
    source: &Source,
    progress: &Progress,
    course: &mut Course,
) -> Result<Seen, Error> {
    if let Some(address) = course.target.take() {
        match fleet.go_to(&address, source.size_bytes()).await {
            Ok(node) => {
                tell(progress, course, &node, "it has begun with this file");
                return Ok(node);
            }
            Err(error) => {
                // From here it cannot be reached: the others go on without it.
                progress.event("retry", json!({ "message": error.to_string() }));
                course.begin.is_here = true;
            }
        }
    }
    let chosen = fleet.choose(source.size_bytes()).await?;
    tell(progress, course, &chosen.node, &chosen.why);
    Ok(chosen.node)
}

/// Says where the file goes, and why, unless that was said.
fn tell(progress: &Progress, course: &mut Course, node: &Seen, why: &str) {
    let name = &node.outlook.node;
    progress.to(name);
    if course.told.as_ref() == Some(name) {
        return;
    }
    let is_first = course.told.replace(name.clone()).is_none();
    let rtt_us = u64::try_from(node.connection.rtt().as_micros()).unwrap_or(u64::MAX);
    progress.event(
        "node",
        json!({ "node": name, "site": node.outlook.site, "why": why, "rtt_us": rtt_us }),
    );
    // Nobody needs to be told that the only node there is was chosen.
    if !is_first || !node.outlook.peers.is_empty() {
        progress.detail(&format!("to node {name}: {why}"));
    }
}

async fn attempt(
    node: &Seen,
    source: &Arc<Source>,
    progress: &Progress,
    course: &mut Course,
    alive: &Arc<AtomicBool>,
) -> Result<Finished, client::Error> {
    let (shown, moved) = (progress.clone(), Arc::clone(alive));
    let copies = Arc::new(AtomicU8::new(0));
    let shared = Arc::clone(source);
    let on_event = move |event| {
        moved.store(true, Ordering::Relaxed);
        show(&shown, event, &shared, &copies);
    };
    if node.outlook.has_twin && !course.has_asked {
        let known = client::known(&node.connection, source, on_event.clone()).await?;
        course.has_asked = true;
        if let Some(finished) = known {
            return Ok(finished);
        }
    }
    client::upload(&node.connection, source, course.begin, on_event).await
}

fn show(progress: &Progress, event: Event, source: &Source, copies_said: &AtomicU8) {
    let size_bytes = source.size_bytes();
    match event {
        Event::Opened {
            upload,
            video,
            resumed_bytes,
            copies,
        } => {
            copies_said.store(copies, Ordering::Relaxed);
            progress.resumed(resumed_bytes);
            progress.event(
                "opened",
                json!({
                    "upload": upload, "video": video, "size_bytes": size_bytes,
                    "resumed_bytes": resumed_bytes, "copies": copies,
                    "sent_bytes": source.sent_bytes(),
                }),
            );
            if resumed_bytes > 0 {
                progress.detail(&format!(
                    "{} of {} were there before",
                    table::bytes(resumed_bytes),
                    table::bytes(size_bytes)
                ));
            }
            if copies > 1 {
                progress.detail(&format!(
                    "each part is on {copies} nodes before it counts: nothing is sent again if one is lost"
                ));
            }
        }
        Event::Hashing { done_bytes } => {
            progress.say("looking whether the cluster has it");
            progress.frequent(
                "hashing",
                || json!({ "done_bytes": done_bytes, "size_bytes": size_bytes }),
            );
        }
        Event::Stored { bytes, copies } => {
            let stored_bytes = progress.advance(bytes.into());
            progress.frequent(
                "progress",
                || json!({ "stored_bytes": stored_bytes, "size_bytes": size_bytes, "copies": copies }),
            );
            if copies < copies_said.swap(copies, Ordering::Relaxed) {
                progress.event("copies", json!({ "copies": copies }));
                progress.detail(
                    "the second node is gone: what is sent from here on is sent again if this one is lost",
                );
            }
        }
        Event::Verifying { done_bytes } => {
            progress.say("verifying");
            progress.frequent(
                "verifying",
                || json!({ "done_bytes": done_bytes, "size_bytes": size_bytes }),
            );
        }
    }
}
