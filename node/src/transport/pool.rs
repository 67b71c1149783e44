//! Connections to peers: dialled when needed, shared, dialled again when they have died.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, IdleTimeout, VarInt};

use super::{Error, endpoint};

/// Longest time for finding a host and shaking hands.
const DIAL_WITHIN: Duration = Duration::from_secs(3);

/// How long a peer may be silent, and how often this side speaks: QUIC does not notice by itself
/// that a process is gone.
const IDLE_MAX: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_millis(200);
/// What a handshake waits for before it sends again, until the path has been measured.
const FIRST_RTT: Duration = Duration::from_millis(50);

/// QUIC application code of a close because the peer is not wanted; the reason is a sentence.
pub const CLOSE_UNWANTED: VarInt = VarInt::from_u32(13);

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error("{address} is no address of a host that can be found")]
    NoHost { address: String },
    #[error(
        "nothing answers at {address}; is the node running there, and does the network let UDP through to that port?"
    )]
    Silent { address: String },
    #[error(
        "what answers at {address} is not the expected node, or belongs to another cluster ({why})"
    )]
    Foreign { address: String, why: String },
    /// In the peer's words.
    #[error("{why}")]
    Unwanted { why: String },
    #[error("cannot connect to {address}: {why}")]
    Other { address: String, why: String },
}

type Dialling = Shared<BoxFuture<'static, Result<Connection, DialError>>>;

enum Slot {
    Dialling(Dialling),
    Up(Connection),
}

/// Connections for one protocol, by address and name. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    config: ClientConfig,
    slots: Mutex<BTreeMap<(String, String), Slot>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// Dials from `endpoint` with what `tls` trusts and shows.
    ///
    /// # Errors
    /// The TLS configuration does not allow QUIC.
    pub fn new(endpoint: Endpoint, tls: rustls::ClientConfig) -> Result<Self, Error> {
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let mut transport = endpoint::transport(IDLE_MAX, KEEP_ALIVE);
        transport
            .max_idle_timeout(Some(IdleTimeout::try_from(IDLE_MAX).expect("a short time")))
            .initial_rtt(FIRST_RTT);
        config.transport_config(Arc::new(transport));
        Ok(Self {
            inner: Arc::new(Inner {
                endpoint,
                config,
                slots: Mutex::default(),
            }),
        })
    }

    /// A connection to the peer called `name` at `address`, host and port. Several who ask at once
    /// share one, and giving up does not stop a dial that others wait for.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn connection(&self, address: &str, name: &str) -> Result<Connection, DialError> {
        let key = (address.to_owned(), name.to_owned());
        let dialling = {
            let mut slots = self.inner.slots.lock().expect("never poisoned");
            match slots.get(&key) {
                Some(Slot::Up(connection)) => match connection.close_reason() {
                    None => return Ok(connection.clone()),
                    Some(_) => self.begin(&mut slots, key.clone()),
                },
                Some(Slot::Dialling(dialling)) => dialling.clone(),
                None => self.begin(&mut slots, key.clone()),
            }
        };
        let dialled = dialling.await;
        let mut slots = self.inner.slots.lock().expect("never poisoned");
        match &dialled {
            Ok(connection) => {
                slots.insert(key, Slot::Up(connection.clone()));
            }
            Err(_) => {
                // Unless another dial has begun by now.
                if matches!(slots.get(&key), Some(Slot::Dialling(d)) if d.peek().is_some()) {
                    slots.remove(&key);
                }
            }
        }
        dialled
    }

    fn begin(
        &self,
        slots: &mut BTreeMap<(String, String), Slot>,
        key: (String, String),
    ) -> Dialling {
        let inner = Arc::clone(&self.inner);
        let (address, name) = key.clone();
        let dial = async move { inner.dial(&address, &name).await };
        let dialling = dial.boxed().shared();
        // On its own, so that it goes on when whoever asked has given up.
        tokio::spawn(dialling.clone());
        slots.insert(key, Slot::Dialling(dialling.clone()));
        dialling
    }
}

impl Inner {
    async fn dial(&self, address: &str, name: &str) -> Result<Connection, DialError> {
        let other = |why: String| DialError::Other {
            address: address.to_owned(),
            why,
        };
        let silent = || DialError::Silent {
            address: address.to_owned(),
        };
        let dial = async {
            let target = self.resolve(address).await?;
            let config = self.config.clone();
            let connecting = self
                .endpoint
                .connect_with(config, target, name)
                .map_err(|error| other(error.to_string()))?;
            connecting.await.map_err(|error| match error {
                ConnectionError::TimedOut => silent(),
                error => refusal(&error).unwrap_or_else(|| {
                    let why = error.to_string();
                    // TLS alerts 42 to 48 are about certificates.
                    if why.contains("certificate") || why.contains("UnknownIssuer") {
                        let address = address.to_owned();
                        return DialError::Foreign { address, why };
                    }
                    other(why)
                }),
            })
        };
        match tokio::time::timeout(DIAL_WITHIN, dial).await {
            Ok(dialled) => dialled,
            Err(_) => Err(silent()),
        }
    }

    async fn resolve(&self, address: &str) -> Result<SocketAddr, DialError> {
        let no_host = || DialError::NoHost {
            address: address.to_owned(),
        };
        let own_is_v4 = self.endpoint.local_addr().is_ok_and(|own| own.is_ipv4());
        let found = tokio::net::lookup_host(address)
            .await
            .map_err(|_| no_host())?;
        found
            .into_iter()
            .find(|found| found.is_ipv4() == own_is_v4)
            .ok_or_else(no_host)
    }
}

/// What the peer said when it closed because this node is not wanted.
pub fn refusal(error: &ConnectionError) -> Option<DialError> {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == CLOSE_UNWANTED => {
            let why = String::from_utf8_lossy(&close.reason).into_owned();
            Some(DialError::Unwanted { why })
        }
        _ => None,
    }
}
