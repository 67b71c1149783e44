//! A subclip without encoding: samples are copied, and an edit list hides what lies beside them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use protocol::failure::{Failure, FailureClass};
use protocol::manifest::Object;
use protocol::worker::ClipTask;

use super::{index, start};
use crate::worker::container::cut::{Cut, Error};
use crate::worker::container::movie::Movie;
use crate::worker::container::write::{Brand, Draft, Start};
use crate::worker::output::Output;
use crate::worker::refuse::Refusal;

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

pub(super) fn run(
    task: &ClipTask,
    input: &str,
    output: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Object, Failure> {
    let unreadable = |error: std::io::Error| Refusal::Unreadable.because(error.to_string());
    let mut file = File::open(input).map_err(unreadable)?;
    let moov = index(&mut file).map_err(|error| Refusal::Damaged.because(error))?;
    let movie = Movie::parse(&moov).map_err(|error| Refusal::Damaged.because(error.to_string()))?;
    let cut = Cut::of(&movie, task.probe.video.frames, task.frames).map_err(unfit)?;
    let brand = match task.probe.container.as_str() {
        "mov" => Brand::Mov,
        _ => Brand::Mp4,
    };
    let start = start(task).map(|timecode| Start {
        timecode,
        rate: task.probe.video.frame_rate,
        frames: task.frames.len(),
    });
    let draft = Draft::of(&cut, brand, start).map_err(unfit)?;

    let total = draft.size_bytes();
    let mut writer = output.stream()?;
    writer.write(&draft.head)?;
    let mut done = draft.head.len() as u64;
    let mut buffer = Vec::new();
    for extent in &draft.extents {
        let mut at = extent.start;
        while at < extent.end {
            let length = (extent.end - at).min(COPY_BYTES);
            buffer.resize(usize::try_from(length).unwrap_or(0), 0);
            file.read_exact_at(&mut buffer, at).map_err(unreadable)?;
            writer.write(&buffer)?;
            at += length;
            done += length;
            progress(done, total);
        }
    }
    let ending = match brand {
        Brand::Mov => "mov",
        Brand::Mp4 => "mp4",
    };
    writer.finish("clip", ending)
}

/// Trying again gives the same answer; another mode may give another.
fn unfit(error: Error) -> Failure {
    Failure::new(
        FailureClass::Input,
        "clip_not_copyable",
        format!("This file cannot be cut without encoding: {error}. Choose the mode `encode`."),
        "",
    )
}
