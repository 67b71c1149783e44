//! Uploads over HTTP: tus 1.0.0, core and the extensions creation, creation-with-upload,
//! termination and expiration.
//!
//! A second door to the sessions of `ingest`: what one PATCH leaves off in the middle of a chunk
//! the next goes on with, and the newest request of an upload always wins.

pub mod headers;

mod handlers;
mod problem;

pub use handlers::router;

#[cfg(test)]
mod tests;
