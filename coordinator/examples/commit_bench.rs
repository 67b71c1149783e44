//! Commits per second through a node alone, for one and for 64 proposers at a time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coordinator::catalog::Command;
use coordinator::raft::{Alone, Handle, Options, open};
use protocol::id::{NodeId, VideoId};
use protocol::time::Timestamp;

const RUN: Duration = Duration::from_secs(5);

fn now() -> Timestamp {
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|t| t.as_millis());
    Timestamp::from_millis(millis.ok().and_then(|m| i64::try_from(m).ok()).unwrap_or(0))
}

/// Proposes until the time is up; how long each commit took. The catalogue refuses the command,
/// which costs the log the same.
async fn propose(handle: Handle, end: Instant) -> Vec<Duration> {
    let video = VideoId::derived(Timestamp::default(), 0, 0);
    let mut took = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        drop(handle.propose(Command::DeleteVideo { video }).await);
        took.push(start.elapsed());
    }
    took
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this program prints its figures")]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(".")?;
    let options = Options::new(dir.path(), NodeId(1), Arc::new(now));
    let (handle, _service) = open(options, Alone).await?;
    for proposers in [1, 64] {
        let end = Instant::now() + RUN;
        let tasks: Vec<_> = (0..proposers)
            .map(|_| tokio::spawn(propose(handle.clone(), end)))
            .collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await?);
        }
        took.sort_unstable();
        let rate = took.len() as u64 / RUN.as_secs();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!("{proposers:>3} proposers: {rate:>6} commits/s, p50 {p50:?}, p99 {p99:?}");
    }
    handle.shutdown().await;
    Ok(())
}
