//! Several replicas in one process, over a network that can be cut, lossy and slow.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator::catalog::{Command, Rejection, Reply};
use coordinator::raft::{
    CallError, Change, Durability, Error, Handle, Network, Options, Pace, Peer, Refusal, Service,
    open,
};
use futures::future::BoxFuture;
use protocol::id::{NodeId, VideoId};
use protocol::raft::{Answer, Kind, Request};
use protocol::time::Timestamp;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::announce;

/// Far longer than anything takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Net {
    nodes: Mutex<BTreeMap<NodeId, Handle>>,
    /// From whom to whom nothing gets through.
    cut: Mutex<BTreeSet<(NodeId, NodeId)>>,
    /// One in so many requests, and as many answers, is lost; 0: none.
    lose_every: AtomicU64,
    sent: AtomicU64,
    delay_ms: AtomicU64,
    /// Requests of each kind that were answered.
    answered: Mutex<BTreeMap<Kind, u64>>,
}

impl Net {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.lock().expect("no panic").contains(&(from, to))
    }

    fn loses(&self) -> bool {
        let every = self.lose_every.load(Ordering::Relaxed);
        every > 0 && self.sent.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    /// Nothing passes between `node` and the others, either way.
    fn isolate(&self, node: NodeId) {
        let others: Vec<NodeId> = self
            .nodes
            .lock()
            .expect("no panic")
            .keys()
            .copied()
            .collect();
        let mut cut = self.cut.lock().expect("no panic");
        for other in others {
            cut.insert((node, other));
            cut.insert((other, node));
        }
    }

    fn heal(&self) {
        self.cut.lock().expect("no panic").clear();
    }

    fn answered(&self, kind: Kind) -> u64 {
        self.answered
            .lock()
            .expect("no panic")
            .get(&kind)
            .copied()
            .unwrap_or(0)
    }
}

#[derive(Clone)]
struct Wire {
    net: Arc<Net>,
    from: NodeId,
}

impl Network for Wire {
    fn call(
        &self,
        peer: Peer,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Answer, CallError>> {
        let Self { net, from } = self.clone();
        let lost = || CallError::Lost("lost on the way".to_owned());
        Box::pin(async move {
            sleep(Duration::from_millis(net.delay_ms.load(Ordering::Relaxed))).await;
            let target = net.nodes.lock().expect("no panic").get(&peer.node).cloned();
            let Some(target) = target else {
                return Err(CallError::Unreachable("nobody there".to_owned()));
            };
            if net.is_cut(from, peer.node) || net.loses() {
                return Err(lost());
            }
            let kind = request.kind;
            let answer = tokio::time::timeout(deadline, target.answer(from, request))
                .await
                .map_err(|_| lost())?;
            *net.answered
                .lock()
                .expect("no panic")
                .entry(kind)
                .or_default() += 1;
            if net.is_cut(peer.node, from) || net.loses() {
                return Err(lost());
            }
            Ok(answer)
        })
    }
}

struct Member {
    dir: TempDir,
    handle: Handle,
    running: tokio::task::JoinHandle<Result<(), Error>>,
}

struct Cluster {
    net: Arc<Net>,
    members: BTreeMap<NodeId, Member>,
    snapshot_every: u64,
    pace: Pace,
}

/// Quick, so that tests are.
const QUICK: Pace = Pace {
    heartbeat_ms: 60,
    election_min_ms: 180,
    election_max_ms: 300,
};
/// The leader stays though the machine is busy.
const PATIENT: Pace = Pace {
    heartbeat_ms: 60,
    election_min_ms: 3000,
    election_max_ms: 5000,
};

fn options(dir: &Path, node: NodeId) -> Options {
    let millis = AtomicI64::new(1_795_377_600_000);
    let clock = move || Timestamp::from_millis(millis.fetch_add(1, Ordering::Relaxed));
    Options {
        address: format!("node-{node}"),
        bootstrap: node == NodeId(1),
        durability: Durability::Process,
        keep_entries: 5,
        ..Options::new(dir, node, Arc::new(clock))
    }
}

impl Cluster {
    async fn new(snapshot_every: u64, pace: Pace) -> Self {
        let mut cluster = Self {
            net: Arc::default(),
            members: BTreeMap::new(),
            snapshot_every,
            pace,
        };
        cluster.start(1).await;
        cluster
    }

    /// Three voters.
    async fn of_three(pace: Pace) -> Self {
        let mut cluster = Self::new(10_000, pace).await;
        for id in [2, 3] {
            cluster.start(id).await;
            cluster.add_learner(id).await;
            cluster.promote(id).await;
        }
        cluster
    }

    async fn start(&mut self, id: u64) {
        self.start_in(id, TempDir::new().expect("a folder")).await;
    }

    async fn start_in(&mut self, id: u64, dir: TempDir) {
        let node = NodeId(id);
        let wire = Wire {
            net: Arc::clone(&self.net),
            from: node,
        };
        let options = Options {
            snapshot_every: self.snapshot_every,
            pace: self.pace,
            ..options(dir.path(), node)
        };
        let (handle, service) = open(options, wire).await.expect("opens");
        self.net
            .nodes
            .lock()
            .expect("no panic")
            .insert(node, handle.clone());
        let running = tokio::spawn(Service::run(service, CancellationToken::new()));
        self.members.insert(
            node,
            Member {
                dir,
                handle,
                running,
            },
        );
    }

    fn at(&self, id: u64) -> Handle {
        self.members[&NodeId(id)].handle.clone()
    }

    fn any(&self) -> Handle {
        self.members.values().next().expect("some").handle.clone()
    }

    async fn add_learner(&self, id: u64) {
        let change = Change::AddLearner {
            node: NodeId(id),
            address: format!("node-{id}"),
        };
        self.change(change).await;
    }

    async fn promote(&self, id: u64) {
        self.change(Change::Promote { node: NodeId(id) }).await;
    }

    /// Takes the step, waiting for what it waits for.
    async fn change(&self, change: Change) {
        let handle = self.any();
        eventually(&format!("{change:?}"), || async {
            match handle.change(change.clone()).await {
                Ok(()) => true,
                Err(
                    Error::Membership(Refusal::NotCaughtUp { .. } | Refusal::InProgress)
                    | Error::NotLeader { .. }
                    | Error::Timeout,
                ) => false,
                Err(error) => panic!("{change:?}: {error}"),
            }
        })
        .await;
    }

    /// The node is gone at once, as by `kill -9`: nothing is handed over.
    async fn kill(&mut self, id: u64) -> TempDir {
        let node = NodeId(id);
        self.net.isolate(node);
        self.net.nodes.lock().expect("no panic").remove(&node);
        let member = self.members.remove(&node).expect("runs");
        member.handle.shutdown().await;
        member.running.abort();
        self.net.heal();
        member.dir
    }

    async fn leader(&self) -> NodeId {
        let mut found = None;
        eventually("a leader", || {
            found = self
                .members
                .iter()
                .find(|(_, member)| member.handle.is_leader())
                .map(|(&id, _)| id);
            std::future::ready(found.is_some())
        })
        .await;
        found.expect("found")
    }
}

/// Waits until `holds`.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "{what}: never");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Proposes until it is acknowledged; announcing twice is announcing once.
async fn insist(handle: &Handle, id: u64) {
    eventually(&format!("node-{id} is announced"), || async {
        handle.propose(announce(id)).await.is_ok()
    })
    .await;
}

fn ids(handle: &Handle) -> BTreeSet<u64> {
    handle.read(|catalog| catalog.nodes().map(|node| node.id.0).collect())
}

async fn has_all(handle: &Handle, expected: &BTreeSet<u64>) {
    eventually("all that was acknowledged", || {
        std::future::ready(ids(handle).is_superset(expected))
    })
    .await;
}

fn records(handle: &Handle) -> Vec<coordinator::catalog::snapshot::Record> {
    handle.read(|catalog| catalog.records().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_and_no_acknowledged_write_is_lost() {
    let mut cluster = Cluster::of_three(QUICK).await;
    let acknowledged: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let leader = cluster.leader().await;
    let stop = CancellationToken::new();
    let mut writers = Vec::new();
    for (writer, member) in (0..).zip(cluster.members.values()) {
        let (handle, stop) = (member.handle.clone(), stop.clone());
        let acknowledged = Arc::clone(&acknowledged);
        writers.push(tokio::spawn(async move {
            for id in writer * 300..(writer + 1) * 300 {
                if stop.is_cancelled() {
                    return;
                }
                match handle.propose(announce(id)).await {
                    Ok(_) => {
                        acknowledged.lock().expect("no panic").insert(id);
                    }
                    Err(Error::Closed) => return,
                    Err(_) => sleep(Duration::from_millis(5)).await,
                }
            }
        }));
    }
    let count = || acknowledged.lock().expect("no panic").len();
    eventually("writes before", || std::future::ready(count() > 50)).await;
    cluster.kill(leader.0).await;
    let before = count();
    eventually("writes after", || std::future::ready(count() > before + 50)).await;
    stop.cancel();
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_ne!(cluster.leader().await, leader);
    let expected = acknowledged.lock().expect("no panic").clone();
    for member in cluster.members.values() {
        has_all(&member.handle, &expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_takes_writes_and_shows_them_and_knows_the_leader() {
    let cluster = Cluster::of_three(QUICK).await;
    let leader = cluster.leader().await;
    let follower = (1..=3)
        .find(|&id| NodeId(id) != leader)
        .map(|id| cluster.at(id))
        .expect("two follow");
    let before = cluster.net.answered(Kind::Propose);
    let reply = follower.propose(announce(77)).await.expect("passed on");
    assert_eq!(reply, Reply::Done);
    assert!(cluster.net.answered(Kind::Propose) > before);
    // What was written through it can be read from it at once.
    assert!(ids(&follower).contains(&77));
    let video = VideoId::derived(Timestamp::from_millis(1), 1, 0);
    let refused = follower.propose(Command::DeleteVideo { video }).await;
    assert!(
        matches!(refused, Err(Error::Rejected(Rejection::NotFound { .. }))),
        "{refused:?}"
    );
    cluster.members[&leader]
        .handle
        .propose(announce(78))
        .await
        .expect("leads");
    follower.linearize().await.expect("up to date");
    assert!(ids(&follower).contains(&78));
    assert_eq!(follower.leader(), Some(leader));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_acknowledges_nothing_and_learns_what_was_decided() {
    let cluster = Cluster::of_three(QUICK).await;
    let old = cluster.leader().await;
    let cut_off = cluster.members[&old].handle.clone();
    insist(&cut_off, 10).await;
    cluster.net.isolate(old);
    let lost = tokio::spawn({
        let cut_off = cut_off.clone();
        async move { cut_off.propose(announce(666)).await }
    });
    let other = cluster
        .members
        .iter()
        .find(|(id, _)| **id != old)
        .map(|(_, member)| member.handle.clone())
        .expect("two are left");
    insist(&other, 20).await;
    assert!(cut_off.linearize().await.is_err(), "it may be out of date");
    assert!(!ids(&cut_off).contains(&20));
    cluster.net.heal();
    has_all(&cut_off, &BTreeSet::from([10, 20])).await;
    let outcome = lost.await.expect("no panic");
    // Whoever was told that it was done finds it; nobody was told the contrary of what holds.
    if outcome.is_ok() {
        assert!(ids(&other).contains(&666), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossy_and_slow_network_costs_time_only() {
    let cluster = Cluster::of_three(QUICK).await;
    cluster.net.delay_ms.store(3, Ordering::Relaxed);
    cluster.net.lose_every.store(23, Ordering::Relaxed);
    for id in 100..140 {
        insist(&cluster.at(1 + id % 3), id).await;
    }
    cluster.net.lose_every.store(0, Ordering::Relaxed);
    let expected: BTreeSet<u64> = (100..140).collect();
    for member in cluster.members.values() {
        has_all(&member.handle, &expected).await;
    }
    eventually("equal catalogues", || {
        let mut all = cluster.members.values().map(|m| records(&m.handle));
        let first = all.next().expect("three");
        std::future::ready(all.all(|other| other == first))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_learner_gets_a_snapshot_though_chunks_are_lost() {
    let mut cluster = Cluster::new(20, QUICK).await;
    let first = cluster.at(1);
    let long = |id: u64| match announce(id) {
        Command::AnnounceNode { mut node } => {
            node.sandbox = format!("{id}").repeat(150);
            Command::AnnounceNode { node }
        }
        command => command,
    };
    // Enough for several chunks, written as few entries.
    let writes = (1..=900).map(|id| {
        let (first, command) = (first.clone(), long(id));
        tokio::spawn(async move { first.propose(command).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.expect("no panic").expect("room");
    }
    for id in 1000..1060 {
        first.propose(announce(id % 900 + 1)).await.expect("leads");
    }
    first.snapshot().await.expect("written");
    cluster.start(2).await;
    cluster.net.lose_every.store(7, Ordering::Relaxed);
    cluster.add_learner(2).await;
    let learner = cluster.at(2);
    let expected = ids(&first);
    has_all(&learner, &expected).await;
    cluster.net.lose_every.store(0, Ordering::Relaxed);
    eventually("a snapshot is installed", || {
        std::future::ready(cluster.net.answered(Kind::SnapshotInstall) > 0)
    })
    .await;
    insist(&first, 899).await;
    eventually("the same catalogue", || {
        std::future::ready(records(&learner) == records(&first))
    })
    .await;
    let members = first.members();
    let member = members.iter().find(|member| member.node == NodeId(2));
    assert!(member.is_some_and(|member| !member.voter));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_change_one_step_at_a_time_and_never_below_a_majority() {
    let mut cluster = Cluster::of_three(QUICK).await;
    let refusal = |result: Result<(), Error>| match result {
        Err(Error::Membership(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let any = cluster.any();
    let unknown = any.change(Change::Promote { node: NodeId(9) }).await;
    assert_eq!(refusal(unknown), Refusal::NotAMember { node: NodeId(9) });
    let voter = any.change(Change::Remove { node: NodeId(2) }).await;
    assert_eq!(refusal(voter), Refusal::StillVoter { node: NodeId(2) });

    // One that does not answer is not made a voter.
    cluster.add_learner(4).await;
    let absent = any.change(Change::Promote { node: NodeId(4) }).await;
    assert!(
        matches!(refusal(absent), Refusal::NotCaughtUp { .. }),
        "nobody is there"
    );
    cluster.change(Change::Remove { node: NodeId(4) }).await;

    // With one of three dead, the second may not go as well.
    let leader = cluster.leader().await;
    let dead = (1..=3).find(|&id| NodeId(id) != leader).expect("one");
    let other = (1..=3)
        .find(|&id| NodeId(id) != leader && id != dead)
        .expect("one");
    cluster.kill(dead).await;
    let at_leader = cluster.members[&leader].handle.clone();
    eventually("its silence is noticed", || async {
        let members = at_leader.members();
        let dead = members.iter().find(|m| m.node == NodeId(dead));
        dead.is_some_and(|dead| dead.answers == Some(false))
    })
    .await;
    let change = Change::Demote {
        node: NodeId(other),
    };
    let refused = refusal(at_leader.change(change).await);
    assert!(
        matches!(
            refused,
            Refusal::LosesQuorum {
                alive: 1,
                needed: 2,
                ..
            }
        ),
        "{refused}"
    );

    // The dead one may go; then even the leader, after it has handed over.
    cluster.change(Change::Demote { node: NodeId(dead) }).await;
    cluster.change(Change::Remove { node: NodeId(dead) }).await;
    cluster.start(5).await;
    cluster.add_learner(5).await;
    cluster.promote(5).await;
    let leader = cluster.leader().await;
    cluster.change(Change::Demote { node: leader }).await;
    cluster.change(Change::Remove { node: leader }).await;
    let left = cluster
        .members
        .iter()
        .find(|(id, _)| **id != leader)
        .map(|(_, member)| member.handle.clone())
        .expect("two are left");
    insist(&left, 42).await;
    assert!(left.members().iter().all(|member| member.node != leader));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_when_asked() {
    let cluster = Cluster::of_three(QUICK).await;
    let leader = cluster.leader().await;
    let handle = cluster.members[&leader].handle.clone();
    eventually("another leader", || async {
        handle.hand_over().await.is_ok() && !handle.is_leader()
    })
    .await;
    insist(&handle, 5).await;
}

/// It was said to be ready as soon as it knew who leads, and showed a library without what had
/// been acknowledged while it was away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_is_behind_until_its_copy_is_up_to_date() {
    let mut cluster = Cluster::of_three(QUICK).await;
    let leader = cluster.leader().await;
    let id = (1..=3).find(|&id| NodeId(id) != leader).expect("one");
    let dir = cluster.kill(id).await;
    insist(&cluster.any(), 7).await;
    cluster.net.isolate(NodeId(id));
    cluster.start_in(id, dir).await;
    let handle = cluster.at(id);
    assert!(!handle.has_caught_up());
    cluster.net.heal();
    eventually("it has caught up", || {
        std::future::ready(handle.has_caught_up())
    })
    .await;
    assert!(ids(&handle).contains(&7));
}

/// A disk that was set back to an older copy must not vote as if it remembered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_forgot_what_it_acknowledged_is_stopped() {
    let mut cluster = Cluster::of_three(PATIENT).await;
    let leader = cluster.leader().await;
    let id = (1..=3).find(|&id| NodeId(id) != leader).expect("one");
    insist(&cluster.any(), 1).await;
    let dir = cluster.kill(id).await;
    let copy = TempDir::new().expect("a folder");
    copy_all(dir.path(), copy.path());
    cluster.start_in(id, dir).await;
    let at_leader = cluster.members[&cluster.leader().await].handle.clone();
    for id in 2..20 {
        insist(&at_leader, id).await;
    }
    eventually("its acknowledgement has arrived", || {
        let members = at_leader.members();
        let member = members.iter().find(|member| member.node == NodeId(id));
        std::future::ready(member.is_some_and(|member| member.behind == Some(0)))
    })
    .await;
    cluster.kill(id).await;
    cluster.start_in(id, copy).await;
    let member = cluster.members.remove(&NodeId(id)).expect("runs");
    let ended = tokio::time::timeout(PATIENCE, member.running).await;
    let ended = ended.expect("it stops").expect("no panic");
    assert!(matches!(ended, Err(Error::Quarantined(_))), "{ended:?}");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
