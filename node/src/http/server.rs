//! Puts the rooms together, listens, and stops gracefully.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, Request, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use super::api::Api;
use super::cluster::{self, Caller};
use super::error::Error;
use super::layers::{self, Names};
use super::{
    access, clip, delivery, events, export, health, hls, job, marker, mhl, node, openapi, origin,
    original, preset, proxy, review, thumbnail, ui, video,
};

/// Connections at once; beyond that new ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4096;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// A client that has not sent its request's head by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Quiet HTTP/2 connections are asked whether they live.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What an HTTP/2 client may send ahead, per stream and in all: uploads need room.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// How long requests under way may go on after shutdown began.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// First byte of a TLS connection (RFC 8446, 5.1); no request in plain text begins with it.
const TLS_HANDSHAKE: u8 = 22;
/// What one HTTP/1.1 connection holds of a body, and the longest head of a request, in bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// Largest JSON body in bytes.
const BODY_MAX_BYTES: usize = 64 << 10;

/// The HTTP surface on one port: HTTP/1.1, and HTTP/2 for clients that begin with it.
#[derive(Debug)]
pub struct Server {
    pub listener: TcpListener,
    pub api: Api,
    /// All of them, as [`router`] makes them.
    pub routes: Router,
    /// None: plain HTTP.
    pub tls: Option<Tls>,
}

/// TLS on the same port. A client that begins in plain text is still heard: from this machine as
/// if there were no TLS, and from elsewhere to be told where to go.
#[derive(Debug, Clone)]
pub struct Tls {
    pub config: Arc<rustls::ServerConfig>,
    /// Where HTTP/3 is.
    pub quic_port: u16,
}

impl Server {
    /// Serves until `shutdown`, then lets requests under way finish for a while.
    ///
    /// # Errors
    /// The listener has no address.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        let Self {
            listener,
            api,
            routes,
            tls,
        } = self;
        let address = listener.local_addr()?;
        let writer = tokio::spawn(events::run(api, shutdown.clone()));
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        info!(%address, "HTTP is open");
        loop {
            let permit = Arc::clone(&connections).acquire_owned();
            let accept = async {
                let permit = permit.await.expect("the semaphore is never closed");
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accept => accepted,
                () = shutdown.cancelled() => break,
            };
            let (stream, caller) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most often no more file descriptors: give others time to close some.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (routes, tls, watcher) = (routes.clone(), tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                if let Err(error) = serve(stream, caller, routes, tls, watcher).await {
                    debug!(error, "connection ended badly");
                }
                drop(permit);
            });
        }
        drop(listener);
        if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown())
            .await
            .is_err()
        {
            warn!("some requests did not end in time");
        }
        drop(writer.await);
        info!("HTTP is closed");
        Ok(())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Serves one connection, in TLS or not, as the client begins.
async fn serve(
    stream: TcpStream,
    caller: SocketAddr,
    routes: Router,
    tls: Option<Tls>,
    watcher: Watcher,
) -> Result<(), Failure> {
    // Events and small answers must not wait for company.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot switch off delays");
    }
    let Some(tls) = tls else {
        return speak(stream, caller, routes, None, watcher).await;
    };
    let mut first = [0];
    let count = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)).await??;
    if count == 0 {
        return Ok(());
    }
    if first[0] == TLS_HANDSHAKE {
        let accept = TlsAcceptor::from(tls.config).accept(stream);
        let stream = tokio::time::timeout(HEAD_TIMEOUT, accept).await??;
        let elsewhere = format!("h3=\":{}\"; ma=86400", tls.quic_port);
        let elsewhere = HeaderValue::from_str(&elsewhere)?;
        return speak(stream, caller, routes, Some(elsewhere), watcher).await;
    }
    let routes = if caller.ip().to_canonical().is_loopback() {
        routes
    } else {
        Router::new().fallback(layers::to_https)
    };
    speak(stream, caller, routes, None, watcher).await
}

/// HTTP/1.1 or HTTP/2 over `stream`. `elsewhere` is the `Alt-Svc` of every answer.
async fn speak<S>(
    stream: S,
    caller: SocketAddr,
    routes: Router,
    elsewhere: Option<HeaderValue>,
    watcher: Watcher,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Who asks matters to a few rooms.
    let known = move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Caller(caller));
        request
    };
    let service = ServiceExt::<Request<Incoming>>::map_request(routes, known);
    let service = service.map_response(move |mut response: Response| {
        if let Some(value) = &elsewhere {
            let headers = response.headers_mut();
            headers.insert(header::ALT_SVC, value.clone());
        }
        response
    });
    let service = TowerToHyperService::new(service);
    let builder = builder();
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    watcher.watch(connection).await
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_buf_size(BUFFER_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE);
    builder
}

/// All routes and layers. `loopback`: only names of this machine are let through.
pub fn router(api: Api, uploads: Router, quic: Router, loopback: bool) -> Router {
    let names = if loopback {
        Names::Loopback
    } else {
        Names::Any
    };
    let gate = access::Gate {
        catalog: api.catalog.clone(),
        is_required: api.require_token,
    };
    let calls = Router::new()
        .route("/videos", refusing(get(video::list)))
        .route(
            "/videos/{id}",
            refusing(get(video::one).patch(video::change).delete(video::remove)),
        )
        .route("/videos/{id}/original", refusing(get(original::original)))
        .route("/videos/{id}/original.mhl", refusing(get(mhl::hash_list)))
        .route(
            "/videos/{id}/thumbnail",
            refusing(get(thumbnail::thumbnail)),
        )
        .route("/videos/{id}/clips", refusing(post(clip::mark)))
        .route("/videos/{id}/grant", refusing(post(delivery::give)))
        .route("/videos/{id}/want", refusing(post(delivery::want)))
        .route(
            "/delivery/keys",
            refusing(get(delivery::list_keys).post(delivery::add_key)),
        )
        .route(
            "/clips/{id}",
            refusing(get(clip::one).patch(clip::change).delete(clip::remove)),
        )
        .route("/clips/{id}/render", refusing(post(clip::render)))
        .route("/clips/{id}/download", refusing(get(clip::download)))
        .merge(proxies())
        .merge(notes())
        .route("/videos/{id}/export", refusing(get(export::of_one)))
        .route("/export", refusing(get(export::of_many)))
        .route("/jobs", refusing(get(job::list)))
        .route("/jobs/{id}", refusing(get(job::one)))
        .route("/jobs/{id}/retry", refusing(post(job::retry)))
        .route("/jobs/{id}/cancel", refusing(post(job::cancel)))
        .route("/nodes", refusing(get(node::list)))
        .route(
            "/nodes/{name}",
            refusing(get(node::one).delete(cluster::remove)),
        )
        .route("/nodes/{name}/drain", refusing(post(cluster::drain)))
        .merge(tokens())
        .route("/cluster/apply", refusing(post(cluster::apply_file)))
        .route(
            "/origin/sweep",
            refusing(get(origin::look).post(origin::begin)),
        )
        .route("/events", refusing(get(events::follow)))
        .route("/openapi.json", refusing(get(openapi::description)))
        .route("/docs", refusing(get(openapi::page)))
        .route("/docs.js", refusing(get(openapi::script)))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn(layers::fresh));
    Router::new()
        .nest("/api/v1", calls)
        .route(
            "/hls/{video}/{generation}/{*name}",
            refusing(get(hls::object).options(hls::preflight)),
        )
        .route(
            "/hls/s/{grant}/{video}/{generation}/{*name}",
            refusing(get(hls::granted).options(hls::preflight)),
        )
        .route("/docs", refusing(get(openapi::page)))
        .route("/healthz", refusing(get(health::healthz)))
        .route("/readyz", refusing(get(health::readyz)))
        .route("/metrics", refusing(get(health::prometheus)))
        .fallback(ui::fallback)
        .with_state(api)
        .merge(uploads)
        .nest("/api/v1/quic", quic)
        .layer(from_fn_with_state(gate, access::admit))
        .layer(layers::compression())
        .layer(from_fn(layers::secure))
        .layer(from_fn_with_state(names, layers::guard))
        .layer(from_fn(layers::observe))
}

/// Edit proxies, and what they are made by.
fn proxies() -> Router<Api> {
    Router::new()
        .route(
            "/videos/{id}/proxies",
            refusing(get(proxy::list).post(proxy::make)),
        )
        .route(
            "/proxies/{id}",
            refusing(get(proxy::one).delete(proxy::remove)),
        )
        .route("/proxies/{id}/download", refusing(get(proxy::download)))
        .route("/proxies/{id}/report", refusing(get(proxy::report)))
        .route("/presets", refusing(get(preset::list)))
        .route(
            "/presets/{name}",
            refusing(put(preset::save).delete(preset::remove)),
        )
        .route(
            "/luts",
            refusing(get(preset::luts).post(preset::add_lut))
                .layer(DefaultBodyLimit::max(preset::CUBE_MAX_BYTES)),
        )
        .route("/luts/{hash}", refusing(delete(preset::remove_lut)))
}

/// Who may join, and who may use the API.
fn tokens() -> Router<Api> {
    Router::new()
        .route("/tokens", refusing(post(cluster::create_token)))
        .route(
            "/api-tokens",
            refusing(get(access::list).post(access::create)),
        )
        .route(
            "/api-tokens/{name}",
            refusing(patch(access::change).delete(access::revoke)),
        )
        .route(
            "/sign-in",
            refusing(get(access::sign_in_page).post(access::sign_in)),
        )
}

/// What people note about videos.
fn notes() -> Router<Api> {
    Router::new()
        .route("/facets", refusing(get(review::facets)))
        .route("/labels", refusing(post(review::label)))
        .route(
            "/bins",
            refusing(get(review::bins).post(review::create_bin)),
        )
        .route(
            "/bins/{id}",
            refusing(patch(review::rename_bin).delete(review::delete_bin)),
        )
        .route(
            "/videos/{id}/clip-order",
            refusing(put(review::order_clips)),
        )
        .route(
            "/videos/{id}/markers",
            refusing(get(marker::list).post(marker::pin)),
        )
        .route(
            "/markers/{id}",
            refusing(
                get(marker::one)
                    .patch(marker::change)
                    .delete(marker::remove),
            ),
        )
        .route("/markers/{id}/comments", refusing(post(marker::comment)))
        .route(
            "/comments/{id}",
            refusing(patch(marker::reword).delete(marker::retract)),
        )
}

/// Other methods of a known path are refused with a problem document; axum adds `Allow`.
fn refusing(methods: MethodRouter<Api>) -> MethodRouter<Api> {
    methods.fallback(|method: Method| async move { Error::method_not_allowed(&method) })
}
