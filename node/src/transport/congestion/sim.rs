//! A link in virtual time, and flows that share it: the controller's proving ground.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures of a simulation, all of them small"
)]
#![allow(clippy::disallowed_methods, reason = "the origin of the virtual clock")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::rate::Rate;

/// Bytes of a datagram.
const MTU: u64 = 1452;

/// The bottleneck.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) mbit: u64,
    pub(super) rtt: Duration,
    /// Bytes that wait before more is dropped.
    pub(super) buffer: u64,
    /// In thousandths.
    pub(super) loss: u64,
    /// Mean packets lost in a row.
    pub(super) burst: u64,
    /// Marks instead of dropping when so many bytes wait.
    pub(super) marks_at: Option<u64>,
    /// The link carries nothing between these times.
    pub(super) gap: Option<(Duration, Duration)>,
    /// How late a busy host may be with an acknowledgement.
    pub(super) jitter: Duration,
    /// From then on it carries so much.
    pub(super) later: Option<(Duration, u64)>,
}

impl Link {
    pub(super) fn new(mbit: u64, rtt_ms: u64) -> Self {
        Self {
            mbit,
            rtt: Duration::from_millis(rtt_ms),
            buffer: mbit * 125 * rtt_ms,
            loss: 0,
            burst: 1,
            marks_at: None,
            gap: None,
            jitter: Duration::ZERO,
            later: None,
        }
    }
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    /// TCP with CUBIC (RFC 9438), SACK and slow start that ends by delay.
    Cubic,
}

/// What came of one flow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) mbit: f64,
    /// Of its own packets, those that found no room in the buffer, in thousandths.
    pub(super) dropped: f64,
    /// Mean round trip in milliseconds.
    pub(super) rtt_ms: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive {
        flow: usize,
        packet: u64,
        marked: bool,
    },
    Ack {
        flow: usize,
        upto: u64,
    },
    Send {
        flow: usize,
    },
    Timeout {
        flow: usize,
    },
}

struct Sent {
    at: Instant,
}

struct Flow {
    kind: Kind,
    begins: Duration,
    ours: Rate,
    tcp: Tcp,
    next: u64,
    sent: BTreeMap<u64, Sent>,
    /// Received, waiting to be acknowledged.
    received: VecDeque<(u64, bool)>,
    acks: BTreeMap<u64, Vec<(u64, bool)>>,
    ack_number: u64,
    srtt: Option<Duration>,
    tokens_at: Instant,
    tokens: f64,
    is_waiting: bool,
    delivered: u64,
    dropped: u64,
    total: u64,
    rtt_sum: f64,
    rtt_count: u64,
    largest: u64,
    timeout_at: Instant,
    acked_at: Instant,
}

/// Slow start that ends by delay, then CUBIC; one reduction a round.
struct Tcp {
    window: f64,
    threshold: f64,
    top: f64,
    since: Option<Instant>,
    reduced_upto: u64,
    least: Option<Duration>,
    /// Acknowledgements in a row that had waited in a queue.
    delayed: u32,
}

/// Runs `flows` (kind and begin) over `link` for `seconds`; counts from `from` on.
pub(super) fn run(link: Link, flows: &[(Kind, u64)], seconds: u64, from: u64) -> Vec<Outcome> {
    World::new(link, flows, from).run(seconds)
}

struct World {
    link: Link,
    begin: Instant,
    now: Instant,
    from: Duration,
    flows: Vec<Flow>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    number: u64,
    free_at: Instant,
    seed: u64,
    in_burst: bool,
}

impl World {
    fn new(link: Link, flows: &[(Kind, u64)], from: u64) -> Self {
        let begin = Instant::now();
        let flows = flows
            .iter()
            .map(|&(kind, begins)| Flow {
                kind,
                begins: Duration::from_secs(begins),
                ours: Rate::new(begin, MTU as u16),
                tcp: Tcp {
                    window: 10.0,
                    threshold: f64::MAX,
                    top: 0.0,
                    since: None,
                    reduced_upto: 0,
                    least: None,
                    delayed: 0,
                },
                next: 0,
                sent: BTreeMap::new(),
                received: VecDeque::new(),
                acks: BTreeMap::new(),
                ack_number: 0,
                srtt: None,
                tokens_at: begin,
                tokens: 10.0 * MTU as f64,
                is_waiting: false,
                delivered: 0,
                dropped: 0,
                total: 0,
                rtt_sum: 0.0,
                rtt_count: 0,
                largest: 0,
                timeout_at: begin,
                acked_at: begin,
            })
            .collect();
        Self {
            link,
            begin,
            now: begin,
            from: Duration::from_secs(from),
            flows,
            events: BinaryHeap::new(),
            number: 0,
            free_at: begin,
            seed: 0x9e37_79b9_7f4a_7c15,
            in_burst: false,
        }
    }

    fn run(mut self, seconds: u64) -> Vec<Outcome> {
        for flow in 0..self.flows.len() {
            let at = self.begin + self.flows[flow].begins;
            self.flows[flow].tokens_at = at;
            if self.flows[flow].kind == Kind::Ours {
                self.flows[flow].ours = Rate::new(at, MTU as u16);
            }
            self.at(at, Event::Send { flow });
        }
        let end = self.begin + Duration::from_secs(seconds);
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = at;
            match event {
                Event::Send { flow } => {
                    self.flows[flow].is_waiting = false;
                    self.send(flow);
                }
                Event::Arrive {
                    flow,
                    packet,
                    marked,
                } => self.arrive(flow, packet, marked),
                Event::Ack { flow, upto } => self.ack(flow, upto),
                Event::Timeout { flow } => self.timeout(flow),
            }
        }
        let span = (seconds - self.from.as_secs()) as f64;
        self.flows
            .iter()
            .map(|flow| Outcome {
                mbit: flow.delivered as f64 * MTU as f64 * 8.0 / 1e6 / span,
                dropped: flow.dropped as f64 * 1000.0 / flow.total.max(1) as f64,
                rtt_ms: flow.rtt_sum / flow.rtt_count.max(1) as f64,
            })
            .collect()
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at, self.number, event)));
    }

    fn random(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn is_lost(&mut self) -> bool {
        let loss = self.link.loss as f64 / 1000.0;
        let burst = self.link.burst as f64;
        let random = self.random();
        if burst <= 1.0 {
            return random < loss;
        }
        self.in_burst = if self.in_burst {
            random > 1.0 / burst
        } else {
            random < loss / (burst * (1.0 - loss))
        };
        self.in_burst
    }

    /// Sends what window and pacing allow.
    fn send(&mut self, number: usize) {
        loop {
            let now = self.now;
            let flow = &mut self.flows[number];
            let window = flow.window();
            if (flow.sent.len() as u64 + 1) * MTU > window {
                return;
            }
            if flow.kind == Kind::Ours
                && let Some(srtt) = flow.srtt
            {
                // As quinn paces: a quarter faster than a window a round trip, in small bursts.
                let rate = window as f64 * 1.25 / srtt.as_secs_f64();
                let passed = now.saturating_duration_since(flow.tokens_at).as_secs_f64();
                let most = (rate * 0.002).clamp(10.0 * MTU as f64, 256.0 * MTU as f64);
                flow.tokens = (flow.tokens + rate * passed).min(most);
                flow.tokens_at = now;
                if flow.tokens < MTU as f64 {
                    if !flow.is_waiting {
                        flow.is_waiting = true;
                        let wait = (most * 0.5 - flow.tokens).max(MTU as f64) / rate;
                        let at = now + Duration::from_secs_f64(wait);
                        self.at(at, Event::Send { flow: number });
                    }
                    return;
                }
                flow.tokens -= MTU as f64;
            }
            let packet = flow.next;
            flow.next += 1;
            flow.sent.insert(packet, Sent { at: now });
            flow.ours.on_sent(now);
            let counts = now.saturating_duration_since(self.begin) >= self.from;
            flow.total += u64::from(counts);
            if flow.sent.len() == 1 {
                let wait = flow.srtt.map_or(Duration::from_secs(1), |srtt| srtt * 3);
                flow.timeout_at = now + wait;
                let at = flow.timeout_at;
                self.at(at, Event::Timeout { flow: number });
            }
            self.forward(number, packet, counts);
        }
    }

    fn forward(&mut self, flow: usize, packet: u64, counts: bool) {
        let passed = self.now - self.begin;
        let is_away = self
            .link
            .gap
            .is_some_and(|(from, to)| passed >= from && passed < to);
        if let Some((from, mbit)) = self.link.later
            && passed >= from
        {
            self.link.mbit = mbit;
        }
        let bits = self.link.mbit as f64 * 1e6;
        let start = self.free_at.max(self.now);
        let waiting = (start - self.now).as_secs_f64() * bits / 8.0;
        if waiting + MTU as f64 > self.link.buffer as f64 {
            self.flows[flow].dropped += u64::from(counts);
            return;
        }
        // 28 bytes of IP and UDP around each datagram.
        self.free_at = start + Duration::from_secs_f64((MTU + 28) as f64 * 8.0 / bits);
        if self.is_lost() || is_away {
            return;
        }
        let marked = self.link.marks_at.is_some_and(|at| waiting > at as f64);
        let at = self.free_at + self.link.rtt / 2;
        self.at(
            at,
            Event::Arrive {
                flow,
                packet,
                marked,
            },
        );
    }

    fn arrive(&mut self, number: usize, packet: u64, marked: bool) {
        if self.now.saturating_duration_since(self.begin) >= self.from {
            self.flows[number].delivered += 1;
        }
        let flow = &mut self.flows[number];
        flow.received.push_back((packet, marked));
        // Every second packet is acknowledged, as are those out of order.
        if flow.received.len() >= 2 || packet != flow.largest + 1 {
            let batch = flow.received.drain(..).collect();
            flow.ack_number += 1;
            let upto = flow.ack_number;
            flow.acks.insert(upto, batch);
            let late = self.link.jitter.mul_f64(self.random());
            let flow = &mut self.flows[number];
            // Acknowledgements do not overtake each other.
            flow.acked_at = flow.acked_at.max(self.now + self.link.rtt / 2 + late);
            let at = flow.acked_at;
            self.at(at, Event::Ack { flow: number, upto });
        }
        let flow = &mut self.flows[number];
        flow.largest = flow.largest.max(packet);
    }

    fn ack(&mut self, number: usize, upto: u64) {
        let now = self.now;
        let flow = &mut self.flows[number];
        let Some(batch) = flow.acks.remove(&upto) else {
            return;
        };
        let mut largest = None;
        let mut marked = false;
        for (packet, mark) in batch {
            marked |= mark;
            if let Some(sent) = flow.sent.remove(&packet) {
                largest = largest.max(Some((packet, sent.at)));
                match flow.kind {
                    Kind::Ours => flow.ours.on_ack(now, sent.at, MTU),
                    Kind::Cubic => flow.tcp.on_ack(now, now - sent.at),
                }
            }
        }
        let Some((largest, sent_at)) = largest else {
            return;
        };
        let rtt = now - sent_at;
        flow.rtt_sum += rtt.as_secs_f64() * 1000.0;
        flow.rtt_count += 1;
        flow.srtt = Some(flow.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        let in_flight = flow.sent.len() as u64 * MTU;
        flow.ours.on_end_acks(now, in_flight, false);
        // Packets three behind the newest are lost.
        let lost: Vec<u64> = flow
            .sent
            .range(..largest.saturating_sub(2))
            .map(|(&p, _)| p)
            .collect();
        if let Some(last) = lost.last().copied() {
            let at = flow.sent[&last].at;
            for packet in &lost {
                flow.sent.remove(packet);
            }
            match flow.kind {
                Kind::Ours => flow
                    .ours
                    .on_congestion(now, at, lost.len() as u64 * MTU, false),
                Kind::Cubic => flow.tcp.on_loss(now, last, flow.next),
            }
        }
        if marked {
            match flow.kind {
                Kind::Ours => flow.ours.on_congestion(now, sent_at, 0, false),
                Kind::Cubic => flow.tcp.on_loss(now, largest, flow.next),
            }
        }
        flow.timeout_at = now + flow.srtt.unwrap_or_default() * 3;
        self.send(number);
    }

    /// Nothing was acknowledged for long: all that is under way is lost.
    fn timeout(&mut self, number: usize) {
        let now = self.now;
        let flow = &mut self.flows[number];
        if flow.sent.is_empty() {
            return;
        }
        if now < flow.timeout_at {
            let at = flow.timeout_at;
            self.at(at, Event::Timeout { flow: number });
            return;
        }
        let lost = flow.sent.len() as u64 * MTU;
        flow.sent.clear();
        flow.received.clear();
        flow.ours.on_congestion(now, now, lost, true);
        flow.tcp.window = 2.0;
        self.send(number);
    }
}

impl Flow {
    fn window(&self) -> u64 {
        match self.kind {
            Kind::Ours => self.ours.window(),
            Kind::Cubic => self.tcp.window as u64 * MTU,
        }
    }
}

impl Tcp {
    fn on_ack(&mut self, now: Instant, rtt: Duration) {
        let least = self.least.map_or(rtt, |least| least.min(rtt));
        self.least = Some(least);
        if self.window < self.threshold {
            self.window += 1.0;
            let is_late = rtt
                > least + (least / 8).clamp(Duration::from_millis(4), Duration::from_millis(16));
            self.delayed = if is_late { self.delayed + 1 } else { 0 };
            // A burst makes a queue of its own: more in a row than one may hold.
            if f64::from(self.delayed) > self.window / 2.0 {
                self.threshold = self.window;
            }
            return;
        }
        let since = *self.since.get_or_insert(now);
        let top = self.top.max(1.0);
        let rise = (top * 0.3 / 0.4).cbrt();
        let at = (now - since).as_secs_f64() + least.as_secs_f64();
        let cubic = top + 0.4 * (at - rise).powi(3);
        let reno = top * 0.7 + 0.53 * (now - since).as_secs_f64() / rtt.as_secs_f64();
        let target = cubic.max(reno);
        if target > self.window {
            self.window += (target - self.window) / self.window;
        } else {
            self.window += 0.01 / self.window;
        }
    }

    fn on_loss(&mut self, now: Instant, packet: u64, next: u64) {
        if packet < self.reduced_upto {
            return;
        }
        self.reduced_upto = next;
        self.top = if self.window < self.top {
            self.window * 0.85
        } else {
            self.window
        };
        self.window = (self.window * 0.7).max(2.0);
        self.threshold = self.window;
        self.since = Some(now);
    }
}
