//! Pure: every key of the sled database in one place, big-endian so that they sort.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// Tree of log records: log index, eight bytes big-endian, to record.
pub(super) const LOG: &str = "log";
/// Tree of the few facts beside the log.
pub(super) const META: &str = "meta";

/// The vote: a lost one lets this node vote twice in a term.
pub(super) const VOTE: &[u8] = b"vote";
/// Id of the last entry that a snapshot replaced.
pub(super) const PURGED: &[u8] = b"purged";
/// Id of the newest entry known to be committed; may lag.
pub(super) const COMMITTED: &[u8] = b"committed";
/// Index the log reaches at least: written after entries, before a truncation.
pub(super) const REACHES: &[u8] = b"reaches";
/// Whose log this is: format, node and cluster.
pub(super) const OWNER: &[u8] = b"owner";

pub(super) const fn log(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// The index in a key of the log; none if it is not one.
pub(super) fn log_index(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_indexes_do() {
        let indexes = [0, 1, 250, 251, 255, 256, 300, 65_536, u64::MAX];
        for pair in indexes.windows(2) {
            assert!(log(pair[0]) < log(pair[1]));
        }
        assert_eq!(log_index(&log(300)), Some(300));
        assert_eq!(log_index(b"vote"), None);
    }
}
