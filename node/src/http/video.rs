//! `/api/v1/videos`: the library.

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bincode::{Decode, Encode};
use coordinator::catalog::Command;
use coordinator::catalog::labels::TAGS_PER_VIDEO_MAX;
use coordinator::catalog::query::{VideoCursor, VideoOrder, VideoQuery};
use coordinator::catalog::video::Status;
use protocol::codec;
use protocol::http::Page;
use protocol::http::problem::Problem;
use protocol::http::video::{Video, VideoChange, VideoStatus};
use protocol::id::{BinId, VideoId};
use protocol::media::FrameRate;
use protocol::time::Timestamp;
use serde::Deserialize;

use super::api::Api;
use super::error::Error;
use super::extract::{Id, Json, Query};
use super::view;

/// Items of a page if the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// Most items of a page.
pub(super) const LIMIT_MAX: usize = 200;

/// Longest search text in characters.
const TEXT_MAX: usize = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Only videos in this state.
    status: Option<VideoStatus>,
    /// Part of the file name, upper or lower case.
    q: Option<String>,
    /// Tags, joined by commas: only videos that have all of them.
    tags: Option<String>,
    /// Only videos in this bin.
    #[param(value_type = Option<String>)]
    bin: Option<BinId>,
    /// Frames a second: `25`, `30000/1001` or `29.97`.
    rate: Option<String>,
    /// Only videos whose original lies at this site.
    site: Option<String>,
    /// Only videos that were added then or later, RFC 3339.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Only videos that were added before, RFC 3339.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// `created_at`, `-created_at` (default), `filename`, `-filename`, `duration` or `-duration`.
    sort: Option<String>,
    /// Items of the page, 1 to 200; 50 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The videos, page by page
#[utoipa::path(get, path = "/api/v1/videos", tag = "videos", params(List),
    responses((status = 200, body = Page<Video>), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(list): Query<List>,
) -> Result<axum::Json<Page<Video>>, Error> {
    let order = order(list.sort.as_deref())?;
    let limit = limit(list.limit)?;
    let text = list.q.filter(|text| !text.is_empty());
    if text
        .as_ref()
        .is_some_and(|text| text.chars().count() > TEXT_MAX)
    {
        return Err(Error::bad_query(format!(
            "q is longer than {TEXT_MAX} characters."
        )));
    }
    let query = VideoQuery {
        status: list.status.map(status),
        text,
        tags: tags(list.tags.as_deref())?,
        bin: list.bin,
        rate: list.rate.as_deref().map(rate).transpose()?,
        site: list.site,
        from: list.from,
        to: list.to,
        order,
        after: list
            .cursor
            .as_deref()
            .map(|text| Cursor::read(text, order))
            .transpose()?,
        limit,
    };
    let figures = api.live.look();
    let page = api.catalog.read(|catalog| {
        let page = catalog.page_of_videos(&query);
        Page {
            items: page
                .items
                .iter()
                .map(|video| view::video(catalog, &figures, video))
                .collect(),
            next_cursor: page.next.map(|after| Cursor::write(after, order)),
            total: page.total,
        }
    });
    Ok(axum::Json(page))
}

/// One video
#[utoipa::path(get, path = "/api/v1/videos/{id}", tag = "videos",
    params(("id" = VideoId, Path)),
    responses((status = 200, body = Video), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
) -> Result<axum::Json<Video>, Error> {
    shown(&api, id).map(axum::Json)
}

/// Rename a video
#[utoipa::path(patch, path = "/api/v1/videos/{id}", tag = "videos",
    params(("id" = VideoId, Path)), request_body = VideoChange,
    responses((status = 200, body = Video), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
    Json(change): Json<VideoChange>,
) -> Result<axum::Json<Video>, Error> {
    if let Some(filename) = change.filename {
        let max = api
            .catalog
            .read(|catalog| catalog.settings().filename_max_chars);
        let filename = checked_filename(&filename, max)?;
        // A missing video has its own code.
        shown(&api, id)?;
        api.catalog
            .propose(Command::RenameVideo {
                video: id,
                filename,
            })
            .await?;
    }
    shown(&api, id).map(axum::Json)
}

/// Remove a video with everything made from it
#[utoipa::path(delete, path = "/api/v1/videos/{id}", tag = "videos",
    params(("id" = VideoId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Id(id): Id<VideoId>,
) -> Result<StatusCode, Error> {
    shown(&api, id)?;
    api.catalog
        .propose(Command::DeleteVideo { video: id })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(api: &Api, id: VideoId) -> Result<Video, Error> {
    let figures = api.live.look();
    api.catalog.read(|catalog| {
        let video = catalog
            .video(id)
            .ok_or_else(|| Error::video_not_found(id))?;
        Ok(view::video(catalog, &figures, video))
    })
}

/// Display text: one line, not empty, not too long.
fn checked_filename(text: &str, max_chars: u32) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::bad_filename("The file name is empty."));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::bad_filename(
            "The file name has a control character in it.",
        ));
    }
    if text.chars().count() > usize::try_from(max_chars).unwrap_or(usize::MAX) {
        return Err(Error::bad_filename(format!(
            "The file name is longer than {max_chars} characters."
        )));
    }
    Ok(text.to_owned())
}

const fn status(status: VideoStatus) -> Status {
    match status {
        VideoStatus::Uploading => Status::Uploading,
        VideoStatus::Probing => Status::Probing,
        VideoStatus::Rendering => Status::Rendering,
        VideoStatus::Ready => Status::Ready,
        VideoStatus::Failed => Status::Failed,
    }
}

fn order(sort: Option<&str>) -> Result<VideoOrder, Error> {
    match sort {
        None | Some("-created_at") => Ok(VideoOrder::CreatedAtDescending),
        Some("created_at") => Ok(VideoOrder::CreatedAt),
        Some("filename") => Ok(VideoOrder::Filename),
        Some("-filename") => Ok(VideoOrder::FilenameDescending),
        Some("duration") => Ok(VideoOrder::Length),
        Some("-duration") => Ok(VideoOrder::LengthDescending),
        Some(_) => Err(Error::bad_query(
            "sort is not one of created_at, -created_at, filename, -filename, duration and -duration.",
        )),
    }
}

/// Tags of a query, joined by commas.
fn tags(text: Option<&str>) -> Result<Vec<String>, Error> {
    let tags: Vec<String> = (text.unwrap_or_default().split(','))
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect();
    if tags.len() > TAGS_PER_VIDEO_MAX || tags.iter().any(|tag| tag.len() > TEXT_MAX) {
        return Err(Error::bad_query(format!(
            "tags has more than {TAGS_PER_VIDEO_MAX} tags, or one that is too long."
        )));
    }
    Ok(tags)
}

/// A frame rate as a fraction, a whole number, or the decimals that people write for a fraction of
/// 1001.
fn rate(text: &str) -> Result<FrameRate, Error> {
    let whole = |text: &str| text.parse::<u32>().ok();
    let found = match (text.split_once('/'), text.split_once('.')) {
        (Some((num, den)), _) => whole(num).zip(whole(den)),
        // 23.976, 23.98, 29.97, 59.94, 119.88: a little below a whole rate.
        (None, Some((below, tail))) if (1..=3).contains(&tail.len()) && whole(tail).is_some() => {
            if tail.bytes().all(|digit| digit == b'0') {
                whole(below).map(|rate| (rate, 1))
            } else {
                (whole(below).and_then(|rate| rate.checked_add(1)?.checked_mul(1000)))
                    .map(|num| (num, 1001))
            }
        }
        _ => whole(text).map(|rate| (rate, 1)),
    };
    (found.and_then(|(num, den)| FrameRate::new(num, den))).ok_or_else(|| {
        Error::bad_query("rate is not a frame rate, such as 25, 30000/1001 or 29.97.")
    })
}

pub(super) fn limit(limit: Option<usize>) -> Result<usize, Error> {
    match limit {
        None => Ok(LIMIT_DEFAULT),
        Some(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Some(_) => Err(Error::bad_query(format!(
            "limit is not between 1 and {LIMIT_MAX}."
        ))),
    }
}

/// A position in a list, opaque to clients: a cursor of one order says nothing in another.
#[derive(Debug, Encode, Decode)]
struct Cursor {
    order: u8,
    after: VideoCursor,
}

impl Cursor {
    fn write(after: VideoCursor, order: VideoOrder) -> String {
        let cursor = Self {
            order: order as u8,
            after,
        };
        // A key is a file name or a time: far below the codec's limit.
        URL_SAFE_NO_PAD.encode(codec::encode(&cursor).expect("a cursor is small"))
    }

    fn read(text: &str, order: VideoOrder) -> Result<VideoCursor, Error> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| Error::bad_cursor())?;
        let cursor: Self = codec::decode(&bytes).map_err(|_| Error::bad_cursor())?;
        if cursor.order != order as u8 {
            return Err(Error::bad_cursor());
        }
        Ok(cursor.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_bound_to_their_order() {
        let after = VideoCursor {
            key: "clip.mov".to_owned(),
            id: VideoId::from_uuid(uuid::Uuid::from_u128(7)),
        };
        let text = Cursor::write(after.clone(), VideoOrder::Filename);
        assert_eq!(Cursor::read(&text, VideoOrder::Filename).unwrap(), after);
        assert!(Cursor::read(&text, VideoOrder::CreatedAt).is_err());
        for bad in [
            "",
            "AQ",
            "!!",
            "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            &text[1..],
        ] {
            assert_eq!(
                Cursor::read(bad, VideoOrder::Filename).unwrap_err().code(),
                "bad_cursor"
            );
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        let check = |text: &str, num, den| {
            assert_eq!(
                rate(text).unwrap(),
                FrameRate::new(num, den).unwrap(),
                "{text}"
            );
        };
        check("25", 25, 1);
        check("25.00", 25, 1);
        check("30000/1001", 30000, 1001);
        check("29.97", 30000, 1001);
        check("23.976", 24000, 1001);
        check("23.98", 24000, 1001);
        check("59.94", 60000, 1001);
        for bad in ["", "x", "0", "1/0", "29.", "4294967295.9", "29.97.1", "-1"] {
            assert_eq!(rate(bad).unwrap_err().code(), "bad_query", "{bad:?}");
        }
    }

    #[test]
    fn filenames_are_one_line_of_text() {
        assert_eq!(checked_filename(" été 名.mov ", 20).unwrap(), "été 名.mov");
        for bad in ["", "  ", "a\nb", "a\0b", "123456"] {
            assert_eq!(
                checked_filename(bad, 5).unwrap_err().code(),
                "bad_filename",
                "{bad:?}"
            );
        }
    }
}
