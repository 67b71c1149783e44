//! Keeps the spool and the catalogue of one mind: after a crash, when a video is deleted while it
//! is uploaded, when nobody comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coordinator::catalog::Command;
use coordinator::catalog::cluster::ClusterCommand;
use coordinator::catalog::upload::Upload;
use protocol::id::{NodeId, UploadId};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::live::Live;
use super::registry::Handle;
use super::session::Stage;
use super::shape::Shape;
use super::{Error, blocking, now};
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
        let (theirs, kept): (BTreeSet<UploadId>, BTreeSet<UploadId>) =
            inner.catalogue.read(|catalogue| {
                let of = |wanted: fn(&Upload, NodeId) -> bool| {
                    let uploads = catalogue.uploads();
                    uploads
                        .filter(|upload| wanted(upload, node))
                        .map(|upload| upload.id)
                        .collect()
                };
                (
                    of(|upload, node| upload.node == node),
                    of(|upload, node| upload.mirror.is_some_and(|mirror| mirror.node == node)),
                )
            });
        for live in self.handle.private() {
            if live.session().expires_at(self.handle.options().expiry) <= now() {
                info!(upload = %live.upload(), "upload lapsed");
                self.handle.remove(&live).await?;
            }
        }
        for live in &here {
            if kept.contains(&live.upload()) {
                // The node of the upload sees to it.
                continue;
            }
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
                if let Err(error) = self.keep_copy(live).await {
                    info!(upload = %live.upload(), %error, "copy of an original not kept");
                }
                self.drop_upload(live, "it is given up, complete or at another node")
                    .await
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

    /// If the upload was completed at another node and all its chunks are here too, then this is a
    /// copy of the original, and need not be sent here again.
    async fn keep_copy(&self, live: &Arc<Live>) -> Result<(), Error> {
        let inner = self.handle.inner();
        let (video, root) = (live.video(), live.session().root());
        let (Some(blob), node) = (root, inner.catalogue.node()) else {
            return Ok(());
        };
        let is_original = inner.catalogue.read(|catalogue| {
            let video = catalogue.video(video);
            video.is_some_and(|video| video.blob == Some(blob) && !video.copies.contains(&node))
        });
        if !is_original {
            return Ok(());
        }
        let (blobs, shared) = (inner.blobs.clone(), Arc::clone(live));
        let is_whole = blocking(move || {
            if !shared.verify()?.is_empty() {
                return Ok::<_, Error>(false);
            }
            blobs.adopt(&shared.folder().data_path(), &blob)?;
            Ok(true)
        });
        if is_whole.await? {
            let add = ClusterCommand::AddCopy { video, blob, node };
            self.handle.propose(Command::Cluster(add)).await?;
            info!(%video, %blob, "second copies of an upload became a copy of the original");
        }
        Ok(())
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
