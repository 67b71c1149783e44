//! `kill -9` while the store opens and while it writes: it opens again and has every record.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator::raft::{Batch, Durability, Machine, Options, open_storage};
use coordinator::raft::{LogStore, types};
use openraft::EntryPayload;
use openraft::storage::RaftLogStorageExt;
use protocol::id::NodeId;
use protocol::time::Timestamp;
use tempfile::TempDir;

const RECORDS: u64 = 1000;
const DIR: &str = "REELMESH_OPEN_KILL_DIR";

fn open(dir: &Path) -> (LogStore, Machine) {
    let mut options = Options::new(dir, NodeId(1), Arc::new(Timestamp::default));
    // A killed process loses nothing that the kernel has.
    options.durability = Durability::Process;
    let (log, machine, _) = open_storage(&options).expect("opens");
    (log, machine)
}

fn entry(index: u64) -> types::Entry {
    let leader_id = types::LeaderId {
        term: 1,
        node_id: 1,
    };
    let filler = index.to_be_bytes().repeat(25);
    types::Entry {
        log_id: types::LogId { leader_id, index },
        payload: EntryPayload::Normal(Batch {
            at: Timestamp::default(),
            commands: vec![filler],
        }),
    }
}

/// Appends `count` entries, some at a time, and says so on standard output.
async fn write(dir: &Path, count: u64) {
    let (mut log, _machine) = open(dir);
    let mut next = log.entries().len() as u64;
    let end = next + count;
    while next < end {
        let upto = (next + 50).min(end);
        log.blocking_append((next..upto).map(entry))
            .await
            .expect("written");
        next = upto;
        say(next);
    }
    log.close();
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn say(count: u64) {
    println!("have {count}");
}

fn has_all(dir: &Path, at_least: u64) {
    let (log, _machine) = open(dir);
    let entries = log.entries();
    assert!(entries.len() as u64 >= at_least, "{} left", entries.len());
    for (found, index) in entries.into_iter().zip(0..) {
        assert_eq!(found, entry(index));
    }
    log.close();
}

/// Held by each test below. A child that one test forks has, until it executes, the open files of
/// all the others, and with them the lock on a store that another test wants to open.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn spawn(role: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([role, "--exact", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs")
}

fn dir_of_child() -> Option<std::path::PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

#[test]
#[ignore = "run by the tests below as a process to be killed"]
fn child_that_opens() {
    if let Some(dir) = dir_of_child() {
        open(&dir).0.close();
    }
}

#[tokio::test]
#[ignore = "run by the tests below as a process to be killed"]
async fn child_that_writes() {
    if let Some(dir) = dir_of_child() {
        write(&dir, 1_000_000).await;
    }
}

#[tokio::test]
async fn killed_fifty_times_while_opening() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dir = TempDir::new().expect("a folder");
    write(dir.path(), RECORDS).await;
    let start = Instant::now();
    assert!(
        spawn("child_that_opens", dir.path())
            .wait()
            .expect("a child")
            .success()
    );
    let whole = start.elapsed();
    for round in 0..50 {
        let mut child = spawn("child_that_opens", dir.path());
        std::thread::sleep(whole * round / 50);
        child.kill().expect("ours");
        child.wait().expect("ours");
        has_all(dir.path(), RECORDS);
    }
}

#[tokio::test]
async fn killed_while_writing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dir = TempDir::new().expect("a folder");
    write(dir.path(), 1).await;
    for round in 1..=8 {
        let mut child = spawn("child_that_writes", dir.path());
        let output = child.stdout.take().expect("piped");
        let mut acknowledged = 0;
        let mut told = 0;
        let mut killed = false;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(count) = line.strip_prefix("have ") {
                acknowledged = count.parse().expect("a number");
                told += 1;
            }
            if told == round * 5 && !killed {
                std::thread::sleep(Duration::from_micros(500 * round));
                child.kill().expect("ours");
                killed = true;
            }
        }
        child.wait().expect("ours");
        assert!(acknowledged > 0);
        has_all(dir.path(), acknowledged);
    }
}

#[tokio::test]
async fn a_planted_leftover_bricks_sled_alone_but_not_the_store() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dir = TempDir::new().expect("a folder");
    write(dir.path(), RECORDS).await;
    let raft = dir.path().join("raft");
    std::fs::write(raft.join("snap.00000000FFFFFFFF.generating"), b"half").expect("writable");
    let alone = sled::Config::new().path(&raft).segment_size(8 << 20).open();
    assert!(alone.is_err(), "sled has learned to open; drop the cure");
    has_all(dir.path(), RECORDS);
}
