//! The child side of rendering, and the only user of GStreamer.

pub mod container;
pub mod probe;
mod refuse;
