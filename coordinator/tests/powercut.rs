//! The power fails while entries are written: every acknowledged one is there afterwards.
//!
//! An ext4 on a loop device is shut down without flushing its journal, or its image is copied
//! under load; then the file system is mounted again and the log opened. Needs root and loop
//! devices, and says loudly when it has not got them. The control run leaves the `fdatasync` out
//! and must lose entries: otherwise this test proves nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use coordinator::catalog;
use coordinator::catalog::node::{Node, Role};
use coordinator::raft::{
    Alone, Batch, Durability, Error, OpenError, Options, open, open_storage, types,
};
use openraft::EntryPayload;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use protocol::id::NodeId;
use protocol::time::Timestamp;
use tokio_util::sync::CancellationToken;

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what is in memory is gone, the journal's too.
const WITHOUT_FLUSH: u32 = 2;
/// The child saw the disk fail and stopped.
const STOPPED: i32 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["child", dir, "entries", durability] => write_entries(Path::new(dir), durability),
        ["child", dir, "commands", durability] => write_commands(Path::new(dir), durability),
        ["inside", work] => run_all(Path::new(work)),
        // The names that a test runner may ask for.
        _ if arguments.contains(&"--list") => Ok(ExitCode::SUCCESS),
        _ => enter(),
    };
    result.unwrap_or_else(|error| {
        say(&format!("test powercut ... FAILED: {error:#}"));
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stdout, reason = "this test has its own main")]
fn say(text: &str) {
    println!("{text}");
    std::io::stdout().flush().expect("standard output is open");
}

// ---- the parent ---------------------------------------------------------------------------

/// Runs the rest where mounts leave nothing behind.
fn enter() -> Result<ExitCode> {
    if let Some(missing) = missing() {
        let line = format!("!! SKIPPED: the power-cut test did not run: {missing}");
        say(&format!(
            "{line}\ntest result: ok. 0 passed; 0 failed; 1 skipped"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let work = tempfile::tempdir()?;
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe()?)
        .arg("inside")
        .arg(work.path())
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn missing() -> Option<String> {
    let dir = tempfile::tempdir().ok()?;
    let probe =
        "set -e; truncate -s 16M i; mkfs.ext4 -q -F i; mkdir m; mount -o loop i m; umount m";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", probe])
        .current_dir(dir.path())
        .output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

fn run_all(work: &Path) -> Result<ExitCode> {
    let mut random = Random::new();
    say(&format!("random seed {}", random.0));
    for work_load in [Load::Entries, Load::Commands] {
        let mut acknowledged = 0;
        for cut in [Cut::Shutdown, Cut::Shutdown, Cut::CopyImage].repeat(2) {
            let after = 30 + random.below(200);
            let outcome = Round::new(work, work_load, "power", cut, after, &mut random).run()?;
            acknowledged += outcome.acknowledged;
            ensure!(
                outcome.lost == 0,
                "{work_load:?}, {cut:?} after {after}: {outcome:?}"
            );
        }
        say(&format!(
            "test every_acknowledged_write_survives_the_cut ({work_load:?}) ... ok \
             ({acknowledged} in 6 cuts)"
        ));
    }
    for cut in [Cut::Shutdown, Cut::CopyImage] {
        control(work, cut, &mut random)?;
    }
    say("test result: ok. 4 passed; 0 failed; 0 skipped");
    Ok(ExitCode::SUCCESS)
}

/// The same without our `fdatasync`: a test that finds no loss here would find none above.
fn control(work: &Path, cut: Cut, random: &mut Random) -> Result<()> {
    // sled syncs by itself once a second, so a slow machine may need another try.
    for attempt in 1..=5 {
        let outcome = Round::new(work, Load::Entries, "process", cut, 40, random).run()?;
        if outcome.lost > 0 {
            let Outcome { acknowledged, lost } = outcome;
            say(&format!(
                "test without_our_sync_entries_are_lost ({cut:?}) ... ok \
                 ({lost} of {acknowledged} lost, attempt {attempt})"
            ));
            return Ok(());
        }
    }
    bail!("the control run ({cut:?}) lost nothing, so this test cannot see a loss");
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    Shutdown,
    CopyImage,
}

/// What the child writes.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// Small and large entries and votes, straight into the log.
    Entries,
    /// Commands through a whole node that often writes a snapshot and cuts its log.
    Commands,
}

#[derive(Debug)]
struct Outcome {
    /// Entries and one vote.
    acknowledged: u64,
    lost: u64,
}

struct Round {
    image: PathBuf,
    mount: PathBuf,
    load: Load,
    durability: &'static str,
    cut: Cut,
    after: u64,
    pause: Duration,
}

impl Round {
    fn new(
        work: &Path,
        load: Load,
        durability: &'static str,
        cut: Cut,
        after: u64,
        random: &mut Random,
    ) -> Self {
        Self {
            image: work.join("image"),
            mount: work.join("mount"),
            load,
            durability,
            cut,
            after,
            pause: Duration::from_micros(random.below(5000)),
        }
    }

    fn run(&self) -> Result<Outcome> {
        std::fs::create_dir_all(&self.mount)?;
        sh(&format!(
            "rm -f {0} && truncate -s 256M {0} && mkfs.ext4 -q -F {0}",
            self.image.display()
        ))?;
        self.mount()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("child")
            .arg(self.mount.join("node"))
            .arg(match self.load {
                Load::Entries => "entries",
                Load::Commands => "commands",
            })
            .arg(self.durability)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let acks = self.cut_power(&mut child);
        // Whatever went wrong, nothing stays mounted by a process of ours.
        drop(child.kill());
        child.wait()?;
        let acks = acks?;
        sh(&format!("umount {}", self.mount.display()))?;
        if let Cut::CopyImage = self.cut {
            std::fs::rename(self.image.with_extension("copy"), &self.image)?;
        }
        self.mount()?;
        let dir = self.mount.join("node");
        let lost = match self.load {
            Load::Entries => count_lost_entries(&dir, &acks),
            Load::Commands => count_lost_commands(&dir, &acks),
        };
        sh(&format!("umount {}", self.mount.display()))?;
        Ok(Outcome {
            acknowledged: acks.entries + 1,
            lost,
        })
    }

    fn mount(&self) -> Result<()> {
        sh(&format!(
            "mount -o loop {} {}",
            self.image.display(),
            self.mount.display()
        ))
    }

    /// Lets the child write, cuts, and returns what it had acknowledged.
    fn cut_power(&self, child: &mut Child) -> Result<Acks> {
        let output = child.stdout.take().context("piped")?;
        let mut lines = BufReader::new(output).lines();
        let mut acks = Acks::default();
        while acks.entries < self.after {
            let line = lines.next().context("the child ended early")??;
            acks.hear(&line)?;
        }
        std::thread::sleep(self.pause);
        match self.cut {
            Cut::Shutdown => {
                shut_down(&self.mount)?;
                // The first failed sync must stop the writer; it may not acknowledge any more.
                let stopped = exit_code(child, Duration::from_secs(10))?;
                ensure!(stopped == Some(STOPPED), "the child ended with {stopped:?}");
            }
            Cut::CopyImage => {
                stop(child)?;
                sh(&format!(
                    "cp --sparse=always {0} {0}.copy",
                    self.image.display()
                ))?;
                child.kill()?;
            }
        }
        for line in lines {
            // The last line may be cut off.
            acks.hear(&line?).ok();
        }
        Ok(acks)
    }
}

/// What the child has said is safe.
#[derive(Debug, Default)]
struct Acks {
    /// Entries 0 to this, exclusive.
    entries: u64,
    /// Term of the newest vote.
    vote: u64,
}

impl Acks {
    fn hear(&mut self, line: &str) -> Result<()> {
        match line.split_once(' ') {
            Some(("entry", index)) => self.entries = index.parse::<u64>()? + 1,
            Some(("vote", term)) => self.vote = term.parse()?,
            _ => bail!("the child says {line:?}"),
        }
        Ok(())
    }
}

/// Entries that were acknowledged and are gone or changed; all, if the log does not open.
fn count_lost_entries(dir: &Path, acks: &Acks) -> u64 {
    let (log, _machine, _) = match open_storage(&options(dir, Durability::Power)) {
        Ok(storage) => storage,
        Err(error) => {
            say(&format!("    {error}"));
            return acks.entries + 1;
        }
    };
    let found = log.entries();
    let intact = found
        .iter()
        .zip(0..acks.entries)
        .filter(|(found, index)| **found == entry(*index))
        .count() as u64;
    let vote = log.vote().map_or(0, |vote| vote.leader_id.term);
    log.close();
    (acks.entries - intact) + u64::from(vote < acks.vote)
}

/// Nodes that were announced and are not in the catalogue.
fn count_lost_commands(dir: &Path, acks: &Acks) -> u64 {
    let known = runtime().block_on(async {
        let (handle, _service) = open(options(dir, Durability::Power), Alone).await?;
        let known: BTreeSet<NodeId> =
            handle.read(|catalog| catalog.nodes().map(|node| node.id).collect());
        handle.shutdown().await;
        Ok::<_, OpenError>(known)
    });
    match known {
        Ok(known) => (0..acks.entries)
            .filter(|&id| !known.contains(&NodeId(id)))
            .count() as u64,
        Err(error) => {
            say(&format!("    {error}"));
            acks.entries + 1
        }
    }
}

fn sh(command: &str) -> Result<()> {
    let output = Command::new("sh").args(["-c", command]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command}: {errors}");
    Ok(())
}

#[expect(unsafe_code, reason = "there is no safe way to cut the power")]
fn shut_down(mount: &Path) -> Result<()> {
    let dir = File::open(mount)?;
    let flag = WITHOUT_FLUSH;
    // SAFETY: the request reads one `u32` behind the pointer, which lives long enough.
    let code = unsafe { libc::ioctl(dir.as_raw_fd(), SHUTDOWN, &raw const flag) };
    ensure!(code == 0, "shutdown: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Halts the child, so that its files stand still while they are copied.
fn stop(child: &Child) -> Result<()> {
    sh(&format!("kill -STOP {}", child.id()))?;
    let start = Instant::now();
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
        let state = stat.rsplit(')').next().context("a state")?.trim_start();
        if state.starts_with('T') {
            return Ok(());
        }
        ensure!(start.elapsed().as_secs() < 10, "the child does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn exit_code(child: &mut Child, within: Duration) -> Result<Option<i32>> {
    let start = Instant::now();
    while start.elapsed() < within {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("the child goes on after the cut");
}

/// Xorshift: enough to spread the cuts, and the seed is printed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(now.map_or(1, |now| u64::from(now.subsec_nanos())) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

// ---- the child ----------------------------------------------------------------------------

fn options(dir: &Path, durability: Durability) -> Options {
    let mut options = Options::new(dir, NodeId(1), Arc::new(Timestamp::default));
    options.durability = durability;
    options.snapshot_every = 20;
    options.keep_entries = 5;
    options
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn durability(name: &str) -> Result<Durability> {
    match name {
        "power" => Ok(Durability::Power),
        "process" => Ok(Durability::Process),
        other => bail!("{other}?"),
    }
}

/// The entry at `index`: 100 bytes, 20 KB or 60 KB.
fn entry(index: u64) -> types::Entry {
    let leader_id = types::LeaderId {
        term: 1,
        node_id: 1,
    };
    let size = match index % 8 {
        3 => 20_000,
        7 => 60_000,
        _ => 100,
    };
    let mut random = Random(index + 1);
    let command = (0..size)
        .map(|_| random.below(256).to_le_bytes()[0])
        .collect();
    types::Entry {
        log_id: types::LogId { leader_id, index },
        payload: EntryPayload::Normal(Batch {
            at: Timestamp::default(),
            commands: vec![command],
        }),
    }
}

/// Writes until the disk fails, and says what is acknowledged.
fn write_entries(dir: &Path, how: &str) -> Result<ExitCode> {
    let (mut log, _machine, _) = open_storage(&options(dir, durability(how)?))?;
    runtime().block_on(async {
        for index in 0.. {
            if index % 10 == 9 {
                let vote = types::Vote::new(index, 1);
                if log.save_vote(&vote).await.is_err() {
                    break;
                }
                say(&format!("vote {index}"));
            }
            if log.blocking_append([entry(index)]).await.is_err() {
                break;
            }
            say(&format!("entry {index}"));
        }
    });
    // Not through `main`: closing would meet the dead disk again.
    std::process::exit(STOPPED)
}

/// Announces nodes until the disk fails, and says which are acknowledged.
fn write_commands(dir: &Path, how: &str) -> Result<ExitCode> {
    let options = options(dir, durability(how)?);
    runtime().block_on(async {
        let (handle, service) = open(options, Alone).await?;
        for id in 0.. {
            if handle.propose(announce(id)).await.is_err() {
                break;
            }
            say(&format!("entry {id}"));
        }
        // The program hears of it too, and stops.
        let stopped = service.run(CancellationToken::new()).await;
        std::process::exit(if matches!(stopped, Err(Error::Storage(_))) {
            STOPPED
        } else {
            1
        })
    })
}

fn announce(id: u64) -> catalog::Command {
    catalog::Command::AnnounceNode {
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
            address: String::new(),
            removed_at: None,
        }),
    }
}
