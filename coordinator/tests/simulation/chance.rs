//! Random numbers that follow from a seed, and the fingerprint of all that happened.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// `SplitMix64`: small, and the same everywhere.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start).max(1)
    }

    /// True `permille` times of a thousand.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.within(0..1000) < permille
    }

    pub fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }

    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    pub fn one_of<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[usize::try_from(self.within(0..among.len() as u64)).expect("small")]
    }
}

/// What happened, in its order; two runs of one seed have the same fingerprint.
pub struct Trace {
    start: Instant,
    hash: DefaultHasher,
    pub events: u64,
    /// Told as they come: to look into one seed.
    aloud: bool,
}

impl Trace {
    pub fn new(aloud: bool) -> Self {
        Self {
            start: Instant::now(),
            hash: DefaultHasher::new(),
            events: 0,
            aloud,
        }
    }

    pub fn note(&mut self, event: impl FnOnce() -> String, what: impl Hash) {
        self.events += 1;
        let at = self.start.elapsed();
        (at, what).hash(&mut self.hash);
        if self.aloud {
            super::tell(&format!("{:>10} {}", at.as_micros(), event()));
        }
    }

    pub fn fingerprint(&self) -> u64 {
        self.hash.finish()
    }
}

/// What everything in one run shares.
#[derive(Clone)]
pub struct Shared {
    chance: Arc<Mutex<Chance>>,
    trace: Arc<Mutex<Trace>>,
    violations: Arc<Mutex<Vec<String>>>,
}

impl Shared {
    pub fn new(seed: u64, aloud: bool) -> Self {
        Self {
            chance: Arc::new(Mutex::new(Chance::new(seed))),
            trace: Arc::new(Mutex::new(Trace::new(aloud))),
            violations: Arc::default(),
        }
    }

    pub fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.chance.lock().expect("no panic"))
    }

    /// Notes an event by its text. The number of it, counted from one, orders all events.
    pub fn note(&self, event: &str) -> u64 {
        let mut trace = self.trace.lock().expect("no panic");
        trace.note(|| event.to_owned(), event);
        trace.events
    }

    /// Something that must never happen has happened.
    pub fn violation(&self, what: String) {
        self.note(&what);
        self.violations.lock().expect("no panic").push(what);
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().expect("no panic").clone()
    }

    pub fn fingerprint(&self) -> (u64, u64) {
        let trace = self.trace.lock().expect("no panic");
        (trace.fingerprint(), trace.events)
    }
}
