//! Encodes a video to every rendition of its ladder in one pass.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use protocol::failure::{Failure, FailureClass};
use protocol::manifest::{Manifest, Track, TrackKind};
use protocol::media::{FrameRate, Rendition, SHORTEST_SEGMENT_MS};
use protocol::probe::VideoTrack;
use protocol::worker::{LadderTask, Pipeline};

use super::cadence::Cadence;
use super::cells::Taking;
use super::cmaf::{self, Colour, Media, Sample};
use super::feed::Feed;
use super::gate::{self, Count, Timing};
use super::keep;
use super::output::{Output, TrackWriter};
use super::pipeline::{Fault, Running, Wanted, internal, sample_time};

/// Ticks a second of a track with a variable rate, as MPEG has it.
const VARIABLE_TIMESCALE: u32 = 90_000;

/// Renders `task` from `input` into `output` and reports source frames done.
pub(super) fn run(
    task: &LadderTask,
    input: &str,
    output: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, Failure> {
    let video = &task.probe.video;
    let whole = task.frames.start == 0 && task.frames.end == video.frames;
    let whole = whole && task.kept.is_none();
    let (running, feed, count) = if whole {
        let running = Running::open_through(&task.pipeline, input, Wanted::Video)?;
        (running, None, Count::Arrival)
    } else {
        let running = Running::build(&task.pipeline)?;
        let feed = Feed::open(input, task.frames, video.frame_rate)?;
        let origin = feed.origin();
        (running, Some(feed), Count::Time { origin })
    };
    let clock = Clock::new(task);
    let gate_pad = pad(&running, Pipeline::GATE, "src")?;
    gate::install(
        &gate_pad,
        Timing {
            rate: video.frame_rate,
            variable: video.variable_frame_rate,
            frames: task.frames,
            count,
        },
    );
    let rungs = task
        .renditions
        .iter()
        .enumerate()
        .map(|(index, rendition)| {
            let sink = pad(&running, &Pipeline::encoder(index), "sink")?;
            force_key_units(&sink, clock.clone())?;
            let rung = Arc::new(Rung::new(rendition, clock.clone(), output));
            rung.attach(&running.sink(index)?, running.fault());
            Ok(rung)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let cells = task.cells.map(|cells| {
        let how = (task.frames, video.frame_rate, video.variable_frame_rate);
        Taking::begin(&running, rungs.len(), cells, how, output)
    });
    let cells = cells.transpose()?;
    let total = task.frames.len();
    if let Some(feed) = feed {
        feed.start(&running)?;
    }
    running.run(|| {
        let done = rungs.iter().map(|rung| rung.done.load(Ordering::Relaxed));
        progress(done.min().unwrap_or(0), total);
        true
    })?;
    drop(running);
    let kept = task.kept.as_ref();
    let kept = kept.map(|rendition| keep::run(task, rendition, input, output));
    let tracks = kept
        .into_iter()
        .chain(rungs.iter().map(|rung| rung.finish(video)))
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(Manifest {
        frames: Some(task.frames),
        tracks,
        sheets: match cells {
            Some(cells) => cells.finish()?,
            None => Vec::new(),
        },
        ..Manifest::default()
    })
}

/// From times behind the gate to ticks, GOPs and segments.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    rate: FrameRate,
    variable: bool,
    cadence: Cadence,
    end_ns: u64,
}

impl Clock {
    pub(super) fn new(task: &LadderTask) -> Self {
        let video = &task.probe.video;
        let rate = video.frame_rate;
        let unit = |frames: u64| {
            if video.variable_frame_rate {
                rate.frame_to_ns(frames)
            } else {
                frames
            }
        };
        let total = if video.variable_frame_rate {
            video.duration_ns
        } else {
            video.frames
        };
        Self {
            rate,
            variable: video.variable_frame_rate,
            cadence: if task.cuts.is_empty() {
                Cadence::new(
                    total,
                    unit(task.gop_frames.into()),
                    unit(task.segment_frames.into()),
                    unit(rate.frames_in_ms(SHORTEST_SEGMENT_MS)),
                )
            } else {
                let (end, gop) = (task.frames.end, task.gop_frames.into());
                Cadence::cut(&task.cuts, end, task.first_segment, gop)
            },
            end_ns: video.duration_ns,
        }
    }

    /// A constant rate has whole ticks for each frame, so that no time is ever rounded.
    pub(super) fn timescale(&self) -> u32 {
        if self.variable {
            VARIABLE_TIMESCALE
        } else {
            self.rate.num()
        }
    }

    fn ticks(&self, ns: u64) -> u64 {
        if self.variable {
            let ticks =
                (u128::from(ns) * u128::from(VARIABLE_TIMESCALE) + 500_000_000) / 1_000_000_000;
            u64::try_from(ticks).unwrap_or(u64::MAX)
        } else {
            self.rate.ns_to_frame(ns) * u64::from(self.rate.den())
        }
    }

    fn grid(&self, ns: u64) -> u64 {
        if self.variable {
            ns
        } else {
            self.rate.ns_to_frame(ns)
        }
    }

    fn gop(&self, ns: u64) -> u64 {
        self.cadence.gop(self.grid(ns))
    }

    fn segment(&self, ns: u64) -> u64 {
        self.cadence.segment(self.grid(ns))
    }

    /// Where frame `frame` of a constant rate begins, in ticks.
    pub(super) fn frame_ticks(&self, frame: u64) -> u64 {
        frame.saturating_mul(self.rate.den().into())
    }

    /// The end of a track whose last picture is shown at `ns`, in ticks.
    fn end(&self, ns: u64) -> u64 {
        let frame_end = ns.saturating_add(self.rate.frame_to_ns(1));
        if self.variable {
            let end = if self.end_ns > ns {
                self.end_ns
            } else {
                frame_end
            };
            self.ticks(end).max(self.ticks(ns) + 1)
        } else {
            self.ticks(frame_end)
        }
    }
}

/// Asks the encoder for an IDR picture in front of the first frame of each GOP.
fn force_key_units(sink: &gst::Pad, clock: Clock) -> Result<(), Failure> {
    let source = sink
        .peer()
        .ok_or_else(|| internal("an encoder is not linked"))?;
    // Behind every filter that delays pictures: an event would overtake those it holds.
    let last = AtomicU64::new(u64::MAX);
    source.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) else {
            return gst::PadProbeReturn::Ok;
        };
        let gop = clock.gop(pts.nseconds());
        if last.swap(gop, Ordering::Relaxed) != gop {
            let event = gst_video::DownstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            pad.push_event(event);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// One rendition while it is encoded.
struct Rung {
    rendition: Rendition,
    clock: Clock,
    /// Pictures that left the encoder.
    done: AtomicU64,
    state: Mutex<Option<State>>,
}

struct State {
    writer: TrackWriter,
    codec: Option<String>,
    /// The open GOP, in coding order.
    gop: Vec<Sample>,
    /// When the open GOP's first and the track's last picture are shown, in nanoseconds.
    gop_ns: u64,
    last_ns: u64,
}

impl Rung {
    fn new(rendition: &Rendition, clock: Clock, output: &Output) -> Self {
        let (output, name) = (output.clone(), rendition.name.clone());
        let writer = TrackWriter::new(output, name, clock.timescale());
        Self {
            rendition: rendition.clone(),
            clock,
            done: AtomicU64::new(0),
            state: Mutex::new(Some(State {
                writer,
                codec: None,
                gop: Vec::new(),
                gop_ns: 0,
                last_ns: 0,
            })),
        }
    }

    fn attach(self: &Arc<Self>, sink: &gst_app::AppSink, fault: Fault) {
        let rung = Arc::clone(self);
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                rung.take(&sample).map_err(|failure| fault.set(failure))?;
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        sink.set_callbacks(callbacks);
    }

    fn take(&self, sample: &gst::Sample) -> Result<(), Failure> {
        let buffer = sample
            .buffer()
            .ok_or_else(|| internal("a sample without data"))?;
        let ns = sample_time(sample)
            .and_then(|ns| u64::try_from(ns).ok())
            .ok_or_else(|| internal("an encoded picture without a time"))?;
        let data = buffer
            .map_readable()
            .map_err(|error| internal(&error.to_string()))?
            .to_vec();
        let sync = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state
            .as_mut()
            .ok_or_else(|| internal("a picture after the end"))?;
        if state.codec.is_none() {
            state.codec = Some(self.begin(&mut state.writer, sample)?);
        }
        if sync {
            state.close_gop(&self.clock, self.clock.ticks(ns))?;
            state.gop_ns = ns;
        } else if state.gop.is_empty() {
            return Err(internal("the encoder began without an IDR picture"));
        }
        state.last_ns = state.last_ns.max(ns);
        state.gop.push(Sample {
            data,
            pts: self.clock.ticks(ns),
            sync,
        });
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the init segment from the encoder's caps and names the codec.
    fn begin(&self, writer: &mut TrackWriter, sample: &gst::Sample) -> Result<String, Failure> {
        let caps = sample.caps().and_then(|caps| caps.structure(0));
        let caps = caps.ok_or_else(|| internal("the encoder names no format"))?;
        let record = caps
            .get::<gst::Buffer>("codec_data")
            .map_err(|error| internal(&error.to_string()))?;
        let record = record
            .map_readable()
            .map_err(|error| internal(&error.to_string()))?;
        writer.init(&Media::Video {
            resolution: self.rendition.resolution,
            avcc: &record,
            colour: Colour::named(
                caps.get::<&str>("colorimetry").unwrap_or_default(),
                self.rendition.resolution.height,
            ),
        })?;
        cmaf::avc_codec(&record).ok_or_else(|| internal("the avcC record is too short"))
    }

    fn finish(&self, video: &VideoTrack) -> Result<Track, Failure> {
        let state = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut state = state.ok_or_else(|| internal("a rendition ended twice"))?;
        let codec = state.codec.take().ok_or_else(no_pictures)?;
        state.close_gop(&self.clock, self.clock.end(state.last_ns))?;
        let kind = TrackKind::Video {
            resolution: self.rendition.resolution,
            frame_rate: video.frame_rate,
        };
        state.writer.finish(kind, codec)
    }
}

impl State {
    fn close_gop(&mut self, clock: &Clock, end: u64) -> Result<(), Failure> {
        if self.gop.is_empty() {
            return Ok(());
        }
        let gop = std::mem::take(&mut self.gop);
        self.writer.fragment(clock.segment(self.gop_ns), &gop, end)
    }
}

fn pad(running: &Running, element: &str, name: &str) -> Result<gst::Pad, Failure> {
    running
        .element(element)?
        .static_pad(name)
        .ok_or_else(|| internal(&format!("{element} has no pad {name}")))
}

fn no_pictures() -> Failure {
    Failure::new(
        FailureClass::Input,
        "no_pictures",
        "Not one picture of the file could be decoded; it may be damaged. Export it again and upload the new file.",
        "",
    )
}
