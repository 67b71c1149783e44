//! Makes an edit proxy, and reads all of it back before it counts.

mod encoder;
mod look;
mod pictures;
mod review;
mod sound;

use protocol::clip::Clock;
use protocol::failure::{Failure, FailureClass};
use protocol::manifest::{Manifest, Object, Proxy};
use protocol::media::FrameRange;
use protocol::probe::{AudioTrack, Probe};
use protocol::worker::{ProxyTask, Request, SoundTask, Task};

use self::pictures::Coded;
use self::sound::Samples;
use super::clip::copy;
use super::container::cut::{Chunk, Cut, Span, TrackCut};
use super::container::made;
use super::container::movie::Movie;
use super::container::write::{Brand, Draft, Start};
use super::output::Output;
use super::pipeline::internal;
use super::{audio, probe};

/// Folder of what is of no more use once the file is there.
const SCRATCH: &str = "parts";

/// Renders `task` from `input` into `output` and reports how far it is.
pub(super) fn run(
    task: &ProxyTask,
    input: &str,
    filename: &str,
    output: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, Failure> {
    let mut steps = Steps::new(task, progress);
    let scratch = output.folder(SCRATCH)?;
    let coded = pictures::run(task, input, filename, &scratch, &mut |done| {
        steps.report(done);
    })?;
    steps.end(Steps::pictures(task));
    let map = frame_map(task, &coded);
    let shown = map.as_ref().map_or(coded.pictures.len(), Vec::len) as u64;
    let origin_ns = if task.sound.is_empty() {
        0
    } else {
        audio::origin(&task.origin, input)?
    };
    let mut sound = Vec::new();
    for (number, track) in task.sound.iter().enumerate() {
        let length = sound::length(task, shown, track.sample_rate);
        sound.push(sound::run(
            track, number, length, origin_ns, input, &scratch,
        )?);
        steps.end(Steps::sound(task));
    }
    let object = write(task, &coded, map.as_deref(), &sound, output)?;
    let seen = review::run(task, &coded, &mut |done| steps.report(done))?;
    drop((coded, sound));
    scratch.remove()?;
    let facts = facts(output, &object, filename)?;
    prove(task, &facts, seen, shown)?;
    Ok(Manifest {
        frames: Some(FrameRange {
            start: 0,
            end: task.probe.video.frames,
        }),
        proxy: Some(Proxy {
            object,
            facts,
            decoded: seen.decoded,
            alike: seen.alike,
            frame_map: map,
        }),
        ..Manifest::default()
    })
}

/// How far the whole is, in frames of the source; the parts weigh as much as they take, roughly.
struct Steps<'a> {
    before: u64,
    total: u64,
    report: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Steps<'a> {
    fn new(task: &ProxyTask, report: &'a mut dyn FnMut(u64, u64)) -> Self {
        let sound = Self::sound(task).saturating_mul(task.sound.len() as u64);
        Self {
            before: 0,
            total: Self::pictures(task) + sound + Self::pictures(task),
            report,
        }
    }

    fn pictures(task: &ProxyTask) -> u64 {
        task.probe.video.frames
    }

    fn sound(task: &ProxyTask) -> u64 {
        task.probe.video.frames / 32 + 1
    }

    fn report(&mut self, done: u64) {
        (self.report)(self.before.saturating_add(done), self.total);
    }

    fn end(&mut self, step: u64) {
        self.before = self.before.saturating_add(step);
        self.report(0);
    }
}

/// For a variable rate: which picture is seen at each beat of the constant rate.
fn frame_map(task: &ProxyTask, coded: &Coded) -> Option<Vec<u32>> {
    let video = &task.probe.video;
    if !video.variable_frame_rate {
        return None;
    }
    let rate = task.rate;
    let frames = rate.ns_to_frame(video.duration_ns).max(1);
    let half = rate.frame_to_ns(1) / 2;
    let mut seen = 0_u32;
    let mut next = coded.pictures.iter().skip(1).peekable();
    let map = (0..frames).map(|frame| {
        let at = rate.frame_to_ns(frame).saturating_add(half);
        while next.next_if(|picture| picture.at_ns <= at).is_some() {
            seen += 1;
        }
        seen
    });
    Some(map.collect())
}

/// Puts everything into one file: the index, the timecode, then pictures and sound side by side.
fn write(
    task: &ProxyTask,
    coded: &Coded,
    map: Option<&[u32]>,
    sound: &[Samples],
    output: &Output,
) -> Result<Object, Failure> {
    let rate = task.rate;
    let tracks: Vec<(&SoundTask, &AudioTrack)> = task.sound.iter().zip(&task.probe.audio).collect();
    let index = made::index(
        &made::Pictures {
            codec: task.preset.codec,
            size: task.size,
            timescale: rate.num(),
            source: &task.probe,
            colour: coded.colour,
            avcc: coded.avcc.as_deref(),
            compression: coded.compression,
        },
        &tracks,
    );
    let broken = |error: &dyn std::fmt::Display| internal(&error.to_string());
    let movie = Movie::parse(&index).map_err(|error| broken(&error))?;
    let frames = map.map_or(coded.pictures.len(), <[u32]>::len) as u64;
    let duration = frames * u64::from(rate.den());
    let mut files = vec![coded.file.try_clone().map_err(|error| broken(&error))?];
    let mut cuts = Vec::new();
    for (number, track) in movie.tracks.iter().enumerate() {
        let chunks = match number.checked_sub(1).map(|number| &sound[number]) {
            None => picture_chunks(coded, map, rate.den(), rate.num()),
            Some(samples) => {
                files.push(samples.file.try_clone().map_err(|error| broken(&error))?);
                samples.chunks(files.len() - 1)
            }
        };
        cuts.push(TrackCut {
            track,
            chunks,
            delay: 0,
            media_time: 0,
            shown: duration,
            shift: 0,
            parameter_sets: None,
        });
    }
    let cut = Cut {
        timescale: rate.num(),
        duration,
        tracks: cuts,
        picture: 0,
        begins_with_key: true,
    };
    let start = clock(task).map(|clock| clock.start());
    // The timecode track has one byte for the nominal rate.
    let start = start.filter(|start| u8::try_from(start.counting().per_second()).is_ok());
    let start = start.map(|timecode| Start {
        timecode,
        rate,
        frames,
        reel: task.probe.reel.as_deref(),
    });
    let draft = Draft::of(&cut, Brand::Mov, start).map_err(|error| broken(&error))?;
    let mut writer = output.stream()?;
    copy::write(&draft, &files, &mut writer, &mut |_, _| ())?;
    writer.finish("proxy", "mov")
}

/// Half a second of pictures a chunk, each picture where the map says.
fn picture_chunks(coded: &Coded, map: Option<&[u32]>, ticks: u32, timescale: u32) -> Vec<Chunk> {
    let frames = map.map_or(coded.pictures.len(), <[u32]>::len);
    let per_chunk = usize::try_from(timescale / ticks.max(1) / 2)
        .unwrap_or(1)
        .max(1);
    let mut chunks: Vec<Chunk> = Vec::new();
    for frame in 0..frames {
        let picture = map.map_or(frame, |map| usize::try_from(map[frame]).unwrap_or(0));
        let Some(picture) = coded.pictures.get(picture) else {
            continue;
        };
        if frame % per_chunk == 0 {
            chunks.push(Chunk {
                start: frame as u64 * u64::from(ticks),
                duration: 0,
                spans: Vec::new(),
            });
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.duration += u64::from(ticks);
            chunk.spans.push(Span {
                file: 0,
                offset: picture.offset,
                count: 1,
                size: picture.size,
                duration: ticks,
                composition: 0,
                sync: true,
            });
        }
    }
    chunks
}

/// The clock of the proxy: the original's, at the proxy's rate.
fn clock(task: &ProxyTask) -> Option<Clock> {
    let mut probe = task.probe.clone();
    probe.video.frame_rate = task.rate;
    Clock::of(&probe)
}

/// What the probe of a source finds in the proxy.
fn facts(output: &Output, object: &Object, filename: &str) -> Result<Probe, Failure> {
    probe::run(&Request {
        input: output.path(object),
        filename: filename.to_owned(),
        output: String::new(),
        task: Task::Probe,
    })
}

/// What was written is what was asked for: every picture, in its place, and all that edit software
/// asks for.
fn prove(task: &ProxyTask, facts: &Probe, seen: review::Seen, frames: u64) -> Result<(), Failure> {
    let wrong = |what: String| {
        Err(Failure::new(
            FailureClass::Verification,
            "proxy_mismatch",
            format!("The edit proxy does not match its original: {what}."),
            "",
        ))
    };
    let source = &task.probe;
    if facts.video.frames != frames {
        return wrong(format!(
            "it shows {} pictures instead of {frames}",
            facts.video.frames
        ));
    }
    let coded = if source.video.variable_frame_rate {
        seen.encoded
    } else {
        frames
    };
    if seen.decoded != coded {
        return wrong(format!(
            "{} of its {coded} pictures can be decoded",
            seen.decoded
        ));
    }
    if seen.alike != seen.decoded {
        return wrong(format!(
            "{} of its {} pictures look different, the first of them at frame {}",
            seen.decoded - seen.alike,
            seen.decoded,
            seen.first_unlike.unwrap_or(0),
        ));
    }
    if facts.video.coded != task.size {
        return wrong(format!(
            "it has {} instead of {}",
            facts.video.coded, task.size
        ));
    }
    if facts.video.frame_rate != task.rate || facts.video.variable_frame_rate {
        return wrong(format!(
            "it has {} frames a second instead of {}",
            facts.video.frame_rate, task.rate
        ));
    }
    let channels =
        |probe: &Probe| -> Vec<u16> { probe.audio.iter().map(|track| track.channels).collect() };
    if channels(facts) != channels(source) {
        return wrong(format!(
            "its sound tracks have {:?} channels instead of {:?}",
            channels(facts),
            channels(source)
        ));
    }
    let start = |clock: Option<Clock>| clock.map(|clock| clock.start().to_string());
    let (wanted, found) = (start(clock(task)), start(Clock::of(facts)));
    if wanted != found {
        return wrong(format!("it begins at {found:?} instead of {wanted:?}"));
    }
    if facts.reel != source.reel {
        return wrong(format!(
            "its reel is {:?} instead of {:?}",
            facts.reel, source.reel
        ));
    }
    Ok(())
}
