//! Brings finished units into the origin, playlists last.
//!
//! One loop that compares what the catalogue wants with what is there: it can be stopped or killed
//! at any point and goes on where it was.

mod growing;
pub mod hls;
pub mod orphans;
pub mod plan;
mod retention;
mod service;
pub mod sweep;
mod uploader;

pub use service::{Options, Service};
pub use uploader::Keep;

#[cfg(test)]
mod faults;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
