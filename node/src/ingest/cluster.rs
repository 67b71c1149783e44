//! Uploads beyond this node: which node a client should use, where an upload was begun, what the
//! cluster has already.

use std::os::unix::fs::FileExt;

use coordinator::catalog::Command;
use coordinator::catalog::Reply;
use coordinator::catalog::ingest::IngestCommand;
use coordinator::catalog::node::Role;
use coordinator::catalog::upload::Upload;
use futures::StreamExt;
use futures::TryStreamExt;
use protocol::id::{BlobHash, ClusterId, NodeId, VideoId};
use protocol::time::Span;
use protocol::upload::{
    FileKey, Known, Layout, Outlook, PEERS_MAX, PeerAddress, Proof, display_name,
};
use tokio::sync::watch;
use tracing::{info, warn};

use super::live::Live;
use super::registry::Handle;
use super::session::{Meta, Session, Stage};
use super::shape::Shape;
use super::{Error, blocking, now};
use crate::blob::Fetcher;
use crate::transport::Pool;
use crate::vitals;

/// A node that was silent for so long is not sent clients to.
const AWAY: Span = Span::from_secs(6);

/// Parts of an original that are asked of another node at once.
const PARTS_AT_ONCE: usize = 8;

/// How this node deals with the others.
#[derive(Debug, Clone)]
pub struct Peers {
    pub cluster: ClusterId,
    /// Connections for copies of chunks.
    pub pool: Pool,
    /// How the nodes are.
    pub fleet: watch::Receiver<vitals::Table>,
    pub originals: Fetcher,
    /// Of this node's web page.
    pub http_port: u16,
}

impl Handle {
    /// What a client that has a file of `size_bytes` needs to know to choose a node.
    ///
    /// # Errors
    /// The disk cannot be looked at.
    pub fn outlook(&self, size_bytes: u64) -> Result<Outlook, Error> {
        let inner = self.inner();
        let me = inner.catalogue.node();
        let space = inner.blobs.space()?;
        let uploads = self.progress().borrow().len();
        let fleet = inner
            .peers
            .as_ref()
            .map(|peers| peers.fleet.borrow().clone());
        let load = fleet.and_then(|fleet| Some(fleet.get(&me)?.cpu_permille));
        let outlook = inner.catalogue.read(|catalogue| {
            let node = catalogue.node(me);
            let peers = catalogue
                .members()
                .filter(|node| node.id != me && node.role != Role::Worker)
                .filter(|node| !node.address.is_empty() && self.is_up(node.id))
                .take(PEERS_MAX)
                .map(|node| PeerAddress {
                    node: node.name.clone(),
                    address: node.address.clone(),
                })
                .collect();
            Outlook {
                node: node.map(|node| node.name.clone()).unwrap_or_default(),
                site: node.map(|node| node.site.clone()).unwrap_or_default(),
                free_bytes: space.free_bytes.saturating_sub(inner.options.reserve_bytes),
                uploads: u32::try_from(uploads).unwrap_or(u32::MAX),
                cpu_permille: load.unwrap_or(0),
                is_closed: node.is_some_and(|node| node.draining || node.role == Role::Worker),
                http_port: inner.peers.as_ref().map_or(0, |peers| peers.http_port),
                has_twin: catalogue.has_original_of_size(size_bytes),
                peers,
            }
        });
        Ok(outlook)
    }

    /// Makes a video of bytes that the cluster has, for somebody who has them too.
    ///
    /// `secret` is what both ends of the connection know and nobody else. `None`: no original has
    /// this hash, or the proof does not hold; which of the two is not told.
    ///
    /// # Errors
    /// The catalogue or the disk fails.
    pub async fn known(
        &self,
        known: &Known,
        secret: &[u8; 32],
    ) -> Result<Option<(VideoId, bool)>, Error> {
        // Nobody has shown a token yet: the file is asked for by `Open`, which brings one.
        if self.options().require_token {
            return Ok(None);
        }
        let filename = display_name(&known.filename, self.options().filename_chars as usize)?;
        let inner = self.inner();
        let exists = inner.catalogue.read(|catalogue| {
            let mut videos = catalogue.videos_of_blob(&known.hash);
            videos.any(|video| video.size_bytes == known.size_bytes)
        });
        if !exists || !self.proves(known, secret).await {
            return Ok(None);
        }
        let video = VideoId::from_uuid(uuid::Uuid::now_v7());
        let adopt = IngestCommand::Adopt {
            video,
            filename,
            size_bytes: known.size_bytes,
            blob: known.hash,
        };
        match inner.catalogue.propose(Command::Ingest(adopt)).await? {
            Reply::UploadCompleted { video: made } => {
                info!(video = %made, blob = %known.hash, "file was in the cluster, nothing was sent");
                Ok(Some((made, made != video)))
            }
            _ => Ok(None),
        }
    }

    async fn proves(&self, known: &Known, secret: &[u8; 32]) -> bool {
        if known.size_bytes == 0 {
            return false;
        }
        let parts = Proof::parts(secret, known.size_bytes);
        match self.parts_of(known.hash, parts).await {
            Ok(bytes) => Proof::new(secret, &known.hash, &bytes) == known.proof,
            Err(error) => {
                warn!(blob = %known.hash, %error, "an original cannot be read, so the file is sent again");
                false
            }
        }
    }

    /// Parts of an original, from here or from a node that has it.
    async fn parts_of(&self, hash: BlobHash, parts: Vec<(u64, u32)>) -> Result<Vec<u8>, Error> {
        let inner = self.inner();
        if inner.blobs.contains(&hash) {
            let blobs = inner.blobs.clone();
            return blocking(move || {
                let file = blobs.open_blob(&hash)?;
                let mut bytes = Vec::new();
                for (offset, length) in parts {
                    let at = bytes.len();
                    bytes.resize(at + length as usize, 0);
                    file.read_exact_at(&mut bytes[at..], offset)
                        .map_err(|error| Error::Invalid(error.to_string()))?;
                }
                Ok(bytes)
            })
            .await;
        }
        let Some(peers) = &inner.peers else {
            return Err(Error::Blob(crate::blob::Error::NotFound(hash)));
        };
        let parts: Vec<_> = futures::stream::iter(parts)
            .map(|(offset, length)| peers.originals.read(hash, offset, length.into()))
            .buffered(PARTS_AT_ONCE)
            .try_collect()
            .await
            .map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(parts.concat())
    }

    /// The upload of this very file, if the cluster knows of one.
    pub(super) fn begun(&self, key: &FileKey) -> Option<Upload> {
        let catalogue = &self.inner().catalogue;
        catalogue.read(|catalogue| catalogue.upload_by_key(key).cloned())
    }

    /// Whether a node has been heard of just now. This one is always up.
    pub(super) fn is_up(&self, node: NodeId) -> bool {
        let inner = self.inner();
        if node == inner.catalogue.node() {
            return true;
        }
        let Some(peers) = &inner.peers else {
            return false;
        };
        let fleet = peers.fleet.borrow();
        let heard = fleet.get(&node);
        heard.is_some_and(|vitals| now().since(vitals.at) < AWAY)
    }

    /// Names a node that is up and has the chunks of `open`, other than this one.
    pub(super) fn holder(&self, open: &Upload) -> Option<Error> {
        let catalogue = &self.inner().catalogue;
        let me = catalogue.node();
        let mirror = open.mirror.map(|mirror| mirror.node);
        [Some(open.node), mirror]
            .into_iter()
            .flatten()
            .filter(|&node| node != me && self.is_up(node))
            .find_map(|node| {
                catalogue.read(|catalogue| {
                    let node = catalogue.node(node)?;
                    (node.removed_at.is_none() && !node.address.is_empty()).then(|| {
                        Error::Elsewhere {
                            node: node.name.clone(),
                            address: node.address.clone(),
                        }
                    })
                })
            })
    }

    /// Makes this node the one at which `open` goes on.
    pub(super) async fn claim(&self, open: &Upload) -> Result<(), Error> {
        let to = self.inner().catalogue.node();
        let claim = IngestCommand::Move {
            upload: open.id,
            from: open.node,
            to,
        };
        self.propose(Command::Ingest(claim)).await?;
        info!(upload = %open.id, from = %open.node, "upload goes on here");
        Ok(())
    }

    /// A session for an upload that was begun at another node and of which nothing is here.
    pub(super) async fn copy_session(&self, open: &Upload) -> Result<std::sync::Arc<Live>, Error> {
        let gone = || Error::NotFound(open.id);
        let catalogue = &self.inner().catalogue;
        let video = catalogue
            .read(|catalogue| catalogue.video(open.video).cloned())
            .ok_or_else(gone)?;
        self.check_space(video.size_bytes)?;
        let meta = Meta {
            upload: open.id,
            video: open.video,
            key: open.key,
            filename: video.filename.clone(),
            metadata: None,
            size_bytes: video.size_bytes,
            created_at: now(),
            stage: Stage::Receiving,
            shape: Shape::Whole,
            owner: self
                .inner()
                .catalogue
                .read(|catalogue| catalogue.owner(open.video)),
        };
        let layout = Layout::new(meta.size_bytes).ok_or(Error::Empty)?;
        let (spool, on_disk) = (self.inner().spool.clone(), meta.clone());
        let folder = blocking(move || spool.create(&on_disk)).await?;
        let session = Session::new(layout, meta.created_at);
        Ok(self.insert(meta, session, folder, false))
    }
}
