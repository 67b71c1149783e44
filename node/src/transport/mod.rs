//! QUIC that knows no feature: one endpoint, protocols told apart by ALPN.
