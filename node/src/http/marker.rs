//! `/api/v1/markers`, `/api/v1/comments` and `/api/v1/videos/{id}/markers`: what is said about pictures.

use axum::extract::State;
use axum::http::StatusCode;
use coordinator::catalog::review::ReviewCommand;
use protocol::http::Page;
use protocol::http::problem::Problem;
use protocol::http::review::{CommentChange, Marker, MarkerChange, NewComment, NewMarker};
use protocol::id::{CommentId, MarkerId, VideoId};
use protocol::media::FrameRange;
use uuid::Uuid;

use super::api::Api;
use super::clip::{Point, Source};
use super::error::Error;
use super::extract::{Id, Json};
use super::review::propose;
use super::view;

/// The markers of a video, in the order of their pictures
#[utoipa::path(get, path = "/api/v1/videos/{id}/markers", tag = "review",
    params(("id" = VideoId, Path)),
    responses((status = 200, body = Page<Marker>), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<Page<Marker>>, Error> {
    let items = api.catalog.read(|catalog| {
        catalog
            .video(video)
            .ok_or_else(|| Error::video_not_found(video))?;
        let markers = catalog.markers_of_video(video);
        Ok::<Vec<Marker>, Error>(
            markers
                .map(|marker| view::marker(catalog, marker))
                .collect(),
        )
    })?;
    Ok(axum::Json(Page {
        total: items.len() as u64,
        items,
        next_cursor: None,
    }))
}

/// Pin a marker to a picture or a range
#[utoipa::path(post, path = "/api/v1/videos/{id}/markers", tag = "review",
    params(("id" = VideoId, Path)), request_body = NewMarker,
    responses(
        (status = 201, body = Marker),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn pin(
    State(api): State<Api>,
    Id(video): Id<VideoId>,
    Json(new): Json<NewMarker>,
) -> Result<(StatusCode, axum::Json<Marker>), Error> {
    let source = Source::of(&api, video)?;
    let start = source.point(Point::In, new.in_frame, new.in_timecode.as_deref())?;
    let start = start.ok_or_else(|| {
        let detail = "A marker needs an in point, as a frame or as a timecode.";
        Error::bad_request("marker_point_missing", detail)
    })?;
    let end = source.point(Point::Out, new.out_frame, new.out_timecode.as_deref())?;
    let frames = source.checked(FrameRange {
        start,
        end: end.unwrap_or_else(|| start.saturating_add(1)),
    })?;
    let marker = MarkerId::from_uuid(Uuid::now_v7());
    let command = ReviewCommand::CreateMarker {
        marker,
        video,
        frames,
        colour: new.colour,
        text: text(&new.text),
        author: new.author.trim().to_owned(),
    };
    propose(&api, command).await?;
    shown(&api, marker).map(|marker| (StatusCode::CREATED, axum::Json(marker)))
}

/// One marker with its comments
#[utoipa::path(get, path = "/api/v1/markers/{id}", tag = "review",
    params(("id" = MarkerId, Path)),
    responses((status = 200, body = Marker), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(api): State<Api>,
    Id(id): Id<MarkerId>,
) -> Result<axum::Json<Marker>, Error> {
    shown(&api, id).map(axum::Json)
}

/// Move, reword or resolve a marker
#[utoipa::path(patch, path = "/api/v1/markers/{id}", tag = "review",
    params(("id" = MarkerId, Path)), request_body = MarkerChange,
    responses((status = 200, body = Marker), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(api): State<Api>,
    Id(id): Id<MarkerId>,
    Json(change): Json<MarkerChange>,
) -> Result<axum::Json<Marker>, Error> {
    let old = shown(&api, id)?;
    let source = Source::of(&api, old.video_id)?;
    let start = source.point(Point::In, change.in_frame, change.in_timecode.as_deref())?;
    let end = source.point(Point::Out, change.out_frame, change.out_timecode.as_deref())?;
    let frames = match (start, end) {
        (None, None) => None,
        // A marker that is moved by its in point keeps its length.
        (Some(start), None) => Some(FrameRange {
            start,
            end: start.saturating_add(old.out_frame - old.in_frame),
        }),
        (start, Some(end)) => Some(FrameRange {
            start: start.unwrap_or(old.in_frame),
            end,
        }),
    };
    let command = ReviewCommand::ChangeMarker {
        marker: id,
        frames: frames.map(|frames| source.checked(frames)).transpose()?,
        colour: change.colour,
        text: change.text.as_deref().map(text),
        resolved: change.resolved,
        by: change.by.trim().to_owned(),
    };
    propose(&api, command).await?;
    shown(&api, id).map(axum::Json)
}

/// Remove a marker with its comments
#[utoipa::path(delete, path = "/api/v1/markers/{id}", tag = "review",
    params(("id" = MarkerId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Id(marker): Id<MarkerId>,
) -> Result<StatusCode, Error> {
    shown(&api, marker)?;
    propose(&api, ReviewCommand::DeleteMarker { marker }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answer a marker
#[utoipa::path(post, path = "/api/v1/markers/{id}/comments", tag = "review",
    params(("id" = MarkerId, Path)), request_body = NewComment,
    responses((status = 201, body = Marker), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn comment(
    State(api): State<Api>,
    Id(marker): Id<MarkerId>,
    Json(new): Json<NewComment>,
) -> Result<(StatusCode, axum::Json<Marker>), Error> {
    shown(&api, marker)?;
    let command = ReviewCommand::CreateComment {
        comment: CommentId::from_uuid(Uuid::now_v7()),
        marker,
        text: text(&new.text),
        author: new.author.trim().to_owned(),
    };
    propose(&api, command).await?;
    shown(&api, marker).map(|marker| (StatusCode::CREATED, axum::Json(marker)))
}

/// Reword a comment
#[utoipa::path(patch, path = "/api/v1/comments/{id}", tag = "review",
    params(("id" = CommentId, Path)), request_body = CommentChange,
    responses((status = 200, body = Marker), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn reword(
    State(api): State<Api>,
    Id(comment): Id<CommentId>,
    Json(change): Json<CommentChange>,
) -> Result<axum::Json<Marker>, Error> {
    let marker = marker_of(&api, comment)?;
    let text = text(&change.text);
    propose(&api, ReviewCommand::ChangeComment { comment, text }).await?;
    shown(&api, marker).map(axum::Json)
}

/// Remove a comment
#[utoipa::path(delete, path = "/api/v1/comments/{id}", tag = "review",
    params(("id" = CommentId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn retract(
    State(api): State<Api>,
    Id(comment): Id<CommentId>,
) -> Result<StatusCode, Error> {
    marker_of(&api, comment)?;
    propose(&api, ReviewCommand::DeleteComment { comment }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn marker_of(api: &Api, id: CommentId) -> Result<MarkerId, Error> {
    let found = api
        .catalog
        .read(|catalog| catalog.comment(id).map(|comment| comment.marker));
    found.ok_or_else(|| Error::comment_not_found(id))
}

fn shown(api: &Api, id: MarkerId) -> Result<Marker, Error> {
    api.catalog.read(|catalog| {
        let marker = catalog
            .marker(id)
            .ok_or_else(|| Error::marker_not_found(id))?;
        Ok(view::marker(catalog, marker))
    })
}

/// Lines end as they do here, whatever a browser on another system sent.
fn text(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace(['\r', '\t'], " ")
        .trim()
        .to_owned()
}
