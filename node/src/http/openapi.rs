//! `/api/v1/openapi.json` and `/docs`: the API described, and a page to try it.

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use utoipa::OpenApi;

/// Gathered from the handlers, so that it cannot say anything else than they do.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Reelmesh", description = "Video proxies and subclips. Errors are problem documents (RFC 9457) with a stable `code`."),
    paths(
        super::video::list,
        super::video::one,
        super::video::change,
        super::video::remove,
        super::original::original,
        super::thumbnail::thumbnail,
        super::clip::mark,
        super::clip::one,
        super::clip::change,
        super::clip::remove,
        super::clip::render,
        super::clip::download,
        super::review::order_clips,
        super::marker::list,
        super::marker::pin,
        super::marker::one,
        super::marker::change,
        super::marker::remove,
        super::marker::comment,
        super::marker::reword,
        super::marker::retract,
        super::review::facets,
        super::review::label,
        super::review::bins,
        super::review::create_bin,
        super::review::rename_bin,
        super::review::delete_bin,
        super::export::of_one,
        super::export::of_many,
        super::job::list,
        super::job::one,
        super::job::retry,
        super::job::cancel,
        super::node::list,
        super::node::one,
        super::cluster::create_token,
        super::cluster::apply_file,
        super::cluster::drain,
        super::cluster::remove,
        super::origin::begin,
        super::origin::look,
        super::events::follow,
    ),
    // What URLs in a video lead to.
    components(schemas(protocol::http::scrub::Sprites, protocol::http::scrub::Outlines)),
    modifiers(&Distinct),
    tags(
        (name = "videos", description = "The library"),
        (name = "clips", description = "Subclips"),
        (name = "review", description = "Tags, bins, markers and comments"),
        (name = "jobs", description = "Work"),
        (name = "nodes", description = "The cluster"),
        (name = "events", description = "What changes, as it changes"),
    )
)]
struct Description;

/// Handlers are called alike in many rooms, operations must not be: each is called after its tag too.
struct Distinct;

impl utoipa::Modify for Distinct {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        for item in description.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
                &mut item.patch,
            ];
            for operation in operations.into_iter().flatten() {
                let tag = operation.tags.iter().flatten().next();
                if let (Some(tag), Some(name)) = (tag, &operation.operation_id) {
                    operation.operation_id = Some(format!("{tag}_{name}"));
                }
            }
        }
    }
}

/// The description as JSON.
pub(super) fn json() -> String {
    Description::openapi()
        .to_pretty_json()
        .expect("the description is always JSON")
}

pub(super) async fn description() -> Response {
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        json(),
    )
        .into_response()
}

pub(super) async fn page() -> Html<&'static str> {
    Html(include_str!("openapi/docs.html"))
}

pub(super) async fn script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    (
        [(header::CONTENT_TYPE, kind)],
        include_str!("openapi/docs.js"),
    )
        .into_response()
}
