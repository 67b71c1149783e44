//! Files that need not be sent, and clients that move.

use super::*;

#[tokio::test]
async fn a_file_that_the_cluster_has_is_not_sent_and_needs_to_be_there() {
    let world = World::new();
    let node = world.start();
    let (path, hash) = world.file("known.mov", 2 * CHUNK + 5);
    let size_bytes = 2 * CHUNK + 5;
    let look = client::look(&node.connect().await, size_bytes)
        .await
        .unwrap();
    assert!(!look.has_twin && !look.is_closed);
    let first = node.upload(&path).await.unwrap();

    let connection = node.connect().await;
    let look = client::look(&connection, size_bytes).await.unwrap();
    assert!(look.has_twin);
    // By the same name it is the same video, by another a new one of the same bytes.
    for (name, is_new) in [("known.mov", false), ("other.mov", true)] {
        let other = world.dir.path().join(name);
        if is_new {
            std::fs::copy(&path, &other).unwrap();
        }
        let source = Arc::new(Source::open(&other).unwrap().unwrap());
        let known = client::known(&connection, &source, |_| ()).await.unwrap();
        let known = known.expect("it is there");
        assert_eq!((known.hash, known.was_sent), (hash, false));
        assert_eq!(known.was_there, !is_new);
        assert_eq!(known.video == first.video, !is_new);
        assert_eq!(world.status(&known), Some((Status::Probing, Some(hash))));
    }
    // Whoever only heard of the hash gets nothing, and does not learn that it is right.
    let (other, _) = world.file("stranger.mov", 2 * CHUNK + 6);
    std::fs::File::options()
        .write(true)
        .open(&other)
        .and_then(|file| file.set_len(size_bytes))
        .unwrap();
    let source = Arc::new(Source::open(&other).unwrap().unwrap());
    let unknown = client::known(&connection, &source, |_| ()).await.unwrap();
    assert_eq!(unknown, None);
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let request = protocol::upload::Request::Known(protocol::upload::Known {
        hash,
        size_bytes,
        filename: "x.mov".to_owned(),
        proof: protocol::upload::Proof::new(&[0; 32], &hash, b"no"),
    });
    transport::stream::write_frame(&mut send, &request, DEADLINE)
        .await
        .unwrap();
    let answer = transport::stream::read_frame(&mut recv, 4096, DEADLINE).await;
    let answer: protocol::upload::Answer = answer.unwrap();
    assert_eq!(answer, protocol::upload::Answer::Unknown);
    node.stop().await;
}

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

/// A laptop that changes networks has another address from then on.
#[tokio::test]
async fn an_upload_survives_a_change_of_the_client_s_address() {
    let world = World::new();
    let node = world.start();
    let (path, hash) = world.file("moved.mov", 6 * CHUNK);
    let source = Arc::new(Source::open(&path).unwrap().unwrap());
    let tls = authority::client_config(&node.authority_pem, version::UPLOAD).unwrap();
    let endpoint = transport::bind_client(node.address, tls).unwrap();
    let connection = endpoint
        .connect(node.address, version::SERVER_NAME)
        .unwrap()
        .await
        .unwrap();
    let before = endpoint.local_addr().unwrap();
    let mover = endpoint.clone();
    let moved = Arc::new(AtomicU64::new(0));
    let moving = Arc::clone(&moved);
    let finished = client::upload(
        &connection,
        &source,
        client::Begin::default(),
        move |event| {
            if matches!(event, Event::Stored { .. }) && moving.fetch_add(1, Ordering::SeqCst) == 0 {
                let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
                mover.rebind(socket).unwrap();
            }
        },
    )
    .await
    .unwrap();
    assert_ne!(endpoint.local_addr().unwrap(), before);
    assert_eq!((finished.hash, finished.was_sent), (hash, true));
    node.stop().await;
}
