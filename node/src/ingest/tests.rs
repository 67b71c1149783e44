//! Whole uploads in one process: a real endpoint on loopback, a real spool and store, a catalogue
//! in memory that outlives the node as a durable one would.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coordinator::catalog::video::Status;
use protocol::code::ErrorCode;
use protocol::id::{BlobHash, NodeId};
use protocol::upload::{CHUNK_SIZE, ChunkHash};
use protocol::version;
use quinn::{Connection, Endpoint};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::{self, Event, Finished, STREAMS, Source};
use super::spool::Spool;
use super::{Begin, Handle, Options, Service, quic, writer};
use crate::auth::authority::{self, Identity};
use crate::blob::Store;
use crate::transport::{self, Router};

const CHUNK: u64 = CHUNK_SIZE as u64;

/// What outlives a node: its disk and the catalogue.
struct World {
    dir: TempDir,
    catalogue: coordinator::raft::Handle,
}

/// A running node.
struct Node {
    handle: Handle,
    blobs: Store,
    address: SocketAddr,
    authority_pem: String,
    endpoint: Endpoint,
    shutdown: CancellationToken,
    router: JoinHandle<()>,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            catalogue: coordinator::raft::Handle::in_memory(NodeId(1)),
        }
    }

    fn start(&self) -> Node {
        let data = self.dir.path();
        let blobs = Store::open(data.join("blobs")).unwrap();
        let options = Options {
            reserve_bytes: 0,
            ..Options::default()
        };
        let spool = Spool::open(data.join("spool")).unwrap();
        let handle = Handle::open(options, spool, blobs.clone(), self.catalogue.clone()).unwrap();
        let identity = Identity::open(&data.join("tls")).unwrap();
        let server = Arc::new(quic::Server::new(handle.clone()));
        let router = Router::default().route(version::UPLOAD, server);
        let tls = identity.server_config(router.protocols()).unwrap();
        let endpoint =
            transport::bind(([127, 0, 0, 1], 0).into(), tls, identity.reset_secret()).unwrap();
        let shutdown = CancellationToken::new();
        Node {
            handle,
            blobs,
            address: endpoint.local_addr().unwrap(),
            authority_pem: identity.authority_pem().to_owned(),
            router: tokio::spawn(router.run(endpoint.clone(), shutdown.clone())),
            endpoint,
            shutdown,
        }
    }

    /// A file of `size` bytes, different for every `size`.
    fn file(&self, name: &str, size: u64) -> (PathBuf, BlobHash) {
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        blake3::Hasher::new()
            .update(&size.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let path = self.dir.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        (path, BlobHash::of(&bytes))
    }

    fn status(&self, finished: &Finished) -> Option<(Status, Option<BlobHash>)> {
        self.catalogue.read(|catalogue| {
            let video = catalogue.video(finished.video)?;
            Some((video.status, video.blob))
        })
    }
}

impl Node {
    async fn connect(&self) -> Connection {
        self.connect_by(self.address).await
    }

    /// Connects by way of `address`.
    async fn connect_by(&self, address: SocketAddr) -> Connection {
        let tls = authority::client_config(&self.authority_pem, version::UPLOAD).unwrap();
        let endpoint = transport::bind_client(address, tls).unwrap();
        let connecting = endpoint.connect(address, version::SERVER_NAME);
        connecting.unwrap().await.unwrap()
    }

    async fn upload(&self, path: &std::path::Path) -> Result<Finished, client::Error> {
        let source = Arc::new(Source::open(path).unwrap().expect("not empty"));
        client::upload(&self.connect().await, &source, false, |_| {}).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.router.await.unwrap();
    }

    /// As little goodbye as one process can give itself.
    async fn kill(self) {
        self.router.abort();
        self.endpoint.close(0_u32.into(), b"");
        drop(self.router.await);
    }
}

fn begin(filename: &str, size_bytes: u64) -> Begin<'_> {
    Begin {
        filename,
        size_bytes,
        ..Begin::default()
    }
}

#[tokio::test]
async fn a_file_becomes_a_video_under_its_hash() {
    let world = World::new();
    let node = world.start();
    for (name, size) in [
        ("one.mov", 1),
        ("exact.mov", CHUNK),
        ("影片.mov", 3 * CHUNK + 17),
    ] {
        let (path, hash) = world.file(name, size);
        let finished = node.upload(&path).await.unwrap();
        assert_eq!(finished.hash, hash);
        assert!(!finished.was_there && node.blobs.verify(&hash).unwrap());
        let (status, blob) = world.status(&finished).unwrap();
        assert_eq!((status, blob), (Status::Probing, Some(hash)));
    }
    assert!(node.handle.progress().borrow().is_empty());
    node.stop().await;
}

/// Files below `folder` that this process has open.
fn open_files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(folder))
        .collect()
}

#[tokio::test]
async fn a_finished_upload_holds_no_file_open() {
    let world = World::new();
    let node = world.start();
    let (path, _) = world.file("reel.mov", CHUNK + 1);
    node.upload(&path).await.unwrap();
    let none = Vec::<PathBuf>::new();
    assert_eq!(open_files(world.dir.path()), none);
    node.stop().await;
    let node = world.start();
    assert!(node.upload(&path).await.unwrap().was_there);
    assert_eq!(open_files(world.dir.path()), none);
    node.stop().await;
}

#[tokio::test]
async fn what_was_begun_over_http_goes_on_over_quic() {
    let world = World::new();
    let node = world.start();
    let (path, hash) = world.file("reel.mov", 3 * CHUNK + 17);
    let bytes = bytes::Bytes::from(std::fs::read(&path).unwrap());
    let sent = usize::try_from(CHUNK + 1000).unwrap();
    let opened = node
        .handle
        .begin(begin("reel.mov", 3 * CHUNK + 17))
        .await
        .unwrap();
    let piece = futures::stream::iter([Ok::<_, std::io::Error>(bytes.slice(..sent))]);
    writer::append(&opened.live, &opened.ticket.unwrap(), 0, piece)
        .await
        .unwrap();
    // One of the same name and length that is another file is left alone.
    let other = node
        .handle
        .begin(begin("reel.mov", 3 * CHUNK + 17))
        .await
        .unwrap();
    let piece = bytes::Bytes::from(vec![7; sent]);
    let piece = futures::stream::iter([Ok::<_, std::io::Error>(piece)]);
    writer::append(&other.live, &other.ticket.unwrap(), 0, piece)
        .await
        .unwrap();
    let source = Arc::new(Source::open(&path).unwrap().expect("not empty"));
    let resumed = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&resumed);
    let finished = client::upload(&node.connect().await, &source, false, move |event| {
        if let Event::Opened { resumed_bytes, .. } = event {
            seen.store(resumed_bytes, Ordering::Relaxed);
        }
    })
    .await
    .unwrap();
    assert_eq!(
        (finished.upload, finished.hash),
        (opened.live.upload(), hash)
    );
    assert_eq!(resumed.load(Ordering::Relaxed), CHUNK);
    node.stop().await;
}

#[tokio::test]
async fn what_was_begun_over_quic_goes_on_in_order() {
    let world = World::new();
    let node = world.start();
    let (path, hash) = world.file("reel.mov", 3 * CHUNK + 17);
    let bytes = bytes::Bytes::from(std::fs::read(&path).unwrap());
    let opened = node
        .handle
        .begin(begin("reel.mov", 3 * CHUNK + 17))
        .await
        .unwrap();
    let (live, ticket) = (opened.live, opened.ticket.unwrap());
    for index in [0, 2] {
        let start = usize::try_from(live.layout().offset(index)).unwrap();
        let chunk = bytes.slice(start..start + CHUNK_SIZE as usize);
        let hash = ChunkHash::of(live.layout(), index, &chunk);
        let piece = futures::stream::iter([Ok::<_, std::io::Error>(chunk)]);
        writer::put(&live, &ticket, index, hash, piece)
            .await
            .unwrap();
    }
    let opened = node.handle.take_over(live.upload()).await.unwrap();
    let rest = bytes.slice(CHUNK_SIZE as usize..);
    let piece = futures::stream::iter([Ok::<_, std::io::Error>(rest)]);
    let reached = writer::append(&live, &opened.ticket.unwrap(), CHUNK, piece).await;
    assert_eq!(reached.unwrap(), bytes.len() as u64);
    assert_eq!(node.handle.finish(&live, None).await.unwrap(), hash);
    node.stop().await;
}

#[tokio::test]
async fn a_second_upload_of_the_same_file_sends_nothing() {
    let world = World::new();
    let node = world.start();
    let (path, _) = world.file("reel.mov", CHUNK + 1);
    let first = node.upload(&path).await.unwrap();
    let second = node.upload(&path).await.unwrap();
    assert_eq!((second.video, second.was_there), (first.video, true));
    // Also after a restart, and until the video is deleted.
    node.stop().await;
    let node = world.start();
    assert!(node.upload(&path).await.unwrap().was_there);
    let delete = coordinator::catalog::Command::DeleteVideo { video: first.video };
    world.catalogue.propose(delete).await.unwrap();
    let again = node.upload(&path).await.unwrap();
    assert!(!again.was_there && again.video != first.video);
    node.stop().await;
}

#[tokio::test]
async fn after_a_kill_it_goes_on_and_nothing_acknowledged_is_sent_again() {
    let world = World::new();
    let (path, hash) = world.file("long.mov", 16 * CHUNK + 5);
    let node = world.start();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let killed = {
        let source = Arc::new(Source::open(&path).unwrap().unwrap());
        let connection = node.connect().await;
        let (stored, enough) = (Arc::clone(&acknowledged), CancellationToken::new());
        let (signal, victim) = (enough.clone(), connection.clone());
        let upload = tokio::spawn(async move {
            client::upload(&victim, &source, false, move |event| {
                if let Event::Stored { bytes } = event
                    && stored.fetch_add(bytes.into(), Ordering::SeqCst) >= 2 * CHUNK
                {
                    signal.cancel();
                }
            })
            .await
        });
        enough.cancelled().await;
        node.kill().await;
        upload.await.unwrap()
    };
    let error = killed.expect_err("the node was killed");
    assert!(error.is_retryable(), "{error:?}");

    let node = world.start();
    let source = Arc::new(Source::open(&path).unwrap().unwrap());
    let (resumed, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (resumed_by, sent_by) = (Arc::clone(&resumed), Arc::clone(&sent));
    let finished = client::upload(
        &node.connect().await,
        &source,
        false,
        move |event| match event {
            Event::Opened { resumed_bytes, .. } => {
                resumed_by.store(resumed_bytes, Ordering::SeqCst);
            }
            Event::Stored { bytes } => drop(sent_by.fetch_add(bytes.into(), Ordering::SeqCst)),
            Event::Verifying { .. } => {}
        },
    )
    .await
    .unwrap();
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    let resumed = resumed.load(Ordering::SeqCst);
    let sent = sent.load(Ordering::SeqCst);
    assert!(resumed >= acknowledged, "{resumed} of {acknowledged}");
    assert_eq!(resumed + sent, source.size_bytes());
    // What was sent the first time and again: at most what was under way.
    let twice = acknowledged + STREAMS as u64 * CHUNK - resumed;
    assert!(twice <= STREAMS as u64 * CHUNK);
    assert_eq!(finished.hash, hash);
    assert!(node.blobs.verify(&hash).unwrap());
    node.stop().await;
}

#[tokio::test]
async fn rotten_chunks_are_asked_for_again() {
    use std::os::unix::fs::FileExt;
    let world = World::new();
    let node = world.start();
    let (path, hash) = world.file("rot.mov", 3 * CHUNK);
    let source = Arc::new(Source::open(&path).unwrap().unwrap());
    let connection = node.connect().await;
    let live = Arc::new(std::sync::Mutex::new(None::<PathBuf>));
    let (spool, seen) = (world.dir.path().join("spool"), Arc::clone(&live));
    // Damages the first chunk as soon as everything has been acknowledged.
    let stored = AtomicU64::new(0);
    let result = client::upload(&connection, &source, false, move |event| match event {
        Event::Opened { upload, .. } => {
            *seen.lock().unwrap() = Some(spool.join(upload.to_string()).join("data"));
        }
        Event::Stored { bytes } => {
            let all = stored.fetch_add(bytes.into(), Ordering::SeqCst) + u64::from(bytes);
            if all == 3 * CHUNK {
                let path = seen.lock().unwrap().clone().unwrap();
                let data = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                data.write_all_at(b"rot", 10).unwrap();
            }
        }
        Event::Verifying { .. } => {}
    })
    .await;
    let client::Error::Refused(refused) = result.unwrap_err() else {
        panic!("the node must refuse");
    };
    assert_eq!(refused.code, ErrorCode::Incomplete);
    let finished = client::upload(&connection, &source, false, |_| {})
        .await
        .unwrap();
    assert_eq!(finished.hash, hash);
    assert!(node.blobs.verify(&hash).unwrap());
    node.stop().await;
}

#[tokio::test]
async fn a_crash_between_adoption_and_catalogue_is_mended_at_start() {
    let world = World::new();
    let (path, hash) = world.file("crash.mov", CHUNK + 9);
    let node = world.start();
    // All chunks are in, and the file has moved, but the catalogue has not heard of it.
    let opened = node
        .handle
        .begin(begin("crash.mov", CHUNK + 9))
        .await
        .unwrap();
    let bytes = bytes::Bytes::from(std::fs::read(&path).unwrap());
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    let ticket = opened.ticket.unwrap();
    let offset = writer::append(&opened.live, &ticket, 0, stream)
        .await
        .unwrap();
    assert_eq!(offset, CHUNK + 9);
    opened
        .live
        .set_stage(super::session::Stage::Adopting(hash))
        .unwrap();
    node.blobs
        .adopt(&opened.live.folder().data_path(), &hash)
        .unwrap();
    let video = opened.live.video();
    drop(opened.live);
    node.kill().await;

    let node = world.start();
    Service::new(node.handle.clone()).reconcile().await.unwrap();
    let blob = world
        .catalogue
        .read(|catalogue| catalogue.video(video).unwrap().blob);
    assert_eq!(blob, Some(hash));
    node.stop().await;
}

/// All bytes of an upload that came in order are on disk, and its sender is gone.
async fn received(node: &Node, path: &std::path::Path) -> Arc<super::live::Live> {
    let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
    let begin = begin("all.mov", bytes.len() as u64);
    let opened = node.handle.begin(begin).await.unwrap();
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    let ticket = opened.ticket.unwrap();
    writer::append(&opened.live, &ticket, 0, stream)
        .await
        .unwrap();
    opened.live
}

#[tokio::test]
async fn an_upload_whose_last_byte_came_before_a_crash_is_finished_at_start() {
    let world = World::new();
    let (path, hash) = world.file("all.mov", CHUNK + 9);
    let node = world.start();
    let video = received(&node, &path).await.video();
    node.kill().await;
    let node = world.start();
    Service::new(node.handle.clone()).reconcile().await.unwrap();
    let blob = world
        .catalogue
        .read(|catalogue| catalogue.video(video).unwrap().blob);
    assert_eq!(blob, Some(hash));
    node.stop().await;
}

#[tokio::test]
async fn an_upload_whose_bytes_were_removed_by_hand_is_not_tried_for_ever() {
    let world = World::new();
    let (path, hash) = world.file("all.mov", 10);
    let node = world.start();
    let live = received(&node, &path).await;
    live.set_stage(super::session::Stage::Adopting(hash))
        .unwrap();
    std::fs::remove_file(live.folder().data_path()).unwrap();
    Service::new(node.handle.clone()).reconcile().await.unwrap();
    assert!(node.handle.find(live.upload()).is_err());
    let left = world.catalogue.read(|catalogue| catalogue.videos().count());
    assert_eq!(left, 0);
    node.stop().await;
}

#[tokio::test]
async fn an_upload_whose_client_leaves_while_it_is_opened_is_not_forgotten() {
    let world = World::new();
    let node = world.start();
    {
        let opening = node.handle.begin(begin("left.mov", CHUNK));
        let mut opening = std::pin::pin!(opening);
        assert!(futures::poll!(&mut opening).is_pending());
    }
    let found = async {
        while node.handle.announced().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, found)
        .await
        .expect("known, so that it lapses one day");
    node.stop().await;
}

#[tokio::test]
async fn spool_and_catalogue_are_brought_of_one_mind() {
    let world = World::new();
    let node = world.start();
    let kept = node.handle.begin(begin("kept.mov", 10)).await.unwrap().live;
    let deleted = node
        .handle
        .begin(begin("deleted.mov", 10))
        .await
        .unwrap()
        .live;
    let wiped = node
        .handle
        .begin(begin("wiped.mov", 10))
        .await
        .unwrap()
        .live;
    let abort = coordinator::catalog::Command::AbortUpload {
        upload: deleted.upload(),
    };
    world.catalogue.propose(abort).await.unwrap();
    node.kill().await;
    let spool = Spool::open(world.dir.path().join("spool")).unwrap();
    spool.remove(wiped.upload()).unwrap();

    let node = world.start();
    Service::new(node.handle.clone()).reconcile().await.unwrap();
    assert!(node.handle.find(kept.upload()).is_ok());
    assert!(
        node.handle.find(deleted.upload()).is_err(),
        "its video is gone"
    );
    let left: Vec<_> = world
        .catalogue
        .read(|catalogue| catalogue.uploads().map(|upload| upload.id).collect());
    assert_eq!(left, [kept.upload()], "an upload without bytes is given up");
    assert_eq!(spool.load().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn an_upload_that_nobody_touches_lapses() {
    let world = World::new();
    let node = world.start();
    let upload = node
        .handle
        .begin(begin("old.mov", 10))
        .await
        .unwrap()
        .live
        .upload();
    node.kill().await;
    let log = world
        .dir
        .path()
        .join("spool")
        .join(upload.to_string())
        .join("chunks");
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(8 * 24);
    std::fs::File::open(log).unwrap().set_modified(old).unwrap();
    // The session file says when it was created; that is old too.
    let spool = Spool::open(world.dir.path().join("spool")).unwrap();
    let (mut meta, _, folder) = spool.load().unwrap().pop().unwrap();
    meta.created_at = protocol::time::Timestamp::from_millis(0);
    folder.write_meta(&meta).unwrap();

    let node = world.start();
    Service::new(node.handle.clone()).reconcile().await.unwrap();
    assert!(node.handle.find(upload).is_err());
    assert_eq!(
        world
            .catalogue
            .read(|catalogue| catalogue.uploads().count()),
        0
    );
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_with_its_reason() {
    let world = World::new();
    let node = world.start();
    let code = |name: &str, size| {
        let (handle, name) = (node.handle.clone(), name.to_owned());
        async move { handle.begin(begin(&name, size)).await.unwrap_err().code() }
    };
    assert_eq!(code("a.mov", 0).await, ErrorCode::EmptyFile);
    assert_eq!(code("a.mov", u64::MAX).await, ErrorCode::TooLarge);
    assert_eq!(code("a.mov", 1 << 40).await, ErrorCode::NoSpace);
    assert_eq!(code("..", 1).await, ErrorCode::InvalidName);
    assert_eq!(code(&"名".repeat(400), 1).await, ErrorCode::InvalidName);
    let long = format!("{}.mov", "名".repeat(300));
    let opened = node.handle.begin(begin(&long, 1)).await.unwrap();
    assert_eq!(opened.live.meta().filename.chars().count(), 255);
    let opened = node
        .handle
        .begin(begin("../../etc/passwd", 1))
        .await
        .unwrap();
    assert_eq!(opened.live.meta().filename, "passwd");
    assert_eq!(
        world
            .catalogue
            .read(|catalogue| catalogue.uploads().count()),
        2
    );
    node.stop().await;
}

#[tokio::test]
async fn a_stale_writer_gives_way_and_what_it_had_is_kept() {
    let world = World::new();
    let node = world.start();
    let opened = node
        .handle
        .begin(begin("tus.mov", CHUNK + 100))
        .await
        .unwrap();
    let upload = opened.live.upload();
    // A sender that has sent 1000 bytes and then hangs.
    let (bytes, stream) = tokio::sync::mpsc::channel(1);
    bytes
        .send(Ok::<_, std::io::Error>(bytes::Bytes::from(vec![7; 1000])))
        .await
        .unwrap();
    let (live, ticket) = (Arc::clone(&opened.live), opened.ticket.unwrap());
    let stale = tokio::spawn(async move {
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        writer::append(&live, &ticket, 0, stream).await
    });
    // Sent once the first has been taken from the queue: it is in the writer's hands then.
    drop(bytes.reserve().await.unwrap());
    tokio::task::yield_now().await;
    let newer = node.handle.take_over(upload).await.unwrap();
    assert!(matches!(
        stale.await.unwrap(),
        Err(super::Error::Superseded)
    ));
    assert_eq!(newer.live.session().offset(), 1000);
    // It goes on in the middle of the chunk, also after a restart.
    node.kill().await;
    let node = world.start();
    let newer = node.handle.take_over(upload).await.unwrap();
    let rest = bytes::Bytes::from(vec![7; usize::try_from(CHUNK).unwrap() - 900]);
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(rest)]);
    let ticket = newer.ticket.unwrap();
    let offset = writer::append(&newer.live, &ticket, 1000, stream)
        .await
        .unwrap();
    assert_eq!(offset, CHUNK + 100);
    let hash = node.handle.finish(&newer.live, None).await.unwrap();
    let whole = vec![7; usize::try_from(CHUNK).unwrap() + 100];
    assert_eq!(hash, BlobHash::of(&whole));
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_know_the_authority_does_not_connect() {
    let (world, other) = (World::new(), World::new());
    let (node, stranger) = (world.start(), other.start());
    let tls = authority::client_config(&stranger.authority_pem, version::UPLOAD).unwrap();
    let endpoint = transport::bind_client(node.address, tls).unwrap();
    let connecting = endpoint
        .connect(node.address, version::SERVER_NAME)
        .unwrap();
    assert!(connecting.await.is_err());
    node.stop().await;
    stranger.stop().await;
}

/// Carries datagrams between one client and whatever node `node` names at the moment.
async fn relay(socket: tokio::net::UdpSocket, node: tokio::sync::watch::Receiver<SocketAddr>) {
    let mut client = None;
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let node = *node.borrow();
        let to = if from == node { client } else { Some(node) };
        if from.port() != node.port() && client.is_none() {
            client = Some(from);
        }
        if let Some(to) = to {
            drop(socket.send_to(&buffer[..length], to).await);
        }
    }
}

#[tokio::test]
async fn a_client_hears_at_once_that_its_node_was_killed_and_came_back() {
    let world = World::new();
    let node = world.start();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (switch, upstream) = tokio::sync::watch::channel(node.address);
    let relay = tokio::spawn(relay(socket, upstream));
    let connection = node.connect_by(address).await;
    // The same node after a restart: the same keys, and no memory of the connection. The first
    // one has no way left to say goodbye.
    let identity = Identity::open(&world.dir.path().join("tls")).unwrap();
    let tls = identity.server_config(vec![version::UPLOAD.to_vec()]);
    let secret = identity.reset_secret();
    let back = transport::bind(([127, 0, 0, 1], 0).into(), tls.unwrap(), secret).unwrap();
    switch.send(back.local_addr().unwrap()).unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    drop(send.write_all(&[0; 1000]).await);
    assert_eq!(connection.closed().await, quinn::ConnectionError::Reset);
    relay.abort();
    node.stop().await;
}

#[tokio::test]
async fn chunks_that_lie_are_refused_and_the_upload_lives_on() {
    use protocol::upload::{Answer, ChunkHash, Put, Request};
    let world = World::new();
    let node = world.start();
    let (path, hash) = world.file("lie.mov", 2 * CHUNK);
    let source = Arc::new(Source::open(&path).unwrap().unwrap());
    let connection = node.connect().await;
    let opened = client::open(&connection, &source, false).await.unwrap();
    let ask = async |put: Put, bytes: Vec<u8>| {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let wait = std::time::Duration::from_secs(10);
        transport::stream::write_frame(&mut send, &Request::Put(put), wait)
            .await
            .unwrap();
        // The node may refuse before it has read all of it.
        drop(send.write_all(&bytes).await);
        drop(send.finish());
        transport::stream::read_frame::<Answer>(&mut recv, 1024, wait)
            .await
            .unwrap()
    };
    let put = Put {
        upload: opened.upload,
        index: 0,
        hash: ChunkHash::from_bytes([1; 32]),
        length: CHUNK_SIZE,
    };
    let chunk = vec![0; CHUNK_SIZE as usize];
    let too_long = vec![0; CHUNK_SIZE as usize + 1];
    for (put, bytes, code) in [
        (put, chunk.clone(), ErrorCode::ChunkMismatch),
        (put, chunk[1..].to_vec(), ErrorCode::ChunkMismatch),
        (put, too_long, ErrorCode::ChunkMismatch),
        (
            Put { index: 9, ..put },
            Vec::new(),
            ErrorCode::InvalidRequest,
        ),
        (Put { length: 1, ..put }, vec![0], ErrorCode::InvalidRequest),
    ] {
        let answer = ask(put, bytes).await;
        assert!(
            matches!(&answer, Answer::Refused(r) if r.code == code),
            "{answer:?}"
        );
    }
    assert_eq!(
        node.handle.find(opened.upload).unwrap().session().missing(),
        2
    );
    let finished = client::upload(&connection, &source, false, |_| {})
        .await
        .unwrap();
    assert_eq!(finished.hash, hash);
    node.stop().await;
}

/// Not a test: prints how fast this machine is. `cargo test --release -p node --lib -- --ignored
/// --nocapture loopback_speed`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn loopback_speed() {
    let world = World::new();
    let node = world.start();
    for (name, size) in [
        ("10mb-cold", 10_000_000),
        ("10mb", 10_000_001),
        ("1gib", 1 << 30),
    ] {
        let (path, hash) = world.file(name, size);
        let start = std::time::Instant::now();
        let source = Arc::new(Source::open(&path).unwrap().unwrap());
        let connection = node.connect().await;
        let stored = Arc::new(std::sync::Mutex::new(start));
        let last = Arc::clone(&stored);
        let finished = client::upload(&connection, &source, false, move |event| {
            if let Event::Stored { .. } = event {
                *last.lock().unwrap() = std::time::Instant::now();
            }
        })
        .await
        .unwrap();
        let all = start.elapsed().as_millis();
        let sent = stored.lock().unwrap().duration_since(start).as_millis();
        assert_eq!(finished.hash, hash);
        let rate = u128::from(size) / 1000 / all.max(1);
        println!("{name}: {all} ms, {rate} MB/s; last chunk durable after {sent} ms");
    }
    node.stop().await;
}
