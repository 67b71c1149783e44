//! Who is on the other end of a connection, and whether the cluster wants it.

use coordinator::raft::Handle;
use protocol::id::{ClusterId, NodeId};
use quinn::Connection;
use tracing::warn;

use crate::auth::peers;
use crate::transport::pool::CLOSE_UNWANTED;
use crate::transport::router::peer_certificates;

/// Judges peers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peers {
    pub cluster: ClusterId,
    pub catalog: Handle,
}

impl Peers {
    /// The node on the other end. One that is not wanted is told why, and the connection closed.
    pub fn admit(&self, connection: &Connection) -> Option<NodeId> {
        match self.judge(connection) {
            Ok(node) => Some(node),
            Err(why) => {
                warn!(remote = %connection.remote_address(), "peer turned away: {why}");
                connection.close(CLOSE_UNWANTED, why.as_bytes());
                None
            }
        }
    }

    fn judge(&self, connection: &Connection) -> Result<NodeId, String> {
        let chain = peer_certificates(connection)
            .ok_or("this is for nodes of the cluster; join it first, with a token")?;
        let (node, cluster) = peers::identify(&chain)
            .ok_or("the certificate does not say which node it is; let the machine join again")?;
        if cluster != self.cluster {
            return Err(format!(
                "this is cluster {}, not cluster {cluster}; correct the addresses in cluster.toml",
                self.cluster
            ));
        }
        // A copy that has just begun knows nobody yet, and the leader least of all.
        let removed = self.catalog.read(|catalog| {
            let node = catalog.node(node)?;
            node.removed_at.map(|at| (node.name.clone(), at))
        });
        match removed {
            None => Ok(node),
            Some((name, at)) => Err(format!(
                "node {node} ({name}) was removed from the cluster at {at}; move its data folder away and let the machine join as a new node, with a new token"
            )),
        }
    }
}
