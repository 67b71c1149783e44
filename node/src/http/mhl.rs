//! `/api/v1/videos/{id}/original.mhl`: a media hash list of the original, to compare a download with.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use protocol::http::problem::Problem;
use protocol::id::{BlobHash, VideoId};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Query};
use super::original;
use crate::digest::mhl::{self, Written};
use crate::digest::{Algorithm, Hasher};

/// Originals that are hashed at once: each takes a core and much of a disk.
static HASHING: Semaphore = Semaphore::const_new(2);

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// As hash lists call it.
    hash: Option<String>,
}

/// A hash list of the original (ASC MHL 2.0)
///
/// The original is read from its begin to its end, so the answer takes as long as that.
#[utoipa::path(get, path = "/api/v1/videos/{id}/original.mhl", tag = "videos",
    params(("id" = VideoId, Path), ("hash" = Option<String>, Query, description = "xxh128 (the default), xxh3, xxh64, md5, sha1 or c4")),
    responses((status = 200, content_type = "application/xml"), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn hash_list(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let name = asked.hash.as_deref().unwrap_or("xxh128");
    let algorithm = match mhl::algorithm(name) {
        // Not in the schema of ASC MHL, or a name of the old lists.
        None | Some(Algorithm::Blake3) => None,
        found => found.filter(|algorithm| mhl::name(*algorithm) == Some(name)),
    };
    let algorithm = algorithm.ok_or_else(|| {
        Error::bad_query(format!(
            "There is no hash {:?} in such lists; ask for xxh128, xxh3, xxh64, md5, sha1 or c4.",
            name.chars().take(40).collect::<String>()
        ))
    })?;
    let found = original::find(&api, id).await?;
    let permit = HASHING.acquire().await.expect("it is never closed");
    let mut bytes = original::bytes(&api, &found, 0..found.size_bytes);
    let (mut wanted, mut own) = (Hasher::new(algorithm), Hasher::new(Algorithm::Blake3));
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| Error::internal("read the original", &error))?;
        wanted.update(&piece);
        own.update(&piece);
    }
    drop(permit);
    // A list must not vouch for what is no longer what came in.
    let read = <[u8; 32]>::try_from(own.finish()).map(BlobHash::from_bytes);
    if read != Ok(found.hash) {
        return Err(Error::internal(
            "read the original",
            &"it is damaged on disk",
        ));
    }
    let node = api.catalog.node();
    let host = api.catalog.read(|catalog| {
        let node = catalog.node(node);
        node.map_or_else(String::new, |node| node.name.clone())
    });
    let text = mhl::write(&Written {
        path: &found.filename,
        size_bytes: found.size_bytes,
        hashes: &[(algorithm, wanted.text())],
        hashed_at: &Api::now().to_string(),
        host: &host,
        version: env!("CARGO_PKG_VERSION"),
    });
    let kind = HeaderValue::from_static("application/xml");
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    let name = format!("{}.mhl", found.filename);
    if let Ok(name) = HeaderValue::try_from(original::attachment(&name)) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
