//! What every request passes: who may ask, how long it took, what browsers must not do.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tracing::{Instrument, debug, debug_span};

use super::error::Error;
use crate::telemetry::metrics;

/// Names by which a node on loopback may be called. Anything else is a page of some site whose
/// name was made to point here (DNS rebinding).
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The player makes its worker and its media from blobs; nothing else comes from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Numbers the request, times it and logs it.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = uuid::Uuid::now_v7();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let method = label(request.method());
    let span = debug_span!("request", %id, method, path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    metrics::http_answered(&route, method, status, took);
    span.in_scope(|| debug!(status, took_us = took.as_micros(), "request answered"));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    let micros = took.as_micros();
    let timing = format!("app;dur={}.{:03}", micros / 1000, micros % 1000);
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        headers.insert(HeaderName::from_static("server-timing"), timing);
    }
    response
}

/// A closed set, since it becomes a label.
fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Which names of this node are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Any,
    Loopback,
}

/// Refuses requests under a foreign name, and changes asked for by a page of another site.
pub(super) async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    let host = authority(&request).map(str::to_owned);
    if names == Names::Loopback {
        let host = host.as_deref().unwrap_or_default();
        if !LOOPBACK_NAMES.contains(&without_port(host).to_ascii_lowercase().as_str()) {
            return Error::host_not_allowed(host).into_response();
        }
    }
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    // Uploads have their own list of sites that may send.
    let uploads = request.uri().path().starts_with("/api/v1/uploads");
    if !safe && !uploads && is_foreign(request.headers().get(header::ORIGIN), host.as_deref()) {
        return Error::cross_origin().into_response();
    }
    next.run(request).await
}

/// Tells a client that spoke in plain text where the same thing is in TLS.
pub(super) async fn to_https(request: Request) -> Response {
    let host = authority(&request).map(str::to_owned);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let place = host.and_then(|host| {
        // The host came from outside: it goes into the answer only if it is a plain name.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let fine = !host.is_empty() && host.len() <= 255 && host.bytes().all(plain);
        HeaderValue::from_str(&format!("https://{host}{path}"))
            .ok()
            .filter(|_| fine)
    });
    match place {
        Some(place) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response()
        }
        None => Error::host_not_allowed("").into_response(),
    }
}

/// HTTP/2 names the host in the URI, HTTP/1.1 in a header.
fn authority(request: &Request) -> Option<&str> {
    if let Some(authority) = request.uri().authority()
        && request.version() >= Version::HTTP_2
    {
        return Some(authority.as_str());
    }
    request.headers().get(header::HOST)?.to_str().ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether the `Origin` header names another host. A client that is no browser sends none.
fn is_foreign(origin: Option<&HeaderValue>, host: Option<&str>) -> bool {
    let Some(origin) = origin else {
        return false;
    };
    let origin = origin.to_str().unwrap_or("null");
    origin.split_once("://").map(|(_, authority)| authority) != host
}

/// What browsers must not do with our answers.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
    ];
    for (name, value) in policy {
        // Media says for itself who may use it.
        headers
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A change is never answered from a cache; what an API call reads is asked for anew each time.
pub(super) async fn fresh(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let value = HeaderValue::from_static("no-cache");
    if response.status() != StatusCode::NOT_MODIFIED {
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(value);
    }
    response
}

/// Text is compressed; media, ranges and what is compressed already are not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Textual;

impl Predicate for Textual {
    fn should_compress<B>(&self, response: &axum::http::Response<B>) -> bool
    where
        B: axum::body::HttpBody,
    {
        let text = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| {
                let kind = kind.split(';').next().unwrap_or_default();
                kind.ends_with("json")
                    || matches!(
                        kind,
                        "application/vnd.apple.mpegurl"
                            | "text/html"
                            | "text/plain"
                            | "text/css"
                            | "text/javascript"
                            | "image/svg+xml"
                    )
            });
        text && response.status() != StatusCode::PARTIAL_CONTENT
            && SizeAbove::new(512).should_compress(response)
    }
}

pub(super) fn compression() -> CompressionLayer<Textual> {
    // The first levels give most of the gain for little of the time.
    CompressionLayer::new()
        .quality(tower_http::CompressionLevel::Fastest)
        .compress_when(Textual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_the_name() {
        for (host, name) in [
            ("localhost:8080", "localhost"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("a", "a"),
            ("", ""),
        ] {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn only_the_same_site_may_change_things() {
        let check =
            |origin: &'static str, host| is_foreign(Some(&HeaderValue::from_static(origin)), host);
        assert!(!is_foreign(None, Some("node:8080")));
        assert!(!check("http://node:8080", Some("node:8080")));
        assert!(check("http://evil.example", Some("node:8080")));
        assert!(check("null", Some("node:8080")));
        assert!(check("http://node:8080", None));
    }
}
