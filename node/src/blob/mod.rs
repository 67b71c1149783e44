//! Originals by the hash of their bytes.
//!
//! A file in here is whole, verified and never changed; it goes away only when the catalogue no
//! longer names it.

pub mod gc;
pub mod store;
pub mod transfer;

pub use store::{Error, Store};
pub use transfer::Fetcher;
