//! Tokens through the whole router: made, sent, counted, revoked.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use coordinator::raft::Handle as Catalog;
use http_body_util::BodyExt;
use protocol::access::{ParseSecretError, Secret};
use protocol::http::Page;
use protocol::http::access::{ApiToken, NewApiToken};
use protocol::http::problem::Problem;
use protocol::http::upload::Upload;
use protocol::id::NodeId;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::{COOKIE, given};
use crate::blob::Store;
use crate::edge::Edge;
use crate::http::api::{Api, Live};
use crate::http::cluster::Caller;
use crate::http::{server, tus};
use crate::ingest::spool::Spool;
use crate::ingest::{self, Options};
use crate::origin::Origin;

struct Node {
    _data: tempfile::TempDir,
    router: Router,
}

impl Node {
    fn new(require_token: bool) -> Self {
        let data = tempfile::tempdir().unwrap();
        let catalog = Catalog::in_memory(NodeId(1));
        let origin = Origin::open("file://./origin", data.path()).unwrap();
        let blobs = Store::open(data.path().join("blobs")).unwrap();
        let options = Options {
            reserve_bytes: 0,
            require_token,
            ..Options::default()
        };
        let spool = Spool::open(data.path().join("spool")).unwrap();
        let uploads = ingest::Handle::open(options, spool, blobs.clone(), catalog.clone()).unwrap();
        let edge = Edge::in_memory(origin, 1 << 20);
        let path = data.path().to_owned();
        let mut api = Api::new(catalog, edge, blobs, Live::none(), path);
        api.require_token = require_token;
        let router = server::router(api, tus::router(uploads), Router::new(), true);
        Self {
            _data: data,
            router,
        }
    }

    /// `"POST /path"` from `caller`, with headers and a body.
    async fn ask(
        &self,
        caller: &str,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        let caller: std::net::SocketAddr = format!("{caller}:5555").parse().unwrap();
        request.extensions_mut().insert(Caller(caller));
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn token(&self, name: &str, quota: &str) -> String {
        let body = format!(r#"{{"name":"{name}","quota_bytes":{quota}}}"#);
        let json = [("content-type", "application/json")];
        let answer = self
            .ask("127.0.0.1", "POST /api/v1/api-tokens", &json, &body)
            .await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let made: NewApiToken = read(answer).await;
        format!("Bearer {}", made.token)
    }

    /// Uploads a file of so many bytes in one request.
    async fn upload(&self, token: &str, size: usize) -> Response {
        let length = size.to_string();
        let headers = [
            ("authorization", token),
            ("tus-resumable", "1.0.0"),
            ("upload-length", length.as_str()),
            ("content-type", "application/offset+octet-stream"),
        ];
        self.ask(FAR, "POST /api/v1/uploads/", &headers, &"x".repeat(size))
            .await
    }
}

const FAR: &str = "10.1.2.3";

async fn read<T: DeserializeOwned>(answer: Response) -> T {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
}

async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let problem: Problem = read(answer).await;
    (status, problem.code)
}

#[test]
fn a_token_comes_in_a_header_or_a_cookie() {
    let secret = Secret::from_bytes([3; 32]);
    let check = |name: header::HeaderName, value: String, expected| {
        let headers = HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())]);
        assert_eq!(given(&headers), expected);
    };
    let right = Ok(Some(secret));
    check(header::AUTHORIZATION, format!("Bearer {secret}"), right);
    check(header::AUTHORIZATION, format!("bearer {secret}"), right);
    check(
        header::AUTHORIZATION,
        "Bearer x".to_owned(),
        Err(ParseSecretError),
    );
    check(header::AUTHORIZATION, "Basic abc".to_owned(), Ok(None));
    check(header::COOKIE, format!("a=b; {COOKIE}={secret}"), right);
    check(
        header::COOKIE,
        format!("{COOKIE}=old"),
        Err(ParseSecretError),
    );
    check(header::COOKIE, "a=b".to_owned(), Ok(None));
}

#[tokio::test]
async fn nobody_is_let_in_without_a_token_where_one_is_required() {
    let node = Node::new(true);
    let videos = "GET /api/v1/videos";
    let answer = node.ask(FAR, videos, &[], "").await;
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    assert_eq!(code(answer).await, (401, "token_missing".to_owned()));
    // Not even from this machine: a proxy in front of it speaks from here for everybody.
    let answer = node.ask("127.0.0.1", videos, &[], "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let token = node.token("alice", "null").await;
    let with = [("authorization", token.as_str())];
    assert_eq!(
        node.ask(FAR, videos, &with, "").await.status(),
        StatusCode::OK
    );
    let wrong = format!("Bearer {}", Secret::from_bytes([9; 32]));
    let answer = node
        .ask(FAR, videos, &[("authorization", &wrong)], "")
        .await;
    assert_eq!(code(answer).await, (401, "token_unknown".to_owned()));
    let answer = node.ask(FAR, "HEAD /api/v1/uploads/x", &[], "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    for open in [
        "GET /healthz",
        "GET /api/v1/openapi.json",
        "OPTIONS /api/v1/uploads/",
    ] {
        assert!(
            node.ask(FAR, open, &[], "").await.status().is_success(),
            "{open}"
        );
    }
    // Who may use the API is decided on the machine itself, token or not.
    let answer = node.ask(FAR, "GET /api/v1/api-tokens", &with, "").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let revoke = "DELETE /api/v1/api-tokens/alice";
    let answer = node.ask("127.0.0.1", revoke, &[], "").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let answer = node.ask(FAR, videos, &with, "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_browser_signs_in_once() {
    let node = Node::new(true);
    let page = [("accept", "text/html,*/*")];
    let answer = node.ask(FAR, "GET /", &page, "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/api/v1/sign-in");
    let answer = node.ask(FAR, "GET /api/v1/sign-in", &page, "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let token = node.token("bob", "null").await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let sign_in = "POST /api/v1/sign-in";
    let answer = node.ask(FAR, sign_in, &form, "token=wrong").await;
    assert_eq!(code(answer).await, (401, "token_unknown".to_owned()));
    let body = format!("token={}", token.trim_start_matches("Bearer "));
    let answer = node.ask(FAR, sign_in, &form, &body).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    let cookie = cookie.split(';').next().unwrap();
    let answer = node
        .ask(FAR, "GET /api/v1/videos", &[("cookie", cookie)], "")
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_a_token_uploads_counts_and_is_nobody_elses() {
    let node = Node::new(false);
    let (alice, bob) = (
        node.token("alice", "1000").await,
        node.token("bob", "5").await,
    );
    let answer = node.upload(&alice, 600).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer = node.upload(&alice, 401).await;
    assert_eq!(code(answer).await, (403, "quota_exceeded".to_owned()));
    let answer = node.upload(&bob, 6).await;
    assert_eq!(code(answer).await, (403, "quota_exceeded".to_owned()));
    // Without a length, what comes is weighed once the length is said.
    let headers = [
        ("authorization", bob.as_str()),
        ("tus-resumable", "1.0.0"),
        ("upload-defer-length", "1"),
    ];
    let answer = node.ask(FAR, "POST /api/v1/uploads/", &headers, "").await;
    let path = answer.headers()["location"].to_str().unwrap().to_owned();
    let headers = [
        ("authorization", bob.as_str()),
        ("tus-resumable", "1.0.0"),
        ("upload-offset", "0"),
        ("upload-length", "6"),
        ("content-type", "application/offset+octet-stream"),
    ];
    let answer = node
        .ask(FAR, &format!("PATCH {path}"), &headers, "123456")
        .await;
    assert_eq!(code(answer).await, (403, "quota_exceeded".to_owned()));
    for other in [Some(alice.as_str()), None] {
        let mut headers = vec![("tus-resumable", "1.0.0")];
        headers.extend(other.map(|token| ("authorization", token)));
        for method in ["HEAD", "DELETE"] {
            let answer = node
                .ask(FAR, &format!("{method} {path}"), &headers, "")
                .await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method}");
        }
        let answer = node.ask(FAR, "GET /api/v1/uploads/", &headers, "").await;
        let page: Page<Upload> = read(answer).await;
        assert!(page.items.is_empty());
    }
    let answer = node
        .ask("127.0.0.1", "GET /api/v1/api-tokens", &[], "")
        .await;
    let page: Page<ApiToken> = read(answer).await;
    let used: Vec<_> = page.items.iter().map(|token| token.used_bytes).collect();
    assert_eq!(used, [600, 0]);
}
