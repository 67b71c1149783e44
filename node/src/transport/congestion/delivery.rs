//! Pure: how much was delivered between two moments: the rate that a path has carried.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::VecDeque;
use std::time::Instant;

/// Moments of sending that are remembered at most. Sent in one go counts as one moment, so a
/// window of 32 MiB makes fewer.
const MOMENTS_MAX: usize = 1 << 15;

/// Delivered bytes, and what had been delivered when something was sent.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) bytes: u64,
    pub(super) at: Instant,
    /// When the newest acknowledged packet was sent.
    pub(super) sent_at: Instant,
    pub(super) moments: VecDeque<Moment>,
    /// The newest sending that the acknowledgements of this batch speak of.
    pub(super) newest: Option<Instant>,
    pub(super) is_idle: bool,
    pub(super) is_app_limited: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) bytes: u64,
    pub(super) bytes_at: Instant,
    pub(super) first_sent_at: Instant,
    pub(super) is_app_limited: bool,
}

impl Delivery {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bytes: 0,
            at: now,
            sent_at: now,
            moments: VecDeque::new(),
            newest: None,
            is_idle: true,
            is_app_limited: false,
        }
    }

    pub(super) fn on_sent(&mut self, now: Instant) {
        if self.is_idle {
            (self.at, self.sent_at) = (now, now);
            self.is_idle = false;
        }
        // Time may not run backwards, or the search below fails.
        if self.moments.back().is_some_and(|last| last.at >= now) {
            return;
        }
        if self.moments.len() == MOMENTS_MAX {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment {
            at: now,
            bytes: self.bytes,
            bytes_at: self.at,
            first_sent_at: self.sent_at,
            is_app_limited: self.is_app_limited,
        });
    }

    /// What was known when `sent` was; older moments are forgotten.
    pub(super) fn moment_of(&mut self, sent: Instant) -> Option<Moment> {
        let behind = self.moments.partition_point(|moment| moment.at <= sent);
        let at = behind.checked_sub(1)?;
        self.moments.drain(..at);
        self.moments.front().copied()
    }

    /// Bytes a second between `moment` and now. The longer of the times of sending and of
    /// acknowledging counts: either may be compressed on its way.
    pub(super) fn rate_since(&self, moment: &Moment, sent: Instant) -> Option<u64> {
        let acked = self.at.saturating_duration_since(moment.bytes_at);
        let sending = sent.saturating_duration_since(moment.first_sent_at);
        let micros = u64::try_from(acked.max(sending).as_micros()).ok()?;
        let bytes = self.bytes - moment.bytes;
        bytes.saturating_mul(1_000_000).checked_div(micros)
    }
}
