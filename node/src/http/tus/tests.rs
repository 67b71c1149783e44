//! The protocol's cases through the router, with a real spool and store and no socket.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use protocol::id::{BlobHash, NodeId};
use protocol::upload::CHUNK_SIZE;
use tower::ServiceExt;

use crate::blob::Store;
use crate::ingest::spool::Spool;
use crate::ingest::{self, Handle, Options};

pub(super) struct Fixture {
    dir: tempfile::TempDir,
    catalogue: coordinator::raft::Handle,
    pub(super) blobs: Store,
    pub(super) handle: Handle,
    router: Router,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = coordinator::raft::Handle::in_memory(NodeId(1));
        Self::open(dir, catalogue, options)
    }

    fn open(
        dir: tempfile::TempDir,
        catalogue: coordinator::raft::Handle,
        options: Options,
    ) -> Self {
        let blobs = Store::open(dir.path().join("blobs")).unwrap();
        let spool = Spool::open(dir.path().join("spool")).unwrap();
        let options = Options {
            reserve_bytes: 0,
            ..options
        };
        let handle = Handle::open(options, spool, blobs.clone(), catalogue.clone()).unwrap();
        let router = super::router(handle.clone());
        Self {
            dir,
            catalogue,
            blobs,
            handle,
            router,
        }
    }

    /// Folders in the spool.
    pub(super) fn spooled(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("spool"))
            .unwrap()
            .count()
    }

    /// The same disk and catalogue, and nothing that was only in memory.
    pub(super) fn restart(self) -> Self {
        let options = self.handle.options().clone();
        Self::open(self.dir, self.catalogue, options)
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A request as a well-behaved client makes it: `"PATCH /id"`, headers, body.
    pub(super) async fn ask(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap) {
        let (method, path) = line.split_once(' ').unwrap();
        let path = match path.strip_prefix("/api") {
            Some(_) => path.to_owned(),
            None => format!("/api/v1/uploads{path}"),
        };
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "tus-resumable") {
            request = request.header("tus-resumable", "1.0.0");
        }
        for (name, value) in headers.iter().filter(|(_, value)| *value != "-") {
            request = request.header(*name, *value);
        }
        let response = self.send(request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers["cache-control"], "no-store", "{line}");
        assert_eq!(parts.headers["tus-resumable"], "1.0.0", "{line}");
        let body = body.collect().await.unwrap().to_bytes();
        if !parts.status.is_success() && method != "HEAD" {
            assert_eq!(parts.headers["content-type"], "application/problem+json");
            let problem: protocol::http::problem::Problem = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem.status, parts.status.as_u16());
            assert!(problem.detail.ends_with('.'), "{}", problem.detail);
        }
        (parts.status, parts.headers)
    }

    /// Begins an upload of `length` bytes; its path.
    pub(super) async fn create(&self, length: u64) -> String {
        let length = length.to_string();
        let (status, headers) = self.ask("POST ", &[("upload-length", &length)], "").await;
        assert_eq!(status, StatusCode::CREATED);
        headers["location"].to_str().unwrap().to_owned()
    }

    pub(super) async fn patch(
        &self,
        path: &str,
        offset: u64,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap) {
        let offset = offset.to_string();
        let headers = [("content-type", CHUNK), ("upload-offset", offset.as_str())];
        self.ask(&format!("PATCH {path}"), &headers, body).await
    }

    pub(super) async fn offset(&self, path: &str) -> u64 {
        let (status, headers) = self.ask(&format!("HEAD {path}"), &[], "").await;
        assert_eq!(status, StatusCode::OK);
        headers["upload-offset"].to_str().unwrap().parse().unwrap()
    }
}

/// Request, headers, bytes of body, status.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], usize, u16);

pub(super) const CHUNK: &str = "application/offset+octet-stream";

pub(super) fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[tokio::test]
async fn a_file_in_pieces_of_any_size_becomes_a_video() {
    let f = Fixture::new();
    let file = bytes(CHUNK_SIZE as usize * 2 + 77);
    let path = f.create(file.len() as u64).await;
    assert!(path.starts_with("/api/v1/uploads/"), "{path}");
    let mut offset = 0;
    for piece in file.chunks(1_500_000) {
        assert_eq!(f.offset(&path).await, offset);
        let (status, headers) = f.patch(&path, offset, piece.to_vec()).await;
        offset += piece.len() as u64;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(headers["upload-offset"], offset.to_string());
        let is_last = offset == file.len() as u64;
        assert_eq!(headers.contains_key("reelmesh-video-id"), is_last);
        assert!(headers.contains_key("upload-expires"));
    }
    assert!(f.blobs.verify(&BlobHash::of(&file)).unwrap());
    // Whoever missed the last answer finds it again.
    let (status, headers) = f.ask(&format!("HEAD {path}"), &[], "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["upload-offset"], file.len().to_string());
    assert!(headers.contains_key("reelmesh-video-id"));
    let (status, headers) = f.patch(&path, file.len() as u64, "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(headers.contains_key("reelmesh-video-id"));
}

#[tokio::test]
async fn whoever_was_cut_off_after_the_last_byte_finds_the_video() {
    let f = Fixture::new();
    let begin = ingest::Begin {
        filename: "cut.mov",
        size_bytes: 10,
        ..ingest::Begin::default()
    };
    let opened = f.handle.begin(begin).await.unwrap();
    let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(&[1; 10]))]);
    // The bytes are on disk, and nobody asks for the end.
    ingest::writer::append(&opened.live, &opened.ticket.unwrap(), 0, body)
        .await
        .unwrap();
    let line = format!("HEAD /{}", opened.live.upload());
    let (status, headers) = f.ask(&line, &[], "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["upload-offset"], "10");
    assert_eq!(
        headers["reelmesh-video-id"],
        opened.live.video().to_string()
    );
}

#[tokio::test]
async fn creation_may_bring_the_first_bytes_or_all() {
    let f = Fixture::new();
    for (length, part) in [(10, 4), (10, 10)] {
        let length_text = length.to_string();
        let headers = [
            ("upload-length", length_text.as_str()),
            ("content-type", CHUNK),
        ];
        let (status, headers) = f.ask("POST ", &headers, vec![1; part]).await;
        assert_eq!(status, StatusCode::CREATED);
        assert_eq!(headers["upload-offset"], part.to_string());
        assert_eq!(headers.contains_key("reelmesh-video-id"), part == length);
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn wrong_requests_get_the_status_that_tus_asks_for() {
    let f = Fixture::with(Options {
        size_max_bytes: 1000,
        ..Options::default()
    });
    let path = f.create(100).await;
    let patch = format!("PATCH {path}");
    let unknown = "/api/v1/uploads/01890000-0000-7000-8000-000000000000";
    let ok = [("content-type", CHUNK), ("upload-offset", "0")];
    let table: &[Case<'_>] = &[
        // Version.
        (
            "POST ",
            &[("tus-resumable", "-"), ("upload-length", "1")],
            0,
            412,
        ),
        (
            "POST ",
            &[("tus-resumable", "0.2.2"), ("upload-length", "1")],
            0,
            412,
        ),
        (&patch, &[("tus-resumable", "2.0.0"), ok[0], ok[1]], 1, 412),
        // Creation.
        ("POST ", &[], 0, 400),
        ("POST ", &[("upload-length", "-1")], 0, 400),
        ("POST ", &[("upload-length", "+1")], 0, 400),
        ("POST ", &[("upload-length", "ten")], 0, 400),
        ("POST ", &[("upload-length", "0")], 0, 400),
        ("POST ", &[("upload-length", "1001")], 0, 413),
        ("POST ", &[("upload-defer-length", "1")], 0, 201),
        ("POST ", &[("upload-defer-length", "0")], 0, 400),
        (
            "POST ",
            &[("upload-length", "1"), ("upload-defer-length", "1")],
            0,
            400,
        ),
        (
            "POST ",
            &[("upload-length", "1"), ("upload-concat", "partial")],
            0,
            201,
        ),
        (
            "POST ",
            &[("upload-length", "1001"), ("upload-concat", "partial")],
            0,
            413,
        ),
        (
            "POST ",
            &[("upload-length", "1"), ("upload-concat", "whole")],
            0,
            400,
        ),
        ("POST ", &[("upload-concat", "final;/nonsense")], 0, 400),
        (
            "POST ",
            &[("upload-length", "1"), ("upload-metadata", "a !")],
            0,
            400,
        ),
        (
            "POST ",
            &[("upload-length", "1"), ("upload-metadata", "")],
            0,
            201,
        ),
        // `..`
        (
            "POST ",
            &[("upload-length", "1"), ("upload-metadata", "filename Li4=")],
            0,
            400,
        ),
        // `../x`
        (
            "POST ",
            &[
                ("upload-length", "1"),
                ("upload-metadata", "filename Li4veA=="),
            ],
            0,
            201,
        ),
        ("PUT ", &[], 0, 405),
        ("PATCH ", &ok, 1, 405),
        ("DELETE ", &[], 0, 405),
        // The upload.
        (&patch, &[("upload-offset", "0")], 1, 415),
        (&patch, &[("content-type", "text/plain"), ok[1]], 1, 415),
        (&patch, &[ok[0]], 1, 400),
        (&patch, &[ok[0], ("upload-offset", "x")], 1, 400),
        (&patch, &[ok[0], ("upload-offset", "1")], 1, 409),
        (
            &patch,
            &[ok[0], ok[1], ("upload-checksum", "sha1 AAAA")],
            1,
            460,
        ),
        (&patch, &[ok[0], ok[1], ("content-length", "101")], 101, 413),
        (&patch, &ok, 101, 413),
        (&patch, &[ok[0], ok[1], ("upload-length", "99")], 1, 400),
        (
            &patch,
            &[ok[0], ok[1], ("upload-checksum", "sha3 AAAA")],
            1,
            400,
        ),
        ("PATCH /nonsense", &ok, 1, 404),
        ("HEAD /nonsense", &[], 0, 404),
        ("DELETE /nonsense", &[], 0, 404),
        ("GET /nonsense", &[], 0, 404),
    ];
    for (line, headers, length, expected) in table {
        let body = vec![0_u8; *length];
        let (status, answer) = f.ask(line, headers, body).await;
        assert_eq!(status.as_u16(), *expected, "{line} {headers:?}");
        match *expected {
            412 => assert_eq!(answer["tus-version"], "1.0.0"),
            405 => assert!(answer.contains_key("allow")),
            _ => {}
        }
    }
    for line in ["HEAD", "DELETE"] {
        let (status, _) = f.ask(&format!("{line} {unknown}"), &[], "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    let (status, _) = f.ask(&format!("PUT {path}"), &[], "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn more_than_was_announced_is_refused_and_the_rest_stands() {
    let f = Fixture::new();
    let path = f.create(10).await;
    let (status, _) = f.patch(&path, 0, vec![0; 4]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    // No content length: the surplus shows only as it comes.
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 20]))]);
    let (status, _) = f.patch(&path, 4, Body::from_stream(stream)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(f.offset(&path).await, 10);
    let (status, headers) = f.patch(&path, 10, "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(headers.contains_key("reelmesh-video-id"));
}

#[tokio::test]
async fn bytes_before_a_cut_are_kept() {
    let f = Fixture::new();
    let path = f.create(1000).await;
    let cut = futures::stream::iter([
        Ok(Bytes::from(vec![7; 300])),
        Err(std::io::Error::other("cut")),
    ]);
    let (status, _) = f.patch(&path, 0, Body::from_stream(cut)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(f.offset(&path).await, 300);
    let (status, _) = f.patch(&path, 300, vec![7; 700]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(f.blobs.contains(&BlobHash::of(&[7; 1000])));
}

#[tokio::test]
async fn a_newer_request_wins_over_one_that_hangs() {
    let f = Fixture::new();
    let path = f.create(1000).await;
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receive));
    let offset = [("content-type", CHUNK), ("upload-offset", "0")];
    let line = format!("PATCH {path}");
    let hanging = f.ask(&line, &offset, body);
    let newer = async {
        send.send(Ok::<_, std::io::Error>(Bytes::from(vec![1; 200])))
            .await
            .unwrap();
        drop(send.reserve().await.unwrap());
        // Some of it or none has been taken in; what HEAD says holds.
        let reached = f.offset(&path).await;
        let (status, _) = f.patch(&path, reached, vec![1; 10]).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        reached + 10
    };
    let ((status, _), reached) = tokio::join!(hanging, newer);
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(f.offset(&path).await, reached);
}

#[tokio::test]
async fn a_terminated_upload_is_gone() {
    let f = Fixture::new();
    let path = f.create(1000).await;
    let (status, _) = f.patch(&path, 0, vec![1; 500]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(f.handle.progress().borrow().len(), 1);
    let (status, _) = f.ask(&format!("DELETE {path}"), &[], "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for line in ["HEAD", "DELETE"] {
        let (status, _) = f.ask(&format!("{line} {path}"), &[], "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    let (status, _) = f.patch(&path, 500, vec![1; 500]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(f.handle.progress().borrow().is_empty());
}

#[tokio::test]
async fn methods_may_come_as_post_and_metadata_comes_back() {
    let f = Fixture::new();
    let metadata = "filename 5b2x54mHLm1wNA==,kind dmlkZW8=";
    let headers = [("upload-length", "10"), ("upload-metadata", metadata)];
    let (_, answer) = f.ask("POST ", &headers, "").await;
    let path = answer["location"].to_str().unwrap().to_owned();
    let headers = [
        ("x-http-method-override", "PATCH"),
        ("content-type", CHUNK),
        ("upload-offset", "0"),
    ];
    let (status, answer) = f.ask(&format!("POST {path}"), &headers, vec![0; 3]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(answer["upload-offset"], "3");
    let (_, answer) = f.ask(&format!("HEAD {path}"), &[], "").await;
    assert_eq!(answer["upload-metadata"], metadata);
    assert_eq!(answer["upload-length"], "10");
    let upload = path.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(f.handle.find(upload).unwrap().meta().filename, "影片.mp4");
    let headers = [("x-http-method-override", "DELETE")];
    let (status, _) = f.ask(&format!("POST {path}"), &headers, "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn options_say_what_is_there_whatever_the_version() {
    let f = Fixture::new();
    for path in ["OPTIONS ", "OPTIONS /anything"] {
        let (status, headers) = f.ask(path, &[("tus-resumable", "-")], "").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(headers["tus-version"], "1.0.0");
        assert_eq!(
            headers["tus-extension"],
            "creation,creation-with-upload,creation-defer-length,termination,\
             expiration,checksum,checksum-trailer,concatenation"
        );
        let checksums = headers["tus-checksum-algorithm"].to_str().unwrap();
        assert!(checksums.starts_with("sha1,sha256"), "{checksums}");
        assert_eq!(headers["tus-max-size"], (1_u64 << 40).to_string());
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_only_by_name() {
    let f = Fixture::with(Options {
        cors_origins: vec!["https://review.example".to_owned()],
        ..Options::default()
    });
    let headers = [("origin", "https://review.example")];
    let (_, answer) = f.ask("OPTIONS ", &headers, "").await;
    assert_eq!(answer["access-control-allow-origin"], headers[0].1);
    assert_eq!(answer["vary"], "Origin");
    for name in ["Location", "Upload-Offset", "Reelmesh-Video-Id"] {
        let exposed = answer["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains(name));
    }
    let (_, answer) = f
        .ask("OPTIONS ", &[("origin", "https://evil.example")], "")
        .await;
    assert!(!answer.contains_key("access-control-allow-origin"));
    let f = Fixture::new();
    let (_, answer) = f.ask("OPTIONS ", &headers, "").await;
    assert!(!answer.contains_key("access-control-allow-origin"));
}
