//! `/healthz`, `/readyz` and `/metrics`: for load balancers and monitoring.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use coordinator::catalog::generation::{Stage, UnitState};
use coordinator::catalog::job::Phase;
use coordinator::catalog::video::Status;
use serde::Serialize;

use super::api::Api;
use crate::telemetry::metrics;

/// The process answers; nothing else is asked.
pub(super) async fn healthz() -> Response {
    uncached((StatusCode::OK, axum::Json(Health { ok: true })))
}

#[derive(Debug, Serialize)]
struct Health {
    ok: bool,
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// Whole sentences, one a reason; empty when ready.
    reasons: Vec<String>,
    /// Whole sentences on what is wrong although the node serves.
    warnings: Vec<String>,
}

/// Whether this node should get requests, and if not, why.
pub(super) async fn readyz(State(api): State<Api>) -> Response {
    let mut reasons = Vec::new();
    if api.catalog.leader().is_none() {
        reasons.push("The cluster has no leader, so nothing can be changed.".to_owned());
    }
    let me = api.catalog.node();
    let vitals = api.live.vitals.borrow().get(&me).cloned();
    if let Some(vitals) = vitals.filter(|vitals| vitals.disk_free_bytes < api.disk_floor_bytes) {
        reasons.push(format!(
            "The data disk has {} MB left; make room, at least {} MB are wanted.",
            vitals.disk_free_bytes / 1_000_000,
            api.disk_floor_bytes / 1_000_000,
        ));
    }
    if let Some(why) = &*api.trouble.borrow() {
        reasons.push(format!("The cluster turns this node away: {why}."));
    }
    if api.events.is_stopping() {
        reasons.push("This node is shutting down.".to_owned());
    }
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = reasons.is_empty();
    let body = Readiness {
        ready,
        reasons,
        warnings: warnings(&api),
    };
    uncached((status, axum::Json(body)))
}

/// An origin that is away keeps nobody from sending or from seeing what is cached, so the node
/// stays ready.
fn warnings(api: &Api) -> Vec<String> {
    let trouble = api.edge.origin().trouble().borrow().clone();
    let Some(trouble) = trouble else {
        return Vec::new();
    };
    let me = api.catalog.node();
    let waiting = api.catalog.read(|catalog| {
        let building = catalog.generations_in(Stage::Building);
        let units = building.flat_map(|generation| generation.units.values());
        let mine =
            |unit: &&UnitState| matches!(unit, UnitState::Rendered { node, .. } if *node == me);
        units.filter(mine).count()
    });
    vec![format!(
        "The origin is of no use right now: {trouble}. {waiting} finished units wait here and are published when it is back."
    )]
}

/// Everything measured, in Prometheus' text format.
pub(super) async fn prometheus(State(api): State<Api>) -> Response {
    let Some(handle) = api.metrics.clone() else {
        return uncached((StatusCode::OK, String::new()));
    };
    measure(&api);
    handle.run_upkeep();
    let mut response = uncached((StatusCode::OK, handle.render()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

const JOB_PHASES: [(&str, Phase); 5] = [
    ("waiting", Phase::Waiting),
    ("running", Phase::Running),
    ("done", Phase::Done),
    ("failed", Phase::Failed),
    ("cancelled", Phase::Cancelled),
];

const VIDEO_STATUSES: [(&str, Status); 5] = [
    ("uploading", Status::Uploading),
    ("probing", Status::Probing),
    ("rendering", Status::Rendering),
    ("ready", Status::Ready),
    ("failed", Status::Failed),
];

/// What is counted rather than recorded as it happens.
fn measure(api: &Api) {
    let (memory_bytes, disk_bytes) = api.edge.used_bytes();
    metrics::edge_used(memory_bytes, disk_bytes);
    let figures = api.live.look();
    let me = api.catalog.node();
    metrics::raft(api.catalog.is_leader(), *api.catalog.changes().borrow());
    let counts = api.catalog.read(|catalog| metrics::Counts {
        jobs: JOB_PHASES.map(|(label, phase)| (label, catalog.count_of_jobs(phase))),
        videos: VIDEO_STATUSES.map(|(label, status)| (label, catalog.count_of_videos(status))),
        uploads_open: catalog.uploads().count(),
    });
    metrics::counted(&counts);
    if let Some(node) = super::node::all(api).into_iter().find(|node| node.id == me) {
        metrics::slots(node.slots, node.slots_busy);
    }
    if let Some(vitals) = figures.vitals.get(&me) {
        metrics::vitals(vitals);
    }
}

fn uncached(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
