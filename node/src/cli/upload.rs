//! `reelmesh upload`: sends files, goes on where an earlier call stopped, and waits for the
//! result if asked.

mod fleet;
mod send;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use protocol::access::Secret;
use protocol::code::ErrorCode;
use protocol::http::video::{Video, VideoStatus};
use serde_json::json;

use super::client::Client;
use super::progress::{Bars, Progress};
use super::{Error, Kind, Shared};
use crate::ingest::client::{self, Finished, Source};
use fleet::Fleet;

/// A node that was there and went away is waited for this long: it restarts, or the laptop finds
/// its network again.
const AWAY_MAX: Duration = Duration::from_mins(2);

/// Between two attempts, growing.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Files that are sent side by side.
const FILES_AT_ONCE: usize = 4;

/// How often the state of a video is asked for with `--wait`.
const POLL_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files to upload.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The cluster's file: its nodes are asked, and the nearest one with room takes the file.
    /// Without it the node that is talked to names the others. `--to` leaves no choice.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Wait until each video is ready to be watched, or failed.
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let fleet = Fleet::find(shared, args.config.as_deref()).await?;
    let result = all(shared, &fleet, &args).await;
    fleet.close().await;
    result
}

async fn all(shared: &Shared, fleet: &Fleet, args: &Args) -> Result<(), Error> {
    let bars = Bars::new(shared);
    let mut failed: Vec<Kind> = Vec::new();
    // Side by side over one connection: small files do not wait for each other's round trips, and
    // no file waits for a large one.
    let mut ends = futures::stream::iter(&args.paths)
        .map(|path| one(shared, fleet, &bars, path, args.wait))
        .buffer_unordered(FILES_AT_ONCE);
    while let Some(end) = ends.next().await {
        match end {
            Ok(()) => {}
            Err(error) if args.paths.len() == 1 => return Err(error),
            // The next file would meet the same.
            Err(error) if error.kind() == Kind::Unreachable => return Err(error),
            Err(error) => {
                failed.push(error.kind());
                // The exit code is that of the whole command.
                let _code_of_one = bars.suspend(|| error.report(shared));
            }
        }
    }
    match failed.first() {
        None => Ok(()),
        Some(&kind) => {
            let (failed, all) = (failed.len(), args.paths.len());
            let message = format!("{failed} of {all} files did not become videos");
            Err(Error::new(kind, message))
        }
    }
}

async fn one(
    shared: &Shared,
    fleet: &Fleet,
    bars: &Bars,
    path: &Path,
    wait: bool,
) -> Result<(), Error> {
    let source = open(path, shared.api_token).await?;
    let progress = Progress::new(bars, path, source.filename(), source.size_bytes());
    let result = send::send(fleet, &source, &progress).await;
    let sent = result.inspect_err(|_| progress.clear())?;
    let (finished, node) = (sent.finished, sent.node);
    let video = finished.video;
    progress.event(
        "uploaded",
        json!({
            "video": video, "blake3": finished.hash,
            "size_bytes": source.size_bytes(), "was_there": finished.was_there,
            "was_sent": finished.was_sent, "node": node.outlook.node,
        }),
    );
    if !wait {
        progress.clear();
        let how = match (finished.was_there, finished.was_sent) {
            (true, _) => "was uploaded before",
            (false, true) => "is uploaded",
            (false, false) => "was in the cluster already and did not have to be sent; it is there",
        };
        progress.note(&format!("{} {how} as video {video}", path.display()));
        return Ok(());
    }
    let client = match node.http() {
        // What `--to` names is reached; another node's page may listen where this machine cannot.
        Some(base) if shared.to.is_none() => Client::of(&base, shared)?.or(shared.url()),
        _ => Client::new(shared)?,
    };
    let result = watch(&client, &finished, &progress).await;
    progress.clear();
    let video = result?;
    match video.error {
        None => {
            progress.note(&format!(
                "{} is ready as video {}",
                path.display(),
                video.id
            ));
            Ok(())
        }
        Some(error) => Err(Error::new(
            Kind::Failed,
            format!("{} cannot be rendered: {}", path.display(), error.message),
        )
        .hint(format!("`reelmesh show {}` says more", video.id))),
    }
}

async fn open(path: &Path, secret: Option<Secret>) -> Result<Arc<Source>, Error> {
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Source::open(&owned))
        .await
        .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
    match opened {
        Ok(Some(mut source)) => {
            source.secret = secret;
            Ok(Arc::new(source))
        }
        Ok(None) => {
            let is_empty = path.metadata().is_ok_and(|metadata| metadata.len() == 0);
            let what = if is_empty {
                "is empty, so there is nothing to render"
            } else {
                "is larger than any file that can be uploaded"
            };
            Err(Error::new(
                Kind::Refused,
                format!("{} {what}", path.display()),
            ))
        }
        Err(client::Error::Read { source, .. }) => {
            let kind = match source.kind() {
                std::io::ErrorKind::NotFound => Kind::NotFound,
                _ => Kind::Failed,
            };
            let message = format!("cannot read {}: {source}", path.display());
            Err(Error::new(kind, message))
        }
        Err(error) => Err(Error::new(Kind::Failed, error.to_string())),
    }
}

/// A client's error with the exit code it deserves.
fn told(error: &client::Error) -> Error {
    let kind = match error {
        client::Error::Broken(_) | client::Error::Elsewhere { .. } => Kind::Unreachable,
        client::Error::Refused(refused) => match refused.code {
            ErrorCode::EmptyFile
            | ErrorCode::InvalidName
            | ErrorCode::NoSpace
            | ErrorCode::Refused
            | ErrorCode::TooLarge => Kind::Refused,
            ErrorCode::CatalogueUnavailable | ErrorCode::ShuttingDown | ErrorCode::Busy => {
                Kind::Unreachable
            }
            _ => Kind::Failed,
        },
        client::Error::Read { .. } | client::Error::Changed(_) | client::Error::Protocol => {
            Kind::Failed
        }
    };
    Error::new(kind, error.to_string())
}

/// Asks for the video until it is ready or failed.
async fn watch(client: &Client, finished: &Finished, progress: &Progress) -> Result<Video, Error> {
    let mut patience = Patience::new();
    loop {
        let path = format!("/videos/{}", finished.video);
        match client.fetch::<Video>(&path, &[]).await {
            Ok(video) => {
                patience = Patience::new();
                let status = json!(video.status);
                let fields = json!({
                    "video": video.id, "status": status,
                    "progress_permille": video.progress_permille, "error": video.error,
                });
                if matches!(video.status, VideoStatus::Ready | VideoStatus::Failed) {
                    progress.event("status", fields);
                    return Ok(video);
                }
                progress.frequent("status", || fields);
                progress.work(status.as_str().unwrap_or_default(), video.progress_permille);
                tokio::time::sleep(POLL_EVERY).await;
            }
            Err(error) if error.kind() == Kind::Unreachable && patience.is_left() => {
                if patience.is_first() {
                    progress.note(&format!("node went away, trying again ({error})"));
                }
                progress.event("retry", json!({ "message": error.to_string() }));
                patience.pause().await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// How long, and how often, an absent node is asked.
#[derive(Debug)]
struct Patience {
    since: Instant,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            pause: PAUSE_MIN,
        }
    }

    fn is_left(&self) -> bool {
        self.since.elapsed() < AWAY_MAX
    }

    fn is_first(&self) -> bool {
        self.pause == PAUSE_MIN
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}
