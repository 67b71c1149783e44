//! One sound track of an edit proxy: every sample at its place, from the first picture to the last.

use std::fs::File;
use std::sync::{Arc, Mutex};

use protocol::failure::Failure;
use protocol::worker::{ProxyTask, SoundTask};

use crate::worker::audio::{Timeline, lock};
use crate::worker::container::cut::{Chunk, Span};
use crate::worker::output::{Output, Stream};
use crate::worker::pipeline::{Running, Wanted, internal, sample_time};

/// Silence is written in pieces of this many bytes.
const SILENCE_BYTES: usize = 1 << 13;

/// The samples of one track, one after the other.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) file: File,
    count: u64,
    frame_bytes: u32,
    rate: u32,
}

/// The samples that are as long as `frames` pictures, to the nearest.
pub(super) fn length(task: &ProxyTask, frames: u64, sample_rate: u32) -> u64 {
    let rate = task.rate;
    let (num, den) = (u128::from(rate.num()), u128::from(rate.den()));
    let samples = (u128::from(frames) * den * u128::from(sample_rate) + num / 2) / num;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

/// Decodes sound track `number` of `input`; sound before `origin_ns` lies before the first picture.
pub(super) fn run(
    task: &SoundTask,
    number: usize,
    length: u64,
    origin_ns: i64,
    input: &str,
    scratch: &Output,
) -> Result<Samples, Failure> {
    let frame_bytes = u32::from(task.channels) * u32::from(task.sample_bits / 8);
    let folder = scratch.folder(&format!("sound{number}"))?;
    let writer = Arc::new(Mutex::new(Writer {
        timeline: Timeline::new(length),
        stream: Some(folder.stream()?),
        frame_bytes: usize::try_from(frame_bytes).unwrap_or(1),
    }));
    let decode = Running::open_through(&task.pipeline, input, Wanted::Audio(number))?;
    let (rate, fault) = (task.sample_rate, decode.fault());
    let sink = Arc::clone(&writer);
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |appsink| {
            let sample = appsink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let at = sample_time(&sample).map(|ns| samples_in(ns - origin_ns, rate));
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let pcm = buffer
                .map_readable()
                .map_err(|error| fault.set(internal(&error.to_string())))?;
            lock(&sink)
                .take(at, &pcm)
                .map_err(|failure| fault.set(failure))?;
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    decode.sink(0)?.set_callbacks(callbacks);
    let full = || lock(&writer).timeline.is_full();
    decode.run(|| !full())?;
    drop(decode);
    let mut writer = lock(&writer);
    // A track that ends early is silent from there on.
    let rest = writer.timeline.rest();
    writer.silence(rest)?;
    let stream = writer.stream.take();
    let stream = stream.ok_or_else(|| internal("a sound track ended twice"))?;
    let object = stream.finish("samples", "pcm")?;
    Ok(Samples {
        file: folder.open(&object)?,
        count: length,
        frame_bytes,
        rate,
    })
}

/// Nanoseconds as samples, to the nearest.
fn samples_in(ns: i64, rate: u32) -> i64 {
    let samples = (i128::from(ns) * i128::from(rate) + 500_000_000).div_euclid(1_000_000_000);
    i64::try_from(samples).unwrap_or(i64::MAX)
}

struct Writer {
    timeline: Timeline,
    stream: Option<Stream>,
    /// Bytes of one sample of all channels.
    frame_bytes: usize,
}

impl Writer {
    fn take(&mut self, at: Option<i64>, pcm: &[u8]) -> Result<(), Failure> {
        let count = (pcm.len() / self.frame_bytes) as u64;
        let placed = self.timeline.place(at, count);
        self.silence(placed.silence)?;
        let bytes = |samples: u64| {
            usize::try_from(samples)
                .unwrap_or(usize::MAX)
                .saturating_mul(self.frame_bytes)
        };
        let (from, length) = (bytes(placed.skip), bytes(placed.take));
        match (pcm.get(from..from.saturating_add(length)), &mut self.stream) {
            (Some(part), Some(stream)) => stream.write(part),
            _ => Ok(()),
        }
    }

    fn silence(&mut self, samples: u64) -> Result<(), Failure> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let mut left = samples.saturating_mul(self.frame_bytes as u64);
        while left > 0 {
            let piece = usize::try_from(left)
                .unwrap_or(SILENCE_BYTES)
                .min(SILENCE_BYTES);
            stream.write(&[0; SILENCE_BYTES][..piece])?;
            left -= piece as u64;
        }
        Ok(())
    }
}

impl Samples {
    /// Half a second a chunk.
    pub(super) fn chunks(&self, file: usize) -> Vec<Chunk> {
        let per_chunk = u64::from(self.rate / 2).max(1);
        let chunk = |start: u64| {
            let count = per_chunk.min(self.count - start);
            Chunk {
                start,
                duration: count,
                spans: vec![Span {
                    file,
                    offset: start * u64::from(self.frame_bytes),
                    count: u32::try_from(count).unwrap_or(u32::MAX),
                    size: self.frame_bytes,
                    duration: 1,
                    composition: 0,
                    sync: true,
                }],
            }
        };
        let starts = (0..self.count.div_ceil(per_chunk)).map(|number| number * per_chunk);
        starts.map(chunk).collect()
    }
}
