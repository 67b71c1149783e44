//! The HTTP surface, one room a resource.
//!
//! `server` listens and puts the rooms together; `api` is what the handlers share; `view` turns
//! records of the catalogue into the bodies of `protocol::http`; `error` is the only room that
//! knows how failures look.

mod api;
mod clip;
pub mod cluster;
mod error;
mod events;
mod export;
mod extract;
mod health;
mod hls;
mod job;
mod layers;
mod marker;
mod media;
mod node;
mod openapi;
pub mod origin;
mod original;
pub mod quic;
mod range;
mod review;
mod server;
mod thumbnail;
pub mod tus;
mod ui;
mod video;
mod view;

pub use api::{Api, Live};
pub use error::Error;
pub use server::{Server, router};

#[cfg(test)]
mod tests;
