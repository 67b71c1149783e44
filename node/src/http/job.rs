//! `/api/v1/jobs`: work, newest first, and what a person may do about it.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coordinator::catalog::Command;
use coordinator::catalog::job::Phase;
use coordinator::catalog::query::{JobCursor, JobQuery};
use protocol::codec;
use protocol::http::Page;
use protocol::http::job::{Job, JobState};
use protocol::http::problem::Problem;
use protocol::id::{JobId, VideoId};
use serde::Deserialize;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Query};
use super::video;
use super::view::{self, Reasons};

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

/// The jobs, newest first, page by page
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(List),
    responses((status = 200, body = Page<Job>), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(list): Query<List>,
) -> Result<axum::Json<Page<Job>>, Error> {
    let query = JobQuery {
        phase: list.state.map(phase),
        video: list.video,
        after: list.cursor.as_deref().map(read_cursor).transpose()?,
        limit: video::limit(list.limit)?,
    };
    let figures = api.live.look();
    let (mut page, reasons) = api.catalog.read(|catalog| {
        let page = catalog.page_of_jobs(&query);
        let jobs = || page.items.iter().map(Arc::as_ref);
        let reasons = Reasons::of(catalog, &figures, Api::now(), jobs());
        let shown = Page {
            items: jobs()
                .map(|job| view::job(catalog, &figures, job))
                .collect(),
            next_cursor: page.next.as_ref().map(write_cursor),
            total: page.total,
        };
        (shown, reasons)
    });
    page.items
        .iter_mut()
        .for_each(|job: &mut Job| reasons.fill(job));
    Ok(axum::Json(page))
}

const fn phase(state: JobState) -> Phase {
    match state {
        JobState::Waiting => Phase::Waiting,
        JobState::Running => Phase::Running,
        JobState::Done => Phase::Done,
        JobState::Failed => Phase::Failed,
        JobState::Cancelled => Phase::Cancelled,
    }
}

fn write_cursor(cursor: &JobCursor) -> String {
    URL_SAFE_NO_PAD.encode(codec::encode(cursor).expect("a cursor is small"))
}

fn read_cursor(text: &str) -> Result<JobCursor, Error> {
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
    let (mut job, reasons) = api.catalog.read(|catalog| {
        let job = catalog.job(id).ok_or_else(|| Error::job_not_found(id))?;
        let reasons = Reasons::of(catalog, &figures, Api::now(), [job.as_ref()]);
        Ok::<_, Error>((view::job(catalog, &figures, job), reasons))
    })?;
    reasons.fill(&mut job);
    Ok(job)
}
