//! Pure: whether this node wants work now, by what its section of the file says.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::time::{Span, Timestamp};
use protocol::vitals::Rest;

use crate::config::Work;

/// Share of the processor, in thousandths, that others take when the machine is in use.
const IN_USE_PERMILLE: u16 = 250;
/// It counts as idle once it was so for as long: whoever pauses to think is still there.
const IDLE_AFTER: Span = Span::from_secs(60);
const MINUTES_A_DAY: i64 = 24 * 60;

/// Follows how the machine is used.
#[derive(Debug)]
pub(super) struct Resting {
    work: Work,
    used_at: Option<Timestamp>,
}

impl Resting {
    pub(super) fn new(work: Work) -> Self {
        Self {
            work,
            used_at: None,
        }
    }

    /// Why the node wants no work; `others_permille` is what everything but renders took lately.
    pub(super) fn look(&mut self, now: Timestamp, others_permille: u16) -> Option<Rest> {
        match self.work {
            Work::Always => None,
            Work::Idle => {
                if others_permille > IN_USE_PERMILLE {
                    self.used_at = Some(now);
                }
                let used = self.used_at.is_some_and(|at| at + IDLE_AFTER > now);
                used.then_some(Rest::InUse)
            }
            Work::Hours { from, to } => {
                let minute = now.as_millis().div_euclid(60_000).rem_euclid(MINUTES_A_DAY);
                let (from, to) = (i64::from(from), i64::from(to));
                let open = if from <= to {
                    (from..to).contains(&minute)
                } else {
                    minute >= from || minute < to
                };
                (!open).then_some(Rest::OffHours)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn a_machine_in_use_is_left_alone_until_it_was_idle_for_a_minute() {
        let mut resting = Resting::new(Work::Idle);
        let looks = [(0, 100), (2, 400), (4, 0), (61, 0), (62, 0), (64, 251)];
        let rests = looks.map(|(secs, others)| resting.look(at(secs), others).is_some());
        assert_eq!(rests, [false, true, true, true, false, true]);
    }

    #[test]
    fn hours_may_go_over_midnight() {
        let open = |from, to, minute: i64| {
            let mut resting = Resting::new(Work::Hours { from, to });
            resting.look(at(minute * 60), 1000).is_none()
        };
        let night = [21 * 60 + 59, 22 * 60, 23 * 60, 0, 5 * 60 + 59, 6 * 60];
        let open_at_night = night.map(|minute| open(22 * 60, 6 * 60, minute));
        assert_eq!(open_at_night, [false, true, true, true, true, false]);
        let day = [7 * 60 + 59, 8 * 60, 16 * 60 + 59, 17 * 60];
        assert_eq!(
            day.map(|minute| open(480, 1020, minute)),
            [false, true, true, false]
        );
    }
}
