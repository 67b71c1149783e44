//! `/api/v1/jobs`: work, newest first, and what a person may do about it.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coordinator::catalog::{Catalog, Command, job};
use protocol::codec;
use protocol::http::Page;
use protocol::http::job::{Job, JobState};
use protocol::http::problem::Problem;
use protocol::id::{JobId, VideoId};
use serde::Deserialize;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Query};
use super::{video, view};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Only jobs in this state.
    state: Option<JobState>,
    /// Only jobs of this video.
    #[param(value_type = Option<String>)]
    video: Option<VideoId>,
    /// Items of the page, 1 to 200; 50 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Where a job stands in the list: by time, then by id.
type Position = (i64, [u8; 16]);

fn position(job: &job::Job) -> Position {
    (job.created_at.as_millis(), *job.id.as_uuid().as_bytes())
}

/// The jobs, newest first, page by page
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(List),
    responses((status = 200, body = Page<Job>), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(list): Query<List>,
) -> Result<axum::Json<Page<Job>>, Error> {
    let limit = video::limit(list.limit)?;
    let after = list.cursor.as_deref().map(read_cursor).transpose()?;
    let figures = api.live.look();
    let now = Api::now();
    let page = api.catalog.read(|catalog| {
        let (jobs, total) = page(catalog, &list, after, limit);
        let next = (jobs.len() > limit).then(|| write_cursor(position(&jobs[limit - 1])));
        let shown = jobs
            .iter()
            .take(limit)
            .map(|job| view::job(catalog, &figures, now, job));
        Page {
            items: shown.collect(),
            next_cursor: next,
            total,
        }
    });
    Ok(axum::Json(page))
}

/// At most one more than `limit` jobs, and how many there are in all.
fn page<'a>(
    catalog: &'a Catalog,
    list: &List,
    after: Option<Position>,
    limit: usize,
) -> (Vec<&'a Arc<job::Job>>, u64) {
    let wanted = |job: &&Arc<job::Job>| {
        list.state
            .is_none_or(|state| view::job_state(&job.state) == state)
    };
    let mut total = 0;
    let mut found: Vec<&Arc<job::Job>> = Vec::new();
    let mut take = |job: &'a Arc<job::Job>| {
        total += 1;
        if after.is_none_or(|after| position(job) < after) {
            found.push(job);
            // Kept short on the way, so that a long history costs no memory.
            if found.len() >= 4 * (limit + 1) {
                keep_newest(&mut found, limit + 1);
            }
        }
    };
    match list.video {
        Some(video) => catalog
            .jobs_of_video(video)
            .filter(wanted)
            .for_each(&mut take),
        None => catalog.jobs().filter(wanted).for_each(&mut take),
    }
    keep_newest(&mut found, limit + 1);
    (found, total)
}

fn keep_newest(jobs: &mut Vec<&Arc<job::Job>>, count: usize) {
    jobs.sort_unstable_by_key(|job| std::cmp::Reverse(position(job)));
    jobs.truncate(count);
}

fn write_cursor(position: Position) -> String {
    URL_SAFE_NO_PAD.encode(codec::encode(&position).expect("a position is small"))
}

fn read_cursor(text: &str) -> Result<Position, Error> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Error::bad_cursor())?;
    codec::decode(&bytes).map_err(|_| Error::bad_cursor())
}

/// One job
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = JobId, Path)),
    responses((status = 200, body = Job), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(api): State<Api>,
    Id(id): Id<JobId>,
) -> Result<axum::Json<Job>, Error> {
    shown(&api, id).map(axum::Json)
}

/// Try a failed or cancelled job again
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs",
    params(("id" = JobId, Path)),
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn retry(
    State(api): State<Api>,
    Id(id): Id<JobId>,
) -> Result<axum::Json<Job>, Error> {
    shown(&api, id)?;
    api.catalog.propose(Command::RetryJob { job: id }).await?;
    shown(&api, id).map(axum::Json)
}

/// Give a job up
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs",
    params(("id" = JobId, Path)),
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    State(api): State<Api>,
    Id(id): Id<JobId>,
) -> Result<axum::Json<Job>, Error> {
    shown(&api, id)?;
    api.catalog.propose(Command::CancelJob { job: id }).await?;
    shown(&api, id).map(axum::Json)
}

fn shown(api: &Api, id: JobId) -> Result<Job, Error> {
    let figures = api.live.look();
    api.catalog.read(|catalog| {
        let job = catalog.job(id).ok_or_else(|| Error::job_not_found(id))?;
        Ok(view::job(catalog, &figures, Api::now(), job))
    })
}
