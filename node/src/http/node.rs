//! `/api/v1/nodes`: the machines of the cluster.

use axum::extract::{Path, State};
use protocol::http::Page;
use protocol::http::node::Node;
use protocol::http::problem::Problem;

use super::api::Api;
use super::error::Error;
use super::view::{self, Observer};

/// All nodes
#[utoipa::path(get, path = "/api/v1/nodes", tag = "nodes",
    responses((status = 200, body = Page<Node>)))]
pub(super) async fn list(State(api): State<Api>) -> axum::Json<Page<Node>> {
    let items = all(&api);
    axum::Json(Page {
        total: items.len() as u64,
        items,
        next_cursor: None,
    })
}

/// One node
#[utoipa::path(get, path = "/api/v1/nodes/{name}", tag = "nodes",
    params(("name" = String, Path)),
    responses((status = 200, body = Node), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<axum::Json<Node>, Error> {
    shown(&api, &name).map(axum::Json)
}

pub(super) fn shown(api: &Api, name: &str) -> Result<Node, Error> {
    let found = all(api).into_iter().find(|node| node.name == name);
    let mut node = found.ok_or_else(|| Error::node_not_found(name))?;
    let sole = api.catalog.read(|catalog| catalog.sole_copies(node.id));
    node.sole_originals = Some(sole as u64);
    Ok(node)
}

/// A cluster is a handful of machines, so all of them fit on one page.
pub(super) fn all(api: &Api) -> Vec<Node> {
    let figures = api.live.look();
    let observer = Observer {
        me: api.catalog.node(),
        leader: api.catalog.leader(),
        now: Api::now(),
        members: &api.catalog.members(),
    };
    api.catalog.read(|catalog| {
        catalog
            .members()
            .map(|node| view::node(catalog, &figures, observer, node))
            .collect()
    })
}
