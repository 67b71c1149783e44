//! Both ends of the exchange of originals between nodes.
//!
//! Parts of 4 MiB are asked for one stream each, some at once, and written in order, so that a
//! transfer that broke off goes on where it stopped. The hash of the whole is computed from the
//! disk before the file enters the store: a peer cannot give what it does not have.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coordinator::raft;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use protocol::blob::{Have, MESSAGE_MAX, PART_BYTES, Want};
use protocol::id::{BlobHash, ClusterId, NodeId};
use protocol::version::peer_name;
use quinn::{Connection, RecvStream, SendStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::{Store, store};
use crate::transport::{Admit, DialError, Handler, Pool, stream as frames};

/// Parts asked for at once: one stream has a small window.
const PARTS_AT_ONCE: usize = 4;
const FRAME_WITHIN: Duration = Duration::from_secs(10);
/// One part over a slow link.
const PART_WITHIN: Duration = Duration::from_mins(1);
/// Transfers of so many bytes tell how fast a link is.
const SPEED_MIN_BYTES: u64 = 4 << 20;
/// Bytes read from the disk at once.
const READ_BYTES: usize = 256 << 10;

/// Why an original could not be brought here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no video has the original {0} any more")]
    Unwanted(BlobHash),
    #[error("no node that has the original can be reached: {0}")]
    NoHolder(String),
    #[error(
        "the original has {size_bytes} bytes, but only {free_bytes} bytes are free on this node"
    )]
    NoSpace { size_bytes: u64, free_bytes: u64 },
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Why one holder did not give it.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    #[error(transparent)]
    Frame(#[from] frames::Error),
    #[error("it does not have it")]
    Missing,
    #[error("it sent other bytes than asked for")]
    Wrong,
    #[error("it is silent")]
    Silent,
    #[error(transparent)]
    Here(#[from] Error),
}

/// Brings originals to this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    catalog: raft::Handle,
    peers: Option<(ClusterId, Pool)>,
    /// Where parts gather, on the store's file system.
    folder: PathBuf,
    reserve_bytes: u64,
    /// How fast they come, in bytes a second; 0: none has come.
    link: Arc<AtomicU64>,
    /// Held by whoever brings one.
    under_way: Mutex<BTreeMap<BlobHash, Weak<tokio::sync::Mutex<()>>>>,
}

impl Fetcher {
    /// Leaves `reserve_bytes` free on the disk.
    ///
    /// # Errors
    /// The folder for what is under way cannot be made.
    pub fn new(
        store: Store,
        catalog: raft::Handle,
        cluster: ClusterId,
        pool: Pool,
        reserve_bytes: u64,
    ) -> Result<Self, Error> {
        let folder = store.root().join("incoming");
        fs::create_dir_all(&folder).map_err(io("cannot make", &folder))?;
        Ok(Self::with(
            store,
            catalog,
            Some((cluster, pool)),
            folder,
            reserve_bytes,
        ))
    }

    /// One that has no peers: what is not here cannot be brought.
    pub fn alone(store: Store, catalog: raft::Handle) -> Self {
        let folder = store.root().join("incoming");
        Self::with(store, catalog, None, folder, 0)
    }

    fn with(
        store: Store,
        catalog: raft::Handle,
        peers: Option<(ClusterId, Pool)>,
        folder: PathBuf,
        reserve_bytes: u64,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                catalog,
                peers,
                folder,
                reserve_bytes,
                link: Arc::default(),
                under_way: Mutex::default(),
            }),
        }
    }

    /// How fast originals come from other nodes, in bytes a second; 0: none has come yet.
    pub fn link(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.link)
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Makes sure that the original is here, whole and verified.
    ///
    /// # Errors
    /// No holder gives it, or this disk cannot take it.
    pub async fn ensure(&self, hash: BlobHash) -> Result<(), Error> {
        if self.inner.store.contains(&hash) {
            return Ok(());
        }
        let turn = {
            let mut under_way = self.inner.under_way.lock().expect("never poisoned");
            under_way.retain(|_, turn| turn.strong_count() > 0);
            let known = under_way.get(&hash).and_then(Weak::upgrade);
            let turn = known.unwrap_or_default();
            under_way.insert(hash, Arc::downgrade(&turn));
            turn
        };
        let _turn = turn.lock().await;
        if self.inner.store.contains(&hash) {
            return Ok(());
        }
        self.bring(hash).await
    }

    async fn bring(&self, hash: BlobHash) -> Result<(), Error> {
        let (size_bytes, holders) = self.holders(hash)?;
        let free_bytes = self.inner.store.space()?.free_bytes;
        if size_bytes.saturating_add(self.inner.reserve_bytes) > free_bytes {
            return Err(Error::NoSpace {
                size_bytes,
                free_bytes: free_bytes.saturating_sub(self.inner.reserve_bytes),
            });
        }
        let mut failed = Vec::new();
        for (node, address) in holders {
            match self.bring_from(hash, size_bytes, node, &address).await {
                Ok(()) => {
                    info!(blob = %hash, from = %node, size_bytes, "original brought here");
                    return Ok(());
                }
                Err(Failed::Here(error)) => return Err(error),
                Err(error) => {
                    debug!(blob = %hash, from = %node, %error, "original not given");
                    failed.push(format!("node {node}: {error}"));
                }
            }
        }
        Err(Error::NoHolder(failed.join("; ")))
    }

    /// Size of the original, and where it lies: the nodes of this site first.
    fn holders(&self, hash: BlobHash) -> Result<(u64, Vec<(NodeId, String)>), Error> {
        let me = self.inner.catalog.node();
        self.inner.catalog.read(|catalog| {
            let video = catalog
                .videos_of_blob(&hash)
                .next()
                .ok_or(Error::Unwanted(hash))?;
            let site = catalog.node(me).map(|node| node.site.clone());
            let mut holders: Vec<_> = video
                .copies
                .iter()
                .filter(|&&holder| holder != me)
                .filter_map(|holder| catalog.node(*holder))
                .filter(|node| !node.address.is_empty())
                .collect();
            holders.sort_by_key(|node| (Some(&node.site) != site.as_ref(), node.id));
            let holders = holders.iter().map(|node| (node.id, node.address.clone()));
            Ok((video.size_bytes, holders.collect()))
        })
    }

    /// A short transfer says little about a link; of the others, the newest counts a quarter.
    fn note_speed(&self, bytes: u64, took: Duration) {
        if bytes < SPEED_MIN_BYTES {
            return;
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let new = bytes.saturating_mul(1_000_000) / micros;
        let link = &self.inner.link;
        let known = link.load(Ordering::Relaxed);
        let speed = if known == 0 {
            new
        } else {
            known / 4 * 3 + new / 4
        };
        link.store(speed.max(1), Ordering::Relaxed);
    }

    async fn bring_from(
        &self,
        hash: BlobHash,
        size_bytes: u64,
        node: NodeId,
        address: &str,
    ) -> Result<(), Failed> {
        let connection = self.connect(node, address).await?;
        let path = self.inner.folder.join(format!("{hash}.part"));
        let begin = {
            let path = path.clone();
            blocking(move || begun(&path, size_bytes)).await?
        };
        let started = Instant::now();
        let offsets = (begin..size_bytes).step_by(usize::try_from(PART_BYTES).expect("4 MiB"));
        let parts = stream::iter(offsets)
            .map(|offset| part(&connection, hash, offset, size_bytes))
            .buffered(PARTS_AT_ONCE);
        tokio::pin!(parts);
        while let Some(bytes) = parts.next().await {
            let bytes = bytes?;
            let path = path.clone();
            blocking(move || {
                let mut file = File::options()
                    .append(true)
                    .open(&path)
                    .map_err(io("cannot open", &path))?;
                file.write_all(&bytes).map_err(io("cannot write", &path))
            })
            .await?;
        }
        self.note_speed(size_bytes.saturating_sub(begin), started.elapsed());
        let store = self.inner.store.clone();
        let entered = blocking(move || {
            if hash_of(&path)? == hash {
                store.adopt(&path, &hash)?;
                return Ok(true);
            }
            fs::remove_file(&path).map_err(io("cannot remove", &path))?;
            Ok(false)
        });
        if entered.await? {
            return Ok(());
        }
        warn!(blob = %hash, from = %node, "an original arrived damaged and was thrown away");
        Err(Failed::Wrong)
    }

    async fn connect(&self, node: NodeId, address: &str) -> Result<Connection, Failed> {
        let (cluster, pool) = self.inner.peers.as_ref().ok_or(Failed::Missing)?;
        let name = peer_name(node, *cluster);
        Ok(pool.connection(address, &name).await?)
    }

    /// A part of an original that is not here, from a node that has it.
    ///
    /// # Errors
    /// No holder gives it.
    pub async fn read(&self, hash: BlobHash, offset: u64, length: u64) -> Result<Bytes, Error> {
        let (size_bytes, holders) = self.holders(hash)?;
        let end = size_bytes.min(offset.saturating_add(length.min(PART_BYTES)));
        let mut failed = Vec::new();
        for (node, address) in holders {
            let read = async {
                let connection = self.connect(node, &address).await?;
                part(&connection, hash, offset, end).await
            };
            match read.await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => failed.push(format!("node {node}: {error}")),
            }
        }
        Err(Error::NoHolder(failed.join("; ")))
    }
}

/// How many bytes of an earlier try are there; a file that cannot be right begins anew.
fn begun(path: &Path, size_bytes: u64) -> Result<u64, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(io("cannot make", path))?;
    let there = file.metadata().map_err(io("cannot look at", path))?.len();
    let whole = there - there % PART_BYTES;
    let keep = if there > size_bytes { 0 } else { whole };
    if keep != there {
        file.set_len(keep).map_err(io("cannot cut", path))?;
    }
    Ok(keep)
}

async fn part(
    connection: &Connection,
    blob: BlobHash,
    offset: u64,
    end: u64,
) -> Result<Bytes, Failed> {
    let wanted = PART_BYTES.min(end - offset);
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await?;
        let want = Want {
            blob,
            offset,
            length: wanted,
        };
        frames::write_frame(&mut send, &want, FRAME_WITHIN).await?;
        drop(send.finish());
        let have: Have = frames::read_frame(&mut receive, MESSAGE_MAX, FRAME_WITHIN).await?;
        match have {
            Have::Missing => return Err(Failed::Missing),
            Have::Found { length, .. } if length != wanted => return Err(Failed::Wrong),
            Have::Found { .. } => {}
        }
        let limit = usize::try_from(wanted).expect("at most a part");
        match receive.read_to_end(limit).await {
            Ok(bytes) if bytes.len() == limit => Ok(Bytes::from(bytes)),
            _ => Err(Failed::Wrong),
        }
    };
    match tokio::time::timeout(PART_WITHIN, exchange).await {
        Ok(result) => result,
        Err(_) => Err(Failed::Silent),
    }
}

fn hash_of(path: &Path) -> Result<BlobHash, Error> {
    let mut file = File::open(path).map_err(io("cannot open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = file.read(&mut buffer).map_err(io("cannot read", path))?;
        if count == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&buffer[..count]);
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: whoever waits is about to be dropped too.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Gives originals to other nodes.
pub struct Server {
    pub store: Store,
    pub admit: Admit,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    async fn serve(&self, connection: Connection) {
        let Some(node) = (self.admit)(&connection) else {
            return;
        };
        let tasks = TaskTracker::new();
        while let Ok((send, receive)) = connection.accept_bi().await {
            let store = self.store.clone();
            tasks.spawn(async move {
                if let Err(error) = give(store, send, receive).await {
                    debug!(%node, %error, "part of an original not given");
                }
            });
        }
    }
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            shutdown.run_until_cancelled(self.serve(connection)).await;
        })
    }
}

async fn give(
    store: Store,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), frames::Error> {
    let want: Want = frames::read_frame(&mut receive, MESSAGE_MAX, FRAME_WITHIN).await?;
    let opened = tokio::task::spawn_blocking(move || {
        let file = store.open_blob(&want.blob).ok()?;
        let size_bytes = file.metadata().ok()?.len();
        Some((Arc::new(file), size_bytes))
    });
    let Some((file, size_bytes)) = opened.await.ok().flatten() else {
        frames::write_frame(&mut send, &Have::Missing, FRAME_WITHIN).await?;
        drop(send.finish());
        return Ok(());
    };
    let begin = want.offset.min(size_bytes);
    let length = want.length.min(PART_BYTES).min(size_bytes - begin);
    let have = Have::Found { size_bytes, length };
    frames::write_frame(&mut send, &have, FRAME_WITHIN).await?;
    let mut offset = begin;
    while offset < begin + length {
        let count = (begin + length - offset).min(READ_BYTES as u64);
        let file = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(count).expect("a buffer")];
            file.read_exact_at(&mut bytes, offset).ok()?;
            Some(Bytes::from(bytes))
        });
        // A disk that fails here cuts the stream short, and the peer asks another node.
        let Some(bytes) = read.await.ok().flatten() else {
            drop(send.reset(1_u32.into()));
            return Ok(());
        };
        offset += count;
        tokio::time::timeout(PART_WITHIN, send.write_chunk(bytes))
            .await
            .map_err(|_| frames::Error::Deadline)??;
    }
    drop(send.finish());
    Ok(())
}

#[cfg(test)]
mod tests {
    use coordinator::catalog::Command;
    use coordinator::catalog::cluster::ClusterCommand;
    use coordinator::catalog::node::{Node, Role};
    use protocol::id::{UploadId, VideoId};
    use protocol::time::Timestamp;
    use protocol::version::BLOB;

    use super::*;
    use crate::auth::authority::Identity;
    use crate::transport::{Router, bind};

    const HOLDER: NodeId = NodeId(1);
    const ME: NodeId = NodeId(2);

    struct World {
        dir: tempfile::TempDir,
        holder: Store,
        fetcher: Fetcher,
        hash: BlobHash,
        shutdown: CancellationToken,
        served: tokio::task::JoinHandle<()>,
    }

    /// Two stores and a connection between them; the holder has `bytes`, whatever it says.
    async fn world(bytes: &[u8], said: &[u8]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::open(&dir.path().join("tls")).unwrap();
        let store = |name: &str| Store::open(dir.path().join(name)).unwrap();
        let (holder, mine) = (store("holder"), store("mine"));
        let hash = BlobHash::of(said);
        let from = dir.path().join("original");
        fs::write(&from, bytes).unwrap();
        holder.adopt(&from, &hash).unwrap();

        let any = "127.0.0.1:0".parse().unwrap();
        let tls = identity.server_config(vec![BLOB.to_vec()]).unwrap();
        let endpoint = bind(any, tls, identity.reset_secret()).unwrap();
        let address = endpoint.local_addr().unwrap().to_string();
        let server = Server {
            store: holder.clone(),
            admit: Box::new(|_| Some(ME)),
        };
        let shutdown = CancellationToken::new();
        let router = Router::default().route(BLOB, Arc::new(server));
        let served = tokio::spawn(router.run(endpoint.clone(), shutdown.clone()));

        let catalog = raft::Handle::in_memory(ME);
        let at = Timestamp::from_millis(1);
        let upload = UploadId::derived(at, 1, 0);
        let node = |id: NodeId, address: &str| Command::AnnounceNode {
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
                address: address.to_owned(),
                draining: false,
                announced_at: at,
                removed_at: None,
            }),
        };
        let video = VideoId::derived(at, 2, 0);
        let commands = [
            node(HOLDER, &address),
            node(ME, "127.0.0.1:1"),
            Command::OpenUpload {
                upload,
                video,
                filename: "a.mov".to_owned(),
                size_bytes: said.len() as u64,
                node: HOLDER,
            },
            Command::CompleteUpload {
                upload,
                blob: hash,
                node: HOLDER,
            },
            // One that is listed first and does not answer.
            Command::Cluster(ClusterCommand::AddCopy {
                video,
                blob: hash,
                node: ME,
            }),
        ];
        for command in commands {
            catalog.propose(command).await.unwrap();
        }
        let tls = identity.peer_config(BLOB).unwrap();
        let pool = Pool::new(endpoint, tls).unwrap();
        let fetcher = Fetcher::new(mine, catalog, identity.cluster(), pool, 0).unwrap();
        World {
            dir,
            holder,
            fetcher,
            hash,
            shutdown,
            served,
        }
    }

    impl World {
        async fn end(self) {
            self.shutdown.cancel();
            self.served.await.unwrap();
        }

        fn part(&self) -> PathBuf {
            let name = format!("{}.part", self.hash);
            self.fetcher.store().root().join("incoming").join(name)
        }
    }

    fn original() -> Vec<u8> {
        (0..9_000_000_u32).map(|n| (n % 251) as u8).collect()
    }

    #[tokio::test]
    async fn an_original_is_brought_whole_and_read_in_parts() {
        let bytes = original();
        let world = world(&bytes, &bytes).await;
        let tail = world
            .fetcher
            .read(world.hash, 8_999_990, 100)
            .await
            .unwrap();
        assert_eq!(tail, bytes[8_999_990..]);
        // Two who ask at once bring it once.
        let (one, two) = tokio::join!(
            world.fetcher.ensure(world.hash),
            world.fetcher.ensure(world.hash)
        );
        one.unwrap();
        two.unwrap();
        assert!(world.fetcher.store().verify(&world.hash).unwrap());
        assert!(!world.part().exists());
        world.end().await;
    }

    #[tokio::test]
    async fn a_transfer_that_broke_off_goes_on_and_a_wrong_beginning_is_noticed() {
        let bytes = original();
        let world = world(&bytes, &bytes).await;
        let half = usize::try_from(PART_BYTES).unwrap() + 1000;
        fs::write(world.part(), &bytes[..half]).unwrap();
        world.fetcher.ensure(world.hash).await.unwrap();
        assert!(world.fetcher.store().verify(&world.hash).unwrap());
        world.fetcher.store().remove(&world.hash).unwrap();
        fs::write(world.part(), vec![7; half]).unwrap();
        let wrong = world.fetcher.ensure(world.hash).await;
        assert!(matches!(wrong, Err(Error::NoHolder(_))), "{wrong:?}");
        assert!(!world.fetcher.store().contains(&world.hash));
        world.fetcher.ensure(world.hash).await.unwrap();
        world.end().await;
    }

    #[tokio::test]
    async fn a_holder_with_other_bytes_or_none_is_not_believed() {
        let bytes = original();
        let mut rotten = bytes.clone();
        rotten[5_000_000] ^= 1;
        let world = world(&rotten, &bytes).await;
        let refused = world.fetcher.ensure(world.hash).await;
        assert!(matches!(refused, Err(Error::NoHolder(_))), "{refused:?}");
        assert!(!world.fetcher.store().contains(&world.hash));
        world.holder.remove(&world.hash).unwrap();
        let missing = world.fetcher.ensure(world.hash).await.unwrap_err();
        assert!(
            missing.to_string().contains("does not have it"),
            "{missing}"
        );
        assert!(world.dir.path().exists());
        world.end().await;
    }
}
