//! How bytes that never change are answered: validators, single ranges, conditional requests.

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use protocol::manifest::Object;

use super::api::Api;
use super::error::Error;
use super::extract::text;
use super::original;
use super::range::{self, Asked};
use crate::publish::hls::names::Kind;

/// Never changes under its URL.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// What is served, before anything of it is read.
#[derive(Debug)]
pub(super) struct Meta<'a> {
    pub(super) size_bytes: u64,
    pub(super) content_type: &'static str,
    pub(super) cache_control: &'static str,
    /// With its quotes.
    pub(super) etag: &'a str,
}

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Answer {
    /// Complete: 304, or 416.
    Ready(Response),
    /// Headers are set; the body is to be these bytes.
    Body(Response, Range<u64>),
}

/// Decides between 200, 206, 304 and 416.
pub(super) fn answer(headers: &HeaderMap, meta: &Meta<'_>) -> Answer {
    if range::none_match(text(headers, &header::IF_NONE_MATCH), meta.etag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        validators(response.headers_mut(), meta);
        return Answer::Ready(response);
    }
    let asked = range::asked(
        text(headers, &header::RANGE),
        text(headers, &header::IF_RANGE),
        meta.etag,
        meta.size_bytes,
    );
    let (status, range) = match asked {
        Asked::Whole => (StatusCode::OK, 0..meta.size_bytes),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Beyond => {
            return Answer::Ready(Error::range_not_satisfiable(meta.size_bytes).into_response());
        }
    };
    let mut response = (status, Body::empty()).into_response();
    let headers = response.headers_mut();
    validators(headers, meta);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(meta.content_type),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(range.end - range.start),
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let value = format!(
            "bytes {}-{}/{}",
            range.start,
            range.end - 1,
            meta.size_bytes
        );
        let value = HeaderValue::from_str(&value).expect("digits are a valid header value");
        headers.insert(header::CONTENT_RANGE, value);
    }
    Answer::Body(response, range)
}

/// Answers with `file`, which lies under `key` in the origin, to be saved as `filename`.
pub(super) async fn file(
    api: &Api,
    headers: &HeaderMap,
    key: &str,
    file: &Object,
    filename: &str,
) -> Result<Response, Error> {
    let kind = Kind::of(&file.name).unwrap_or(Kind::Init).content_type();
    let etag = format!("\"{}\"", file.blake3.short());
    let meta = Meta {
        size_bytes: file.size_bytes,
        content_type: kind,
        // The same URL may lead to another file later.
        cache_control: "private, no-cache",
        etag: &etag,
    };
    let mut response = match answer(headers, &meta) {
        Answer::Ready(response) => return Ok(response),
        Answer::Body(mut response, range) => {
            let reading = api.edge.origin().open_object(key, Some(range)).await?;
            *response.body_mut() = Body::from_stream(reading.stream);
            response
        }
    };
    let disposition = original::attachment(filename);
    let disposition = HeaderValue::from_str(&disposition).expect("both names are visible ASCII");
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

fn validators(headers: &mut HeaderMap, meta: &Meta<'_>) {
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(meta.cache_control),
    );
    if let Ok(etag) = HeaderValue::from_str(meta.etag) {
        headers.insert(header::ETAG, etag);
    }
}
