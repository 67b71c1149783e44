//! Publishing into real servers, each killed and brought back in the middle. `make store-test` runs
//! these with the servers that it installs; without them they are not run.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;

use bytes::Bytes;
use coordinator::catalog::Command;
use coordinator::catalog::video::Status;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::HttpRequestBody;
use protocol::id::{BlobHash, GenerationId, VideoId};
use tokio_util::sync::CancellationToken;

use super::hls::names;
use super::hls::names::Kind;
use super::{Keep, Options, Service, fixture, sweep};
use crate::config;
use crate::origin::Origin;
use crate::origin::check;
use crate::origin::check::Outcome;

/// The account that the emulator is born with, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// How often each server is killed.
const KILLS: u64 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    S3s,
    Azurite,
    Moto,
}

struct Server {
    kind: Which,
    program: PathBuf,
    data: tempfile::TempDir,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// The server whose program the environment names.
    async fn start(kind: Which) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let variable = match kind {
            Which::S3s => "REELMESH_TEST_S3S",
            Which::Azurite => "REELMESH_TEST_AZURITE",
            Which::Moto => "REELMESH_TEST_MOTO",
        };
        let program = std::env::var_os(variable)
            .unwrap_or_else(|| panic!("{variable} names no program; run `make store-test`"));
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let mut server = Self {
            kind,
            program: program.into(),
            data: tempfile::tempdir().unwrap(),
            port,
            running: None,
        };
        server.up().await;
        server.bucket().await;
        server
    }

    async fn up(&mut self) {
        let port = self.port.to_string();
        let data = self.data.path();
        let mut program = Program::new(&self.program);
        match self.kind {
            Which::S3s => program
                .args(["--host", "127.0.0.1", "--port", &port])
                .args(["--access-key", "A", "--secret-key", "S"])
                .arg(data),
            Which::Azurite => {
                program = Program::new("node");
                program
                    .arg(&self.program)
                    .args(["--silent", "--skipApiVersionCheck", "--location"])
                    .arg(data)
                    .args(["--blobHost", "127.0.0.1", "--blobPort", &port])
            }
            Which::Moto => program.args(["-H", "127.0.0.1", "-p", &port]),
        };
        let program = program.stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(program.spawn().unwrap());
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:?} does not come up", self.kind);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    async fn bucket(&self) {
        let base = format!("http://127.0.0.1:{}", self.port);
        match self.kind {
            Which::S3s => std::fs::create_dir(self.data.path().join("films")).unwrap(),
            Which::Moto => {
                let client = reqwest::Client::new();
                let made = client.put(format!("{base}/films")).send().await.unwrap();
                assert!(made.status().is_success());
            }
            Which::Azurite => {
                let url = format!("{base}/{ACCOUNT}/films?restype=container");
                let mut request = axum::http::Request::put(&url)
                    .header("content-length", "0")
                    .body(HttpRequestBody::empty())
                    .unwrap();
                let key = AzureCredential::AccessKey(AzureAccessKey::try_new(ACCOUNT_KEY).unwrap());
                AzureAuthorizer::new(&key, ACCOUNT)
                    .try_authorize(&mut request)
                    .unwrap();
                let client = reqwest::Client::new();
                let made = client.put(&url).headers(request.headers().clone());
                let made = made.send().await.unwrap();
                assert!(made.status().is_success(), "{}", made.text().await.unwrap());
            }
        }
    }

    fn section(&self) -> config::Origin {
        let base = format!("http://127.0.0.1:{}", self.port);
        let (url, endpoint) = match self.kind {
            Which::S3s | Which::Moto => ("s3://films/a/prefix", base),
            Which::Azurite => ("az://films", format!("{base}/{ACCOUNT}")),
        };
        config::Origin {
            url: url.to_owned(),
            endpoint,
            conditional_put: config::ConditionalPut::Etag,
            retries: 1,
            request_timeout: config::Span::from_millis(5000),
            ..config::Origin::default()
        }
    }

    fn origin(&self) -> Origin {
        Origin::from_section(&self.section(), Path::new("/"), &environment).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "AWS_ACCESS_KEY_ID" => "A",
        "AWS_SECRET_ACCESS_KEY" => "S",
        "AZURE_STORAGE_ACCOUNT_KEY" => ACCOUNT_KEY,
        _ => return None,
    };
    Some(value.to_owned())
}

/// Everything that the playlists below `base` name is there, and every file has the bytes that its
/// name tells.
async fn prove(origin: &Origin, video: VideoId, generation: GenerationId) -> usize {
    let base = names::folder(video, generation);
    let there: BTreeMap<String, u64> = origin.list(&base).await.unwrap();
    for key in there.keys() {
        let bytes = origin.get(key, 64 << 20).await.unwrap();
        if let Some(hash) = names::hash_in(key) {
            assert_eq!(BlobHash::of(&bytes).short(), hash, "{key}");
        }
        if Kind::of(key) == Some(Kind::Playlist) {
            let folder = key.rsplit_once('/').unwrap().0;
            for name in super::faults::named(std::str::from_utf8(&bytes).unwrap()) {
                let wanted = format!("{folder}/{name}");
                assert!(there.contains_key(&wanted), "{key} names {name}");
            }
        }
    }
    let master = names::key(video, generation, names::MASTER);
    assert!(there.contains_key(&master));
    there.len()
}

/// Publishes one video after the other while the server is killed and brought back.
async fn killed_in_the_middle(kind: Which) {
    let mut server = Server::start(kind).await;
    let origin = server.origin();
    let outbox = tempfile::tempdir().unwrap();
    let catalog = fixture::library().await;
    let mut videos = Vec::new();
    // The emulator is slow, and no less killed for it.
    let count = if kind == Which::Azurite { 6 } else { 20 };
    for number in 0..count {
        let name = format!("{number}.mov");
        let bytes = name.clone().into_bytes();
        let probe = fixture::long_probe();
        let made = fixture::probed_as(&catalog, number + 1, &name, &bytes, probe).await;
        fixture::render(&catalog, made.0, outbox.path()).await;
        videos.push(made);
    }
    let options = Options {
        outbox: outbox.path().to_owned(),
        retired_grace: Duration::ZERO,
        growing: true,
        keep: Keep::default(),
    };
    let shutdown = CancellationToken::new();
    let service = Service::new(options.clone(), catalog.clone(), origin.clone());
    let running = tokio::spawn(service.run(shutdown.clone()));
    let ready = || {
        catalog.read(|c| {
            let ready =
                |(video, _): &&(VideoId, _)| c.video(*video).unwrap().status == Status::Ready;
            videos.iter().filter(ready).count()
        })
    };
    let mut amid = 0;
    for kill in 0..KILLS {
        // A little later each time, so that other requests are under way.
        tokio::time::sleep(Duration::from_millis(120 + kill * 53)).await;
        let units = catalog.read(|c| {
            let building = c.generations_in(coordinator::catalog::generation::Stage::Building);
            building.count()
        });
        amid += usize::from(units > 0);
        server.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.up().await;
        while origin.trouble().borrow().is_some() && ready() < videos.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    tokio::time::timeout(Duration::from_mins(3), async {
        while ready() < videos.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("all is published in the end");
    let mut objects = 0;
    for (video, generation) in &videos {
        objects += prove(&origin, *video, *generation).await;
    }
    // Nothing is left of what is deleted, and nothing is swept of what is not.
    let deleted = videos[0];
    let delete = Command::DeleteVideo { video: deleted.0 };
    catalog.propose(delete).await.unwrap();
    while catalog.read(|c| c.generation(deleted.1).is_some()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shutdown.cancel();
    running.await.unwrap();
    let all = sweep::Options {
        grace: Duration::ZERO,
        dry_run: false,
        list_max: 10,
    };
    let report = sweep::run(&origin, &catalog, all).await.unwrap();
    assert_eq!(report.foreign.objects, 0);
    for (video, generation) in &videos[1..] {
        prove(&origin, *video, *generation).await;
    }
    say(&format!(
        "{kind:?}: {KILLS} kills ({amid} while it published), {} videos, {objects} objects, all there; {} swept",
        videos.len(),
        report.gone.values().map(|sum| sum.objects).sum::<u64>(),
    ));
}

fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

async fn passes_the_check(kind: Which, expect: &[(&str, Outcome)]) {
    let server = Server::start(kind).await;
    let page = "https://page.example";
    let report = check::run(&server.section(), Path::new("/"), &environment, page).await;
    let odd: Vec<_> = (report.steps.iter())
        .filter(|step| step.outcome != Outcome::Ok)
        .map(|step| (step.name, step.outcome))
        .collect();
    assert_eq!(odd, expect, "{report:#?}");
    // Keys that are wrong are refused, where the server looks at them.
    if kind != Which::Moto {
        let wrong = |name: &str| environment(name).map(|_| "d3Jvbmc=".to_owned());
        let report = check::run(&server.section(), Path::new("/"), &wrong, page).await;
        assert_eq!(report.failures(), 1, "{report:#?}");
        let mend = report.steps[1].mend.as_deref().unwrap_or_default();
        assert!(
            mend.contains("AWS_SECRET_ACCESS_KEY") || mend.contains("AWS_ACCESS_KEY_ID"),
            "{report:#?}"
        );
    }
}

const CORS: [(&str, Outcome); 2] = [
    ("cors_preflight", Outcome::Warning),
    ("cors_get", Outcome::Warning),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants s3s-fs: make store-test"]
async fn s3s_is_killed_in_the_middle() {
    killed_in_the_middle(Which::S3s).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants Azurite: make store-test"]
async fn azurite_is_killed_in_the_middle() {
    killed_in_the_middle(Which::Azurite).await;
}

#[tokio::test]
#[ignore = "wants s3s-fs: make store-test"]
async fn s3s_passes_the_check() {
    let unfinished = ("unfinished", Outcome::Warning);
    passes_the_check(Which::S3s, &[unfinished, CORS[0], CORS[1]]).await;
}

#[tokio::test]
#[ignore = "wants Azurite: make store-test"]
async fn azurite_passes_the_check() {
    passes_the_check(Which::Azurite, &CORS).await;
}

#[tokio::test]
#[ignore = "wants moto: make store-test"]
async fn moto_passes_the_check() {
    passes_the_check(Which::Moto, &CORS).await;
}

/// An upload in parts that a killed node began is found by its number and given up.
#[tokio::test]
#[ignore = "wants moto: make store-test"]
async fn a_dead_upload_in_parts_is_swept() {
    let server = Server::start(Which::Moto).await;
    let origin = server.origin();
    let catalog = fixture::library().await;
    origin.begin_and_forget("hls/a/b/clip.mp4").await.unwrap();
    let sweeping = |dry_run| sweep::Options {
        grace: Duration::ZERO,
        dry_run,
        list_max: 10,
    };
    for (dry_run, expect) in [(true, 1), (false, 1), (false, 0)] {
        let report = sweep::run(&origin, &catalog, sweeping(dry_run))
            .await
            .unwrap();
        assert_eq!(report.listed.len(), expect, "{report:?}");
    }
    origin.put("check/1/a", Bytes::new()).await.unwrap();
    let kept = sweep::Options {
        grace: Duration::from_hours(1),
        ..sweeping(false)
    };
    let report = sweep::run(&origin, &catalog, kept).await.unwrap();
    assert_eq!((report.young.objects, report.gone.len()), (1, 0));
}
