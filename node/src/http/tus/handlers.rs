//! The requests of tus.

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use protocol::id::UploadId;

use super::headers::{
    self, Metadata, TUS_EXTENSION, TUS_MAX_SIZE, TUS_RESUMABLE, TUS_VERSION, UPLOAD_EXPIRES,
    UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, VIDEO_ID,
};
use super::problem::Error;
use crate::ingest::{self, Begin, Handle, Opened, writer};

/// Shown for a file whose client does not say its name.
const NAMELESS: &str = "upload";

/// How long a browser may remember what a preflight said, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("86400");

/// The routes of tus, to be nested where uploads live.
pub fn router(handle: Handle) -> Router {
    Router::new()
        .route("/", any(collection))
        .route("/{upload}", any(one))
        .layer(middleware::from_fn_with_state(handle.clone(), dress))
        .with_state(handle)
}

/// What every request must have and every answer has, whoever gives it.
async fn dress(State(handle): State<Handle>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let method = headers::effective_method(request.method(), request.headers());
    let mut response = if method == Method::OPTIONS {
        options(&handle)
    } else if headers::is_version_right(request.headers()) {
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
    if !allowed.iter().any(|name| origin == name.as_bytes()) {
        return;
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "DELETE, HEAD, OPTIONS, PATCH, POST",
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
    answer.insert(
        TUS_MAX_SIZE,
        HeaderValue::from(handle.options().size_max_bytes),
    );
    response
}

async fn collection(
    State(handle): State<Handle>,
    path: MatchedPath,
    request: Request,
) -> Result<Response, Error> {
    match headers::effective_method(request.method(), request.headers()) {
        Method::POST => create(&handle, path.as_str(), request).await,
        _ => Err(Error::Method),
    }
}

async fn one(
    State(handle): State<Handle>,
    Path(upload): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let method = headers::effective_method(request.method(), request.headers());
    let upload: UploadId = upload.parse().map_err(|_| Error::NoUpload(upload))?;
    match method {
        Method::HEAD => head(&handle, upload).await,
        Method::PATCH => patch(&handle, upload, request).await,
        Method::DELETE => {
            handle.abort(upload).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Error::Method),
    }
}

async fn create(handle: &Handle, path: &str, request: Request) -> Result<Response, Error> {
    let length = headers::length(request.headers())?;
    let metadata = Metadata::parse(request.headers())?;
    let opened = handle
        .begin(Begin {
            key: None,
            filename: metadata.filename().unwrap_or(NAMELESS),
            size_bytes: length,
            is_fresh: false,
            is_here: false,
            metadata: metadata.raw.clone(),
        })
        .await?;
    let upload = opened.live.upload();
    let location = format!("{}/{upload}", path.trim_end_matches('/'));
    let mut response = StatusCode::CREATED.into_response();
    if headers::is_chunk(request.headers()) {
        receive(handle, &opened, 0, request, response.headers_mut()).await?;
    }
    let answer = response.headers_mut();
    // An absolute path: the client knows under which name it reached this node, the node does not.
    let location = HeaderValue::try_from(location).map_err(|_| Error::NoUpload(path.to_owned()))?;
    answer.insert(header::LOCATION, location);
    expires(&opened, answer);
    Ok(response)
}

/// Whoever asks for the offset means to go on from there, so a writer that hangs is shown out.
async fn head(handle: &Handle, upload: UploadId) -> Result<Response, Error> {
    let mut opened = handle.take_over(upload).await?;
    // All bytes are in, but whoever brought the last was cut off before the end was made: a client
    // that reads the full length here will not ask again.
    if opened.finished.is_none() && opened.live.session().missing() == 0 {
        match handle.finish(&opened.live, None).await {
            Ok(hash) => opened.finished = Some(hash),
            // Some were damaged on disk: the offset says from where to send them again.
            Err(ingest::Error::Incomplete { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    let size_bytes = opened.live.layout().size_bytes();
    let offset = match opened.finished {
        Some(_) => size_bytes,
        None => opened.live.session().offset(),
    };
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    answer.insert(UPLOAD_LENGTH, HeaderValue::from(size_bytes));
    if let Some(metadata) = opened.live.meta().metadata
        && let Ok(metadata) = HeaderValue::try_from(metadata)
    {
        answer.insert(UPLOAD_METADATA, metadata);
    }
    if opened.finished.is_some() {
        video(&opened, answer);
    }
    expires(&opened, answer);
    Ok(response)
}

async fn patch(handle: &Handle, upload: UploadId, request: Request) -> Result<Response, Error> {
    if !headers::is_chunk(request.headers()) {
        return Err(Error::ContentType);
    }
    let offset = headers::offset(request.headers())?;
    let opened = handle.take_over(upload).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    receive(handle, &opened, offset, request, response.headers_mut()).await?;
    expires(&opened, response.headers_mut());
    Ok(response)
}

/// Takes the body as bytes from `offset` on; the one that brings the last byte makes the video.
async fn receive(
    handle: &Handle,
    opened: &Opened,
    offset: u64,
    request: Request<Body>,
    answer: &mut HeaderMap,
) -> Result<(), Error> {
    let live = &opened.live;
    let size_bytes = live.layout().size_bytes();
    let Some(ticket) = opened.ticket.clone() else {
        if offset != size_bytes {
            return Err(Error::Upload(ingest::Error::Offset {
                expected: size_bytes,
                given: offset,
            }));
        }
        answer.insert(UPLOAD_OFFSET, HeaderValue::from(size_bytes));
        video(opened, answer);
        return Ok(());
    };
    if let Some(length) = headers::content_length(request.headers())
        && offset.saturating_add(length) > size_bytes
    {
        return Err(Error::Upload(ingest::Error::TooMuch { size_bytes }));
    }
    let body = request.into_body().into_data_stream();
    let shared = std::sync::Arc::clone(live);
    // In a task of its own: when the socket is cut this handler is dropped, and what had arrived
    // by then must still be made durable.
    let task = tokio::spawn(async move { writer::append(&shared, &ticket, offset, body).await });
    let reached = task
        .await
        .unwrap_or(Err(ingest::Error::ShuttingDown))
        .map_err(Error::Upload)?;
    if live.session().missing() == 0 {
        handle.finish(live, None).await?;
        video(opened, answer);
    }
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(reached));
    Ok(())
}

fn video(opened: &Opened, answer: &mut HeaderMap) {
    let id = HeaderValue::try_from(opened.live.video().to_string());
    answer.insert(VIDEO_ID, id.expect("an id is plain text"));
}

fn expires(opened: &Opened, answer: &mut HeaderMap) {
    if opened.finished.is_none()
        && let Some(date) = headers::http_date(opened.expires_at)
        && let Ok(date) = HeaderValue::try_from(date)
    {
        answer.insert(UPLOAD_EXPIRES, date);
    }
}
