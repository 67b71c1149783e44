//! Assembly: the only room that knows everybody; hands out handles, keys and config sections.

mod announce;
mod copies;
mod enter;
mod members;
mod net;
mod parts;
mod reload;
mod scrub;
mod sweep;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use coordinator::raft;
use protocol::id::UploadId;
use protocol::join::Token;
use protocol::time::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::blob;
use crate::config::{self, Config};
use crate::edge;
use crate::edge::Edge;
use crate::http;
use crate::ingest;
use crate::media;
use crate::origin::Origin;
use crate::publish;
use crate::raft_net;
use crate::telemetry::metrics;
use crate::vitals;

use enter::{identify, note_log, open_data_dir, raft_options};
use net::Net;
use parts::Parts;

pub use enter::{found, join_only};

/// What a machine is started with, beside its section of the file.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The file, to be read again on SIGHUP.
    pub file: Option<PathBuf>,
    /// For a machine that is no node yet.
    pub token: Option<Token>,
}

/// A node, put together.
#[derive(Debug)]
pub struct App {
    parts: Parts,
    catalog: raft::Handle,
    file: Option<PathBuf>,
    /// Held as long as the node runs: two programs on one data folder would ruin it.
    _lock: File,
}

impl App {
    /// Opens everything that this node keeps, and every port, before any work starts.
    ///
    /// # Errors
    /// A port is taken, the data folder is in use or damaged, the disk fails, or the cluster does
    /// not let this machine in.
    #[expect(
        clippy::too_many_lines,
        reason = "one list of all there is, read from the top"
    )]
    pub async fn load(config: Config, node: config::Node, start: Start) -> anyhow::Result<Self> {
        allow_open_files();
        let listener = TcpListener::bind(node.http).await.with_context(|| {
            format!(
                "cannot listen on {} (node.http); is another node running?",
                node.http
            )
        })?;
        let (data_dir, lock) = open_data_dir(&node.data_dir)?;
        let recorder = metrics::install().context("cannot begin metrics")?;
        let identity = Arc::new(identify(&config, &node, &data_dir, start.token.as_ref()).await?);
        let net = Net::open(&identity, node.quic)?;

        let (client, trouble) =
            raft_net::Client::new(net.pool(protocol::version::RAFT)?, identity.cluster());
        let options = raft_options(&node, &data_dir, &identity)?;
        let (catalog, raft_service) = raft::open(options, client)
            .await
            .context("cannot open the catalogue")?;
        note_log(&data_dir)?;
        let peers = raft_net::Peers {
            cluster: identity.cluster(),
            catalog: catalog.clone(),
        };
        let blobs =
            blob::Store::open(data_dir.join("blobs")).context("cannot open the originals")?;
        let reserve_bytes = config.limits.disk_reserve.as_bytes();
        let originals = blob::Fetcher::new(
            blobs.clone(),
            catalog.clone(),
            identity.cluster(),
            net.pool(protocol::version::BLOB)?,
            reserve_bytes,
        )
        .context("cannot open the originals")?;
        let origin =
            Origin::from_section(&config.origin, &data_dir, &|name| std::env::var(name).ok())
                .context("cannot open the origin")?;
        let uploads = ingest::Handle::open(
            ingest_options(&config),
            ingest::spool::Spool::open(data_dir.join("spool")).context("cannot open the spool")?,
            blobs.clone(),
            catalog.clone(),
        )
        .context("cannot read the uploads under way")?;

        let cores = std::thread::available_parallelism()
            .map_or(1, |n| u16::try_from(n.get()).unwrap_or(u16::MAX));
        let (media_service, media) = media::Service::new(
            media_options(&config, &node, &data_dir, cores)?,
            catalog.clone(),
            originals.clone(),
        )
        .context("cannot prepare rendering")?;
        let (vitals_service, vitals) = vitals::Service::new(vitals::Options {
            catalog: catalog.clone(),
            cluster: identity.cluster(),
            pool: net.pool(protocol::version::VITALS)?,
            data_dir: data_dir.clone(),
        });
        uploads.watch_fleet(vitals.watch());
        let router = net.router(&peers, &uploads, &vitals, &blobs);

        let live = http::Live {
            uploads: received_bytes(&uploads),
            jobs: media.progress(),
            vitals: vitals.watch(),
        };
        let edge = Edge::open(origin.clone(), edge_options(&config, &data_dir))
            .context("cannot open the cache")?;
        let made = edge.clone();
        let mut api = http::Api::new(catalog.clone(), edge, blobs.clone(), live, data_dir.clone());
        api.metrics = Some(recorder);
        api.disk_floor_bytes = reserve_bytes;
        api.originals = originals.clone();
        api.trouble = trouble;
        api.membership = Some(http::cluster::Membership {
            authority: identity.authority_hash(),
            admits: identity.authority_key_pem().is_ok(),
        });
        let sweeper = publish::sweep::Sweeper::default();
        api.sweeping = http::origin::Sweeping {
            sweeper: sweeper.clone(),
            grace: config.origin.sweep_grace.into(),
        };
        let store = origin.clone();
        let publish = publish::Service::new(
            publish::Options {
                outbox: data_dir.join("outbox"),
                retired_grace: config.origin.retired_grace.into(),
                growing: config.origin.growing_playlists,
                keep: publish::Keep::new(move |key, bytes| made.keep(key, bytes)),
            },
            catalog.clone(),
            origin,
        );
        let announce = announce::Service {
            catalog: catalog.clone(),
            settings: announce::settings(&config),
            cores,
            abilities: media.abilities(),
            node,
        };
        let driver = raft::driver::Service::new(raft::driver::Options {
            catalog: catalog.clone(),
            fleet: vitals.watch(),
            clock: Arc::new(now),
        });
        let server = http::Server {
            listener,
            api,
            uploads: http::tus::router(uploads.clone()),
            quic: http::quic::router(net.quic()?),
        };

        let mut parts = Parts::default();
        // First, so that it is there to the last: the others hand over what they have through it.
        parts.add("quic", |stop| router.run(net.endpoint, stop));
        parts.add("catalogue", |stop| raft_service.run(stop));
        parts.add("members", |stop| members::run(catalog.clone(), stop));
        parts.add("vitals", |stop| vitals_service.run(stop));
        parts.add("announce", |stop| announce.run(stop));
        parts.add("scheduler", |stop| driver.run(stop));
        let held = blobs.clone();
        parts.add("scrub", |stop| scrub::run(catalog.clone(), held, now, stop));
        parts.add("originals", |stop| sweep::run(catalog.clone(), blobs, stop));
        let fleet = vitals.watch();
        parts.add("copies", |stop| {
            copies::run(catalog.clone(), originals, fleet, now, stop)
        });
        parts.add("uploads", |stop| ingest::Service::new(uploads).run(stop));
        parts.add("publish", |stop| publish.run(stop));
        let (every, grace) = (config.origin.sweep_every, config.origin.sweep_grace);
        parts.add("sweep", |stop| {
            let catalog = catalog.clone();
            publish::sweep::regularly(sweeper, store, catalog, every.into(), grace.into(), stop)
        });
        parts.add("media", |stop| media_service.run(stop));
        parts.add("http", |stop| server.run(stop));
        Ok(Self {
            parts,
            catalog,
            file: start.file,
            _lock: lock,
        })
    }

    /// Runs until SIGINT or SIGTERM; SIGHUP applies the file again.
    ///
    /// # Errors
    /// A part of the node failed.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot hear SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot hear SIGINT")?;
        let mut hang_up = signal(SignalKind::hangup()).context("cannot hear SIGHUP")?;
        let (catalog, file) = (self.catalog, self.file);
        let stop = async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {
                        info!("SIGTERM: stopping");
                        return;
                    }
                    _ = interrupt.recv() => {
                        info!("SIGINT: stopping");
                        return;
                    }
                    _ = hang_up.recv() => reload::apply_file(&catalog, file.as_deref()).await,
                }
            }
        };
        self.parts.run(stop).await
    }
}

/// Raises the number of files that may be open to what the system allows: each upload under way
/// holds two and each viewer one, and the usual 1024 is for programs that call `select`.
fn allow_open_files() {
    let standing = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: standing.maximum,
        ..standing
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        warn!(%error, "the number of open files stays limited");
    }
}

/// A folder on this machine is as near as a cache on its disk would be, and needs no reading ahead.
fn edge_options(config: &Config, data_dir: &Path) -> edge::Options {
    let delivery = &config.delivery;
    let near = config.origin.is_near();
    let budget_bytes = delivery.cache_disk.as_bytes();
    edge::Options {
        memory_bytes: delivery.cache_memory.as_bytes(),
        disk: (!near && budget_bytes > 0).then(|| edge::Disk {
            folder: data_dir.join("cache"),
            budget_bytes,
            reserve_bytes: config.limits.disk_reserve.as_bytes(),
        }),
        ahead: if near {
            0
        } else {
            usize::from(delivery.read_ahead)
        },
    }
}

fn ingest_options(config: &Config) -> ingest::Options {
    ingest::Options {
        size_max_bytes: config.limits.upload_size.as_bytes(),
        expiry: config.limits.upload_expiry.into(),
        filename_chars: config.limits.filename_chars,
        reserve_bytes: config.limits.disk_reserve.as_bytes(),
        cors_origins: config.http.cors_origins.clone(),
    }
}

fn media_options(
    config: &Config,
    node: &config::Node,
    data_dir: &Path,
    cores: u16,
) -> anyhow::Result<media::Options> {
    let slots = node.slots.count(cores);
    let limits = media::sandbox::Limits {
        address_space_bytes: config.render.worker_memory.as_bytes(),
        ..media::sandbox::Limits::default()
    };
    Ok(media::Options {
        data_dir: data_dir.to_owned(),
        process: media::process::Options {
            program: std::env::current_exe().context("cannot find this program")?,
            registry: data_dir.join("gstreamer.registry"),
            enforcement: match config.render.sandbox {
                config::Sandbox::Strict => media::sandbox::Enforcement::Required,
                config::Sandbox::BestEffort => media::sandbox::Enforcement::BestEffort,
            },
            limits,
        },
        slots,
        threads: (cores / slots).max(1),
        disk_reserve_bytes: config.limits.disk_reserve.as_bytes(),
        stall: config.render.stall_timeout.into(),
    })
}

/// Bytes on disk of each open upload, as the page shows them.
fn received_bytes(uploads: &ingest::Handle) -> watch::Receiver<Arc<BTreeMap<UploadId, u64>>> {
    let mut progress = uploads.progress();
    let (sender, receiver) = watch::channel(Arc::default());
    tokio::spawn(async move {
        loop {
            let bytes = progress
                .borrow_and_update()
                .iter()
                .map(|(id, progress)| (*id, progress.received_bytes))
                .collect();
            if sender.send(Arc::new(bytes)).is_err() || progress.changed().await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// The wall clock: what commands are stamped with.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
