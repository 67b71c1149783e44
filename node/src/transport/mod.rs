//! QUIC that knows no feature: one endpoint, protocols told apart by ALPN.
//!
//! This room is given finished TLS configurations; it does not make or judge certificates.

pub mod congestion;
pub mod endpoint;
pub mod nearest;
pub mod pool;
pub mod router;
pub mod stream;
mod threads;

pub use endpoint::{bind, bind_client};
pub use pool::{DialError, Pool};
pub use router::{Admit, Handler, Router};

/// Why an endpoint cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen for QUIC on {address}: {source}")]
    Bind {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("the TLS configuration does not allow QUIC: {0}")]
    Tls(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}
