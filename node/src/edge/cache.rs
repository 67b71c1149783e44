//! Pure: which objects stay in memory: the ones used last, within a budget of bytes.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;

use bytes::Bytes;

#[derive(Debug)]
pub struct Cache {
    budget_bytes: u64,
    used_bytes: u64,
    /// Counts uses; a larger number is a later use.
    clock: u64,
    objects: BTreeMap<String, (Bytes, u64)>,
    by_use: BTreeMap<u64, String>,
}

impl Cache {
    pub fn new(budget_bytes: u64) -> Self {
        Self {
            budget_bytes,
            used_bytes: 0,
            clock: 0,
            objects: BTreeMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// The object, which counts as used.
    pub fn get(&mut self, key: &str) -> Option<Bytes> {
        let (bytes, used) = self.objects.get_mut(key)?;
        self.clock += 1;
        let key = self.by_use.remove(used).expect("every object has a use");
        *used = self.clock;
        self.by_use.insert(self.clock, key);
        Some(bytes.clone())
    }

    /// Keeps an object and lets go of the ones that were not used for the longest time.
    pub fn insert(&mut self, key: &str, bytes: Bytes) {
        let size = bytes.len() as u64;
        if size > self.budget_bytes || self.objects.contains_key(key) {
            return;
        }
        self.clock += 1;
        self.used_bytes += size;
        self.objects.insert(key.to_owned(), (bytes, self.clock));
        self.by_use.insert(self.clock, key.to_owned());
        while self.used_bytes > self.budget_bytes {
            let (_, oldest) = self.by_use.pop_first().expect("bytes are used by objects");
            let (bytes, _) = self
                .objects
                .remove(&oldest)
                .expect("every use has an object");
            self.used_bytes -= bytes.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(10);
        cache.insert("a", Bytes::from_static(b"aaaa"));
        cache.insert("b", Bytes::from_static(b"bbbb"));
        assert!(cache.get("a").is_some());
        cache.insert("c", Bytes::from_static(b"cccc"));
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
        cache.insert("huge", Bytes::from_static(b"0123456789a"));
        assert!(cache.get("huge").is_none() && cache.get("a").is_some());
        assert_eq!(cache.used_bytes, 8);
    }
}
