//! The object store that holds everything derived, opened from a URL.
