//! Encodes one sound track to AAC that starts with the first picture and ends with the last.
//!
//! Decoder and encoder are two pipelines. In between, [`Timeline`] puts every sample where its
//! time says, so that late starts, gaps and overlaps cannot move sound against picture.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use protocol::failure::Failure;
use protocol::manifest::{Manifest, Peaks, TrackKind};
use protocol::probe::VideoTrack;
use protocol::worker::{AudioTask, Pipeline};

use super::cadence::Cadence;
use super::cmaf::{Media, Sample};
use super::output::{Output, TrackWriter};
use super::peaks::Outline;
use super::pipeline::{Fault, Running, Wanted, internal, sample_time, stream_time};

const SAMPLE_RATE: u32 = 48_000;
const CHANNELS: u16 = 2;
/// Two channels of 32-bit floats.
const SAMPLE_BYTES: usize = 8;
/// Samples of one AAC frame (ISO/IEC 14496-3, 4.5.2.1.1).
const FRAME: u64 = 1024;
/// The encoder's first frame holds nothing but its own delay; it is left out.
const PRIMING_FRAMES: u64 = 1;
/// Timestamps of containers are rounded; only a jump above 20 ms is a gap.
const JITTER: i64 = 960;
/// Players stall on shorter segments.
const SHORTEST_SEGMENT_NS: u64 = 500_000_000;
/// Coded pictures that are looked at for the earliest shown; above any reorder depth.
const ORIGIN_PICTURES: u32 = 40;
/// Silence is pushed in pieces of this many samples.
const SILENCE_PIECE: u64 = 48_000;

/// Renders `task` from `input` into `output` and reports AAC frames done.
pub(super) fn run(
    task: &AudioTask,
    input: &str,
    output: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, Failure> {
    let duration_ns = duration_ns(&task.probe.video);
    let frames = frames_in(duration_ns);
    let origin_ns = origin(&task.origin, input)?;

    let encode = Running::build(&task.encode)?;
    let source = encode
        .element(Pipeline::SOURCE)?
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| internal("the encoder takes no samples"))?;
    let track = Arc::new(AacTrack::new(task, output, duration_ns, frames));
    track.attach(&encode.sink(0)?, encode.fault());
    encode.play()?;

    let decode = Running::open_through(&task.decode, input, Wanted::Audio(task.track.into()))?;
    let length = frames * FRAME;
    let placing = Arc::new(Mutex::new(Placing {
        timeline: Timeline::new(length),
        outline: Outline::new(length, CHANNELS, SAMPLE_RATE),
    }));
    feed(&decode, &placing, &source, origin_ns)?;
    let full = || lock(&placing).timeline.is_full();
    decode.run(|| {
        progress(track.done.load(Ordering::Relaxed), frames);
        !full()
    })?;
    drop(decode);

    // Silence up to the last picture, and enough behind it to push the last frame out.
    let rest = lock(&placing).timeline.rest();
    push_silence(&source, rest + PRIMING_FRAMES * FRAME + 2 * FRAME)?;
    source
        .end_of_stream()
        .map_err(|error| internal(&error.to_string()))?;
    encode.run(|| {
        progress(track.done.load(Ordering::Relaxed), frames);
        true
    })?;
    drop(encode);
    let track = track.finish(task)?;
    let mut placing = lock(&placing);
    placing.outline.add_silence(rest);
    let peaks = outline(&mut placing.outline, &track.name, output)?;
    Ok(Manifest {
        tracks: vec![track],
        peaks: vec![peaks],
        ..Manifest::default()
    })
}

/// Writes the outline of `track` beside it.
fn outline(outline: &mut Outline, track: &str, output: &Output) -> Result<Peaks, Failure> {
    let taken = std::mem::replace(outline, Outline::new(0, CHANNELS, SAMPLE_RATE));
    let (file, levels) = taken.finish();
    Ok(Peaks {
        object: output.write(&format!("{track}/peaks"), "dat", &file)?,
        track: track.to_owned(),
        sample_rate: SAMPLE_RATE,
        channels: CHANNELS,
        levels,
    })
}

/// What decoded samples go through on their way to the encoder.
struct Placing {
    timeline: Timeline,
    outline: Outline,
}

impl Placing {
    /// Notes what goes to the encoder: silence, then these bytes.
    fn note(&mut self, silence: u64, pcm: &[u8]) {
        self.outline.add_silence(silence);
        let samples: Vec<f32> = pcm
            .chunks_exact(4)
            .filter_map(|bytes| Some(f32::from_le_bytes(bytes.try_into().ok()?)))
            .collect();
        self.outline.add(&samples);
    }
}

/// How long the rendered pictures are shown.
fn duration_ns(video: &VideoTrack) -> u64 {
    if video.variable_frame_rate {
        video.duration_ns
    } else {
        video.frame_rate.frame_to_ns(video.frames)
    }
}

/// The number of AAC frames that comes nearest to `ns`, at least one.
fn frames_in(ns: u64) -> u64 {
    let samples = samples_in(i64::try_from(ns).unwrap_or(i64::MAX));
    (u64::try_from(samples).unwrap_or(0) + FRAME / 2)
        .div_euclid(FRAME)
        .max(1)
}

/// Nanoseconds as samples, to the nearest.
fn samples_in(ns: i64) -> i64 {
    let samples =
        (i128::from(ns) * i128::from(SAMPLE_RATE) + 500_000_000).div_euclid(1_000_000_000);
    i64::try_from(samples).unwrap_or(i64::MAX)
}

/// When the first picture is shown, in the file's time: sound is placed against it.
pub(super) fn origin(description: &Pipeline, input: &str) -> Result<i64, Failure> {
    let running = Running::open(description, input, Wanted::Video)?;
    let pad = running
        .element(Pipeline::ENTRY)?
        .static_pad("sink")
        .ok_or_else(|| internal("the entry takes no data"))?;
    let earliest = Arc::new(AtomicI64::new(i64::MAX));
    let seen = Arc::new(AtomicU32::new(0));
    let found = Arc::new(AtomicBool::new(false));
    let (lowest, counted, enough) = (Arc::clone(&earliest), Arc::clone(&seen), Arc::clone(&found));
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let segment = pad
            .sticky_event::<gst::event::Segment>(0)
            .and_then(|event| event.segment().downcast_ref::<gst::ClockTime>().cloned());
        let time = info.buffer().zip(segment).and_then(|(buffer, segment)| {
            stream_time(&segment, buffer.pts().or_else(|| buffer.dts()))
        });
        // Pictures before 0 are decoded for the sake of others and not shown.
        if let Some(time) = time.filter(|time| *time >= 0) {
            lowest.fetch_min(time, Ordering::Relaxed);
        }
        if counted.fetch_add(1, Ordering::Relaxed) >= ORIGIN_PICTURES {
            enough.store(true, Ordering::Release);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
    running.run(|| !found.load(Ordering::Acquire))?;
    let earliest = earliest.load(Ordering::Relaxed);
    Ok(if earliest == i64::MAX { 0 } else { earliest })
}

/// Sends decoded samples through the timeline to the encoder.
fn feed(
    decode: &Running,
    placing: &Arc<Mutex<Placing>>,
    source: &gst_app::AppSrc,
    origin_ns: i64,
) -> Result<(), Failure> {
    let (placing, source, fault) = (Arc::clone(placing), source.clone(), decode.fault());
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let at = sample_time(&sample).map(|ns| samples_in(ns - origin_ns));
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let pcm = buffer
                .map_readable()
                .map_err(|error| fault.set(internal(&error.to_string())))?;
            let count = (pcm.len() / SAMPLE_BYTES) as u64;
            let placed = lock(&placing).timeline.place(at, count);
            push_silence(&source, placed.silence).map_err(|failure| fault.set(failure))?;
            let from = usize::try_from(placed.skip)
                .unwrap_or(usize::MAX)
                .saturating_mul(SAMPLE_BYTES);
            let length = usize::try_from(placed.take)
                .unwrap_or(0)
                .saturating_mul(SAMPLE_BYTES);
            let part = pcm.get(from..from.saturating_add(length));
            lock(&placing).note(placed.silence, part.unwrap_or_default());
            if let Some(part) = part
                && !part.is_empty()
            {
                push(&source, part.to_vec()).map_err(|failure| fault.set(failure))?;
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    decode.sink(0)?.set_callbacks(callbacks);
    Ok(())
}

fn push_silence(source: &gst_app::AppSrc, mut samples: u64) -> Result<(), Failure> {
    while samples > 0 {
        let piece = samples.min(SILENCE_PIECE);
        let bytes = usize::try_from(piece).unwrap_or(0) * SAMPLE_BYTES;
        push(source, vec![0; bytes])?;
        samples -= piece;
    }
    Ok(())
}

/// Times follow from the count: the encoder sees one stream without a gap.
fn push(source: &gst_app::AppSrc, pcm: Vec<u8>) -> Result<(), Failure> {
    source
        .push_buffer(gst::Buffer::from_mut_slice(pcm))
        .map(|_| ())
        .map_err(|error| internal(&format!("the sound encoder stopped: {error}")))
}

/// Decides which samples of a buffer go where on a track that begins at 0.
#[derive(Debug)]
pub(super) struct Timeline {
    length: u64,
    /// Samples written so far.
    written: u64,
    /// Where the next buffer belongs if it follows the last one.
    expected: Option<i64>,
}

/// What to do with a buffer: first silence, then samples `skip..skip + take` of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) silence: u64,
    pub(super) skip: u64,
    pub(super) take: u64,
}

impl Timeline {
    pub(super) fn new(length: u64) -> Self {
        Self {
            length,
            written: 0,
            expected: None,
        }
    }

    pub(super) fn place(&mut self, at: Option<i64>, count: u64) -> Placed {
        let start = match (at, self.expected) {
            (Some(at), Some(expected)) if (at - expected).abs() <= JITTER => expected,
            (Some(at), _) => at,
            (None, expected) => expected.unwrap_or(0),
        };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let end = start.saturating_add(count);
        self.expected = Some(end);
        let limit = |at: i64| u64::try_from(at).unwrap_or(0).min(self.length);
        let first = limit(start).max(self.written);
        let last = limit(end).max(first);
        if last == first {
            // All of it lies before what is written, or behind the end.
            return Placed {
                silence: 0,
                skip: 0,
                take: 0,
            };
        }
        let placed = Placed {
            silence: first - self.written,
            skip: u64::try_from(i64::try_from(first).unwrap_or(i64::MAX) - start).unwrap_or(0),
            take: last - first,
        };
        self.written = last;
        placed
    }

    pub(super) fn is_full(&self) -> bool {
        self.rest() == 0
    }

    pub(super) fn rest(&self) -> u64 {
        self.length - self.written
    }
}

/// The track while it is encoded.
struct AacTrack {
    frames: u64,
    kbps: u32,
    language: String,
    cadence: Cadence,
    done: AtomicU64,
    state: Mutex<Option<State>>,
}

struct State {
    writer: TrackWriter,
    began: bool,
    /// Frames that came out of the encoder, priming included.
    encoded: u64,
    /// The open segment's frames.
    open: Vec<Sample>,
    number: u64,
}

impl AacTrack {
    fn new(task: &AudioTask, output: &Output, duration_ns: u64, frames: u64) -> Self {
        let language = task
            .probe
            .audio
            .get(usize::from(task.track))
            .and_then(|track| track.language.clone())
            .filter(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_lowercase()));
        Self {
            frames,
            kbps: task.kbps,
            language: language.unwrap_or_else(|| "und".to_owned()),
            cadence: Cadence::new(
                duration_ns,
                task.segment_ns,
                task.segment_ns,
                SHORTEST_SEGMENT_NS,
            ),
            done: AtomicU64::new(0),
            state: Mutex::new(Some(State {
                writer: TrackWriter::new(output.clone(), "audio".to_owned(), SAMPLE_RATE),
                began: false,
                encoded: 0,
                open: Vec::new(),
                number: 0,
            })),
        }
    }

    fn attach(self: &Arc<Self>, sink: &gst_app::AppSink, fault: Fault) {
        let track = Arc::clone(self);
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                track.take(&sample).map_err(|failure| fault.set(failure))?;
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        sink.set_callbacks(callbacks);
    }

    fn take(&self, sample: &gst::Sample) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        let state = state
            .as_mut()
            .ok_or_else(|| internal("a sound frame after the end"))?;
        if !state.began {
            state.began = true;
            let config = codec_data(sample)?;
            state.writer.init(&Media::Audio {
                channels: CHANNELS,
                sample_rate: u16::try_from(SAMPLE_RATE).unwrap_or(u16::MAX),
                config: &config,
                kbps: self.kbps,
                language: &self.language,
            })?;
        }
        let index = state.encoded;
        state.encoded += 1;
        let Some(frame) = index
            .checked_sub(PRIMING_FRAMES)
            .filter(|frame| *frame < self.frames)
        else {
            return Ok(());
        };
        // The cut is the frame boundary nearest to the pictures' own.
        let middle_ns = u128::from(frame * FRAME + FRAME / 2) * 1_000_000_000;
        let number = self
            .cadence
            .segment(u64::try_from(middle_ns / u128::from(SAMPLE_RATE)).unwrap_or(u64::MAX));
        if number != state.number {
            state.flush(frame * FRAME)?;
            state.number = number;
        }
        let data = sample
            .buffer()
            .ok_or_else(|| internal("a sample without data"))?
            .map_readable()
            .map_err(|error| internal(&error.to_string()))?
            .to_vec();
        state.open.push(Sample {
            data,
            pts: frame * FRAME,
            sync: true,
        });
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn finish(&self, task: &AudioTask) -> Result<protocol::manifest::Track, Failure> {
        let state = lock(&self.state).take();
        let mut state = state.ok_or_else(|| internal("the sound ended twice"))?;
        let done = self.done.load(Ordering::Relaxed);
        if done != self.frames {
            return Err(internal(&format!(
                "the sound encoder gave {done} of {} frames",
                self.frames
            )));
        }
        state.flush(done * FRAME)?;
        let kind = TrackKind::Audio {
            channels: CHANNELS,
            sample_rate: SAMPLE_RATE,
            language: task
                .probe
                .audio
                .get(usize::from(task.track))
                .and_then(|track| track.language.clone()),
        };
        // AAC-LC (ISO/IEC 14496-3, table 1.17; RFC 6381, 3.3).
        state.writer.finish(kind, "mp4a.40.2".to_owned())
    }
}

impl State {
    fn flush(&mut self, end: u64) -> Result<(), Failure> {
        if self.open.is_empty() {
            return Ok(());
        }
        let open = std::mem::take(&mut self.open);
        self.writer.fragment(self.number, &open, end)
    }
}

fn codec_data(sample: &gst::Sample) -> Result<Vec<u8>, Failure> {
    let caps = sample
        .caps()
        .and_then(|caps| caps.structure(0))
        .ok_or_else(|| internal("the encoder names no format"))?;
    let config = caps
        .get::<gst::Buffer>("codec_data")
        .map_err(|error| internal(&error.to_string()))?;
    let config = config
        .map_readable()
        .map_err(|error| internal(&error.to_string()))?;
    Ok(config.to_vec())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(silence: u64, skip: u64, take: u64) -> Placed {
        Placed {
            silence,
            skip,
            take,
        }
    }

    #[test]
    fn sound_before_the_first_picture_is_cut_and_a_late_start_is_silent() {
        let mut early = Timeline::new(10_000);
        assert_eq!(early.place(Some(-1500), 1000), placed(0, 0, 0));
        assert_eq!(early.place(Some(-500), 1000), placed(0, 500, 500));
        let mut late = Timeline::new(10_000);
        assert_eq!(late.place(Some(2000), 1000), placed(2000, 0, 1000));
    }

    #[test]
    fn jitter_is_ignored_and_gaps_and_overlaps_are_not() {
        let mut timeline = Timeline::new(100_000);
        assert_eq!(timeline.place(Some(0), 1000), placed(0, 0, 1000));
        assert_eq!(timeline.place(Some(1400), 1000), placed(0, 0, 1000));
        assert_eq!(timeline.place(Some(5000), 1000), placed(3000, 0, 1000));
        assert_eq!(timeline.place(Some(4000), 2500), placed(0, 2000, 500));
        assert_eq!(timeline.place(None, 100), placed(0, 0, 100));
    }

    #[test]
    fn nothing_goes_beyond_the_end() {
        let mut timeline = Timeline::new(1500);
        assert_eq!(timeline.place(Some(0), 1000), placed(0, 0, 1000));
        assert_eq!(timeline.place(Some(1000), 1000), placed(0, 0, 500));
        assert!(timeline.is_full());
        assert_eq!(timeline.place(Some(2000), 1000), placed(0, 0, 0));
        let mut sparse = Timeline::new(1500);
        assert_eq!(sparse.place(Some(9000), 10), placed(0, 0, 0));
        assert_eq!(sparse.rest(), 1500);
    }

    #[test]
    fn the_track_is_as_long_as_the_pictures_to_half_a_frame() {
        assert_eq!(frames_in(0), 1);
        assert_eq!(frames_in(60_000_000_000), 2813);
        assert_eq!(frames_in(21_333_333), 1);
        assert_eq!(frames_in(42_666_667), 2);
    }
}
