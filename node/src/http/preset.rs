//! `/api/v1/presets` and `/api/v1/luts`: how edit proxies are made.

use axum::extract::State;
use axum::http::StatusCode;
use coordinator::catalog::Command;
use coordinator::catalog::proxy::ProxyCommand;
use protocol::http::problem::Problem;
use protocol::http::proxy::{Lut, Preset, PresetChange, Presets};
use protocol::id::BlobHash;
use protocol::preset;
use serde::Deserialize;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Json, Query};
use crate::interchange::cube;

/// A `.cube` file of 65 points has about 8 MB.
pub(super) const CUBE_MAX_BYTES: usize = 16 << 20;

/// The presets of edit proxies, by name
#[utoipa::path(get, path = "/api/v1/presets", tag = "proxies",
    responses((status = 200, body = Presets)))]
pub(super) async fn list(State(api): State<Api>) -> axum::Json<Presets> {
    let all = api.catalog.read(coordinator::catalog::Catalog::presets);
    let items: Vec<Preset> = all.iter().map(shown).collect();
    let total = items.len() as u64;
    axum::Json(Presets { items, total })
}

/// Save a preset; its version grows with every change
#[utoipa::path(put, path = "/api/v1/presets/{name}", tag = "proxies",
    params(("name" = String, Path)), request_body = PresetChange,
    responses(
        (status = 200, body = Preset),
        (status = 409, body = Problem, description = "It is built in"),
        (status = 422, body = Problem)))]
pub(super) async fn save(
    State(api): State<Api>,
    Id(name): Id<String>,
    Json(change): Json<PresetChange>,
) -> Result<axum::Json<Preset>, Error> {
    let lut = match &change.lut {
        Some(text) => Some(look(text)?),
        None => None,
    };
    let preset = preset::Preset {
        name: name.clone(),
        version: 0,
        codec: change.codec,
        lines: change.lines.unwrap_or(preset::LINES_DEFAULT),
        lut,
        burn_in: change.burn_in,
    };
    preset.check().map_err(|error| {
        Error::bad_request(
            "bad_preset",
            format!("This preset cannot be saved: {error}."),
        )
    })?;
    api.catalog
        .propose(Command::Proxy(ProxyCommand::SavePreset { preset }))
        .await?;
    let saved = api.catalog.read(|catalog| catalog.preset(&name));
    let saved = saved.ok_or_else(|| Error::preset_not_found(&name))?;
    Ok(axum::Json(shown(&saved)))
}

/// Remove a preset; proxies that were made by it stay
#[utoipa::path(delete, path = "/api/v1/presets/{name}", tag = "proxies",
    params(("name" = String, Path)),
    responses(
        (status = 204),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It is built in")))]
pub(super) async fn remove(
    State(api): State<Api>,
    Id(name): Id<String>,
) -> Result<StatusCode, Error> {
    if api.catalog.read(|catalog| catalog.preset(&name)).is_none() {
        return Err(Error::preset_not_found(&name));
    }
    api.catalog
        .propose(Command::Proxy(ProxyCommand::DeletePreset { name }))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// What to call it where the file has no title.
    #[serde(default)]
    name: Option<String>,
}

/// The looks that presets can bake in
#[utoipa::path(get, path = "/api/v1/luts", tag = "proxies",
    responses((status = 200, body = Vec<Lut>)))]
pub(super) async fn luts(State(api): State<Api>) -> axum::Json<Vec<Lut>> {
    let luts = api.catalog.read(|catalog| {
        let lut = |(hash, lut): (&BlobHash, &std::sync::Arc<preset::Lut>)| known(*hash, lut);
        catalog.luts().map(lut).collect()
    });
    axum::Json(luts)
}

/// Take a look: a `.cube` file of three dimensions as the body
#[utoipa::path(post, path = "/api/v1/luts", tag = "proxies", params(Named),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 201, body = Lut), (status = 422, body = Problem)))]
pub(super) async fn add_lut(
    State(api): State<Api>,
    Query(named): Query<Named>,
    body: axum::body::Bytes,
) -> Result<(StatusCode, axum::Json<Lut>), Error> {
    let unusable = |why: &dyn std::fmt::Display| {
        let detail = format!("This is no .cube file that can be used: {why}.");
        Error::bad_request("bad_lut", detail)
    };
    let text = std::str::from_utf8(&body).map_err(|_| unusable(&"it is not text"))?;
    let name = named.name.as_deref().unwrap_or("look");
    let lut = cube::parse(text, name).map_err(|error| unusable(&error))?;
    let answer = known(lut.hash(), &lut);
    let lut = Box::new(lut);
    api.catalog
        .propose(Command::Proxy(ProxyCommand::SaveLut { lut }))
        .await?;
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// Remove a look that no preset names
#[utoipa::path(delete, path = "/api/v1/luts/{hash}", tag = "proxies",
    params(("hash" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn remove_lut(
    State(api): State<Api>,
    Id(hash): Id<String>,
) -> Result<StatusCode, Error> {
    let lut = look(&hash)?;
    api.catalog
        .propose(Command::Proxy(ProxyCommand::DeleteLut { lut }))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn look(text: &str) -> Result<BlobHash, Error> {
    text.parse().map_err(|_| {
        let detail = "A look is named by the 64 digits that POST /api/v1/luts answers.";
        Error::bad_request("bad_preset", detail)
    })
}

fn known(hash: BlobHash, lut: &preset::Lut) -> Lut {
    Lut {
        blake3: hash.to_string(),
        name: lut.name.clone(),
        size: lut.size,
    }
}

fn shown(preset: &preset::Preset) -> Preset {
    let built_in = preset::Preset::built_in();
    Preset {
        name: preset.name.clone(),
        version: preset.version,
        built_in: built_in.iter().any(|known| known.name == preset.name),
        codec: preset.codec,
        lines: preset.lines,
        lut: preset.lut.map(|lut| lut.to_string()),
        burn_in: preset.burn_in,
    }
}
