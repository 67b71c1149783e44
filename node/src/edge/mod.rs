//! What viewers ask for again and again, kept in memory in front of the origin.

pub mod cache;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::origin::{self, Origin};
use cache::Cache;

/// Cheap to clone; every clone is the same cache.
///
/// Only objects that never change under their key belong in here.
#[derive(Debug, Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    origin: Origin,
    object_max_bytes: u64,
    cache: Mutex<Cache>,
    /// Reads under way: however many viewers wait for an object, the origin is asked once.
    reads: Mutex<BTreeMap<String, Arc<OnceCell<Bytes>>>>,
}

impl Edge {
    /// A cache of at most `budget_bytes` in front of `origin`.
    pub fn new(origin: Origin, budget_bytes: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                origin,
                object_max_bytes: budget_bytes / 8,
                cache: Mutex::new(Cache::new(budget_bytes)),
                reads: Mutex::default(),
            }),
        }
    }

    /// The origin behind it, for what is too large to be kept.
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The whole object under `key`.
    ///
    /// # Errors
    /// There is none, or [`origin::Error::TooLarge`]: then read it from the origin as a stream.
    pub async fn get(&self, key: &str) -> Result<Bytes, origin::Error> {
        let inner = &self.inner;
        if let Some(bytes) = lock(&inner.cache).get(key) {
            return Ok(bytes);
        }
        let read = Arc::clone(lock(&inner.reads).entry(key.to_owned()).or_default());
        let _forget = Forget { inner, key };
        let bytes = read
            .get_or_try_init(|| inner.origin.get(key, inner.object_max_bytes))
            .await?;
        lock(&inner.cache).insert(key, bytes.clone());
        Ok(bytes.clone())
    }
}

/// Takes a read off the list, also when its viewer went away in the middle.
struct Forget<'a> {
    inner: &'a Inner,
    key: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.inner.reads).remove(self.key);
    }
}

/// A panic elsewhere leaves the maps whole, since no call in between can panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_once_is_kept() {
        let origin = Origin::in_memory();
        origin.put("a", Bytes::from_static(b"one")).await.unwrap();
        origin
            .put("large", Bytes::from(vec![0; 100]))
            .await
            .unwrap();
        let edge = Edge::new(origin.clone(), 80);
        assert_eq!(&edge.get("a").await.unwrap()[..], b"one");
        origin.delete("a").await.unwrap();
        assert_eq!(&edge.get("a").await.unwrap()[..], b"one");
        assert!(edge.get("b").await.unwrap_err().is_not_found());
        assert!(matches!(
            edge.get("large").await,
            Err(origin::Error::TooLarge { .. })
        ));
        assert!(lock(&edge.inner.reads).is_empty());
    }
}
