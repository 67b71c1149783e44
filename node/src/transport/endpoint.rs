//! Binds the one QUIC endpoint of a process, with limits and buffers that were measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig,
    TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::debug;

use super::Error;
use super::congestion::Config as Congestion;
use super::threads::Threads;

/// What the kernel is asked for: its default of 208 KiB overflows in bursts on fast links.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Flow control window of one stream. More than about this many bytes of reordered data on one
/// stream end the connection ("too many gaps in stream buffer"), so speed comes from many streams.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Flow control window of one connection: what a peer can make this side buffer.
const RECEIVE_WINDOW_BYTES: u32 = 32 << 20;

const SEND_WINDOW_BYTES: u64 = 32 << 20;

/// Streams that a peer may have open at once.
const STREAMS_MAX: u32 = 64;

/// Largest datagram tried on a path. Ten of these, one batch for the kernel, must stay below 64 KiB.
const MTU_MAX: u16 = 6500;

/// Silence after which a peer is gone, and how often this side speaks so as not to be.
const IDLE_MAX: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A client would rather try another connection than wait long for this one.
const CLIENT_IDLE_MAX: Duration = Duration::from_secs(10);
const CLIENT_KEEP_ALIVE: Duration = Duration::from_secs(3);

/// What a client's handshake assumes of the path: it is sent again after three times as long, so that
/// a node that has just been started again is found soon.
const CLIENT_FIRST_RTT: Duration = Duration::from_millis(100);

/// Handshakes under way at once; others wait in the socket's buffer.
const HANDSHAKES_MAX: usize = 1024;

/// An endpoint that accepts on `address` and dials from it.
///
/// `secret` is this node's and the same after every start: with it a node that was killed and
/// started again tells clients at once that their connections are dead (RFC 9000, 10.3), which
/// they would otherwise learn only by waiting.
///
/// # Errors
/// The address is taken or not ours.
pub fn bind(
    address: SocketAddr,
    tls: rustls::ServerConfig,
    secret: [u8; 32],
) -> Result<Endpoint, Error> {
    let crypto = QuicServerConfig::try_from(tls)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport(IDLE_MAX, KEEP_ALIVE)));
    config.max_incoming(HANDSHAKES_MAX);
    let mut endpoint = EndpointConfig::new(Arc::new(ResetKey(secret)));
    // Only ids that look like ours are answered with a reset, so this key must stay as well.
    let ids = blake3::derive_key("reelmesh 2026 quic ids v1", &secret);
    let key = u64::from_le_bytes(*ids.first_chunk().expect("32 bytes have a first eight"));
    endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    open(address, endpoint, Some(config))
}

/// An endpoint that only dials, from any free port, trusting what `tls` trusts.
///
/// # Errors
/// No UDP socket can be had.
pub fn bind_client(server: SocketAddr, tls: rustls::ClientConfig) -> Result<Endpoint, Error> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let mut endpoint = open(any, EndpointConfig::default(), None)?;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = transport(CLIENT_IDLE_MAX, CLIENT_KEEP_ALIVE);
    transport.initial_rtt(CLIENT_FIRST_RTT);
    config.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn open(
    address: SocketAddr,
    config: EndpointConfig,
    server: Option<ServerConfig>,
) -> Result<Endpoint, Error> {
    let bind = |source| Error::Bind { address, source };
    let socket = socket(address).map_err(bind)?;
    let runtime: Arc<dyn quinn::Runtime> = if server.is_some() {
        Arc::new(Threads::start().map_err(bind)?)
    } else {
        Arc::new(quinn::TokioRuntime)
    };
    Endpoint::new(config, server, socket, runtime).map_err(bind)
}

fn socket(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // Small buffers cost speed, not correctness: a kernel that grants less is only worth a note.
    for result in [
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = result {
            debug!(%error, "the kernel refuses larger socket buffers");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Makes the tokens of stateless resets.
#[derive(Debug)]
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Comparing with a BLAKE3 hash takes the same time wherever the two differ.
        match blake3::Hash::from_slice(signature) {
            Ok(signature) if signature == blake3::keyed_hash(&self.0, data) => Ok(()),
            _ => Err(CryptoError),
        }
    }
}

pub(super) fn transport(idle: Duration, keep_alive: Duration) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let idle = IdleTimeout::try_from(idle).expect("a constant of seconds");
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(keep_alive))
        .max_idle_timeout(Some(idle))
        .mtu_discovery_config(Some(mtu))
        .congestion_controller_factory(Arc::new(Congestion));
    config
}
