//! `GET`: which uploads are under way, and the bytes of one as far as they are here.
//!
//! No part of tus. By these a page finds an upload that was begun elsewhere, compares its bytes
//! with a file, and goes on with it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use protocol::http::Page;
use protocol::http::upload::Upload;
use protocol::id::UploadId;
use protocol::time::Span;
use serde::Deserialize;

use super::super::media::{self, Answer, Meta};
use super::handlers;
use super::problem::Error;
use crate::ingest::{self, Handle};

/// Uploads that are listed at once.
const LISTED_MAX: usize = 200;

/// An upload that was touched so lately has somebody who sends.
const ACTIVE: Span = Span::from_secs(10);

/// Bytes read at once.
const READ_BYTES: u64 = 256 << 10;

#[derive(Debug, Default, Deserialize)]
struct Filter {
    filename: Option<String>,
    size_bytes: Option<u64>,
}

pub(super) fn list(handle: &Handle, base: &str, request: &Request) -> Response {
    let owner = handlers::owner(request);
    let filter = axum::extract::Query::<Filter>::try_from_uri(request.uri());
    let filter = match filter {
        Ok(axum::extract::Query(filter)) => filter,
        Err(error) => {
            return super::super::Error::bad_query(error.body_text()).into_response();
        }
    };
    let base = base.trim_end_matches('/');
    let now = ingest::now();
    let mut items: Vec<Upload> = handle
        .open_uploads()
        .into_iter()
        .filter_map(|live| {
            let meta = live.meta();
            let is_wanted = filter
                .filename
                .as_ref()
                .is_none_or(|name| *name == meta.filename)
                && filter.size_bytes.is_none_or(|size| size == meta.size_bytes);
            // A file of unknown length, and a part, can only be gone on with by who began it.
            if !is_wanted || meta.owner != owner || meta.shape.is_private() {
                return None;
            }
            let session = live.session();
            Some(Upload {
                id: meta.upload,
                video_id: meta.video,
                filename: meta.filename,
                size_bytes: meta.size_bytes,
                offset_bytes: session.offset(),
                received_bytes: session.received_bytes(),
                created_at: meta.created_at,
                expires_at: session.expires_at(handle.options().expiry),
                is_active: session.expires_at(ACTIVE) > now,
                url: format!("{base}/{}", meta.upload),
            })
        })
        .collect();
    let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
    items.truncate(LISTED_MAX);
    axum::Json(Page {
        items,
        next_cursor: None,
        total,
    })
    .into_response()
}

/// The bytes from the begin on without a gap; of a finished upload, the way to the original.
pub(super) fn bytes(
    handle: &Handle,
    upload: UploadId,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let live = handle.find(upload)?;
    if live.folder().is_adopted() {
        let location = format!("/api/v1/videos/{}/original", live.video());
        let mut response = StatusCode::SEE_OTHER.into_response();
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        return Ok(response);
    }
    let size_bytes = live.session().offset();
    let etag = format!("\"{upload}-{size_bytes}\"");
    let meta = Meta {
        size_bytes,
        content_type: "application/octet-stream",
        cache_control: "no-store",
        etag: &etag,
    };
    let (mut response, range) = match media::answer(headers, &meta) {
        Answer::Ready(response) => return Ok(response),
        Answer::Body(response, range) => (response, range),
    };
    let stream = async_stream::try_stream! {
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from((range.end - at).min(READ_BYTES)).unwrap_or(0);
            let shared = std::sync::Arc::clone(&live);
            let bytes = ingest::blocking(move || shared.folder().read_at(at, length)).await?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            yield Bytes::from(bytes);
        }
    };
    let stream: std::pin::Pin<
        Box<dyn futures::Stream<Item = Result<Bytes, ingest::spool::Error>> + Send>,
    > = Box::pin(stream);
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}
