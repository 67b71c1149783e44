//! The end of an upload: verify, adopt into the blob store, tell the catalogue.
//!
//! Each step can be done again, so a crash between any two is mended by doing all of them again.

use std::sync::Arc;

use coordinator::catalog::Command;
use protocol::id::BlobHash;
use tracing::{info, warn};

use super::live::Live;
use super::registry::{Handle, is_not_found};
use super::session::{Record, Stage};
use super::{Error, blocking};

/// Does what is left to do of an upload whose chunks are all in.
pub(super) async fn finish(
    handle: &Handle,
    live: &Arc<Live>,
    expected: Option<BlobHash>,
) -> Result<BlobHash, Error> {
    let _once = live.finishing.lock().await;
    let hash = match live.meta().stage {
        Stage::Finished(hash) => return agree(hash, expected),
        Stage::Adopting(hash) => hash,
        Stage::Receiving => {
            let hash = verify(live, expected).await?;
            let shared = Arc::clone(live);
            blocking(move || shared.set_stage(Stage::Adopting(hash))).await?;
            hash
        }
    };
    agree(hash, expected)?;
    adopt(handle, live, hash).await?;
    announce(handle, live, hash).await?;
    let shared = Arc::clone(live);
    blocking(move || shared.set_stage(Stage::Finished(hash))).await?;
    live.folder().close();
    handle.forget_progress(live.upload());
    info!(
        upload = %live.upload(),
        video = %live.video(),
        size_bytes = live.layout().size_bytes(),
        "upload complete"
    );
    Ok(hash)
}

fn agree(hash: BlobHash, expected: Option<BlobHash>) -> Result<BlobHash, Error> {
    match expected {
        Some(expected) if expected != hash => Err(Error::FileMismatch),
        _ => Ok(hash),
    }
}

/// The hash of the whole file, once every chunk on disk has proven to be what arrived.
///
/// The chunks' hashes are subtrees of the file's, so reading each chunk once proves the whole.
async fn verify(live: &Arc<Live>, expected: Option<BlobHash>) -> Result<BlobHash, Error> {
    let (missing, root) = {
        let session = live.session();
        (session.missing(), session.root())
    };
    let Some(hash) = root else {
        return Err(Error::Incomplete { missing });
    };
    agree(hash, expected)?;
    // Nobody writes while the file is read; who tries finds all chunks there.
    live.take_over().await?;
    let shared = Arc::clone(live);
    let lost = blocking(move || shared.verify()).await?;
    if lost.is_empty() {
        return Ok(hash);
    }
    warn!(upload = %live.upload(), chunks = lost.len(), "chunks on disk are damaged");
    let missing = u32::try_from(lost.len()).unwrap_or(u32::MAX);
    for index in lost {
        live.commit(Record::Lost { index }).await?;
    }
    Err(Error::Incomplete { missing })
}

async fn adopt(handle: &Handle, live: &Arc<Live>, hash: BlobHash) -> Result<(), Error> {
    let (blobs, shared) = (handle.inner().blobs.clone(), Arc::clone(live));
    blocking(move || {
        let from = shared.folder().data_path();
        if from.exists() {
            blobs.adopt(&from, &hash)?;
        }
        // Neither here nor there: somebody has removed it by hand.
        blobs.size(&hash)?;
        Ok(())
    })
    .await
}

async fn announce(handle: &Handle, live: &Arc<Live>, hash: BlobHash) -> Result<(), Error> {
    let catalogue = &handle.inner().catalogue;
    let complete = Command::CompleteUpload {
        upload: live.upload(),
        blob: hash,
        node: catalogue.node(),
    };
    match handle.propose(complete).await {
        // The upload is gone from the catalogue, which it is once it is complete.
        Err(error) if is_not_found(&error) => {
            let is_known = catalogue.read(|catalogue| {
                let video = catalogue.video(live.video());
                video.is_some_and(|video| video.blob == Some(hash))
            });
            if is_known { Ok(()) } else { Err(error) }
        }
        result => result,
    }
}
