//! Pure: protocol names, as the TLS handshake negotiates them (RFC 7301, ALPN).
//!
//! One QUIC port serves every protocol. A name carries its version: a node that speaks two
//! versions offers both names, and a peer that speaks neither is refused in the handshake.

use crate::id::{ClusterId, NodeId};

/// Uploads from clients.
pub const UPLOAD: &[u8] = b"reelmesh-upload/1";
/// Exchange of originals and work results between nodes.
pub const BLOB: &[u8] = b"reelmesh-blob/1";
/// Copies of chunks between nodes, while a file is uploaded.
pub const SPOOL: &[u8] = b"reelmesh-spool/1";
/// Raft between nodes.
pub const RAFT: &[u8] = b"reelmesh-raft/1";
/// Reports of nodes to the leader.
pub const VITALS: &[u8] = b"reelmesh-vitals/1";
/// A machine with a join token asks for its certificate.
pub const JOIN: &[u8] = b"reelmesh-join/1";

/// The name that every node's certificate bears; the cluster's own authority vouches for it.
pub const SERVER_NAME: &str = "reelmesh.internal";

/// The name in the certificate of one node of one cluster: its peers ask for it.
pub fn peer_name(node: NodeId, cluster: ClusterId) -> String {
    format!("n{node}.{cluster}.{SERVER_NAME}")
}

/// The node and the cluster that a certificate's name stands for.
pub fn parse_peer_name(name: &str) -> Option<(NodeId, ClusterId)> {
    let name = name.strip_suffix(SERVER_NAME)?.strip_suffix('.')?;
    let (node, cluster) = name.strip_prefix('n')?.split_once('.')?;
    Some((NodeId(node.parse().ok()?), cluster.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_name_of_a_node_is_read_as_it_was_written() {
        let cluster = ClusterId::derived(Timestamp::from_millis(1), 2, 3);
        let name = peer_name(NodeId(7), cluster);
        assert_eq!(parse_peer_name(&name), Some((NodeId(7), cluster)));
        assert_eq!(parse_peer_name(SERVER_NAME), None);
        assert_eq!(parse_peer_name("n7.x.reelmesh.internal"), None);
    }
}
