//! Where the QUIC endpoint is and whom to believe there, for clients that know only HTTP.

use axum::routing::get;
use axum::{Json, Router};
use protocol::http::quic::Quic;

/// `GET /`, to be nested at `/api/v1/quic`.
pub fn router(quic: Quic) -> Router {
    Router::new().route("/", get(|| async move { Json(quic) }))
}
