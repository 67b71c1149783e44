//! Measures what uploads get from a link, beside TCP with CUBIC and with BBR in the same run.
//!
//! `links [PROFILE]` as root prints the table, `links loopback PROGRAM` what the program does where
//! only the two processors limit it; the links are emulated in userspace between two
//! network namespaces that it makes and removes.

#![expect(clippy::print_stdout, reason = "a table is its result")]

mod flow;
mod link;
mod loopback;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use link::{FAR_NAMESPACE, Link, NEAR_NAMESPACE, Profile};

/// How long one flow is measured, alone and beside another.
const SECONDS: u64 = 10;
const SECONDS_SHARED: u64 = 30;

const fn profile(name: &'static str, mbit: u64, rtt_ms: u64) -> Profile {
    Profile {
        name,
        mbit,
        rtt: Duration::from_millis(rtt_ms),
        // As much as is under way: a bandwidth-delay product.
        buffer: mbit * 125 * rtt_ms,
        loss: 0,
        burst: 1,
    }
}

fn profiles() -> Vec<Profile> {
    let long = profile("", 200, 100);
    vec![
        Profile {
            rtt: Duration::from_micros(200),
            buffer: 500_000,
            ..profile("LAN, 0.2 ms, 500 Mbit/s", 500, 1)
        },
        profile("50 ms, clean", 200, 50),
        Profile {
            buffer: 150_000,
            ..profile("50 ms, clean, buffer of 150 KB", 200, 50)
        },
        Profile {
            loss: 1,
            ..profile("50 ms, 0.1 % loss", 200, 50)
        },
        Profile {
            name: "100 ms, 1 % loss",
            loss: 10,
            ..long
        },
        Profile {
            name: "100 ms, 2 % loss",
            loss: 20,
            ..long
        },
        Profile {
            name: "100 ms, 1 % loss in bursts of 8",
            loss: 10,
            burst: 8,
            ..long
        },
    ]
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["__receive", kind, seconds, keys] => {
            flow::receive(kind, seconds.parse()?, Path::new(keys))
        }
        ["__send", kind, seconds, keys] => flow::send(kind, seconds.parse()?, Path::new(keys)),
        ["loopback", program] => {
            let keys = tempfile::tempdir()?;
            node::auth::authority::Identity::open(keys.path())?;
            loopback::measure(&Path::new(program).canonicalize()?, keys.path())
        }
        [] => table(""),
        [name] => table(name),
        _ => anyhow::bail!("usage: links [part of a profile's name] | links loopback PROGRAM"),
    }
}

fn table(wanted: &str) -> anyhow::Result<()> {
    let keys = tempfile::tempdir()?;
    node::auth::authority::Identity::open(keys.path())?;
    println!(
        "{:34} {:>8} {:>9} {:>8}   (Mbit/s in {SECONDS} s)   queue loss  packets lost",
        "link of 200 Mbit/s", "Reelmesh", "TCP cubic", "TCP bbr"
    );
    for profile in profiles() {
        if !profile.name.contains(wanted) {
            continue;
        }
        let mut cells = Vec::new();
        let mut notes = String::new();
        for kind in ["quic", "cubic", "bbr"] {
            let link = Link::open(profile)?;
            let flow = Flow::start(kind, SECONDS, keys.path())?;
            let (bytes, sender) = flow.finish()?;
            cells.push(mbit(bytes, SECONDS));
            if kind == "quic" {
                let dropped = link.forth.dropped.load(Ordering::Relaxed);
                let all = dropped + link.forth.sent.load(Ordering::Relaxed);
                notes = format!(
                    "{:.2} %      {} of {}",
                    percent(dropped, all),
                    sender["lost"],
                    sender["sent"]
                );
            }
        }
        println!(
            "{:34} {:8.1} {:9.1} {:8.1}                     {notes}",
            profile.name, cells[0], cells[1], cells[2]
        );
    }
    shared(wanted, keys.path())
}

/// What a TCP flow keeps beside one of ours.
fn shared(wanted: &str, keys: &Path) -> anyhow::Result<()> {
    let profile = profile("50 ms, clean, shared", 200, 50);
    if !profile.name.contains(wanted) {
        return Ok(());
    }
    for (name, order) in [
        ("ours, then cubic", ["quic", "cubic"]),
        ("cubic, then ours", ["cubic", "quic"]),
    ] {
        let _link = Link::open(profile)?;
        let first = Flow::start(order[0], SECONDS_SHARED, keys)?;
        std::thread::sleep(Duration::from_secs(2));
        let second = Flow::start(order[1], SECONDS_SHARED, keys)?;
        let (first, _) = first.finish()?;
        let (second, _) = second.finish()?;
        let (ours, tcp) = if order[0] == "quic" {
            (first, second)
        } else {
            (second, first)
        };
        println!(
            "{:34} {:8.1} {:9.1}   TCP keeps {:.0} %",
            format!("50 ms, clean, {name}"),
            mbit(ours, SECONDS_SHARED),
            mbit(tcp, SECONDS_SHARED),
            percent(tcp, ours + tcp)
        );
    }
    Ok(())
}

/// Both ends of one flow, as processes.
struct Flow {
    receiver: Child,
    receiver_says: BufReader<ChildStdout>,
    sender: Child,
}

impl Flow {
    fn start(kind: &str, seconds: u64, keys: &Path) -> anyhow::Result<Self> {
        Self::between(
            NEAR_NAMESPACE,
            FAR_NAMESPACE,
            link::FAR,
            kind,
            seconds,
            keys,
        )
    }

    fn between(
        near: &str,
        far: &str,
        address: &str,
        kind: &str,
        seconds: u64,
        keys: &Path,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let end = |namespace: &str, role: &str| {
            let mut command = inside(namespace, &program);
            command
                .args([role, kind, &seconds.to_string()])
                .arg(keys)
                .env(flow::FAR_VARIABLE, address)
                .stdout(Stdio::piped());
            command.spawn().context("cannot run ip netns exec")
        };
        let mut receiver = end(far, "__receive")?;
        let says = receiver.stdout.take().context("piped")?;
        let mut receiver_says = BufReader::new(says);
        let mut line = String::new();
        receiver_says.read_line(&mut line)?;
        anyhow::ensure!(
            line.trim() == "ready",
            "the receiver of {kind} did not begin"
        );
        let sender = end(near, "__send")?;
        Ok(Self {
            receiver,
            receiver_says,
            sender,
        })
    }

    /// Bytes that arrived, and what the sender says.
    fn finish(mut self) -> anyhow::Result<(u64, Value)> {
        let mut line = String::new();
        self.receiver_says.read_line(&mut line)?;
        let received: Value = serde_json::from_str(&line).context("the receiver failed")?;
        let sender = self.sender.wait_with_output()?;
        self.receiver.wait()?;
        let said = String::from_utf8_lossy(&sender.stdout);
        let sender: Value = serde_json::from_str(said.trim()).unwrap_or_default();
        Ok((received["bytes"].as_u64().context("bytes")?, sender))
    }
}

/// A command that runs `program` in `namespace`.
fn inside(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mbit(bytes: u64, seconds: u64) -> f64 {
    bytes as f64 * 8e-6 / seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn percent(part: u64, all: u64) -> f64 {
    part as f64 * 100.0 / all.max(1) as f64
}
