//! `reelmesh upload`: sends files, goes on where an earlier call stopped, and waits for the
//! result if asked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::code::ErrorCode;
use protocol::http::quic::Quic;
use protocol::http::video::{Video, VideoStatus};
use protocol::version;
use quinn::{Connection, Endpoint};
use serde_json::json;

use super::client::Client;
use super::progress::Progress;
use super::{Error, Kind, Shared};
use crate::auth::authority;
use crate::ingest::client::{self, Event, Finished, Source};
use crate::transport;

/// A node that was there and went away is waited for this long: it restarts, or the laptop finds
/// its network again.
const AWAY_MAX: Duration = Duration::from_mins(2);

/// Between two attempts, growing.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How often the state of a video is asked for with `--wait`.
const POLL_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files to upload.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Wait until each video is ready to be watched, or failed.
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let mut failed: Vec<Kind> = Vec::new();
    for path in &args.paths {
        match one(shared, &client, path, args.wait).await {
            Ok(()) => {}
            Err(error) if args.paths.len() == 1 => return Err(error),
            // The next file would meet the same.
            Err(error) if error.kind() == Kind::Unreachable => return Err(error),
            Err(error) => {
                failed.push(error.kind());
                // The exit code is that of the whole command.
                let _code_of_one = error.report(shared);
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

async fn one(shared: &Shared, client: &Client, path: &Path, wait: bool) -> Result<(), Error> {
    let source = open(path).await?;
    let progress = Progress::new(shared, source.filename(), source.size_bytes());
    let result = send(client, &source, &progress).await;
    let finished = result.inspect_err(|_| progress.clear())?;
    let video = finished.video;
    progress.event(
        "uploaded",
        json!({
            "path": path, "video": video, "blake3": finished.hash,
            "size_bytes": source.size_bytes(), "was_there": finished.was_there,
        }),
    );
    if !wait {
        progress.clear();
        let how = if finished.was_there {
            "was uploaded before"
        } else {
            "is uploaded"
        };
        progress.note(&format!("{} {how} as video {video}", path.display()));
        return Ok(());
    }
    let result = watch(client, &finished, &progress).await;
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

async fn open(path: &Path) -> Result<Arc<Source>, Error> {
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Source::open(&owned))
        .await
        .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
    match opened {
        Ok(Some(source)) => Ok(Arc::new(source)),
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

/// Sends until it is done, over as many connections as that takes.
async fn send(
    client: &Client,
    source: &Arc<Source>,
    progress: &Progress,
) -> Result<Finished, Error> {
    let mut patience: Option<Patience> = None;
    let mut is_fresh = false;
    let mut has_been_fresh = false;
    loop {
        let error = match connect(client).await {
            Ok((_endpoint, connection)) => {
                // Connected: whatever breaks from here on is worth waiting for.
                let alive = Arc::new(std::sync::atomic::AtomicBool::new(false));
                let (shown, moved, size_bytes) =
                    (progress.clone(), Arc::clone(&alive), source.size_bytes());
                let result = client::upload(&connection, source, is_fresh, move |event| {
                    moved.store(true, std::sync::atomic::Ordering::Relaxed);
                    show(&shown, event, size_bytes);
                })
                .await;
                connection.close(0_u32.into(), b"done");
                if alive.load(std::sync::atomic::Ordering::Relaxed) {
                    is_fresh = false;
                    patience = None;
                }
                match result {
                    Ok(finished) => return Ok(finished),
                    // What the node has of an older file of the same look is of no use.
                    Err(client::Error::Refused(refused))
                        if refused.code == ErrorCode::FileMismatch && !has_been_fresh =>
                    {
                        (is_fresh, has_been_fresh) = (true, true);
                        continue;
                    }
                    Err(error) if error.is_retryable() => {
                        patience.get_or_insert_with(Patience::new);
                        told(&error)
                    }
                    // Gone from under us: begin again, which finds or makes it.
                    Err(client::Error::Refused(refused))
                        if refused.code == ErrorCode::UploadNotFound =>
                    {
                        patience.get_or_insert_with(Patience::new);
                        told(&client::Error::Refused(refused))
                    }
                    Err(error) => return Err(told(&error)),
                }
            }
            Err(error) => error,
        };
        // A node that was never there is not waited for.
        let Some(patience) = &mut patience else {
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

fn show(progress: &Progress, event: Event, size_bytes: u64) {
    match event {
        Event::Opened {
            upload,
            video,
            resumed_bytes,
        } => {
            progress.resumed(resumed_bytes);
            progress.event(
                "opened",
                json!({
                    "upload": upload, "video": video,
                    "size_bytes": size_bytes, "resumed_bytes": resumed_bytes,
                }),
            );
        }
        Event::Stored { bytes } => {
            let stored_bytes = progress.advance(bytes.into());
            progress.frequent(
                "progress",
                || json!({ "stored_bytes": stored_bytes, "size_bytes": size_bytes }),
            );
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

/// Asks over HTTP where QUIC is and whom to believe there, and goes there.
async fn connect(client: &Client) -> Result<(Endpoint, Connection), Error> {
    let quic: Quic = client.fetch("/quic", &[]).await?;
    let address = client.resolve(quic.port).await?;
    let tls = authority::client_config(&quic.authority_pem, version::UPLOAD)
        .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
    let endpoint = transport::bind_client(address, tls)
        .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
    let connecting = endpoint
        .connect(address, &quic.server_name)
        .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
    match tokio::time::timeout(CONNECT_DEADLINE, connecting).await {
        Ok(Ok(connection)) => Ok((endpoint, connection)),
        Ok(Err(error)) => Err(unreachable(address, &error.to_string())),
        Err(_) => Err(unreachable(address, "no answer in time")),
    }
}

fn unreachable(address: SocketAddr, reason: &str) -> Error {
    Error::new(
        Kind::Unreachable,
        format!("cannot reach the node's upload port {address} over UDP: {reason}"),
    )
    .hint("is UDP let through to that port?")
}

/// A client's error with the exit code it deserves.
fn told(error: &client::Error) -> Error {
    let kind = match error {
        client::Error::Broken(_) => Kind::Unreachable,
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
