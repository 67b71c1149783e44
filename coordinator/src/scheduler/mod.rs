//! Pure: what to do next: which waiting job goes to which node, and which lease has lapsed.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod retry;
