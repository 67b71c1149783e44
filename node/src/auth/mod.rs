//! Who is who: the cluster's certificate authority, this node's certificate, and those of peers.

pub mod authority;
pub mod grant;
pub mod peers;
pub mod public;
