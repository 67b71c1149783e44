//! What kind of file this is: GStreamer's opinion and ours, which must agree.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;
use protocol::failure::Failure;

use super::codec::Container;
use super::survey::make;
use crate::worker::refuse::{Magic, Refusal};

/// Long enough for any disk; typefind reads a few hundred kilobytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The container of a file that may be opened.
pub(super) fn container(path: &Path, file: &mut File) -> Result<Container, Failure> {
    let mut head = Vec::new();
    file.take(Magic::HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(|error| Refusal::Unreadable.because(error.to_string()))?;
    let magic = Magic::of(&head);
    if magic == Some(Magic::Playlist) {
        return Err(Refusal::Playlist.into());
    }
    let Some(caps) = typefind(path)? else {
        return Err(unrecognised(magic));
    };
    let name = caps.structure(0).map(|s| s.name().to_string());
    let name = name.unwrap_or_default();
    let Some(container) = Container::of(&caps) else {
        return Err(refusal(&name, magic).because(caps.to_string()));
    };
    let expected = match container.name {
        "mp4" => Magic::Mp4,
        "mkv" | "webm" => Magic::Matroska,
        "ts" => Magic::TransportStream,
        "ps" => Magic::ProgramStream,
        "avi" => Magic::Avi,
        "mxf" => Magic::Mxf,
        "flv" => Magic::Flv,
        _ => Magic::Ogg,
    };
    if magic == Some(expected) {
        return Ok(container);
    }
    // The program stream may begin with junk from a tape or a cut; the others may not.
    if container.name == "ps" && magic.is_none() {
        return Ok(container);
    }
    Err(Refusal::NotMedia.because(format!("taken for {caps}, but it begins as {magic:?}")))
}

fn unrecognised(magic: Option<Magic>) -> Failure {
    match magic {
        // So short or so cut that only the first box is there.
        Some(Magic::Mp4) => Refusal::IncompleteRecording.because("no type found"),
        _ => Refusal::NotMedia.because("no type found"),
    }
}

/// Why a type that GStreamer knows is not opened.
fn refusal(name: &str, magic: Option<Magic>) -> Refusal {
    let lists = [
        "application/x-hls",
        "application/dash+xml",
        "application/vnd.ms-sstr+xml",
        "application/sdp",
        "application/smil",
        "application/x-rtsp",
        "text/uri-list",
    ];
    if lists.contains(&name) {
        return Refusal::Playlist;
    }
    if name.starts_with("image/") {
        return Refusal::StillPicture;
    }
    if name.starts_with("audio/") || name == "application/x-id3" || name == "application/x-apetag" {
        return Refusal::NoVideoTrack { sound: true };
    }
    if name.starts_with("video/") || magic.is_some() || name == "application/vnd.rn-realmedia" {
        let short = name.rsplit('/').next().unwrap_or(name);
        let name = short.strip_prefix("x-").unwrap_or(short).to_owned();
        return Refusal::UnsupportedContainer { name };
    }
    Refusal::NotMedia
}

/// Runs GStreamer's type finders and nothing behind them.
fn typefind(path: &Path) -> Result<Option<gst::Caps>, Failure> {
    let pipeline = gst::Pipeline::new();
    let source = make("filesrc")?;
    source.set_property("location", path);
    let typefind = make("typefind")?;
    let sink = make("fakesink")?;
    pipeline
        .add_many([&source, &typefind, &sink])
        .and_then(|()| gst::Element::link_many([&source, &typefind, &sink]))
        .map_err(super::survey::internal)?;
    let _started = pipeline.set_state(gst::State::Paused);
    let deadline = Instant::now() + PATIENCE;
    let bus = pipeline.bus();
    let kinds = [gst::MessageType::AsyncDone, gst::MessageType::Error];
    while Instant::now() < deadline {
        let wait = gst::ClockTime::from_mseconds(100);
        let message = bus
            .as_ref()
            .and_then(|bus| bus.timed_pop_filtered(wait, &kinds));
        if message.is_some() {
            break;
        }
    }
    let caps = typefind.property::<Option<gst::Caps>>("caps");
    let _stopped = pipeline.set_state(gst::State::Null);
    Ok(caps)
}
