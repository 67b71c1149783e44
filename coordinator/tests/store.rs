//! The durable store: openraft's own conformance suite, then reopening, snapshots and a whole node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use coordinator::catalog::node::{Node, Role};
use coordinator::catalog::{Command, Rejection};
use coordinator::raft::{
    Alone, ENTRY_MAX, Error, Handle, LogStore, Machine, OpenError, Options, Service, SnapshotFile,
    TypeConfig, open, open_storage,
};
use openraft::StorageError;
use openraft::storage::RaftStateMachine;
use openraft::testing::log::{StoreBuilder, Suite};
use protocol::id::{ClusterId, NodeId, VideoId};
use protocol::time::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn options(dir: &Path) -> Options {
    let millis = AtomicI64::new(1_795_377_600_000);
    let clock = move || Timestamp::from_millis(millis.fetch_add(1, Ordering::Relaxed));
    Options::new(dir, NodeId(1), Arc::new(clock))
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let dir = TempDir::new().expect("a folder");
        let (log, machine, _) = open_storage(&options(dir.path())).expect("new");
        Ok((dir, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_finds_no_fault() {
    Suite::<TypeConfig, LogStore, Machine, Builder, TempDir>::test_store(&Builder)
        .await
        .expect("conforms");
}

fn announce(id: u64) -> Command {
    Command::AnnounceNode {
        node: Box::new(Node {
            id: NodeId(id),
            name: format!("node-{id}"),
            site: String::new(),
            role: Role::Worker,
            version: String::new(),
            slots: 1,
            cpu_cores: 1,
            encoders: Vec::new(),
            sandbox: String::new(),
            draining: false,
            announced_at: Timestamp::default(),
        }),
    }
}

async fn start(options: Options) -> (Handle, Service) {
    open(options, Alone).await.expect("opens")
}

#[tokio::test]
async fn a_node_alone_is_ready_at_once_and_after_every_start() {
    let dir = TempDir::new().expect("a folder");
    let mut before = 0;
    for id in 1..=3 {
        let (handle, _service) = start(options(dir.path())).await;
        assert!(handle.is_leader());
        assert!(*handle.changes().borrow() >= before);
        drop(handle.propose(announce(id)).await);
        handle.linearize().await.expect("leads");
        before = *handle.changes().borrow();
        assert!(before > 0);
        handle.shutdown().await;
        assert!(matches!(
            handle.propose(announce(id)).await,
            Err(Error::Closed)
        ));
    }
}

fn names(handle: &Handle) -> Vec<String> {
    handle.read(|catalog| catalog.nodes().map(|node| node.name.clone()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_the_reply_to_his_own_command() {
    let dir = TempDir::new().expect("a folder");
    let (handle, _service) = start(options(dir.path())).await;
    let before = *handle.changes().borrow();
    let tasks: Vec<_> = (0..300)
        .map(|id| {
            let handle = handle.clone();
            // Every third command is about a video that does not exist.
            tokio::spawn(async move {
                match id % 3 {
                    0 => {
                        let video = VideoId::derived(Timestamp::from_millis(1), id, 0);
                        handle.propose(Command::DeleteVideo { video }).await
                    }
                    _ => handle.propose(announce(id)).await,
                }
            })
        })
        .collect();
    for (task, id) in tasks.into_iter().zip(0..300) {
        let reply = task.await.expect("no panic");
        match id % 3 {
            0 => assert!(matches!(reply, Err(Error::Rejected(_))), "{id}: {reply:?}"),
            _ => assert!(reply.is_ok(), "{id}: {reply:?}"),
        }
    }
    assert_eq!(names(&handle).len(), 200);
    let entries = *handle.changes().borrow() - before;
    assert!(entries < 300, "{entries} entries for 300 commands");
    handle.shutdown().await;
}

#[tokio::test]
async fn a_command_that_no_entry_can_carry_is_refused_and_harms_nobody() {
    let dir = TempDir::new().expect("a folder");
    let (handle, _service) = start(options(dir.path())).await;
    let rename = |length| Command::RenameVideo {
        video: VideoId::derived(Timestamp::from_millis(1), 1, 0),
        filename: "x".repeat(length),
    };
    for length in [ENTRY_MAX, 1 << 20, 2 << 20] {
        let refused = handle.propose(rename(length)).await;
        assert!(
            matches!(refused, Err(Error::Rejected(Rejection::Limit { .. }))),
            "{refused:?}"
        );
    }
    assert!(handle.propose(announce(1)).await.is_ok());
    handle.shutdown().await;
}

#[tokio::test]
async fn time_in_the_log_never_runs_backwards() {
    let dir = TempDir::new().expect("a folder");
    let now = Arc::new(AtomicI64::new(5_000));
    let clock = Arc::clone(&now);
    let clock = move || Timestamp::from_millis(clock.load(Ordering::Relaxed));
    let options = Options::new(dir.path(), NodeId(1), Arc::new(clock));
    let (handle, service) = start(options.clone()).await;
    handle.propose(announce(1)).await.expect("new");
    now.store(1_000, Ordering::Relaxed);
    handle.propose(announce(2)).await.expect("new");
    let at = |handle: &Handle| handle.read(|catalog| catalog.at().as_millis());
    let second = at(&handle);
    assert!(second >= 5_000, "{second}");
    handle.shutdown().await;
    drop(service);
    let (handle, _service) = start(options).await;
    handle.propose(announce(3)).await.expect("new");
    assert!(at(&handle) >= second);
    handle.shutdown().await;
}

/// Files of `dir` that end in `suffix`, oldest snapshot first.
fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|found| found == suffix))
        .collect();
    paths.sort_by_key(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok());
    paths
}

fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("writable");
}

fn few_entries(dir: &Path) -> Options {
    Options {
        snapshot_every: 20,
        keep_entries: 5,
        ..options(dir)
    }
}

/// A closed store with several snapshots behind it, and what it holds.
async fn with_snapshots(dir: &Path) -> Vec<String> {
    let (handle, _service) = start(few_entries(dir)).await;
    for id in 1..=150 {
        handle.propose(announce(id)).await.expect("new");
        if id % 50 == 0 {
            let path = handle.snapshot().await.expect("written");
            assert!(path.exists());
        }
    }
    let names = names(&handle);
    handle.shutdown().await;
    assert_eq!(names.len(), 150);
    names
}

#[tokio::test]
async fn a_snapshot_and_the_rest_of_the_log_are_the_whole() {
    let dir = TempDir::new().expect("a folder");
    let expected = with_snapshots(dir.path()).await;
    assert_eq!(files(&dir.path().join("snap"), "snap").len(), 2);
    let (log, _, _) = open_storage(&few_entries(dir.path())).expect("opens");
    assert!(log.purged().is_some(), "the log was not cut");
    log.close();
    let (handle, _service) = start(few_entries(dir.path())).await;
    assert_eq!(names(&handle), expected);
    handle.shutdown().await;
}

#[test]
fn a_folder_that_was_just_left_is_waited_for() {
    let dir = TempDir::new().expect("a folder");
    let (held, _, _) = open_storage(&options(dir.path())).expect("opens");
    let path = dir.path().to_owned();
    let (begun, begins) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        begun.send(()).expect("heard");
        open_storage(&options(&path)).map(|(log, _, _)| log.close())
    });
    begins.recv().expect("said");
    held.close();
    waiting
        .join()
        .expect("no panic")
        .expect("opens in its turn");
}

#[tokio::test]
async fn a_damaged_newest_snapshot_costs_nothing_and_two_stop_the_start() {
    let dir = TempDir::new().expect("a folder");
    let expected = with_snapshots(dir.path()).await;
    let snap = dir.path().join("snap");
    damage(files(&snap, "snap").last().expect("two"));
    let (handle, _service) = start(few_entries(dir.path())).await;
    assert_eq!(names(&handle), expected);
    handle.shutdown().await;
    assert_eq!(files(&snap, "damaged").len(), 1);
    for left in files(&snap, "snap") {
        damage(&left);
    }
    let error = open_storage(&few_entries(dir.path())).err();
    assert!(
        matches!(error, Some(OpenError::Damaged { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_damaged_first_snapshot_costs_nothing_either() {
    let dir = TempDir::new().expect("a folder");
    let once = Options {
        keep_entries: 5,
        ..options(dir.path())
    };
    let (handle, _service) = start(once.clone()).await;
    for id in 1..=50 {
        handle.propose(announce(id)).await.expect("new");
    }
    damage(&handle.snapshot().await.expect("written"));
    handle.propose(announce(51)).await.expect("new");
    handle.shutdown().await;
    let (handle, _service) = start(once).await;
    assert_eq!(names(&handle).len(), 51);
    handle.shutdown().await;
}

#[tokio::test]
async fn a_snapshot_of_another_node_is_installed_whole() {
    let (one, two) = (
        TempDir::new().expect("a folder"),
        TempDir::new().expect("a folder"),
    );
    with_snapshots(one.path()).await;
    let (log, mut from, _) = open_storage(&few_entries(one.path())).expect("opens");
    let snapshot = from
        .get_current_snapshot()
        .await
        .expect("whole")
        .expect("one");
    let (other, mut to, snapshots) = open_storage(&few_entries(two.path())).expect("opens");
    let incoming = snapshots.incoming();
    std::fs::copy(&snapshot.snapshot.path, &incoming).expect("copied");
    damage(&incoming);
    let file = SnapshotFile::open(incoming.clone()).expect("there");
    to.install_snapshot(&snapshot.meta, file)
        .await
        .expect_err("damaged on the way");
    std::fs::copy(&snapshot.snapshot.path, &incoming).expect("copied");
    let file = SnapshotFile::open(incoming).expect("there");
    to.install_snapshot(&snapshot.meta, file)
        .await
        .expect("whole");
    assert_eq!(
        to.applied_state().await.expect("known"),
        from.applied_state().await.expect("known")
    );
    let installed = to
        .get_current_snapshot()
        .await
        .expect("whole")
        .expect("one");
    assert_eq!(installed.meta, snapshot.meta);
    log.close();
    other.close();
}

/// Opens the log's database past the store and lets `meddle` have it.
fn meddle(dir: &Path, meddle: impl FnOnce(&sled::Tree)) {
    let db = sled::Config::new()
        .path(dir.join("raft"))
        .segment_size(8 << 20)
        .open()
        .expect("opens");
    meddle(&db.open_tree("log").expect("a tree"));
    db.flush().expect("writable");
}

async fn check_refused(name: &str, change: impl FnOnce(&sled::Tree)) {
    let dir = TempDir::new().expect("a folder");
    let (handle, _service) = start(options(dir.path())).await;
    for id in 1..=10 {
        handle.propose(announce(id)).await.expect("new");
    }
    handle.shutdown().await;
    meddle(dir.path(), change);
    let error = open_storage(&options(dir.path())).err();
    assert!(
        matches!(error, Some(OpenError::Damaged { .. })),
        "{name}: {error:?}"
    );
}

#[tokio::test]
async fn a_log_that_lost_or_changed_an_entry_is_not_gone_on_with() {
    check_refused("a hole", |log| {
        log.remove(5_u64.to_be_bytes()).expect("removed");
    })
    .await;
    check_refused("a lost end", |log| {
        log.pop_max().expect("removed");
    })
    .await;
    check_refused("a flipped bit", |log| {
        let key = 5_u64.to_be_bytes();
        let mut bytes = log.get(key).expect("read").expect("there").to_vec();
        *bytes.last_mut().expect("some") ^= 1;
        log.insert(key, bytes).expect("written");
    })
    .await;
    check_refused("a record in another's place", |log| {
        let bytes = log.get(4_u64.to_be_bytes()).expect("read").expect("there");
        log.insert(5_u64.to_be_bytes(), bytes).expect("written");
    })
    .await;
}

#[tokio::test]
async fn a_log_belongs_to_one_node_and_one_cluster() {
    let dir = TempDir::new().expect("a folder");
    let cluster = |n| Some(ClusterId::derived(Timestamp::from_millis(1), n, 0));
    let of = |node, cluster| Options {
        node: NodeId(node),
        cluster,
        ..options(dir.path())
    };
    let (log, _, _) = open_storage(&of(1, cluster(1))).expect("new");
    log.close();
    let foreign = open_storage(&of(2, cluster(1))).err();
    assert!(matches!(foreign, Some(OpenError::ForeignNode { .. })));
    let foreign = open_storage(&of(1, cluster(2))).err();
    assert!(matches!(foreign, Some(OpenError::ForeignCluster { .. })));
    let (log, _, _) = open_storage(&of(1, None)).expect("its own");
    assert_eq!(log.cluster(), cluster(1));
}

#[tokio::test]
async fn a_service_told_to_stop_closes_the_catalogue() {
    let dir = TempDir::new().expect("a folder");
    let (handle, service) = start(options(dir.path())).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(service.run(stop.clone()));
    handle.propose(announce(1)).await.expect("new");
    stop.cancel();
    running.await.expect("no panic").expect("a clean stop");
    assert!(matches!(
        handle.propose(announce(2)).await,
        Err(Error::Closed)
    ));
    let (handle, _service) = start(options(dir.path())).await;
    assert_eq!(names(&handle), ["node-1"]);
    handle.shutdown().await;
}
