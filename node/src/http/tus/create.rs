//! `POST`: begins an upload, a part of one, or a file of parts.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::id::UploadId;

use super::handlers;
use super::headers::{self, Creation, Metadata};
use super::problem::Error;
use super::transfer::{self, Piece};
use crate::ingest::shape::Shape;
use crate::ingest::{Begin, Handle};

/// Shown for a file whose client does not say its name.
const NAMELESS: &str = "upload";

pub(super) async fn create(
    handle: &Handle,
    path: &str,
    request: Request,
) -> Result<Response, Error> {
    let creation = headers::creation(request.headers())?;
    let metadata = Metadata::parse(request.headers())?;
    let begin = Begin {
        filename: metadata.filename().unwrap_or(NAMELESS),
        metadata: metadata.raw.clone(),
        owner: handlers::owner(&request),
        ..Begin::default()
    };
    let (length, is_part) = match creation {
        Creation::Final(parts) => return join(handle, path, begin, parts).await,
        Creation::Upload { length, is_part } => (length, is_part),
    };
    let is_measured = length.is_some();
    let shape = match (is_part, is_measured) {
        (true, _) => Shape::Part {
            is_measured,
            joined: None,
        },
        (false, true) => Shape::Whole,
        (false, false) => Shape::Unmeasured,
    };
    let begin = Begin {
        size_bytes: length.unwrap_or_default(),
        shape,
        ..begin
    };
    // What can be refused is refused before there is anything.
    let piece = headers::is_chunk(request.headers())
        .then(|| Piece::read(request.headers(), 0))
        .transpose()?;
    let opened = handle.begin(begin).await?;
    let mut response = StatusCode::CREATED.into_response();
    if let Some(piece) = piece {
        transfer::receive(handle, &opened, piece, request, response.headers_mut()).await?;
    }
    let answer = response.headers_mut();
    locate(path, opened.live.upload(), answer)?;
    transfer::expires(&opened, answer);
    Ok(response)
}

/// Answers when the file is whole: whoever asks wants to know the video.
async fn join(
    handle: &Handle,
    path: &str,
    begin: Begin<'_>,
    parts: Vec<UploadId>,
) -> Result<Response, Error> {
    let live = handle.begin_joined(begin, parts).await?;
    handle.join(&live).await?;
    let mut response = StatusCode::CREATED.into_response();
    let answer = response.headers_mut();
    locate(path, live.upload(), answer)?;
    transfer::video(&live, answer);
    Ok(response)
}

/// An absolute path: the client knows under which name it reached this node, the node does not.
fn locate(path: &str, upload: UploadId, answer: &mut HeaderMap) -> Result<(), Error> {
    let location = format!("{}/{upload}", path.trim_end_matches('/'));
    let location = HeaderValue::try_from(location).map_err(|_| Error::NoUpload(path.to_owned()))?;
    answer.insert(header::LOCATION, location);
    Ok(())
}
