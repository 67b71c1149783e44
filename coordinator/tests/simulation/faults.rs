//! What goes wrong, when, and for how long.

use std::time::Duration;

use coordinator::raft::Change;
use protocol::id::NodeId;
use tokio::time::{Instant, sleep, timeout};

use super::cluster::Cluster;

/// Breaks something again and again until `end`; what is broken then stays so.
pub async fn run(cluster: &Cluster, end: Instant) {
    loop {
        let pause = cluster.shared.chance(|c| c.millis(200..1500));
        sleep(pause).await;
        if Instant::now() >= end {
            return;
        }
        one(cluster).await;
    }
}

async fn one(cluster: &Cluster) {
    let ids = cluster.ids();
    let chance = |range| cluster.shared.chance(|c| c.within(range));
    let node = cluster.shared.chance(|c| *c.one_of(&ids));
    let other = cluster.shared.chance(|c| *c.one_of(&ids));
    match chance(0..100) {
        0..15 => {
            cluster.note(&format!("cut off {node}"));
            for &peer in &ids {
                cluster.net.cut(node, peer);
                cluster.net.cut(peer, node);
            }
            mend_later(cluster);
        }
        15..27 => {
            cluster.note(&format!("cut one way {node} to {other}"));
            cluster.net.cut(node, other);
            mend_later(cluster);
        }
        27..35 => {
            let side: Vec<NodeId> = ids.iter().copied().filter(|_| chance(0..2) == 0).collect();
            cluster.note(&format!("part {side:?} from the rest"));
            for &a in &side {
                for &b in ids.iter().filter(|b| !side.contains(b)) {
                    cluster.net.cut(a, b);
                    cluster.net.cut(b, a);
                }
            }
            mend_later(cluster);
        }
        35..45 => {
            let (loss, slowness) = (chance(50..300), chance(1..30));
            cluster.note(&format!(
                "a bad network: {loss} of a thousand lost, {slowness} times slower"
            ));
            cluster.net.be_bad(loss, slowness);
            mend_later(cluster);
        }
        45..60 => {
            cluster.kill(node);
            start_later(cluster, node);
        }
        60..75 => {
            cluster.cut_power(node);
            start_later(cluster, node);
        }
        75..80 => {
            for &id in &ids {
                cluster.cut_power(id);
                start_later(cluster, id);
            }
        }
        80..87 => {
            let time = Duration::from_millis(chance(100..2000));
            cluster.note(&format!("the disk of {node} is slow"));
            cluster.platter(node).be_slow(time);
        }
        87..94 => {
            let off_ms = i64::try_from(chance(0..20_000)).expect("small") - 10_000;
            cluster.note(&format!("the clock of {node} is off by {off_ms} ms"));
            cluster.set_clock(node, off_ms);
        }
        _ => match cluster.leader() {
            Some(contact) if chance(0..2) == 0 => {
                cluster.note("the leader hands over");
                let handed = contact.stop.run_until_cancelled(contact.handle.hand_over());
                drop(timeout(Duration::from_secs(3), handed).await);
            }
            _ => {
                // It stays a member without a vote for a while.
                let cluster = cluster.clone();
                tokio::spawn(async move {
                    let demoted = cluster.change(Change::Demote { node });
                    if timeout(Duration::from_secs(5), demoted).await.is_ok() {
                        sleep(Duration::from_millis(500)).await;
                    }
                    cluster.change(Change::Promote { node }).await;
                });
            }
        },
    }
}

/// All cuts at once: what was cut meanwhile heals with it.
fn mend_later(cluster: &Cluster) {
    let cluster = cluster.clone();
    let time = cluster.shared.chance(|c| c.millis(100..3000));
    tokio::spawn(async move {
        sleep(time).await;
        cluster.note("mended");
        cluster.net.heal();
    });
}

fn start_later(cluster: &Cluster, node: NodeId) {
    let cluster = cluster.clone();
    let time = cluster.shared.chance(|c| c.millis(20..2000));
    tokio::spawn(async move {
        sleep(time).await;
        cluster.start(node).await;
    });
}
