//! Lets originals go that no video names any more, and those that were brought for work that is
//! done.

use std::time::{Duration, SystemTime};

use coordinator::catalog::Catalog;
use coordinator::catalog::job::Phase;
use coordinator::catalog::video::Status;
use coordinator::raft::Handle;
use protocol::id::{BlobHash, NodeId};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::blob::{self, Store};

/// Between two looks.
const EVERY: Duration = Duration::from_mins(10);

/// An original is named a moment after it was adopted; this is far longer than that moment.
const GRACE: Duration = Duration::from_mins(10);

/// Whether an original stays here: this node is to keep it, or works with it.
fn is_needed(catalog: &Catalog, hash: &BlobHash, me: NodeId) -> bool {
    catalog.videos_of_blob(hash).any(|video| {
        video.copies.contains(&me)
            || !matches!(video.status, Status::Ready | Status::Failed)
            || catalog
                .jobs_of_video(video.id)
                .any(|job| matches!(job.state.phase(), Phase::Waiting | Phase::Running))
    })
}

pub(super) async fn run(catalog: Handle, blobs: Store, shutdown: CancellationToken) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(EVERY))
        .await
        .is_some()
    {
        // A copy that lags may miss a video that names the blob.
        if catalog.linearize().await.is_err() {
            continue;
        }
        let me = catalog.node();
        let (catalog, blobs) = (catalog.clone(), blobs.clone());
        let sweep = tokio::task::spawn_blocking(move || {
            blob::gc::sweep(&blobs, SystemTime::now(), GRACE, |hash| {
                catalog.read(|catalog| is_needed(catalog, hash, me))
            })
        });
        match sweep.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(%error, "unnamed originals could not be swept"),
            Err(error) => warn!(%error, "the sweep of originals broke off"),
        }
    }
}
