//! Reads originals again, all of them about once in four weeks: disks lose bits without a word.
//!
//! A damaged copy is given up, and fetched anew like any that is missing. The last copy stays as it
//! is: bad bytes are better than none, and a person hears of it.

use std::time::Duration;

use coordinator::catalog::Command;
use coordinator::catalog::cluster::ClusterCommand;
use coordinator::raft::Handle;
use protocol::id::{BlobHash, VideoId};
use protocol::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::blob::Store;

/// All originals are read in about this time, whenever the node was started.
const ROUND: Duration = Duration::from_hours(28 * 24);
const PAUSE_MIN: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_hours(6);

pub(super) async fn run(
    catalog: Handle,
    store: Store,
    clock: impl Fn() -> Timestamp + Send,
    shutdown: CancellationToken,
) {
    let work = async {
        loop {
            let held = list(&store).await;
            let pause = ROUND / u32::try_from(held.len().max(1)).unwrap_or(u32::MAX);
            tokio::time::sleep(pause.clamp(PAUSE_MIN, PAUSE_MAX)).await;
            if let Some(hash) = draw(&held, clock()) {
                check(&catalog, &store, hash).await;
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

async fn list(store: &Store) -> Vec<BlobHash> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || store.list()).await {
        Ok(Ok(held)) => held,
        Ok(Err(error)) => {
            warn!(%error, "originals cannot be listed");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

/// Drawn, rather than one after the other: a node that is started often would never get to the end.
fn draw(held: &[BlobHash], at: Timestamp) -> Option<BlobHash> {
    let lot = BlobHash::of(&at.as_millis().to_be_bytes());
    let number = u64::from_be_bytes(*lot.as_bytes().first_chunk()?);
    let count = u64::try_from(held.len()).ok()?;
    let index = usize::try_from(number.checked_rem(count)?).ok()?;
    held.get(index).copied()
}

/// Reads one original; what is damaged and held elsewhere too is given up.
async fn check(catalog: &Handle, store: &Store, hash: BlobHash) {
    let verify = store.clone();
    match tokio::task::spawn_blocking(move || verify.verify(&hash)).await {
        Ok(Ok(true)) => return debug!(blob = %hash, "original is as it was"),
        Ok(Ok(false)) => {}
        Ok(Err(error)) => return warn!(blob = %hash, %error, "original cannot be read"),
        Err(_) => return,
    }
    error!(blob = %hash, "an original on this node's disk is damaged; look at the disk");
    let node = catalog.node();
    let videos: Vec<VideoId> = catalog.read(|catalog| {
        let videos = catalog.videos_of_blob(&hash);
        videos
            .filter(|video| video.copies.contains(&node))
            .map(|video| video.id)
            .collect()
    });
    for video in videos {
        let drop_copy = ClusterCommand::DropCopy {
            video,
            blob: hash,
            node,
        };
        if let Err(error) = catalog.propose(Command::Cluster(drop_copy)).await {
            error!(%video, blob = %hash, %error, "the damaged original stays");
            return;
        }
    }
    let remove = store.clone();
    match tokio::task::spawn_blocking(move || remove.remove(&hash)).await {
        Ok(Ok(())) => {
            info!(blob = %hash, "the damaged original is removed and will be fetched anew");
        }
        Ok(Err(error)) => warn!(blob = %hash, %error, "a damaged original cannot be removed"),
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use coordinator::catalog::node::{Node, Role};
    use protocol::id::{NodeId, UploadId};

    use super::*;

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    /// An original on this node, damaged, and a video that names it.
    async fn damaged(dir: &std::path::Path) -> (Handle, Store, BlobHash, VideoId) {
        let store = Store::open(dir.join("blobs")).unwrap();
        let hash = BlobHash::of(b"original");
        let from = dir.join("from");
        std::fs::write(&from, b"original").unwrap();
        let path = store.adopt(&from, &hash).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, b"orig1nal").unwrap();
        let catalog = Handle::in_memory(ME);
        let at = Timestamp::from_millis(1);
        let (upload, video) = (UploadId::derived(at, 1, 0), VideoId::derived(at, 2, 0));
        let node = |id: NodeId| Command::AnnounceNode {
            node: Box::new(Node {
                id,
                name: format!("n{id}"),
                site: String::new(),
                role: Role::Voter,
                version: String::new(),
                slots: 1,
                cpu_cores: 1,
                encoders: Vec::new(),
                sandbox: String::new(),
                address: String::new(),
                draining: false,
                announced_at: at,
                removed_at: None,
            }),
        };
        let commands = [
            node(ME),
            node(OTHER),
            Command::OpenUpload {
                upload,
                video,
                filename: "a.mov".to_owned(),
                size_bytes: 8,
                node: ME,
            },
            Command::CompleteUpload {
                upload,
                blob: hash,
                node: ME,
            },
        ];
        for command in commands {
            catalog.propose(command).await.unwrap();
        }
        (catalog, store, hash, video)
    }

    fn copies(catalog: &Handle, video: VideoId) -> Vec<NodeId> {
        catalog.read(|catalog| catalog.video(video).unwrap().copies.clone())
    }

    #[tokio::test]
    async fn a_damaged_copy_is_given_up_and_the_last_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (catalog, store, hash, video) = damaged(dir.path()).await;
        check(&catalog, &store, hash).await;
        assert!(store.contains(&hash), "it is the only one");
        assert_eq!(copies(&catalog, video), [ME]);
        let add = ClusterCommand::AddCopy {
            video,
            blob: hash,
            node: OTHER,
        };
        catalog.propose(Command::Cluster(add)).await.unwrap();
        check(&catalog, &store, hash).await;
        assert!(!store.contains(&hash));
        assert_eq!(copies(&catalog, video), [OTHER]);
    }

    #[test]
    fn every_original_gets_its_turn() {
        let held: Vec<BlobHash> = (0..20_u8).map(|n| BlobHash::of(&[n])).collect();
        let drawn: std::collections::BTreeSet<BlobHash> = (0..400)
            .filter_map(|millis| draw(&held, Timestamp::from_millis(millis)))
            .collect();
        assert_eq!(drawn.len(), held.len());
        assert_eq!(draw(&[], Timestamp::default()), None);
    }
}
