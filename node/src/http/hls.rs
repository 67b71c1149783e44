//! `/hls/{video}/{generation}/...`: what players and CDNs fetch.
//!
//! Everything here is public, so one CORS answer fits all; what a name says is immutable may be
//! kept for a year.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use coordinator::catalog::generation::{Generation, Stage};
use protocol::id::{BlobHash, GenerationId, VideoId};
use protocol::job::Unit;
use protocol::manifest::Manifest;

use super::api::Api;
use super::error::Error;
use super::media::{self, Answer, Meta};
use crate::edge;
use crate::publish::hls;
use crate::publish::hls::clip::{self, Asked};
use crate::publish::hls::names::{self, Kind};

/// A finished playlist lies under its generation and does not change either; a shorter life lets a
/// deletion reach viewers.
const PLAYLIST_CACHE: &str =
    "public, max-age=3600, stale-while-revalidate=86400, stale-if-error=604800";

/// One that still grows is asked for again every few seconds, and is never older than this.
const GROWING_CACHE: &str = "public, max-age=1";

/// Largest playlist in bytes.
const PLAYLIST_MAX_BYTES: u64 = 16 << 20;

pub(super) async fn object(
    State(api): State<Api>,
    path: Result<Path<(String, String, String)>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Response {
    let mut response = match path {
        Ok(Path((video, generation, name))) => find(&api, &video, &generation, &name, &headers)
            .await
            .unwrap_or_else(IntoResponse::into_response),
        Err(_) => Error::object_not_found().into_response(),
    };
    allow_all(response.headers_mut());
    response
}

/// The preflight of a cross-origin request with a `Range` header.
pub(super) async fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow_all(headers);
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Range, If-None-Match, If-Range",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in allowed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn allow_all(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Content-Length, Content-Range, ETag"),
    );
    // The security headers of pages say same-origin; media may be played anywhere.
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
}

async fn find(
    api: &Api,
    video: &str,
    generation: &str,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    // Only the printed form of an id: each object has one URL.
    let ids = video
        .parse::<VideoId>()
        .ok()
        .zip(generation.parse::<GenerationId>().ok());
    let (video_id, generation_id) = ids
        .filter(|(v, g)| v.to_string() == video && g.to_string() == generation)
        .ok_or_else(Error::object_not_found)?;
    let kind = Kind::of(name)
        .filter(|kind| names::is_valid(name) && *kind != Kind::Manifest)
        .ok_or_else(Error::object_not_found)?;
    let generation = api.catalog.read(|catalog| {
        let generation = catalog.generation(generation_id);
        generation.filter(|g| g.video == video_id).map(Arc::clone)
    });
    let generation = generation.ok_or_else(Error::object_not_found)?;
    let key = names::key(video_id, generation_id, name);
    if let Some(asked) = Asked::parse(name) {
        let mut response = clip_playlist(api, &generation, &asked, headers).await?;
        tag(response.headers_mut(), video_id, generation_id);
        return Ok(response);
    }
    let mut response = match (kind, names::hash_in(name)) {
        (Kind::Playlist | Kind::Index, _) if generation.stage == Stage::Building => {
            growing(api, &generation, name, headers).await?
        }
        (Kind::Playlist | Kind::Index, _) => {
            // Not from the cache if it was taken away: that is how a deletion begins.
            if generation.stage == Stage::Retired {
                return Err(Error::object_not_found());
            }
            let bytes = whole(api, &key, PLAYLIST_MAX_BYTES).await?;
            learn(api, &key, &bytes);
            // An index shows nothing without what it names.
            let cache_control = if kind == Kind::Index {
                media::IMMUTABLE
            } else {
                PLAYLIST_CACHE
            };
            playlist(
                bytes,
                names::content_type(name, kind),
                cache_control,
                headers,
            )
        }
        (_, Some(hash)) => {
            immutable(
                api,
                &key,
                &format!("\"{hash}\""),
                names::content_type(name, kind),
                headers,
            )
            .await?
        }
        // Nothing that we write lacks the hash.
        (_, None) => return Err(Error::object_not_found()),
    };
    tag(response.headers_mut(), video_id, generation_id);
    Ok(response)
}

/// A playlist of a generation that is still rendered, from the manifests of what is there.
async fn growing(
    api: &Api,
    generation: &Generation,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let units = hls::generation::playable(generation);
    if units.is_empty() {
        return Err(Error::object_not_found());
    }
    // All viewers are told the same until one more piece is there.
    let step = (generation.id, units.len());
    let written = api.growing.get_or_insert_async(&step, async {
        let manifests = manifests(api, generation, &units).await?;
        let texts = hls::generation::growing(generation, &manifests)
            .map_err(|error| Error::internal("write the playlist", &error))?;
        let texts = texts.into_iter();
        Ok::<_, Error>(Arc::new(
            texts
                .map(|(name, text)| (name, Bytes::from(text)))
                .collect::<BTreeMap<_, _>>(),
        ))
    });
    let texts = written.await?;
    let text = texts.get(name).ok_or_else(Error::object_not_found)?;
    let key = names::key(generation.video, generation.id, name);
    learn(api, &key, text);
    let kind = Kind::of(name).unwrap_or(Kind::Playlist);
    let content_type = names::content_type(name, kind);
    Ok(playlist(text.clone(), content_type, GROWING_CACHE, headers))
}

/// A subclip's playlist, made from the manifests of a published generation, which do not change.
async fn clip_playlist(
    api: &Api,
    generation: &Generation,
    asked: &Asked<'_>,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let plays = generation.stage == Stage::Published && !generation.is_of_clip();
    let frames = generation.pieces.last().map_or(0, |piece| piece.end);
    // Refused before anything is read: a guess costs nothing.
    if !plays || !asked.frames.is_within(frames) {
        return Err(Error::object_not_found());
    }
    let units = generation.units.keys().copied();
    let units: Vec<Unit> = units
        .filter(|unit| matches!(unit, Unit::Piece(_) | Unit::Audio))
        .collect();
    let manifests = manifests(api, generation, &units).await?;
    let text = clip::playlist(&manifests, asked)
        .map_err(|error| Error::internal("write the playlist", &error))?
        .ok_or_else(Error::object_not_found)?;
    let content_type = Kind::Playlist.content_type();
    let text = Bytes::from(text);
    Ok(playlist(text, content_type, media::IMMUTABLE, headers))
}

/// The manifests of units that are published: such a unit is never made again, so they may be kept.
async fn manifests(
    api: &Api,
    generation: &Generation,
    units: &[Unit],
) -> Result<BTreeMap<Unit, Manifest>, Error> {
    // A day of video has megabytes of manifests; a crowd of viewers must not hold them all.
    let _permit = api.manifest_readers.acquire().await;
    let mut manifests = BTreeMap::new();
    for &unit in units {
        let name = names::unit_manifest(unit);
        let key = names::key(generation.video, generation.id, &name);
        let bytes = whole(api, &key, hls::manifest::BYTES_MAX).await?;
        let manifest = hls::manifest::parse(unit, &bytes)
            .map_err(|error| Error::internal("read a list of segments", &error))?;
        manifests.insert(unit, manifest);
    }
    Ok(manifests)
}

/// An object from the edge, or past it if it is too large to be kept.
async fn whole(api: &Api, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
    match api.edge.get(key).await {
        Err(edge::Error::TooLarge { .. }) => Ok(api.edge.origin().get(key, max_bytes).await?),
        read => Ok(read?),
    }
}

/// Lets the edge know what will be asked for after what.
fn learn(api: &Api, key: &str, text: &Bytes) {
    if let Some((folder, names::MEDIA)) = key.rsplit_once('/') {
        api.edge.learn(folder, text);
    }
}

/// A playlist, or an index, which is made and compressed as those are.
fn playlist(
    bytes: Bytes,
    content_type: &'static str,
    cache_control: &'static str,
    headers: &HeaderMap,
) -> Response {
    // Weak, because it is compressed on the way out.
    let etag = format!("W/\"{}\"", BlobHash::of(&bytes).short());
    let meta = Meta {
        size_bytes: bytes.len() as u64,
        content_type,
        cache_control,
        etag: &etag,
    };
    // Ranges of something that is compressed on the way are of no use.
    let mut headers = headers.clone();
    headers.remove(header::RANGE);
    match media::answer(&headers, &meta) {
        Answer::Ready(response) => response,
        Answer::Body(mut response, _) => {
            response.headers_mut().remove(header::ACCEPT_RANGES);
            *response.body_mut() = Body::from(bytes);
            response
        }
    }
}

/// An object whose name carries its hash: from memory, or as a stream if it is large.
pub(super) async fn immutable(
    api: &Api,
    key: &str,
    etag: &str,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let meta = |size_bytes| Meta {
        size_bytes,
        content_type,
        cache_control: media::IMMUTABLE,
        etag,
    };
    match api.edge.segment(key).await {
        Ok(bytes) => Ok(match media::answer(headers, &meta(bytes.len() as u64)) {
            Answer::Ready(response) => response,
            Answer::Body(mut response, range) => {
                let range = usize::try_from(range.start).unwrap_or(0)
                    ..usize::try_from(range.end).unwrap_or(bytes.len());
                *response.body_mut() = Body::from(bytes.slice(range));
                response
            }
        }),
        Err(edge::Error::TooLarge { size_bytes }) => {
            match media::answer(headers, &meta(size_bytes)) {
                Answer::Ready(response) => Ok(response),
                Answer::Body(mut response, range) => {
                    let reading = api.edge.origin().open_object(key, Some(range)).await?;
                    *response.body_mut() = Body::from_stream(reading.stream);
                    Ok(response)
                }
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Words by which a CDN can be told to forget a video or one generation of it.
fn tag(headers: &mut HeaderMap, video: VideoId, generation: GenerationId) {
    let tags = [
        ("cache-tag", format!("v-{video},r-{generation}")),
        ("surrogate-key", format!("v-{video} r-{generation}")),
    ];
    for (name, value) in tags {
        let value = HeaderValue::from_str(&value).expect("ids are valid header values");
        headers.insert(HeaderName::from_static(name), value);
    }
}
