//! `HEAD` and `PATCH`: how far an upload is, and more of its bytes.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::BodyStream;
use protocol::id::UploadId;

use super::headers::{
    self, Checksum, UPLOAD_CONCAT, UPLOAD_DEFER_LENGTH, UPLOAD_EXPIRES, UPLOAD_LENGTH,
    UPLOAD_METADATA, UPLOAD_OFFSET, VIDEO_ID,
};
use super::problem::Error;
use crate::digest::{Algorithm, Hasher};
use crate::ingest::live::Live;
use crate::ingest::shape::Shape;
use crate::ingest::writer::{self, Append, Check};
use crate::ingest::{self, Handle, Opened};

/// Whoever asks for the offset means to go on from there, so a writer that hangs is shown out.
pub(super) async fn head(handle: &Handle, base: &str, upload: UploadId) -> Result<Response, Error> {
    let live = handle.find(upload)?;
    if let Shape::Joined { parts } = live.meta().shape {
        return Ok(head_of_joined(handle, base, &live, &parts));
    }
    let mut opened = handle.take_over(upload).await?;
    let live = &opened.live;
    // All bytes are in, but whoever brought the last was cut off before the end was made: a client
    // that reads the full length here will not ask again.
    if opened.finished.is_none() && live.session().missing() == 0 {
        match handle.finish(live, None).await {
            Ok(hash) => opened.finished = Some(hash),
            // Some were damaged on disk: the offset says from where to send them again.
            Err(ingest::Error::Incomplete { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    let meta = opened.live.meta();
    let offset = match opened.finished {
        Some(_) => meta.size_bytes,
        None => opened.live.session().offset(),
    };
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    match meta.length() {
        Some(length) => drop(answer.insert(UPLOAD_LENGTH, HeaderValue::from(length))),
        None => drop(answer.insert(UPLOAD_DEFER_LENGTH, HeaderValue::from_static("1"))),
    }
    if meta.shape.is_part() {
        answer.insert(UPLOAD_CONCAT, HeaderValue::from_static("partial"));
    } else if opened.finished.is_some() {
        video(&opened.live, answer);
    }
    give_metadata(meta.metadata, answer);
    expires(&opened, answer);
    Ok(response)
}

/// Without an offset until the parts are joined, as the specification wants it.
fn head_of_joined(handle: &Handle, base: &str, live: &Arc<Live>, parts: &[UploadId]) -> Response {
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    let meta = live.meta();
    let mut concat = "final;".to_owned();
    for (at, part) in parts.iter().enumerate() {
        let space = if at == 0 { "" } else { " " };
        let _ = write!(concat, "{space}{base}/{part}");
    }
    if let Ok(concat) = HeaderValue::try_from(concat) {
        answer.insert(UPLOAD_CONCAT, concat);
    }
    answer.insert(UPLOAD_LENGTH, HeaderValue::from(meta.size_bytes));
    if matches!(meta.stage, ingest::session::Stage::Finished(_)) {
        answer.insert(UPLOAD_OFFSET, HeaderValue::from(meta.size_bytes));
        video(live, answer);
    } else {
        // Whoever asked for it may have gone before it was done.
        handle.join_behind(live);
    }
    give_metadata(meta.metadata, answer);
    response
}

fn give_metadata(metadata: Option<String>, answer: &mut HeaderMap) {
    if let Some(metadata) = metadata
        && let Ok(metadata) = HeaderValue::try_from(metadata)
    {
        answer.insert(UPLOAD_METADATA, metadata);
    }
}

pub(super) async fn patch(
    handle: &Handle,
    upload: UploadId,
    request: Request,
) -> Result<Response, Error> {
    if !headers::is_chunk(request.headers()) {
        return Err(Error::ContentType);
    }
    let offset = headers::offset(request.headers())?;
    let piece = Piece::read(request.headers(), offset)?;
    let length = headers::length(request.headers())?;
    let live = handle.find(upload)?;
    if matches!(live.meta().shape, Shape::Joined { .. }) {
        return Err(Error::Final);
    }
    let opened = match length {
        Some(length) => handle.measure(upload, length).await?,
        None => handle.take_over(upload).await?,
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    receive(handle, &opened, piece, request, response.headers_mut()).await?;
    expires(&opened, response.headers_mut());
    Ok(response)
}

/// What the head of a request says about the bytes that follow it.
#[derive(Debug)]
pub(super) struct Piece {
    offset: u64,
    length: Option<u64>,
    checksum: Option<Checksum>,
    is_checked_behind: bool,
}

impl Piece {
    pub(super) fn read(headers: &HeaderMap, offset: u64) -> Result<Self, headers::Error> {
        Ok(Self {
            offset,
            length: headers::content_length(headers),
            checksum: headers::checksum(headers)?,
            is_checked_behind: headers::has_checksum_trailer(headers),
        })
    }
}

/// Takes the body as bytes of the upload; the one that brings the last byte makes the video.
pub(super) async fn receive(
    handle: &Handle,
    opened: &Opened,
    piece: Piece,
    request: Request<Body>,
    answer: &mut HeaderMap,
) -> Result<(), Error> {
    let live = &opened.live;
    let offset = piece.offset;
    let Some(ticket) = opened.ticket.clone() else {
        let expected = live.meta().size_bytes;
        if offset != expected {
            let given = offset;
            return Err(ingest::Error::Offset { expected, given }.into());
        }
        answer.insert(UPLOAD_OFFSET, HeaderValue::from(expected));
        if !live.is_private() {
            video(live, answer);
        }
        return Ok(());
    };
    if let (Some(length), Some(size_bytes)) = (piece.length, live.length())
        && offset.saturating_add(length) > size_bytes
    {
        return Err(ingest::Error::TooMuch { size_bytes }.into());
    }
    let trailers = Trailers::default();
    let append = Append {
        offset,
        room: handle.room(live)?,
        check: check(piece, &trailers),
    };
    let body = pieces(request.into_body(), trailers);
    let shared = Arc::clone(live);
    // In a task of its own: when the socket is cut this handler is dropped, and what had arrived
    // by then must still be made durable.
    let task =
        tokio::spawn(async move { writer::append_with(&shared, &ticket, append, body).await });
    let reached = task
        .await
        .unwrap_or(Err(ingest::Error::ShuttingDown))
        .map_err(Error::Upload)?;
    if live.session().missing() == 0 {
        handle.finish(live, None).await?;
        video(live, answer);
    }
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(reached));
    Ok(())
}

/// What came behind the bytes of a request.
type Trailers = Arc<Mutex<Option<HeaderMap>>>;

/// The bytes of a request; what comes behind them goes to `trailers`.
fn pieces(body: Body, trailers: Trailers) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    BodyStream::new(body).filter_map(move |frame| {
        let piece = match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(bytes)) => Some(Ok(bytes)),
            Ok(Err(frame)) => {
                if let Ok(behind) = frame.into_trailers() {
                    *trailers.lock().expect("no holder panics") = Some(behind);
                }
                None
            }
            Err(error) => Some(Err(error)),
        };
        std::future::ready(piece)
    })
}

fn check(piece: Piece, trailers: &Trailers) -> Option<Box<dyn Check>> {
    if let Some(Checksum { algorithm, hash }) = piece.checksum {
        let hashers = vec![(algorithm, Hasher::new(algorithm))];
        let wanted = Wanted::Known(Checksum { algorithm, hash });
        return Some(Box::new(Checking { wanted, hashers }));
    }
    if !piece.is_checked_behind {
        return None;
    }
    // Which of them it will be is said behind the bytes.
    let all = headers::CHECKSUMS.iter();
    let hashers = all.map(|&(_, algorithm)| (algorithm, Hasher::new(algorithm)));
    let wanted = Wanted::Behind(Arc::clone(trailers));
    Some(Box::new(Checking {
        wanted,
        hashers: hashers.collect(),
    }))
}

#[derive(Debug)]
struct Checking {
    wanted: Wanted,
    hashers: Vec<(Algorithm, Hasher)>,
}

#[derive(Debug)]
enum Wanted {
    Known(Checksum),
    Behind(Trailers),
}

impl Check for Checking {
    fn update(&mut self, bytes: &[u8]) {
        for (_, hasher) in &mut self.hashers {
            hasher.update(bytes);
        }
    }

    fn finish(&mut self) -> Result<(), ingest::Error> {
        let wanted = match &self.wanted {
            Wanted::Known(checksum) => checksum.clone(),
            Wanted::Behind(trailers) => {
                let behind = trailers.lock().expect("no holder panics").take();
                let read = headers::checksum(&behind.unwrap_or_default());
                let read = read.map_err(|error| ingest::Error::Invalid(error.to_string()))?;
                read.ok_or_else(|| {
                    ingest::Error::Invalid("the trailer Upload-Checksum is missing".to_owned())
                })?
            }
        };
        let found = self
            .hashers
            .iter()
            .find(|(algorithm, _)| *algorithm == wanted.algorithm);
        match found {
            Some((_, hasher)) if hasher.finish() == wanted.hash => Ok(()),
            _ => Err(ingest::Error::ChecksumMismatch),
        }
    }
}

pub(super) fn video(live: &Live, answer: &mut HeaderMap) {
    let id = HeaderValue::try_from(live.video().to_string());
    answer.insert(VIDEO_ID, id.expect("an id is plain text"));
}

pub(super) fn expires(opened: &Opened, answer: &mut HeaderMap) {
    if opened.finished.is_none()
        && let Some(date) = headers::http_date(opened.expires_at)
        && let Ok(date) = HeaderValue::try_from(date)
    {
        answer.insert(UPLOAD_EXPIRES, date);
    }
}
