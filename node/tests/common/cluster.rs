//! Three real nodes on loopback: founded, joined, uploaded to, and one of them killed.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use protocol::http::Page;
use protocol::http::node::Node;
use protocol::http::video::{Video, VideoStatus};
use protocol::id::BlobHash;

const PROGRAM: &str = env!("CARGO_BIN_EXE_reelmesh");
/// Far longer than anything takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_mins(4);
const NAMES: [&str; 3] = ["a", "b", "c"];

struct Machine {
    name: &'static str,
    url: String,
    node: Option<Child>,
}

struct Cluster {
    dir: tempfile::TempDir,
    machines: Vec<Machine>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for machine in &mut self.machines {
            machine.kill();
        }
    }
}

impl Machine {
    /// As `kill -9`.
    fn kill(&mut self) {
        if let Some(mut node) = self.node.take() {
            drop(node.kill());
            drop(node.wait());
        }
    }
}

fn reelmesh(args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(args)
        .env_remove("REELMESH_CONFIG")
        .output()
        .expect("the program runs")
}

/// Runs a command that must succeed; returns what it printed.
fn done(args: &[&str]) -> String {
    let output = reelmesh(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a command that must be refused; returns its words.
fn refused(args: &[&str]) -> String {
    let output = reelmesh(args);
    assert!(!output.status.success(), "{args:?} must be refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: never");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Cluster {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut file = format!(
            "[origin]\nurl = \"file://{}\"\n[limits]\ndisk_reserve = \"16MiB\"\n\
             [render]\nlease = \"4s\"\nsandbox = \"best-effort\"\n",
            dir.path().join("origin").display()
        );
        let mut machines = Vec::new();
        // Held until all are known, so that no two are the same.
        let mut held = Vec::new();
        for name in NAMES {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
            let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let http = tcp.local_addr().expect("bound");
            let quic = udp.local_addr().expect("bound");
            held.push((tcp, udp));
            let site = if name == "c" { "lyon" } else { "berlin" };
            let data_dir = dir.path().join(name);
            writeln!(
                file,
                "[[node]]\nname = \"{name}\"\nsite = \"{site}\"\nhttp = \"{http}\"\nquic = \"{quic}\"\ndata_dir = \"{}\"",
                data_dir.display()
            )
            .expect("a string takes all");
            machines.push(Machine {
                name,
                url: format!("http://{http}"),
                node: None,
            });
        }
        fs::write(dir.path().join("cluster.toml"), file).expect("written");
        Self { dir, machines }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> String {
        self.path("cluster.toml").display().to_string()
    }

    fn start(&mut self, at: usize, token: Option<&str>) {
        let name = self.machines[at].name;
        let log = fs::File::create(self.path(&format!("{name}.log"))).expect("written");
        let mut command = Command::new(PROGRAM);
        command
            .args(["serve", "--config", &self.file(), "--node", name])
            .env_remove("REELMESH_JOIN_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(token) = token {
            command.env("REELMESH_JOIN_TOKEN", token);
        }
        self.machines[at].node = Some(command.spawn().expect("starts"));
        eventually("the node answers", || self.fetch(at, "/healthz"));
    }

    fn fetch(&self, at: usize, path: &str) -> Option<Vec<u8>> {
        let url = format!("{}{path}", self.machines[at].url);
        let get = async {
            drop(rustls::crypto::ring::default_provider().install_default());
            let answer = reqwest::get(url).await.ok()?;
            let answer = answer.error_for_status().ok()?;
            Some(answer.bytes().await.ok()?.to_vec())
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(get)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, at: usize, path: &str) -> Option<T> {
        serde_json::from_slice(&self.fetch(at, path)?).ok()
    }

    fn nodes(&self, at: usize) -> Vec<Node> {
        self.json(at, "/api/v1/nodes")
            .map_or_else(Vec::new, |page: Page<Node>| page.items)
    }

    fn token(&self, at: usize) -> String {
        let url = &self.machines[at].url;
        done(&["token", "create", "--to", url]).trim().to_owned()
    }
}

#[test]
fn a_video_uploaded_to_a_follower_becomes_ready_though_the_leader_is_killed() {
    let mut cluster = Cluster::new();
    let file = cluster.file();
    let first = cluster.machines[0].url.clone();

    let stray = refused(&["serve", "--config", &file, "--node", "a"]);
    assert!(stray.contains("cluster init"), "{stray}");
    done(&["cluster", "init", "--config", &file, "--node", "a"]);
    let again = refused(&["cluster", "init", "--config", &file, "--node", "a"]);
    assert!(again.contains("nothing was changed"), "{again}");
    cluster.start(0, None);
    let token = cluster.token(0);
    cluster.start(1, Some(&token));
    let used = refused(&["join", "--config", &file, "--node", "c", "--token", &token]);
    assert!(used.contains("the join token is used"), "{used}");
    let token = cluster.token(0);
    let taken = cluster.path("d").display().to_string();
    let taken = refused(&[
        "join",
        "--config",
        &file,
        "--node",
        "b",
        "--data-dir",
        &taken,
        "--token",
        &token,
    ]);
    assert!(taken.contains("the name \"b\" is taken"), "{taken}");
    cluster.start(2, Some(&token));
    let applied = done(&["apply", &file, "--to", &first]);
    assert!(applied.contains("as the file says"), "{applied}");
    eventually("all can render", || {
        let nodes = cluster.nodes(2);
        let able = |node: &Node| !node.encoders.is_empty() && node.state == "up";
        (nodes.len() == 3 && nodes.iter().all(able)).then_some(())
    });

    let leader = eventually("a leader", || {
        let nodes = cluster.nodes(0);
        let leader = nodes.iter().find(|node| node.leader)?;
        NAMES.iter().position(|name| leader.name == *name)
    });
    let followers: Vec<usize> = (0..3).filter(|&at| at != leader).collect();
    let reel = cluster.path("reel.mp4");
    let reel_text = reel.display().to_string();
    done(&["__reel", &reel_text, "--seconds", "6"]);
    let to = cluster.machines[followers[0]].url.clone();
    done(&["upload", "--to", &to, &reel_text]);
    let id = eventually("it renders", || {
        let page: Page<Video> = cluster.json(followers[1], "/api/v1/videos")?;
        let video = page.items.first()?;
        (video.status == VideoStatus::Rendering).then_some(video.id)
    });
    cluster.machines[leader].kill();

    let source = BlobHash::of(&fs::read(&reel).expect("there"));
    for &at in &followers {
        let video = eventually("it is ready", || {
            let video: Video = cluster.json(at, &format!("/api/v1/videos/{id}"))?;
            assert_ne!(video.status, VideoStatus::Failed, "{:?}", video.error);
            (video.status == VideoStatus::Ready).then_some(video)
        });
        let original = eventually("the original is given", || {
            cluster.fetch(at, &format!("/api/v1/videos/{id}/original"))
        });
        assert_eq!(BlobHash::of(&original), source);
        check_playlists(&cluster, at, &video.hls_url.expect("it plays"));
    }
    let nodes = cluster.nodes(followers[0]);
    let led = nodes.iter().find(|node| node.leader).expect("one leads");
    assert_ne!(led.name, NAMES[leader]);
}

/// Every name in every playlist answers.
fn check_playlists(cluster: &Cluster, at: usize, path: &str) {
    let bytes = cluster.fetch(at, path).unwrap_or_else(|| panic!("{path}"));
    if Path::new(path).extension().is_none_or(|ext| ext != "m3u8") {
        assert!(!bytes.is_empty(), "{path}");
        return;
    }
    let base = path.rsplit_once('/').expect("a path").0;
    let text = String::from_utf8(bytes).expect("text");
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        check_playlists(cluster, at, &format!("{base}/{line}"));
    }
}
