//! Pure: what one command carries on its way through `apply`: the time, derived ids, wake-ups.

use protocol::id::{GenerationId, JobId};
use protocol::time::Timestamp;

use super::outcome::{Effect, Stamp};

/// Lives for one command.
#[derive(Debug)]
pub(super) struct Context {
    /// Time of the entry, never before that of the entry applied last.
    pub(super) at: Timestamp,
    stamp: Stamp,
    /// Ids derived so far.
    derived: u16,
    effects: Vec<Effect>,
}

impl Context {
    pub(super) fn new(at: Timestamp, stamp: Stamp) -> Self {
        Self {
            at,
            stamp,
            derived: 0,
            effects: Vec::new(),
        }
    }

    /// Notes a wake-up, once.
    pub(super) fn wake(&mut self, effect: Effect) {
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    pub(super) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    pub(super) fn job_id(&mut self) -> JobId {
        let (index, sequence) = self.next_position();
        JobId::derived(self.at, index, sequence)
    }

    pub(super) fn generation_id(&mut self) -> GenerationId {
        let (index, sequence) = self.next_position();
        GenerationId::derived(self.at, index, sequence)
    }

    /// The next position that nothing else in the log has.
    ///
    /// An id has room for a sequence of 12 bits and an index of 62.
    /// The index gets 46 of these (a log of 70 million million entries), below it come the upper
    /// bits of the command's place in its entry, and the number of the id within the command.
    fn next_position(&mut self) -> (u64, u16) {
        let number = u64::from(self.derived & 0x0fff);
        self.derived = self.derived.wrapping_add(1);
        let upper = u64::from(self.stamp.sequence >> 12);
        (
            (self.stamp.index << 16) | (upper << 12) | number,
            self.stamp.sequence & 0x0fff,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_of_one_entry_never_collide() {
        let mut ids = BTreeSet::new();
        for index in [0, 1, 2, 1 << 40] {
            for sequence in [0, 1, 2, 0x0fff, 0x1000, 0x1001, u16::MAX] {
                let at = Timestamp::from_millis(1_700_000_000_000);
                let mut context = Context::new(
                    at,
                    Stamp {
                        index,
                        sequence,
                        at,
                    },
                );
                for _ in 0..100 {
                    assert!(ids.insert(context.job_id()));
                }
            }
        }
    }
}
