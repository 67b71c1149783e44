//! Who is a member: learners come, are promoted once they have caught up, are demoted and go.
//!
//! One step at a time, and never one after which the voters that answer are no majority.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bincode::{Decode, Encode};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{ClientWriteError, RaftError};
use openraft::errors::ChangeMembershipError;
use openraft::type_config::TypeConfigExt;
use openraft::{BasicNode, ChangeMembers, Instant as _};
use protocol::id::NodeId;
use tokio::time::timeout;
use tracing::info;

use super::error::Error;
use super::types::{Raft, TypeConfig};
use super::{COMMIT_WITHIN, Pace};

/// A learner this close to the leader's log may become a voter.
const CAUGHT_UP: u64 = 100;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Change {
    /// A node gets the log from here on, without a vote.
    AddLearner { node: NodeId, address: String } = 0,
    /// A learner that has caught up gets a vote.
    Promote { node: NodeId } = 1,
    /// A voter becomes a learner.
    Demote { node: NodeId } = 2,
    /// A learner is sent away.
    Remove { node: NodeId } = 3,
    /// A member is reached elsewhere from now on.
    Move { node: NodeId, address: String } = 4,
}

/// Why a step is not taken; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    #[error("node {node} is no member; let it join first")]
    NotAMember { node: NodeId } = 0,
    #[error("node {node} is {behind} entries behind; it becomes a voter once it has caught up")]
    NotCaughtUp { node: NodeId, behind: u64 } = 1,
    #[error(
        "without node {node} the voters that answer would be {alive}, where {needed} are needed; bring the missing voters back, or add others, first"
    )]
    LosesQuorum {
        node: NodeId,
        alive: u64,
        needed: u64,
    } = 2,
    #[error("the last voter cannot go; make another node a voter first")]
    LastVoter = 3,
    #[error("node {node} is a voter; make it a learner before it is removed")]
    StillVoter { node: NodeId } = 4,
    #[error("another change of the members is not finished yet; try again in a moment")]
    InProgress = 5,
    #[error("the leader does not take the change: {0}")]
    Other(String) = 6,
}

/// A member as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub node: NodeId,
    pub address: String,
    pub voter: bool,
    /// Entries it lacks; known to the leader alone.
    pub behind: Option<u64>,
    /// Whether it answered lately; known to the leader alone.
    pub answers: Option<bool>,
}

/// All members as `raft` sees them.
pub(super) fn members(raft: &Raft, pace: Pace) -> Vec<Member> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let config = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = config.voter_ids().collect();
    let last = metrics.last_log_index.unwrap_or(0);
    let leads = metrics.current_leader == Some(metrics.id);
    config
        .nodes()
        .map(|(&id, node)| {
            let myself = id == metrics.id;
            let matched = metrics.replication.as_ref().and_then(|all| all.get(&id));
            let behind = matched.map(|matched| {
                let next = matched.map_or(0, |id| id.index + 1);
                (last + 1).saturating_sub(next)
            });
            let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(&id));
            let answers = heard.map(|heard| {
                heard.is_some_and(|heard| {
                    TypeConfig::now().saturating_duration_since(*heard) < pace.silent_after()
                })
            });
            Member {
                node: NodeId(id),
                address: node.addr.clone(),
                voter: voters.contains(&id),
                behind: if myself && leads { Some(0) } else { behind },
                answers: if myself && leads { Some(true) } else { answers },
            }
        })
        .collect()
}

/// Carries `change` out on the leader.
pub(super) async fn carry_out(raft: &Raft, pace: Pace, change: Change) -> Result<(), Error> {
    let members = members(raft, pace);
    let find = |node: NodeId| members.iter().find(|member| member.node == node);
    let known = |node| find(node).ok_or(Error::Membership(Refusal::NotAMember { node }));
    match &change {
        Change::AddLearner { node, address } => {
            if let Some(member) = find(*node) {
                if member.address == *address {
                    return Ok(());
                }
                return set_address(raft, *node, address).await;
            }
            let nodes = BTreeMap::from([(node.0, BasicNode::new(address))]);
            write(raft, ChangeMembers::AddNodes(nodes)).await?;
        }
        Change::Move { node, address } => {
            if known(*node)?.address == *address {
                return Ok(());
            }
            set_address(raft, *node, address).await?;
        }
        Change::Promote { node } => {
            let member = known(*node)?;
            if member.voter {
                return Ok(());
            }
            let behind = member.behind.unwrap_or(u64::MAX);
            if behind > CAUGHT_UP || member.answers != Some(true) {
                return Err(Refusal::NotCaughtUp {
                    node: *node,
                    behind,
                }
                .into());
            }
            let ids = BTreeSet::from([node.0]);
            write(raft, ChangeMembers::AddVoterIds(ids)).await?;
        }
        Change::Demote { node } => {
            if !known(*node)?.voter {
                return Ok(());
            }
            check_quorum_without(&members, *node)?;
            if *node == NodeId(*raft.node_id()) {
                // The new leader takes the step: a leader that removes itself is missed.
                let leader = hand_over(raft, pace).await?;
                return Err(Error::NotLeader {
                    leader: Some(leader),
                });
            }
            let ids = BTreeSet::from([node.0]);
            write(raft, ChangeMembers::RemoveVoters(ids)).await?;
        }
        Change::Remove { node } => {
            let Some(member) = find(*node) else {
                return Ok(());
            };
            if member.voter {
                return Err(Refusal::StillVoter { node: *node }.into());
            }
            let ids = BTreeSet::from([node.0]);
            write(raft, ChangeMembers::RemoveNodes(ids)).await?;
        }
    }
    info!(?change, "members changed");
    Ok(())
}

async fn set_address(raft: &Raft, node: NodeId, address: &str) -> Result<(), Error> {
    let nodes = BTreeMap::from([(node.0, BasicNode::new(address))]);
    write(raft, ChangeMembers::SetNodes(nodes)).await
}

/// Refuses to go on without `node` if those that answer would be no majority then.
fn check_quorum_without(members: &[Member], node: NodeId) -> Result<(), Refusal> {
    let left = || members.iter().filter(|m| m.voter && m.node != node);
    let needed = left().count() / 2 + 1;
    if left().count() == 0 {
        return Err(Refusal::LastVoter);
    }
    let alive = left().filter(|member| member.answers == Some(true)).count();
    if alive < needed {
        return Err(Refusal::LosesQuorum {
            node,
            alive: alive as u64,
            needed: needed as u64,
        });
    }
    Ok(())
}

async fn write(raft: &Raft, change: ChangeMembers<u64, BasicNode>) -> Result<(), Error> {
    let written = timeout(COMMIT_WITHIN, raft.change_membership(change, true)).await;
    match written {
        Err(_) => Err(Error::Timeout),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::Fatal(fatal))) => Err(fatal.into()),
        Ok(Err(RaftError::APIError(error))) => Err(match error {
            ClientWriteError::ForwardToLeader(forward) => forward.into(),
            ClientWriteError::LogEntryDiscarded(_) => Error::Timeout,
            ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_)
                | ChangeMembershipError::UncommittedLeaderLog(_),
            ) => Refusal::InProgress.into(),
            ClientWriteError::ChangeMembershipError(error) => {
                Refusal::Other(error.to_string()).into()
            }
            ClientWriteError::PreconditionFailed(error) => Refusal::Other(error.to_string()).into(),
        }),
    }
}

/// Gives the leadership to the voter that is closest behind, and waits until it has it.
pub(super) async fn hand_over(raft: &Raft, pace: Pace) -> Result<NodeId, Error> {
    let myself = NodeId(*raft.node_id());
    let members = members(raft, pace);
    let heir = members
        .iter()
        .filter(|member| member.voter && member.node != myself && member.answers == Some(true))
        .min_by_key(|member| (member.behind.unwrap_or(u64::MAX), member.node));
    let Some(heir) = heir else {
        return Err(Refusal::LastVoter.into());
    };
    raft.trigger().transfer_leader(heir.node.0).await?;
    let wait = raft.wait(Some(HAND_OVER_WITHIN));
    let changed = wait
        .metrics(
            |metrics| metrics.current_leader.is_some_and(|id| id != myself.0),
            "another leader",
        )
        .await;
    match changed {
        Ok(metrics) => {
            let leader = NodeId(metrics.current_leader.unwrap_or(heir.node.0));
            info!(%leader, "leadership handed over");
            Ok(leader)
        }
        Err(_) => Err(Error::Timeout),
    }
}

/// A hand-over takes a round trip or two.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: u64, voter: bool, answers: bool) -> Member {
        Member {
            node: NodeId(node),
            address: String::new(),
            voter,
            behind: Some(0),
            answers: Some(answers),
        }
    }

    #[test]
    fn a_voter_goes_only_if_a_majority_of_the_rest_answers() {
        let check = |answering: &[bool], node| {
            let members: Vec<Member> = (1..)
                .zip(answering)
                .map(|(id, &answers)| member(id, true, answers))
                .collect();
            check_quorum_without(&members, NodeId(node))
        };
        assert_eq!(check(&[true, true, true], 3), Ok(()));
        assert_eq!(check(&[true, true, false], 3), Ok(()));
        assert_eq!(
            check(&[true, true, false], 2),
            Err(Refusal::LosesQuorum {
                node: NodeId(2),
                alive: 1,
                needed: 2
            })
        );
        assert_eq!(check(&[true], 1), Err(Refusal::LastVoter));
    }
}
