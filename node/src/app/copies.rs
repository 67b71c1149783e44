//! Keeps as many copies of each original as the settings ask for, on nodes of different sites.
//!
//! Every node looks for itself and by the same rule, so nobody has to be told: the nodes that
//! should have a copy and do not fetch it, compute its hash from their own disk, and only then say
//! so to the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordinator::catalog::cluster::ClusterCommand;
use coordinator::catalog::node::Role;
use coordinator::catalog::video::Video;
use coordinator::catalog::{Catalog, Command};
use coordinator::raft::Handle;
use protocol::id::{BlobHash, NodeId, VideoId};
use protocol::time::{Span, Timestamp};
use protocol::vitals::Vitals;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::blob::Fetcher;
use crate::vitals::Table;

/// Between two looks, however much changes.
const PAUSE: Duration = Duration::from_secs(2);
/// A node that was silent for so long may be gone for good: its copies are made again elsewhere.
const GONE_FOR: Span = Span::from_secs(600);
/// Copies made before the next look.
const AT_ONCE: usize = 4;

pub(super) async fn run(
    catalog: Handle,
    fetcher: Fetcher,
    fleet: tokio::sync::watch::Receiver<Table>,
    clock: impl Fn() -> Timestamp + Send,
    shutdown: CancellationToken,
) {
    let work = async {
        let began = clock();
        loop {
            tokio::time::sleep(PAUSE).await;
            let me = catalog.node();
            let table = fleet.borrow().clone();
            let now = clock();
            let missing = catalog.read(|catalog| missing(catalog, &table, me, now, began));
            for (video, blob) in missing.into_iter().take(AT_ONCE) {
                if let Err(error) = fetcher.ensure(blob).await {
                    debug!(%video, %blob, %error, "original not copied yet");
                    continue;
                }
                let node = me;
                let command = ClusterCommand::AddCopy { video, blob, node };
                match catalog.propose(Command::Cluster(command)).await {
                    Ok(_) => info!(%video, %blob, "original copied here"),
                    Err(error) => {
                        warn!(%video, %blob, %error, "the copy of an original is not noted");
                    }
                }
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

/// Originals that `me` should have a copy of, and has none by the catalogue.
fn missing(
    catalog: &Catalog,
    fleet: &BTreeMap<NodeId, Vitals>,
    me: NodeId,
    now: Timestamp,
    began: Timestamp,
) -> Vec<(VideoId, BlobHash)> {
    let wanted = usize::try_from(catalog.settings().copies).unwrap_or(usize::MAX);
    // A node of which nothing was heard since this one began may only not have had the time.
    let is_there = |id: NodeId| {
        let heard = fleet.get(&id).map_or(began, |report| report.at.max(began));
        id == me || now.since(heard) < GONE_FOR
    };
    let keepers: BTreeMap<NodeId, &str> = catalog
        .members()
        .filter(|node| node.role != Role::Worker && !node.draining && is_there(node.id))
        .map(|node| (node.id, node.site.as_str()))
        .collect();
    if !keepers.contains_key(&me) {
        return Vec::new();
    }
    catalog
        .videos()
        .filter_map(|video| {
            let blob = video.blob?;
            let chosen = chosen(video, &keepers, wanted);
            (chosen.contains(&me) && !video.copies.contains(&me)).then_some((video.id, blob))
        })
        .collect()
}

/// The nodes that are to hold a copy: those that do and stay, then others, of sites that have none
/// first, in an order that differs from video to video.
fn chosen(video: &Video, keepers: &BTreeMap<NodeId, &str>, wanted: usize) -> BTreeSet<NodeId> {
    let mut chosen: BTreeSet<NodeId> = video
        .copies
        .iter()
        .copied()
        .filter(|holder| keepers.contains_key(holder))
        .collect();
    while chosen.len() < wanted {
        let sites: BTreeSet<&str> = chosen.iter().map(|id| keepers[id]).collect();
        let next = keepers
            .iter()
            .filter(|(id, _)| !chosen.contains(id))
            .min_by_key(|(id, site)| (sites.contains(*site), lot(video.id, **id)));
        let Some((&next, _)) = next else { break };
        chosen.insert(next);
    }
    chosen
}

/// A number that is the same on every node, and spreads videos evenly.
fn lot(video: VideoId, node: NodeId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(video.as_uuid().as_bytes());
    hasher.update(&node.0.to_be_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use coordinator::catalog::labels::Labels;
    use coordinator::catalog::video::Status;

    use super::*;

    fn video(number: u64, copies: &[u64]) -> Video {
        Video {
            id: VideoId::derived(Timestamp::from_millis(1), number, 0),
            filename: "a.mov".to_owned(),
            size_bytes: 1,
            created_at: Timestamp::default(),
            upload: None,
            blob: Some(BlobHash::of(b"a")),
            copies: copies.iter().map(|&id| NodeId(id)).collect(),
            probe: None,
            published: None,
            building: None,
            failure: None,
            status: Status::Probing,
            labels: Labels::default(),
        }
    }

    #[test]
    fn the_second_copy_goes_to_another_site_and_spreads() {
        let keepers = [(1, "a"), (2, "a"), (3, "b"), (4, "b")]
            .map(|(id, site)| (NodeId(id), site))
            .into();
        let mut counts = BTreeMap::new();
        for number in 0..100 {
            let chosen = chosen(&video(number, &[1]), &keepers, 2);
            assert!(chosen.contains(&NodeId(1)) && chosen.len() == 2);
            for id in chosen {
                *counts.entry(id.0).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.get(&2), None, "the same site");
        assert!(counts[&3] > 25 && counts[&4] > 25, "{counts:?}");
    }

    #[test]
    fn what_a_node_that_goes_held_is_made_again() {
        let keepers: BTreeMap<NodeId, &str> = [(1, "a"), (3, "b")]
            .map(|(id, site)| (NodeId(id), site))
            .into();
        let chosen = |copies: &[u64], wanted| {
            let chosen = chosen(&video(1, copies), &keepers, wanted);
            chosen.into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&[1, 2], 2), [1, 3], "node 2 drains");
        assert_eq!(chosen(&[2], 5), [1, 3], "there are no more");
        assert_eq!(chosen(&[1, 3], 1), [1, 3], "nothing is taken away");
    }
}
