//! Pure: how much may be under way, from what the acknowledgements tell.
//!
//! The window follows from two measurements: the highest rate at which the path has delivered of
//! late, and the shortest round trip. Loss alone says little on a radio link or a long line, so
//! loss that does not grow with what is sent is taken for the link's own. Three things hold it in
//! check: a probe that brings loss or delay with it is given up and the next is smaller; a queue
//! that does not drain although this side holds back is somebody else's, and then the window grows
//! and shrinks as CUBIC's does (RFC 9438), so that a TCP flow keeps its share; and loss above a
//! ceiling makes it yield whatever the cause.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::time::{Duration, Instant};

use super::cubic::{CUBIC_KEEP, Cubic};
use super::delivery::Delivery;
use super::path::Path;

/// Datagrams that may be under way before anything is known of the path. RFC 9002 recommends ten;
/// three times as many, paced over the first round trip, are what large senders begin with.
const INITIAL_DATAGRAMS: u64 = 32;

/// Datagrams that are always allowed, so that acknowledgements never run dry.
const LEAST_DATAGRAMS: u64 = 4;

/// Acknowledgements in a row that came late and end the start-up.
const DELAYED_SAMPLES: u32 = 8;

/// How long the shortest round trip counts before it is looked for again.
const MIN_RTT_FOR: Duration = Duration::from_secs(10);
/// The same while others fill the queue: they will not let it be seen for a while.
const MIN_RTT_FOR_SHARED: Duration = Duration::from_secs(30);

/// Between two looks at the empty path while others use it.
const LOOK_EVERY_SHARED: Duration = Duration::from_secs(8);

/// What timers and busy processors of both hosts add to a round trip, beside the path.
const HOST_DELAY: Duration = Duration::from_millis(1);

/// Gains in thousandths.
const PROBE_GAIN: u64 = 1_250;
const PROBE_GAIN_LEAST: u64 = 1_020;
const DRAIN_GAIN: u64 = 900;
const CRUISE_GAIN: u64 = 1_050;

/// Rounds of one cycle: one up, one down, the others at rest.
const CYCLE_ROUNDS: u32 = 12;

/// Loss in thousandths of a round above that of the link itself that says "too much".
const LOSS_OF_OWN: u64 = 10;
/// Loss in thousandths above which it yields whatever the cause.
const LOSS_CEILING: u64 = 150;

/// What is kept when routers say by ECN that they are filling (RFC 8511), in thousandths.
const ECN_KEEP: u64 = 850;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    mtu: u64,
    window: u64,
    phase: Phase,
    delivery: Delivery,
    round: Round,
    path: Path,
    /// Of the next probe, in thousandths.
    probe_gain: u64,
    /// Cycles in a row in which the queue never drained.
    crowded: u32,
    /// There while somebody else fills the queue.
    rival: Option<Cubic>,
    looked_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Twice as much each round, until the rate does not follow or a queue shows.
    Startup,
    /// Below the estimate until the queue of the start-up is gone.
    Drain { rounds: u32 },
    /// Round of the cycle: 0 is up, 1 is down.
    Cycle { round: u32 },
    /// Half the estimate, to see the path as it is when empty.
    Look { until: Instant, rounds: u32 },
}

/// One round trip's worth of acknowledgements.
#[derive(Debug, Clone)]
struct Round {
    number: u64,
    /// Bytes delivered at which the next one begins.
    ends_at: u64,
    began_at: u64,
    lost: u64,
    rtt: Option<Duration>,
    /// Acknowledgements in a row that had waited in a queue.
    delayed: u32,
    /// The window was full at some time, so what was measured was the path.
    was_full: bool,
    /// A congestion signal has been answered in this round.
    answered: bool,
}

impl Rate {
    pub(super) fn new(now: Instant, mtu: u16) -> Self {
        let mtu = u64::from(mtu);
        Self {
            mtu,
            window: INITIAL_DATAGRAMS * mtu,
            phase: Phase::Startup,
            delivery: Delivery::new(now),
            round: Round {
                number: 0,
                ends_at: 0,
                began_at: 0,
                lost: 0,
                rtt: None,
                delayed: 0,
                was_full: false,
                answered: false,
            },
            path: Path::new(now),
            probe_gain: PROBE_GAIN,
            crowded: 0,
            rival: None,
            looked_at: now,
        }
    }

    /// Bytes that may be under way.
    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn initial_window(&self) -> u64 {
        INITIAL_DATAGRAMS * self.mtu
    }

    /// Bytes a second that the path is believed to carry; none before the first measurement.
    pub(super) fn rate(&self) -> Option<u64> {
        self.path.rate()
    }

    pub(super) const fn set_mtu(&mut self, mtu: u16) {
        self.mtu = mtu as u64;
    }

    pub(super) fn on_sent(&mut self, now: Instant) {
        self.delivery.on_sent(now);
    }

    pub(super) fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        let delivery = &mut self.delivery;
        delivery.bytes += bytes;
        delivery.at = now;
        delivery.newest = Some(delivery.newest.map_or(sent, |newest| newest.max(sent)));
        if self.phase == Phase::Startup && self.round.was_full {
            self.window += bytes;
        }
    }

    /// All acknowledgements that came in one packet have been told.
    pub(super) fn on_end_acks(&mut self, now: Instant, in_flight: u64, is_app_limited: bool) {
        let Some(newest) = self.delivery.newest.take() else {
            return;
        };
        self.delivery.is_app_limited = is_app_limited;
        self.delivery.is_idle = in_flight == 0;
        // What these acknowledgements freed was under way until now.
        if !is_app_limited || in_flight + 8 * self.mtu >= self.window {
            self.round.was_full = true;
        }
        let rtt = now.saturating_duration_since(newest);
        self.path.on_rtt(now, rtt);
        self.round.rtt = Some(self.round.rtt.map_or(rtt, |least| least.min(rtt)));
        self.round.delayed = if self.path.is_queue(rtt) {
            self.round.delayed + 1
        } else {
            0
        };
        let Some(moment) = self.delivery.moment_of(newest) else {
            return;
        };
        if let Some(rate) = self.delivery.rate_since(&moment, newest) {
            let is_limited = moment.is_app_limited || !self.round.was_full;
            self.path.on_rate(self.round.number, rate, is_limited);
        }
        self.delivery.sent_at = newest;
        if moment.bytes >= self.round.ends_at {
            self.end_round(now);
        } else if self.phase == Phase::Startup && self.round.delayed >= DELAYED_SAMPLES {
            // Not at the end of the round: by then there would be as much again.
            self.phase = Phase::Drain { rounds: 0 };
        }
        self.set_window(now);
    }

    /// Packets are lost, or routers marked some (`lost` is 0 then).
    pub(super) fn on_congestion(
        &mut self,
        now: Instant,
        sent: Instant,
        lost: u64,
        is_persistent: bool,
    ) {
        if is_persistent {
            // Nothing came through for long: what was known of the path is not true any more.
            let mtu = u16::try_from(self.mtu).unwrap_or(u16::MAX);
            *self = Self::new(now, mtu);
            self.window = LEAST_DATAGRAMS * self.mtu;
            return;
        }
        self.round.lost += lost;
        if self.phase == Phase::Startup && self.is_overflowing() {
            self.phase = Phase::Drain { rounds: 0 };
            self.set_window(now);
        }
        if self.round.answered {
            return;
        }
        if lost == 0 {
            self.round.answered = true;
            self.on_mark(now);
        } else if let Some(rival) = &mut self.rival {
            // A loss while the queue is short is the link's own; one that was sent before the last
            // answer is answered already.
            if self.path.is_queue_long(self.round.rtt) && sent >= rival.since {
                self.round.answered = true;
                rival.shrink(now, CUBIC_KEEP, self.mtu);
                self.set_window(now);
            }
        }
    }

    /// Whether a start-up has filled a queue too short to be seen: an eighth is lost, and not by one
    /// burst of bad luck.
    const fn is_overflowing(&self) -> bool {
        let delivered = self.delivery.bytes - self.round.began_at;
        self.round.lost >= 32 * self.mtu && self.round.lost * 8 > delivered
    }

    fn on_mark(&mut self, now: Instant) {
        if let Some(rival) = &mut self.rival {
            rival.shrink(now, ECN_KEEP, self.mtu);
        } else {
            self.probe_gain = PROBE_GAIN_LEAST;
            self.path.scale_rates(ECN_KEEP);
            if self.phase == Phase::Startup {
                self.phase = Phase::Drain { rounds: 0 };
            }
        }
        self.set_window(now);
    }

    fn end_round(&mut self, now: Instant) {
        let delivered = self.delivery.bytes - self.round.began_at;
        let sum = delivered + self.round.lost;
        let loss = (self.round.lost * 1_000).checked_div(sum).unwrap_or(0);
        let rtt = self.round.rtt;
        let was_full = self.round.was_full;
        let is_measured = delivered >= 32 * self.mtu;
        if loss > LOSS_CEILING && is_measured && self.phase != Phase::Startup {
            self.path.scale_rates(900);
            if let Some(rival) = &mut self.rival {
                rival.shrink(now, CUBIC_KEEP, self.mtu);
            }
        }
        self.phase = self.next_phase(now, loss, is_measured, rtt, was_full);
        if let Some(rival) = &mut self.rival {
            rival.grow(now, self.mtu);
        }
        self.round = Round {
            number: self.round.number + 1,
            ends_at: self.delivery.bytes,
            began_at: self.delivery.bytes,
            lost: 0,
            rtt: None,
            delayed: self.round.delayed,
            was_full: false,
            answered: false,
        };
    }

    fn next_phase(
        &mut self,
        now: Instant,
        loss: u64,
        is_measured: bool,
        rtt: Option<Duration>,
        was_full: bool,
    ) -> Phase {
        match self.phase {
            Phase::Startup => {
                let rate = self.path.rate().unwrap_or(0);
                if rate * 4 >= self.path.full_rate * 5 {
                    (self.path.full_rate, self.path.full_rounds) = (rate, 0);
                } else if was_full {
                    self.path.full_rounds += 1;
                }
                let is_queue = rtt.is_some_and(|rtt| self.path.is_queue(rtt));
                let is_full = self.path.full_rounds >= 3;
                if is_queue || is_full {
                    Phase::Drain { rounds: 0 }
                } else {
                    Phase::Startup
                }
            }
            Phase::Drain { rounds } => {
                let is_empty = rtt.is_some_and(|rtt| !self.path.is_queue(rtt));
                if rounds >= 1 && (is_empty || rounds >= 4) {
                    self.path.cycle_rtt = None;
                    self.looked_at = now;
                    Phase::Cycle { round: 2 }
                } else {
                    Phase::Drain { rounds: rounds + 1 }
                }
            }
            Phase::Cycle { round } => self.next_of_cycle(now, round, loss, is_measured, rtt),
            Phase::Look { until, rounds } => {
                if now >= until && rounds >= 2 {
                    self.end_look(now, rtt);
                    Phase::Cycle { round: 2 }
                } else {
                    Phase::Look {
                        until,
                        rounds: rounds + 1,
                    }
                }
            }
        }
    }

    fn next_of_cycle(
        &mut self,
        now: Instant,
        round: u32,
        loss: u64,
        is_measured: bool,
        rtt: Option<Duration>,
    ) -> Phase {
        self.path.note_cycle_rtt(rtt);
        // What is acknowledged in a round was sent in the one before.
        match round {
            0 => self.path.full_rate = self.path.rate().unwrap_or(0),
            1 => {
                let own = loss.saturating_sub(self.path.link_loss / 16);
                if is_measured && own > LOSS_OF_OWN {
                    let above = self.probe_gain - 1_000;
                    self.probe_gain = (1_000 + above / 2).max(PROBE_GAIN_LEAST);
                } else {
                    self.probe_gain = (self.probe_gain + 10).min(PROBE_GAIN);
                    let rate = self.path.rate().unwrap_or(0);
                    if self.rival.is_none() && rate * 8 > self.path.full_rate * 9 {
                        // All of the probe came through at once: there is much more room.
                        (self.path.full_rate, self.path.full_rounds) = (rate, 0);
                        return Phase::Startup;
                    }
                }
            }
            2 if is_measured => {
                // Sent below the estimate: what was lost, the link lost.
                self.path.link_loss = (self.path.link_loss * 3 + loss * 16) / 4;
            }
            _ => {}
        }
        if round + 1 < CYCLE_ROUNDS {
            return Phase::Cycle { round: round + 1 };
        }
        self.end_cycle(now)
    }

    /// Whose queue is it? And is it time to look?
    fn end_cycle(&mut self, now: Instant) -> Phase {
        let least = self.path.cycle_rtt.take();
        let is_crowded = least.is_some_and(|least| self.path.is_queue(least));
        self.crowded = if is_crowded { self.crowded + 1 } else { 0 };
        if self.rival.is_none() && self.crowded >= 2 {
            self.rival = Some(Cubic::new(self.window, now));
            self.path.longest_rtt = least.unwrap_or_default();
            self.looked_at = now;
        }
        let (every, since) = match self.rival {
            Some(_) => (LOOK_EVERY_SHARED, self.looked_at),
            None => (MIN_RTT_FOR, self.path.rtt_at.max(self.looked_at)),
        };
        if now.saturating_duration_since(since) >= every {
            let length = self
                .path
                .rtt
                .unwrap_or_default()
                .max(Duration::from_millis(50));
            return Phase::Look {
                until: now + length,
                rounds: 0,
            };
        }
        Phase::Cycle { round: 0 }
    }

    fn end_look(&mut self, now: Instant, rtt: Option<Duration>) {
        self.looked_at = now;
        let Some(rtt) = rtt else { return };
        if !self.path.is_queue(rtt) {
            // The path was empty once this side held back: nobody else is there.
            self.rival = None;
            self.crowded = 0;
            return;
        }
        let keep = match self.rival {
            Some(_) => MIN_RTT_FOR_SHARED,
            None => MIN_RTT_FOR,
        };
        if now.saturating_duration_since(self.path.rtt_at) >= keep {
            self.path.rtt = Some(rtt);
            self.path.rtt_at = now;
        }
    }

    fn set_window(&mut self, now: Instant) {
        let least = LEAST_DATAGRAMS * self.mtu;
        let (Some(rate), Some(rtt)) = (self.path.rate(), self.path.rtt) else {
            return;
        };
        // On a short path the hosts' own delays are longer than the path's, and would starve it.
        let bdp = product(rate, rtt + HOST_DELAY);
        // What may wait for an acknowledgement that covers many packets.
        let slack = 4 * self.mtu;
        self.window = match (self.phase, &self.rival) {
            (Phase::Startup, _) => return,
            (Phase::Look { .. }, Some(rival)) => rival.window / 2,
            (Phase::Look { .. }, None) => bdp / 2,
            (_, Some(rival)) => rival.at(now, self.mtu),
            (Phase::Drain { .. }, None) => bdp * DRAIN_GAIN / 1_000 + slack,
            (Phase::Cycle { round }, None) => {
                let gain = match round {
                    0 => self.probe_gain,
                    1 => DRAIN_GAIN,
                    // A path without room for a queue shows in small probes.
                    _ => CRUISE_GAIN.min(self.probe_gain),
                };
                bdp * gain / 1_000 + slack
            }
        }
        .max(least);
    }
}

/// Bytes under way when `rate` bytes a second take `time`.
fn product(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
