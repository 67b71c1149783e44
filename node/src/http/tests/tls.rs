//! HTTP in TLS over TCP and over QUIC, with clients that are not ours.

use std::net::SocketAddr;

use bytes::Buf as _;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::auth::authority::Identity;
use crate::auth::public::{Certificate, HTTP3};
use crate::http::{self, Tls, h3 as served};
use crate::transport;

/// A node with a certificate of its own, listening on TCP and UDP.
struct Secured {
    node: Node,
    tcp: SocketAddr,
    udp: SocketAddr,
    pem: String,
    identity: Identity,
    shutdown: CancellationToken,
    running: Vec<tokio::task::JoinHandle<()>>,
}

async fn secured() -> Secured {
    drop(rustls::crypto::ring::default_provider().install_default());
    let node = Node::new().await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str| node.data.path().join(name);
    let pem = made.cert.pem();
    std::fs::write(file("public.pem"), &pem).unwrap();
    std::fs::write(file("public.key"), made.signing_key.serialize_pem()).unwrap();
    let public = Certificate::open(&file("public.pem"), &file("public.key")).unwrap();
    let identity = Identity::open(&file("tls")).unwrap();
    let mut tls = identity
        .server_config(vec![b"other/1".to_vec(), HTTP3.to_vec()])
        .unwrap();
    public.join(&mut tls);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = transport::bind(any, tls, identity.reset_secret()).unwrap();
    let udp = endpoint.local_addr().unwrap();
    let listener = tokio::net::TcpListener::bind(any).await.unwrap();
    let tcp = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let quic = transport::Router::default()
        .route(HTTP3, Arc::new(served::Server::new(node.router.clone())));
    let server = http::Server {
        listener,
        api: node.api.clone(),
        routes: node.router.clone(),
        tls: Some(Tls {
            config: Arc::new(public.server_config().unwrap()),
            quic_port: udp.port(),
        }),
    };
    let running = vec![
        tokio::spawn(quic.run(endpoint, shutdown.clone())),
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move { server.run(shutdown).await.unwrap() }
        }),
    ];
    Secured {
        node,
        tcp,
        udp,
        pem,
        identity,
        shutdown,
        running,
    }
}

impl Secured {
    /// A client of one protocol over QUIC that trusts `pem`.
    async fn dial(&self, pem: &str, alpn: &[u8]) -> Result<quinn::Connection, String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let mut tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let config = QuicClientConfig::try_from(tls).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
        let name = if pem == self.pem {
            "localhost"
        } else {
            protocol::version::SERVER_NAME
        };
        let connecting = endpoint.connect(self.udp, name).unwrap();
        connecting.await.map_err(|error| error.to_string())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        for task in self.running {
            task.await.unwrap();
        }
    }
}

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

async fn ask(
    client: &mut Sender,
    request: Request<()>,
    body: &[u8],
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut stream = client.send_request(request).await.unwrap();
    if !body.is_empty() {
        stream
            .send_data(Bytes::copy_from_slice(body))
            .await
            .unwrap();
    }
    stream.finish().await.unwrap();
    let response = stream.recv_response().await.unwrap();
    let mut bytes = Vec::new();
    while let Some(mut data) = stream.recv_data().await.unwrap() {
        while data.has_remaining() {
            let length = data.chunk().len();
            bytes.extend_from_slice(data.chunk());
            data.advance(length);
        }
    }
    (response.status(), response.headers().clone(), bytes)
}

#[tokio::test]
async fn http_2_in_tls_says_where_http_3_is_and_plain_text_still_works_from_here() {
    let secured = secured().await;
    let trusted = reqwest::Certificate::from_pem(secured.pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .resolve("localhost", secured.tcp)
        .build()
        .unwrap();
    let port = secured.tcp.port();
    let answer = client
        .get(format!("https://localhost:{port}/healthz"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, reqwest::Version::HTTP_2)
    );
    let elsewhere = format!("h3=\":{}\"; ma=86400", secured.udp.port());
    assert_eq!(answer.headers()["alt-svc"], elsewhere.as_str());
    let plain = client
        .get(format!("http://localhost:{port}/healthz"))
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status().as_u16(), 200);
    assert!(!plain.headers().contains_key("alt-svc"));
    drop(client);
    secured.stop().await;
}

#[tokio::test]
async fn http_3_serves_the_same_beside_the_other_protocols() {
    let secured = secured().await;
    let (id, generation) = secured.node.ready().await;
    let connection = secured.dial(&secured.pem, HTTP3).await.unwrap();
    let (mut driver, mut client) = h3::client::new(h3_quinn::Connection::new(connection))
        .await
        .unwrap();
    let driving = tokio::spawn(async move { driver.wait_idle().await });
    let request = |method: Method, path: &str| {
        let uri = format!("https://localhost{path}");
        Request::builder().method(method).uri(uri)
    };
    let master = format!("/hls/{id}/{generation}/master.m3u8");
    let (status, headers, body) = ask(
        &mut client,
        request(Method::GET, &master).body(()).unwrap(),
        b"",
    )
    .await;
    let same = secured.node.get(&master).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &same.body[..]));
    assert_eq!(headers["etag"], same.headers["etag"]);
    let head = request(Method::HEAD, &master).body(()).unwrap();
    let (status, headers, body) = ask(&mut client, head, b"").await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-length"], same.body.len().to_string());
    // An object of several megabytes, whole and in parts, many at once.
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect();
    let name = format!("big-{}.m4s", protocol::id::BlobHash::of(&large).short());
    let key = format!("hls/{id}/{generation}/{name}");
    secured
        .node
        .api
        .edge
        .origin()
        .put(&key, Bytes::from(large.clone()))
        .await
        .unwrap();
    let path = format!("/hls/{id}/{generation}/{name}");
    let mut crowd = Vec::new();
    for number in 0..12_usize {
        let mut client = client.clone();
        let range = number * 100_000..number * 100_000 + 500_000;
        let wanted = format!("bytes={}-{}", range.start, range.end - 1);
        let request = request(Method::GET, &path)
            .header("range", wanted)
            .body(())
            .unwrap();
        let expected = large[range].to_vec();
        crowd.push(tokio::spawn(async move {
            let (status, _, body) = ask(&mut client, request, b"").await;
            assert_eq!(status, StatusCode::PARTIAL_CONTENT);
            assert!(body == expected);
        }));
    }
    for one in crowd {
        one.await.unwrap();
    }
    let (_, _, body) = ask(
        &mut client,
        request(Method::GET, &path).body(()).unwrap(),
        b"",
    )
    .await;
    assert!(body == large);
    // A body in the other direction, and a refusal.
    let clip = request(Method::POST, &format!("/api/v1/videos/{id}/clips"))
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (status, _, body) = ask(
        &mut client,
        clip,
        br#"{"name":"a","in_frame":1,"out_frame":5}"#,
    )
    .await;
    assert_eq!(
        status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&body)
    );
    let (status, _, _) = ask(
        &mut client,
        request(Method::GET, "/hls/x").body(()).unwrap(),
        b"",
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // The other protocols are shown the certificate of the cluster, and only that.
    let authority = secured.identity.authority_pem().to_owned();
    assert!(secured.dial(&authority, b"other/1").await.is_ok());
    assert!(secured.dial(&authority, HTTP3).await.is_err());
    assert!(secured.dial(&secured.pem, b"other/1").await.is_err());
    drop(client);
    driving.abort();
    secured.stop().await;
}
