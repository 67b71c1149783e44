//! The durable store: openraft's own conformance suite, then reopening, snapshots and a whole node.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use coordinator::catalog::Command;
use coordinator::catalog::node::{Node, Role};
use coordinator::raft::{
    Alone, Error, Handle, LogStore, Machine, Options, Service, TypeConfig, open, open_storage,
};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use protocol::id::NodeId;
use protocol::time::Timestamp;
use tempfile::TempDir;

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
