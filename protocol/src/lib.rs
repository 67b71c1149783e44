//! Pure: words that cross a process boundary, and how they may change.
//!
//! Everything here is plain data: no clock, no disk, no network, no random numbers.
//! Records on a wire or a disk go through [`codec`], which puts a version in front of each;
//! enums that are stored are append-only, and their variants carry written numbers.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod id;
pub mod time;

pub mod media;
pub mod probe;
pub mod timecode;

pub mod clip;
pub mod marker;

pub mod failure;
pub mod job;
pub mod manifest;
pub mod vitals;
pub mod worker;

pub mod blob;
pub mod code;
pub mod codec;
pub mod frame;
pub mod join;
pub mod raft;
pub mod upload;
pub mod version;

pub mod http;
