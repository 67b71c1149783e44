//! What goes wrong with an upload over HTTP, as a problem document with the status that tus asks
//! for.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::code::ErrorCode;
use protocol::http::problem::Problem;
use tracing::{debug, warn};

use super::headers::{self, TUS_VERSION, UPLOAD_OFFSET, VERSION};
use crate::ingest;

#[derive(Debug)]
pub(super) enum Error {
    /// The client speaks another version, or none.
    Version,
    Header(headers::Error),
    /// The body is not announced as bytes of an upload.
    ContentType,
    Method,
    /// The path names no upload.
    NoUpload(String),
    /// A file made of parts takes no bytes.
    Final,
    Upload(ingest::Error),
}

impl From<headers::Error> for Error {
    fn from(error: headers::Error) -> Self {
        Self::Header(error)
    }
}

impl From<ingest::Error> for Error {
    fn from(error: ingest::Error) -> Self {
        Self::Upload(error)
    }
}

impl Error {
    fn parts(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Version => (
                StatusCode::PRECONDITION_FAILED,
                "tus_version",
                format!(
                    "Send the header Tus-Resumable with {VERSION}, the version of tus that this node speaks."
                ),
            ),
            Self::Header(error) => (StatusCode::BAD_REQUEST, "bad_header", error.to_string()),
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send bytes of an upload as application/offset+octet-stream.".to_owned(),
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This method is not allowed here; the Allow header says what is.".to_owned(),
            ),
            Self::NoUpload(given) => {
                let given: String = given.chars().take(80).collect();
                let detail = format!("There is no upload {given:?}.");
                (
                    StatusCode::NOT_FOUND,
                    ErrorCode::UploadNotFound.name(),
                    detail,
                )
            }
            Self::Final => (
                StatusCode::FORBIDDEN,
                "final_upload",
                "This upload is made of parts; send bytes to the parts.".to_owned(),
            ),
            Self::Upload(error) => (status(error.code()), error.code().name(), error.sentence()),
        }
    }
}

/// Clients of tus go by these: 409 and 423 make them ask for the offset and go on, other 4xx give
/// up, 5xx try again.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::ChecksumMismatch => {
            StatusCode::from_u16(460).expect("three digits are a status")
        }
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::QuotaExceeded => StatusCode::FORBIDDEN,
        ErrorCode::PartUnusable => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidRequest | ErrorCode::EmptyFile | ErrorCode::InvalidName => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::UploadNotFound => StatusCode::NOT_FOUND,
        ErrorCode::OffsetConflict
        | ErrorCode::Superseded
        | ErrorCode::Incomplete
        | ErrorCode::ChunkMismatch
        | ErrorCode::FileMismatch
        | ErrorCode::HashListMismatch => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Busy => StatusCode::LOCKED,
        ErrorCode::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::ShuttingDown | ErrorCode::CatalogueUnavailable | ErrorCode::Overloaded => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::Storage | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        match &self {
            Self::Upload(error) if status.is_server_error() => warn!(%error, "upload failed"),
            error => debug!(?error, "upload refused"),
        }
        let problem = Problem {
            kind: "about:blank".to_owned(),
            // The one status that tus adds.
            title: status
                .canonical_reason()
                .unwrap_or("Checksum Mismatch")
                .to_owned(),
            status: status.as_u16(),
            detail,
            code: code.to_owned(),
        };
        let body = serde_json::to_vec(&problem).expect("a problem is always JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self {
            Self::Version => drop(headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION))),
            Self::Method => drop(headers.insert(
                header::ALLOW,
                HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST"),
            )),
            Self::Upload(ingest::Error::Offset { expected, .. }) => {
                drop(headers.insert(UPLOAD_OFFSET, HeaderValue::from(expected)));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2")));
            }
            _ => {}
        }
        response
    }
}
