//! Pure: from a job in the catalogue to what its worker is asked to do.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use coordinator::catalog::Catalog;
use coordinator::catalog::generation::Generation;
use coordinator::catalog::job::{Job, Kind};
use coordinator::catalog::video::Video;
use protocol::clip::Mode;
use protocol::failure::{Failure, FailureClass};
use protocol::id::{BlobHash, GenerationId, JobId};
use protocol::job::Unit;
use protocol::probe::Probe;
use protocol::worker::{AudioTask, ClipTask, Encoder, LadderTask, StillsTask, Task};

use super::graph;
use super::graph::ladder::Extent;

/// Widths of the posters in pixels.
pub const STILL_WIDTHS: [u32; 3] = [320, 640, 1280];

/// What a node puts into each of its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Means {
    pub encoder: Option<Encoder>,
    /// Threads that one ladder may use.
    pub threads: u16,
}

/// One attempt, complete but for its folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub job: JobId,
    pub epoch: u32,
    /// The unit that is made; none for a probe.
    pub unit: Option<(GenerationId, Unit)>,
    pub filename: String,
    pub original: BlobHash,
    pub task: Task,
}

impl Order {
    /// What `job` asks of a node with `means`.
    ///
    /// # Errors
    /// A record that is not there, media that is not offered, a node without an encoder.
    pub fn new(catalog: &Catalog, job: &Job, means: &Means) -> Result<Self, Failure> {
        let video = catalog
            .video(job.video)
            .ok_or_else(|| missing("its video"))?;
        let original = video.blob.ok_or_else(|| missing("its original"))?;
        let (unit, task) = match job.kind {
            Kind::Probe => (None, Task::Probe),
            Kind::Unit { generation, unit } => {
                let record = catalog
                    .generation(generation)
                    .ok_or_else(|| missing("its generation"))?;
                let task = match unit {
                    Unit::Clip => clip(catalog, video, generation, means)?,
                    unit => task(video, record, unit, means)?,
                };
                (Some((generation, unit)), task)
            }
        };
        Ok(Self {
            job: job.id,
            epoch: job.epoch,
            unit,
            filename: video.filename.clone(),
            original,
            task,
        })
    }

    /// A guess at the size of the result, high rather than low.
    pub fn needed_bytes(&self) -> u64 {
        let (kbps, ns) = match &self.task {
            Task::Ladder(task) => {
                let kbps = task.all().map(|r| u64::from(r.video_kbps)).sum();
                let rate = task.probe.video.frame_rate;
                (kbps, rate.frame_to_ns(task.frames.len()))
            }
            Task::Audio(task) => (u64::from(task.kbps), task.probe.video.duration_ns),
            Task::Clip(task) => {
                // Its share of the original, what lies before the in point, and what an encoder
                // writes before it is joined.
                let share = u128::from(task.size_bytes) * u128::from(task.frames.len())
                    / u128::from(task.probe.video.frames.max(1));
                return u64::try_from(share * 4)
                    .unwrap_or(u64::MAX)
                    .saturating_add(64 << 20);
            }
            // A few pictures, or nothing.
            _ => return 16 << 20,
        };
        // Twice the aim of the encoder, since bit rates at high frame rates lie above it.
        let bytes = u128::from(kbps) * 125 * 2 * u128::from(ns) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

fn task(
    video: &Video,
    generation: &Generation,
    unit: Unit,
    means: &Means,
) -> Result<Task, Failure> {
    let probe = video.probe.as_deref().ok_or_else(|| missing("its probe"))?;
    match unit {
        Unit::Piece(number) => ladder(probe, generation, number, means).map(Task::Ladder),
        Unit::Audio => audio(probe, generation).map(Task::Audio),
        Unit::Clip => Err(missing("its subclip")),
        Unit::Stills => Ok(Task::Stills(StillsTask {
            probe: probe.clone(),
            widths: STILL_WIDTHS.to_vec(),
            pipeline: graph::stills::describe(probe).map_err(|error| not_offered(&error))?,
        })),
    }
}

fn clip(
    catalog: &Catalog,
    video: &Video,
    generation: GenerationId,
    means: &Means,
) -> Result<Task, Failure> {
    let probe = video.probe.as_deref().ok_or_else(|| missing("its probe"))?;
    let clip = catalog
        .clip_of_generation(generation)
        .ok_or_else(|| missing("its subclip"))?;
    graph::clip::offered(clip.mode, probe).map_err(|error| not_offered(&error))?;
    let encode = match clip.mode {
        Mode::Instant => None,
        Mode::Smart | Mode::Encode => {
            let encoder = means.encoder.ok_or_else(no_encoder)?;
            let (size_bytes, frames) = (video.size_bytes, clip.frames);
            let task = graph::clip::encode(probe, size_bytes, frames, means.threads, encoder);
            Some(Box::new(task.map_err(|error| not_offered(&error))?))
        }
    };
    Ok(Task::Clip(ClipTask {
        encode,
        probe: probe.clone(),
        size_bytes: video.size_bytes,
        frames: clip.frames,
        mode: clip.mode,
    }))
}

fn ladder(
    probe: &Probe,
    generation: &Generation,
    number: u32,
    means: &Means,
) -> Result<LadderTask, Failure> {
    let frames = usize::try_from(number)
        .ok()
        .and_then(|number| generation.pieces.get(number))
        .ok_or_else(|| missing("its piece"))?;
    let encoder = means.encoder.ok_or_else(no_encoder)?;
    let whole = frames.start == 0 && frames.end == probe.video.frames;
    let kept = generation.keeps_top();
    let (kept, renditions) = match generation.renditions.split_first() {
        Some((top, rest)) if kept => (Some(top.clone()), rest.to_vec()),
        _ => (None, generation.renditions.clone()),
    };
    let first_segment = generation.cuts.partition_point(|cut| *cut < frames.start);
    let cuts = generation.cuts.iter().skip(first_segment);
    let cuts = cuts.take_while(|cut| **cut < frames.end).copied().collect();
    // By the index, a range and a copy of it are sure to be the same pictures.
    let extent = if whole && kept.is_none() {
        Extent::Whole
    } else {
        Extent::Part
    };
    let cells = graph::cells::plan(probe);
    let mut pipeline = graph::ladder::describe(
        probe,
        &renditions,
        generation.gop_frames,
        means.threads,
        encoder,
        extent,
    )
    .map_err(|error| not_offered(&error))?;
    let branch = graph::cells::branch(renditions.len(), &cells);
    pipeline.text.push_str(&branch);
    Ok(LadderTask {
        probe: probe.clone(),
        frames: *frames,
        renditions,
        kept,
        cuts,
        first_segment: first_segment as u64,
        gop_frames: generation.gop_frames,
        segment_frames: generation.segment_frames,
        threads: means.threads,
        pipeline,
        cells: Some(cells),
    })
}

fn audio(probe: &Probe, generation: &Generation) -> Result<AudioTask, Failure> {
    let track = generation
        .audio_track
        .ok_or_else(|| missing("its sound track"))?;
    let described = graph::audio::origin(probe)
        .and_then(|origin| Ok((origin, graph::audio::decode(probe, track)?)));
    let (origin, decode) = described.map_err(|error| not_offered(&error))?;
    Ok(AudioTask {
        probe: probe.clone(),
        track,
        kbps: generation.audio_kbps,
        segment_ns: probe
            .video
            .frame_rate
            .frame_to_ns(u64::from(generation.segment_frames)),
        origin,
        decode,
        encode: graph::audio::encode(generation.audio_kbps),
    })
}

/// The catalogue changes this only by deleting the video, and the job goes with it.
fn missing(what: &str) -> Failure {
    Failure::new(
        FailureClass::Internal,
        "job_incomplete",
        format!("The job cannot be carried out: {what} is not in the catalogue."),
        "",
    )
}

fn no_encoder() -> Failure {
    Failure::new(
        FailureClass::Resource,
        "no_encoder",
        "This node has no encoder that works; `reelmesh doctor` on the node says why.",
        "",
    )
}

fn not_offered(error: &graph::Error) -> Failure {
    let class = match error {
        graph::Error::Container(_)
        | graph::Error::VideoCodec(_)
        | graph::Error::AudioCodec(_)
        | graph::Error::Track(_)
        | graph::Error::Mode { .. } => FailureClass::Input,
        _ => FailureClass::Internal,
    };
    let message = format!("This file cannot be rendered: {error}.");
    Failure::new(class, "media_not_offered", message, "")
}
