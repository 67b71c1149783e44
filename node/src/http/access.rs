//! API tokens: who may ask, and `/api/v1/api-tokens`, where they are made and revoked.
//!
//! A program sends its token as `Authorization: Bearer`; a browser signs in once and sends it as a
//! cookie. Where tokens are not required, one that is sent counts all the same: what it uploads
//! counts against its quota.

use axum::Extension;
use axum::extract::{Form, Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use coordinator::catalog::access::AccessCommand;
use coordinator::catalog::{Catalog, Command};
use coordinator::raft::Handle;
use protocol::access::{ParseSecretError, Secret};
use protocol::http::Page;
use protocol::http::access::{ApiToken, ChangeApiToken, CreateApiToken, NewApiToken};
use protocol::http::problem::Problem;
use protocol::id::BlobHash;
use serde::Deserialize;

use super::api::Api;
use super::cluster::{Caller, check_local};
use super::error::Error;
use super::extract::Json;
use crate::auth::authority;

/// What the browser keeps the token in.
const COOKIE: &str = "reelmesh_token";

/// How long it keeps it, in seconds.
const COOKIE_AGE: u32 = 30 * 86_400;

/// Where a browser shows its token.
const SIGN_IN: &str = "/api/v1/sign-in";

/// Whose request this is, if it came with a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner(pub(super) BlobHash);

/// Who is let in.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) catalog: Handle,
    pub(super) is_required: bool,
}

/// Lets requests in that come with a token, or need none.
pub(super) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_api = path.starts_with("/api/v1/");
    let given = if is_api || gate.is_required {
        given(request.headers())
    } else {
        Ok(None)
    };
    let is_known = |hash: &BlobHash| {
        let known = |catalog: &Catalog| catalog.api_token(hash).is_some();
        gate.catalog.read(known)
    };
    let owner = match given {
        Ok(None) => None,
        Ok(Some(secret)) if is_known(&secret.hash()) => Some(Owner(secret.hash())),
        // Whoever signs in anew has an old cookie.
        Ok(Some(_)) | Err(_) if path == SIGN_IN => None,
        Ok(Some(_)) | Err(_) => return refuse(&request, Error::token_unknown()),
    };
    if gate.is_required && owner.is_none() && !is_open(&request) {
        return refuse(&request, Error::token_missing());
    }
    if let Some(owner) = owner {
        request.extensions_mut().insert(owner);
    }
    next.run(request).await
}

/// What needs no token: health, segments (players send none), the description of the API, the
/// question of a browser whether it may ask, and what only this machine may ask anyway.
fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    let is_page = !path.starts_with("/api/v1/");
    let is_public = [
        "/hls/", "/assets/", "/healthz", "/readyz", "/metrics", "/docs",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix));
    let is_free = matches!(
        path,
        SIGN_IN | "/api/v1/openapi.json" | "/api/v1/docs" | "/api/v1/docs.js"
    );
    let is_local = ["/api/v1/api-tokens", "/api/v1/tokens", "/api/v1/cluster/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
        && check_local(request.extensions().get::<Caller>().map(|c| Extension(*c))).is_ok();
    request.method() == Method::OPTIONS
        || is_public
        || is_free
        || is_local
        || (is_page && !wants_page(request))
}

fn wants_page(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT);
    request.method() == Method::GET
        && accepted
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kinds| kinds.contains("text/html"))
}

/// A person is sent to where they can sign in, a program is told.
fn refuse(request: &Request, error: Error) -> Response {
    if wants_page(request) && !request.uri().path().starts_with("/api/v1/") {
        return Redirect::to(SIGN_IN).into_response();
    }
    error.into_response()
}

/// The token that came along.
fn given(headers: &HeaderMap) -> Result<Option<Secret>, ParseSecretError> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        // Other schemes are those of a proxy in front.
        if scheme.eq_ignore_ascii_case("bearer") {
            return token.parse().map(Some);
        }
    }
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token.parse())
        .transpose()
}

#[derive(Debug, Deserialize)]
pub(super) struct SignIn {
    token: String,
}

pub(super) async fn sign_in_page() -> Html<&'static str> {
    Html(include_str!("access/sign-in.html"))
}

pub(super) async fn sign_in(State(api): State<Api>, Form(form): Form<SignIn>) -> Response {
    let secret = form.token.parse::<Secret>().ok().filter(|secret| {
        let hash = secret.hash();
        api.catalog
            .read(|catalog| catalog.api_token(&hash).is_some())
    });
    let Some(secret) = secret else {
        return Error::token_unknown().into_response();
    };
    let cookie =
        format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={COOKIE_AGE}");
    let mut response = Redirect::to("/").into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Make an API token
#[utoipa::path(post, path = "/api/v1/api-tokens", tag = "access",
    request_body = CreateApiToken,
    responses((status = 201, body = NewApiToken), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Json(wanted): Json<CreateApiToken>,
) -> Result<(StatusCode, axum::Json<NewApiToken>), Error> {
    check_local(caller)?;
    let secret =
        authority::random_secret().map_err(|error| Error::internal("make a token", &error))?;
    let secret = Secret::from_bytes(secret);
    let create = AccessCommand::CreateToken {
        token: secret.hash(),
        name: wanted.name.clone(),
        quota_bytes: wanted.quota_bytes,
    };
    api.catalog.propose(Command::Access(create)).await?;
    let made = NewApiToken {
        token: secret.to_string(),
        name: wanted.name,
    };
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// List API tokens and what each uses
#[utoipa::path(get, path = "/api/v1/api-tokens", tag = "access",
    responses((status = 200, body = Page<ApiToken>), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
) -> Result<axum::Json<Page<ApiToken>>, Error> {
    check_local(caller)?;
    let mut items: Vec<ApiToken> = api.catalog.read(|catalog| {
        let tokens = catalog.api_tokens().map(|token| ApiToken {
            name: token.name.clone(),
            quota_bytes: token.quota_bytes,
            used_bytes: token.used_bytes,
            created_at: token.created_at,
        });
        tokens.collect()
    });
    items.sort_by(|a, b| a.name.cmp(&b.name));
    let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
    Ok(axum::Json(Page {
        items,
        next_cursor: None,
        total,
    }))
}

/// Change the quota of an API token
#[utoipa::path(patch, path = "/api/v1/api-tokens/{name}", tag = "access",
    params(("name" = String, Path)), request_body = ChangeApiToken,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn change(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Path(name): Path<String>,
    Json(wanted): Json<ChangeApiToken>,
) -> Result<StatusCode, Error> {
    check_local(caller)?;
    let change = AccessCommand::SetQuota {
        name,
        quota_bytes: wanted.quota_bytes,
    };
    api.catalog.propose(Command::Access(change)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revoke an API token
#[utoipa::path(delete, path = "/api/v1/api-tokens/{name}", tag = "access",
    params(("name" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    check_local(caller)?;
    let revoke = AccessCommand::RevokeToken { name };
    api.catalog.propose(Command::Access(revoke)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
