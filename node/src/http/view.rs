//! Pure: records of the catalogue as the bodies that clients see.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use coordinator::catalog::Catalog;
use coordinator::catalog::clip::{self, Clip};
use coordinator::catalog::generation::{Generation, UnitState};
use coordinator::catalog::job::{Job, Kind, Phase, State};
use coordinator::catalog::labels::Bin;
use coordinator::catalog::marker::Marker;
use coordinator::catalog::node::Node;
use coordinator::catalog::proxy::{self, Proxy};
use coordinator::catalog::video::{Status, Video};
use coordinator::raft::Member;
use coordinator::scheduler::{self, View};
use protocol::clip::Clock;
use protocol::failure::Failure;
use protocol::http as body;
use protocol::id::{GenerationId, NodeId, UploadId, VideoId};
use protocol::job::Unit;
use protocol::media::Resolution;
use protocol::time::{Span, Timestamp};

use super::api::Figures;
use crate::ingest::watch;
use crate::publish::hls::generation::playable;
use crate::publish::hls::names;

/// A node that was not heard of for this long is away.
const AWAY: Span = Span::from_secs(15);

/// Widths that posters are asked for in.
pub(super) const WIDTH_CLASSES: [u32; 3] = [320, 640, 1280];

/// Shares of the work of a generation, next to its pieces' frames, in thousandths of those.
const AUDIO_SHARE: u64 = 60;
const STILLS_SHARE: u64 = 15;

/// The generation that plays: what is rendered so far plays already; what was published before
/// plays until all of the new one is there.
pub(super) fn plays(catalog: &Catalog, video: &Video) -> Option<GenerationId> {
    video.published.or_else(|| {
        let building = catalog.generation(video.building?)?;
        (!playable(building).is_empty()).then_some(building.id)
    })
}

pub(super) fn video(catalog: &Catalog, figures: &Figures, video: &Video) -> body::video::Video {
    let probe = video.probe.as_deref();
    let published = video.published;
    let plays = plays(catalog, video);
    let shown = published
        .or(video.building)
        .and_then(|id| catalog.generation(id));
    body::video::Video {
        id: video.id,
        filename: video.filename.clone(),
        size_bytes: video.size_bytes,
        blake3: video.blob.map(|blob| blob.to_string()),
        status: status(video.status),
        progress_permille: progress_permille(catalog, figures, video),
        created_at: video.created_at,
        duration_frames: probe.map(|probe| probe.video.frames),
        frame_rate: probe.map(|probe| probe.video.frame_rate),
        start_timecode: probe.and_then(|probe| Some(probe.timecode.as_ref()?.text.clone())),
        width: probe.map(|probe| probe.video.display.width),
        height: probe.map(|probe| probe.video.display.height),
        video_codec: probe.map(|probe| probe.video.codec.clone()),
        container: probe.map(|probe| probe.container.clone()),
        audio_tracks: probe.map(audio_tracks).unwrap_or_default(),
        renditions: shown
            .map(|generation| renditions(generation))
            .unwrap_or_default(),
        encoded_because: shown
            .map(|generation| generation.encoded_because.clone())
            .filter(|reason| !reason.is_empty()),
        hls_url: plays.map(|generation| {
            let base = &catalog.settings().delivery_base_url;
            format!("{base}{}", names::master_url(video.id, generation))
        }),
        private: catalog.settings().delivery_private,
        sprites_url: plays.map(|generation| names::sprites_url(video.id, generation)),
        peaks_url: plays
            .filter(|_| probe.is_some_and(|probe| !probe.audio.is_empty()))
            .map(|generation| names::peaks_url(video.id, generation)),
        thumbnails: thumbnails(catalog, video),
        generation: published,
        clips: catalog
            .clips_of_video(video.id)
            .map(|clip| self::clip(catalog, figures, clip))
            .collect(),
        tags: video.labels.tags.iter().cloned().collect(),
        bins: video.labels.bins.iter().copied().collect(),
        open_markers: catalog.count_of_open_markers(video.id),
        copies: copies(catalog, video),
        remarks: probe.map(|probe| probe.remarks.clone()).unwrap_or_default(),
        error: video.failure.as_ref().map(error),
        upload: video
            .upload
            .and_then(|upload| self::upload(catalog, upload)),
    }
}

/// An open upload; none once it is complete.
fn upload(catalog: &Catalog, id: UploadId) -> Option<body::video::VideoUpload> {
    let open = catalog.upload(id)?;
    let name = |node| catalog.node(node).map(|node| node.name.clone());
    Some(body::video::VideoUpload {
        id,
        node: name(open.node).unwrap_or_default(),
        second_node: open.mirror.and_then(|mirror| name(mirror.node)),
        sent_again_if_lost: !open.mirror.is_some_and(|mirror| mirror.is_complete),
    })
}

fn copies(catalog: &Catalog, video: &Video) -> Vec<body::video::Copy> {
    let copy = |id: &NodeId| {
        let site = catalog.node(*id).map(|node| node.site.clone());
        body::video::Copy {
            node: node_name(catalog, *id),
            site: site.unwrap_or_default(),
        }
    };
    video.copies.iter().map(copy).collect()
}

/// A marker with its comments.
pub(super) fn marker(catalog: &Catalog, marker: &Marker) -> body::review::Marker {
    let video = catalog.video(marker.video);
    let probe = video.and_then(|video| video.probe.as_deref());
    let clock = probe.and_then(Clock::of);
    let timecode = |frame| clock.map(|clock| clock.at(frame).to_string());
    let resolved = marker.resolved.as_ref();
    body::review::Marker {
        id: marker.id,
        video_id: marker.video,
        in_frame: marker.frames.start,
        out_frame: marker.frames.end,
        in_timecode: timecode(marker.frames.start),
        out_timecode: timecode(marker.frames.end),
        colour: marker.colour,
        text: marker.text.clone(),
        author: marker.author.clone(),
        created_at: marker.created_at,
        edited_at: marker.edited_at,
        resolved_at: resolved.map(|resolved| resolved.at),
        resolved_by: resolved.map(|resolved| resolved.by.clone()),
        comments: (catalog.comments_of_marker(marker.id))
            .map(|comment| body::review::Comment {
                id: comment.id,
                text: comment.text.clone(),
                author: comment.author.clone(),
                created_at: comment.created_at,
                edited_at: comment.edited_at,
            })
            .collect(),
    }
}

pub(super) fn bin(catalog: &Catalog, bin: &Bin) -> body::review::Bin {
    body::review::Bin {
        id: bin.id,
        name: bin.name.clone(),
        videos: catalog.count_in_bin(bin.id),
        created_at: bin.created_at,
    }
}

fn error(failure: &Failure) -> body::video::VideoError {
    body::video::VideoError {
        code: failure.code.clone(),
        message: failure.message.clone(),
        detail: failure.detail.clone(),
        retryable: failure.class.is_retryable(),
    }
}

pub(super) fn clip(catalog: &Catalog, figures: &Figures, clip: &Clip) -> body::clip::Clip {
    let video = catalog.video(clip.video);
    let probe = video.and_then(|video| video.probe.as_deref());
    let clock = probe.and_then(Clock::of);
    let timecode = |frame| clock.map(|clock| clock.at(frame).to_string());
    let published = video.and_then(|video| video.published);
    let file = clip.rendered.and_then(|id| catalog.generation(id));
    let status = catalog.status_of_clip(clip);
    let job = clip
        .rendering
        .and_then(|id| catalog.job_of_clip(clip.video, id));
    body::clip::Clip {
        id: clip.id,
        video_id: clip.video,
        name: clip.name.clone(),
        mode: clip.mode,
        status: clip_status(status),
        progress_permille: match status {
            clip::Status::Ready => 1000,
            // 1000 only once it can be downloaded.
            _ => job.map_or(0, |job| job_permille(figures, job).min(999)),
        },
        in_frame: clip.frames.start,
        out_frame: clip.frames.end,
        in_timecode: timecode(clip.frames.start),
        out_timecode: timecode(clip.frames.end),
        duration_frames: clip.frames.len(),
        hls_url: published.map(|generation| {
            let base = &catalog.settings().delivery_base_url;
            let path = names::clip_master_url(clip.video, generation, clip.frames);
            format!("{base}{path}")
        }),
        size_bytes: file.map(|file| size_bytes(file)),
        created_at: clip.created_at,
        error: clip.failure.as_ref().map(error),
    }
}

pub(super) fn proxy(catalog: &Catalog, figures: &Figures, proxy: &Proxy) -> body::proxy::Proxy {
    let video = catalog.video(proxy.video);
    let probe = video.and_then(|video| video.probe.as_deref());
    let file = proxy.rendered.and_then(|id| catalog.generation(id));
    let status = catalog.status_of_proxy(proxy);
    let job = proxy
        .rendering
        .and_then(|id| catalog.job_of_proxy(proxy.video, id));
    let preset = &proxy.preset;
    body::proxy::Proxy {
        id: proxy.id,
        video_id: proxy.video,
        preset: preset.name.clone(),
        preset_version: preset.version,
        codec: preset.codec,
        resolution: probe.and_then(|probe| preset.size(&probe.video).ok()),
        burn_in: preset.burn_in,
        status: match status {
            proxy::Status::Queued => body::proxy::ProxyStatus::Queued,
            proxy::Status::Rendering => body::proxy::ProxyStatus::Rendering,
            proxy::Status::Ready => body::proxy::ProxyStatus::Ready,
            proxy::Status::Failed => body::proxy::ProxyStatus::Failed,
        },
        progress_permille: match status {
            proxy::Status::Ready => 1000,
            // 1000 only once it can be downloaded.
            _ => job.map_or(0, |job| job_permille(figures, job).min(999)),
        },
        filename: proxy_name(video.map_or("", |video| &video.filename)),
        size_bytes: file.map(|file| size_bytes(file)),
        created_at: proxy.created_at,
        error: proxy.failure.as_ref().map(error),
    }
}

/// The name that edit software looks for: the original's, with the ending of the proxy.
pub(super) fn proxy_name(filename: &str) -> String {
    let stem = filename.rsplit_once('.');
    let stem = stem.map_or(filename, |(stem, _)| stem);
    format!("{stem}.mov")
}

/// Bytes of a generation's files.
fn size_bytes(generation: &Generation) -> u64 {
    let size = |state: &UnitState| match state {
        UnitState::Pending => 0,
        UnitState::Rendered { totals, .. } | UnitState::Published { totals } => totals.size_bytes,
    };
    generation.units.values().map(size).sum()
}

const fn clip_status(status: clip::Status) -> body::clip::ClipStatus {
    match status {
        clip::Status::Virtual => body::clip::ClipStatus::Virtual,
        clip::Status::Queued => body::clip::ClipStatus::Queued,
        clip::Status::Rendering => body::clip::ClipStatus::Rendering,
        clip::Status::Ready => body::clip::ClipStatus::Ready,
        clip::Status::Failed => body::clip::ClipStatus::Failed,
    }
}

pub(super) const fn status(status: Status) -> body::video::VideoStatus {
    match status {
        Status::Uploading => body::video::VideoStatus::Uploading,
        Status::Probing => body::video::VideoStatus::Probing,
        Status::Rendering => body::video::VideoStatus::Rendering,
        Status::Ready => body::video::VideoStatus::Ready,
        Status::Failed => body::video::VideoStatus::Failed,
    }
}

fn audio_tracks(probe: &protocol::probe::Probe) -> Vec<body::video::AudioTrack> {
    let track = |track: &protocol::probe::AudioTrack| body::video::AudioTrack {
        codec: track.codec.clone(),
        channels: track.channels,
        sample_rate: track.sample_rate,
        language: track.language.clone(),
    };
    probe.audio.iter().map(track).collect()
}

fn renditions(generation: &Generation) -> Vec<body::video::Rendition> {
    let rendition =
        |(index, rendition): (usize, &protocol::media::Rendition)| body::video::Rendition {
            name: rendition.name.clone(),
            resolution: rendition.resolution,
            video_kbps: rendition.video_kbps,
            copy: index == 0 && generation.keeps_top(),
        };
    generation
        .renditions
        .iter()
        .enumerate()
        .map(rendition)
        .collect()
}

fn progress_permille(catalog: &Catalog, figures: &Figures, video: &Video) -> u16 {
    match video.status {
        Status::Ready => 1000,
        Status::Uploading => {
            let received = video.upload.and_then(|upload| figures.uploads.get(&upload));
            permille(received.copied().unwrap_or(0), video.size_bytes)
        }
        Status::Probing => 0,
        Status::Rendering | Status::Failed => video
            .building
            .and_then(|id| catalog.generation(id))
            .map_or(0, |generation| rendered(catalog, figures, generation)),
    }
}

/// How far a generation has come, each unit by its share of the work. 1000 only once it plays.
fn rendered(catalog: &Catalog, figures: &Figures, generation: &Generation) -> u16 {
    let frames: u64 = generation.pieces.iter().map(|piece| piece.len()).sum();
    let share = |unit: Unit| match unit {
        Unit::Piece(number) => usize::try_from(number)
            .ok()
            .and_then(|number| generation.pieces.get(number))
            .map_or(0, |piece| piece.len().saturating_mul(1000)),
        Unit::Audio => frames.saturating_mul(AUDIO_SHARE),
        Unit::Stills => frames.saturating_mul(STILLS_SHARE),
        Unit::Clip | Unit::Proxy => 0,
    };
    let total: u64 = generation.units.keys().map(|&unit| share(unit)).sum();
    let finished: u64 = generation
        .units
        .iter()
        .filter(|(_, state)| !matches!(state, UnitState::Pending))
        .map(|(&unit, _)| share(unit))
        .sum();
    let running: u64 = catalog
        .jobs_of_video(generation.video)
        .filter_map(|job| match job.kind {
            Kind::Unit {
                generation: id,
                unit,
            } if id == generation.id => {
                let part = u64::from(job_permille(figures, job));
                let running = matches!(job.state, State::Running { .. });
                running.then(|| share(unit) / 1000 * part)
            }
            _ => None,
        })
        .sum();
    permille(finished.saturating_add(running), total).min(999)
}

fn permille(done: u64, total: u64) -> u16 {
    protocol::job::Progress { done, total }.permille()
}

/// URLs that never get another image: the generation stands in them.
fn thumbnails(catalog: &Catalog, video: &Video) -> Vec<body::video::Thumbnail> {
    let Some(display) = video.probe.as_deref().map(|probe| probe.video.display) else {
        return Vec::new();
    };
    let Some(generation) = stills(catalog, video) else {
        return Vec::new();
    };
    WIDTH_CLASSES
        .into_iter()
        .map(|class| {
            let Resolution { width, height } = fitted(display, class);
            body::video::Thumbnail {
                size: format!("{class}w"),
                url: thumbnail_url(video.id, class, Format::Jpeg, generation),
                webp_url: thumbnail_url(video.id, class, Format::WebP, generation),
                width,
                height,
            }
        })
        .collect()
}

/// What a poster is asked for as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    WebP,
}

pub(super) fn thumbnail_url(
    video: VideoId,
    class: u32,
    format: Format,
    generation: GenerationId,
) -> String {
    let format = match format {
        Format::Jpeg => "",
        Format::WebP => "&format=webp",
    };
    format!("/api/v1/videos/{video}/thumbnail?size={class}w{format}&generation={generation}")
}

/// The generation whose posters are in the origin, the published one first.
pub(super) fn stills(catalog: &Catalog, video: &Video) -> Option<GenerationId> {
    let has_stills = |id: &GenerationId| {
        let generation = catalog.generation(*id);
        let state = generation.and_then(|generation| generation.units.get(&Unit::Stills));
        matches!(state, Some(UnitState::Published { .. }))
    };
    [video.published, video.building]
        .into_iter()
        .flatten()
        .find(has_stills)
}

/// `display`, no wider than `class`.
fn fitted(display: Resolution, class: u32) -> Resolution {
    if display.width <= class || display.width == 0 {
        return display;
    }
    let (width, height) = (u64::from(display.width), u64::from(display.height));
    let height = (height * u64::from(class) * 2 + width) / (2 * width);
    Resolution {
        width: class,
        height: u32::try_from(height.max(1)).unwrap_or(u32::MAX),
    }
}

/// A job, with `waiting_because` still empty: see [`Reasons`].
pub(super) fn job(catalog: &Catalog, figures: &Figures, job: &Job) -> body::job::Job {
    let node = match job.state {
        State::Running { node, .. } => Some(node),
        _ => job.last_node,
    };
    let tried = matches!(job.state, State::Running { .. } | State::Done);
    body::job::Job {
        id: job.id,
        video: job.video,
        filename: catalog
            .video(job.video)
            .map(|video| video.filename.clone())
            .unwrap_or_default(),
        kind: match job.kind {
            Kind::Probe => "probe".to_owned(),
            Kind::Unit { unit, .. } => unit.to_string(),
        },
        state: job_state(job.state.phase()),
        node: node.map(|node| node_name(catalog, node)),
        attempts: job.failed_attempts + job.lost_attempts + u32::from(tried),
        max_attempts: catalog.settings().max_attempts,
        progress_permille: job_permille(figures, job),
        created_at: job.created_at,
        started_at: job.started_at,
        finished_at: job.finished_at,
        waiting_because: Vec::new(),
        failure: job.failure.clone(),
    }
}

/// Why jobs wait. Taken while the catalogue is held, asked once it is let go, since the answer is
/// a dry run of the scheduler.
#[derive(Debug)]
pub(super) struct Reasons {
    now: Timestamp,
    /// None where nothing waits.
    view: Option<View>,
}

impl Reasons {
    pub(super) fn of<'a>(
        catalog: &Catalog,
        figures: &Figures,
        now: Timestamp,
        jobs: impl IntoIterator<Item = &'a Job>,
    ) -> Self {
        let view = jobs
            .into_iter()
            .filter(|job| job.state == State::Waiting)
            .fold(None, |view: Option<View>, job| {
                let view = view.unwrap_or_else(|| View::of(catalog, &figures.vitals, now));
                Some(view.with_job(catalog, job))
            });
        Self { now, view }
    }

    pub(super) fn fill(&self, job: &mut body::job::Job) {
        if let Some(view) = &self.view {
            job.waiting_because = scheduler::waiting_because(view, job.id, self.now);
        }
    }
}

pub(super) const fn job_state(phase: Phase) -> body::job::JobState {
    match phase {
        Phase::Waiting => body::job::JobState::Waiting,
        Phase::Running => body::job::JobState::Running,
        Phase::Done => body::job::JobState::Done,
        Phase::Failed => body::job::JobState::Failed,
        Phase::Cancelled => body::job::JobState::Cancelled,
    }
}

fn job_permille(figures: &Figures, job: &Job) -> u16 {
    match &job.state {
        State::Done => 1000,
        State::Running { progress, .. } => {
            let live = figures.jobs.get(&job.id).map_or(0, |live| live.permille());
            live.max(progress.permille())
        }
        State::Waiting | State::Failed | State::Cancelled => 0,
    }
}

fn node_name(catalog: &Catalog, node: NodeId) -> String {
    catalog
        .node(node)
        .map_or_else(|| format!("node {node}"), |node| node.name.clone())
}

/// Who is asked, and what it knows of the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observer<'a> {
    pub(super) me: NodeId,
    pub(super) leader: Option<NodeId>,
    pub(super) now: Timestamp,
    pub(super) members: &'a [Member],
}

fn watched(status: &watch::Status) -> body::node::Watch {
    body::node::Watch {
        path: status.path.clone(),
        waiting: status.waiting,
        taken: status.taken,
        problems: status.problems.clone(),
    }
}

pub(super) fn node(
    catalog: &Catalog,
    figures: &Figures,
    observer: Observer<'_>,
    node: &Node,
) -> body::node::Node {
    let vitals = figures.vitals.get(&node.id);
    let busy = catalog.jobs_running_on(node.id).count();
    let heard = vitals.is_some_and(|vitals| observer.now.since(vitals.at) <= AWAY);
    let up = node.id == observer.me || heard;
    let applied = |id: NodeId| figures.vitals.get(&id).map(|vitals| vitals.applied);
    let lag = match (observer.leader.and_then(applied), applied(node.id)) {
        (Some(leader), Some(own)) => leader.saturating_sub(own),
        _ => 0,
    };
    let found = observer
        .members
        .iter()
        .find(|member| member.node == node.id);
    let member = match found {
        None => "none",
        Some(member) if member.voter => "voter",
        Some(_) => "learner",
    };
    body::node::Node {
        id: node.id,
        name: node.name.clone(),
        site: node.site.clone(),
        role: node.role.as_str().to_owned(),
        member: member.to_owned(),
        address: node.address.clone(),
        draining: node.draining,
        sole_originals: None,
        leader: observer.leader == Some(node.id),
        version: node.version.clone(),
        state: if up { "up" } else { "away" }.to_owned(),
        seen_at: vitals.map(|vitals| vitals.at),
        lag,
        slots: node.slots,
        slots_busy: u16::try_from(busy).unwrap_or(u16::MAX),
        cpu_cores: node.cpu_cores,
        cpu_permille: vitals.map(|vitals| vitals.cpu_permille),
        memory_total_bytes: vitals.map(|vitals| vitals.memory_total_bytes),
        memory_used_bytes: vitals.map(|vitals| vitals.memory_used_bytes),
        disk_total_bytes: vitals.map(|vitals| vitals.disk_total_bytes),
        disk_free_bytes: vitals.map(|vitals| vitals.disk_free_bytes),
        watches: (node.id == observer.me).then(|| figures.watches.iter().map(watched).collect()),
        encoders: node.encoders.clone(),
        sandbox: node.sandbox.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posters_keep_their_shape_and_are_never_enlarged() {
        let check = |width, height, class, expect: (u32, u32)| {
            let fitted = fitted(Resolution { width, height }, class);
            assert_eq!((fitted.width, fitted.height), expect);
        };
        check(1920, 1080, 640, (640, 360));
        check(1920, 800, 320, (320, 133));
        check(500, 400, 640, (500, 400));
        check(100_000, 1, 320, (320, 1));
    }
}
