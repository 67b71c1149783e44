//! Pure: HLS as text: names, checked manifests, playlists.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod clip;
pub mod generation;
mod language;
pub mod manifest;
pub mod names;
pub mod playlist;
pub mod scrub;
