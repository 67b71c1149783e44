//! HTTP/3 on the QUIC endpoint: the same routes, over other streams.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use futures::stream;
use h3::server::RequestResolver;
use http_body_util::BodyExt as _;
use quinn::{Connection, VarInt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::debug;

use super::cluster::Caller;
use crate::transport::Handler;

/// Viewers at once. The endpoint has room for some more, so that uploads and other nodes always
/// find a place; a browser that finds none comes over TCP.
const CONNECTIONS_MAX: usize = 256;

/// Control streams of a client: three, and some that it opens so that nobody counts on three.
const UNI_STREAMS_MAX: u32 = 8;

/// Largest head of a request.
const HEAD_MAX_BYTES: u64 = 64 << 10;

/// `H3_EXCESSIVE_LOAD` (RFC 9114, 8.1).
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x0107);

/// Serves `routes` to whoever speaks HTTP/3.
#[derive(Debug)]
pub struct Server {
    routes: Router,
    seats: Arc<Semaphore>,
}

impl Server {
    pub fn new(routes: Router) -> Self {
        Self {
            routes,
            seats: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }

    async fn serve(&self, connection: Connection, shutdown: CancellationToken) {
        let Ok(_seat) = self.seats.try_acquire() else {
            connection.close(EXCESSIVE_LOAD, b"too many viewers");
            return;
        };
        connection.set_max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS_MAX));
        let caller = connection.remote_address();
        let mut builder = h3::server::builder();
        builder.max_field_section_size(HEAD_MAX_BYTES);
        let opened = builder.build(h3_quinn::Connection::new(connection));
        let mut connection = match opened.await {
            Ok(connection) => connection,
            Err(error) => {
                debug!(%caller, %error, "no HTTP/3 connection");
                return;
            }
        };
        let mut ending = false;
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = shutdown.cancelled(), if !ending => {
                    // Requests under way go on; the client sends new ones elsewhere.
                    ending = true;
                    if connection.shutdown(0).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            match accepted {
                Ok(Some(resolver)) => {
                    let routes = self.routes.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(resolver, routes, caller).await {
                            debug!(%caller, %error, "an HTTP/3 request ended badly");
                        }
                    });
                }
                Ok(None) => return,
                Err(error) => {
                    debug!(%caller, %error, "HTTP/3 connection ended");
                    return;
                }
            }
        }
    }
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(self.serve(connection, shutdown))
    }
}

async fn answer(
    resolver: RequestResolver<h3_quinn::Connection, Bytes>,
    routes: Router,
    caller: SocketAddr,
) -> Result<(), h3::error::StreamError> {
    let (head, stream) = resolver.resolve_request().await?;
    let (mut sending, receiving) = stream.split();
    let (mut parts, ()) = head.into_parts();
    parts.extensions.insert(Caller(caller));
    let body = if matches!(parts.method, Method::GET | Method::HEAD) {
        Body::empty()
    } else {
        Body::from_stream(stream::try_unfold(receiving, async |mut receiving| {
            let data = receiving.recv_data().await?;
            let data = data.map(|mut data| data.copy_to_bytes(data.remaining()));
            Ok::<_, h3::error::StreamError>(data.map(|data| (data, receiving)))
        }))
    };
    let request = Request::from_parts(parts, body);
    let response = match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, mut body) = response.into_parts();
    sending
        .send_response(Response::from_parts(parts, ()))
        .await?;
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) if !data.is_empty() => sending.send_data(data).await?,
            // Trailers: none of the routes has any.
            Ok(_) => {}
            Err(error) => {
                debug!(%error, "an answer broke off");
                // The client must not take half of it for the whole.
                sending.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
    sending.finish().await
}
