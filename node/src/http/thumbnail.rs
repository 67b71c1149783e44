//! `/api/v1/videos/{id}/thumbnail`: a poster, for ever under its versioned URL.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::http::problem::Problem;
use protocol::id::{GenerationId, VideoId};
use protocol::job::Unit;
use serde::Deserialize;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Query};
use super::view::Format;
use super::{hls, view};
use crate::publish::hls::{manifest, names};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `320w`, `640w` (default) or `1280w`.
    size: Option<String>,
    /// `jpeg` or `webp`; without it a versioned URL gives JPEG, and any other leads to what the
    /// `Accept` header prefers.
    format: Option<String>,
    /// As in the video's `thumbnails`; without it the answer leads to the newest.
    #[param(value_type = Option<String>)]
    generation: Option<GenerationId>,
}

/// A poster image
#[utoipa::path(get, path = "/api/v1/videos/{id}/thumbnail", tag = "videos",
    params(("id" = VideoId, Path), Wanted),
    responses(
        (status = 200, content(("image/jpeg"), ("image/webp"))),
        (status = 302, description = "To the versioned URL"),
        (status = 404, body = Problem)))]
pub(super) async fn thumbnail(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let class = class(wanted.size.as_deref())?;
    let format = format(wanted.format.as_deref())?;
    let newest = api.catalog.read(|catalog| {
        let video = catalog
            .video(id)
            .ok_or_else(|| Error::video_not_found(id))?;
        Ok::<_, Error>(view::stills(catalog, video))
    })?;
    let newest = newest.ok_or_else(|| Error::thumbnail_not_found(id))?;
    if wanted.generation != Some(newest) {
        // The image itself never varies: what a CDN keeps has one form for each URL.
        let format = format.unwrap_or_else(|| accepted(&headers));
        return Ok(redirect(&view::thumbnail_url(id, class, format, newest)));
    }
    let format = format.unwrap_or(Format::Jpeg);
    let (ending, content_type) = match format {
        Format::Jpeg => (".jpg", "image/jpeg"),
        Format::WebP => (".webp", "image/webp"),
    };
    let key = names::key(id, newest, &names::unit_manifest(Unit::Stills));
    let bytes = api.edge.get(&key).await?;
    let manifest = manifest::parse(Unit::Stills, &bytes)
        .map_err(|error| Error::internal("read the list of posters", &error))?;
    let still = manifest
        .stills
        .iter()
        .find(|still| still.width_class == class && still.object.name.ends_with(ending))
        .ok_or_else(|| Error::thumbnail_not_found(id))?;
    let name = &still.object.name;
    let etag = format!("\"{}\"", still.object.blake3.short());
    let key = names::key(id, newest, name);
    hls::immutable(&api, &key, &etag, content_type, &headers).await
}

fn class(size: Option<&str>) -> Result<u32, Error> {
    let size = size.unwrap_or("640w");
    let known = view::WIDTH_CLASSES
        .into_iter()
        .find(|class| size == format!("{class}w"));
    known.ok_or_else(|| Error::bad_query("size is not one of 320w, 640w and 1280w."))
}

fn format(format: Option<&str>) -> Result<Option<Format>, Error> {
    match format {
        None => Ok(None),
        Some("jpeg") => Ok(Some(Format::Jpeg)),
        Some("webp") => Ok(Some(Format::WebP)),
        Some(_) => Err(Error::bad_query("format is neither jpeg nor webp.")),
    }
}

/// WebP for those who name it; `*/*` is sent by everything.
fn accepted(headers: &HeaderMap) -> Format {
    let named = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
            let refused = parameters.replace(' ', "");
            kind.trim().eq_ignore_ascii_case("image/webp")
                && !matches!(refused.as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        });
    if named { Format::WebP } else { Format::Jpeg }
}

fn redirect(url: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let url = HeaderValue::from_str(url).expect("ids and digits are a valid header value");
    response.headers_mut().insert(header::LOCATION, url);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}
