//! `/api/v1/tokens`, `/api/v1/cluster/apply` and the changes to nodes: who belongs to the cluster.
//!
//! These decide who is let in, so only this machine may ask.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use coordinator::catalog::cluster::{ClusterCommand, Difference, Wanted, differences};
use coordinator::catalog::node::Role;
use coordinator::catalog::{Command, Rejection};
use coordinator::raft::{self, Change, Handle};
use protocol::http::cluster::{Applied, Apply, CreateToken, Drain, JoinToken};
use protocol::http::node::Node;
use protocol::http::problem::Problem;
use protocol::id::{BlobHash, NodeId};
use protocol::join::Token;
use protocol::time::Span;

use super::api::Api;
use super::error::Error;
use super::extract::Json;
use crate::auth::authority;

/// Longest life of a token.
const TOKEN_MAX: u64 = 7 * 24 * 3600;
/// Machines in one file.
const MACHINES_MAX: usize = 1000;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) SocketAddr);

/// What this room needs to know of the node.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Hash of the authority's certificate.
    pub authority: BlobHash,
    /// Whether this node can admit machines.
    pub admits: bool,
}

pub(super) fn check_local(caller: Option<Extension<Caller>>) -> Result<(), Error> {
    match caller {
        Some(Extension(Caller(address))) if address.ip().to_canonical().is_loopback() => Ok(()),
        _ => Err(Error::not_local()),
    }
}

/// Make a join token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "nodes",
    request_body = CreateToken,
    responses((status = 200, body = JoinToken), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create_token(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Json(wanted): Json<CreateToken>,
) -> Result<axum::Json<JoinToken>, Error> {
    check_local(caller)?;
    let role = role(&wanted.role)?;
    if !(1..=TOKEN_MAX).contains(&wanted.valid_for_s) {
        return Err(Error::bad_request(
            "bad_span",
            format!("A token is valid for 1 to {TOKEN_MAX} seconds."),
        ));
    }
    let membership = api.membership.as_ref().ok_or_else(Error::no_cluster)?;
    let addresses = addresses(&api);
    if addresses.is_empty() {
        return Err(Error::conflict(
            "no_address",
            "No node has said where it is reached; write `peer` for each [[node]] in cluster.toml and restart it.",
        ));
    }
    let secret =
        authority::random_secret().map_err(|error| Error::internal("make a token", &error))?;
    let token = Token {
        authority: membership.authority,
        secret,
        expires_at: Api::now() + Span::from_secs(wanted.valid_for_s),
        addresses,
    };
    let create = ClusterCommand::CreateToken {
        token: token.hash(),
        role,
        expires_at: token.expires_at,
    };
    api.catalog.propose(Command::Cluster(create)).await?;
    Ok(axum::Json(JoinToken {
        token: token.to_string(),
        role: role.as_str().to_owned(),
        expires_at: token.expires_at,
    }))
}

/// Where machines may ask: at voters, since they have the authority's key; this node first.
fn addresses(api: &Api) -> Vec<String> {
    let me = api.catalog.node();
    let admits = api.membership.as_ref().is_some_and(|m| m.admits);
    // A founder may not have announced itself yet.
    let members = api.catalog.members();
    let own = members.iter().find(|member| member.node == me);
    let own = own.map(|member| member.address.clone());
    let found: Vec<String> = api.catalog.read(|catalog| {
        let mut voters: Vec<_> = catalog
            .members()
            .filter(|node| !node.address.is_empty())
            .filter(|node| node.role == Role::Voter && (node.id != me || admits))
            .collect();
        voters.sort_by_key(|node| (node.id != me, node.id));
        voters
            .iter()
            .take(5)
            .map(|node| node.address.clone())
            .collect()
    });
    if found.is_empty() && admits {
        return own.filter(|own| !own.is_empty()).into_iter().collect();
    }
    found
}

/// Bring the cluster to what the file says
#[utoipa::path(post, path = "/api/v1/cluster/apply", tag = "nodes",
    request_body = Apply,
    responses((status = 200, body = Applied), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn apply_file(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Json(file): Json<Apply>,
) -> Result<axum::Json<Applied>, Error> {
    check_local(caller)?;
    if file.nodes.len() > MACHINES_MAX {
        return Err(Error::bad_request(
            "too_many_nodes",
            format!("A file has at most {MACHINES_MAX} nodes."),
        ));
    }
    let wanted = file
        .nodes
        .into_iter()
        .map(|machine| {
            Ok(Wanted {
                name: machine.name,
                site: machine.site,
                role: role(&machine.role)?,
                address: machine.address,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let sentences = apply(&api.catalog, &wanted).await?;
    Ok(axum::Json(Applied { sentences }))
}

/// Places the nodes as `wanted` says, new voters before those that stop voting; returns what was
/// done and what is left to a person, as sentences. The leader then takes the steps.
///
/// # Errors
/// The catalogue refuses, or has no leader.
pub async fn apply(catalog: &Handle, wanted: &[Wanted]) -> Result<Vec<String>, raft::Error> {
    catalog.linearize().await?;
    let mut found = catalog.read(|catalog| differences(catalog, wanted));
    found.sort_by_key(|difference| {
        !matches!(difference, Difference::Place { wanted, .. } if wanted.role == Role::Voter)
    });
    let mut sentences = Vec::new();
    for difference in found {
        sentences.push(match difference {
            Difference::NotJoined { name } => format!(
                "Node {name} has not joined: make a token with `reelmesh token create`, and start that machine with it in REELMESH_JOIN_TOKEN."
            ),
            Difference::NotInFile { name } => format!(
                "Node {name} is in the cluster and not in the file: it stays until `reelmesh nodes remove {name}`."
            ),
            Difference::Place {
                name,
                node,
                wanted,
                before,
            } => {
                let role = wanted.role;
                let address = wanted.address.clone();
                let place = ClusterCommand::PlaceNode {
                    node,
                    site: wanted.site,
                    role,
                    address: wanted.address,
                };
                catalog.propose(Command::Cluster(place)).await?;
                if before == role {
                    format!("Node {name} is now placed as the file says, at {address}.")
                } else {
                    format!(
                        "Node {name} becomes a {}; it was a {}.",
                        role.as_str(),
                        before.as_str()
                    )
                }
            }
        });
    }
    Ok(sentences)
}

/// Give a node no new work, or give it work again
#[utoipa::path(post, path = "/api/v1/nodes/{name}/drain", tag = "nodes",
    params(("name" = String, Path)), request_body = Drain,
    responses((status = 200, body = Node), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn drain(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Path(name): Path<String>,
    Json(wanted): Json<Drain>,
) -> Result<axum::Json<Node>, Error> {
    check_local(caller)?;
    let node = find(&api, &name)?;
    let draining = wanted.draining;
    let drain = ClusterCommand::DrainNode { node, draining };
    api.catalog.propose(Command::Cluster(drain)).await?;
    super::node::shown(&api, &name).map(axum::Json)
}

/// Remove a node for good
#[utoipa::path(delete, path = "/api/v1/nodes/{name}", tag = "nodes",
    params(("name" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    check_local(caller)?;
    let node = find(&api, &name)?;
    let sole = api.catalog.read(|catalog| catalog.sole_copies(node));
    if sole > 0 {
        return Err(Rejection::WrongState {
            what: format!("node {name}"),
            state: format!(
                "the only one that holds the originals of {sole} videos (drain it and wait until they are copied)"
            ),
        }
        .into());
    }
    // First its vote, so that a majority of those that stay is there at every moment.
    let members = api.catalog.members();
    if members.iter().any(|member| member.node == node) {
        let before = place(&api, node, Role::Learner).await?;
        if let Err(error) = api.catalog.change(Change::Demote { node }).await {
            if let Some(before) = before {
                place(&api, node, before).await?;
            }
            return Err(error.into());
        }
    }
    let remove = ClusterCommand::RemoveNode { node };
    api.catalog.propose(Command::Cluster(remove)).await?;
    api.catalog.change(Change::Remove { node }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the node another role, unless it is a worker anyway; returns the role before.
async fn place(api: &Api, id: NodeId, role: Role) -> Result<Option<Role>, Error> {
    let found = api
        .catalog
        .read(|catalog| catalog.node(id).map(|node| (**node).clone()));
    let Some(node) = found.filter(|node| node.role != role && node.role != Role::Worker) else {
        return Ok(None);
    };
    let place = ClusterCommand::PlaceNode {
        node: id,
        site: node.site,
        role,
        address: node.address,
    };
    api.catalog.propose(Command::Cluster(place)).await?;
    Ok(Some(node.role))
}

fn find(api: &Api, name: &str) -> Result<NodeId, Error> {
    api.catalog.read(|catalog| {
        let mut members = catalog.members();
        members
            .find(|node| node.name == name)
            .map(|node| node.id)
            .ok_or_else(|| Error::node_not_found(name))
    })
}

fn role(text: &str) -> Result<Role, Error> {
    match text {
        "voter" => Ok(Role::Voter),
        "learner" => Ok(Role::Learner),
        "worker" => Ok(Role::Worker),
        _ => Err(Error::bad_request(
            "bad_role",
            "A role is voter, learner or worker.",
        )),
    }
}
