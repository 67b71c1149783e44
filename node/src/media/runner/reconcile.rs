//! Pure: what the catalogue wants of this node against what runs here, and what to do about it.
//!
//! Times are those of this node's own clock, in milliseconds since the runner started: they are
//! compared with each other only.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;

use coordinator::catalog::job::Class;
use protocol::id::JobId;

/// An assignment that the catalogue shows for this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) epoch: u32,
    pub(super) class: Class,
}

/// An attempt that runs here, or whose result is being reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) epoch: u32,
    pub(super) class: Class,
    /// It was told to stop and has not ended yet.
    pub(super) stopping: bool,
    /// A renewal is under way.
    pub(super) renewing: bool,
    /// Just before the last renewal that succeeded was sent.
    pub(super) renewed_ms: u64,
    /// When the last renewal was sent, whatever came of it.
    pub(super) tried_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start { job: JobId, epoch: u32 },
    Renew { job: JobId, epoch: u32 },
    Stop { job: JobId, why: Why },
}

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The catalogue gave the job to somebody else, or nobody wants it any more.
    Revoked,
    /// Two thirds of the lease went by without a renewal: soon somebody else may have it.
    LeaseLost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) lease_ms: u64,
    /// Renders at once.
    pub(super) slots: usize,
}

impl Rules {
    /// The scheduler spreads the work; this only keeps a mistake of its from felling the node.
    fn room(self, class: Class) -> usize {
        match class {
            Class::Bulk => self.slots,
            Class::Sound | Class::Interactive => self.slots * 2 + 2,
        }
    }
}

/// What to do now. `ended` are attempts that are over here while the catalogue still shows them:
/// the same attempt never starts twice.
pub(super) fn decide(
    now_ms: u64,
    rules: Rules,
    assigned: &BTreeMap<JobId, Assigned>,
    running: &BTreeMap<JobId, Attempt>,
    ended: &BTreeMap<JobId, u32>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for (&job, attempt) in running {
        if attempt.stopping {
            continue;
        }
        let epoch = attempt.epoch;
        let is_ours = assigned.get(&job).is_some_and(|a| a.epoch == epoch);
        let silent_ms = now_ms.saturating_sub(attempt.renewed_ms);
        let waited_ms = now_ms.saturating_sub(attempt.tried_ms);
        if !is_ours {
            let why = Why::Revoked;
            actions.push(Action::Stop { job, why });
        } else if silent_ms >= rules.lease_ms * 2 / 3 {
            let why = Why::LeaseLost;
            actions.push(Action::Stop { job, why });
        } else if !attempt.renewing
            && silent_ms >= rules.lease_ms / 3
            && waited_ms >= rules.lease_ms / 12
        {
            actions.push(Action::Renew { job, epoch });
        }
    }
    let mut taken: BTreeMap<Class, usize> = BTreeMap::new();
    for attempt in running.values() {
        *taken.entry(attempt.class).or_default() += 1;
    }
    for (&job, wanted) in assigned {
        let Assigned { epoch, class } = *wanted;
        if running.contains_key(&job) || ended.get(&job) == Some(&epoch) {
            continue;
        }
        let taken = taken.entry(class).or_default();
        if *taken < rules.room(class) {
            *taken += 1;
            actions.push(Action::Start { job, epoch });
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::time::Timestamp;

    const RULES: Rules = Rules {
        lease_ms: 15_000,
        slots: 1,
    };

    fn job(index: u64) -> JobId {
        JobId::derived(Timestamp::from_millis(1_700_000_000_000), index, 0)
    }

    fn assigned(jobs: &[(u64, u32, Class)]) -> BTreeMap<JobId, Assigned> {
        jobs.iter()
            .map(|&(index, epoch, class)| (job(index), Assigned { epoch, class }))
            .collect()
    }

    fn attempt(epoch: u32, renewed_ms: u64) -> Attempt {
        Attempt {
            epoch,
            class: Class::Bulk,
            stopping: false,
            renewing: false,
            renewed_ms,
            tried_ms: renewed_ms,
        }
    }

    fn decide_one(
        now_ms: u64,
        wanted: &[(u64, u32, Class)],
        running: Option<Attempt>,
        ended: Option<u32>,
    ) -> Vec<Action> {
        let running = running
            .map(|attempt| (job(1), attempt))
            .into_iter()
            .collect();
        let ended = ended.map(|epoch| (job(1), epoch)).into_iter().collect();
        decide(now_ms, RULES, &assigned(wanted), &running, &ended)
    }

    #[test]
    fn one_attempt_through_its_life() {
        let ours = &[(1, 7, Class::Bulk)][..];
        let newer = &[(1, 8, Class::Bulk)][..];
        let start = |epoch| vec![Action::Start { job: job(1), epoch }];
        let renew = vec![Action::Renew {
            job: job(1),
            epoch: 7,
        }];
        let stop = |why| vec![Action::Stop { job: job(1), why }];
        let stopping = Attempt {
            stopping: true,
            ..attempt(7, 0)
        };
        let renewing = Attempt {
            renewing: true,
            ..attempt(7, 0)
        };
        let just_tried = Attempt {
            tried_ms: 5_900,
            ..attempt(7, 0)
        };
        for (what, now_ms, wanted, running, ended, expected) in [
            ("new", 0, ours, None, None, start(7)),
            ("ended here", 0, ours, None, Some(7), vec![]),
            ("given to us again", 0, newer, None, Some(7), start(8)),
            ("quiet", 4_999, ours, Some(attempt(7, 0)), None, vec![]),
            ("due", 5_000, ours, Some(attempt(7, 0)), None, renew.clone()),
            (
                "renewal under way",
                6_000,
                ours,
                Some(renewing),
                None,
                vec![],
            ),
            (
                "renewal failed just now",
                6_000,
                ours,
                Some(just_tried),
                None,
                vec![],
            ),
            ("and again", 7_150, ours, Some(just_tried), None, renew),
            (
                "too long",
                10_000,
                ours,
                Some(renewing),
                None,
                stop(Why::LeaseLost),
            ),
            (
                "taken away",
                1,
                &[],
                Some(attempt(7, 0)),
                None,
                stop(Why::Revoked),
            ),
            (
                "newer epoch",
                1,
                newer,
                Some(attempt(7, 0)),
                None,
                stop(Why::Revoked),
            ),
            (
                "on its way out",
                20_000,
                newer,
                Some(stopping),
                None,
                vec![],
            ),
            ("nothing", 0, &[], None, Some(7), vec![]),
        ] {
            assert_eq!(
                decide_one(now_ms, wanted, running, ended),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn renders_wait_for_a_slot_and_short_work_does_not() {
        let wanted = assigned(&[
            (1, 1, Class::Bulk),
            (2, 1, Class::Bulk),
            (3, 1, Class::Interactive),
            (4, 1, Class::Sound),
        ]);
        let none = BTreeMap::new();
        let started: Vec<Action> = decide(0, RULES, &wanted, &none, &BTreeMap::new());
        let start = |index| Action::Start {
            job: job(index),
            epoch: 1,
        };
        assert_eq!(started, [start(1), start(3), start(4)]);
        // A worker that is still on its way out holds its slot.
        let stopping = Attempt {
            stopping: true,
            ..attempt(1, 0)
        };
        let running = BTreeMap::from([(job(9), stopping)]);
        let started = decide(0, RULES, &wanted, &running, &BTreeMap::new());
        assert_eq!(started, [start(3), start(4)]);
    }
}
