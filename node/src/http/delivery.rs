//! Playback: `/api/v1/videos/{id}/grant` and `/want`, and the keys under `/api/v1/delivery/keys`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use coordinator::catalog::delivery::{DeliveryCommand, Secret};
use coordinator::catalog::generation::{Generation, Stage, UnitState};
use coordinator::catalog::{self, Catalog, Command};
use coordinator::raft;
use protocol::http::delivery::{Grant, SigningKey, Want};
use protocol::http::problem::Problem;
use protocol::id::{GenerationId, VideoId};
use protocol::job::Unit;
use protocol::time::{Span, Timestamp};

use super::api::Api;
use super::cluster::{Caller, check_local};
use super::error::Error;
use super::extract::{Id, Json};
use super::view;
use crate::auth::authority;
use crate::auth::grant::{self, Key, Scheme};

/// A wish for one video is passed on this often at most: viewers of it wait for about the same.
const WISH_EVERY: Duration = Duration::from_secs(5);

/// Videos whose last wish is remembered.
const WISHES_MAX: usize = 256;

/// How grants are made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub scheme: Scheme,
    pub life: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scheme: Scheme::HmacSha256,
            life: Span::from_secs(6 * 3600),
        }
    }
}

/// Where grants are in a path: `/hls/s/{grant}/{video}/…`.
fn prefix(catalog: &Catalog, grant: &str) -> String {
    let base = &catalog.settings().delivery_base_url;
    format!("{base}/hls/s/{grant}/")
}

fn keys(catalog: &Catalog) -> impl DoubleEndedIterator<Item = Key<'_>> {
    let keys = catalog.signing_keys().iter();
    keys.map(|key| Key {
        id: key.id,
        secret: &key.secret.0,
    })
}

/// When `grant` ends, if it opens `video` now.
pub(super) fn check(api: &Api, grant: &str, video: VideoId) -> Result<Span, Error> {
    let now = Api::now();
    let checked = api
        .catalog
        .read(|catalog| grant::verify(api.delivery.scheme, keys(catalog), grant, video, now));
    match checked {
        Ok(expires) => Ok(expires.since(now)),
        Err(refusal) => Err(Error::grant_refused(refusal)),
    }
}

/// Open a video to a player for a while
///
/// One grant covers everything of the video: playlists, segments, stills, subclips. Ask again from
/// `renew_at` on, and go on with the new prefix.
#[utoipa::path(post, path = "/api/v1/videos/{id}/grant", tag = "videos",
    params(("id" = VideoId, Path)),
    responses((status = 200, body = Grant), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn give(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
) -> Result<axum::Json<Grant>, Error> {
    let now = Api::now();
    let Options { scheme, life } = api.delivery;
    api.catalog.read(|catalog| {
        let video = catalog
            .video(id)
            .ok_or_else(|| Error::video_not_found(id))?;
        if !catalog.settings().delivery_private {
            return Err(Error::playback_public());
        }
        let key = keys(catalog)
            .next_back()
            .ok_or_else(Error::no_signing_key)?;
        let expires_at = grant::expiry(now, life);
        let prefix = prefix(catalog, &grant::sign(scheme, key, id, expires_at));
        let plays = view::plays(catalog, video);
        let left = expires_at.since(now).as_millis();
        Ok(axum::Json(Grant {
            hls_url: plays.map(|generation| format!("{prefix}{id}/{generation}/master.m3u8")),
            prefix,
            expires_at,
            renew_at: now + Span::from_millis(left / 2),
        }))
    })
}

fn listed(catalog: &Catalog) -> Vec<SigningKey> {
    let keys = catalog.signing_keys();
    let newest = keys.last().map(|key| key.id);
    keys.iter()
        .map(|key| SigningKey {
            id: key.id,
            secret: grant::secret_text(&key.secret.0),
            added_at: key.added_at,
            signs: Some(key.id) == newest,
        })
        .collect()
}

/// List the keys that sign grants
///
/// With their secrets, for a CDN that is to check grants; so only the machine itself may ask.
#[utoipa::path(get, path = "/api/v1/delivery/keys", tag = "nodes",
    responses((status = 200, body = Vec<SigningKey>), (status = 403, body = Problem)))]
pub(super) async fn list_keys(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
) -> Result<axum::Json<Vec<SigningKey>>, Error> {
    check_local(caller)?;
    Ok(axum::Json(api.catalog.read(listed)))
}

/// Add a key that signs from now on
///
/// The one before still verifies; the one before that does not, so two calls end all grants.
#[utoipa::path(post, path = "/api/v1/delivery/keys", tag = "nodes",
    responses((status = 200, body = Vec<SigningKey>), (status = 403, body = Problem)))]
pub(super) async fn add_key(
    State(api): State<Api>,
    caller: Option<Extension<Caller>>,
) -> Result<axum::Json<Vec<SigningKey>>, Error> {
    check_local(caller)?;
    let secret = authority::random_secret();
    let secret = secret.map_err(|error| Error::internal("make a key", &error))?;
    let newest = |catalog: &Catalog| catalog.signing_keys().last().map_or(0, |key| key.id);
    let command = DeliveryCommand::AddKey {
        after: api.catalog.read(newest),
        secret: Secret(secret),
    };
    api.catalog.propose(Command::Delivery(command)).await?;
    Ok(axum::Json(api.catalog.read(listed)))
}

/// Say which frame of a video that is still rendered a viewer waits for
///
/// The piece with that frame is rendered before others, for a minute. A hint: it is taken up or
/// not, and costs nothing to repeat.
#[utoipa::path(post, path = "/api/v1/videos/{id}/want", tag = "videos",
    params(("id" = VideoId, Path)), request_body = Want,
    responses((status = 202), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn want(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
    Json(Want { frame }): Json<Want>,
) -> Result<StatusCode, Error> {
    let building = api.catalog.read(|catalog| {
        let video = catalog
            .video(id)
            .ok_or_else(|| Error::video_not_found(id))?;
        let building = video.building.and_then(|id| catalog.generation(id));
        Ok::<_, Error>(building.map(Arc::clone))
    })?;
    if let Some(generation) = building {
        wish(&api, &generation, |pieces| {
            pieces.position(|piece| piece.end > frame)
        });
    }
    Ok(StatusCode::ACCEPTED)
}

/// A viewer plays towards the end of what is there.
pub(super) fn watching(api: &Api, generation: &Generation) {
    wish(api, generation, |_| None);
}

/// Passes on that a viewer waits: for the piece that `find` finds, or else the first that is not
/// there. In the background: a wish holds no viewer up.
fn wish<'a>(
    api: &Api,
    generation: &'a Generation,
    find: impl FnOnce(&mut std::slice::Iter<'a, protocol::media::FrameRange>) -> Option<usize>,
) {
    let asked = find(&mut generation.pieces.iter());
    let first = asked.unwrap_or(0);
    let count = generation.pieces.len();
    // The piece itself, or the next that still waits.
    let waiting = (first..count).find_map(|number| {
        let unit = Unit::Piece(u32::try_from(number).ok()?);
        (generation.units.get(&unit) == Some(&UnitState::Pending)).then_some(unit)
    });
    let Some(unit) = waiting.filter(|_| generation.stage == Stage::Building) else {
        return;
    };
    if !api.wishes.may(generation.id, asked.is_some()) {
        return;
    }
    let (catalog, id) = (api.catalog.clone(), generation.id);
    tokio::spawn(async move {
        let command = DeliveryCommand::WantUnit {
            generation: id,
            unit,
        };
        match catalog.propose(Command::Delivery(command)).await {
            Ok(_) | Err(raft::Error::Rejected(catalog::Rejection::WrongState { .. })) => {}
            Err(error) => tracing::debug!(generation = %id, %error, "a wish was lost"),
        }
    });
}

/// When a wish for which video was last passed on.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes(Arc<Mutex<BTreeMap<(GenerationId, bool), Instant>>>);

impl Wishes {
    /// Whether another one may be passed on now. A seek and the play head count apart.
    fn may(&self, generation: GenerationId, seek: bool) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.duration_since(*at) < WISH_EVERY);
        if last.len() >= WISHES_MAX || last.contains_key(&(generation, seek)) {
            return false;
        }
        last.insert((generation, seek), now);
        true
    }
}

/// What is left of `life_s` seconds in a cache, for an answer under a grant that ends in `left`.
pub(super) fn shortened(cache_control: &str, left: Span) -> String {
    let left_s = left.as_millis() / 1000;
    let directives = cache_control.split(',').map(str::trim);
    let life_s = directives
        .clone()
        .find_map(|one| one.strip_prefix("max-age=")?.parse().ok());
    let life_s: u64 = life_s.unwrap_or(0);
    if life_s <= left_s && !cache_control.contains("stale-") {
        return cache_control.to_owned();
    }
    // What may be used after its time would outlive the grant.
    format!("public, max-age={}", life_s.min(left_s))
}

/// Whether a key of `keys` is due to be followed by another at `now`; the number of the newest.
pub fn due_key(catalog: &Catalog, key_life: Span, now: Timestamp) -> Option<u32> {
    match catalog.signing_keys().last() {
        _ if !catalog.settings().delivery_private => None,
        None => Some(0),
        Some(key) => (now.since(key.added_at) >= key_life).then_some(key.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outlives_its_grant_in_a_cache() {
        let check = |text, left_s| shortened(text, Span::from_secs(left_s));
        let year = "public, max-age=31536000, immutable";
        assert_eq!(check(year, 3600), "public, max-age=3600");
        assert_eq!(check(year, 40_000_000), year);
        let list = "public, max-age=3600, stale-while-revalidate=86400";
        assert_eq!(check(list, 7200), "public, max-age=3600");
        assert_eq!(check(list, 60), "public, max-age=60");
        assert_eq!(check("public, max-age=1", 60), "public, max-age=1");
        assert_eq!(check("max-age=1", 0), "public, max-age=0");
    }

    #[tokio::test]
    async fn one_wish_of_a_kind_at_a_time() {
        let wishes = Wishes::default();
        let id = GenerationId::derived(Timestamp::from_millis(1), 1, 1);
        assert!(wishes.may(id, false) && wishes.may(id, true));
        assert!(!wishes.may(id, false) && !wishes.may(id, true));
    }
}
