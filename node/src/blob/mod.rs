//! Originals by the hash of their bytes.
