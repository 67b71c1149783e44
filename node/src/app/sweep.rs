//! Lets originals go that no video names any more.

use std::time::{Duration, SystemTime};

use coordinator::raft::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::blob::{self, Store};

/// Between two looks.
const EVERY: Duration = Duration::from_mins(10);

/// An original is named a moment after it was adopted; this is far longer than that moment.
const GRACE: Duration = Duration::from_mins(10);

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
        let (catalog, blobs) = (catalog.clone(), blobs.clone());
        let sweep = tokio::task::spawn_blocking(move || {
            blob::gc::sweep(&blobs, SystemTime::now(), GRACE, |hash| {
                catalog.read(|catalog| catalog.references(hash) > 0)
            })
        });
        match sweep.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(%error, "unnamed originals could not be swept"),
            Err(error) => warn!(%error, "the sweep of originals broke off"),
        }
    }
}
