//! On the leader: brings the membership of Raft to what the catalogue says, one step at a time.
//!
//! The catalogue holds what is wanted; a leader that goes half-way leaves the rest to the next.

use std::time::Duration;

use coordinator::catalog::Catalog;
use coordinator::catalog::node::Role;
use coordinator::raft::{Change, Error, Handle, Member, Refusal};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Between two steps, and between two looks.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(catalog: Handle, shutdown: CancellationToken) {
    let work = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            if !catalog.is_leader() {
                continue;
            }
            let members = catalog.members();
            let Some(change) = catalog.read(|catalog| next_step(catalog, &members)) else {
                continue;
            };
            match catalog.change(change.clone()).await {
                Ok(()) => info!(?change, "membership brought closer to what is wanted"),
                Err(Error::Membership(
                    refusal @ (Refusal::NotCaughtUp { .. } | Refusal::InProgress),
                )) => debug!(?change, %refusal, "membership waits"),
                Err(Error::Closed) => return,
                Err(error) => warn!(?change, %error, "membership stays as it is for now"),
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

/// The next step from `members` to what the catalogue wants; those that let more nodes answer come
/// before those that let fewer.
fn next_step(catalog: &Catalog, members: &[Member]) -> Option<Change> {
    let find = |id| members.iter().find(|member| member.node == id);
    let mut promotion = None;
    let mut demotion = None;
    for node in catalog.members().filter(|node| !node.address.is_empty()) {
        let id = node.id;
        let wants_vote = node.role == Role::Voter;
        let Some(member) = find(id) else {
            return Some(Change::AddLearner {
                node: id,
                address: node.address.clone(),
            });
        };
        if member.address != node.address {
            return Some(Change::Move {
                node: id,
                address: node.address.clone(),
            });
        }
        if wants_vote && !member.voter {
            // One that lags must not keep another from its vote.
            let caught_up = member.answers == Some(true);
            if promotion.is_none() || caught_up {
                promotion = Some(Change::Promote { node: id });
            }
        } else if !wants_vote && member.voter {
            demotion = Some(Change::Demote { node: id });
        }
    }
    if promotion.is_some() || demotion.is_some() {
        return promotion.or(demotion);
    }
    let gone = members.iter().find(|member| {
        let node = catalog.node(member.node);
        node.is_some_and(|node| node.removed_at.is_some())
    })?;
    Some(if gone.voter {
        Change::Demote { node: gone.node }
    } else {
        Change::Remove { node: gone.node }
    })
}
