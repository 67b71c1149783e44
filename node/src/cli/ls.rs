//! `reelmesh ls`: the library.

use protocol::http::Page;
use protocol::http::video::{Video, VideoStatus};

use super::client::Client;
use super::{Error, Shared, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only names that contain this.
    query: Option<String>,
    /// Only videos in this state: uploading, probing, rendering, ready or failed.
    #[arg(long)]
    status: Option<String>,
    /// `created_at`, `filename`, with `-` in front for descending.
    #[arg(long, default_value = "-created_at", allow_hyphen_values = true)]
    sort: String,
    /// At most this many; all without it.
    #[arg(long)]
    limit: Option<usize>,
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let mut cursor: Option<String> = None;
    let mut videos: Vec<Video> = Vec::new();
    let wanted = args.limit.unwrap_or(usize::MAX);
    while videos.len() < wanted {
        let mut query = vec![
            ("sort", args.sort.clone()),
            ("limit", (wanted - videos.len()).min(200).to_string()),
        ];
        query.extend(args.query.iter().map(|text| ("q", text.clone())));
        query.extend(args.status.iter().map(|status| ("status", status.clone())));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page: Page<Video> = client.fetch("/videos", &query).await?;
        videos.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if shared.json {
        for video in &videos {
            println!("{}", serde_json::json!(video));
        }
        return Ok(());
    }
    if videos.is_empty() {
        println!("No videos. `reelmesh upload FILE --wait` adds one.");
        return Ok(());
    }
    let rows: Vec<_> = videos.iter().map(row).collect();
    table::print(["ID", "STATUS", "LENGTH", "PICTURE", "SIZE", "NAME"], &rows);
    Ok(())
}

fn row(video: &Video) -> [String; 6] {
    let length = video.duration_frames.zip(video.frame_rate);
    let picture = video.width.zip(video.height);
    [
        video.id.to_string(),
        status(video),
        length.map_or_else(String::new, |(frames, rate)| table::length(frames, rate)),
        picture.map_or_else(String::new, |(width, height)| format!("{width}x{height}")),
        table::bytes(video.size_bytes),
        video.filename.clone(),
    ]
}

/// The state in words, with how far it has come.
pub(crate) fn status(video: &Video) -> String {
    let percent = table::percent(video.progress_permille);
    match video.status {
        VideoStatus::Uploading => format!("uploading {percent}"),
        VideoStatus::Probing => "probing".to_owned(),
        VideoStatus::Rendering => format!("rendering {percent}"),
        VideoStatus::Ready => "ready".to_owned(),
        VideoStatus::Failed => "failed".to_owned(),
    }
}
