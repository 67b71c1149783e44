//! A subclip without encoding: samples are copied, and an edit list hides what lies beside them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use protocol::failure::Failure;
use protocol::worker::ClipTask;

use super::start;
use crate::worker::container::cut::{Cut, Error};
use crate::worker::container::write::{Brand, Draft, Start};
use crate::worker::output::Stream;
use crate::worker::refuse::Refusal;

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// How the whole file is to be written.
pub(super) fn draft(task: &ClipTask, cut: &Cut<'_>) -> Result<Draft, Error> {
    let start = start(task).map(|timecode| Start {
        timecode,
        rate: task.probe.video.frame_rate,
        frames: task.frames.len(),
        reel: task.probe.reel.as_deref(),
    });
    Draft::of(cut, brand(task), start)
}

/// A file of the kind that the source is.
pub(super) fn brand(task: &ClipTask) -> Brand {
    match task.probe.container.as_str() {
        "mov" => Brand::Mov,
        _ => Brand::Mp4,
    }
}

pub(super) const fn ending(brand: Brand) -> &'static str {
    match brand {
        Brand::Mov => "mov",
        Brand::Mp4 => "mp4",
    }
}

/// Writes `draft` out of `files` and reports bytes done.
pub(in crate::worker) fn write(
    draft: &Draft,
    files: &[File],
    writer: &mut Stream,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Refusal::Unreadable.because(error.to_string());
    let total = draft.size_bytes();
    writer.write(&draft.head)?;
    let mut done = draft.head.len() as u64;
    let mut buffer = Vec::new();
    for (file, extent) in &draft.extents {
        let mut at = extent.start;
        while at < extent.end {
            let length = (extent.end - at).min(COPY_BYTES);
            buffer.resize(usize::try_from(length).unwrap_or(0), 0);
            files[*file]
                .read_exact_at(&mut buffer, at)
                .map_err(unreadable)?;
            writer.write(&buffer)?;
            at += length;
            done += length;
            progress(done, total);
        }
    }
    Ok(())
}
