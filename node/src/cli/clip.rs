//! `reelmesh clip`: marks a subclip.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use protocol::clip::Mode;
use protocol::http::clip::{Clip, ClipStatus, NewClip};
use reqwest::Method;

use super::client::Client;
use super::{Error, Kind, Shared, table};

/// Between two looks at a subclip that is rendered.
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the video, or its file name.
    video: String,
    /// The first frame: a timecode of the source, or a number counted from its first frame.
    #[arg(long = "in", value_name = "TC")]
    start: String,
    /// The first frame that does not belong to it, written alike.
    #[arg(long = "out", value_name = "TC")]
    end: String,
    /// How it becomes a file.
    #[arg(long, value_enum, default_value_t = Way::Smart)]
    mode: Way,
    /// What to call it; without it, by its video and in point.
    #[arg(long)]
    name: Option<String>,
    /// Make a file of it, wait for that, and write it here.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// [`Mode`], as the command line knows it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// Copy what can be copied, encode what the cut breaks.
    Smart,
    /// Copy everything; an edit list hides what comes before the in point.
    Instant,
    /// Encode everything.
    Encode,
}

impl From<Way> for Mode {
    fn from(way: Way) -> Self {
        match way {
            Way::Smart => Self::Smart,
            Way::Instant => Self::Instant,
            Way::Encode => Self::Encode,
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let video = client.video(&args.video).await?;
    let mut clip = client.mark(video.id, &new(&args)).await?;
    if let Some(path) = &args.output {
        clip = client.rendered(clip).await?;
        client
            .download(&format!("/clips/{}/download", clip.id), path)
            .await?;
    }
    if shared.json {
        println!("{}", serde_json::json!(clip));
    } else {
        println!("{}", line(&clip));
        if let Some(path) = &args.output {
            println!("wrote {}", path.display());
        } else if let Some(url) = &clip.hls_url {
            println!("{}{url}", shared.url().trim_end_matches('/'));
        }
    }
    Ok(())
}

fn new(args: &Args) -> NewClip {
    let (in_frame, in_timecode) = point(&args.start);
    let (out_frame, out_timecode) = point(&args.end);
    NewClip {
        name: args.name.clone(),
        in_frame,
        out_frame,
        in_timecode,
        out_timecode,
        mode: args.mode.into(),
        render: args.output.is_some(),
    }
}

/// A frame if it is a number, otherwise a timecode for the node to read.
fn point(text: &str) -> (Option<u64>, Option<String>) {
    match text.parse() {
        Ok(frame) => (Some(frame), None),
        Err(_) => (None, Some(text.to_owned())),
    }
}

/// A subclip on one line.
pub(crate) fn line(clip: &Clip) -> String {
    let points = match (&clip.in_timecode, &clip.out_timecode) {
        (Some(start), Some(end)) => format!("{start} to {end}"),
        _ => format!("{} to {}", clip.in_frame, clip.out_frame),
    };
    let status = match clip.status {
        ClipStatus::Virtual => "virtual".to_owned(),
        ClipStatus::Queued => "queued".to_owned(),
        ClipStatus::Rendering => format!("rendering {}", table::percent(clip.progress_permille)),
        ClipStatus::Ready => {
            let size = clip.size_bytes.map_or_else(String::new, table::bytes);
            format!("ready, {size}")
        }
        ClipStatus::Failed => {
            let error = clip.error.as_ref();
            let message = error.map_or("", |error| error.message.as_str());
            format!("failed: {message}")
        }
    };
    format!(
        "{} {points} ({} frames, {}, {status}) {}",
        clip.id, clip.duration_frames, clip.mode, clip.name
    )
}

impl Client {
    async fn mark(&self, video: protocol::id::VideoId, new: &NewClip) -> Result<Clip, Error> {
        let path = format!("/videos/{video}/clips");
        self.send_json(Method::POST, &path, new).await
    }

    /// Waits until the file of a subclip is there.
    async fn rendered(&self, mut clip: Clip) -> Result<Clip, Error> {
        loop {
            match clip.status {
                ClipStatus::Ready => return Ok(clip),
                ClipStatus::Failed | ClipStatus::Virtual => {
                    let message = clip.error.map(|error| error.message);
                    let message = message.unwrap_or_else(|| {
                        "somebody changed the subclip while it was rendered".to_owned()
                    });
                    return Err(Error::new(Kind::Failed, message));
                }
                ClipStatus::Queued | ClipStatus::Rendering => {}
            }
            tokio::time::sleep(POLL).await;
            clip = self.fetch(&format!("/clips/{}", clip.id), &[]).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{ClipId, VideoId};
    use protocol::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_number_is_a_frame_and_anything_else_is_for_the_node_to_read() {
        assert_eq!(point("100"), (Some(100), None));
        for text in ["01:00:00:00", "01:00:00;00", "", "-1", "1.5"] {
            assert_eq!(point(text), (None, Some(text.to_owned())));
        }
    }

    #[test]
    fn a_subclip_is_one_line() {
        let mut clip = Clip {
            id: ClipId::from_uuid(Uuid::from_u128(1)),
            video_id: VideoId::from_uuid(Uuid::from_u128(2)),
            name: "take 3".to_owned(),
            mode: Mode::Instant,
            status: ClipStatus::Virtual,
            progress_permille: 0,
            in_frame: 10,
            out_frame: 40,
            in_timecode: Some("01:00:00;10".to_owned()),
            out_timecode: Some("01:00:01;10".to_owned()),
            duration_frames: 30,
            hls_url: None,
            size_bytes: None,
            created_at: Timestamp::default(),
            error: None,
        };
        let id = "00000000-0000-0000-0000-000000000001";
        assert_eq!(
            line(&clip),
            format!("{id} 01:00:00;10 to 01:00:01;10 (30 frames, instant, virtual) take 3")
        );
        clip.status = ClipStatus::Ready;
        clip.size_bytes = Some(2048);
        clip.in_timecode = None;
        assert_eq!(
            line(&clip),
            format!("{id} 10 to 40 (30 frames, instant, ready, 2.00 KiB) take 3")
        );
    }
}
