//! Pure: whether a failed attempt is followed by another, and after how long.
//!
//! Numbers only: the catalogue asks from within `apply`, so nothing here may look at the cluster.

use protocol::failure::FailureClass;
use protocol::time::Span;

/// Longest wait between two attempts.
pub const BACKOFF_MAX: Span = Span::from_secs(3600);

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Again { after: Span },
    GiveUp,
}

/// After the `failed`-th failure (counted from one) of at most `max_attempts`.
pub fn after_failure(
    class: FailureClass,
    failed: u32,
    max_attempts: u32,
    backoff: Span,
) -> Verdict {
    if !class.is_retryable() || failed >= max_attempts {
        return Verdict::GiveUp;
    }
    let doublings = failed.saturating_sub(1).min(32);
    Verdict::Again {
        after: backoff.saturating_mul(1 << doublings).min(BACKOFF_MAX),
    }
}

/// Longest wait after an attempt was lost.
pub const LOST_BACKOFF_MAX: Span = Span::from_secs(300);

/// After the `lost`-th attempt that was lost with its node or given back: at once for the first
/// `free` times, then after waits that double, unless that happened so often that something is
/// wrong with the job.
pub fn after_loss(lost: u32, free: u32, max_lost: u32, backoff: Span) -> Verdict {
    if lost > max_lost {
        return Verdict::GiveUp;
    }
    let Some(doublings) = lost.checked_sub(free + 1) else {
        return Verdict::Again {
            after: Span::from_millis(0),
        };
    };
    let after = backoff.saturating_mul(1 << doublings.min(32));
    Verdict::Again {
        after: after.min(LOST_BACKOFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(secs: u64) -> Verdict {
        Verdict::Again {
            after: Span::from_secs(secs),
        }
    }

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let after = |failed| after_failure(FailureClass::Crashed, failed, 1000, Span::from_secs(5));
        assert_eq!(
            [after(1), after(2), after(3)],
            [again(5), again(10), again(20)]
        );
        assert_eq!(after(999), again(3600));
    }

    /// It was rendered again at once, up to a hundred times.
    #[test]
    fn what_is_lost_again_and_again_waits_longer_and_longer() {
        let after = |lost, free| after_loss(lost, free, 100, Span::from_secs(5));
        assert_eq!([after(1, 2), after(2, 2)], [again(0), again(0)]);
        assert_eq!([after(3, 2), after(4, 2)], [again(5), again(10)]);
        assert_eq!([after(1, 0), after(2, 0)], [again(5), again(10)]);
        assert_eq!([after(50, 0), after(101, 0)], [again(300), Verdict::GiveUp]);
    }

    #[test]
    fn the_last_attempt_and_a_bad_file_end_it() {
        let backoff = Span::from_secs(5);
        assert_eq!(
            after_failure(FailureClass::Crashed, 3, 3, backoff),
            Verdict::GiveUp
        );
        assert_eq!(
            after_failure(FailureClass::Input, 1, 3, backoff),
            Verdict::GiveUp
        );
    }
}
