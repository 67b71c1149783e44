//! `/api/v1/export` and `/api/v1/videos/{id}/export`: subclips for edit software.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use coordinator::catalog::Catalog;
use protocol::clip::Clock;
use protocol::http::problem::Problem;
use protocol::id::VideoId;
use serde::Deserialize;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Query};
use super::original;
use crate::interchange::{self, Format, Marker, Source, Subclip};

/// Videos of one document.
const VIDEOS_MAX: usize = 100;

/// Name of a document about several videos.
const TITLE: &str = "Subclips";

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `edl`, `fcpxml`, `fcp7xml`, `otio` or `csv`.
    format: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedOfMany {
    /// `edl`, `fcpxml`, `fcp7xml`, `otio` or `csv`.
    format: String,
    /// Ids of videos, joined by commas; at most 100.
    videos: String,
}

/// The subclips of a video for edit software
#[utoipa::path(get, path = "/api/v1/videos/{id}/export", tag = "clips",
    params(("id" = VideoId, Path), Wanted),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn of_one(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    export(&api, &wanted.format, &[id])
}

/// The subclips of several videos for edit software
#[utoipa::path(get, path = "/api/v1/export", tag = "clips", params(WantedOfMany),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn of_many(
    State(api): State<Api>,
    Query(wanted): Query<WantedOfMany>,
) -> Result<Response, Error> {
    let ids: Vec<&str> = wanted.videos.split(',').collect();
    if ids.len() > VIDEOS_MAX {
        let detail = format!("videos has more than {VIDEOS_MAX} ids.");
        return Err(Error::bad_query(detail));
    }
    let parse = |text: &&str| {
        text.parse::<VideoId>()
            .map_err(|error| Error::bad_query(format!("In videos, {error}.")))
    };
    let ids: Vec<VideoId> = ids.iter().map(parse).collect::<Result<_, _>>()?;
    export(&api, &wanted.format, &ids)
}

fn export(api: &Api, format: &str, ids: &[VideoId]) -> Result<Response, Error> {
    let format = Format::ALL
        .into_iter()
        .find(|known| known.as_str() == format)
        .ok_or_else(|| {
            let known = Format::ALL.map(Format::as_str).join(", ");
            Error::bad_query(format!("format is not one of {known}."))
        })?;
    let sources: Vec<Source> = api.catalog.read(|catalog| {
        let source = |id: &VideoId| source(catalog, *id);
        ids.iter().map(source).collect::<Result<_, _>>()
    })?;
    let title = match sources.as_slice() {
        [source] => {
            let stem = source.filename.rsplit_once('.');
            stem.map_or(source.filename.as_str(), |(stem, _)| stem)
        }
        _ => TITLE,
    };
    let text = interchange::write(format, title, &sources)?;
    let filename = format!("{title}.{}", format.ending());
    let disposition = HeaderValue::from_str(&original::attachment(&filename))
        .expect("both names are visible ASCII");
    let kind = HeaderValue::from_static(format.content_type());
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, text).into_response())
}

fn source(catalog: &Catalog, id: VideoId) -> Result<Source, Error> {
    let video = catalog
        .video(id)
        .ok_or_else(|| Error::video_not_found(id))?;
    let probe = video.probe.as_deref();
    let probe = probe.ok_or_else(|| Error::video_not_probed(id))?;
    let clock = Clock::of(probe).ok_or_else(|| {
        let detail = format!(
            "{:?} has {} frames a second, which no timecode counts.",
            video.filename, probe.video.frame_rate
        );
        Error::bad_clip("no_timecode", detail)
    })?;
    // As they are arranged, so that an edit comes out in the order of its list.
    let clips: Vec<Subclip> = catalog
        .clips_of_video(id)
        .map(|clip| Subclip {
            name: clip.name.clone(),
            frames: clip.frames,
        })
        .collect();
    Ok(Source {
        filename: video.filename.clone(),
        clock,
        frames: probe.video.frames,
        size: probe.video.display,
        audio: probe.audio.iter().map(|track| track.channels).collect(),
        sample_rate: probe.audio.first().map_or(0, |track| track.sample_rate),
        clips,
        markers: markers(catalog, id),
    })
}

/// With the answers behind the text, so that they reach the edit room too.
fn markers(catalog: &Catalog, id: VideoId) -> Vec<Marker> {
    let said = |author: &str, text: &str| {
        if author.is_empty() {
            text.to_owned()
        } else {
            format!("{author}: {text}")
        }
    };
    (catalog.markers_of_video(id))
        .map(|marker| {
            let answers = catalog.comments_of_marker(marker.id);
            let answers = answers.map(|answer| said(&answer.author, &answer.text));
            let text = std::iter::once(marker.text.clone()).chain(answers);
            Marker {
                frames: marker.frames,
                colour: marker.colour,
                text: text
                    .filter(|text| !text.is_empty())
                    .collect::<Vec<_>>()
                    .join(" | "),
                author: marker.author.clone(),
                resolved: marker.resolved.is_some(),
            }
        })
        .collect()
}
