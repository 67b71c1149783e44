//! The catalogue on disk and over the network: openraft with its log on sled.

pub mod handle;

pub use handle::{Error, Handle};
