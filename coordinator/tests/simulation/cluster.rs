//! Nodes that run the real catalogue, Raft, scheduler and driver, and can die at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coordinator::catalog::node::{Node, Role};
use coordinator::catalog::{Catalog, Command, invariant};
use coordinator::raft::driver;
use coordinator::raft::{Change, Clock, Error, Handle, Options, Service, open_here};
use protocol::codec;
use protocol::id::NodeId;
use protocol::time::Timestamp;
use protocol::vitals::Vitals;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::chance::Shared;
use super::disk::Platter;
use super::net::{Alive, Net};
use super::work::{self, Outbox};

/// The clocks of the nodes start about here.
const START_MS: i64 = 1_795_377_600_000;
/// A node reports this often, as the real ones do.
const REPORT_EVERY: Duration = Duration::from_secs(2);

type Fleet = watch::Sender<Arc<BTreeMap<NodeId, Vitals>>>;

/// A machine: what stays when its process dies.
struct Machine {
    platter: Platter,
    /// Files in it are never half there: they are synced before they get their names.
    snapshots: PathBuf,
    /// How far its clock is off.
    off_ms: Arc<AtomicI64>,
    outbox: Outbox,
    process: Option<Process>,
    starts: u64,
    /// Nothing happens to it until its process is there.
    starting: bool,
}

struct Process {
    handle: Handle,
    alive: Alive,
    stop: CancellationToken,
    fleet: Fleet,
}

#[derive(Default)]
struct State {
    machines: BTreeMap<NodeId, Machine>,
    /// The catalogue after each entry that somebody looked at.
    seen: BTreeMap<u64, Catalog>,
}

/// All machines.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
    pub net: Net,
    pub shared: Shared,
    pub origin: work::Origin,
    dir: Arc<TempDir>,
    start: Instant,
    /// Whether the disks lie; see [`Platter`].
    lies: bool,
}

/// What a client talks to, and how it learns that it is gone.
#[derive(Clone)]
pub struct Contact {
    pub handle: Handle,
    pub stop: CancellationToken,
}

impl Cluster {
    pub fn new(shared: &Shared, lies: bool) -> Self {
        // In memory where there is such a place: nothing here waits for a disk.
        let dir = if Path::new("/dev/shm").is_dir() {
            tempfile::tempdir_in("/dev/shm")
        } else {
            tempfile::tempdir()
        };
        Self {
            state: Arc::default(),
            net: Net::new(shared),
            shared: shared.clone(),
            origin: work::Origin::default(),
            dir: Arc::new(dir.expect("a folder")),
            start: Instant::now(),
            lies,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn note(&self, event: &str) -> u64 {
        self.shared.note(event)
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.state().machines.keys().copied().collect()
    }

    pub fn running(&self) -> Vec<NodeId> {
        let state = self.state();
        let running = state.machines.iter().filter(|(_, m)| m.process.is_some());
        running.map(|(&id, _)| id).collect()
    }

    pub fn contact(&self, id: NodeId) -> Option<Contact> {
        let state = self.state();
        let process = state.machines.get(&id)?.process.as_ref()?;
        Some(Contact {
            handle: process.handle.clone(),
            stop: process.stop.clone(),
        })
    }

    pub fn leader(&self) -> Option<Contact> {
        let contacts = self.ids().into_iter().filter_map(|id| self.contact(id));
        let mut leaders = contacts.filter(|contact| contact.handle.is_leader());
        leaders.next()
    }

    fn clock(&self, off_ms: &Arc<AtomicI64>) -> Clock {
        let (start, off_ms) = (self.start, Arc::clone(off_ms));
        Arc::new(move || {
            let passed = i64::try_from(start.elapsed().as_millis()).expect("short");
            Timestamp::from_millis(START_MS + passed + off_ms.load(Ordering::Relaxed))
        })
    }

    pub fn set_clock(&self, id: NodeId, off_ms: i64) {
        let state = self.state();
        state.machines[&id].off_ms.store(off_ms, Ordering::Relaxed);
    }

    pub fn platter(&self, id: NodeId) -> Platter {
        self.state().machines[&id].platter.clone()
    }

    /// A machine, not switched on.
    fn add(&self, id: NodeId) {
        let machine = Machine {
            platter: Platter::new(&self.shared, self.lies),
            snapshots: PathBuf::new(),
            off_ms: Arc::default(),
            outbox: Outbox::default(),
            process: None,
            starts: 0,
            starting: false,
        };
        self.state().machines.insert(id, machine);
    }

    /// Starts the process of a machine that has none.
    pub async fn start(&self, id: NodeId) {
        let (options, disk, outbox) = {
            let mut state = self.state();
            let machine = state.machines.get_mut(&id).expect("a machine");
            if machine.process.is_some() || machine.starting {
                return;
            }
            machine.starting = true;
            machine.starts += 1;
            // A process that was killed may not touch the files of the next.
            let dir = self.dir.path().join(format!("{id}-{}", machine.starts));
            let before = std::mem::replace(&mut machine.snapshots, dir.clone());
            copy_files(&before.join("snap"), &dir.join("snap"));
            let clock = self.clock(&machine.off_ms);
            let options = Options {
                address: format!("node-{id}"),
                bootstrap: id == NodeId(1),
                snapshot_every: 60,
                keep_entries: 10,
                ..Options::new(dir, id, clock)
            };
            (options, machine.platter.open(), machine.outbox.clone())
        };
        self.note(&format!("start {id}"));
        let alive = Alive::new();
        let stop = CancellationToken::new();
        let clock = Arc::clone(&options.clock);
        let wire = self.net.wire(id, &alive);
        let opened = open_here(options, disk, wire).await;
        let (handle, service) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.shared
                    .violation(format!("node {id} does not start: {error}"));
                return;
            }
        };
        let (fleet, reports) = watch::channel(Arc::default());
        self.net.enter(id, handle.clone(), alive.clone());
        let driver = driver::Service::new(driver::Options {
            catalog: handle.clone(),
            fleet: reports,
            clock: Arc::clone(&clock),
        });
        tokio::spawn(driver.run(stop.clone()));
        tokio::spawn(self.clone().serve(id, service, alive.clone()));
        let here = work::Here {
            catalog: handle.clone(),
            outbox,
            origin: self.origin.clone(),
            shared: self.shared.clone(),
        };
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled(work::run(here)).await });
        let (watched, until) = (self.clone(), stop.clone());
        let copy = handle.clone();
        tokio::spawn(async move { until.run_until_cancelled(watched.watch(copy)).await });
        let (reporter, until) = (self.clone(), stop.clone());
        tokio::spawn(async move { until.run_until_cancelled(reporter.report(id)).await });
        let announcer = handle.clone();
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled(announce(announcer, id)).await });
        let process = Process {
            handle,
            alive,
            stop,
            fleet,
        };
        let mut state = self.state();
        let machine = state.machines.get_mut(&id).expect("a machine");
        machine.starting = false;
        machine.process = Some(process);
    }

    /// Nobody asks a node of this cluster to stop, so a service that ends has found a fault.
    async fn serve(self, id: NodeId, service: Service, alive: Alive) {
        let ended = service.run(CancellationToken::new()).await;
        if alive.is() && !self.lies {
            self.shared
                .violation(format!("node {id} stopped: {ended:?}"));
        }
    }

    /// The process is gone at once, as by `kill -9`.
    pub fn kill(&self, id: NodeId) {
        if self.end(id) {
            self.note(&format!("kill {id}"));
            self.platter(id).lose_unsynced();
        }
    }

    /// The machine loses its power, and with it also what is in no synced file.
    pub fn cut_power(&self, id: NodeId) {
        if !self.end(id) {
            return;
        }
        self.note(&format!("power cut {id}"));
        self.platter(id).lose_unsynced();
        let snapshots = self.state().machines[&id].snapshots.join("snap");
        for file in std::fs::read_dir(snapshots).expect("a folder") {
            let path = file.expect("readable").path();
            if path.extension().is_some_and(|suffix| suffix == "part") {
                let file = std::fs::File::options().write(true).open(&path);
                let file = file.expect("writable");
                let length = file.metadata().expect("readable").len();
                file.set_len(length / 2).expect("writable");
            }
        }
    }

    fn end(&self, id: NodeId) -> bool {
        let process = {
            let mut state = self.state();
            let machine = state.machines.get_mut(&id).expect("a machine");
            machine.process.take()
        };
        let Some(process) = process else { return false };
        process.alive.end();
        process.stop.cancel();
        self.net.leave(id);
        // Whatever it still does, nobody sees it: its disk and its network are gone.
        tokio::spawn(async move { process.handle.shutdown().await });
        true
    }

    /// What everybody tells everybody every few seconds.
    async fn report(self, id: NodeId) {
        loop {
            let peers: Vec<(NodeId, Fleet, Arc<AtomicI64>)> = {
                let state = self.state();
                let peers = state.machines.iter().filter_map(|(&peer, machine)| {
                    let fleet = machine.process.as_ref()?.fleet.clone();
                    Some((peer, fleet, Arc::clone(&machine.off_ms)))
                });
                peers.collect()
            };
            for (peer, fleet, off_ms) in peers {
                let arrives = if peer == id {
                    Some(Duration::ZERO)
                } else {
                    self.net.passes(id, peer)
                };
                let Some(delay) = arrives else { continue };
                let clock = self.clock(&off_ms);
                tokio::spawn(async move {
                    sleep(delay).await;
                    fleet.send_modify(|reports| {
                        // By the clock of whoever hears it.
                        Arc::make_mut(reports).insert(id, vitals(id, clock()));
                    });
                });
            }
            sleep(REPORT_EVERY).await;
        }
    }

    /// Looks at the catalogue whenever it changes.
    async fn watch(self, handle: Handle) {
        let mut changes = handle.changes();
        loop {
            let index = *changes.borrow_and_update();
            if index > 0 {
                self.look(index, &handle);
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The invariants hold after each entry, and the same log gives the same catalogue.
    fn look(&self, index: u64, handle: &Handle) {
        let seen = self.state().seen.get(&index).cloned();
        // Every node looks at some; one node at all.
        if seen.is_some() && !index.is_multiple_of(8) {
            return;
        }
        let catalog = handle.read(Catalog::clone);
        if let Some(seen) = seen {
            let other = catalog.records().zip(seen.records());
            let node = handle.node();
            if let Some((here, there)) = other.into_iter().find(|(here, there)| here != there) {
                self.shared.violation(format!(
                    "node {node} has at entry {index} {here:?} and another {there:?}"
                ));
            } else if catalog != seen {
                self.shared
                    .violation(format!("node {node} has more or less at entry {index}"));
            }
            return;
        }
        self.state().seen.insert(index, catalog);
        let broken = handle.read(invariant::check);
        if !broken.is_empty() {
            self.shared
                .violation(format!("after entry {index}: {broken:?}"));
        }
    }

    /// Forms the cluster: the first founds it, the others join one by one.
    pub async fn form(&self, count: u64) {
        for id in (1..=count).map(NodeId) {
            self.add(id);
            self.start(id).await;
            if id > NodeId(1) {
                self.change(Change::AddLearner {
                    node: id,
                    address: format!("node-{id}"),
                })
                .await;
                self.change(Change::Promote { node: id }).await;
            }
        }
    }

    /// Takes a step in the membership, through any node, waiting for what it waits for.
    pub async fn change(&self, change: Change) {
        loop {
            // The leader, as a rule; the others pass it on.
            let running = self.running();
            if !running.is_empty() {
                let node = self.shared.chance(|c| *c.one_of(&running));
                let asks_leader = self.shared.chance(|c| c.happens(800));
                let contact = self.leader().filter(|_| asks_leader);
                if let Some(contact) = contact.or_else(|| self.contact(node)) {
                    let changed = contact.handle.change(change.clone());
                    let changed = contact.stop.run_until_cancelled(changed).await;
                    match changed {
                        Some(Ok(())) => break,
                        // Still to be waited for, or its answer is lost: asking again is harmless.
                        Some(Err(
                            Error::Membership(_)
                            | Error::NotLeader { .. }
                            | Error::Timeout
                            | Error::Closed,
                        ))
                        | None => {}
                        Some(Err(error)) => {
                            self.shared.violation(format!("{change:?}: {error}"));
                            return;
                        }
                    }
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.note(&format!("{change:?}"));
    }

    /// Every process is there, nothing is cut, lost or slow, and all clocks are right.
    pub async fn heal(&self) {
        self.net.heal();
        for id in self.ids() {
            self.set_clock(id, 0);
            self.start(id).await;
        }
        self.note("healed");
    }

    /// Whether every node holds the same catalogue, and has nothing left to do.
    pub fn is_at_rest(&self) -> bool {
        let contacts: Vec<Contact> = self
            .ids()
            .into_iter()
            .filter_map(|id| self.contact(id))
            .collect();
        let hashes: BTreeSet<u64> = contacts.iter().map(|c| c.handle.read(hash_of)).collect();
        hashes.len() == 1
            && contacts
                .first()
                .is_some_and(|c| c.handle.read(work::nothing_is_left))
    }
}

fn hash_of(catalog: &Catalog) -> u64 {
    let mut hasher = DefaultHasher::new();
    for record in catalog.records() {
        codec::encode(&record)
            .expect("records are small")
            .hash(&mut hasher);
    }
    hasher.finish()
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    let Ok(files) = std::fs::read_dir(from) else {
        return;
    };
    for file in files {
        let file = file.expect("readable");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("writable");
    }
}

async fn announce(handle: Handle, id: NodeId) {
    let node = Node {
        id,
        name: format!("node-{id}"),
        site: if id.0.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        }
        .to_owned(),
        role: Role::Voter,
        version: "0.1.0".to_owned(),
        slots: 1,
        cpu_cores: 2,
        encoders: vec!["x264enc".to_owned()],
        sandbox: "full".to_owned(),
        draining: false,
        announced_at: Timestamp::default(),
        address: format!("node-{id}"),
        removed_at: None,
    };
    let command = Command::AnnounceNode {
        node: Box::new(node),
    };
    while handle.propose(command.clone()).await.is_err() {
        sleep(Duration::from_millis(500)).await;
    }
}

fn vitals(node: NodeId, at: Timestamp) -> Vitals {
    Vitals {
        node,
        at,
        cpu_permille: 100,
        memory_total_bytes: 8 << 30,
        memory_used_bytes: 1 << 30,
        disk_total_bytes: 100 << 30,
        disk_free_bytes: 50 << 30,
        applied: 0,
        disk_reserve_bytes: 1 << 30,
        link_bytes_per_s: 0,
        rest: None,
    }
}
