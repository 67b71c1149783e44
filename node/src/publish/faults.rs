//! A store for tests that fails at any call, and looks at every moment whether a playlist names
//! what is not there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::hls::names::Kind;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request never arrived.
    Before,
    /// It was done, and the answer got lost.
    After,
    /// A store that is not atomic keeps a part of it. Playlists are spared: no order of puts could
    /// help there.
    Cut,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    /// From that call on, nothing works any more.
    fails_at: Option<(usize, Fault)>,
    broken: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Faulty {
    inner: Arc<InMemory>,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    /// Fails at call number `at` and from then on.
    pub(super) fn fail_at(&self, at: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.calls = 0;
        state.fails_at = Some((at, fault));
    }

    /// Works again; whether it had failed.
    pub(super) fn heal(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let failed = matches!(state.fails_at, Some((at, _)) if state.calls > at);
        state.fails_at = None;
        failed
    }

    /// Every moment at which a playlist named what was not there.
    pub(super) fn broken(&self) -> Vec<String> {
        self.state.lock().unwrap().broken.clone()
    }

    /// Counts a call; how it fails, if it does.
    fn call(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let number = state.calls;
        state.calls += 1;
        match state.fails_at {
            Some((at, fault)) if number == at => Some(fault),
            Some((at, _)) if number > at => Some(Fault::Before),
            _ => None,
        }
    }

    /// Reads every playlist as a viewer would.
    async fn crawl(&self, after: &str) {
        let metas: Vec<ObjectMeta> = self
            .inner
            .list(None)
            .map(|meta| meta.unwrap())
            .collect()
            .await;
        let there: BTreeSet<String> = metas.iter().map(|meta| meta.location.to_string()).collect();
        for key in there.iter().filter(|key| is_playlist(key)) {
            let bytes = self.inner.get(&Path::from(key.as_str())).await.unwrap();
            let bytes = bytes.bytes().await.unwrap();
            for name in named(std::str::from_utf8(&bytes).unwrap()) {
                let folder = key.rsplit_once('/').unwrap().0;
                let wanted = format!("{folder}/{name}");
                if !there.contains(&wanted) {
                    let mut state = self.state.lock().unwrap();
                    state
                        .broken
                        .push(format!("after {after}, {key} names {name}"));
                }
            }
        }
    }
}

fn is_playlist(key: &str) -> bool {
    Kind::of(key) == Some(Kind::Playlist)
}

/// What a playlist names.
fn named(text: &str) -> Vec<String> {
    let attributes = text
        .split("URI=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    attributes.chain(lines).map(str::to_owned).collect()
}

fn away() -> Error {
    Error::Generic {
        store: "faulty",
        source: "status code: 503 Service Unavailable: ".into(),
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.call();
        let put = match fault {
            Some(Fault::Before) => return Err(away()),
            Some(Fault::Cut) if !is_playlist(location.as_ref()) => {
                let bytes = bytes::Bytes::from(payload);
                let half = bytes.slice(..bytes.len() / 2);
                self.inner.put(location, half.into()).await
            }
            _ => self.inner.put_opts(location, payload, opts).await,
        };
        self.crawl(&format!("put {location}")).await;
        if fault.is_some() { Err(away()) } else { put }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if self.call().is_some() {
            return Err(away());
        }
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.call().is_some() {
            return Err(away());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let fault = store.call();
                    if fault == Some(Fault::Before) {
                        return Err(away());
                    }
                    store.inner.delete(&location).await?;
                    store.crawl(&format!("delete {location}")).await;
                    if fault.is_some() {
                        Err(away())
                    } else {
                        Ok(location)
                    }
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.call().is_some() {
            return futures::stream::iter([Err(away())]).boxed();
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
