//! The time of day made fit for entries and leases: it follows a jump ahead, but never goes back
//! and never stands still.

use protocol::time::{Span, Timestamp};
use tokio::time::Instant;

use super::Clock;

/// See the module.
pub(super) struct Steady {
    clock: Clock,
    /// What it told at `since`; from there it goes on by itself while the clock is behind.
    anchor: Timestamp,
    since: Instant,
}

impl Steady {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            anchor: Timestamp::default(),
            since: Instant::now(),
        }
    }

    /// The time now, not before `newest`, the time of the newest entry.
    pub(super) fn now(&mut self, newest: Timestamp) -> Timestamp {
        let passed_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let goes_on = self.anchor + Span::from_millis(passed_ms);
        let told = (self.clock)().max(newest);
        if told < goes_on {
            return goes_on;
        }
        self.anchor = told;
        self.since = Instant::now();
        told
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_while_the_clock_is_behind_and_follows_it_ahead() {
        let millis = Arc::new(AtomicI64::new(5000));
        let told = Arc::clone(&millis);
        let clock = move || Timestamp::from_millis(told.load(Ordering::Relaxed));
        let mut steady = Steady::new(Arc::new(clock));
        let mut now = |newest| steady.now(Timestamp::from_millis(newest)).as_millis();
        assert_eq!(now(0), 5000);
        millis.store(1000, Ordering::Relaxed);
        assert_eq!(now(0), 5000);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(now(0), 5300);
        millis.store(9000, Ordering::Relaxed);
        assert_eq!(now(0), 9000);
        assert_eq!(now(20_000), 20_000);
    }
}
