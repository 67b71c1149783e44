//! The web interface: files that were built into the program.
//!
//! A path that names a file is that file or 404, never the page: an old tab that asks for an old
//! script must not get HTML in its place. The page answers for the interface's own routes only.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use protocol::id::BlobHash;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::error::Error;
use super::extract::text;
use super::{media, range};

/// `npm run build` in `web` fills the folder; without it the program builds too.
#[derive(Debug, RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Assets;

const PAGE: &str = "index.html";

/// Shown where the program was built without the interface.
const UNBUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Reelmesh</title>\
    <h1>Reelmesh</h1><p>This node runs, but its web interface was not built into it. \
    Run <code>npm ci &amp;&amp; npm run build</code> in the folder <code>web</code>, then build the program again.</p>\
    <p><a href=\"/api/v1/docs\">The HTTP API</a> works.</p></html>";

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    File(&'a str),
    Page,
    Nothing,
}

/// Everything that no other route answers.
pub(super) async fn fallback(request: Request) -> Response {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Error::route_not_found(path).into_response();
    }
    match target(path, text(request.headers(), &header::ACCEPT)) {
        Target::File(name) => file(name, request.headers()),
        Target::Page => {
            file(PAGE, request.headers()).or_else(|| Some(Html(UNBUILT).into_response()))
        }
        Target::Nothing => None,
    }
    .unwrap_or_else(|| Error::route_not_found(path).into_response())
}

fn target<'a>(path: &'a str, accept: Option<&str>) -> Target<'a> {
    let name = path.trim_start_matches('/');
    let is_file = name
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains('.'));
    if is_file {
        return Target::File(name);
    }
    let mut parts = name.split('/');
    let known = match (parts.next(), parts.next(), parts.next()) {
        (Some("" | "upload" | "jobs" | "nodes"), None, None) => true,
        (Some("videos"), Some(id), None) => !id.is_empty(),
        _ => false,
    };
    let html = accept.is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    if known && html {
        Target::Page
    } else {
        Target::Nothing
    }
}

/// `name` in the best encoding that was built and is wanted.
fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    // The variants are there to be negotiated, not to be asked for.
    let ending = name.rsplit('.').next();
    if matches!(ending, Some("br" | "gz")) {
        return None;
    }
    let plain = Assets::get(name)?;
    let accepted = text(headers, &header::ACCEPT_ENCODING).unwrap_or_default();
    let (encoding, found) = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(accepted, encoding))
        .find_map(|(encoding, ending)| {
            Some((Some(encoding), Assets::get(&format!("{name}{ending}"))?))
        })
        .unwrap_or((None, plain));
    Some(answer(name, encoding, found, headers))
}

fn answer(
    name: &str,
    encoding: Option<&'static str>,
    found: EmbeddedFile,
    headers: &HeaderMap,
) -> Response {
    // Each encoding is a file of its own and so has a hash of its own.
    let digits = BlobHash::from_bytes(found.metadata.sha256_hash()).short();
    let etag = format!("\"{digits}\"");
    let mut response = if range::none_match(text(headers, &header::IF_NONE_MATCH), &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match found.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let mut response = Body::from(bytes).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(content_type(name)),
        );
        if let Some(encoding) = encoding {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let cache = if name.starts_with("assets/") {
        media::IMMUTABLE
    } else {
        "no-cache"
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

/// Whether `Accept-Encoding` allows `encoding` (RFC 9110, 12.5.3); a weight of zero forbids.
fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let forbidden = parts.any(|weight| {
            weight
                .strip_prefix("q=")
                .is_some_and(|q| q.chars().all(|c| matches!(c, '0' | '.')))
        });
        named && !forbidden
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_answers_for_its_own_routes_only() {
        let html = Some("text/html,application/xhtml+xml");
        for page in ["/", "/upload", "/jobs", "/nodes", "/videos/0190"] {
            assert_eq!(target(page, html), Target::Page, "{page}");
            assert_eq!(
                target(page, Some("image/avif,image/webp")),
                Target::Nothing,
                "{page}"
            );
        }
        for nothing in [
            "/video",
            "/videos",
            "/videos/",
            "/videos/a/b",
            "/api/v2/videos",
            "/upload/x",
            "/hls/x",
        ] {
            assert_eq!(target(nothing, html), Target::Nothing, "{nothing}");
        }
        assert_eq!(
            target("/assets/nope.js", html),
            Target::File("assets/nope.js")
        );
        assert_eq!(target("/videos/a.m4s", html), Target::File("videos/a.m4s"));
    }

    #[test]
    fn encodings_are_negotiated() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("br;q=0.000", "br"));
        assert!(!accepts("brotli", "br"));
        assert!(!accepts("", "br"));
    }
}
