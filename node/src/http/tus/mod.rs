//! Uploads over HTTP: tus 1.0.0 with all its extensions.
//!
//! A second door to the sessions of `ingest`: what one PATCH leaves off in the middle of a chunk
//! the next goes on with, and the newest request of an upload always wins.

pub mod headers;

mod handlers;

mod create;
mod look;
mod transfer;

mod problem;

pub use handlers::router;

#[cfg(test)]
mod extension_tests;
#[cfg(test)]
mod tests;
