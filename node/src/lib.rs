//! The Reelmesh node: everything that touches the world.
//!
//! Seven floors; a room imports from lower floors only, and rooms on the same floor do not import
//! each other. `cargo test -p xtask` holds that law.

// Floor 0: base.
pub mod config;
pub mod digest;
pub mod telemetry;

// Floor 1: ground.
pub mod auth;
pub mod origin;
pub mod transport;

// Floor 2: services.
pub mod blob;
pub mod raft_net;
pub mod vitals;

// Floor 3: features.
pub mod edge;
pub mod ingest;
pub mod interchange;
pub mod media;
pub mod publish;

// Floor 4: surface.
pub mod http;

// Floor 5: assembly.
pub mod app;

// Floor 6: door.
pub mod cli;

// Beside the floors: the child process that renders.
#[cfg(feature = "gstreamer")]
pub mod worker;
