//! The real catalogue, openraft, scheduler and driver in a world where only a seed decides: delays,
//! losses, cuts one way or both, crashes, power cuts that forget what was not synced, clocks that
//! are off. One thread, a clock that stands still while anything is to be done.
//!
//! `SIMULATION_SEEDS=first..last` runs others than the usual, `SIMULATION_ALOUD=1` tells every
//! event. `make simulate` goes on with more.

#![allow(unreachable_pub, reason = "one test program of several files")]

mod chance;
mod cluster;
mod disk;
mod faults;
mod history;
mod net;
mod system;
mod work;

#[path = "../world/mod.rs"]
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator::catalog::settings::Settings;
use coordinator::catalog::{Catalog, Command};
use coordinator::raft::Error;
use protocol::id::{NodeId, UploadId, VideoId};
use protocol::time::{Span, Timestamp};
use tokio::time::{Instant, sleep, timeout};

use chance::{Chance, Shared};
use cluster::{Cluster, Contact};
use history::{Event, Operation, Told};

/// Registers that the clients share: the names of so many videos.
const REGISTERS: u64 = 3;
const CLIENTS: u64 = 4;
/// How long clients and faults go on.
const BUSY: Duration = Duration::from_secs(6);
/// Until then all work must be done once nothing is broken any more.
const PATIENCE: Duration = Duration::from_mins(2);

#[expect(
    clippy::print_stderr,
    reason = "asked for by whoever looks into a seed"
)]
pub fn tell(line: &str) {
    eprintln!("{line}");
}

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// Whatever may go wrong.
    Anything,
    /// The same, on disks that acknowledge what they do not have: the control run.
    DisksThatLie,
    LeaderLosesPower,
}

impl Plot {
    const ALL: [Self; 3] = [Self::Anything, Self::DisksThatLie, Self::LeaderLosesPower];
}

/// What one run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    fingerprint: u64,
    events: u64,
    acknowledged: u64,
    violations: Vec<String>,
}

/// A process of its own: tokio counts in it how many generators it has made, so that what else
/// there is in a process has a say in what a run does.
fn run(seed: u64, plot: Plot) -> Outcome {
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args([
            "one_run_in_a_process_of_its_own",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(RUN, format!("{seed} {plot:?}"))
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program starts");
    let output = String::from_utf8_lossy(&child.stdout);
    let after = |word: &str| {
        let lines = output
            .lines()
            .filter_map(move |line| line.strip_prefix(word));
        lines.map(str::trim).collect::<Vec<_>>()
    };
    let mut violations: Vec<String> = after("violation ").iter().map(|&v| v.to_owned()).collect();
    let numbers: Vec<u64> = after("outcome ")
        .iter()
        .flat_map(|line| line.split(' '))
        .filter_map(|number| number.parse().ok())
        .collect();
    let &[fingerprint, events, acknowledged] = &numbers[..] else {
        violations.push(format!("the run broke off: {output}"));
        return Outcome {
            fingerprint: 0,
            events: 0,
            acknowledged: 0,
            violations,
        };
    };
    Outcome {
        fingerprint,
        events,
        acknowledged,
        violations,
    }
}

/// Which run a process is to do: a seed and a plot.
const RUN: &str = "SIMULATION_RUN";

#[test]
#[ignore = "started by the other tests, once for each run"]
fn one_run_in_a_process_of_its_own() {
    let wanted = std::env::var(RUN).expect("started by another test");
    let (seed, plot) = wanted.split_once(' ').expect("a seed and a plot");
    let seed = seed.parse().expect("a number");
    let plot = Plot::ALL
        .into_iter()
        .find(|known| format!("{known:?}") == plot);
    let plot = plot.expect("a plot that there is");
    // A thread of its own: what tokio, openraft and the maps draw on it follows from the seed.
    let thread = std::thread::spawn(move || {
        system::seed_this_thread(seed);
        simulate(seed, plot)
    });
    let outcome = thread.join().expect("no panic");
    // The test runner has begun a line.
    println!();
    for violation in outcome.violations {
        println!("violation {violation}");
    }
    println!(
        "outcome {} {} {}",
        outcome.fingerprint, outcome.events, outcome.acknowledged
    );
}

fn simulate(seed: u64, plot: Plot) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let aloud = std::env::var_os("SIMULATION_ALOUD").is_some();
    runtime.block_on(async {
        let shared = Shared::new(seed, aloud);
        let history = Arc::new(Mutex::new(Vec::new()));
        play(&shared, plot, &history).await;
        let history = history.lock().expect("no panic");
        if let Some(why) = history::violation(&history) {
            shared.violation(why);
        }
        let done = |event: &&Event| !matches!(event.operation, Operation::Write { told, .. } if told != Told::Done);
        let (fingerprint, events) = shared.fingerprint();
        Outcome {
            fingerprint,
            events,
            acknowledged: history.iter().filter(done).count() as u64,
            violations: shared.violations(),
        }
    })
}

type History = Arc<Mutex<Vec<Event>>>;

/// The whole of one run.
async fn play(shared: &Shared, plot: Plot, history: &History) {
    let lies = plot == Plot::DisksThatLie;
    let cluster = Cluster::new(shared, lies);
    let nodes = shared.chance(|c| if c.happens(250) { 5 } else { 3 });
    cluster.form(nodes).await;
    prepare(&cluster).await;
    match plot {
        Plot::LeaderLosesPower => leader_loses_power(&cluster, history).await,
        Plot::Anything | Plot::DisksThatLie => anything(&cluster, history).await,
    }
    end(&cluster, lies, history).await;
}

async fn anything(cluster: &Cluster, history: &History) {
    let shared = &cluster.shared;
    let end = Instant::now() + BUSY;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let seed = shared.chance(Chance::next);
            let client = Client {
                number,
                chance: Chance::new(seed),
                cluster: cluster.clone(),
                history: Arc::clone(history),
                written: 0,
            };
            tokio::spawn(client.run(end))
        })
        .collect();
    faults::run(cluster, end).await;
    cluster.heal().await;
    for client in clients {
        client.await.expect("no panic");
    }
}

/// Time and again the leader loses its power while its disk lags behind those of the others, who
/// have committed its entries meanwhile.
async fn leader_loses_power(cluster: &Cluster, history: &History) {
    for value in 1..=8 {
        let leader = loop {
            match cluster.leader() {
                Some(leader) => break leader,
                None => sleep(Duration::from_millis(50)).await,
            }
        };
        let node = leader.handle.node();
        cluster.platter(node).be_slow(Duration::from_secs(1));
        write(cluster, &leader, 0, value, history).await;
        cluster.cut_power(node);
        cluster.start(node).await;
        sleep(Duration::from_secs(3)).await;
        read_all(cluster, history).await;
    }
}

/// What must hold once nothing is broken any more.
async fn end(cluster: &Cluster, lies: bool, history: &History) {
    let shared = &cluster.shared;
    let rest = async {
        while !cluster.is_at_rest() {
            sleep(Duration::from_millis(500)).await;
        }
    };
    if timeout(PATIENCE, rest).await.is_err() && !lies {
        shared
            .violation("work is left, or the copies differ, long after all was healed".to_owned());
    }
    read_all(cluster, history).await;
    if let Some(contact) = cluster.contact(NodeId(1)) {
        let dangling = contact
            .handle
            .read(|catalog| work::dangling(catalog, &cluster.origin));
        for what in dangling {
            shared.violation(what);
        }
    }
    for id in cluster.ids() {
        cluster.kill(id);
    }
    sleep(Duration::from_secs(1)).await;
}

fn register(key: u64) -> VideoId {
    world::video_id(key)
}

/// What a register holds is the name of its video.
fn value_of(catalog: &Catalog, key: u64) -> Option<u64> {
    let video = catalog.video(register(key))?;
    video.filename.trim_end_matches(".mp4").parse().ok()
}

/// Settings that suit short runs, and the registers.
async fn prepare(cluster: &Cluster) {
    let settings = Settings {
        lease: work::LEASE,
        retry_backoff: Span::from_millis(500),
        ..Settings::default()
    };
    insist(cluster, Command::SetSettings { settings }).await;
    for key in 0..REGISTERS {
        let open = Command::OpenUpload {
            upload: world::upload_id(key),
            video: register(key),
            filename: "0.mp4".to_owned(),
            size_bytes: 1,
            node: NodeId(1),
        };
        insist(cluster, open).await;
    }
}

async fn insist(cluster: &Cluster, command: Command) {
    loop {
        if let Some(contact) = cluster.leader() {
            match contact.handle.propose(command.clone()).await {
                Ok(_) | Err(Error::Rejected(_)) => return,
                Err(_) => {}
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Once everything works again everybody reads everything.
async fn read_all(cluster: &Cluster, history: &History) {
    for id in cluster.ids() {
        let Some(contact) = cluster.contact(id) else {
            continue;
        };
        for key in 0..REGISTERS {
            read(cluster, &contact, key, history).await;
        }
    }
}

async fn read(cluster: &Cluster, contact: &Contact, key: u64, history: &History) -> bool {
    let node = contact.handle.node();
    let began = cluster.note(&format!("read {key} at {node}"));
    let read = contact
        .stop
        .run_until_cancelled(contact.handle.linearize())
        .await;
    if !matches!(read, Some(Ok(()))) {
        cluster.note(&format!("read {key} at {node}: {read:?}"));
        return false;
    }
    let Some(saw) = contact.handle.read(|catalog| value_of(catalog, key)) else {
        cluster
            .shared
            .violation(format!("register {key} is gone at {node}"));
        return false;
    };
    let ended = cluster.note(&format!("read {key} at {node}: {saw}"));
    history.lock().expect("no panic").push(Event {
        key,
        began,
        ended,
        operation: Operation::Read { saw },
    });
    true
}

async fn write(
    cluster: &Cluster,
    contact: &Contact,
    key: u64,
    value: u64,
    history: &History,
) -> bool {
    let node = contact.handle.node();
    let began = cluster.note(&format!("write {key} {value} at {node}"));
    let command = Command::RenameVideo {
        video: register(key),
        filename: format!("{value}.mp4"),
    };
    let proposed = contact.handle.propose(command);
    let told = match contact.stop.run_until_cancelled(proposed).await {
        Some(Ok(_)) => Told::Done,
        Some(Err(Error::NotLeader { .. })) => Told::Refused,
        Some(Err(Error::Timeout | Error::Closed | Error::Storage(_))) | None => Told::Nothing,
        Some(Err(error)) => {
            let what = format!("write {key} {value}: {error}");
            cluster.shared.violation(what);
            Told::Nothing
        }
    };
    let ended = cluster.note(&format!("write {key} {value} at {node}: {told:?}"));
    history.lock().expect("no panic").push(Event {
        key,
        began,
        ended,
        operation: Operation::Write { value, told },
    });
    told == Told::Done
}

struct Client {
    number: u64,
    chance: Chance,
    cluster: Cluster,
    history: History,
    written: u64,
}

impl Client {
    async fn run(mut self, end: Instant) {
        let mut at = None;
        while Instant::now() < end {
            let pause = self.chance.millis(1..60);
            sleep(pause).await;
            let running = self.cluster.running();
            if running.is_empty() {
                continue;
            }
            let node = *at.get_or_insert_with(|| *self.chance.one_of(&running));
            let Some(contact) = self.cluster.contact(node) else {
                at = None;
                continue;
            };
            let key = self.chance.within(0..REGISTERS);
            let fine = match self.chance.within(0..100) {
                0..5 => self.upload(&contact).await,
                5..50 => self.write(&contact, key).await,
                _ => read(&self.cluster, &contact, key, &self.history).await,
            };
            if !fine {
                at = None;
            }
        }
    }

    async fn write(&mut self, contact: &Contact, key: u64) -> bool {
        self.written += 1;
        let value = self.written * 10 + self.number + 1;
        write(&self.cluster, contact, key, value, &self.history).await
    }

    /// A whole upload: from here on the cluster has work.
    async fn upload(&mut self, contact: &Contact) -> bool {
        self.written += 1;
        let number = self.written * 10 + self.number + 1;
        let at = Timestamp::from_millis(1);
        let upload = UploadId::derived(at, number, 7);
        let node = contact.handle.node();
        let open = Command::OpenUpload {
            upload,
            video: VideoId::derived(at, number, 7),
            filename: format!("{number}.mov"),
            size_bytes: 100,
            node,
        };
        let complete = Command::CompleteUpload {
            upload,
            blob: world::blob(number),
            node,
        };
        for command in [open, complete] {
            let done = contact
                .stop
                .run_until_cancelled(contact.handle.propose(command))
                .await;
            if !matches!(done, Some(Ok(_))) {
                return false;
            }
        }
        true
    }
}

/// Every seed of `seeds`, two at a time.
fn run_all(seeds: Range<u64>, plot: Plot) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, plot);
                    outcomes.lock().expect("no panic").push((seed, outcome));
                }
            });
        }
    });
    outcomes.into_inner().expect("no panic")
}

fn seeds() -> Range<u64> {
    let Ok(wanted) = std::env::var("SIMULATION_SEEDS") else {
        return 0..200;
    };
    let number = |text: &str| text.parse().expect("SIMULATION_SEEDS is first..last");
    let (first, last) = wanted
        .split_once("..")
        .expect("SIMULATION_SEEDS is first..last");
    number(first)..number(last)
}

#[test]
fn whatever_breaks_nothing_acknowledged_is_lost_and_all_work_ends() {
    let outcomes = run_all(seeds(), Plot::Anything);
    let bad: Vec<_> = outcomes
        .iter()
        .filter(|(_, o)| !o.violations.is_empty())
        .collect();
    assert!(
        bad.is_empty(),
        "{bad:#?}\nrun one with SIMULATION_SEEDS=n..n+1 SIMULATION_ALOUD=1"
    );
    let acknowledged: u64 = outcomes.iter().map(|(_, o)| o.acknowledged).sum();
    // A cluster that does nothing does nothing wrong.
    assert!(
        acknowledged > 40 * outcomes.len() as u64,
        "{acknowledged} operations in all"
    );
    let events: u64 = outcomes.iter().map(|(_, o)| o.events).sum();
    tell(&format!(
        "{} seeds, {acknowledged} operations acknowledged, {events} events",
        outcomes.len()
    ));
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in [3, 1 << 40] {
        let first = run(seed, Plot::Anything);
        assert_eq!(first, run(seed, Plot::Anything));
        assert_ne!(first.fingerprint, run(seed + 1, Plot::Anything).fingerprint);
    }
}

/// Otherwise this program would prove nothing.
#[test]
fn a_disk_that_acknowledges_too_early_is_found_out() {
    let found = (0..40).find(|&seed| !run(seed, Plot::DisksThatLie).violations.is_empty());
    assert!(
        found.is_some(),
        "40 runs on disks that lie, and nobody noticed"
    );
}

/// It came back as the leader of its old term, without entries that the others had committed for
/// it, and put others in their place: acknowledged writes were gone.
#[test]
fn a_leader_that_lost_power_does_not_lead_on_in_its_old_term() {
    for seed in 0..3 {
        assert_eq!(
            run(seed, Plot::LeaderLosesPower).violations,
            Vec::<String>::new()
        );
    }
}
