//! Pure: what is known of a path: its rate, its shortest round trip, its own loss.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rounds for which the highest delivery rate counts.
const RATE_ROUNDS: u64 = 10;

/// Shortest and longest delay that is taken for a queue.
const QUEUE_MIN: Duration = Duration::from_millis(3);
const QUEUE_MAX: Duration = Duration::from_millis(16);

/// What is known of the path.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) rates: VecDeque<(u64, u64)>,
    /// Highest rate that start-up has seen, and rounds since it grew.
    pub(super) full_rate: u64,
    pub(super) full_rounds: u32,
    pub(super) rtt: Option<Duration>,
    pub(super) rtt_at: Instant,
    /// Shortest round trip of this cycle, and of the last look.
    pub(super) cycle_rtt: Option<Duration>,
    pub(super) longest_rtt: Duration,
    /// Loss in thousandths, times 16, while less than the estimate was under way.
    pub(super) link_loss: u64,
}

impl Path {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rates: VecDeque::new(),
            full_rate: 0,
            full_rounds: 0,
            rtt: None,
            rtt_at: now,
            cycle_rtt: None,
            longest_rtt: Duration::ZERO,
            link_loss: 0,
        }
    }

    pub(super) fn rate(&self) -> Option<u64> {
        self.rates.front().map(|&(_, rate)| rate)
    }

    /// A monotonic queue: the front is the highest of the last rounds.
    pub(super) fn on_rate(&mut self, round: u64, rate: u64, is_limited: bool) {
        // What was limited by the sender says only that the path carries at least so much.
        if is_limited && self.rate().is_some_and(|highest| rate < highest) {
            return;
        }
        while self.rates.back().is_some_and(|&(_, known)| known <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((round, rate));
        while self.rates.len() > 1
            && self
                .rates
                .front()
                .is_some_and(|&(at, _)| at + RATE_ROUNDS <= round)
        {
            self.rates.pop_front();
        }
    }

    pub(super) fn scale_rates(&mut self, keep: u64) {
        for (_, rate) in &mut self.rates {
            *rate = *rate * keep / 1_000;
        }
    }

    pub(super) fn on_rtt(&mut self, now: Instant, rtt: Duration) {
        let least = self.rtt.map_or(rtt, |least| least.min(rtt));
        if self.rtt != Some(least) || rtt <= least + least / 50 {
            self.rtt_at = now;
        }
        self.rtt = Some(least);
        self.longest_rtt = self.longest_rtt.max(rtt);
    }

    pub(super) fn note_cycle_rtt(&mut self, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.cycle_rtt = Some(self.cycle_rtt.map_or(rtt, |least| least.min(rtt)));
        }
    }

    /// Whether a round trip of `rtt` has waited in a queue.
    pub(super) fn is_queue(&self, rtt: Duration) -> bool {
        self.rtt
            .is_some_and(|least| rtt > least + (least / 8).clamp(QUEUE_MIN, QUEUE_MAX))
    }

    /// Whether `rtt` is near the longest that was seen: the queue is about to overflow.
    pub(super) fn is_queue_long(&self, rtt: Option<Duration>) -> bool {
        match (self.rtt, rtt) {
            (Some(least), Some(rtt)) => {
                let longest = self.longest_rtt.saturating_sub(least);
                self.is_queue(rtt) && rtt.saturating_sub(least) * 2 >= longest
            }
            _ => false,
        }
    }
}
