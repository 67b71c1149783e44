//! The API from outside: requests in, answers out, over a catalogue in memory and a folder.

mod notes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use coordinator::catalog::generation::UnitState;
use coordinator::catalog::{Catalog, Command};
use coordinator::raft::Handle;
use futures::StreamExt;
use http_body_util::BodyExt;
use protocol::http::Page;
use protocol::http::clip::{Clip, ClipStatus};
use protocol::http::job::{Job, JobState};
use protocol::http::problem::Problem;
use protocol::http::video::{Video, VideoStatus};
use protocol::id::{GenerationId, UploadId, VideoId};
use protocol::job::Unit;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::api::{Api, Live};
use super::{events, server};
use crate::blob;
use crate::edge::Edge;
use crate::origin::Origin;
use crate::publish::{self, fixture};

const ORIGINAL: &[u8] = b"0123456789";

struct Node {
    data: tempfile::TempDir,
    catalog: Handle,
    api: Api,
    uploads: watch::Sender<Arc<std::collections::BTreeMap<UploadId, u64>>>,
    router: Router,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn check_problem(&self, status: u16, code: &str) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: Problem = self.json();
        assert_eq!(
            (self.status.as_u16(), problem.status, problem.code.as_str()),
            (status, status, code)
        );
        assert!(
            problem.detail.ends_with('.') || problem.detail.contains(": "),
            "{}",
            problem.detail
        );
    }
}

impl Node {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let catalog = fixture::library().await;
        let origin = Origin::open("file://./origin", data.path()).unwrap();
        let blobs = blob::Store::open(data.path().join("blobs")).unwrap();
        let (uploads, receiver) = watch::channel(Arc::default());
        let live = Live {
            uploads: receiver,
            ..Live::none()
        };
        let api = Api::new(
            catalog.clone(),
            Edge::in_memory(origin, 1 << 20),
            blobs,
            live,
            data.path().to_owned(),
        );
        let router = server::router(api.clone(), Router::new(), Router::new(), true);
        Self {
            data,
            catalog,
            api,
            uploads,
            router,
        }
    }

    /// A video that plays, with its original in the store.
    async fn ready(&self) -> (VideoId, GenerationId) {
        let (video, generation) = fixture::probed(&self.catalog, 1, "Reel é.mov", ORIGINAL).await;
        let spool = self.data.path().join("spooled");
        std::fs::write(&spool, ORIGINAL).unwrap();
        let hash = protocol::id::BlobHash::of(ORIGINAL);
        self.api.blobs.adopt(&spool, &hash).unwrap();
        fixture::render(&self.catalog, video, &self.outbox()).await;
        self.publish_until(|c| c.video(video).unwrap().published.is_some())
            .await;
        (video, generation)
    }

    fn outbox(&self) -> std::path::PathBuf {
        self.data.path().join("outbox")
    }

    /// Publishes what lies in the outbox until the catalogue is as wanted.
    async fn publish_until(&self, done: impl Fn(&Catalog) -> bool) {
        let options = publish::Options {
            outbox: self.outbox(),
            retired_grace: Duration::ZERO,
            growing: true,
            keep: publish::Keep::default(),
        };
        let service = publish::Service::new(
            options,
            self.catalog.clone(),
            self.api.edge.origin().clone(),
        );
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(service.run(shutdown.clone()));
        let mut changes = self.catalog.changes();
        while !self.catalog.read(&done) {
            changes.changed().await.unwrap();
        }
        shutdown.cancel();
        running.await.unwrap();
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, "localhost:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "").await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call(Method::GET, path, headers, "").await
    }
}

#[tokio::test]
async fn videos_come_in_pages_and_each_exactly_once() {
    let node = Node::new().await;
    for number in 0..7 {
        fixture::open(
            &node.catalog,
            number,
            &format!("clip-{}.mov", 7 - number),
            100,
        )
        .await;
    }
    for sort in ["created_at", "-created_at", "filename", "-filename"] {
        let mut names = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = node
                .get(&format!("/api/v1/videos?sort={sort}&limit=3{cursor}"))
                .await;
            let page: Page<Video> = answer.json();
            assert_eq!((answer.status, page.total), (StatusCode::OK, 7));
            names.extend(page.items.into_iter().map(|video| video.filename));
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 7, "{sort}: {names:?}");
        if sort == "filename" {
            assert_eq!(names, sorted);
        }
    }
    let page: Page<Video> = node
        .get("/api/v1/videos?q=CLIP-3&status=uploading")
        .await
        .json();
    assert_eq!((page.items.len(), page.total), (1, 1));
    let page: Page<Video> = node.get("/api/v1/videos?status=ready").await.json();
    assert_eq!(
        (page.items.len(), page.total, page.next_cursor),
        (0, 0, None)
    );
}

#[tokio::test]
async fn bad_requests_get_problem_documents() {
    let node = Node::new().await;
    let long = "x".repeat(300);
    for (path, status, code) in [
        ("/api/v1/videos?limit=0", 400, "bad_query"),
        ("/api/v1/videos?limit=201", 400, "bad_query"),
        ("/api/v1/videos?limit=many", 400, "bad_query"),
        ("/api/v1/videos?sort=size", 400, "bad_query"),
        ("/api/v1/videos?status=lost", 400, "bad_query"),
        ("/api/v1/videos?colour=red", 400, "bad_query"),
        ("/api/v1/videos?cursor=AAAA", 400, "bad_cursor"),
        ("/api/v1/jobs?cursor=!", 400, "bad_cursor"),
        ("/api/v1/jobs?video=x", 400, "bad_query"),
        ("/api/v1/videos/x", 400, "bad_id"),
        ("/api/v1/videos/%00", 400, "bad_id"),
        ("/api/v1/videos/%ff", 400, "bad_id"),
        (
            "/api/v1/videos/00000000-0000-0000-0000-000000000000",
            404,
            "video_not_found",
        ),
        (
            "/api/v1/videos/00000000-0000-0000-0000-000000000000/original",
            404,
            "video_not_found",
        ),
        (
            "/api/v1/jobs/00000000-0000-0000-0000-000000000000",
            404,
            "job_not_found",
        ),
        ("/api/v1/nodes/omega", 404, "node_not_found"),
        ("/api/v1/nothing", 404, "route_not_found"),
        ("/api/v2/videos", 404, "route_not_found"),
    ] {
        let answer = node.get(path).await;
        answer.check_problem(status, code);
    }
    node.get(&format!("/api/v1/videos?q={long}"))
        .await
        .check_problem(400, "bad_query");
    let put = node.call(Method::PUT, "/api/v1/videos", &[], "").await;
    put.check_problem(405, "method_not_allowed");
    assert!(put.header("allow").contains("GET"));
    node.call(Method::POST, "/api/v1/nothing", &[], "")
        .await
        .check_problem(404, "route_not_found");
}

#[tokio::test]
async fn a_video_is_renamed_and_removed() {
    let node = Node::new().await;
    let (id, _) = fixture::open(&node.catalog, 1, "a.mov", 100).await;
    let path = format!("/api/v1/videos/{id}");
    let json = [("content-type", "application/json")];
    let patch = |body: &'static str| node.call(Method::PATCH, &path, &json, body);
    let video: Video = patch(r#"{"filename":"b.mov"}"#).await.json();
    assert_eq!(video.filename, "b.mov");
    patch(r#"{"filename":""}"#)
        .await
        .check_problem(422, "bad_filename");
    patch(r#"{"filename":7}"#)
        .await
        .check_problem(422, "bad_body");
    patch(r#"{"size_bytes":7}"#)
        .await
        .check_problem(422, "bad_body");
    patch("{").await.check_problem(400, "bad_body");
    node.call(Method::PATCH, &path, &[], "{}")
        .await
        .check_problem(415, "unsupported_media_type");
    let huge = format!(r#"{{"filename":"{}"}}"#, "x".repeat(100_000));
    node.call(Method::PATCH, &path, &json, &huge)
        .await
        .check_problem(413, "body_too_large");
    assert_eq!(
        node.call(Method::DELETE, &path, &[], "").await.status,
        StatusCode::NO_CONTENT
    );
    node.get(&path).await.check_problem(404, "video_not_found");
    node.call(Method::DELETE, &path, &[], "")
        .await
        .check_problem(404, "video_not_found");
}

#[tokio::test]
async fn progress_follows_the_bytes_of_an_upload() {
    let node = Node::new().await;
    let (id, upload) = fixture::open(&node.catalog, 1, "a.mov", 200).await;
    node.uploads.send_replace(Arc::new([(upload, 50)].into()));
    let video: Video = node.get(&format!("/api/v1/videos/{id}")).await.json();
    assert_eq!(
        (video.status, video.progress_permille),
        (VideoStatus::Uploading, 250)
    );
}

#[tokio::test]
async fn a_video_plays_while_it_is_rendered() {
    let node = Node::new().await;
    let probe = fixture::long_probe();
    let (id, generation) = fixture::probed_as(&node.catalog, 1, "long.mov", ORIGINAL, probe).await;
    let video = format!("/api/v1/videos/{id}");
    let published = |unit| {
        move |c: &Catalog| {
            let units = &c.generation(generation).unwrap().units;
            matches!(units[&unit], UnitState::Published { .. })
        }
    };
    let playlist = format!("/hls/{id}/{generation}/720p/media.m3u8");
    let texts = async || {
        let body = node.get(&video).await.json::<Video>();
        let playlist = node.get(&playlist).await;
        let text = String::from_utf8_lossy(&playlist.body).into_owned();
        (body.status, body.hls_url.is_some(), playlist.status, text)
    };

    // The third piece is missing, and so is the sound: there is nothing to play yet.
    let outbox = node.outbox();
    let some = |unit| !matches!(unit, Unit::Piece(2) | Unit::Audio);
    fixture::render_some(&node.catalog, id, &outbox, some).await;
    node.publish_until(published(Unit::Piece(3))).await;
    let (status, plays, found, _) = texts().await;
    assert_eq!(
        (status, plays, found),
        (VideoStatus::Rendering, false, StatusCode::NOT_FOUND)
    );

    let sound = |unit| unit == Unit::Audio;
    fixture::render_some(&node.catalog, id, &outbox, sound).await;
    node.publish_until(published(Unit::Audio)).await;
    let (status, plays, found, text) = texts().await;
    assert_eq!(
        (status, plays, found),
        (VideoStatus::Rendering, true, StatusCode::OK)
    );
    // The piece behind the gap is not listed, and what is listed has no end.
    assert_eq!(text.matches("#EXTINF").count(), 2, "{text}");
    assert!(
        text.contains("EVENT") && !text.contains("ENDLIST"),
        "{text}"
    );
    let header = node.get(&playlist).await.header("cache-control").to_owned();
    assert_eq!(header, "public, max-age=1");
    let master = node
        .get(&format!("/hls/{id}/{generation}/master.m3u8"))
        .await;
    assert_eq!(master.status, StatusCode::OK);

    fixture::render(&node.catalog, id, &outbox).await;
    node.publish_until(|c| c.video(id).unwrap().published.is_some())
        .await;
    let (status, _, _, whole) = texts().await;
    assert_eq!(status, VideoStatus::Ready);
    assert_eq!(whole.matches("#EXTINF").count(), 4, "{whole}");
    assert!(
        whole.contains("VOD") && whole.contains("ENDLIST"),
        "{whole}"
    );
    // What a viewer has read of it stays true.
    let segments = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("#EXT-X"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(
        segments(&whole).starts_with(&segments(&text)),
        "{text}{whole}"
    );
}

#[tokio::test]
async fn a_ready_video_says_where_it_plays() {
    let node = Node::new().await;
    let (id, generation) = node.ready().await;
    let video: Video = node.get(&format!("/api/v1/videos/{id}")).await.json();
    assert_eq!(
        (video.status, video.progress_permille),
        (VideoStatus::Ready, 1000)
    );
    assert_eq!(
        video.hls_url,
        Some(format!("/hls/{id}/{generation}/master.m3u8"))
    );
    assert_eq!(
        (video.duration_frames, video.start_timecode.as_deref()),
        (Some(60), Some("01:00:00;00"))
    );
    assert_eq!(video.thumbnails.len(), 3);
    let thumbnail = node.get(&video.thumbnails[0].url).await;
    assert_eq!(
        (thumbnail.status, thumbnail.header("content-type")),
        (StatusCode::OK, "image/jpeg")
    );
    assert!(thumbnail.header("cache-control").contains("immutable"));
    let latest = node
        .get(&format!("/api/v1/videos/{id}/thumbnail?size=320w"))
        .await;
    assert_eq!(
        (latest.status, latest.header("location")),
        (StatusCode::FOUND, video.thumbnails[0].url.as_str())
    );
    let any = format!("/api/v1/videos/{id}/thumbnail?size=320w");
    for (accept, url) in [
        (
            "image/avif,image/webp,*/*;q=0.8",
            &video.thumbnails[0].webp_url,
        ),
        ("image/webp;q=0, */*", &video.thumbnails[0].url),
        ("*/*", &video.thumbnails[0].url),
    ] {
        let led = node.get_with(&any, &[("accept", accept)]).await;
        assert_eq!(led.header("location"), url.as_str(), "{accept}");
        assert!(led.header("vary").contains("Accept"));
        // The image behind it is the same for everybody.
        let image = node.get_with(url, &[("accept", accept)]).await;
        assert_eq!(image.status, StatusCode::OK);
        assert!(!image.header("vary").contains("Accept"));
    }
    let webp = node.get(&video.thumbnails[2].webp_url).await;
    assert_eq!(webp.header("content-type"), "image/webp");
    for bad in ["size=9w", "format=bmp"] {
        node.get(&format!("/api/v1/videos/{id}/thumbnail?{bad}"))
            .await
            .check_problem(400, "bad_query");
    }
}

#[tokio::test]
async fn a_video_can_be_scrubbed_by_pictures_and_sound() {
    let node = Node::new().await;
    let (id, generation) = node.ready().await;
    let video: Video = node.get(&format!("/api/v1/videos/{id}")).await.json();
    let base = format!("/hls/{id}/{generation}");
    assert_eq!(video.sprites_url, Some(format!("{base}/sprites.json")));
    assert_eq!(video.peaks_url, Some(format!("{base}/peaks.json")));
    let index = node.get(&video.sprites_url.unwrap()).await;
    assert_eq!(index.header("content-type"), "application/json");
    assert!(index.header("cache-control").contains("immutable"));
    let sprites: protocol::http::scrub::Sprites = index.json();
    assert_eq!(sprites.cells.len(), 2);
    let sheet = node.get(&format!("{base}/{}", sprites.sheets[0].url)).await;
    assert_eq!(
        (sheet.status, sheet.header("content-type")),
        (StatusCode::OK, "image/jpeg")
    );
    assert!(sheet.header("cache-control").contains("immutable"));
    let vtt = node.get(&format!("{base}/sprites.vtt")).await;
    assert_eq!(vtt.header("content-type"), "text/vtt");
    assert!(vtt.body.starts_with(b"WEBVTT\n\n00:00:00.000 --> "));
    let outlines: protocol::http::scrub::Outlines =
        node.get(&video.peaks_url.unwrap()).await.json();
    let outline = node
        .get(&format!("{base}/{}", outlines.tracks[0].url))
        .await;
    assert_eq!(
        (outline.status, outline.header("content-type")),
        (StatusCode::OK, "application/octet-stream")
    );
    // Lists of files are nobody's business.
    let list = node.get(&format!("{base}/units/piece-0000.json")).await;
    assert_eq!(list.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_original_comes_whole_or_in_parts() {
    let node = Node::new().await;
    let (id, _) = node.ready().await;
    let path = format!("/api/v1/videos/{id}/original");
    let whole = node.get(&path).await;
    assert_eq!((whole.status, &whole.body[..]), (StatusCode::OK, ORIGINAL));
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert_eq!(
        whole.header("content-disposition"),
        "attachment; filename=\"Reel _.mov\"; filename*=UTF-8''Reel%20%C3%A9.mov"
    );
    let etag = whole.header("etag").to_owned();
    assert_eq!(
        etag,
        format!("\"{}\"", protocol::id::BlobHash::of(ORIGINAL))
    );

    let part = node.get_with(&path, &[("range", "bytes=2-4")]).await;
    assert_eq!(
        (part.status, &part.body[..]),
        (StatusCode::PARTIAL_CONTENT, &b"234"[..])
    );
    assert_eq!(
        (part.header("content-range"), part.header("content-length")),
        ("bytes 2-4/10", "3")
    );
    let suffix = node
        .get_with(&path, &[("range", "bytes=-3"), ("if-range", &etag)])
        .await;
    assert_eq!(
        (suffix.status, &suffix.body[..]),
        (StatusCode::PARTIAL_CONTENT, &b"789"[..])
    );
    let changed = node
        .get_with(&path, &[("range", "bytes=-3"), ("if-range", "\"other\"")])
        .await;
    assert_eq!((changed.status, changed.body.len()), (StatusCode::OK, 10));
    let beyond = node.get_with(&path, &[("range", "bytes=10-")]).await;
    beyond.check_problem(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */10");
    let same = node.get_with(&path, &[("if-none-match", &etag)]).await;
    assert_eq!(
        (same.status, same.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let head = node.call(Method::HEAD, &path, &[], "").await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (StatusCode::OK, "10", 0)
    );
}

#[tokio::test]
async fn players_and_caches_get_what_they_need() {
    let node = Node::new().await;
    let (id, generation) = node.ready().await;
    let base = format!("/hls/{id}/{generation}");
    let master = node.get(&format!("{base}/master.m3u8")).await;
    assert_eq!(
        master.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert!(
        master
            .header("cache-control")
            .starts_with("public, max-age=3600")
    );
    let text = String::from_utf8(master.body.to_vec()).unwrap();
    assert!(text.contains("720p/media.m3u8"), "{text}");
    let etag = master.header("etag");
    let same = node
        .get_with(&format!("{base}/master.m3u8"), &[("if-none-match", etag)])
        .await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    let packed = node
        .get_with(
            &format!("{base}/master.m3u8"),
            &[("accept-encoding", "gzip")],
        )
        .await;
    assert_eq!(
        (packed.header("content-encoding"), packed.header("vary")),
        ("gzip", "accept-encoding")
    );

    let media = node.get(&format!("{base}/audio/media.m3u8")).await;
    let media = String::from_utf8(media.body.to_vec()).unwrap();
    let segment = media.lines().find(|line| !line.starts_with('#')).unwrap();
    let path = format!("{base}/audio/{segment}");
    let whole = node
        .get_with(&path, &[("accept-encoding", "gzip, br")])
        .await;
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (StatusCode::OK, "audio/mp4")
    );
    assert_eq!(
        whole.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(whole.header("access-control-allow-origin"), "*");
    assert_eq!(whole.header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(whole.header("cache-tag"), format!("v-{id},r-{generation}"));
    assert_eq!(
        (
            whole.header("content-encoding"),
            whole.header("accept-ranges")
        ),
        ("", "bytes")
    );
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    let etag = whole.header("etag");
    assert!(
        segment.contains(etag.trim_matches('"')) && etag.len() == 18,
        "{etag} {segment}"
    );
    let part = node.get_with(&path, &[("range", "bytes=0-4")]).await;
    assert_eq!(
        (part.status, &part.body[..]),
        (StatusCode::PARTIAL_CONTENT, &whole.body[..5])
    );
    let beyond = node.get_with(&path, &[("range", "bytes=99999-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let preflight = node
        .call(
            Method::OPTIONS,
            &path,
            &[("origin", "https://player.example")],
            "",
        )
        .await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert!(
        preflight
            .header("access-control-allow-headers")
            .contains("Range")
    );
    assert_eq!(preflight.header("access-control-max-age"), "86400");
    node.call(Method::POST, &path, &[], "")
        .await
        .check_problem(405, "method_not_allowed");

    node.catalog
        .propose(Command::DeleteVideo { video: id })
        .await
        .unwrap();
}

#[tokio::test]
async fn no_path_leads_out_of_the_origin() {
    let node = Node::new().await;
    let (id, generation) = node.ready().await;
    std::fs::write(node.data.path().join("secret.m4s"), "secret").unwrap();
    let base = format!("/hls/{id}/{generation}");
    // Another spelling of the same id.
    let plain = base.replace('-', "");
    let long = "a".repeat(9000);
    for path in [
        format!("{base}/../../../../secret.m4s"),
        format!("{base}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.m4s"),
        format!("{base}/..%2f..%2f..%2f..%2fsecret.m4s"),
        format!("{base}/%2Fetc%2Fpasswd"),
        format!("{base}//etc/passwd"),
        format!("{base}/a%00.m4s"),
        format!("{base}/%ff.m4s"),
        format!("{base}/master.M3U8"),
        format!("{base}/units/audio.json"),
        format!("{base}/nope-0123456789abcdef.m4s"),
        format!("{base}/nope.m4s"),
        format!("{base}/"),
        format!("{base}/{long}.m4s"),
        format!("/hls/{id}/{id}/master.m3u8"),
        format!("/hls/x/{generation}/master.m3u8"),
        format!("{plain}/master.m3u8"),
        "/hls/..%2f..%2fsecret.m4s".to_owned(),
    ] {
        let answer = node.get(&path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{path}"
        );
    }
    let missing = node.get(&format!("{base}/nope-0123456789abcdef.m4s")).await;
    missing.check_problem(404, "object_not_found");
    assert_eq!(
        (
            missing.header("cache-control"),
            missing.header("access-control-allow-origin")
        ),
        ("max-age=1", "*")
    );
}

#[tokio::test]
async fn jobs_are_listed_retried_and_cancelled() {
    let node = Node::new().await;
    let (id, _) = fixture::probed(&node.catalog, 1, "a.mov", ORIGINAL).await;
    let page: Page<Job> = node
        .get(&format!("/api/v1/jobs?video={id}&state=waiting"))
        .await
        .json();
    assert!(!page.items.is_empty());
    for job in &page.items {
        assert_eq!(
            (job.state, job.filename.as_str()),
            (JobState::Waiting, "a.mov")
        );
        assert!(!job.waiting_because.is_empty(), "{job:?}");
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: Page<Job> = node
            .get(&format!("/api/v1/jobs?limit=1{cursor}"))
            .await
            .json();
        seen.extend(page.items.iter().map(|job| job.id));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), page.items.len() + 1, "the probe, too");
    let job = &page.items[0];
    let cancelled: Job = node
        .call(
            Method::POST,
            &format!("/api/v1/jobs/{}/cancel", job.id),
            &[],
            "",
        )
        .await
        .json();
    assert_eq!(cancelled.state, JobState::Cancelled);
    let retried: Job = node
        .call(
            Method::POST,
            &format!("/api/v1/jobs/{}/retry", job.id),
            &[],
            "",
        )
        .await
        .json();
    assert_eq!(retried.state, JobState::Waiting);
    let again = node
        .call(
            Method::POST,
            &format!("/api/v1/jobs/{}/retry", job.id),
            &[],
            "",
        )
        .await;
    assert!(again.status.is_success() || again.status == StatusCode::CONFLICT);
}

#[tokio::test]
async fn nodes_and_health_answer() {
    let node = Node::new().await;
    let page: Page<protocol::http::node::Node> = node.get("/api/v1/nodes").await.json();
    assert_eq!(
        (
            page.items[0].name.as_str(),
            page.items[0].leader,
            page.items[0].state.as_str()
        ),
        ("alpha", true, "up")
    );
    assert_eq!(node.get("/api/v1/nodes/alpha").await.status, StatusCode::OK);
    assert_eq!(node.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(node.get("/readyz").await.status, StatusCode::OK);
    node.api.events.stop();
    let stopping = node.get("/readyz").await;
    assert_eq!(stopping.status, StatusCode::SERVICE_UNAVAILABLE);
    let body: serde_json::Value = stopping.json();
    assert_eq!(body["reasons"][0], "This node is shutting down.");
}

#[tokio::test]
async fn who_belongs_to_the_cluster_is_decided_on_its_machines_alone() {
    let mut node = Node::new().await;
    let from = |caller: Option<&str>, method: Method, path: &str, body: &str| {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        if let Some(caller) = caller {
            let caller = super::cluster::Caller(caller.parse().unwrap());
            request.extensions_mut().insert(caller);
        }
        request
    };
    let here = Some("127.0.0.1:5000");
    let token = r#"{"role":"voter","valid_for_s":60}"#;
    let drain = r#"{"draining":true}"#;
    for (method, path, body) in [
        (Method::POST, "/api/v1/tokens", token),
        (Method::POST, "/api/v1/cluster/apply", r#"{"nodes":[]}"#),
        (Method::POST, "/api/v1/nodes/alpha/drain", drain),
        (Method::DELETE, "/api/v1/nodes/alpha", ""),
    ] {
        for caller in [None, Some("10.0.0.9:5000")] {
            let answer = node.send(from(caller, method.clone(), path, body)).await;
            answer.check_problem(403, "not_local");
        }
    }
    let make = |body: &str| from(here, Method::POST, "/api/v1/tokens", body);
    node.send(make(token))
        .await
        .check_problem(409, "no_cluster");
    node.api.membership = Some(super::cluster::Membership {
        authority: protocol::id::BlobHash::of(b"authority"),
        admits: true,
    });
    node.router = server::router(node.api.clone(), Router::new(), Router::new(), true);
    node.send(make(r#"{"role":"king","valid_for_s":60}"#))
        .await
        .check_problem(422, "bad_role");
    node.send(make(r#"{"role":"voter","valid_for_s":0}"#))
        .await
        .check_problem(422, "bad_span");
    // Nobody could find the way here.
    node.send(make(token))
        .await
        .check_problem(409, "no_address");

    let machine = r#"{"nodes":[{"name":"alpha","site":"here","role":"voter","address":"10.0.0.1:7443"},
        {"name":"beta","site":"here","role":"voter","address":"10.0.0.2:7443"}]}"#;
    let apply = || from(here, Method::POST, "/api/v1/cluster/apply", machine);
    let applied: protocol::http::cluster::Applied = node.send(apply()).await.json();
    assert_eq!(applied.sentences.len(), 2, "{applied:?}");
    assert!(applied.sentences[0].contains("at 10.0.0.1:7443"));
    assert!(applied.sentences[1].contains("beta has not joined"));
    let made: protocol::http::cluster::JoinToken = node.send(make(token)).await.json();
    let made: protocol::join::Token = made.token.parse().unwrap();
    assert_eq!(made.addresses, ["10.0.0.1:7443"]);

    let request = from(here, Method::POST, "/api/v1/nodes/alpha/drain", drain);
    let drained: protocol::http::node::Node = node.send(request).await.json();
    assert!(drained.draining && drained.sole_originals == Some(0));
    let request = from(here, Method::DELETE, "/api/v1/nodes/omega", "");
    node.send(request)
        .await
        .check_problem(404, "node_not_found");
}

#[tokio::test]
async fn events_tell_what_changes() {
    let node = Node::new().await;
    let shutdown = CancellationToken::new();
    let request = |again: bool| {
        let request = Request::get("/api/v1/events").header(header::HOST, "localhost");
        let request = if again {
            request.header("last-event-id", "7")
        } else {
            request
        };
        request.body(Body::empty()).unwrap()
    };
    let response = node.router.clone().oneshot(request(true)).await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let mut stream = response.into_body().into_data_stream();
    let mut next =
        async || String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    let hello = next().await;
    assert!(hello.contains("retry: 2000"), "{hello}");
    assert!(hello.contains("id: 0"), "{hello}");
    let reset = next().await;
    assert!(reset.contains("event: reset\ndata: {}"), "{reset}");
    let writer = tokio::spawn(events::run(node.api.clone(), shutdown.clone()));
    let (id, _) = fixture::open(&node.catalog, 1, "a.mov", 200).await;
    // The node's own report may come first, and again.
    let told = loop {
        let text = next().await;
        if !text.contains("event: node\n") {
            break text;
        }
    };
    assert!(
        told.contains("event: video\n") && told.contains(&format!("\"id\":\"{id}\"")),
        "{told}"
    );
    node.catalog
        .propose(Command::DeleteVideo { video: id })
        .await
        .unwrap();
    let told = loop {
        let text = next().await;
        if text.contains("event: video_deleted\n") {
            break text;
        }
    };
    assert!(
        told.contains(&format!("data: {{\"id\":\"{id}\"}}")),
        "{told}"
    );
    shutdown.cancel();
    writer.await.unwrap();
    while let Some(rest) = stream.next().await {
        rest.unwrap();
    }
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let node = Node::new().await;
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
    ] {
        let answer = node.get_with("/api/v1/videos", &[("host", host)]).await;
        answer.check_problem(421, "host_not_allowed");
    }
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
    ] {
        assert_eq!(
            node.get_with("/api/v1/videos", &[("host", host)])
                .await
                .status,
            StatusCode::OK,
            "{host}"
        );
    }
    let (id, _) = fixture::open(&node.catalog, 1, "a.mov", 100).await;
    let path = format!("/api/v1/videos/{id}");
    let foreign = [("origin", "http://evil.example")];
    node.call(Method::DELETE, &path, &foreign, "")
        .await
        .check_problem(403, "cross_origin");
    let own = [("origin", "http://localhost:8080")];
    assert_eq!(
        node.call(Method::DELETE, &path, &own, "").await.status,
        StatusCode::NO_CONTENT
    );
    let open = server::router(node.api.clone(), Router::new(), Router::new(), false);
    let request = Request::get("/api/v1/videos")
        .header(header::HOST, "node.studio")
        .body(Body::empty());
    assert_eq!(
        open.oneshot(request.unwrap()).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_interface_answers_for_its_own_routes_only() {
    let node = Node::new().await;
    let html = [("accept", "text/html")];
    for path in ["/", "/upload", "/jobs", "/nodes", "/videos/0190"] {
        let answer = node.get_with(path, &html).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
        assert!(
            answer
                .header("content-security-policy")
                .contains("worker-src 'self' blob:")
        );
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
    for path in [
        "/assets/nope.js",
        "/index.php",
        "/videos/a/b",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
    ] {
        node.get_with(path, &html)
            .await
            .check_problem(404, "route_not_found");
    }
    node.call(Method::POST, "/", &[], "")
        .await
        .check_problem(404, "route_not_found");
}

#[tokio::test]
async fn the_description_names_every_call() {
    let node = Node::new().await;
    let answer = node.get("/api/v1/openapi.json").await;
    let description: serde_json::Value = answer.json();
    for path in [
        "/api/v1/videos",
        "/api/v1/videos/{id}/original",
        "/api/v1/jobs/{id}/retry",
        "/api/v1/events",
    ] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    for path in ["/docs", "/api/v1/docs"] {
        let page = node.get(path).await;
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(
            !String::from_utf8_lossy(&page.body).contains("<script>"),
            "the policy forbids inline scripts"
        );
    }
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_the_server_stops() {
    let node = Node::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/healthz", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let server = super::Server {
        listener,
        api: node.api.clone(),
        uploads: Router::new(),
        quic: Router::new(),
    };
    let running = tokio::spawn(server.run(shutdown.clone()));
    drop(rustls::crypto::ring::default_provider().install_default());
    let old = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = old.get(&url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, reqwest::Version::HTTP_11)
    );
    drop(old);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

impl Node {
    async fn mark(&self, video: VideoId, body: &str) -> Answer {
        let path = format!("/api/v1/videos/{video}/clips");
        self.json(Method::POST, &path, body).await
    }

    async fn json(&self, method: Method, path: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        self.call(method, path, &headers, body).await
    }
}

#[tokio::test]
async fn a_subclip_is_marked_by_frames_or_timecodes_and_goes_with_its_video() {
    let node = Node::new().await;
    let (video, generation) = node.ready().await;
    let answer = node
        .mark(video, r#"{"name":"Täke 名","in_frame":10,"out_frame":40}"#)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let clip: Clip = answer.json();
    assert_eq!(
        (clip.name.as_str(), clip.status, clip.duration_frames),
        ("Täke 名", ClipStatus::Virtual, 30)
    );
    // The source begins at 01:00:00;00.
    assert_eq!(clip.in_timecode.as_deref(), Some("01:00:00;10"));
    assert_eq!(clip.out_timecode.as_deref(), Some("01:00:01;10"));
    let url = format!("/hls/{video}/{generation}/clips/10-40/master.m3u8");
    assert_eq!(clip.hls_url, Some(url));

    let answer = node
        .mark(video, r#"{"in":"01:00:00:10","out":"01:00:01;10"}"#)
        .await;
    let second: Clip = answer.json();
    assert_eq!((second.in_frame, second.out_frame), (10, 40));
    assert_eq!(second.name, "Reel é 01:00:00;10");

    let path = format!("/api/v1/clips/{}", clip.id);
    let change = r#"{"name":"b","out":"01:00:02;00","mode":"encode"}"#;
    let answer = node.json(Method::PATCH, &path, change).await;
    let changed: Clip = answer.json();
    assert_eq!(
        (changed.name.as_str(), changed.in_frame, changed.out_frame),
        ("b", 10, 60)
    );
    let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
    let ids: Vec<_> = shown.clips.iter().map(|clip| clip.id).collect();
    assert_eq!(ids, [second.id, clip.id], "in the order of their points");
    let page: Page<Video> = node.get("/api/v1/videos").await.json();
    assert_eq!(page.items[0].clips.len(), 2);

    let answer = node.call(Method::DELETE, &path, &[], "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    node.get(&path).await.check_problem(404, "clip_not_found");
    let video = format!("/api/v1/videos/{video}");
    node.call(Method::DELETE, &video, &[], "").await;
    let path = format!("/api/v1/clips/{}", second.id);
    node.get(&path).await.check_problem(404, "clip_not_found");
}

#[tokio::test]
async fn a_subclip_that_cannot_be_is_refused_with_what_is_wrong() {
    let node = Node::new().await;
    let (video, _) = node.ready().await;
    let long = format!(
        r#"{{"name":"{}","in_frame":0,"out_frame":1}}"#,
        "x".repeat(201)
    );
    for (body, code) in [
        (r#"{"in_frame":0,"out_frame":61}"#, "clip_out_of_range"),
        (r#"{"in_frame":60,"out_frame":61}"#, "clip_out_of_range"),
        (r#"{"in":"00:59:59;29","out":"01:00:01;00"}"#, "clip_empty"),
        (r#"{"in_frame":5,"out_frame":5}"#, "clip_empty"),
        (r#"{"in_frame":6,"out_frame":5}"#, "clip_empty"),
        (r#"{"in_frame":0}"#, "clip_point_missing"),
        (r#"{"out":"01:00:00;05"}"#, "clip_point_missing"),
        (
            r#"{"in_frame":0,"in":"01:00:00;00","out_frame":1}"#,
            "clip_point_twice",
        ),
        (r#"{"in":"01:00:00;30","out_frame":1}"#, "bad_timecode"),
        (r#"{"in":"begin","out_frame":1}"#, "bad_timecode"),
        (
            r#"{"name":" ","in_frame":0,"out_frame":1}"#,
            "bad_clip_name",
        ),
        (
            r#"{"name":"a\nb","in_frame":0,"out_frame":1}"#,
            "bad_clip_name",
        ),
        (&long, "bad_clip_name"),
        (r#"{"in_frame":0,"out_frame":1,"mode":"magic"}"#, "bad_body"),
        (r#"{"in_frame":-1,"out_frame":1}"#, "bad_body"),
        (r#"{"in_frame":0,"out_frame":1,"colour":1}"#, "bad_body"),
    ] {
        node.mark(video, body).await.check_problem(422, code);
    }
    let (young, _) = fixture::open(&node.catalog, 9, "young.mov", 100).await;
    let body = r#"{"in_frame":0,"out_frame":1}"#;
    node.mark(young, body)
        .await
        .check_problem(409, "video_not_probed");
    let nobody = VideoId::from_uuid(uuid::Uuid::from_u128(5));
    node.mark(nobody, body)
        .await
        .check_problem(404, "video_not_found");
}

#[tokio::test]
async fn a_subclip_plays_from_its_videos_segments() {
    let node = Node::new().await;
    let (video, generation) = node.ready().await;
    let base = format!("/hls/{video}/{generation}");
    let answer = node.get(&format!("{base}/clips/10-40/master.m3u8")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("TIME-OFFSET=0.333667,PRECISE=YES"), "{text}");
    let media = text.lines().find(|line| !line.starts_with('#')).unwrap();
    let media = format!("{base}/clips/10-40/{media}");
    let answer = node.get(&media).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let map = text.split("URI=\"").nth(1).unwrap();
    let init = map.split('"').next().unwrap();
    let segment = text.lines().find(|line| !line.starts_with('#')).unwrap();
    for relative in [init, segment] {
        // As a player resolves it.
        let name = relative.strip_prefix("../../../").unwrap();
        let answer = node.get(&format!("{base}/{name}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{relative}");
    }
    let etag = node.get(&media).await.header("etag").to_owned();
    let again = node.get_with(&media, &[("if-none-match", &etag)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    for bad in ["0-61", "60-61", "5-5", "9-5", "x-5", "05-9"] {
        node.get(&format!("{base}/clips/{bad}/master.m3u8"))
            .await
            .check_problem(404, "object_not_found");
    }
    node.get(&format!("{base}/clips/0-9/2160p/media.m3u8"))
        .await
        .check_problem(404, "object_not_found");
}

#[tokio::test]
async fn subclips_are_exported_for_edit_software() {
    let node = Node::new().await;
    let (video, _) = node.ready().await;
    let path = format!("/api/v1/videos/{video}/export");
    node.get(&format!("{path}?format=edl"))
        .await
        .check_problem(409, "nothing_to_export");
    for body in [
        r#"{"name":"second","in_frame":20,"out_frame":40}"#,
        r#"{"name":"first","in_frame":10,"out_frame":40}"#,
    ] {
        let answer = node.mark(video, body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    for (format, ending, kind) in [
        ("edl", "edl", "text/plain; charset=utf-8"),
        ("csv", "csv", "text/csv; charset=utf-8; header=present"),
        ("fcpxml", "fcpxml", "application/xml"),
        ("fcp7xml", "xml", "application/xml"),
        ("otio", "otio", "application/json"),
    ] {
        let answer = node.get(&format!("{path}?format={format}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), kind);
        let disposition = format!(
            "attachment; filename=\"Reel _.{ending}\"; filename*=UTF-8''Reel%20%C3%A9.{ending}"
        );
        assert_eq!(answer.header("content-disposition"), disposition);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let place = |name| text.find(name).unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(
            place("first") < place("second"),
            "in order of the in points"
        );
    }
    let many = format!("/api/v1/export?format=edl&videos={video},{video}");
    let text = node.get(&many).await.body;
    assert!(text.starts_with(b"TITLE: Subclips\r\nFCM: DROP FRAME\r\n"));
    node.get(&format!("{path}?format=avi"))
        .await
        .check_problem(400, "bad_query");
    node.get(&path).await.check_problem(400, "bad_query");
    node.get("/api/v1/export?format=edl&videos=x")
        .await
        .check_problem(400, "bad_query");
    let (young, _) = fixture::open(&node.catalog, 9, "young.mov", 100).await;
    node.get(&format!("/api/v1/export?format=edl&videos={young}"))
        .await
        .check_problem(409, "video_not_probed");
}

#[tokio::test]
async fn a_subclip_is_rendered_and_downloaded() {
    let node = Node::new().await;
    let (video, _) = node.ready().await;
    let marked = node
        .mark(
            video,
            r#"{"name":"Täke","in_frame":10,"out_frame":40,"mode":"instant"}"#,
        )
        .await;
    let clip: Clip = marked.json();
    let path = format!("/api/v1/clips/{}", clip.id);
    let download = format!("{path}/download");
    node.get(&download)
        .await
        .check_problem(409, "clip_not_rendered");
    let queued = node.json(Method::POST, &format!("{path}/render"), "").await;
    assert_eq!(queued.status, StatusCode::ACCEPTED);
    assert_eq!(queued.json::<Clip>().status, ClipStatus::Queued);
    fixture::render(&node.catalog, video, &node.outbox()).await;
    let clip: Clip = node.get(&path).await.json();
    assert_eq!(clip.status, ClipStatus::Rendering, "not in the origin yet");
    let id = clip.id;
    node.publish_until(|c| c.clip(id).unwrap().rendered.is_some())
        .await;
    let clip: Clip = node.get(&path).await.json();
    assert_eq!(
        (clip.status, clip.progress_permille),
        (ClipStatus::Ready, 1000)
    );

    let answer = node.get(&download).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(&answer.body[..], b"these are the bytes of clip");
    assert_eq!(clip.size_bytes, Some(answer.body.len() as u64));
    assert_eq!(answer.header("content-type"), "video/mp4");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"T_ke.mp4\"; filename*=UTF-8''T%C3%A4ke.mp4"
    );
    let part = node.get_with(&download, &[("range", "bytes=6-8")]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(&part.body[..], b"are");
    // There is no playlist of it; it plays from its video's segments.
    let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
    assert_eq!(shown.status, VideoStatus::Ready);

    // Another range makes the file void, and it leaves the origin.
    node.json(Method::PATCH, &path, r#"{"out_frame":41}"#).await;
    node.get(&download)
        .await
        .check_problem(409, "clip_not_rendered");
    node.publish_until(|c| c.generations().count() == 1).await;
    let origin = node.api.edge.origin();
    let keys = origin.list(&format!("hls/{video}")).await.unwrap();
    assert!(keys.keys().all(|key| !key.contains("clip-")), "{keys:?}");
}

#[tokio::test]
async fn a_way_that_is_not_offered_is_refused_before_anything_is_marked() {
    let node = Node::new().await;
    let mut probe = fixture::probe();
    probe.container = "mkv".to_owned();
    let video = fixture::probed_as(&node.catalog, 1, "a.mkv", b"original", probe)
        .await
        .0;
    let body = r#"{"in_frame":10,"out_frame":40,"mode":"instant","render":true}"#;
    node.mark(video, body)
        .await
        .check_problem(422, "mode_not_offered");
    let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
    assert!(shown.clips.is_empty());
    // As a record it plays all the same.
    let body = r#"{"in_frame":10,"out_frame":40,"mode":"instant"}"#;
    let clip: Clip = node.mark(video, body).await.json();
    node.json(
        Method::POST,
        &format!("/api/v1/clips/{}/render", clip.id),
        "",
    )
    .await
    .check_problem(422, "mode_not_offered");
}
