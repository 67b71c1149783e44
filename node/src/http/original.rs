//! `/api/v1/videos/{id}/original`: the untouched original, with ranges.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use protocol::http::problem::Problem;
use protocol::id::{BlobHash, VideoId};

use super::api::Api;
use super::error::Error;
use super::extract::Id;
use super::media::{self, Answer, Meta};
use crate::blob;

/// Bytes read at once; one client holds at most two such buffers.
const READ_BYTES: u64 = 256 << 10;

/// The original
#[utoipa::path(get, path = "/api/v1/videos/{id}/original", tag = "videos",
    params(("id" = VideoId, Path), ("range" = Option<String>, Header, description = "One range of bytes")),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"),
        (status = 404, body = Problem),
        (status = 416, body = Problem)))]
pub(super) async fn original(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let found = find(&api, id).await?;
    let etag = format!("\"{}\"", found.hash);
    let meta = Meta {
        size_bytes: found.size_bytes,
        // Never a type that a browser would run or show: the bytes are a stranger's.
        content_type: "application/octet-stream",
        // The same URL shows another name after a rename, and nothing after a deletion.
        cache_control: "private, no-cache",
        etag: &etag,
    };
    let mut response = match media::answer(&headers, &meta) {
        Answer::Ready(response) => return Ok(response),
        Answer::Body(mut response, range) => {
            *response.body_mut() = Body::from_stream(bytes(&api, &found, range));
            response
        }
    };
    let disposition =
        HeaderValue::from_str(&attachment(&found.filename)).expect("both names are visible ASCII");
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// An original, wherever it lies.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) filename: String,
    pub(super) hash: BlobHash,
    pub(super) size_bytes: u64,
    /// None if another node has it.
    file: Option<Arc<File>>,
}

/// Finds the original of a video, and makes sure that somebody answers for it.
pub(super) async fn find(api: &Api, id: VideoId) -> Result<Found, Error> {
    let (filename, hash, size_bytes) = api.catalog.read(|catalog| {
        let video = catalog
            .video(id)
            .ok_or_else(|| Error::video_not_found(id))?;
        let hash = video.blob.ok_or_else(|| Error::original_not_found(id))?;
        Ok::<_, Error>((video.filename.clone(), hash, video.size_bytes))
    })?;
    let blobs = api.blobs.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let file = blobs.open_blob(&hash)?;
        Ok::<_, blob::Error>((file, blobs.size(&hash)?))
    });
    let (file, size_bytes) = match opened.await.expect("opening a file does not panic") {
        Ok((file, size_bytes)) => (Some(Arc::new(file)), size_bytes),
        // Another node has it.
        Err(blob::Error::NotFound(_)) => (None, size_bytes),
        Err(error) => return Err(Error::internal("read the original", &error)),
    };
    if file.is_none() && size_bytes > 0 {
        // Asked before the head of the answer is sent.
        if let Err(error) = api.originals.read(hash, 0, 1).await {
            return Err(Error::original_away(&error));
        }
    }
    Ok(Found {
        filename,
        hash,
        size_bytes,
        file,
    })
}

/// `range` of an original, read as fast as it is taken.
pub(super) fn bytes(
    api: &Api,
    found: &Found,
    range: Range<u64>,
) -> BoxStream<'static, io::Result<Bytes>> {
    match &found.file {
        Some(file) => read(Arc::clone(file), range).boxed(),
        None => read_elsewhere(api.originals.clone(), found.hash, range).boxed(),
    }
}

/// `range` of an original that lies on another node, read as fast as the client takes it.
fn read_elsewhere(
    originals: blob::Fetcher,
    hash: BlobHash,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> {
    async_stream::try_stream! {
        let mut offset = range.start;
        while offset < range.end {
            let read = originals.read(hash, offset, range.end - offset).await;
            let bytes = read.map_err(io::Error::other)?;
            offset += bytes.len() as u64;
            yield bytes;
        }
    }
}

/// `range` of `file`, read as fast as the client takes it.
fn read(file: Arc<File>, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    async_stream::try_stream! {
        let mut offset = range.start;
        while offset < range.end {
            let length = usize::try_from((range.end - offset).min(READ_BYTES)).unwrap_or(0);
            let file = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, offset).map(|()| Bytes::from(buffer))
            });
            let bytes = read.await.map_err(io::Error::other)??;
            offset += bytes.len() as u64;
            yield bytes;
        }
    }
}

/// `Content-Disposition` (RFC 6266): a plain name for old clients, the whole in RFC 8187's form.
pub(super) fn attachment(filename: &str) -> String {
    let plain: String = filename
        .chars()
        .map(|c| {
            if c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '%')) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in filename.bytes() {
        // `attr-char` of RFC 8187, 3.2.1.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_old_and_new_clients() {
        assert_eq!(
            attachment("a b.mov"),
            "attachment; filename=\"a b.mov\"; filename*=UTF-8''a%20b.mov"
        );
        assert_eq!(
            attachment("été\"\r\n/..%2e"),
            "attachment; filename=\"_t_____.._2e\"; filename*=UTF-8''%C3%A9t%C3%A9%22%0D%0A%2F..%252e"
        );
    }
}
