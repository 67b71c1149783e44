//! The HTTP surface, one room a resource.

pub mod quic;
pub mod tus;
