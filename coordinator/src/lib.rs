//! What the cluster believes, and what it does next.
//!
//! `catalog` is the replicated state machine and `scheduler` the policy; both are pure.
//! `raft` puts them on disk through openraft and sled; it is the only room that knows either,
//! and stands behind the feature `store`.
//!
//! The one invariant: the same log gives the same catalogue on every node, byte for byte.
//! So `apply` reads no clock, draws no random number and meets no disk; time and ids are in the
//! command, put there by its proposer.

pub mod catalog;
pub mod scheduler;

#[cfg(feature = "store")]
pub mod raft;
