//! `reelmesh show`: one video.

use protocol::http::Page;
use protocol::http::job::{Job, JobState};
use protocol::http::video::Video;

use super::client::Client;
use super::{Error, Shared, clip, ls, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the video, or its file name.
    video: String,
    /// Print a media hash list (ASC MHL) of the original instead, to compare a download with.
    #[arg(long)]
    mhl: bool,
    /// Which hash the list has.
    #[arg(long, requires = "mhl", default_value = "xxh128", value_parser = ["xxh128", "xxh3", "xxh64", "md5", "sha1", "c4"])]
    hash: String,
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let video = client.video(&args.video).await?;
    if args.mhl {
        let path = format!("/videos/{}/original.mhl", video.id);
        let list = client.slow_bytes(&path, &[("hash", args.hash)]).await?;
        print!("{}", String::from_utf8_lossy(&list));
        return Ok(());
    }
    if shared.json {
        println!("{}", serde_json::json!(video));
        return Ok(());
    }
    let query = [("video", video.id.to_string())];
    let jobs: Page<Job> = client.fetch("/jobs", &query).await?;
    for (name, value) in facts(&video, shared.url()) {
        println!("{name:<12} {value}");
    }
    for clip in &video.clips {
        println!("{:<12} {}", "subclip", clip::line(clip));
    }
    for remark in &video.remarks {
        println!("{:<12} {remark}", "remark");
    }
    for job in jobs.items.iter().filter(|job| job.state != JobState::Done) {
        println!("{:<12} {}", "work", line(job));
    }
    Ok(())
}

fn facts(video: &Video, base: &str) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("name", video.filename.clone()),
        ("id", video.id.to_string()),
        ("status", ls::status(video)),
        ("size", table::bytes(video.size_bytes)),
        ("added", video.created_at.to_string()),
    ];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("blake3", video.blake3.clone());
    add(
        "length",
        video
            .duration_frames
            .zip(video.frame_rate)
            .map(|(frames, rate)| {
                format!(
                    "{} ({frames} frames at {rate})",
                    table::length(frames, rate)
                )
            }),
    );
    add(
        "picture",
        video.width.zip(video.height).map(|(width, height)| {
            match (&video.video_codec, &video.container) {
                (Some(codec), Some(container)) => {
                    format!("{width}x{height}, {codec} in {container}")
                }
                _ => format!("{width}x{height}"),
            }
        }),
    );
    add("timecode", video.start_timecode.clone());
    for track in &video.audio_tracks {
        let language = track.language.as_deref().unwrap_or("no language");
        add(
            "sound",
            Some(format!(
                "{}, {} channels, {} Hz, {language}",
                track.codec, track.channels, track.sample_rate
            )),
        );
    }
    for rendition in &video.renditions {
        add(
            "rendition",
            Some(format!(
                "{} {} at {} kbit/s",
                rendition.name, rendition.resolution, rendition.video_kbps
            )),
        );
    }
    let base = base.trim_end_matches('/');
    add("page", Some(format!("{base}/videos/{}", video.id)));
    add(
        "hls",
        video.hls_url.as_ref().map(|url| format!("{base}{url}")),
    );
    add(
        "error",
        video.error.as_ref().map(|error| error.message.clone()),
    );
    facts
}

fn line(job: &Job) -> String {
    let because = match job.state {
        JobState::Waiting => job.waiting_because.join("; "),
        JobState::Running => table::percent(job.progress_permille),
        _ => job
            .failure
            .as_ref()
            .map_or_else(String::new, |f| f.message.clone()),
    };
    format!("{} {:?}: {because}", job.kind, job.state).to_lowercase()
}
