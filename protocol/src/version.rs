//! Pure: protocol names, as the TLS handshake negotiates them (RFC 7301, ALPN).
//!
//! One QUIC port serves every protocol. A name carries its version: a node that speaks two
//! versions offers both names, and a peer that speaks neither is refused in the handshake.

/// Uploads from clients.
pub const UPLOAD: &[u8] = b"reelmesh-upload/1";
/// Exchange of originals and work results between nodes.
pub const BLOB: &[u8] = b"reelmesh-blob/1";
/// Raft between nodes.
pub const RAFT: &[u8] = b"reelmesh-raft/1";

/// The name that every node's certificate bears; the cluster's own authority vouches for it.
pub const SERVER_NAME: &str = "reelmesh.internal";
