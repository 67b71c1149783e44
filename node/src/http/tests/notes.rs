//! Tags, bins, markers, comments and the order of subclips, from outside.

use protocol::http::review::{Bin, Facets, Marker};

use super::*;

impl Node {
    async fn ask(&self, method: Method, path: &str, body: serde_json::Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.call(method, path, &kind, &body.to_string()).await
    }

    async fn post(&self, path: &str, body: serde_json::Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }
}

#[tokio::test]
async fn videos_are_tagged_binned_and_found_by_it() {
    let node = Node::new().await;
    let (video, _) = node.ready().await;
    let answer = node
        .post("/api/v1/bins", serde_json::json!({"name": " Dailies "}))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let bin: Bin = answer.json();
    assert_eq!((bin.name.as_str(), bin.videos), ("Dailies", 0));
    node.post("/api/v1/bins", serde_json::json!({"name": "dailies"}))
        .await
        .check_problem(409, "exists");

    let label = serde_json::json!({"videos": [video], "add_tags": ["Day 4", "b-roll"], "add_bins": [bin.id]});
    assert_eq!(
        node.post("/api/v1/labels", label).await.status,
        StatusCode::NO_CONTENT
    );
    let found = async |query: &str| {
        let page: Page<Video> = node.get(&format!("/api/v1/videos?{query}")).await.json();
        page.total
    };
    assert_eq!(found("tags=day%204,B-ROLL").await, 1);
    assert_eq!(found("tags=day%205").await, 0);
    assert_eq!(
        found(&format!("bin={}&sort=-duration&q=REEL", bin.id)).await,
        1
    );
    assert_eq!(found("site=nowhere").await, 0);
    assert_eq!(
        found("from=2000-01-01T00:00:00Z&to=2001-01-01T00:00:00Z").await,
        0
    );
    for bad in ["rate=fast", "from=yesterday", "bin=x", "sort=size"] {
        let answer = node.get(&format!("/api/v1/videos?{bad}")).await;
        answer.check_problem(400, "bad_query");
    }
    let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
    assert_eq!(shown.tags, ["Day 4", "b-roll"]);
    assert_eq!(shown.bins, [bin.id]);
    assert_eq!(shown.copies.len(), 1);
    let rate = shown.frame_rate.unwrap();
    assert_eq!(found(&format!("rate={rate}")).await, 1);

    let facets: Facets = node.get("/api/v1/facets").await.json();
    assert_eq!(
        (facets.bins[0].videos, facets.tags.len(), facets.rates.len()),
        (1, 2, 1)
    );
    node.post(
        "/api/v1/labels",
        serde_json::json!({"videos": [video], "add_tags": ["a,b"]}),
    )
    .await
    .check_problem(409, "wrong_state");
    let path = format!("/api/v1/bins/{}", bin.id);
    let renamed: Bin = node
        .ask(Method::PATCH, &path, serde_json::json!({"name": "Rushes"}))
        .await
        .json();
    assert_eq!(renamed.name, "Rushes");
    assert_eq!(
        node.call(Method::DELETE, &path, &[], "").await.status,
        StatusCode::NO_CONTENT
    );
    node.call(Method::DELETE, &path, &[], "")
        .await
        .check_problem(404, "bin_not_found");
    let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
    assert!(shown.bins.is_empty(), "the video stays, outside of any bin");
}

#[tokio::test]
async fn markers_are_pinned_answered_resolved_and_exported() {
    let node = Node::new().await;
    let (video, _) = node.ready().await;
    let path = format!("/api/v1/videos/{video}/markers");
    let answer = node
        .post(&path, serde_json::json!({"in_frame": 7, "text": "too dark\r\nhere", "colour": "cyan", "author": "Ruth"}))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    let marker: Marker = answer.json();
    assert_eq!(
        (marker.in_frame, marker.out_frame, marker.text.as_str()),
        (7, 8, "too dark\nhere")
    );
    for (body, status, code) in [
        (serde_json::json!({}), 422, "marker_point_missing"),
        (
            serde_json::json!({"in_frame": 9, "out_frame": 9}),
            422,
            "clip_empty",
        ),
        (
            serde_json::json!({"in_frame": 1_000_000}),
            422,
            "clip_out_of_range",
        ),
        (
            serde_json::json!({"in_frame": 1, "text": "x".repeat(4001)}),
            422,
            "limit_exceeded",
        ),
        (
            serde_json::json!({"in_frame": 1, "colour": "mauve"}),
            422,
            "bad_body",
        ),
    ] {
        node.post(&path, body).await.check_problem(status, code);
    }
    let one = format!("/api/v1/markers/{}", marker.id);
    let answered: Marker = node
        .post(
            &format!("{one}/comments"),
            serde_json::json!({"text": "brighter", "author": "Jan"}),
        )
        .await
        .json();
    let comment = answered.comments[0].id;
    node.post(
        &format!("{one}/comments"),
        serde_json::json!({"text": "  "}),
    )
    .await
    .check_problem(409, "wrong_state");
    let moved: Marker = node
        .ask(
            Method::PATCH,
            &one,
            serde_json::json!({"in_frame": 3, "resolved": true, "by": "Jan"}),
        )
        .await
        .json();
    assert_eq!(
        (moved.in_frame, moved.out_frame),
        (3, 4),
        "it keeps its length"
    );
    assert_eq!(moved.resolved_by.as_deref(), Some("Jan"));
    let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
    assert_eq!(shown.open_markers, 0);

    let edl = node
        .get(&format!("/api/v1/videos/{video}/export?format=edl"))
        .await;
    let edl = String::from_utf8(edl.body.to_vec()).unwrap();
    assert!(
        edl.contains("CYAN    too dark here | Jan: brighter"),
        "{edl}"
    );

    let reworded: Marker = node
        .ask(
            Method::PATCH,
            &format!("/api/v1/comments/{comment}"),
            serde_json::json!({"text": "much brighter"}),
        )
        .await
        .json();
    assert_eq!(reworded.comments[0].text, "much brighter");
    for path in [format!("/api/v1/comments/{comment}"), one.clone()] {
        let gone = node.call(Method::DELETE, &path, &[], "").await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
    }
    node.get(&one).await.check_problem(404, "marker_not_found");
    let list: Page<Marker> = node.get(&path).await.json();
    assert_eq!(list.total, 0);
}

#[tokio::test]
async fn subclips_are_arranged_by_hand() {
    let node = Node::new().await;
    let (video, _) = node.ready().await;
    let mut ids = Vec::new();
    for (name, start) in [("b", 20), ("a", 5)] {
        let body = serde_json::json!({"name": name, "in_frame": start, "out_frame": start + 5});
        let clip: Clip = node
            .post(&format!("/api/v1/videos/{video}/clips"), body)
            .await
            .json();
        ids.push(clip.id);
    }
    let names = async || {
        let shown: Video = node.get(&format!("/api/v1/videos/{video}")).await.json();
        shown
            .clips
            .into_iter()
            .map(|clip| clip.name)
            .collect::<String>()
    };
    assert_eq!(names().await, "ab", "in the order of their in points");
    let path = format!("/api/v1/videos/{video}/clip-order");
    let answer = node
        .ask(Method::PUT, &path, serde_json::json!({"clips": ids}))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(names().await, "ba");
    node.ask(Method::PUT, &path, serde_json::json!({"clips": [video]}))
        .await
        .check_problem(404, "not_found");
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let description: serde_json::Value =
        serde_json::from_str(&crate::http::openapi::json()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let operations = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    let mut seen = std::collections::BTreeSet::new();
    for operation in operations {
        let name = operation["operationId"].as_str().unwrap();
        assert!(seen.insert(name), "{name} twice");
    }
}

/// What the page is typed by, and what a node says of itself, are one text.
///
/// `REELMESH_BLESS=1` writes it; `npm run types` in `web` makes types of it.
#[test]
fn the_pages_description_of_the_api_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/openapi.json");
    let now = crate::http::openapi::json() + "\n";
    if std::env::var_os("REELMESH_BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == now,
        "web/openapi.json is stale: REELMESH_BLESS=1 cargo test -p node --lib the_pages_description, then npm run types in web"
    );
}
