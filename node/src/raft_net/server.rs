//! Answers Raft's requests of peers.

use std::time::Duration;

use futures::future::BoxFuture;
use protocol::id::NodeId;
use protocol::raft::{MESSAGE_MAX, Request};
use quinn::{Connection, RecvStream, SendStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::Peers;
use crate::transport::router::CLOSE_SHUTDOWN;
use crate::transport::{Handler, stream};

/// A peer sends a request at once after it has opened a stream, and reads the answer at once.
const FRAME_WITHIN: Duration = Duration::from_secs(10);

/// Serves nodes of the cluster.
#[derive(Debug, Clone)]
pub struct Server {
    peers: Peers,
}

impl Server {
    pub const fn new(peers: Peers) -> Self {
        Self { peers }
    }

    async fn serve(&self, connection: Connection, shutdown: CancellationToken) {
        let Some(node) = self.peers.admit(&connection) else {
            return;
        };
        debug!(%node, "peer connected");
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept_bi() => accepted,
                () = shutdown.cancelled() => {
                    connection.close(CLOSE_SHUTDOWN, b"the node is stopping");
                    break;
                }
            };
            let Ok((send, receive)) = accepted else { break };
            // It may have been removed since it connected.
            if self.peers.admit(&connection).is_none() {
                break;
            }
            let peers = self.peers.clone();
            tasks.spawn(async move {
                if let Err(error) = answer(&peers, node, send, receive).await {
                    debug!(%node, %error, "request of a peer not answered");
                }
            });
        }
        tasks.close();
        tasks.wait().await;
    }
}

async fn answer(
    peers: &Peers,
    node: NodeId,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), stream::Error> {
    let request: Request = stream::read_frame(&mut receive, MESSAGE_MAX, FRAME_WITHIN).await?;
    let answer = peers.catalog.answer(node, request).await;
    stream::write_frame(&mut send, &answer, FRAME_WITHIN).await?;
    // Nothing follows; a peer that has gone does not mind.
    drop(send.finish());
    Ok(())
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        let Some(raft) = self.peers.catalog.runtime() else {
            return Box::pin(self.serve(connection, shutdown));
        };
        // On Raft's threads, where nothing else is in the way.
        let server = self.clone();
        let serving = raft.spawn(async move { server.serve(connection, shutdown).await });
        Box::pin(async move { drop(serving.await) })
    }
}
