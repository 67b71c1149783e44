//! Pure: what delivery needs on every node: the keys that sign private playback, and the pieces
//! that a viewer waits for.

use std::fmt;
use std::sync::Arc;

use bincode::{Decode, Encode};
use protocol::id::GenerationId;
use protocol::job::Unit;
use protocol::time::{Span, Timestamp};

use super::Catalog;
use super::context::Context;
use super::generation::{Stage, UnitState};
use super::job::{Job, Kind, State};
use super::outcome::{Effect, Rejection, Reply};

/// Keys that verify: the one that signs, and the one before, whose grants still run.
const KEYS_MAX: usize = 2;
/// How long a wish counts; a viewer who still waits says so again.
const WISH_LASTS: Span = Span::from_secs(60);
/// Wishes that count at once for one video: a viewer who seeks to and fro gets the newest.
const WISHES_PER_GENERATION: usize = 2;
/// And in all, so that wishes cost next to nothing.
const WISHES_MAX: usize = 64;

/// What changes for delivery. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum DeliveryCommand {
    /// A new key signs from now on, and the oldest goes. `after` is the newest that the proposer
    /// knew of, zero for none: of two who add one at the same time, one does.
    AddKey { after: u32, secret: Secret } = 0,
    /// A viewer waits for a piece that is not rendered yet.
    WantUnit {
        generation: GenerationId,
        unit: Unit,
    } = 1,
}

/// Bytes that never show in a log.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A key that signs grants of private playback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SigningKey {
    /// Counts up from one.
    pub id: u32,
    pub secret: Secret,
    pub added_at: Timestamp,
}

/// A piece that a viewer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Wish {
    pub generation: GenerationId,
    pub unit: Unit,
    pub until: Timestamp,
}

impl Catalog {
    /// Oldest first; the last one signs.
    pub fn signing_keys(&self) -> &[SigningKey] {
        &self.signing_keys
    }

    /// Oldest first; some may have lapsed.
    pub fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// Waiting jobs that make what a viewer waits for.
    pub(crate) fn wanted_jobs(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Job>> {
        let live = self.wishes.iter().filter(move |wish| now <= wish.until);
        live.filter_map(|wish| {
            let video = self.generations.get(&wish.generation)?.video;
            let kind = Kind::Unit {
                generation: wish.generation,
                unit: wish.unit,
            };
            let mut jobs = self.jobs_of_video(video);
            jobs.find(|job| job.kind == kind && job.state == State::Waiting)
        })
    }

    /// Whether a viewer waits for what `job` makes.
    pub fn is_wanted(&self, job: &Job, now: Timestamp) -> bool {
        let Kind::Unit { generation, unit } = job.kind else {
            return false;
        };
        let of_job = |wish: &&Wish| (wish.generation, wish.unit) == (generation, unit);
        let wish = self.wishes.iter().find(of_job);
        wish.is_some_and(|wish| now <= wish.until)
    }

    pub(super) fn change_delivery(
        &mut self,
        context: &mut Context,
        command: DeliveryCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            DeliveryCommand::AddKey { after, secret } => {
                Ok(self.add_key(context.at, after, secret))
            }
            DeliveryCommand::WantUnit { generation, unit } => {
                self.want_unit(context, generation, unit)
            }
        }
    }

    fn add_key(&mut self, at: Timestamp, after: u32, secret: Secret) -> Reply {
        let newest = self.signing_keys.last().map_or(0, |key| key.id);
        if newest != after {
            return Reply::Already;
        }
        self.signing_keys.push(SigningKey {
            id: newest.wrapping_add(1),
            secret,
            added_at: at,
        });
        while self.signing_keys.len() > KEYS_MAX {
            self.signing_keys.remove(0);
        }
        Reply::Done
    }

    fn want_unit(
        &mut self,
        context: &mut Context,
        id: GenerationId,
        unit: Unit,
    ) -> Result<Reply, Rejection> {
        let at = context.at;
        let found = self.generations.get(&id);
        let found = found.ok_or_else(|| Rejection::NotFound {
            what: format!("generation {id}"),
        })?;
        let state = found.units.get(&unit);
        let waits = found.stage == Stage::Building && state == Some(&UnitState::Pending);
        if !waits || !matches!(unit, Unit::Piece(_)) {
            return Err(Rejection::WrongState {
                what: format!("unit {unit} of generation {id}"),
                state: "nothing that a viewer could wait for".to_owned(),
            });
        }
        let is_same = |wish: &Wish| (wish.generation, wish.unit) == (id, unit);
        self.wishes
            .retain(|wish| at <= wish.until && !is_same(wish));
        let of_video = |wish: &Wish| wish.generation == id;
        while self.wishes.iter().filter(|wish| of_video(wish)).count() >= WISHES_PER_GENERATION {
            let oldest = self.wishes.iter().position(of_video).unwrap_or_default();
            self.wishes.remove(oldest);
        }
        while self.wishes.len() >= WISHES_MAX {
            self.wishes.remove(0);
        }
        self.wishes.push(Wish {
            generation: id,
            unit,
            until: at + WISH_LASTS,
        });
        context.wake(Effect::GenerationChanged(id));
        Ok(Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_live_and_a_race_adds_one() {
        let mut catalog = Catalog::default();
        let add = |catalog: &mut Catalog, after, byte| {
            catalog.add_key(Timestamp::from_millis(5), after, Secret([byte; 32]))
        };
        assert_eq!(add(&mut catalog, 0, 1), Reply::Done);
        assert_eq!(add(&mut catalog, 0, 2), Reply::Already);
        assert_eq!(add(&mut catalog, 1, 3), Reply::Done);
        assert_eq!(add(&mut catalog, 2, 4), Reply::Done);
        let keys: Vec<_> = catalog
            .signing_keys()
            .iter()
            .map(|key| (key.id, key.secret.0[0]))
            .collect();
        assert_eq!(keys, [(2, 3), (3, 4)]);
        assert_eq!(format!("{:?}", catalog.signing_keys()[0].secret), "Secret");
    }
}
