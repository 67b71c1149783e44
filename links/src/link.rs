//! A link in userspace: two TUN devices in two network namespaces, and threads that carry packets
//! between them with a rate, a delay, a buffer and loss. Kernels without netem can do this too.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// The addresses at both ends.
pub(crate) const NEAR: &str = "10.77.0.1";
pub(crate) const FAR: &str = "10.77.0.2";
pub(crate) const NEAR_NAMESPACE: &str = "rm-links-near";
pub(crate) const FAR_NAMESPACE: &str = "rm-links-far";

const MTU: u32 = 1_500;

/// Packets read before those that are due are written.
const BATCH: usize = 64;

/// What the link is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) mbit: u64,
    pub(crate) rtt: Duration,
    /// Bytes that wait at the bottleneck.
    pub(crate) buffer: u64,
    /// Packets lost in both directions, in thousandths.
    pub(crate) loss: u64,
    /// Mean number lost in a row.
    pub(crate) burst: u64,
}

/// What one direction has carried.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) lost: AtomicU64,
    /// Found no room in the buffer.
    pub(crate) dropped: AtomicU64,
}

/// A running link; it ends when dropped.
pub(crate) struct Link {
    pub(crate) forth: Arc<Counts>,
    stop: Arc<AtomicBool>,
    pumps: Vec<JoinHandle<()>>,
}

impl Link {
    /// Makes both namespaces anew and joins them.
    pub(crate) fn open(profile: Profile) -> anyhow::Result<Self> {
        remove();
        for namespace in [NEAR_NAMESPACE, FAR_NAMESPACE] {
            run(&["ip", "netns", "add", namespace])?;
        }
        let near = device(NEAR_NAMESPACE, NEAR)?;
        let far = device(FAR_NAMESPACE, FAR)?;
        let stop = Arc::new(AtomicBool::new(false));
        let forth = Arc::new(Counts::default());
        let back = Arc::new(Counts::default());
        let pump = |from: &File, to: &File, counts: &Arc<Counts>, seed| -> anyhow::Result<_> {
            let pump = Pump {
                from: from.try_clone()?,
                to: to.try_clone()?,
                profile,
                counts: Arc::clone(counts),
                stop: Arc::clone(&stop),
                seed,
                in_burst: false,
            };
            Ok(std::thread::spawn(move || pump.run()))
        };
        let pumps = vec![
            pump(&near, &far, &forth, 0x9e37_79b9_7f4a_7c15)?,
            pump(&far, &near, &back, 0xd1b5_4a32_d192_ed03)?,
        ];
        Ok(Self { forth, stop, pumps })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for pump in self.pumps.drain(..) {
            drop(pump.join());
        }
        remove();
    }
}

fn remove() {
    for namespace in [NEAR_NAMESPACE, FAR_NAMESPACE] {
        let mut command = Command::new("ip");
        drop(command.args(["netns", "del", namespace]).output());
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let output = output.with_context(|| format!("cannot run {}", words[0]))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A TUN device in `namespace`, open here.
#[expect(unsafe_code, reason = "no safe wrapper has this ioctl and setns")]
fn device(namespace: &'static str, address: &'static str) -> anyhow::Result<File> {
    let made = std::thread::spawn(move || {
        let entered = File::open(format!("/var/run/netns/{namespace}"))?;
        // SAFETY: the descriptor is open; only this thread changes its namespace.
        let result = unsafe { libc::setns(entered.as_raw_fd(), libc::CLONE_NEWNET) };
        ensure!(result == 0, "setns: {}", std::io::Error::last_os_error());
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .context("cannot open /dev/net/tun")?;
        // SAFETY: plain integers and arrays of them; zeros are valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (at, byte) in b"tun0".iter().enumerate() {
            request.ifr_name[at] = libc::c_char::try_from(*byte)?;
        }
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI)?;
        // SAFETY: the request lives through the call and has the shape that it asks for.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        ensure!(
            result == 0,
            "TUNSETIFF: {}",
            std::io::Error::last_os_error()
        );
        // SAFETY: the descriptor is open.
        let result = unsafe { libc::fcntl(device.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        ensure!(
            result == 0,
            "O_NONBLOCK: {}",
            std::io::Error::last_os_error()
        );
        Ok(device)
    });
    let device = made.join().expect("making a device does not panic")?;
    let inside = |words: &[&str]| {
        let all: Vec<&str> = ["ip", "-n", namespace]
            .iter()
            .chain(words)
            .copied()
            .collect();
        run(&all)
    };
    let mtu = MTU.to_string();
    inside(&[
        "link",
        "set",
        "tun0",
        "mtu",
        &mtu,
        "txqueuelen",
        "20000",
        "up",
    ])?;
    inside(&["addr", "add", &format!("{address}/24"), "dev", "tun0"])?;
    inside(&["link", "set", "lo", "up"])?;
    Ok(device)
}

/// One direction.
struct Pump {
    from: File,
    to: File,
    profile: Profile,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    seed: u64,
    in_burst: bool,
}

impl Pump {
    fn run(mut self) {
        precise_timers();
        let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut spare: Vec<Vec<u8>> = Vec::new();
        let mut free_at = Instant::now();
        let mut buffer = vec![0; 65_536];
        while !self.stop.load(Ordering::Relaxed) {
            for _ in 0..BATCH {
                let Ok(length) = self.from.read(&mut buffer) else {
                    break;
                };
                let Some(due) = self.admit(length, &mut free_at) else {
                    continue;
                };
                let mut packet = spare.pop().unwrap_or_default();
                packet.clear();
                packet.extend_from_slice(&buffer[..length]);
                under_way.push_back((due, packet));
            }
            let now = Instant::now();
            while under_way.front().is_some_and(|(due, _)| *due <= now) {
                if let Some((_, packet)) = under_way.pop_front() {
                    // A full device loses it, as a router would.
                    drop(self.to.write(&packet));
                    self.counts.sent.fetch_add(1, Ordering::Relaxed);
                    spare.push(packet);
                }
            }
            let next = under_way.front().map(|(due, _)| *due);
            let wait = next.map_or(Duration::from_millis(20), |due| {
                due.saturating_duration_since(Instant::now())
            });
            self.wait(wait);
        }
    }

    /// When a packet arrives that comes now; none if it is lost.
    fn admit(&mut self, length: usize, free_at: &mut Instant) -> Option<Instant> {
        let now = Instant::now();
        let lost = self.draws_loss();
        let start = now.max(*free_at);
        let nanos_per_byte = 8_000 / self.profile.mbit.max(1);
        let waiting = (start - now).as_nanos() / u128::from(nanos_per_byte.max(1));
        if waiting + length as u128 > u128::from(self.profile.buffer) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *free_at = start + Duration::from_nanos(length as u64 * 8_000 / self.profile.mbit.max(1));
        if lost {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(*free_at + self.profile.rtt / 2)
    }

    /// Gilbert and Elliott's model: two states, all is lost in one of them.
    fn draws_loss(&mut self) -> bool {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let draw = (self.seed >> 11) % 1_000_000;
        let (loss, burst) = (self.profile.loss * 1_000, self.profile.burst.max(1));
        if burst == 1 {
            return draw < loss;
        }
        self.in_burst = if self.in_burst {
            draw >= 1_000_000 / burst
        } else {
            draw * burst * (1_000_000 - loss) / 1_000_000 < loss
        };
        self.in_burst
    }

    #[expect(unsafe_code, reason = "the standard library cannot wait for one file")]
    fn wait(&self, longest: Duration) {
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: i64::from(longest.subsec_nanos().max(1)),
        };
        let mut poll = libc::pollfd {
            fd: self.from.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: both structs live through the call.
        unsafe { libc::ppoll(&raw mut poll, 1, &raw const time, std::ptr::null()) };
    }
}

/// The kernel may otherwise be 50 microseconds late with every wake-up.
#[expect(unsafe_code, reason = "the standard library has no prctl")]
fn precise_timers() {
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000) };
}
