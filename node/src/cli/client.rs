//! A client of a node's HTTP API.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::access::Secret;
use protocol::http::Page;
use protocol::http::problem::Problem;
use protocol::http::video::Video;
use protocol::id::VideoId;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, Kind, Shared};

/// Largest answer that is read, in bytes.
const BODY_MAX: usize = 64 << 20;

/// A file may be large and the link slow.
const DOWNLOAD_MAX: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<Secret>,
}

impl Client {
    pub(crate) fn new(shared: &Shared) -> Result<Self, Error> {
        Self::of(shared.url(), shared)
    }

    /// A client of the node at `base`.
    pub(crate) fn of(base: &str, shared: &Shared) -> Result<Self, Error> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            return Err(Error::new(
                Kind::Usage,
                format!("--to {base}: write the address of a node, such as http://127.0.0.1:8080"),
            ));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .no_proxy()
            // Nodes speak plain HTTP: no need to read the system's authorities.
            .tls_certs_only([])
            .build()
            .map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
        Ok(Self {
            base,
            http,
            token: shared.api_token,
        })
    }

    /// This one if its port takes a connection, else the one at `base`.
    pub(crate) fn or(self, base: &str) -> Self {
        let host = self.base.trim_start_matches("http://").to_owned();
        let is_there = std::net::ToSocketAddrs::to_socket_addrs(&host)
            .ok()
            .and_then(|mut found| found.next())
            .is_some_and(|address| {
                std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
            });
        if is_there {
            return self;
        }
        Self {
            base: base.trim_end_matches('/').to_owned(),
            ..self
        }
    }

    pub(crate) async fn fetch<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Error> {
        let response = self
            .send(self.request(Method::GET, path).query(query))
            .await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.foreign(&error))
    }

    /// What `/readyz` says, whichever its status; none without a node that answers.
    pub(crate) async fn readiness<T: DeserializeOwned>(&self) -> Option<T> {
        let request = self.http.get(format!("{}/readyz", self.base));
        let response = request.send().await.ok()?;
        let body = self.body(response).await.ok()?;
        serde_json::from_slice(&body).ok()
    }

    pub(crate) async fn post(&self, path: &str) -> Result<(), Error> {
        self.send(self.request(Method::POST, path)).await.map(drop)
    }

    /// Sends `body` and reads the answer.
    pub(crate) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let response = self.send(self.request(method, path).json(body)).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.foreign(&error))
    }

    /// Sends `body`; there is nothing to read.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        self.send(self.request(method, path).json(body))
            .await
            .map(drop)
    }

    /// The bytes at `path`, of a document that fits into memory.
    pub(crate) async fn bytes(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<u8>, Error> {
        let request = self.request(Method::GET, path).query(query);
        let response = self.send(request).await?;
        self.body(response).await
    }

    /// As [`Self::bytes`], of one that the node has to read a whole original for.
    pub(crate) async fn slow_bytes(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<u8>, Error> {
        let request = self.request(Method::GET, path).query(query);
        let response = self.send(request.timeout(DOWNLOAD_MAX)).await?;
        self.body(response).await
    }

    /// Writes what lies at `path` to `file`, which appears once it is whole.
    pub(crate) async fn download(&self, path: &str, file: &Path) -> Result<(), Error> {
        let cannot = |error: std::io::Error| {
            let message = format!("cannot write {}: {error}", file.display());
            Error::new(Kind::Failed, message)
        };
        let request = self.request(Method::GET, path).timeout(DOWNLOAD_MAX);
        let mut response = self.send(request).await?;
        let mut name = file.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let mut writer = std::fs::File::create(&part).map_err(cannot)?;
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            writer.write_all(&chunk).map_err(cannot)?;
        }
        writer.sync_all().map_err(cannot)?;
        std::fs::rename(&part, file).map_err(cannot)
    }

    /// Posts `body`, and reads the answer.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send_json(Method::POST, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(self.request(Method::DELETE, path))
            .await
            .map(drop)
    }

    /// The video that a person means: by its id, or by its file name if only one has it.
    pub(crate) async fn video(&self, name: &str) -> Result<Video, Error> {
        if let Ok(id) = name.parse::<VideoId>() {
            return self.fetch(&format!("/videos/{id}"), &[]).await;
        }
        let query = [("q", name.to_owned()), ("limit", "200".to_owned())];
        let page: Page<Video> = self.fetch("/videos", &query).await?;
        let mut matches = page
            .items
            .into_iter()
            .filter(|video| video.filename == name);
        match (matches.next(), matches.next()) {
            (Some(video), None) => Ok(video),
            (Some(_), Some(_)) => Err(Error::new(
                Kind::Usage,
                format!("several videos are called {name:?}"),
            )
            .hint("use the id that `reelmesh ls` prints")),
            (None, _) => Err(
                Error::new(Kind::NotFound, format!("there is no video {name:?}"))
                    .hint("`reelmesh ls` lists the library"),
            ),
        }
    }

    /// The address of `port` on the host that `--to` names.
    pub(crate) async fn resolve(&self, port: u16) -> Result<SocketAddr, Error> {
        let url = reqwest::Url::parse(&self.base);
        let host = url.as_ref().ok().and_then(|url| url.host_str());
        let host = host.ok_or_else(|| {
            Error::new(Kind::Usage, format!("--to {}: it names no host", self.base))
        })?;
        // The URL writes an IPv6 address in brackets.
        let host = host.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((host, port)).await;
        found
            .ok()
            .and_then(|mut addresses| addresses.next())
            .ok_or_else(|| Error::new(Kind::Unreachable, format!("there is no host {host}")))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let kind = match status {
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Kind::Usage,
            _ if status.is_client_error() => Kind::Refused,
            _ => Kind::Failed,
        };
        let body = self.body(response).await?;
        let message = serde_json::from_slice::<Problem>(&body).map_or_else(
            |_| format!("{} answers {status}", self.base),
            |problem| problem.detail,
        );
        Err(Error::new(kind, message))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(Error::new(
                    Kind::Failed,
                    format!("{} answers without end", self.base),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn foreign(&self, error: &serde_json::Error) -> Error {
        Error::new(
            Kind::Failed,
            format!("{} answers in a language of its own: {error}", self.base),
        )
        .hint("is the program of the same version as the node?")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let reason = if error.is_timeout() {
            "no answer in time"
        } else {
            "no connection"
        };
        Error::new(
            Kind::Unreachable,
            format!("cannot reach a node at {}: {reason}", self.base),
        )
        .hint("start one with `reelmesh serve`, or name another with --to URL")
    }
}
