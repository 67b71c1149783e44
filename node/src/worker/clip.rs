//! Makes the file of a subclip, and reads it back before it counts.

pub(super) mod copy;
mod encode;
mod smart;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use protocol::clip::{Clock, Mode};
use protocol::failure::{Failure, FailureClass};
use protocol::manifest::{Manifest, Object};
use protocol::timecode::Timecode;
use protocol::worker::ClipTask;

use super::container::cut::{self, Cut};
use super::container::layout::Layout;
use super::container::movie::{Kind, Movie};
use super::container::samples::Presentation;
use super::output::Output;
use super::pipeline::internal;
use super::refuse::{MAX_INDEX_BYTES, Refusal};

/// Renders `task` from `input` into `output` and reports how far it is.
pub(super) fn run(
    task: &ClipTask,
    input: &str,
    output: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, Failure> {
    let unreadable = |error: std::io::Error| Refusal::Unreadable.because(error.to_string());
    let mut source = File::open(input).map_err(unreadable)?;
    let moov = index(&mut source).map_err(|error| Refusal::Damaged.because(error))?;
    let movie = Movie::parse(&moov).map_err(|error| Refusal::Damaged.because(error.to_string()))?;
    let cut = Cut::of(&movie, task.probe.video.frames, task.frames).map_err(unfit)?;
    let copies = match task.mode {
        Mode::Instant => true,
        Mode::Smart => cut.begins_with_key,
        Mode::Encode => false,
    };
    let mut writer = output.stream()?;
    let smart = task.encode.as_ref().filter(|_| task.mode == Mode::Smart);
    let smart = smart.and_then(|ladder| smart::plan(task, ladder, &movie));
    if copies {
        let draft = copy::draft(task, &cut).map_err(unfit)?;
        copy::write(&draft, &[source], &mut writer, progress)?;
    } else {
        let ladder = task.encode.as_ref();
        let ladder = ladder.ok_or_else(|| internal("no encoder was named"))?;
        let mut left = Some(source);
        if let Some(plan) = &smart
            && let Some(source) = left.take()
        {
            let whole = Cut::of(&movie, task.probe.video.frames, task.frames).map_err(unfit)?;
            left = smart::run(plan, whole, source, output, &mut writer, progress)?;
        }
        if let Some(source) = left {
            encode::run(task, ladder, cut, source, output, &mut writer, progress)?;
        }
    }
    let clip = writer.finish("clip", copy::ending(copy::brand(task)))?;
    prove(task, output, &clip)?;
    Ok(Manifest {
        frames: Some(task.frames),
        clip: Some(clip),
        ..Manifest::default()
    })
}

/// Trying again gives the same answer.
fn unfit(error: cut::Error) -> Failure {
    Failure::new(
        FailureClass::Input,
        "clip_not_cut",
        format!("No subclip can be cut out of this file: {error}."),
        "",
    )
}

/// The timecode of the subclip's first picture; none where the rate has none.
fn start(task: &ClipTask) -> Option<Timecode> {
    let clock = Clock::of(&task.probe)?;
    // The timecode track has one byte for the nominal rate.
    let fits = u8::try_from(clock.start().counting().per_second()).is_ok();
    fits.then(|| clock.at(task.frames.start))
}

/// Reads the index of a file, which must be whole.
fn index(file: &mut File) -> Result<Vec<u8>, String> {
    let broken = |error: std::io::Error| error.to_string();
    let size_bytes = file.metadata().map_err(broken)?.len();
    let layout = Layout::scan(file, size_bytes).map_err(broken)?;
    let range = layout.moov.ok_or("there is no index")?;
    if layout.missing_bytes > 0 {
        return Err(format!("{} bytes are missing", layout.missing_bytes));
    }
    let length = range.end - range.start;
    if length > MAX_INDEX_BYTES {
        return Err(format!("an index of {length} bytes"));
    }
    let mut moov = Vec::new();
    file.seek(SeekFrom::Start(range.start)).map_err(broken)?;
    file.take(length).read_to_end(&mut moov).map_err(broken)?;
    Ok(moov)
}

/// What was written shows as many pictures as were asked for, from the right timecode on, with
/// every sound track, and no sample beyond its end.
fn prove(task: &ClipTask, output: &Output, clip: &Object) -> Result<(), Failure> {
    let wrong = |what: String| {
        Failure::new(
            FailureClass::Verification,
            "clip_mismatch",
            format!("The subclip does not match its source: {what}."),
            "",
        )
    };
    let mut file = output.open(clip)?;
    let moov = index(&mut file).map_err(wrong)?;
    let movie = Movie::parse(&moov).map_err(|error| wrong(error.to_string()))?;
    let video = movie.video();
    let video = video.ok_or_else(|| wrong("it has no picture track".to_owned()))?;
    let shown = Presentation::of(video, movie.timescale);
    let shown = shown.map_err(|error| wrong(error.to_string()))?;
    let (found, wanted) = (shown.starts.len() as u64, task.frames.len());
    if found != wanted {
        return Err(wrong(format!(
            "it shows {found} pictures instead of {wanted}"
        )));
    }
    let begins = shown.starts.first().copied().unwrap_or(0);
    if begins != 0 {
        return Err(wrong(format!("its first picture is {begins} ticks away")));
    }
    let (found, wanted) = (movie.of_kind(Kind::Sound).count(), task.probe.audio.len());
    if found != wanted {
        return Err(wrong(format!(
            "it has {found} sound tracks instead of {wanted}"
        )));
    }
    if movie.data_end() > clip.size_bytes {
        return Err(wrong("its index points beyond its end".to_owned()));
    }
    if let Some(start) = start(task) {
        let track = movie.timecode_of(video);
        let entry = track.and_then(|track| Some((track.timecode?, track.samples.first_offset()?)));
        let (entry, offset) = entry.ok_or_else(|| wrong("it has no timecode".to_owned()))?;
        let mut sample = [0; 4];
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut sample))
            .map_err(|error| wrong(error.to_string()))?;
        let frame = u32::from_be_bytes(sample);
        if frame != start.frame() || entry.drop_frame != start.counting().is_drop_frame() {
            return Err(wrong(format!("its timecode is not {start}")));
        }
    }
    Ok(())
}
