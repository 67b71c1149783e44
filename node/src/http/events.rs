//! `GET /api/v1/events`: what changes, as server-sent events.
//!
//! One task looks at what changed, at most four times a second, and writes each event once for
//! all who follow. Who cannot keep up, or comes back after a break, is told `reset`: fetch anew.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use coordinator::catalog::job::{Job, Kind, State as JobState};
use coordinator::catalog::{Catalog, Effect};
use protocol::http::event::Event;
use protocol::id::{ClipId, JobId, MarkerId, VideoId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::api::{Api, Figures};
use super::node;
use super::view::{self, Reasons};
use crate::telemetry::metrics;

/// Shortest time between two events of the same thing.
const PACE: Duration = Duration::from_millis(250);

/// Nodes report this often even if nothing happens, so that their load moves.
const NODES: Duration = Duration::from_secs(2);

/// Between comments that keep a quiet connection open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events that a follower may lag behind before it is told `reset`.
const LAG_MAX: usize = 1024;

/// More changed things than this in one round become one `reset`.
const ROUND_MAX: usize = 500;

/// One event as text, shared by all who follow.
#[derive(Debug)]
struct Text {
    name: String,
    data: String,
}

/// Cheap to clone; hands out followers' ends.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    events: broadcast::Sender<Arc<Text>>,
    stopping: CancellationToken,
}

impl Handle {
    pub(super) fn new() -> Self {
        Self {
            events: broadcast::channel(LAG_MAX).0,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends all streams: a browser comes back by itself, here or elsewhere.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    fn send(&self, event: &Event) {
        // Nobody follows: nothing to do.
        drop(self.events.send(Arc::new(text(event))));
    }
}

/// The stream of events
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    responses((status = 200, content_type = "text/event-stream", body = Event,
        description = "The `event` field is the name, `data` the body of the same name.")))]
pub(super) async fn follow(State(api): State<Api>, headers: HeaderMap) -> Response {
    let mut events = api.events.events.subscribe();
    let stopping = api.events.stopping.clone();
    // What happened during the break is not kept.
    let again = headers.contains_key(HeaderName::from_static("last-event-id"));
    let stream = async_stream::stream! {
        let _open = Open::new();
        let mut number = 0_u64;
        let mut frame = move |text: &Text| {
            number += 1;
            Frame::default().id(number.to_string()).event(&text.name).data(&text.data)
        };
        // With an id, so that whoever loses the stream before the first event says so when it comes
        // back, and is told `reset`.
        let hello = Frame::default().id("0").comment("reelmesh");
        yield Ok::<_, Infallible>(hello.retry(Duration::from_secs(2)));
        if again {
            yield Ok(frame(&text(&Event::Reset {})));
        }
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = stopping.cancelled() => break,
            };
            match event {
                Ok(text) => yield Ok(frame(&text)),
                Err(RecvError::Lagged(_)) => {
                    events = events.resubscribe();
                    yield Ok(frame(&text(&Event::Reset {})));
                }
                Err(RecvError::Closed) => break,
            }
        }
    };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy such as nginx must pass events on at once.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// Counts a follower for as long as it stays.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::event_streams(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::event_streams(-1);
    }
}

/// Name and data apart, as the wire wants them.
fn text(event: &Event) -> Text {
    let mut value = serde_json::to_value(event).expect("an event is always JSON");
    let name = value["event"].as_str().unwrap_or_default().to_owned();
    let data = value["data"].take().to_string();
    Text { name, data }
}

/// What changed since the last round.
#[derive(Debug, Default)]
struct Changed {
    videos: BTreeSet<VideoId>,
    deleted: BTreeSet<VideoId>,
    clips: BTreeSet<ClipId>,
    deleted_clips: BTreeSet<(ClipId, VideoId)>,
    markers: BTreeSet<MarkerId>,
    deleted_markers: BTreeSet<(MarkerId, VideoId)>,
    bins: bool,
    jobs: BTreeSet<JobId>,
    nodes: bool,
    missed: bool,
}

impl Changed {
    fn is_empty(&self) -> bool {
        self.videos.is_empty()
            && self.deleted.is_empty()
            && self.clips.is_empty()
            && self.deleted_clips.is_empty()
            && self.markers.is_empty()
            && self.deleted_markers.is_empty()
            && !self.bins
            && self.jobs.is_empty()
            && !self.nodes
            && !self.missed
    }

    fn note(&mut self, api: &Api, effect: &Effect) {
        match *effect {
            Effect::ClipChanged(id) => {
                self.clips.insert(id);
                self.videos
                    .extend(api.catalog.read(|c| c.clip(id).map(|clip| clip.video)));
            }
            Effect::ClipDeleted { clip, video } => {
                self.clips.remove(&clip);
                self.deleted_clips.insert((clip, video));
                self.videos.insert(video);
            }
            Effect::VideoChanged(id) => {
                self.videos.insert(id);
            }
            Effect::VideoDeleted(id) => {
                self.videos.remove(&id);
                self.deleted.insert(id);
            }
            Effect::JobChanged(id) => {
                self.jobs.insert(id);
                // A job's end moves its video's progress, or its subclip's.
                api.catalog.read(|catalog| {
                    if let Some(job) = catalog.job(id) {
                        self.videos.insert(job.video);
                        self.clips.extend(clip_of(catalog, job));
                    }
                });
            }
            Effect::GenerationChanged(id) => {
                self.videos
                    .extend(api.catalog.read(|c| c.generation(id).map(|g| g.video)));
            }
            Effect::UploadChanged(id) => {
                self.videos.extend(
                    api.catalog
                        .read(|c| c.upload(id).map(|upload| upload.video)),
                );
            }
            Effect::NodeChanged(_) => self.nodes = true,
            Effect::BinsChanged => self.bins = true,
            Effect::MarkerChanged(id) => {
                self.markers.insert(id);
                // How many are open stands in the video.
                let video = api
                    .catalog
                    .read(|c| c.marker(id).map(|marker| marker.video));
                self.videos.extend(video);
            }
            Effect::MarkerDeleted { marker, video } => {
                self.markers.remove(&marker);
                self.deleted_markers.insert((marker, video));
                self.videos.insert(video);
            }
        }
    }

    /// Compares live figures with those of the last round.
    fn compare(&mut self, api: &Api, old: &Figures, new: &Figures) {
        api.catalog.read(|catalog| {
            for (&id, bytes) in &*new.uploads {
                if old.uploads.get(&id) != Some(bytes) {
                    self.videos
                        .extend(catalog.upload(id).map(|upload| upload.video));
                }
            }
            for (&id, progress) in &*new.jobs {
                if old.jobs.get(&id).map(|old| old.permille()) == Some(progress.permille()) {
                    continue;
                }
                if let Some(job) = catalog
                    .job(id)
                    .filter(|job| matches!(job.state, JobState::Running { .. }))
                {
                    self.jobs.insert(id);
                    self.videos.insert(job.video);
                    self.clips.extend(clip_of(catalog, job));
                }
            }
        });
    }
}

/// The subclip whose file `job` makes.
fn clip_of(catalog: &Catalog, job: &Job) -> Option<ClipId> {
    let Kind::Unit { generation, .. } = job.kind else {
        return None;
    };
    catalog.clip_of_generation(generation).map(|clip| clip.id)
}

/// Writes events until `shutdown`, beginning with what changes after this call.
pub(super) fn run(api: Api, shutdown: CancellationToken) -> impl Future<Output = ()> + Send {
    let effects = api.catalog.effects();
    write(api, effects, shutdown)
}

async fn write(api: Api, mut effects: broadcast::Receiver<Effect>, shutdown: CancellationToken) {
    let (mut uploads, mut jobs) = (api.live.uploads.clone(), api.live.jobs.clone());
    let mut figures = api.live.look();
    let mut changed = Changed::default();
    let mut nodes = tokio::time::interval(NODES);
    nodes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = Instant::now();
    let mut moved = false;
    loop {
        let waiting = moved || !changed.is_empty();
        tokio::select! {
            () = shutdown.cancelled() => break,
            effect = effects.recv() => match effect {
                Ok(effect) => changed.note(&api, &effect),
                Err(RecvError::Lagged(_)) => changed.missed = true,
                Err(RecvError::Closed) => break,
            },
            () = any(&mut uploads) => moved = true,
            () = any(&mut jobs) => moved = true,
            _ = nodes.tick() => changed.nodes = true,
            () = tokio::time::sleep_until(due), if waiting => {
                if std::mem::take(&mut moved) {
                    let new = api.live.look();
                    changed.compare(&api, &figures, &new);
                    figures = new;
                }
                send(&api, std::mem::take(&mut changed));
                due = Instant::now() + PACE;
            }
        }
    }
    api.events.stop();
}

/// Waits for a new value; for ever once there will be none.
async fn any<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn send(api: &Api, changed: Changed) {
    let handle = &api.events;
    if handle.events.receiver_count() == 0 {
        return;
    }
    let things = [
        changed.videos.len(),
        changed.clips.len(),
        changed.markers.len(),
        changed.jobs.len(),
    ];
    if changed.missed || things.iter().sum::<usize>() > ROUND_MAX {
        handle.send(&Event::Reset {});
        return;
    }
    let figures = api.live.look();
    for id in changed.deleted {
        handle.send(&Event::VideoDeleted { id });
    }
    for (id, video_id) in changed.deleted_clips {
        handle.send(&Event::ClipDeleted { id, video_id });
    }
    for (id, video_id) in changed.deleted_markers {
        handle.send(&Event::MarkerDeleted { id, video_id });
    }
    if changed.bins {
        handle.send(&Event::Bins {});
    }
    let markers: Vec<_> = api.catalog.read(|catalog| {
        let found = changed.markers.iter().filter_map(|id| catalog.marker(*id));
        found.map(|marker| view::marker(catalog, marker)).collect()
    });
    for marker in markers {
        handle.send(&Event::Marker(Box::new(marker)));
    }
    let (videos, clips, mut jobs, reasons) = api.catalog.read(|catalog| {
        let videos: Vec<_> = changed
            .videos
            .iter()
            .filter_map(|id| Some(view::video(catalog, &figures, catalog.video(*id)?)))
            .collect();
        let clips: Vec<_> = changed
            .clips
            .iter()
            .filter_map(|id| Some(view::clip(catalog, &figures, catalog.clip(*id)?)))
            .collect();
        let found = || {
            changed
                .jobs
                .iter()
                .filter_map(|id| catalog.job(*id).map(Arc::as_ref))
        };
        let jobs: Vec<_> = found()
            .map(|job| view::job(catalog, &figures, job))
            .collect();
        let reasons = Reasons::of(catalog, &figures, Api::now(), found());
        (videos, clips, jobs, reasons)
    });
    for job in &mut jobs {
        reasons.fill(job);
    }
    for video in videos {
        handle.send(&Event::Video(Box::new(video)));
    }
    for clip in clips {
        handle.send(&Event::Clip(Box::new(clip)));
    }
    for job in jobs {
        handle.send(&Event::Job(Box::new(job)));
    }
    if changed.nodes {
        for node in node::all(api) {
            handle.send(&Event::Node(Box::new(node)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_data_stand_apart() {
        let id = VideoId::from_uuid(uuid::Uuid::from_u128(1));
        let deleted = text(&Event::VideoDeleted { id });
        assert_eq!(deleted.name, "video_deleted");
        assert_eq!(deleted.data, format!(r#"{{"id":"{id}"}}"#));
        assert_eq!(text(&Event::Reset {}).data, "{}");
    }
}
