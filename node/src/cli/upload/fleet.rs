//! The nodes that a file may be sent to: found, asked all at once, chosen from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use protocol::http::quic::Quic;
use protocol::upload::Outlook;
use protocol::version;
use quinn::{Connection, Endpoint};
use tokio::sync::watch;

use super::super::client::Client;
use super::super::{Error, Kind, Shared};
use crate::auth::authority;
use crate::config::Config;
use crate::ingest::client;
use crate::transport;
use crate::transport::nearest::{self, Sighting};

/// Longest wait for a node to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long others may still answer after the first one did. Who is later than this is not near.
const GRACE: Duration = Duration::from_millis(250);

/// Nodes that are asked at most.
const NODES_MAX: usize = 64;

/// The nodes, as far as they are known. Clones know the same.
#[derive(Clone)]
pub(crate) struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    /// Certificate of the cluster's authority.
    authority_pem: String,
    server_name: String,
    /// `--to` named the node.
    is_fixed: bool,
    endpoints: Mutex<BTreeMap<bool, Endpoint>>,
    nodes: Mutex<BTreeMap<String, Entry>>,
    /// Counts answers.
    answers: watch::Sender<u64>,
}

/// One node, by host and port.
#[derive(Default)]
struct Entry {
    seen: Option<Seen>,
    is_asked: bool,
    /// What came of asking.
    trouble: Option<String>,
    /// It is a node that is known by another address.
    is_double: bool,
}

/// A node that answered.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) address: String,
    pub(crate) connection: Connection,
    pub(crate) outlook: Outlook,
}

impl Seen {
    /// Where its web page is.
    pub(crate) fn http(&self) -> Option<String> {
        let host = match self.connection.remote_address() {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        let port = self.outlook.http_port;
        (port != 0).then(|| format!("http://{host}:{port}"))
    }

    fn sighting(&self) -> Sighting {
        Sighting {
            name: self.outlook.node.clone(),
            rtt: self.connection.rtt(),
            free_bytes: self.outlook.free_bytes,
            cpu_permille: self.outlook.cpu_permille,
            uploads: self.outlook.uploads,
            is_closed: self.outlook.is_closed,
        }
    }
}

/// The node for a file, and why it is that one.
pub(crate) struct Chosen {
    pub(crate) node: Seen,
    pub(crate) why: String,
}

impl Fleet {
    /// Asks the nodes that are named over HTTP where QUIC is and whom to believe there: the one
    /// that `--to` names, else those of the file, else the usual one.
    pub(crate) async fn find(shared: &Shared, file: Option<&Path>) -> Result<Self, Error> {
        let bases = bases(shared, file)?;
        let mut asked: FuturesUnordered<_> = bases
            .iter()
            .map(|base| async move {
                let client = Client::of(base, shared)?;
                let quic: Quic = client.fetch("/quic", &[]).await?;
                let address = client.resolve(quic.port).await?;
                Ok::<_, Error>((quic, address))
            })
            .collect();
        let mut error = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok((quic, address)) => {
                    let fleet = Self {
                        inner: Arc::new(Inner {
                            authority_pem: quic.authority_pem,
                            server_name: quic.server_name,
                            is_fixed: shared.to.is_some(),
                            endpoints: Mutex::default(),
                            nodes: Mutex::default(),
                            answers: watch::channel(0).0,
                        }),
                    };
                    fleet.know(address.to_string());
                    return Ok(fleet);
                }
                Err(one) => error = error.or(Some(one)),
            }
        }
        Err(error.unwrap_or_else(|| Error::new(Kind::Usage, "the file names no node")))
    }

    /// The best node for a file of `size_bytes`. All are asked at once, and who answers in time is
    /// chosen from; who answers later counts the next time.
    pub(crate) async fn choose(&self, size_bytes: u64) -> Result<Chosen, Error> {
        let mut answers = self.inner.answers.subscribe();
        self.refresh(size_bytes).await;
        self.ask_all(size_bytes);
        let wait = async {
            while self.seen().is_empty() && self.is_waiting() {
                if answers.changed().await.is_err() {
                    return;
                }
            }
            let others = async {
                while self.is_waiting() {
                    if answers.changed().await.is_err() {
                        return;
                    }
                }
            };
            let _in_time = tokio::time::timeout(GRACE, others).await;
        };
        let _in_time = tokio::time::timeout(ANSWER_WITHIN, wait).await;
        let seen = self.seen();
        let sightings: Vec<Sighting> = seen.iter().map(Seen::sighting).collect();
        let best = if self.inner.is_fixed {
            // A person has chosen; the node itself says if it cannot.
            (!seen.is_empty()).then_some(0)
        } else {
            nearest::choose(size_bytes, &sightings)
        };
        match best {
            Some(at) => Ok(Chosen {
                node: seen[at].clone(),
                why: nearest::why(at, size_bytes, &sightings),
            }),
            None if seen.is_empty() => Err(self.unreachable()),
            None => {
                let why = nearest::why_none(size_bytes, &sightings);
                Err(
                    Error::new(Kind::Refused, format!("no node can take it: {why}"))
                        .hint("free space on a node, or name another with --to URL"),
                )
            }
        }
    }

    /// The node at `address`, which another one named.
    pub(crate) async fn go_to(&self, address: &str, size_bytes: u64) -> Result<Seen, Error> {
        let known = self.seen().into_iter().find(|seen| seen.address == address);
        if let Some(known) = known {
            return Ok(known);
        }
        self.know(address.to_owned());
        match self.ask(address, size_bytes).await {
            Ok(seen) => Ok(seen),
            Err(trouble) => Err(Error::new(
                Kind::Unreachable,
                format!("cannot reach a node at {address} over UDP: {trouble}"),
            )),
        }
    }

    /// A connection broke: the node is asked anew.
    pub(crate) fn lose(&self, node: &Seen) {
        node.connection.close(0_u32.into(), b"lost");
        for (address, entry) in self.nodes().iter_mut() {
            if *address == node.address || entry.is_double {
                *entry = Entry::default();
            }
        }
    }

    /// Ends all connections in good order.
    pub(crate) async fn close(&self) {
        for seen in self.seen() {
            seen.connection.close(0_u32.into(), b"done");
        }
        let endpoints: Vec<Endpoint> = self.endpoints().values().cloned().collect();
        for endpoint in endpoints {
            let idle = tokio::time::timeout(Duration::from_millis(200), endpoint.wait_idle());
            let _in_time = idle.await;
        }
    }

    /// Asks those again that are connected: load and space change.
    async fn refresh(&self, size_bytes: u64) {
        let seen = self.seen();
        let looks = seen.into_iter().map(|seen| async move {
            let look = client::look(&seen.connection, size_bytes);
            let look = tokio::time::timeout(GRACE, look).await;
            (seen, look)
        });
        for (seen, look) in futures::future::join_all(looks).await {
            match look {
                Ok(Ok(outlook)) => {
                    let mut nodes = self.nodes();
                    if let Some(known) = nodes
                        .get_mut(&seen.address)
                        .and_then(|entry| entry.seen.as_mut())
                    {
                        known.outlook = outlook;
                    }
                }
                Ok(Err(_)) => self.lose(&seen),
                // Slow, which its round trip will say.
                Err(_) => {}
            }
        }
        // Who did not answer the last time may do so now.
        for entry in self.nodes().values_mut() {
            if entry.trouble.take().is_some() {
                entry.is_asked = false;
            }
        }
    }

    fn ask_all(&self, size_bytes: u64) {
        let unasked: Vec<String> = {
            let mut nodes = self.nodes();
            let unasked = nodes.iter_mut().filter(|(_, entry)| !entry.is_asked);
            unasked
                .map(|(address, entry)| {
                    entry.is_asked = true;
                    address.clone()
                })
                .collect()
        };
        for address in unasked {
            let fleet = self.clone();
            tokio::spawn(async move {
                let answer = fleet.ask(&address, size_bytes).await;
                if let Err(trouble) = answer {
                    if let Some(entry) = fleet.nodes().get_mut(&address) {
                        entry.trouble = Some(trouble);
                    }
                } else {
                    // It may have named others.
                    fleet.ask_all(size_bytes);
                }
                fleet.inner.answers.send_modify(|count| *count += 1);
            });
        }
    }

    async fn ask(&self, address: &str, size_bytes: u64) -> Result<Seen, String> {
        let exchange = async {
            let connection = self.connect(address).await?;
            let outlook = client::look(&connection, size_bytes)
                .await
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(Seen {
                address: address.to_owned(),
                connection,
                outlook,
            })
        };
        let seen = tokio::time::timeout(ANSWER_WITHIN, exchange)
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
        if !self.inner.is_fixed {
            for peer in &seen.outlook.peers {
                self.know(peer.address.clone());
            }
        }
        let mut nodes = self.nodes();
        // Some node may be known by two addresses: the first that answers stands for it.
        let is_known = nodes.iter().any(|(other, entry)| {
            other != address
                && entry.seen.as_ref().is_some_and(|other| {
                    other.outlook.node == seen.outlook.node
                        && other.connection.close_reason().is_none()
                })
        });
        let entry = nodes.entry(address.to_owned()).or_default();
        entry.is_asked = true;
        entry.is_double = is_known;
        if is_known {
            seen.connection.close(0_u32.into(), b"known");
        } else {
            entry.seen = Some(seen.clone());
        }
        Ok(seen)
    }

    async fn connect(&self, address: &str) -> Result<Connection, String> {
        let target = tokio::net::lookup_host(address)
            .await
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| format!("there is no host {address}"))?;
        let endpoint = self.endpoint(target)?;
        let connecting = endpoint.connect(target, &self.inner.server_name);
        let connecting = connecting.map_err(|error| error.to_string())?;
        connecting.await.map_err(|error| error.to_string())
    }

    fn endpoint(&self, target: SocketAddr) -> Result<Endpoint, String> {
        let mut endpoints = self.endpoints();
        if let Some(endpoint) = endpoints.get(&target.is_ipv4()) {
            return Ok(endpoint.clone());
        }
        let tls = authority::client_config(&self.inner.authority_pem, version::UPLOAD)
            .map_err(|error| error.to_string())?;
        let endpoint = transport::bind_client(target, tls).map_err(|error| error.to_string())?;
        endpoints.insert(target.is_ipv4(), endpoint.clone());
        Ok(endpoint)
    }

    fn know(&self, address: String) {
        let mut nodes = self.nodes();
        if nodes.len() < NODES_MAX {
            nodes.entry(address).or_default();
        }
    }

    fn seen(&self) -> Vec<Seen> {
        let nodes = self.nodes();
        let seen = nodes.values().filter_map(|entry| entry.seen.clone());
        seen.filter(|seen| seen.connection.close_reason().is_none())
            .collect()
    }

    fn is_waiting(&self) -> bool {
        let nodes = self.nodes();
        nodes.values().any(|entry| {
            let is_told = entry.seen.is_some() || entry.trouble.is_some() || entry.is_double;
            entry.is_asked && !is_told
        })
    }

    fn unreachable(&self) -> Error {
        let nodes = self.nodes();
        let each = nodes.iter().map(|(address, entry)| {
            let trouble = entry.trouble.as_deref().unwrap_or("no answer in time");
            format!("{address}: {trouble}")
        });
        let each = each.collect::<Vec<_>>().join("; ");
        Error::new(
            Kind::Unreachable,
            format!("cannot reach the upload port of any node over UDP ({each})"),
        )
        .hint("is UDP let through to that port?")
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.inner.nodes.lock().expect("no holder panics")
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<bool, Endpoint>> {
        self.inner.endpoints.lock().expect("no holder panics")
    }
}

/// Where nodes may be asked over HTTP.
fn bases(shared: &Shared, file: Option<&Path>) -> Result<Vec<String>, Error> {
    let Some(file) = file.filter(|_| shared.to.is_none()) else {
        return Ok(vec![shared.url().to_owned()]);
    };
    let config = Config::load(Some(file))
        .map_err(|error| Error::new(Kind::Usage, format!("{}: {error}", file.display())))?;
    let base = |node: &crate::config::Node| {
        let host = if node.http.ip().is_unspecified() {
            // It listens everywhere; the other nodes know where it is.
            let peer = node.peer_address()?;
            peer.rsplit_once(':').map(|(host, _)| host.to_owned())?
        } else if node.http.is_ipv6() {
            format!("[{}]", node.http.ip())
        } else {
            node.http.ip().to_string()
        };
        Some(format!("http://{host}:{}", node.http.port()))
    };
    Ok(config.nodes.iter().filter_map(base).collect())
}
