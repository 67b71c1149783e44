//! A folder, a spool and a catalogue; time is told, never waited for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coordinator::raft;
use globset::GlobBuilder;
use protocol::id::{BlobHash, NodeId};
use protocol::time::{Span, Timestamp};
use tokio::sync::watch;

use super::folder::Journal;
use super::{Options, Service, Status};
use crate::blob::Store;
use crate::ingest::spool::Spool;
use crate::ingest::{self, Handle};

struct World {
    dir: tempfile::TempDir,
    catalogue: raft::Handle,
}

struct Node {
    service: Service,
    journal: Journal,
    status: watch::Receiver<Status>,
    blobs: Store,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        Self {
            dir,
            catalogue: raft::Handle::in_memory(NodeId(1)),
        }
    }

    fn start(&self, change: impl FnOnce(&mut Options)) -> Node {
        let data = self.dir.path();
        let blobs = Store::open(data.join("blobs")).unwrap();
        let spool = Spool::open(data.join("spool")).unwrap();
        let options = ingest::Options {
            reserve_bytes: 0,
            size_max_bytes: 1 << 20,
            ..ingest::Options::default()
        };
        let handle = Handle::open(options, spool, blobs.clone(), self.catalogue.clone()).unwrap();
        let mut glob = GlobBuilder::new("**/*.mov");
        let glob = glob.case_insensitive(true).build().unwrap();
        let mut options = Options {
            path: self.path(""),
            pattern: glob.compile_matcher(),
            stable: Span::from_secs(10),
            rescan: Duration::from_secs(5),
            cards: false,
            put_away: false,
            journal: data.join("journal"),
        };
        change(&mut options);
        let journal = Journal::open(options.journal.clone()).unwrap();
        let (service, status) = Service::new(options, handle);
        Node {
            service,
            journal,
            status,
            blobs,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn videos(&self) -> Vec<String> {
        self.catalogue.read(|catalogue| {
            let mut names: Vec<_> = catalogue.videos().map(|v| v.filename.clone()).collect();
            names.sort();
            names
        })
    }
}

impl Node {
    async fn look(&mut self, second: i64) {
        let now = Timestamp::from_millis(second * 1000);
        self.service.step(&mut self.journal, now).await;
    }
}

#[tokio::test]
async fn a_file_that_stands_still_is_taken_once() {
    let world = World::new();
    let mut node = world.start(|_| {});
    world.write("A001/Reel.MOV", "reel");
    world.write("A001/Reel.xml", "sidecar");
    node.look(0).await;
    node.look(9).await;
    assert!(world.videos().is_empty());
    assert_eq!(node.status.borrow().waiting, 1);
    node.look(10).await;
    assert_eq!(world.videos(), ["Reel.MOV"]);
    assert!(node.blobs.contains(&BlobHash::of(b"reel")));
    assert_eq!(
        (node.status.borrow().waiting, node.status.borrow().taken),
        (0, 1)
    );
    node.look(30).await;
    drop(node);
    let mut node = world.start(|_| {});
    node.look(100).await;
    node.look(120).await;
    assert_eq!(world.videos().len(), 1, "a restart takes nothing twice");
    // Another file under the same name is another file.
    world.write("A001/Reel.MOV", "another");
    node.look(130).await;
    node.look(150).await;
    assert_eq!(world.videos().len(), 2);
    assert!(
        world.path("A001/Reel.MOV").exists(),
        "it is left where it was"
    );
}

#[tokio::test]
async fn a_file_that_somebody_writes_is_left_alone() {
    let world = World::new();
    let mut node = world.start(|_| {});
    world.write("a.mov", "half");
    let writer = std::fs::OpenOptions::new()
        .append(true)
        .open(world.path("a.mov"))
        .unwrap();
    node.look(0).await;
    node.look(20).await;
    assert!(world.videos().is_empty(), "it stands still, but is open");
    drop(writer);
    node.look(25).await;
    assert_eq!(world.videos(), ["a.mov"]);
}

#[tokio::test]
async fn a_taken_file_may_be_put_away_and_a_card_waits_for_its_last_file() {
    let world = World::new();
    let mut node = world.start(|options| {
        options.put_away = true;
        options.cards = true;
    });
    world.write("A001/1.mov", "one");
    node.look(0).await;
    world.write("A001/2.mov", "two");
    node.look(11).await;
    assert!(world.videos().is_empty(), "the card is still being copied");
    node.look(22).await;
    assert_eq!(world.videos(), ["1.mov", "2.mov"]);
    let put_away = world.path("A001/taken/1.mov");
    assert!(put_away.exists() && !world.path("A001/1.mov").exists());
    node.look(40).await;
    assert_eq!(world.videos().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_taken_is_said_in_words_and_tried_again_later() {
    let world = World::new();
    let mut node = world.start(|_| {});
    let large = "x".repeat((1 << 20) + 1);
    world.write("large.mov", &large);
    node.look(0).await;
    node.look(10).await;
    let problems = node.status.borrow().problems.clone();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("large.mov is not taken"),
        "{problems:?}"
    );
    assert!(problems[0].ends_with('.'), "{problems:?}");
    // Not at every look.
    let put_off = |node: &Node| node.service.failed[Path::new("large.mov")].1;
    node.look(15).await;
    assert_eq!(put_off(&node), 1);
    node.look(71).await;
    assert_eq!(put_off(&node), 2);
    node.look(72).await;
    assert_eq!(put_off(&node), 2);
    assert_eq!(node.status.borrow().problems.len(), 1, "said once");
    world.write("large.mov", "small now");
    node.look(80).await;
    node.look(90).await;
    assert_eq!(world.videos(), ["large.mov"]);
    assert!(node.status.borrow().problems.is_empty());
    std::fs::remove_dir_all(world.path("")).unwrap();
    node.look(100).await;
    let problems = node.status.borrow().problems.clone();
    assert!(problems[0].contains("cannot be looked at"), "{problems:?}");
    std::fs::create_dir(world.path("")).unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_what_its_hash_list_says_is_named() {
    let world = World::new();
    let mut node = world.start(|options| options.cards = true);
    world.write("A001/clips/good.mov", "abc");
    world.write("A001/clips/bad.mov", "abd");
    world.write("A001/clips/short.mov", "ab");
    world.write("A001/clips/unlisted.mov", "xyz");
    let entry = |name: &str| {
        format!(
            r#"<hash><path size="3">clips/{name}.mov</path><xxh64 action="original">44bc2cf5ad770999</xxh64></hash>"#
        )
    };
    let list = ["good", "bad", "short", "gone"].map(entry).join("");
    let list = format!("<hashlist version=\"2.0\"><hashes>{list}</hashes></hashlist>");
    world.write("A001/ascmhl/0001_A001.mhl", &list);
    world.write("A002/one.mov", "one");
    world.write("A002/A002.mhl", "<broken");
    node.look(0).await;
    node.look(10).await;
    assert_eq!(world.videos(), ["good.mov", "one.mov", "unlisted.mov"]);
    let problems = node.status.borrow().problems.clone();
    let said = |words: &str| {
        let found = problems.iter().find(|problem| problem.contains(words));
        found
            .unwrap_or_else(|| panic!("{words}: {problems:?}"))
            .clone()
    };
    let bad = said("A001/clips/bad.mov is not taken");
    assert!(bad.contains("0001_A001.mhl says 44bc2cf5ad770999"), "{bad}");
    assert!(said("clips/short.mov is not taken").contains("size"));
    assert!(said("are not there").contains("clips/gone.mov"));
    assert!(said("cannot be used").contains("A002.mhl"));
    assert_eq!(problems.len(), 4);
    // Copied again.
    world.write("A001/clips/bad.mov", "abc");
    node.look(20).await;
    node.look(30).await;
    assert!(world.videos().contains(&"bad.mov".to_owned()));
}
