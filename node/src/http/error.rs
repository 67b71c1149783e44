//! Anything that goes wrong becomes `application/problem+json`; the only place with status codes
//! of errors.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use coordinator::catalog::Rejection;
use coordinator::raft;
use protocol::http::problem::Problem;
use protocol::id::{BinId, ClipId, CommentId, JobId, MarkerId, ProxyId, VideoId};
use tracing::error;

use crate::auth::grant;
use crate::blob;
use crate::edge;
use crate::interchange;
use crate::origin;

/// A problem on its way to a client.
#[derive(Debug)]
pub struct Error {
    status: StatusCode,
    code: &'static str,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Error {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            header: None,
        }
    }

    fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    pub(super) fn video_not_found(id: VideoId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "video_not_found",
            format!("There is no video {id}."),
        )
    }

    pub(super) fn clip_not_found(id: ClipId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "clip_not_found",
            format!("There is no subclip {id}."),
        )
    }

    pub(super) fn bin_not_found(id: BinId) -> Self {
        let detail = format!("There is no bin {id}.");
        Self::new(StatusCode::NOT_FOUND, "bin_not_found", detail)
    }

    pub(super) fn marker_not_found(id: MarkerId) -> Self {
        let detail = format!("There is no marker {id}.");
        Self::new(StatusCode::NOT_FOUND, "marker_not_found", detail)
    }

    pub(super) fn comment_not_found(id: CommentId) -> Self {
        let detail = format!("There is no comment {id}.");
        Self::new(StatusCode::NOT_FOUND, "comment_not_found", detail)
    }

    /// What is wrong with a subclip that somebody wants to mark.
    pub(super) fn bad_clip(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub(super) fn clip_not_rendered(id: ClipId) -> Self {
        let detail =
            format!("Subclip {id} has no file yet; POST /api/v1/clips/{id}/render makes one.");
        Self::new(StatusCode::CONFLICT, "clip_not_rendered", detail)
    }

    pub(super) fn proxy_not_found(id: ProxyId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "proxy_not_found",
            format!("There is no edit proxy {id}."),
        )
    }

    pub(super) fn proxy_not_ready(id: ProxyId) -> Self {
        let detail = format!(
            "Edit proxy {id} is not ready yet; GET /api/v1/proxies/{id} says how far it is."
        );
        Self::new(StatusCode::CONFLICT, "proxy_not_ready", detail)
    }

    pub(super) fn preset_not_found(name: &str) -> Self {
        let name: String = name.chars().take(40).collect();
        let detail = format!(
            "There is no preset {name:?}; `reelmesh proxy presets` or GET /api/v1/presets lists those there are."
        );
        Self::new(StatusCode::NOT_FOUND, "preset_not_found", detail)
    }

    pub(super) fn video_not_probed(id: VideoId) -> Self {
        let detail = format!(
            "Video {id} has not been looked into yet, so its frames are not known; try again when it is."
        );
        Self::new(StatusCode::CONFLICT, "video_not_probed", detail)
    }

    pub(super) fn job_not_found(id: JobId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "job_not_found",
            format!("There is no job {id}."),
        )
    }

    pub(super) fn node_not_found(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "node_not_found",
            format!("There is no node {name:?}."),
        )
    }

    pub(super) fn original_not_found(id: VideoId) -> Self {
        let detail = format!("The original of video {id} is not here: its upload is not complete.");
        Self::new(StatusCode::NOT_FOUND, "original_not_found", detail)
    }

    pub(super) fn original_away(error: &blob::transfer::Error) -> Self {
        Self::unavailable(
            "original_away",
            format!("The original is not on this node, and {error}."),
        )
    }

    pub(super) fn thumbnail_not_found(id: VideoId) -> Self {
        let detail = format!("Video {id} has no thumbnail of this size yet.");
        Self::new(StatusCode::NOT_FOUND, "thumbnail_not_found", detail)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("max-age=1"))
    }

    /// A segment that is not there now may be there in a moment, so caches must not keep this.
    pub(super) fn object_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "object_not_found",
            "There is no such object.",
        )
        .with(header::CACHE_CONTROL, HeaderValue::from_static("max-age=1"))
    }

    pub(super) fn grant_missing() -> Self {
        let detail =
            "Playback is private here: POST /api/v1/videos/{id}/grant gives a path that plays.";
        Self::new(StatusCode::FORBIDDEN, "grant_missing", detail)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    pub(super) fn grant_refused(refusal: grant::Refusal) -> Self {
        let code = match refusal {
            grant::Refusal::Expired => "grant_expired",
            grant::Refusal::Forged => "grant_forged",
            grant::Refusal::UnknownKey => "grant_key_unknown",
        };
        let what = sentence(&refusal);
        let detail = format!("{what} POST /api/v1/videos/{{id}}/grant gives another.");
        Self::new(StatusCode::FORBIDDEN, code, detail)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    pub(super) fn playback_public() -> Self {
        let detail = "Playback is public here, so no grant is needed; delivery.private = true makes it private.";
        Self::new(StatusCode::CONFLICT, "playback_public", detail)
    }

    pub(super) fn no_signing_key() -> Self {
        Self::unavailable(
            "no_signing_key",
            "The key that signs grants is not there yet; the cluster's leader makes it within seconds.",
        )
    }

    pub(super) fn not_local() -> Self {
        let detail = "Who belongs to the cluster, and what is removed from its store, is decided on its machines: ask from one of them, by the address of its loopback.";
        Self::new(StatusCode::FORBIDDEN, "not_local", detail)
    }

    pub(super) fn token_missing() -> Self {
        let detail = "This node lets nobody in without an API token: send one as Authorization: Bearer, or sign in at /api/v1/sign-in.";
        Self::new(StatusCode::UNAUTHORIZED, "token_missing", detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    pub(super) fn token_unknown() -> Self {
        let detail =
            "The API token is not one of this cluster; it may have been revoked. Ask for another.";
        Self::new(StatusCode::UNAUTHORIZED, "token_unknown", detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    pub(super) fn no_cluster() -> Self {
        let detail = "This node lets no others in.";
        Self::new(StatusCode::CONFLICT, "no_cluster", detail)
    }

    pub(super) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub(super) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub(super) fn route_not_found(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let detail = format!("There is nothing at {path}; /api/v1/docs lists what there is.");
        Self::new(StatusCode::NOT_FOUND, "route_not_found", detail)
    }

    pub(super) fn method_not_allowed(method: &axum::http::Method) -> Self {
        let detail = format!("{method} is not allowed here; the Allow header says what is.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(super) fn bad_id(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_id", detail)
    }

    pub(super) fn bad_query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", detail)
    }

    pub(super) fn bad_cursor() -> Self {
        let detail = "The cursor is not one that this list gave for this order; begin without one.";
        Self::new(StatusCode::BAD_REQUEST, "bad_cursor", detail)
    }

    pub(super) fn bad_body(status: StatusCode, detail: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            _ => "bad_body",
        };
        Self::new(status, code, detail)
    }

    pub(super) fn bad_filename(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_filename", detail)
    }

    pub(super) fn range_not_satisfiable(size_bytes: u64) -> Self {
        let value = HeaderValue::from_str(&format!("bytes */{size_bytes}"))
            .expect("digits are a valid header value");
        let detail = format!("The range lies beyond the end; there are {size_bytes} bytes.");
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            detail,
        )
        .with(header::CONTENT_RANGE, value)
    }

    pub(super) fn host_not_allowed(host: &str) -> Self {
        let host: String = host.chars().take(100).collect();
        let detail = format!(
            "This node listens on loopback only, so it must be called localhost, 127.0.0.1 or [::1], not {host:?}."
        );
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", detail)
    }

    pub(super) fn cross_origin() -> Self {
        let detail = "A page of another site may not change anything here.";
        Self::new(StatusCode::FORBIDDEN, "cross_origin", detail)
    }

    pub(super) fn internal(what: &'static str, source: &dyn std::fmt::Display) -> Self {
        error!(what, error = %source, "request failed");
        let detail = format!("The node could not {what}; its log says why.");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    fn origin_failed() -> Self {
        Self::unavailable("origin_failed", "The origin cannot be read at the moment.")
    }

    fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("2"))
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl From<raft::Error> for Error {
    fn from(error: raft::Error) -> Self {
        match error {
            raft::Error::Rejected(rejection) => rejection.into(),
            raft::Error::NotLeader { .. } => Self::unavailable("not_leader", sentence(&error)),
            raft::Error::Timeout => {
                let detail = "The cluster did not answer in time; it is not known whether the change was made.";
                Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail)
            }
            raft::Error::Storage(source) => Self::internal("store the change", &source),
            raft::Error::Closed => {
                Self::unavailable("shutting_down", "This node is shutting down.")
            }
            raft::Error::Membership(refusal) => Self::new(
                StatusCode::CONFLICT,
                "members_unchanged",
                sentence(&refusal),
            ),
            raft::Error::Quarantined(_) => Self::unavailable("quarantined", sentence(&error)),
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let (status, code) = match rejection {
            Rejection::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Rejection::Exists { .. } => (StatusCode::CONFLICT, "exists"),
            Rejection::Stale { .. } => (StatusCode::CONFLICT, "stale"),
            Rejection::Answered => (StatusCode::CONFLICT, "answered"),
            Rejection::WrongState { .. } => (StatusCode::CONFLICT, "wrong_state"),
            Rejection::Limit { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "limit_exceeded"),
        };
        Self::new(status, code, sentence(&rejection))
    }
}

impl From<interchange::Error> for Error {
    fn from(error: interchange::Error) -> Self {
        match error {
            interchange::Error::Empty => {
                let detail = "There is nothing to export: mark a subclip or set a marker first.";
                Self::new(StatusCode::CONFLICT, "nothing_to_export", detail)
            }
            interchange::Error::Mixed { .. } => {
                let detail = format!(
                    "{} Export them one by one, or in another format.",
                    sentence(&error)
                );
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "mixed_frame_rates",
                    detail,
                )
            }
            interchange::Error::TooMany(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too_many_events",
                sentence(&error),
            ),
        }
    }
}

impl From<edge::Error> for Error {
    fn from(error: edge::Error) -> Self {
        match error {
            edge::Error::NotFound => Self::object_not_found(),
            error => {
                tracing::warn!(%error, "origin failed");
                Self::origin_failed()
            }
        }
    }
}

impl From<origin::Error> for Error {
    fn from(error: origin::Error) -> Self {
        match error {
            origin::Error::NotFound { .. } | origin::Error::Key { .. } => Self::object_not_found(),
            error => {
                tracing::warn!(%error, "origin failed");
                Self::origin_failed()
            }
        }
    }
}

/// Errors are lower case without a full stop; a problem's detail is a sentence.
fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(chars).chain(['.']).collect()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.to_owned(),
        };
        let body = serde_json::to_vec(&problem).expect("a problem is always JSON");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}
