//! Pure: the window beside a TCP flow that fills the queue (RFC 9438).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::time::Instant;

/// CUBIC's constants (RFC 9438, 4.1): what is kept at a loss in thousandths, and its slope.
pub(super) const CUBIC_KEEP: u64 = 700;
const CUBIC_SLOPE: f64 = 0.4;

/// What a shrunken window keeps at least.
const LEAST_SEGMENTS: u64 = 4;

/// More than anybody has under way: a connection that is quiet for long, as between nodes, loses
/// nothing and would grow without end.
const WINDOW_MAX: u64 = 1 << 32;

/// Growth beside CUBIC's in thousandths of a datagram a round, where that is more (4.3).
const RENO_GROWTH: u64 = 530;

/// The window beside a flow that fills the queue.
#[derive(Debug, Clone)]
pub(super) struct Cubic {
    pub(super) window: u64,
    /// At the last loss.
    pub(super) top: u64,
    pub(super) since: Instant,
    /// What a flow that grows by a little each round would have: the least it takes.
    pub(super) linear: u64,
    pub(super) seconds_to_top: f64,
    /// Until the first loss it takes an eighth more each round: a flow that begins does so too.
    pub(super) is_ramping: bool,
}

impl Cubic {
    /// Begins with `window` and takes an eighth more each round until the first loss.
    pub(super) const fn new(window: u64, now: Instant) -> Self {
        Self {
            window,
            top: window,
            since: now,
            linear: window,
            seconds_to_top: 0.0,
            is_ramping: true,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "windows are far below 2^52 bytes"
    )]
    pub(super) fn shrink(&mut self, now: Instant, keep: u64, mtu: u64) {
        let window = self.at(now, mtu);
        // Fast convergence (RFC 9438, 4.7): one that shrinks twice in a row leaves room.
        self.top = if window < self.top {
            window * (1_000 + keep) / 2_000
        } else {
            window
        };
        self.window = (window * keep / 1_000).max(LEAST_SEGMENTS * mtu);
        self.linear = self.window;
        self.is_ramping = false;
        self.since = now;
        let segments = self.top.saturating_sub(self.window) as f64 / mtu as f64;
        self.seconds_to_top = (segments / CUBIC_SLOPE).cbrt();
    }

    /// A round has passed.
    pub(super) fn grow(&mut self, now: Instant, mtu: u64) {
        if self.is_ramping {
            self.window = (self.window + self.window / 8).min(WINDOW_MAX);
        } else {
            self.linear = (self.linear + mtu * RENO_GROWTH / 1_000).min(WINDOW_MAX);
            self.window = self.at(now, mtu);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "windows are far below 2^52 bytes, and a negative one becomes none"
    )]
    pub(super) fn at(&self, now: Instant, mtu: u64) -> u64 {
        if self.is_ramping {
            return self.window;
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64() - self.seconds_to_top;
        let target = self.top as f64 + CUBIC_SLOPE * seconds.powi(3) * mtu as f64;
        (target as u64).max(self.linear).min(WINDOW_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// It grew by an eighth with each heartbeat between nodes, and the node died after a minute.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do to begin")]
    fn a_connection_that_loses_nothing_for_long_has_a_window_still() {
        let start = Instant::now();
        let mut cubic = Cubic::new(10_000, start);
        for round in 0..2_000 {
            cubic.grow(start + Duration::from_millis(150 * round), 1_200);
        }
        assert_eq!(cubic.window, WINDOW_MAX);
        cubic.shrink(start, CUBIC_KEEP, 1_200);
        for hour in 1..100 {
            cubic.grow(start + Duration::from_hours(hour), 1_200);
        }
        assert_eq!(cubic.window, WINDOW_MAX);
    }
}
