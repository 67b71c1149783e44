//! Keeps the spool and the catalogue of one mind: after a crash, when a video is deleted while it
//! is uploaded, when nobody comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coordinator::catalog::Command;
use protocol::id::UploadId;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::live::Live;
use super::registry::Handle;
use super::session::Stage;
use super::shape::Shape;
use super::{Error, now};
use crate::blob;

/// How often it looks even if nothing woke it: uploads lapse without a sound.
const TICK: Duration = Duration::from_mins(1);

/// Shortest time between two looks, however often the catalogue changes.
const PAUSE: Duration = Duration::from_secs(1);

/// The part of ingest that runs for as long as the node.
#[derive(Debug)]
pub struct Service {
    handle: Handle,
}

impl Service {
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Runs until `shutdown`. What is on disk then stays for the next start.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut changes = self.handle.inner().catalogue.changes();
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.reconcile().await {
                debug!(%error, "uploads not compared with the catalogue, trying again");
            }
            let wake = async {
                tokio::time::sleep(PAUSE).await;
                let changed = tokio::time::timeout(TICK, changes.changed()).await;
                if matches!(changed, Ok(Err(_))) {
                    // The catalogue is closed: the node is stopping.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = wake => {}
            }
        }
    }

    /// Compares once, and mends what differs.
    ///
    /// # Errors
    /// The catalogue cannot be asked now.
    pub async fn reconcile(&self) -> Result<(), Error> {
        let inner = self.handle.inner();
        inner.catalogue.linearize().await?;
        // First what is here, then what the catalogue has: an upload opened in between is in
        // neither list that would harm it.
        let here = self.handle.announced();
        let node = inner.catalogue.node();
        let theirs: BTreeSet<UploadId> = inner.catalogue.read(|catalogue| {
            let uploads = catalogue.uploads();
            uploads
                .filter(|upload| upload.node == node)
                .map(|upload| upload.id)
                .collect()
        });
        for live in self.handle.private() {
            if live.session().expires_at(self.handle.options().expiry) <= now() {
                info!(upload = %live.upload(), "upload lapsed");
                self.handle.remove(&live).await?;
            }
        }
        for live in &here {
            if let Err(error) = self.settle(live, theirs.contains(&live.upload())).await {
                warn!(upload = %live.upload(), %error, "upload not brought in order");
            }
        }
        for upload in theirs {
            // Asked again now, for one that is being opened is here by now.
            if self.handle.find(upload).is_err() {
                info!(%upload, "upload given up, its bytes are gone");
                match self.handle.propose(Command::AbortUpload { upload }).await {
                    // It came to an end since the catalogue was read.
                    Err(Error::Catalogue(coordinator::raft::Error::Rejected(_))) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn settle(&self, live: &Arc<Live>, is_in_catalogue: bool) -> Result<(), Error> {
        let stage = live.meta().stage;
        let expires_at = live.session().expires_at(self.handle.options().expiry);
        match stage {
            Stage::Adopting(_) => match self.handle.finish(live, None).await {
                Ok(_) => Ok(()),
                Err(_) if !is_in_catalogue => self.drop_upload(live, "its video is gone").await,
                Err(Error::Blob(blob::Error::NotFound(_))) => {
                    info!(upload = %live.upload(), "upload given up, its bytes are gone");
                    self.handle.abort(live.upload()).await
                }
                Err(error) => Err(error),
            },
            Stage::Finished(_) if expires_at <= now() => self.handle.remove(live).await,
            Stage::Receiving if !is_in_catalogue => {
                self.drop_upload(live, "its video is gone").await
            }
            Stage::Receiving if expires_at <= now() => {
                info!(upload = %live.upload(), "upload lapsed");
                self.handle.abort(live.upload()).await
            }
            Stage::Receiving if matches!(live.meta().shape, Shape::Joined { .. }) => {
                self.handle.join_behind(live);
                Ok(())
            }
            // A client that sends in order takes the last byte for the end and does not ask again;
            // a crash, or a cut right after that byte, must not leave the upload unfinished. By QUIC
            // a client asks for the end itself, and says which file it meant.
            Stage::Receiving if live.meta().key.is_none() && live.session().missing() == 0 => {
                self.handle.finish(live, None).await.map(drop)
            }
            Stage::Finished(_) | Stage::Receiving => Ok(()),
        }
    }

    async fn drop_upload(&self, live: &Arc<Live>, why: &str) -> Result<(), Error> {
        // It may have been finished since the catalogue was read.
        if matches!(live.meta().stage, Stage::Finished(_)) {
            return Ok(());
        }
        info!(upload = %live.upload(), why, "upload dropped");
        self.handle.remove(live).await
    }
}
