//! A short generated reel, so that a fresh library has something to watch.

use std::path::Path;

use anyhow::{Context, bail};
use gst::prelude::*;
use protocol::media::{FrameRange, FrameRate};
use protocol::worker::Pipeline;

use super::gate::{self, Count, Timing};

const RATE: u32 = 25;
const SAMPLE_RATE: u32 = 48_000;
const SAMPLES_PER_BUFFER: u32 = 1024;

/// A moving pattern and the line of text over it.
const SCENES: [(&str, &str); 4] = [
    (
        "pattern=pinwheel horizontal-speed=12 foreground-color=0xff2b6cb0 background-color=0xff101820",
        "Reelmesh",
    ),
    (
        "pattern=zone-plate kx2=6 ky2=6 kt=9",
        "Uploaded in chunks over QUIC",
    ),
    (
        "pattern=spokes horizontal-speed=8",
        "Rendered in a confined worker",
    ),
    (
        "pattern=ball motion=sweep animation-mode=frames flip=true",
        "Played from your own origin",
    ),
];

/// Writes an MP4 file of about `seconds` seconds, 1080p25 with a quiet tone.
pub fn write(file: &Path, seconds: u32) -> anyhow::Result<()> {
    gst::init().context("cannot load GStreamer")?;
    let seconds = seconds.clamp(4, 600);
    let pipeline = gst::parse::launch(&description(seconds)).context(
        "cannot build the reel; are GStreamer's plugins installed? `make` installs them",
    )?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| anyhow::anyhow!("the description is a pipeline"))?;
    let sink = pipeline
        .by_name("file")
        .context("the description has a sink")?;
    sink.set_property("location", file.to_string_lossy().as_ref());
    retime(&pipeline, seconds)?;
    let result = play(&pipeline);
    pipeline
        .set_state(gst::State::Null)
        .context("cannot stop the reel")?;
    result
}

/// Each scene begins at 0 in a segment of its own, which the encoder takes for a clock that goes
/// back: behind the gate the pictures follow each other.
fn retime(pipeline: &gst::Pipeline, seconds: u32) -> anyhow::Result<()> {
    let gate = pipeline
        .by_name(Pipeline::GATE)
        .and_then(|gate| gate.static_pad("src"))
        .context("the description has a gate")?;
    let timing = Timing {
        rate: FrameRate::new(RATE, 1).context("not zero")?,
        variable: false,
        frames: FrameRange {
            start: 0,
            end: u64::from(seconds * RATE / 4 * 4),
        },
        count: Count::Arrival,
    };
    gate::install(&gate, timing);
    Ok(())
}

fn play(pipeline: &gst::Pipeline) -> anyhow::Result<()> {
    pipeline
        .set_state(gst::State::Playing)
        .context("cannot start the reel")?;
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    for message in bus.iter_timed(gst::ClockTime::from_seconds(600)) {
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(()),
            gst::MessageView::Error(error) => bail!("cannot make the reel: {}", error.error()),
            _ => {}
        }
    }
    bail!("the reel took longer than ten minutes")
}

fn description(seconds: u32) -> String {
    let frames = seconds * RATE / 4;
    let audio = frames * 4 * (SAMPLE_RATE / RATE) / SAMPLES_PER_BUFFER;
    let scenes: Vec<String> = SCENES
        .iter()
        .enumerate()
        .map(|(number, (pattern, text))| {
            format!(
                "videotestsrc num-buffers={frames} {pattern} \
                 ! video/x-raw,width=1920,height=1080,framerate={RATE}/1,pixel-aspect-ratio=1/1 \
                 ! videoconvert ! rsvgoverlay data=\"{}\" \
                 ! videoconvert ! video/x-raw,format=I420,colorimetry=bt709 ! queue ! scenes.",
                caption(text, number + 1)
            )
        })
        .collect();
    // The muxer waits for both tracks, and x264 looks ahead: its queues must not fill up first.
    let queue = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0";
    format!(
        "concat name=scenes ! identity name={} silent=true ! x264enc speed-preset=veryfast bitrate=6000 key-int-max=50 \
         ! video/x-h264,profile=high ! h264parse ! {queue} \
         ! mp4mux name=mux faststart=true ! filesink name=file \
         {} \
         audiotestsrc num-buffers={audio} samplesperbuffer={SAMPLES_PER_BUFFER} freq=220 volume=0.15 \
         ! audio/x-raw,rate={SAMPLE_RATE},channels=2 ! audioconvert ! avenc_aac bitrate=128000 \
         ! aacparse ! {queue} ! mux.",
        Pipeline::GATE,
        scenes.join(" ")
    )
}

/// A line of text on a bar, as SVG.
fn caption(text: &str, number: usize) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1920 1080'>\
         <rect x='110' y='850' width='1700' height='130' rx='18' fill='#0b0f14' fill-opacity='0.82'/>\
         <text x='160' y='935' font-family='DejaVu Sans' font-size='56' fill='#f2f4f7'>{text}</text>\
         <text x='1760' y='935' text-anchor='end' font-family='DejaVu Sans' font-size='40' \
         fill='#8fa3b8'>{number} of 4</text></svg>"
    )
}
