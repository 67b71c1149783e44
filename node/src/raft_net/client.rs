//! Takes Raft's requests to peers: a stream each, so that none waits behind another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coordinator::raft::{CallError, Network, Peer};
use futures::future::BoxFuture;
use protocol::id::ClusterId;
use protocol::raft::{Answer, MESSAGE_MAX, Request};
use protocol::version::peer_name;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::error;

use crate::transport::pool::refusal;
use crate::transport::{DialError, Pool, stream};

/// Why the cluster does not want this node, if it does not.
pub type Trouble = watch::Receiver<Option<String>>;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool,
    cluster: ClusterId,
    trouble: Arc<watch::Sender<Option<String>>>,
}

impl Client {
    pub fn new(pool: Pool, cluster: ClusterId) -> (Self, Trouble) {
        let (trouble, seen) = watch::channel(None);
        let client = Self {
            pool,
            cluster,
            trouble: Arc::new(trouble),
        };
        (client, seen)
    }

    async fn exchange(
        &self,
        peer: &Peer,
        request: &Request,
        deadline: Duration,
        sent: &AtomicBool,
    ) -> Result<Answer, CallError> {
        let name = peer_name(peer.node, self.cluster);
        let connection = self
            .pool
            .connection(&peer.address, &name)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let opened = connection.open_bi().await;
        let (mut send, mut receive) = opened.map_err(|error| match refusal(&error) {
            Some(refused) => self.unreachable(&refused),
            None => CallError::Unreachable(error.to_string()),
        })?;
        sent.store(true, Ordering::Relaxed);
        let lost = |error: stream::Error| match connection.close_reason().as_ref().and_then(refusal)
        {
            Some(refused) => self.unreachable(&refused),
            None => CallError::Lost(error.to_string()),
        };
        stream::write_frame(&mut send, request, deadline)
            .await
            .map_err(lost)?;
        // Nothing follows; it may have been reset by now, which the answer shows.
        drop(send.finish());
        stream::read_frame(&mut receive, MESSAGE_MAX, deadline)
            .await
            .map_err(lost)
    }

    fn unreachable(&self, error: &DialError) -> CallError {
        if let DialError::Unwanted { why } = error {
            self.trouble.send_if_modified(|known| {
                let news = known.as_ref() != Some(why);
                if news {
                    error!("the cluster turns this node away: {why}");
                    *known = Some(why.clone());
                }
                news
            });
        }
        CallError::Unreachable(error.to_string())
    }
}

impl Network for Client {
    fn call(
        &self,
        peer: Peer,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Answer, CallError>> {
        let client = self.clone();
        Box::pin(async move {
            let sent = AtomicBool::new(false);
            match timeout(deadline, client.exchange(&peer, &request, deadline, &sent)).await {
                Ok(result) => result,
                Err(_) if sent.load(Ordering::Relaxed) => {
                    Err(CallError::Lost("no answer in time".to_owned()))
                }
                Err(_) => Err(CallError::Unreachable(format!(
                    "no connection to {} in time",
                    peer.address
                ))),
            }
        })
    }
}
