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
use coordinator::scheduler::need;
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
    /// Room that the result may take.
    pub needed_bytes: u64,
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
                    Unit::Proxy => proxy(catalog, video, generation, means)?,
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
            needed_bytes: need::result_bytes(catalog, job),
        })
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
        Unit::Proxy => Err(missing("its edit proxy")),
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

fn proxy(
    catalog: &Catalog,
    video: &Video,
    generation: GenerationId,
    means: &Means,
) -> Result<Task, Failure> {
    let probe = video.probe.as_deref().ok_or_else(|| missing("its probe"))?;
    let proxy = catalog
        .proxy_of_generation(generation)
        .ok_or_else(|| missing("its edit proxy"))?;
    let lut = match proxy.preset.lut {
        Some(lut) => Some(catalog.lut(lut).ok_or_else(|| missing("its look"))?),
        None => None,
    };
    let lut = lut.map(AsRef::as_ref);
    let task = graph::proxy::describe(probe, &proxy.preset, lut, means.threads);
    let task = task.map_err(|error| not_offered(&error))?;
    Ok(Task::Proxy(Box::new(task)))
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
        | graph::Error::Preset(_)
        | graph::Error::Mode { .. } => FailureClass::Input,
        _ => FailureClass::Internal,
    };
    let message = format!("This file cannot be rendered: {error}.");
    Failure::new(class, "media_not_offered", message, "")
}
