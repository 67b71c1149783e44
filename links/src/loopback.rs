//! What the whole program does on loopback, beside bare QUIC in the same run: hash, fsync and
//! acknowledgement included.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::link::{NEAR_NAMESPACE, run};
use crate::{Flow, inside};

const FILE_BYTES: u64 = 1 << 30;
const SMALL_BYTES: u64 = 10_000_000;
/// How often each is measured; the median is shown.
const TIMES: usize = 3;
const BARE_SECONDS: u64 = 4;

/// Uploads at once, and the bytes of each.
const CROWD: u64 = 200;
const CROWD_BYTES: u64 = 12 << 20;

/// Measures `program` at the datagram size of the Internet and at the largest it uses.
pub(crate) fn measure(program: &Path, keys: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir_in(".")?;
    let large = work.path().join("large.bin");
    let small = work.path().join("small.bin");
    noise(&large, FILE_BYTES)?;
    noise(&small, SMALL_BYTES)?;
    // 28 bytes of the kernel's are headers of IP and UDP.
    for (name, mtu) in [("1452", "1480"), ("6500", "65536")] {
        drop(
            Command::new("ip")
                .args(["netns", "del", NEAR_NAMESPACE])
                .output(),
        );
        run(&["ip", "netns", "add", NEAR_NAMESPACE])?;
        run(&[
            "ip",
            "-n",
            NEAR_NAMESPACE,
            "link",
            "set",
            "lo",
            "mtu",
            mtu,
            "up",
        ])?;
        let bare = median(|| {
            let flow = Flow::between(
                NEAR_NAMESPACE,
                NEAR_NAMESPACE,
                "127.0.0.1",
                "quic",
                BARE_SECONDS,
                keys,
            )?;
            let (bytes, _) = flow.finish()?;
            Ok(bytes / 1_000_000 / BARE_SECONDS)
        })?;
        let node = Node::start(program, work.path())?;
        let whole = median(|| {
            let took = node.upload(&large)?;
            node.forget()?;
            Ok(FILE_BYTES / 1_000 / u64::try_from(took.as_millis().max(1))?)
        })?;
        let quick = median(|| {
            let took = node.upload(&small)?;
            node.forget()?;
            Ok(u64::try_from(took.as_millis())?)
        })?;
        node.upload(&large)?;
        let again = work.path().join("again.bin");
        fs::hard_link(&large, &again)?;
        let known = node.upload(&again)?.as_millis();
        fs::remove_file(&again)?;
        println!(
            "datagrams of {name}: upload {whole} MB/s, bare QUIC {bare} MB/s, share {}.{:02}; 10 MB in {quick} ms; 1 GiB that is there already in {known} ms",
            whole / bare.max(1),
            whole * 100 / bare.max(1) % 100,
        );
        node.forget()?;
        if name == "6500" {
            crowd(&node, work.path())?;
        }
        drop(node);
    }
    drop(
        Command::new("ip")
            .args(["netns", "del", NEAR_NAMESPACE])
            .output(),
    );
    Ok(())
}

/// The node's memory during many uploads at once.
fn crowd(node: &Node, work: &Path) -> anyhow::Result<()> {
    let before = node.memory("VmRSS")?;
    let mut clients = Vec::new();
    for number in 0..CROWD {
        let path = work.join(format!("crowd-{number}.bin"));
        noise(&path, CROWD_BYTES)?;
        clients.push((node.command(&path).spawn()?, path));
    }
    let mut arrived = 0;
    let mut most = 0;
    while let Some((client, path)) = clients.first_mut() {
        most = most.max(node.memory("VmRSS")?);
        if let Some(status) = client.try_wait()? {
            arrived += u64::from(status.success());
            fs::remove_file(path)?;
            clients.remove(0);
        } else {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    println!(
        "{CROWD} uploads of {} MiB at once: {arrived} arrived; the node had {before} MB of memory before and {most} MB at most",
        CROWD_BYTES >> 20
    );
    Ok(())
}

/// A node in the namespace; it ends when dropped.
struct Node {
    child: Child,
    program: PathBuf,
    data: tempfile::TempDir,
}

const URL: &str = "http://127.0.0.1:8080";

impl Node {
    fn start(program: &Path, work: &Path) -> anyhow::Result<Self> {
        let data = tempfile::tempdir_in(work)?;
        let log = File::create(data.path().join("log"))?;
        let child = inside(NEAR_NAMESPACE, program)
            .args(["serve", "--data-dir"])
            .arg(data.path().join("data"))
            .env_remove("REELMESH_CONFIG")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start the node")?;
        let node = Self {
            child,
            program: program.to_owned(),
            data,
        };
        for _ in 0..300 {
            let mut ask = inside(NEAR_NAMESPACE, program);
            let ask = ask.args(["ls", "--json", "--to", URL]);
            if ask
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?
                .success()
            {
                return Ok(node);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(node.data.path().join("log"))?;
        anyhow::bail!("the node does not answer:\n{log}")
    }

    fn command(&self, path: &Path) -> Command {
        let mut command = inside(NEAR_NAMESPACE, &self.program);
        command.args(["upload", "--to", URL]).arg(path);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Wall time of a whole call, start of the process included.
    fn upload(&self, path: &Path) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let status = self.command(path).status()?;
        ensure!(status.success(), "the upload of {} failed", path.display());
        Ok(start.elapsed())
    }

    /// Deletes all videos, so that the same file is a new one.
    fn forget(&self) -> anyhow::Result<()> {
        let mut list = inside(NEAR_NAMESPACE, &self.program);
        let list = list.args(["ls", "--json", "--to", URL]).output()?;
        for line in String::from_utf8_lossy(&list.stdout).lines() {
            let video: serde_json::Value = serde_json::from_str(line)?;
            if let Some(id) = video["id"].as_str() {
                let mut remove = inside(NEAR_NAMESPACE, &self.program);
                remove.args(["rm", id, "--to", URL]).output()?;
            }
        }
        Ok(())
    }

    /// A line of the kernel's about the process, in megabytes.
    fn memory(&self, what: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: u64 = number.context("no such line")?.parse()?;
        Ok(kib * 1024 / 1_000_000)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn median(mut measure: impl FnMut() -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let mut values = Vec::new();
    for _ in 0..TIMES {
        values.push(measure()?);
    }
    values.sort_unstable();
    Ok(values[TIMES / 2])
}

/// A file that cannot be compressed and is in the page cache afterwards.
fn noise(path: &Path, bytes: u64) -> anyhow::Result<()> {
    let mut from = File::open("/dev/urandom")?.take(bytes);
    let mut to = File::create(path)?;
    std::io::copy(&mut from, &mut to)?;
    to.flush()?;
    Ok(())
}
