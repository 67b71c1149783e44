//! Removes originals that the catalogue no longer names.
//!
//! The caller says what is named, from a catalogue that is up to date. A blob that was adopted a
//! moment ago may not be named yet, so only those that are old enough go.

use std::time::{Duration, SystemTime};

use protocol::id::BlobHash;
use tracing::info;

use super::{Error, Store};

/// Removes every blob that `is_named` denies and that entered the store more than `grace` ago;
/// returns those that went. Blocks on the disk.
///
/// # Errors
/// The disk fails; what was removed before stays removed.
pub fn sweep(
    store: &Store,
    now: SystemTime,
    grace: Duration,
    is_named: impl Fn(&BlobHash) -> bool,
) -> Result<Vec<BlobHash>, Error> {
    let mut gone = Vec::new();
    for hash in store.list()? {
        {
            // The same bytes may be adopted again right now, and named in a moment.
            let _closed = store.entrance();
            if is_named(&hash) || !is_older(store, &hash, now, grace) {
                continue;
            }
            store.remove(&hash)?;
        }
        info!(blob = %hash, "original removed, nothing names it");
        gone.push(hash);
    }
    Ok(gone)
}

/// By the time of the last change of its directory entry or mode: adoption sets it, and neither
/// a copied modification time nor reading moves it.
fn is_older(store: &Store, hash: &BlobHash, now: SystemTime, grace: Duration) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = store.path(hash).metadata() else {
        return false;
    };
    let Ok(secs) = u64::try_from(metadata.ctime()) else {
        return false;
    };
    now.duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(secs))
        .is_ok_and(|age| age > grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_blob_that_is_adopted_again_is_new() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("blobs")).unwrap();
        let (from, hash) = (dir.path().join("from"), BlobHash::of(b"same"));
        let adopt = || {
            std::fs::write(&from, b"same").unwrap();
            let metadata = store.adopt(&from, &hash).unwrap().metadata().unwrap();
            (metadata.ctime(), metadata.ctime_nsec())
        };
        let before = adopt();
        // More than a tick of the file system's clock.
        std::thread::sleep(Duration::from_millis(50));
        assert!(adopt() > before);
    }

    #[test]
    fn a_blob_that_is_adopted_while_it_is_swept_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("blobs")).unwrap();
        let (from, hash) = (dir.path().join("from"), BlobHash::of(b"same"));
        std::fs::write(&from, b"same").unwrap();
        store.adopt(&from, &hash).unwrap();
        std::fs::write(&from, b"same").unwrap();
        let later = SystemTime::now() + Duration::from_hours(1);
        std::thread::scope(|scope| {
            sweep(&store, later, Duration::from_mins(1), |_| {
                // Looked up as not named; the other upload comes now.
                let (done, adopted) = std::sync::mpsc::channel();
                let (store, from) = (&store, &from);
                scope.spawn(move || {
                    store.adopt(from, &hash).unwrap();
                    let _told = done.send(());
                });
                let _waited = adopted.recv_timeout(Duration::from_millis(200));
                false
            })
            .unwrap();
        });
        assert!(store.contains(&hash));
    }

    #[test]
    fn only_old_blobs_that_nothing_names_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("blobs")).unwrap();
        let adopt = |text: &[u8]| {
            let from = dir.path().join("from");
            std::fs::write(&from, text).unwrap();
            let hash = BlobHash::of(text);
            store.adopt(&from, &hash).unwrap();
            hash
        };
        let (named, unnamed) = (adopt(b"named"), adopt(b"unnamed"));
        let grace = Duration::from_mins(1);
        let now = SystemTime::now();
        let gone = sweep(&store, now, grace, |hash| *hash == named).unwrap();
        assert!(gone.is_empty(), "too young");
        let later = now + 2 * grace;
        let gone = sweep(&store, later, grace, |hash| *hash == named).unwrap();
        assert_eq!(gone, vec![unnamed]);
        assert_eq!(store.list().unwrap(), vec![named]);
    }
}
