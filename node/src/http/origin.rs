//! `/api/v1/origin/sweep`: removing what nothing names from the store of everything derived.
//!
//! It removes, so only this machine may ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::http::origin::{BeginSweep, Orphan, Reason, Sum, Sweep, Sweeps};
use protocol::http::problem::Problem;
use protocol::time::Timestamp;

use super::api::Api;
use super::cluster::{Caller, check_local};
use super::error::Error;
use super::extract::Json;
use crate::publish::orphans;
use crate::publish::sweep;
use crate::publish::sweep::{Ended, Options, Report, Sweeper};

/// Objects that are listed if nobody says how many.
const LISTED: usize = 1000;

/// What this room needs to know of the node.
#[derive(Debug, Clone)]
pub struct Sweeping {
    pub sweeper: Sweeper,
    pub grace: Duration,
}

/// Begin to remove what nothing names
#[utoipa::path(post, path = "/api/v1/origin/sweep", tag = "nodes",
    request_body = BeginSweep,
    responses((status = 202, body = Sweeps), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn begin(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
    Json(wanted): Json<BeginSweep>,
) -> Result<(StatusCode, axum::Json<Sweeps>), Error> {
    check_local(caller)?;
    let options = Options {
        grace: api.sweeping.grace,
        dry_run: wanted.dry_run,
        list_max: wanted.limit.unwrap_or(LISTED).min(sweep::LISTED_MAX),
    };
    let sweeper = &api.sweeping.sweeper;
    let origin = api.edge.origin().clone();
    if !sweeper.begin(origin, api.catalog.clone(), options) {
        return Err(Error::conflict(
            "sweep_running",
            "A sweep goes on already; look at it with GET, and begin another when it has ended.",
        ));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(shown(sweeper))))
}

/// How the sweeps of this node stand
#[utoipa::path(get, path = "/api/v1/origin/sweep", tag = "nodes",
    responses((status = 200, body = Sweeps), (status = 403, body = Problem)))]
pub(super) async fn look(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
) -> Result<axum::Json<Sweeps>, Error> {
    check_local(caller)?;
    Ok(axum::Json(shown(&api.sweeping.sweeper)))
}

fn shown(sweeper: &Sweeper) -> Sweeps {
    let state = sweeper.state();
    Sweeps {
        running: state.running.is_some(),
        last: state.last.map(ended),
    }
}

fn ended(ended: Ended) -> Sweep {
    let (report, error) = match ended.result {
        Ok(report) => (report, None),
        Err(error) => (Arc::new(Report::default()), Some(error)),
    };
    Sweep {
        ended_at: Timestamp::from_millis(ended.at_ms),
        dry_run: report.dry_run,
        error,
        needed: sum(report.needed),
        young: sum(report.young),
        foreign: sum(report.foreign),
        gone: (orphans::Reason::ALL.iter())
            .filter_map(|reason| Some((reason, report.gone.get(reason)?)))
            .map(|(reason, sum)| Reason {
                reason: reason.code().to_owned(),
                text: reason.text().to_owned(),
                objects: sum.objects,
                bytes: sum.bytes,
            })
            .collect(),
        objects: (report.listed.iter())
            .map(|orphan| Orphan {
                key: orphan.key.clone(),
                size_bytes: orphan.size_bytes,
                reason: orphan.reason.code().to_owned(),
            })
            .collect(),
        remarks: report.remarks.clone(),
    }
}

const fn sum(sum: sweep::Sum) -> Sum {
    Sum {
        objects: sum.objects,
        bytes: sum.bytes,
    }
}
