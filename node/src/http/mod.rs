//! The HTTP surface, one room a resource.
//!
//! `server` listens and puts the rooms together; `api` is what the handlers share; `view` turns
//! records of the catalogue into the bodies of `protocol::http`; `error` is the only room that
//! knows how failures look.

mod access;
mod api;
mod clip;
pub mod cluster;
pub mod delivery;
mod error;
mod events;
mod export;
mod extract;
pub mod h3;
mod health;
mod hls;
mod job;
mod layers;
mod marker;
mod media;
mod mhl;
mod node;
mod openapi;
pub mod origin;
mod original;
mod preset;
mod proxy;
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
pub use server::{Server, Tls, router};

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
