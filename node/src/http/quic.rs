//! Where the QUIC endpoint is and whom to believe there, for clients that know only HTTP.

use axum::http::header;
use axum::routing::get;
use axum::{Json, Router};
use protocol::http::quic::Quic;

/// `GET /`, to be nested at `/api/v1/quic`.
pub fn router(quic: Quic) -> Router {
    let answer = move || async move { ([(header::CACHE_CONTROL, "no-store")], Json(quic)) };
    Router::new().route("/", get(answer))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn it_says_where_to_go_and_whom_to_believe() {
        let quic = Quic {
            port: 7443,
            server_name: protocol::version::SERVER_NAME.to_owned(),
            authority_pem: "pem".to_owned(),
        };
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router(quic.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Quic>(&body).unwrap(), quic);
    }
}
