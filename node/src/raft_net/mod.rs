//! How nodes reach each other to agree: Raft's requests over QUIC, and joining the cluster.

mod client;
pub mod join;
mod peer;
mod server;

pub use client::{Client, Trouble};
pub use peer::Peers;
pub use server::Server;
