//! Pure: how a client that knows a node's HTTP address gets to its QUIC endpoint.

use serde::{Deserialize, Serialize};

/// Answer of `GET /quic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quic {
    /// UDP port, on the host that the client reached over HTTP: the node may not know the name or
    /// address it is reached by.
    pub port: u16,
    /// The name in the node's certificate, to be asked for in the TLS handshake.
    pub server_name: String,
    /// Certificate of the cluster's authority in PEM; believe it and nobody else.
    pub authority_pem: String,
}
