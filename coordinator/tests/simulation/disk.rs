//! A disk in memory that forgets at a power cut what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coordinator::raft::Disk;
use coordinator::raft::disk::Record;
use tokio::time::Instant;

use super::chance::Shared;

#[derive(Default, Clone)]
struct Content {
    facts: BTreeMap<Vec<u8>, Vec<u8>>,
    entries: BTreeMap<u64, Vec<u8>>,
}

enum Change {
    Fact(Vec<u8>, Option<Vec<u8>>),
    Entry(u64, Option<Vec<u8>>),
}

impl Content {
    fn take(&mut self, change: &Change) {
        match change {
            Change::Fact(key, Some(value)) => {
                self.facts.insert(key.clone(), value.clone());
            }
            Change::Fact(key, None) => {
                self.facts.remove(key);
            }
            Change::Entry(index, Some(record)) => {
                self.entries.insert(*index, record.clone());
            }
            Change::Entry(index, None) => {
                self.entries.remove(index);
            }
        }
    }
}

#[derive(Default)]
struct State {
    durable: Content,
    /// Written since, in order.
    written: Vec<Change>,
    /// What a read shows.
    view: Content,
    /// Whoever opened it before has lost it.
    opened: u64,
    slow_until: Option<Instant>,
    /// For the control run: says that it has committed, but does so only now and then.
    lies: bool,
    committed_at: Option<Instant>,
}

impl State {
    fn sync(&mut self) {
        let written = std::mem::take(&mut self.written);
        for change in &written {
            self.durable.take(change);
        }
    }
}

/// The platter; it outlives those who open it.
#[derive(Clone)]
pub struct Platter {
    state: Arc<Mutex<State>>,
    shared: Shared,
}

impl Platter {
    pub fn new(shared: &Shared, lies: bool) -> Self {
        let state = State {
            lies,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            shared: shared.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// For the next process; the one before has it no more. Opening syncs, as the real one does.
    pub fn open(&self) -> Box<dyn Disk> {
        let mut state = self.state();
        state.opened += 1;
        if !state.lies {
            state.sync();
        }
        Box::new(Opened {
            platter: self.clone(),
            number: state.opened,
        })
    }

    /// Some of what was written since the last commit is there, in order, the rest never was: so
    /// it is after a power cut, and after a kill, since sled has buffers of its own.
    pub fn lose_unsynced(&self) {
        let mut state = self.state();
        state.opened += 1;
        let written = std::mem::take(&mut state.written);
        let kept = self
            .shared
            .chance(|c| c.within(0..written.len() as u64 + 1));
        let kept = usize::try_from(kept).expect("small");
        for change in &written[..kept] {
            state.durable.take(change);
        }
        state.view = state.durable.clone();
        let lost = written.len() - kept;
        drop(state);
        self.shared
            .note(&format!("disk kept {kept} and lost {lost}"));
    }

    pub fn be_slow(&self, time: Duration) {
        self.state().slow_until = Some(Instant::now() + time);
    }
}

struct Opened {
    platter: Platter,
    number: u64,
}

impl Opened {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.platter.state();
        if state.opened == self.number {
            Ok(state)
        } else {
            Err(io::Error::other("the disk is gone"))
        }
    }

    fn write(&self, change: Change) -> io::Result<()> {
        let mut state = self.state()?;
        state.view.take(&change);
        state.written.push(change);
        Ok(())
    }
}

/// How seldom a disk that lies really commits.
const LIE: Duration = Duration::from_millis(500);

impl Disk for Opened {
    fn fact(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state()?.view.facts.get(key).cloned())
    }

    fn set_fact(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.write(Change::Fact(key.to_vec(), Some(value.to_vec())))
    }

    fn remove_fact(&mut self, key: &[u8]) -> io::Result<()> {
        self.write(Change::Fact(key.to_vec(), None))
    }

    fn set_entry(&mut self, index: u64, record: &[u8]) -> io::Result<()> {
        self.write(Change::Entry(index, Some(record.to_vec())))
    }

    fn remove_entry(&mut self, index: u64) -> io::Result<()> {
        self.write(Change::Entry(index, None))
    }

    fn first_entry(&self) -> io::Result<Option<u64>> {
        let state = self.state()?;
        Ok(state
            .view
            .entries
            .first_key_value()
            .map(|(&index, _)| index))
    }

    fn last_entry(&self) -> io::Result<Option<u64>> {
        let state = self.state()?;
        Ok(state.view.entries.last_key_value().map(|(&index, _)| index))
    }

    fn entries_from(&self, index: u64) -> Box<dyn Iterator<Item = io::Result<Record>> + '_> {
        match self.state() {
            Ok(state) => {
                let records = state.view.entries.range(index..);
                let records: Vec<_> = records.map(|(&i, r)| Ok((i, r.clone()))).collect();
                Box::new(records.into_iter())
            }
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn commit(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        let now = Instant::now();
        if state.lies && state.committed_at.is_some_and(|at| at + LIE > now) {
            return Ok(());
        }
        state.committed_at = Some(now);
        state.sync();
        Ok(())
    }

    fn commit_takes(&mut self) -> Duration {
        let slow = self.platter.state().slow_until;
        if slow.is_some_and(|until| until > Instant::now()) {
            return self.platter.shared.chance(|c| c.millis(50..400));
        }
        self.platter.shared.chance(|c| c.micros(100..3000))
    }
}
