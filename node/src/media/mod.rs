//! The parent side of rendering: reconciles assigned jobs with running workers.

pub mod graph;
pub mod process;
pub mod sandbox;
pub mod verify;
