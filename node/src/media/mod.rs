//! The parent side of rendering: reconciles assigned jobs with running workers.

pub mod graph;
pub mod order;
pub mod outbox;
pub mod process;
pub mod runner;
pub mod sandbox;
pub mod verify;

pub use runner::{Abilities, Error, Handle, Options, Service};
