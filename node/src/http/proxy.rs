//! `/api/v1/proxies` and `/api/v1/videos/{id}/proxies`: edit proxies, and whether they relink.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use coordinator::catalog::Command;
use coordinator::catalog::proxy::ProxyCommand;
use protocol::http::problem::Problem;
use protocol::http::proxy::{NewProxy, Proxies, Proxy, Report};
use protocol::id::{GenerationId, ProxyId, VideoId};
use protocol::job::Unit;
use protocol::manifest;
use protocol::probe::Probe;
use uuid::Uuid;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Json};
use super::{media, view};
use crate::interchange::relink;
use crate::media::graph;
use crate::publish::hls::manifest as parsed;
use crate::publish::hls::names;

/// Make an edit proxy
///
/// One that was made by the very same preset, or is on its way, is answered instead of another.
#[utoipa::path(post, path = "/api/v1/videos/{id}/proxies", tag = "proxies",
    params(("id" = VideoId, Path)), request_body = NewProxy,
    responses(
        (status = 201, body = Proxy),
        (status = 200, body = Proxy, description = "There is one already"),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem, description = "The preset cannot be used for this source")))]
pub(super) async fn make(
    State(api): State<Api>,
    Id(video): Id<VideoId>,
    Json(new): Json<NewProxy>,
) -> Result<(StatusCode, axum::Json<Proxy>), Error> {
    let known = api.catalog.read(|catalog| {
        let record = catalog
            .video(video)
            .ok_or_else(|| Error::video_not_found(video))?;
        let probe = record.probe.as_deref();
        let probe = probe.ok_or_else(|| Error::video_not_probed(video))?;
        let preset = catalog
            .preset(&new.preset)
            .ok_or_else(|| Error::preset_not_found(&new.preset))?;
        // Refused before anything is queued.
        let lut = preset.lut.and_then(|lut| catalog.lut(lut));
        graph::proxy::describe(probe, &preset, lut.map(AsRef::as_ref), 1).map_err(|error| {
            let detail = format!(
                "This video cannot be made into a proxy by the preset {:?}: {error}.",
                preset.name
            );
            Error::bad_request("preset_not_offered", detail)
        })?;
        let mut proxies = catalog.proxies_of_video(video);
        let same = proxies.find(|proxy| proxy.preset == preset && proxy.failure.is_none());
        Ok::<_, Error>(same.map(|proxy| proxy.id))
    })?;
    if let Some(known) = known {
        return shown(&api, known).map(|proxy| (StatusCode::OK, axum::Json(proxy)));
    }
    let id = ProxyId::from_uuid(Uuid::now_v7());
    let command = Command::Proxy(ProxyCommand::Create {
        proxy: id,
        video,
        preset: new.preset,
    });
    api.catalog.propose(command).await?;
    shown(&api, id).map(|proxy| (StatusCode::CREATED, axum::Json(proxy)))
}

/// The edit proxies of a video
#[utoipa::path(get, path = "/api/v1/videos/{id}/proxies", tag = "proxies",
    params(("id" = VideoId, Path)),
    responses((status = 200, body = Proxies), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Id(video): Id<VideoId>,
) -> Result<axum::Json<Proxies>, Error> {
    let figures = api.live.look();
    api.catalog.read(|catalog| {
        if catalog.video(video).is_none() {
            return Err(Error::video_not_found(video));
        }
        let items: Vec<Proxy> = (catalog.proxies_of_video(video))
            .map(|proxy| view::proxy(catalog, &figures, proxy))
            .collect();
        let total = items.len() as u64;
        Ok(axum::Json(Proxies { items, total }))
    })
}

/// One edit proxy
#[utoipa::path(get, path = "/api/v1/proxies/{id}", tag = "proxies",
    params(("id" = ProxyId, Path)),
    responses((status = 200, body = Proxy), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(api): State<Api>,
    Id(id): Id<ProxyId>,
) -> Result<axum::Json<Proxy>, Error> {
    shown(&api, id).map(axum::Json)
}

/// Remove an edit proxy and its file
#[utoipa::path(delete, path = "/api/v1/proxies/{id}", tag = "proxies",
    params(("id" = ProxyId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Id(id): Id<ProxyId>,
) -> Result<StatusCode, Error> {
    shown(&api, id)?;
    api.catalog
        .propose(Command::Proxy(ProxyCommand::Delete { proxy: id }))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The file of an edit proxy
#[utoipa::path(get, path = "/api/v1/proxies/{id}/download", tag = "proxies",
    params(("id" = ProxyId, Path), ("range" = Option<String>, Header, description = "One range of bytes")),
    responses(
        (status = 200, content_type = "video/quicktime"),
        (status = 206, content_type = "video/quicktime"),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 416, body = Problem)))]
pub(super) async fn download(
    State(api): State<Api>,
    Id(id): Id<ProxyId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let made = Made::of(&api, id).await?;
    let key = names::key(made.video, made.generation, &made.proxy.object.name);
    let name = view::proxy_name(&made.filename);
    media::file(&api, &headers, &key, &made.proxy.object, &name).await
}

/// Whether edit software takes an edit proxy for its original
///
/// Made from what was found in both files: the proxy is read back picture by picture before it counts.
#[utoipa::path(get, path = "/api/v1/proxies/{id}/report", tag = "proxies",
    params(("id" = ProxyId, Path)),
    responses((status = 200, body = Report), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn report(
    State(api): State<Api>,
    Id(id): Id<ProxyId>,
) -> Result<axum::Json<Report>, Error> {
    let made = Made::of(&api, id).await?;
    let name = view::proxy_name(&made.filename);
    let rules = relink::rules(&relink::Pair {
        original: &made.original,
        original_name: &made.filename,
        proxy: &made.proxy,
        proxy_name: &name,
    });
    Ok(axum::Json(Report {
        proxy_id: id,
        editors: relink::editors(&rules),
        rules,
        original: made.filename,
        proxy: name,
    }))
}

fn shown(api: &Api, id: ProxyId) -> Result<Proxy, Error> {
    let figures = api.live.look();
    api.catalog.read(|catalog| {
        let proxy = catalog
            .proxy(id)
            .ok_or_else(|| Error::proxy_not_found(id))?;
        Ok(view::proxy(catalog, &figures, proxy))
    })
}

/// A proxy whose file is in the origin.
struct Made {
    video: VideoId,
    generation: GenerationId,
    filename: String,
    original: Box<Probe>,
    proxy: manifest::Proxy,
}

impl Made {
    async fn of(api: &Api, id: ProxyId) -> Result<Self, Error> {
        let (video, generation, filename, original) = api.catalog.read(|catalog| {
            let proxy = catalog
                .proxy(id)
                .ok_or_else(|| Error::proxy_not_found(id))?;
            let generation = proxy.rendered.ok_or_else(|| Error::proxy_not_ready(id))?;
            let video = catalog.video(proxy.video);
            let video = video.ok_or_else(|| Error::video_not_found(proxy.video))?;
            let probe = video.probe.clone();
            let probe = probe.ok_or_else(|| Error::video_not_probed(proxy.video))?;
            Ok::<_, Error>((proxy.video, generation, video.filename.clone(), probe))
        })?;
        let key = names::key(video, generation, &names::unit_manifest(Unit::Proxy));
        let bytes = api.edge.get(&key).await?;
        let manifest = parsed::parse(Unit::Proxy, &bytes)
            .map_err(|error| Error::internal("read the edit proxy's list of files", &error))?;
        let proxy = manifest.proxy.ok_or_else(Error::object_not_found)?;
        Ok(Self {
            video,
            generation,
            filename,
            original,
            proxy,
        })
    }
}
