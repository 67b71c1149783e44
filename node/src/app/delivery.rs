//! On the leader: the keys that sign private playback, and what a CDN is told to forget.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use coordinator::catalog::Command;
use coordinator::catalog::delivery::{DeliveryCommand, Secret};
use coordinator::catalog::generation::Stage;
use coordinator::raft::{Error, Handle};
use protocol::id::{GenerationId, VideoId};
use protocol::time::{Span, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::auth::authority;
use crate::auth::grant::Scheme;
use crate::config::{Config, Signature};
use crate::http;

/// The state is looked at this often even if nothing wakes the loop.
const TICK: Duration = Duration::from_mins(1);

/// A command that has not ended by then is killed.
const PURGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Tries of one purge, and the pause after the first that failed; it doubles.
const PURGE_TRIES: u32 = 4;
const PURGE_PAUSE: Duration = Duration::from_secs(2);

/// Generations that were told of; more retired ones than this are not waited for at once.
const PURGED_MAX: usize = 100_000;

/// How grants are made, as the file says.
pub(super) fn options(config: &Config) -> http::delivery::Options {
    http::delivery::Options {
        scheme: match config.delivery.signature {
            Signature::HmacSha256 => Scheme::HmacSha256,
            Signature::NginxMd5 => Scheme::NginxMd5,
        },
        life: config.delivery.grant_life.into(),
    }
}

/// Adds the first key once playback is private, and another when the newest is old.
pub(super) async fn keys(
    catalog: Handle,
    key_life: Span,
    now: fn() -> Timestamp,
    shutdown: CancellationToken,
) {
    let mut changes = catalog.changes();
    loop {
        changes.mark_unchanged();
        let due = catalog.read(|state| http::delivery::due_key(state, key_life, now()));
        if let Some(after) = due.filter(|_| catalog.is_leader())
            && let Err(error) = add(&catalog, after).await
        {
            warn!(%error, "cannot add a key for private playback, trying again");
        }
        let pause = if due.is_some() {
            Duration::from_secs(2)
        } else {
            TICK
        };
        let woken = async {
            // Many changes in a row are looked at together.
            tokio::time::sleep(Duration::from_millis(500)).await;
            changes.changed().await
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            changed = woken => if changed.is_err() {
                return;
            },
        }
    }
}

async fn add(catalog: &Handle, after: u32) -> anyhow::Result<()> {
    let command = DeliveryCommand::AddKey {
        after,
        secret: Secret(authority::random_secret()?),
    };
    match catalog.propose(Command::Delivery(command)).await {
        Ok(_) => info!("a new key signs grants of private playback"),
        Err(Error::Closed) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Runs `command` once for every generation that is taken away.
pub(super) async fn purge(catalog: Handle, command: Vec<String>, shutdown: CancellationToken) {
    let Some((program, arguments)) = command.split_first() else {
        shutdown.cancelled().await;
        return;
    };
    let mut changes = catalog.changes();
    let mut told: BTreeSet<GenerationId> = BTreeSet::new();
    loop {
        changes.mark_unchanged();
        let retired: Vec<(VideoId, GenerationId)> = catalog.read(|state| {
            let retired = state.generations_in(Stage::Retired);
            retired
                .map(|generation| (generation.video, generation.id))
                .collect()
        });
        // What is forgotten is not asked for again.
        let known: BTreeSet<GenerationId> = retired.iter().map(|(_, id)| *id).collect();
        told.retain(|id| known.contains(id));
        if catalog.is_leader() {
            for (video, id) in retired {
                if told.len() < PURGED_MAX && told.insert(id) {
                    let run = purge_one(program, arguments, video, id);
                    if shutdown.run_until_cancelled(run).await.is_none() {
                        return;
                    }
                }
            }
        } else {
            // Another leader sees to them; what it leaves undone is told twice rather than never.
            told.clear();
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
            changed = changes.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn purge_one(program: &str, arguments: &[String], video: VideoId, id: GenerationId) {
    let mut pause = PURGE_PAUSE;
    for attempt in 1..=PURGE_TRIES {
        let child = tokio::process::Command::new(program)
            .args(arguments)
            .env("REELMESH_VIDEO", video.to_string())
            .env("REELMESH_GENERATION", id.to_string())
            .env("REELMESH_PATH", format!("/hls/{video}/{id}/"))
            .env("REELMESH_TAG", format!("r-{id}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map(tokio::process::Child::wait_with_output);
        let ended = match child {
            Ok(output) => tokio::time::timeout(PURGE_TIMEOUT, output).await,
            Err(error) => Ok(Err(error)),
        };
        let trouble = match ended {
            Ok(Ok(output)) if output.status.success() => {
                info!(%video, generation = %id, "the CDN was told to forget");
                return;
            }
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said: String = said.chars().take(300).collect();
                format!("it ended with {}: {said}", output.status)
            }
            Ok(Err(error)) => format!("it cannot be run: {error}"),
            Err(_) => "it does not end".to_owned(),
        };
        warn!(%video, generation = %id, attempt, trouble, "delivery.purge_command failed");
        if attempt < PURGE_TRIES {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
