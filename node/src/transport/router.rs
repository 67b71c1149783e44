//! Accepts connections and gives each to the handler of its protocol.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use protocol::id::NodeId;
use quinn::{Connection, Endpoint, Incoming, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

/// Connections served at once. Each can make the node buffer its receive window.
const CONNECTIONS_MAX: usize = 512;

/// Longest time a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time handlers get to end at shutdown.
const CLOSING_DEADLINE: Duration = Duration::from_secs(5);

/// QUIC application code of a close because the node stops; the rest is up to each protocol.
pub const CLOSE_SHUTDOWN: VarInt = VarInt::from_u32(12);

/// One protocol. It knows no socket, and the router knows no protocol.
pub trait Handler: Send + Sync + 'static {
    /// Serves one connection until it ends or `shutdown` fires.
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()>;
}

/// Tells who the peer at the other end is; a peer that is not wanted is told so.
pub type Admit = Box<dyn Fn(&Connection) -> Option<NodeId> + Send + Sync>;

/// Handlers by ALPN name.
#[derive(Default, Clone)]
pub struct Router {
    handlers: BTreeMap<Vec<u8>, Arc<dyn Handler>>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.protocols()).finish()
    }
}

impl Router {
    /// Serves the protocol named `alpn` with `handler`.
    #[must_use]
    pub fn route(mut self, alpn: &[u8], handler: Arc<dyn Handler>) -> Self {
        self.handlers.insert(alpn.to_vec(), handler);
        self
    }

    /// The names to offer in the TLS configuration.
    pub fn protocols(&self) -> Vec<Vec<u8>> {
        self.handlers.keys().cloned().collect()
    }

    /// Accepts on `endpoint` until `shutdown`, then closes every connection and waits for the
    /// handlers.
    pub async fn run(self, endpoint: Endpoint, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let incoming = tokio::select! {
                () = shutdown.cancelled() => break,
                incoming = endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { break };
            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let router = self.clone();
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                router.serve(incoming, shutdown).await;
                drop(seat);
            });
        }
        tasks.close();
        // Handlers see the token and say their last words; who takes longer is cut off.
        let _ = tokio::time::timeout(CLOSING_DEADLINE, tasks.wait()).await;
        endpoint.close(CLOSE_SHUTDOWN, b"the node is stopping");
        let _ = tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
    }

    async fn serve(&self, incoming: Incoming, shutdown: CancellationToken) {
        let remote = incoming.remote_address();
        let connection = match tokio::time::timeout(HANDSHAKE_DEADLINE, incoming).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                debug!(%remote, %error, "handshake failed");
                return;
            }
            Err(_) => {
                debug!(%remote, "handshake took too long");
                return;
            }
        };
        // TLS has refused every name that is not offered, so a handler that is missing means
        // that the TLS configuration offers more than the router serves.
        match negotiated(&connection).and_then(|alpn| self.handlers.get(&alpn)) {
            Some(handler) => handler.accept(connection, shutdown).await,
            None => connection.close(VarInt::from_u32(1), b"no such protocol here"),
        }
    }
}

/// The certificates that the peer has proved to be its own; none if it showed none.
pub fn peer_certificates(connection: &Connection) -> Option<Vec<CertificateDer<'static>>> {
    let identity = connection.peer_identity()?;
    identity.downcast().ok().map(|chain| *chain)
}

fn negotiated(connection: &Connection) -> Option<Vec<u8>> {
    connection
        .handshake_data()?
        .downcast::<quinn::crypto::rustls::HandshakeData>()
        .ok()?
        .protocol
}
