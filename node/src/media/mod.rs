//! The parent side of rendering: reconciles assigned jobs with running workers.

pub mod sandbox;
