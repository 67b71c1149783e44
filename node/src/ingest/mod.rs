//! Uploads: chunks in any order, acknowledged once they are on disk.
