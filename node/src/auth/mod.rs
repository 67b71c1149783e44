//! Who is who: the cluster's certificate authority and this node's certificate.

pub mod authority;
