//! `/api/v1/clips` and `/api/v1/videos/{id}/clips`: subclips.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use coordinator::catalog::{Command, limits};
use protocol::clip::{Clock, Mode};
use protocol::http::clip::{Clip, ClipChange, NewClip};
use protocol::http::problem::Problem;
use protocol::id::{ClipId, VideoId};
use protocol::job::Unit;
use protocol::media::FrameRange;
use protocol::probe::Probe;
use uuid::Uuid;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Json};
use super::media::{self, Answer, Meta};
use super::{original, view};
use crate::media::graph::clip::offered;
use crate::publish::hls::manifest;
use crate::publish::hls::names::{self, Kind};

/// Mark a subclip
#[utoipa::path(post, path = "/api/v1/videos/{id}/clips", tag = "clips",
    params(("id" = VideoId, Path)), request_body = NewClip,
    responses(
        (status = 201, body = Clip),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn mark(
    State(api): State<Api>,
    Id(video): Id<VideoId>,
    Json(new): Json<NewClip>,
) -> Result<(StatusCode, axum::Json<Clip>), Error> {
    let source = Source::of(&api, video)?;
    let start = source.point(Point::In, new.in_frame, new.in_timecode.as_deref())?;
    let end = source.point(Point::Out, new.out_frame, new.out_timecode.as_deref())?;
    let missing = |name| {
        let detail = format!("A subclip needs {name}, as a frame or as a timecode.");
        Error::bad_clip("clip_point_missing", detail)
    };
    let frames = source.checked(FrameRange {
        start: start.ok_or_else(|| missing("an in point"))?,
        end: end.ok_or_else(|| missing("an out point"))?,
    })?;
    let name = match &new.name {
        Some(name) => checked_name(name)?,
        None => source.name_at(frames.start),
    };
    let id = ClipId::from_uuid(Uuid::now_v7());
    let command = Command::CreateClip {
        clip: id,
        video,
        name,
        frames,
        mode: new.mode,
    };
    if new.render {
        // Refused before anything is marked.
        source.check_mode(new.mode)?;
    }
    api.catalog.propose(command).await?;
    if new.render {
        api.catalog
            .propose(Command::RenderClip { clip: id })
            .await?;
    }
    shown(&api, id).map(|clip| (StatusCode::CREATED, axum::Json(clip)))
}

/// One subclip
#[utoipa::path(get, path = "/api/v1/clips/{id}", tag = "clips",
    params(("id" = ClipId, Path)),
    responses((status = 200, body = Clip), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(api): State<Api>,
    Id(id): Id<ClipId>,
) -> Result<axum::Json<Clip>, Error> {
    shown(&api, id).map(axum::Json)
}

/// Rename or move a subclip; another range or mode makes its file void
#[utoipa::path(patch, path = "/api/v1/clips/{id}", tag = "clips",
    params(("id" = ClipId, Path)), request_body = ClipChange,
    responses((status = 200, body = Clip), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(api): State<Api>,
    Id(id): Id<ClipId>,
    Json(change): Json<ClipChange>,
) -> Result<axum::Json<Clip>, Error> {
    let (video, old) = api.catalog.read(|catalog| {
        let clip = catalog.clip(id).ok_or_else(|| Error::clip_not_found(id))?;
        Ok::<_, Error>((clip.video, clip.frames))
    })?;
    let source = Source::of(&api, video)?;
    let start = source.point(Point::In, change.in_frame, change.in_timecode.as_deref())?;
    let end = source.point(Point::Out, change.out_frame, change.out_timecode.as_deref())?;
    let frames = match (start, end) {
        (None, None) => None,
        (start, end) => Some(source.checked(FrameRange {
            start: start.unwrap_or(old.start),
            end: end.unwrap_or(old.end),
        })?),
    };
    let command = Command::ChangeClip {
        clip: id,
        name: change.name.as_deref().map(checked_name).transpose()?,
        frames,
        mode: change.mode,
    };
    api.catalog.propose(command).await?;
    shown(&api, id).map(axum::Json)
}

/// Remove a subclip, and its file if it has one
#[utoipa::path(delete, path = "/api/v1/clips/{id}", tag = "clips",
    params(("id" = ClipId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Id(id): Id<ClipId>,
) -> Result<StatusCode, Error> {
    shown(&api, id)?;
    api.catalog
        .propose(Command::DeleteClip { clip: id })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a file of a subclip
#[utoipa::path(post, path = "/api/v1/clips/{id}/render", tag = "clips",
    params(("id" = ClipId, Path)),
    responses(
        (status = 202, body = Clip, description = "It is queued, or on its way, or ready"),
        (status = 404, body = Problem),
        (status = 422, body = Problem, description = "The mode is not offered for this source")))]
pub(super) async fn render(
    State(api): State<Api>,
    Id(id): Id<ClipId>,
) -> Result<(StatusCode, axum::Json<Clip>), Error> {
    let (video, mode) = api.catalog.read(|catalog| {
        let clip = catalog.clip(id).ok_or_else(|| Error::clip_not_found(id))?;
        Ok::<_, Error>((clip.video, clip.mode))
    })?;
    Source::of(&api, video)?.check_mode(mode)?;
    api.catalog
        .propose(Command::RenderClip { clip: id })
        .await?;
    shown(&api, id).map(|clip| (StatusCode::ACCEPTED, axum::Json(clip)))
}

/// The file of a subclip
#[utoipa::path(get, path = "/api/v1/clips/{id}/download", tag = "clips",
    params(("id" = ClipId, Path), ("range" = Option<String>, Header, description = "One range of bytes")),
    responses(
        (status = 200, content_type = "video/mp4"),
        (status = 206, content_type = "video/mp4"),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 416, body = Problem)))]
pub(super) async fn download(
    State(api): State<Api>,
    Id(id): Id<ClipId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (video, generation, name) = api.catalog.read(|catalog| {
        let clip = catalog.clip(id).ok_or_else(|| Error::clip_not_found(id))?;
        let generation = clip.rendered.ok_or_else(|| Error::clip_not_rendered(id))?;
        Ok::<_, Error>((clip.video, generation, clip.name.clone()))
    })?;
    let key = names::key(video, generation, &names::unit_manifest(Unit::Clip));
    let bytes = api.edge.get(&key).await?;
    let manifest = manifest::parse(Unit::Clip, &bytes)
        .map_err(|error| Error::internal("read the subclip's list of files", &error))?;
    let file = manifest.clip.ok_or_else(Error::object_not_found)?;
    let key = names::key(video, generation, &file.name);
    let (_, ending) = file.name.rsplit_once('.').unwrap_or_default();
    let kind = Kind::of(&file.name).unwrap_or(Kind::Init).content_type();
    let etag = format!("\"{}\"", file.blake3.short());
    let meta = Meta {
        size_bytes: file.size_bytes,
        content_type: kind,
        // The same URL leads to another file once the subclip is moved.
        cache_control: "private, no-cache",
        etag: &etag,
    };
    let mut response = match media::answer(&headers, &meta) {
        Answer::Ready(response) => return Ok(response),
        Answer::Body(mut response, range) => {
            let reading = api.edge.origin().open_object(&key, Some(range)).await?;
            *response.body_mut() = Body::from_stream(reading.stream);
            response
        }
    };
    let disposition = original::attachment(&format!("{name}.{ending}"));
    let disposition = HeaderValue::from_str(&disposition).expect("both names are visible ASCII");
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

pub(super) fn shown(api: &Api, id: ClipId) -> Result<Clip, Error> {
    let figures = api.live.look();
    api.catalog.read(|catalog| {
        let clip = catalog.clip(id).ok_or_else(|| Error::clip_not_found(id))?;
        Ok(view::clip(catalog, &figures, clip))
    })
}

/// What has to be known of a video to mark something in it.
pub(super) struct Source {
    filename: String,
    frames: u64,
    clock: Option<Clock>,
    probe: Box<Probe>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Point {
    In,
    Out,
}

impl Point {
    const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl Source {
    pub(super) fn of(api: &Api, video: VideoId) -> Result<Self, Error> {
        api.catalog.read(|catalog| {
            let record = catalog
                .video(video)
                .ok_or_else(|| Error::video_not_found(video))?;
            let probe = record.probe.as_deref();
            let probe = probe.ok_or_else(|| Error::video_not_probed(video))?;
            Ok(Self {
                probe: Box::new(probe.clone()),
                filename: record.filename.clone(),
                frames: probe.video.frames,
                clock: Clock::of(probe),
            })
        })
    }

    /// Whether a file can be made by `mode`.
    fn check_mode(&self, mode: Mode) -> Result<(), Error> {
        offered(mode, &self.probe).map_err(|error| {
            Error::bad_clip(
                "mode_not_offered",
                format!("This video's subclips cannot be rendered by `{mode}`: {error}."),
            )
        })
    }

    /// A point that was given as a frame, as a timecode, or not at all.
    pub(super) fn point(
        &self,
        point: Point,
        frame: Option<u64>,
        timecode: Option<&str>,
    ) -> Result<Option<u64>, Error> {
        let name = point.as_str();
        let text = match (frame, timecode) {
            (Some(_), Some(_)) => {
                let detail = format!("Give either {name} or {name}_frame, not both.");
                return Err(Error::bad_clip("clip_point_twice", detail));
            }
            (frame, None) => return Ok(frame),
            (None, Some(text)) => text,
        };
        let Some(clock) = &self.clock else {
            let detail = format!(
                "The video's frame rate has no timecode; give {name}_frame, counted from its first frame."
            );
            return Err(Error::bad_clip("no_timecode", detail));
        };
        clock.frame_of(text).map(Some).map_err(|error| {
            let text: String = text.chars().take(40).collect();
            let detail = format!(
                "{name} is {text:?}, which is not a timecode of this video: {error}. It begins at {}.",
                clock.start()
            );
            Error::bad_clip("bad_timecode", detail)
        })
    }

    pub(super) fn checked(&self, frames: FrameRange) -> Result<FrameRange, Error> {
        if frames.is_empty() {
            let detail = format!(
                "The out point, {}, must lie behind the in point, {}; it is the first frame that does not belong to the range.",
                self.told(frames.end),
                self.told(frames.start),
            );
            return Err(Error::bad_clip("clip_empty", detail));
        }
        if !frames.is_within(self.frames) {
            let detail = format!(
                "The video has {} frames, {} to {}; the range would end at {}.",
                self.frames,
                self.told(0),
                self.told(self.frames),
                self.told(frames.end),
            );
            return Err(Error::bad_clip("clip_out_of_range", detail));
        }
        Ok(frames)
    }

    /// A frame for a sentence.
    fn told(&self, frame: u64) -> String {
        match &self.clock {
            Some(clock) => format!("{} (frame {frame})", clock.at(frame)),
            None => format!("frame {frame}"),
        }
    }

    /// The name of a subclip whose maker gave none.
    fn name_at(&self, frame: u64) -> String {
        let stem = self.filename.rsplit_once('.');
        let stem = stem.map_or(self.filename.as_str(), |(stem, _)| stem);
        let at = match &self.clock {
            Some(clock) => clock.at(frame).to_string(),
            None => frame.to_string(),
        };
        let room = limits::CLIP_NAME_MAX_CHARS - at.len() - 1;
        let stem: String = stem.chars().take(room).collect();
        format!("{stem} {at}").trim().to_owned()
    }
}

/// Display text: one line, not empty, not too long.
fn checked_name(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let wrong = |detail: String| Error::bad_clip("bad_clip_name", detail);
    if text.is_empty() {
        return Err(wrong("The subclip's name is empty.".to_owned()));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong(
            "The subclip's name has a control character in it.".to_owned(),
        ));
    }
    let max = limits::CLIP_NAME_MAX_CHARS;
    if text.chars().count() > max {
        return Err(wrong(format!(
            "The subclip's name is longer than {max} characters."
        )));
    }
    Ok(text.to_owned())
}
