//! Both ends of a flow, each a process of its own in its namespace: QUIC as uploads use it, and
//! TCP with a named congestion control.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use node::auth::authority::{self, Identity};
use node::transport;
use protocol::version;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::link::FAR;

/// Says where the receiver listens, unless it is the far end of the link.
pub(crate) const FAR_VARIABLE: &str = "LINKS_FAR";

const TCP_PORT: u16 = 5_000;
const QUIC_PORT: u16 = 5_001;

/// As the upload client has it.
const STREAMS: usize = 12;
const CHUNK_BYTES: usize = 4 << 20;
const PIECE_BYTES: usize = 512 << 10;

/// Receives one flow of TCP or QUIC for `seconds`, and prints what arrived.
pub(crate) fn receive(kind: &str, seconds: u64, keys: &Path) -> anyhow::Result<()> {
    let length = Duration::from_secs(seconds);
    let bytes = if kind == "quic" {
        runtime()?.block_on(receive_quic(length, keys))?
    } else {
        receive_tcp(length)?
    };
    println!("{}", json!({ "bytes": bytes }));
    Ok(())
}

/// Sends one flow for `seconds`, and prints what it cost.
pub(crate) fn send(kind: &str, seconds: u64, keys: &Path) -> anyhow::Result<()> {
    let length = Duration::from_secs(seconds);
    if kind == "quic" {
        return runtime()?.block_on(send_quic(length, keys));
    }
    send_tcp(kind, length)
}

/// Where the receiver listens.
fn far() -> String {
    std::env::var(FAR_VARIABLE).unwrap_or_else(|_| FAR.to_owned())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn receive_tcp(length: Duration) -> anyhow::Result<u64> {
    let listener = TcpListener::bind((far().as_str(), TCP_PORT))?;
    ready();
    let (mut stream, _) = listener.accept()?;
    let end = Instant::now() + length;
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes += count as u64,
        }
    }
    Ok(bytes)
}

fn send_tcp(control: &str, length: Duration) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket
        .set_tcp_congestion(control.as_bytes())
        .with_context(|| format!("the kernel has no {control}"))?;
    socket.connect(&SocketAddr::new(far().parse()?, TCP_PORT).into())?;
    let mut stream: TcpStream = socket.into();
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    let buffer = vec![7; 1 << 18];
    let end = Instant::now() + length;
    while Instant::now() < end {
        match stream.write(&buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    println!("{}", json!({}));
    Ok(())
}

async fn receive_quic(length: Duration, keys: &Path) -> anyhow::Result<u64> {
    let identity = Identity::open(keys)?;
    let tls = identity.server_config(vec![version::UPLOAD.to_vec()])?;
    let address = SocketAddr::new(far().parse()?, QUIC_PORT);
    let endpoint = transport::bind(address, tls, identity.reset_secret())?;
    ready();
    let connection = endpoint.accept().await.context("closed")?.await?;
    let bytes = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let accept = async {
        while let Ok((mut send, mut receive)) = connection.accept_bi().await {
            let bytes = std::sync::Arc::clone(&bytes);
            tokio::spawn(async move {
                while let Ok(Some(chunk)) = receive.read_chunk(PIECE_BYTES, true).await {
                    let length = chunk.bytes.len() as u64;
                    bytes.fetch_add(length, std::sync::atomic::Ordering::Relaxed);
                }
                // The acknowledgement of a chunk.
                drop(send.write_all(b"1").await);
            });
        }
    };
    let _ended = tokio::time::timeout(length, accept).await;
    let bytes = bytes.load(std::sync::atomic::Ordering::Relaxed);
    connection.close(0_u32.into(), b"done");
    endpoint.wait_idle().await;
    Ok(bytes)
}

async fn send_quic(length: Duration, keys: &Path) -> anyhow::Result<()> {
    let identity = Identity::open(keys)?;
    let tls = authority::client_config(identity.authority_pem(), version::UPLOAD)?;
    let address = SocketAddr::new(far().parse()?, QUIC_PORT);
    let endpoint = transport::bind_client(address, tls)?;
    let connection = endpoint.connect(address, version::SERVER_NAME)?.await?;
    let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
    for _ in 0..STREAMS {
        let (connection, chunk) = (connection.clone(), chunk.clone());
        tokio::spawn(async move {
            loop {
                let Ok((mut send, mut receive)) = connection.open_bi().await else {
                    return;
                };
                let mut left = chunk.clone();
                while !left.is_empty() {
                    // A copy, as each piece of a real file is memory of its own.
                    let piece = left.split_to(PIECE_BYTES.min(left.len()));
                    if send.write_chunk(Bytes::from(piece.to_vec())).await.is_err() {
                        return;
                    }
                }
                drop(send.finish());
                let mut done = [0; 1];
                if receive.read_exact(&mut done).await.is_err() {
                    return;
                }
            }
        });
    }
    let _ended = tokio::time::timeout(length + Duration::from_secs(2), connection.closed()).await;
    let path = connection.stats().path;
    println!(
        "{}",
        json!({ "sent": path.sent_packets, "lost": path.lost_packets, "mtu": path.current_mtu })
    );
    Ok(())
}

/// Tells the parent that a sender may come.
fn ready() {
    println!("ready");
    drop(std::io::stdout().flush());
}
