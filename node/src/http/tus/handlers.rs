//! The requests of tus: what every one must have and every answer has, and who answers which.

use axum::Router;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use protocol::id::{BlobHash, UploadId};

use super::super::access::Owner;
use super::headers::{
    self, TUS_CHECKSUM_ALGORITHM, TUS_EXTENSION, TUS_MAX_SIZE, TUS_RESUMABLE, TUS_VERSION,
};
use super::problem::Error;
use super::{create, look, transfer};
use crate::ingest::Handle;

/// How long a browser may remember what a preflight said, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("86400");

/// Stands for every web origin.
const ANY_ORIGIN: &str = "*";

/// The routes of tus.
pub fn router(handle: Handle) -> Router {
    Router::new()
        .route("/api/v1/uploads", any(collection))
        // Many clients are told an address that ends in a slash.
        .route("/api/v1/uploads/", any(collection))
        .route("/api/v1/uploads/{upload}", any(one))
        .layer(middleware::from_fn_with_state(handle.clone(), dress))
        .with_state(handle)
}

/// What every request must have and every answer has, whoever gives it.
async fn dress(State(handle): State<Handle>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let method = headers::effective_method(request.method(), request.headers());
    let mut response = if method == Method::OPTIONS {
        options(&handle)
    } else if method == Method::GET || headers::is_version_right(request.headers()) {
        next.run(request).await
    } else {
        Error::Version.into_response()
    };
    let answer = response.headers_mut();
    answer.insert(TUS_RESUMABLE, HeaderValue::from_static(headers::VERSION));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    allow_origin(&handle, origin, answer);
    response
}

/// Cross-origin sharing (WHATWG Fetch, 3.2) with the origins that the operator names. Without it
/// a page of another site could fill this node's disk.
fn allow_origin(handle: &Handle, origin: Option<HeaderValue>, answer: &mut HeaderMap) {
    answer.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(headers::EXPOSED),
    );
    let allowed = &handle.options().cors_origins;
    if allowed.is_empty() {
        return;
    }
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    if !allowed
        .iter()
        .any(|name| name == ANY_ORIGIN || origin == name.as_bytes())
    {
        return;
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "DELETE, GET, HEAD, OPTIONS, PATCH, POST",
        ),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, headers::ALLOWED),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
}

fn options(handle: &Handle) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(TUS_VERSION, HeaderValue::from_static(headers::VERSION));
    answer.insert(TUS_EXTENSION, HeaderValue::from_static(headers::EXTENSIONS));
    answer.insert(TUS_MAX_SIZE, HeaderValue::from(handle.size_max_bytes()));
    let names = headers::CHECKSUMS.map(|(name, _)| name).join(",");
    if let Ok(names) = HeaderValue::try_from(names) {
        answer.insert(TUS_CHECKSUM_ALGORITHM, names);
    }
    response
}

async fn collection(
    State(handle): State<Handle>,
    path: MatchedPath,
    request: Request,
) -> Result<Response, Error> {
    match headers::effective_method(request.method(), request.headers()) {
        Method::POST => create::create(&handle, path.as_str(), request).await,
        Method::GET => Ok(look::list(&handle, path.as_str(), &request)),
        _ => Err(Error::Method),
    }
}

async fn one(
    State(handle): State<Handle>,
    Path(upload): Path<String>,
    path: MatchedPath,
    request: Request,
) -> Result<Response, Error> {
    let method = headers::effective_method(request.method(), request.headers());
    let upload: UploadId = upload.parse().map_err(|_| Error::NoUpload(upload))?;
    // What came with a token is not there for anybody else.
    if handle.find(upload)?.meta().owner != owner(&request) {
        return Err(Error::NoUpload(upload.to_string()));
    }
    match method {
        Method::HEAD => transfer::head(&handle, base(path.as_str()), upload).await,
        Method::PATCH => transfer::patch(&handle, upload, request).await,
        Method::DELETE => {
            handle.abort(upload).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Method::GET => look::bytes(&handle, upload, request.headers()),
        _ => Err(Error::Method),
    }
}

/// Whose request this is.
pub(super) fn owner(request: &Request) -> Option<BlobHash> {
    request.extensions().get::<Owner>().map(|owner| owner.0)
}

/// The path of all uploads, from the pattern of the path of one.
fn base(pattern: &str) -> &str {
    pattern.rsplit_once('/').map_or("", |(base, _)| base)
}
