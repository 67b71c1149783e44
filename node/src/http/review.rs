//! `/api/v1/labels`, `/bins`, `/facets` and the order of subclips: how people sort their library.

use axum::extract::State;
use axum::http::StatusCode;
use coordinator::catalog::Command;
use coordinator::catalog::review::ReviewCommand;
use protocol::http::Page;
use protocol::http::clip::Clip;
use protocol::http::problem::Problem;
use protocol::http::review::{
    Bin, BinName, ClipOrder, Facets, Labelling, RateCount, SiteCount, Tag,
};
use protocol::id::{BinId, VideoId};
use uuid::Uuid;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Json};
use super::view;

/// What the library can be narrowed by
#[utoipa::path(get, path = "/api/v1/facets", tag = "review",
    responses((status = 200, body = Facets)))]
pub(super) async fn facets(State(api): State<Api>) -> axum::Json<Facets> {
    axum::Json(api.catalog.read(|catalog| {
        let tags = (catalog.tags().into_iter()).map(|(name, videos)| Tag {
            name: name.to_owned(),
            videos,
        });
        let sites = (catalog.sites().into_iter()).map(|(name, videos)| SiteCount {
            name: name.to_owned(),
            videos,
        });
        let mut bins: Vec<Bin> = catalog.bins().map(|bin| view::bin(catalog, bin)).collect();
        bins.sort_by_key(|bin| bin.name.to_lowercase());
        Facets {
            tags: tags.collect(),
            bins,
            rates: (catalog.rates())
                .map(|(frame_rate, videos)| RateCount { frame_rate, videos })
                .collect(),
            sites: sites.collect(),
        }
    }))
}

/// Tags and bins of many videos at once
#[utoipa::path(post, path = "/api/v1/labels", tag = "review", request_body = Labelling,
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn label(
    State(api): State<Api>,
    Json(wanted): Json<Labelling>,
) -> Result<StatusCode, Error> {
    let command = ReviewCommand::Label {
        videos: wanted.videos,
        add_tags: wanted.add_tags,
        remove_tags: wanted.remove_tags,
        add_bins: wanted.add_bins,
        remove_bins: wanted.remove_bins,
    };
    propose(&api, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bins
#[utoipa::path(get, path = "/api/v1/bins", tag = "review",
    responses((status = 200, body = Page<Bin>)))]
pub(super) async fn bins(State(api): State<Api>) -> axum::Json<Page<Bin>> {
    let axum::Json(facets) = facets(State(api)).await;
    axum::Json(Page {
        total: facets.bins.len() as u64,
        items: facets.bins,
        next_cursor: None,
    })
}

/// Make a bin
#[utoipa::path(post, path = "/api/v1/bins", tag = "review", request_body = BinName,
    responses((status = 201, body = Bin), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create_bin(
    State(api): State<Api>,
    Json(wanted): Json<BinName>,
) -> Result<(StatusCode, axum::Json<Bin>), Error> {
    let bin = BinId::from_uuid(Uuid::now_v7());
    let name = wanted.name.trim().to_owned();
    propose(&api, ReviewCommand::CreateBin { bin, name }).await?;
    shown(&api, bin).map(|bin| (StatusCode::CREATED, axum::Json(bin)))
}

/// Rename a bin
#[utoipa::path(patch, path = "/api/v1/bins/{id}", tag = "review",
    params(("id" = BinId, Path)), request_body = BinName,
    responses((status = 200, body = Bin), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn rename_bin(
    State(api): State<Api>,
    Id(bin): Id<BinId>,
    Json(wanted): Json<BinName>,
) -> Result<axum::Json<Bin>, Error> {
    shown(&api, bin)?;
    let name = wanted.name.trim().to_owned();
    propose(&api, ReviewCommand::RenameBin { bin, name }).await?;
    shown(&api, bin).map(axum::Json)
}

/// Remove a bin; the videos in it stay
#[utoipa::path(delete, path = "/api/v1/bins/{id}", tag = "review",
    params(("id" = BinId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete_bin(
    State(api): State<Api>,
    Id(bin): Id<BinId>,
) -> Result<StatusCode, Error> {
    shown(&api, bin)?;
    propose(&api, ReviewCommand::DeleteBin { bin }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Arrange the subclips of a video
#[utoipa::path(put, path = "/api/v1/videos/{id}/clip-order", tag = "review",
    params(("id" = VideoId, Path)), request_body = ClipOrder,
    responses((status = 200, body = Page<Clip>), (status = 404, body = Problem)))]
pub(super) async fn order_clips(
    State(api): State<Api>,
    Id(video): Id<VideoId>,
    Json(wanted): Json<ClipOrder>,
) -> Result<axum::Json<Page<Clip>>, Error> {
    let known = api.catalog.read(|catalog| catalog.video(video).is_some());
    if !known {
        return Err(Error::video_not_found(video));
    }
    let clips = wanted.clips;
    propose(&api, ReviewCommand::OrderClips { video, clips }).await?;
    let figures = api.live.look();
    let items: Vec<Clip> = api.catalog.read(|catalog| {
        (catalog.clips_of_video(video))
            .map(|clip| view::clip(catalog, &figures, clip))
            .collect()
    });
    Ok(axum::Json(Page {
        total: items.len() as u64,
        items,
        next_cursor: None,
    }))
}

fn shown(api: &Api, id: BinId) -> Result<Bin, Error> {
    api.catalog.read(|catalog| {
        let bin = catalog.bin(id).ok_or_else(|| Error::bin_not_found(id))?;
        Ok(view::bin(catalog, bin))
    })
}

pub(super) async fn propose(api: &Api, command: ReviewCommand) -> Result<(), Error> {
    api.catalog.propose(Command::Review(command)).await?;
    Ok(())
}
