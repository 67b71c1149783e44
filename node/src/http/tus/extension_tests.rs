//! Lengths that are said late, parts side by side, checksums, and what a page sees of an upload.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use protocol::http::Page;
use protocol::http::upload::Upload;
use protocol::id::BlobHash;
use protocol::time::Span;
use protocol::upload::{CHUNK_SIZE, ChunkHash};

use super::headers::CHECKSUMS;
use super::tests::{CHUNK, Fixture, bytes};
use crate::digest::Hasher;
use crate::ingest::{self, Options, Service};

const SIZE: usize = CHUNK_SIZE as usize;

impl Fixture {
    /// Begins an upload with these headers; its path.
    async fn begin(&self, headers: &[(&str, &str)]) -> String {
        let (status, answer) = self.ask("POST ", headers, "").await;
        assert_eq!(status, StatusCode::CREATED, "{headers:?}");
        answer["location"].to_str().unwrap().to_owned()
    }

    /// A part that is whole.
    async fn part(&self, content: &[u8]) -> String {
        let length = content.len().to_string();
        let headers = [
            ("upload-length", length.as_str()),
            ("upload-concat", "partial"),
        ];
        let path = self.begin(&headers).await;
        let half = content.len() / 2;
        for (offset, piece) in [(0, &content[..half]), (half, &content[half..])] {
            let (status, answer) = self.patch(&path, offset as u64, piece.to_vec()).await;
            assert_eq!(status, StatusCode::NO_CONTENT);
            assert!(!answer.contains_key("reelmesh-video-id"));
        }
        path
    }

    fn videos(&self) -> usize {
        self.handle
            .catalogue()
            .read(|catalogue| catalogue.videos().count())
    }
}

#[tokio::test]
async fn a_length_that_is_said_late_makes_the_same_file() {
    for size in [1, 100, SIZE, SIZE + 1, 2 * SIZE, 2 * SIZE + 77] {
        let f = Fixture::new();
        let file = bytes(size);
        let path = f.begin(&[("upload-defer-length", "1")]).await;
        let (_, answer) = f.ask(&format!("HEAD {path}"), &[], "").await;
        assert_eq!(answer["upload-defer-length"], "1");
        assert!(!answer.contains_key("upload-length"));
        assert_eq!(f.videos(), 0, "nothing to show yet");
        let (first, rest) = file.split_at(size / 3);
        let (status, _) = f.patch(&path, 0, first.to_vec()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        // What is known survives a restart.
        let f = f.restart();
        assert_eq!(f.offset(&path).await, first.len() as u64);
        let (middle, last) = rest.split_at(rest.len() / 2);
        let (status, _) = f.patch(&path, first.len() as u64, middle.to_vec()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let offset = (first.len() + middle.len()).to_string();
        let length = size.to_string();
        let headers = [
            ("content-type", CHUNK),
            ("upload-offset", offset.as_str()),
            ("upload-length", length.as_str()),
        ];
        let (status, answer) = f
            .ask(&format!("PATCH {path}"), &headers, last.to_vec())
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{size}");
        assert!(answer.contains_key("reelmesh-video-id"), "{size}");
        assert!(f.blobs.verify(&BlobHash::of(&file)).unwrap(), "{size}");
    }
}

#[tokio::test]
async fn a_length_may_come_behind_the_last_byte_and_is_never_changed() {
    for size in [5, SIZE, SIZE + 5] {
        let f = Fixture::new();
        let file = bytes(size);
        let path = f.begin(&[("upload-defer-length", "1")]).await;
        let (status, _) = f.patch(&path, 0, file.clone()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let line = format!("PATCH {path}");
        let offset = size.to_string();
        let say = |length: usize| {
            let (f, line, offset) = (&f, line.clone(), offset.clone());
            async move {
                let length = length.to_string();
                let headers = [
                    ("content-type", CHUNK),
                    ("upload-offset", offset.as_str()),
                    ("upload-length", length.as_str()),
                ];
                f.ask(&line, &headers, "").await
            }
        };
        assert_eq!(say(size - 1).await.0, StatusCode::BAD_REQUEST);
        let (status, answer) = say(size).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert!(answer.contains_key("reelmesh-video-id"));
        assert_eq!(say(size + 1).await.0, StatusCode::BAD_REQUEST);
        assert!(f.blobs.verify(&BlobHash::of(&file)).unwrap());
    }
}

#[tokio::test]
async fn an_upload_without_length_ends_at_the_largest_file() {
    let f = Fixture::with(Options {
        size_max_bytes: 1000,
        ..Options::default()
    });
    let path = f.begin(&[("upload-defer-length", "1")]).await;
    let (status, _) = f.patch(&path, 0, vec![1; 1001]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(f.offset(&path).await, 1000, "what fits is kept");
}

#[tokio::test]
async fn parts_side_by_side_make_one_file() {
    let f = Fixture::new();
    let file = bytes(2 * SIZE + 4321);
    let cuts = [0, SIZE - 7, SIZE - 7, 2 * SIZE + 1, file.len()];
    let mut parts = Vec::new();
    for pair in cuts.windows(2) {
        parts.push(f.part(&file[pair[0]..pair[1]]).await);
    }
    let (_, answer) = f.ask(&format!("HEAD {}", parts[0]), &[], "").await;
    assert_eq!(answer["upload-concat"], "partial");
    assert_eq!(answer["upload-length"], (SIZE - 7).to_string());
    assert_eq!(f.videos(), 0, "a part is no video");
    let f = f.restart();
    // Some clients name the parts by whole addresses.
    parts[1] = format!("https://example.org{}", parts[1]);
    let concat = format!("final;{}", parts.join(" "));
    let headers = [
        ("upload-concat", concat.as_str()),
        ("upload-metadata", "filename cmVlbC5tb3Y="),
    ];
    let (status, answer) = f.ask("POST ", &headers, "").await;
    assert_eq!(status, StatusCode::CREATED);
    let path = answer["location"].to_str().unwrap().to_owned();
    let video = answer["reelmesh-video-id"].clone();
    assert!(f.blobs.verify(&BlobHash::of(&file)).unwrap());
    let (_, answer) = f.ask(&format!("HEAD {path}"), &[], "").await;
    assert!(
        answer["upload-concat"]
            .to_str()
            .unwrap()
            .starts_with("final;/api/v1/uploads/")
    );
    assert_eq!(answer["upload-offset"], file.len().to_string());
    assert_eq!(answer["upload-length"], file.len().to_string());
    assert_eq!(answer["reelmesh-video-id"], video);
    let (status, _) = f.patch(&path, 0, "x").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // Asked once more, as by a client that missed the answer, after a restart too.
    let f = f.restart();
    let (status, answer) = f.ask("POST ", &headers, "").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(answer["location"], path);
    assert_eq!(answer["reelmesh-video-id"], video);
    assert_eq!(f.videos(), 1);
}

#[tokio::test]
async fn only_finished_parts_of_nothing_else_are_joined() {
    let f = Fixture::new();
    let (a, b, c) = (
        f.part(b"abc").await,
        f.part(b"de").await,
        f.part(b"f").await,
    );
    let open = f
        .begin(&[("upload-length", "9"), ("upload-concat", "partial")])
        .await;
    let plain = f.create(3).await;
    let unknown = "/api/v1/uploads/01890000-0000-7000-8000-000000000000";
    let check = async |urls: &[&str], expected: u16| {
        let concat = format!("final;{}", urls.join(" "));
        let (status, _) = f
            .ask("POST ", &[("upload-concat", concat.as_str())], "")
            .await;
        assert_eq!(status.as_u16(), expected, "{urls:?}");
    };
    check(&[&a, &open], 400).await;
    check(&[&a, &plain], 400).await;
    check(&[&a, unknown], 400).await;
    check(&[&a, &a], 400).await;
    check(&[&a, &b], 201).await;
    check(&[&b, &a], 400).await;
    check(&[&a, &c], 400).await;
    check(&[&a, &b], 201).await;
    assert!(f.blobs.contains(&BlobHash::of(b"abcde")));
}

#[tokio::test]
async fn joining_goes_on_after_the_node_died_in_the_middle() {
    let f = Fixture::new();
    let file = bytes(2 * SIZE + 5);
    let mut parts = Vec::new();
    for piece in file.chunks(SIZE + 3) {
        let path = f.part(piece).await;
        parts.push(path.rsplit('/').next().unwrap().parse().unwrap());
    }
    let begin = ingest::Begin {
        filename: "reel.mov",
        ..ingest::Begin::default()
    };
    let live = f.handle.begin_joined(begin, parts).await.unwrap();
    // One chunk is over there already when the power goes.
    let ticket = live.take_over().await.unwrap();
    let chunk = Bytes::copy_from_slice(&file[..SIZE]);
    let piece = futures::stream::iter([Ok::<_, std::io::Error>(chunk)]);
    ingest::writer::append(&live, &ticket, 0, piece)
        .await
        .unwrap();
    let upload = live.upload();
    drop(live);
    let f = f.restart();
    let (_, answer) = f.ask(&format!("HEAD /{upload}"), &[], "").await;
    assert!(!answer.contains_key("upload-offset"), "not joined yet");
    let live = f.handle.find(upload).unwrap();
    f.handle.join(&live).await.unwrap();
    assert!(f.blobs.verify(&BlobHash::of(&file)).unwrap());
}

#[tokio::test]
async fn what_nobody_finishes_lapses() {
    let f = Fixture::with(Options {
        expiry: Span::from_secs(0),
        ..Options::default()
    });
    let deferred = f.begin(&[("upload-defer-length", "1")]).await;
    let part = f.part(b"abc").await;
    let plain = f.create(3).await;
    Service::new(f.handle.clone()).reconcile().await.unwrap();
    for path in [deferred, part, plain] {
        let (status, _) = f.ask(&format!("HEAD {path}"), &[], "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(f.spooled(), 0, "nothing is left on disk");
}

#[tokio::test]
async fn bytes_count_only_with_the_right_checksum() {
    let f = Fixture::new();
    let file = bytes(SIZE + 100);
    for (name, algorithm) in CHECKSUMS {
        let path = f.create(file.len() as u64).await;
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&file);
        let mut hash = hasher.finish();
        let right = format!("{name} {}", BASE64_STANDARD.encode(&hash));
        hash[0] ^= 1;
        let wrong = format!("{name} {}", BASE64_STANDARD.encode(&hash));
        for (checksum, expected, reached) in [(&wrong, 460, 0), (&right, 204, file.len())] {
            let headers = [
                ("content-type", CHUNK),
                ("upload-offset", "0"),
                ("upload-checksum", checksum.as_str()),
            ];
            let (status, _) = f
                .ask(&format!("PATCH {path}"), &headers, file.clone())
                .await;
            assert_eq!(status.as_u16(), expected, "{name}");
            assert_eq!(f.offset(&path).await, reached as u64, "{name}");
        }
    }
}

#[tokio::test]
async fn a_checksum_may_come_behind_the_bytes() {
    let f = Fixture::new();
    let file = bytes(1000);
    let mut hasher = Hasher::new(crate::digest::Algorithm::Sha1);
    hasher.update(&file);
    let right = format!("sha1 {}", BASE64_STANDARD.encode(hasher.finish()));
    for (checksum, expected) in [
        (Some(right.as_str()), 204),
        (Some("sha1 AAAA"), 460),
        (Some("sha3 AAAA"), 400),
        (None, 400),
    ] {
        let path = f.create(file.len() as u64).await;
        let mut frames = vec![Ok::<_, std::io::Error>(Frame::data(Bytes::from(
            file.clone(),
        )))];
        if let Some(checksum) = checksum {
            let name = axum::http::HeaderName::from_static("upload-checksum");
            let value = checksum.parse().unwrap();
            frames.push(Ok(Frame::trailers([(name, value)].into_iter().collect())));
        }
        let body = Body::new(StreamBody::new(futures::stream::iter(frames)));
        let headers = [
            ("content-type", CHUNK),
            ("upload-offset", "0"),
            ("trailer", "Upload-Checksum"),
        ];
        let (status, _) = f.ask(&format!("PATCH {path}"), &headers, body).await;
        assert_eq!(status.as_u16(), expected, "{checksum:?}");
        let reached = if expected == 204 { 1000 } else { 0 };
        assert_eq!(f.offset(&path).await, reached);
    }
}

#[tokio::test]
async fn chunks_that_came_out_of_order_are_compared_and_not_written_again() {
    let f = Fixture::new();
    let file = bytes(3 * SIZE);
    let begin = ingest::Begin {
        filename: "reel.mov",
        size_bytes: file.len() as u64,
        ..ingest::Begin::default()
    };
    let opened = f.handle.begin(begin).await.unwrap();
    let (live, ticket) = (opened.live, opened.ticket.unwrap());
    let middle = &file[SIZE..2 * SIZE];
    let hash = ChunkHash::of(live.layout(), 1, middle);
    let piece = Bytes::copy_from_slice(middle);
    let piece = futures::stream::iter([Ok::<_, std::io::Error>(piece)]);
    ingest::writer::put(&live, &ticket, 1, hash, piece)
        .await
        .unwrap();
    let path = format!("/{}", live.upload());
    // Another file of the same size: its bytes must not spoil what is here.
    let (status, _) = f.patch(&path, 0, vec![9; 2 * SIZE]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(live.folder().verify(1, hash).unwrap());
    let (status, _) = f.ask(&format!("DELETE {path}"), &[], "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_page_finds_an_upload_that_was_begun_elsewhere_and_compares_its_bytes() {
    let f = Fixture::new();
    let path = f.create(1000).await;
    let (status, _) = f.patch(&path, 0, vec![7; 300]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    f.part(b"not listed").await;
    let get = async |path: &str, range: Option<&str>| {
        let mut request = Request::builder().uri(path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = f.send(request.body(Body::empty()).unwrap()).await;
        let status = answer.status();
        (
            status,
            answer.into_body().collect().await.unwrap().to_bytes(),
        )
    };
    let list = "/api/v1/uploads?filename=upload&size_bytes=1000";
    let (status, body) = get(list, None).await;
    assert_eq!(status, StatusCode::OK);
    let page: Page<Upload> = serde_json::from_slice(&body).unwrap();
    assert_eq!((page.items.len(), page.total), (1, 1));
    let upload = &page.items[0];
    assert_eq!((upload.offset_bytes, upload.received_bytes), (300, 300));
    let (status, body) = get(&upload.url, Some("bytes=290-")).await;
    assert_eq!(
        (status, &body[..]),
        (StatusCode::PARTIAL_CONTENT, &[7; 10][..])
    );
    let (_, body) = get("/api/v1/uploads?size_bytes=1001", None).await;
    let page: Page<Upload> = serde_json::from_slice(&body).unwrap();
    assert!(page.items.is_empty());
    let (status, _) = get("/api/v1/uploads?size_bytes=x", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = f.patch(&path, 300, vec![7; 700]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = get(&path, None).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_name_is_shown_and_never_a_path() {
    let f = Fixture::new();
    for (name, shown) in [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/abs/olute.mov", "olute.mov"),
        ("a\u{0}b.mov", "ab.mov"),
        ("new\nline.mov", "newline.mov"),
        ("\u{202e}vom.exe", "vom.exe"),
        ("CON", "CON"),
        ("  .hidden ", ".hidden"),
        ("<script>.mov", "<script>.mov"),
    ] {
        let metadata = format!("filename {}", BASE64_STANDARD.encode(name));
        let headers = [
            ("upload-length", "3"),
            ("upload-metadata", metadata.as_str()),
        ];
        let path = f.begin(&headers).await;
        let upload = path.rsplit('/').next().unwrap().parse().unwrap();
        assert_eq!(f.handle.find(upload).unwrap().meta().filename, shown);
        let (status, _) = f.patch(&path, 0, "abc").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    for name in ["..", ".", "/", "\u{0}", "\u{202e}"] {
        let metadata = format!("filename {}", BASE64_STANDARD.encode(name));
        let headers = [
            ("upload-length", "3"),
            ("upload-metadata", metadata.as_str()),
        ];
        let (status, _) = f.ask("POST ", &headers, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name:?}");
    }
}
