//! Reads sheets of small pictures and outlines of sound back, and holds them against the source.

use std::path::Path;

use protocol::manifest::{Manifest, Sheet};
use protocol::worker::{Cells, LadderTask};

use super::{Error, STILL_MAX, jpeg, peaks, read_bounded};

/// Largest outline: the finest level has at most 2^17 buckets of two channels.
const OUTLINE_MAX: u64 = 1 << 20;

/// Every frame of the grid that lies in the range has its small picture, at its time.
pub(super) fn check(folder: &Path, manifest: &Manifest, task: &LadderTask) -> Result<(), Error> {
    let Some(cells) = task.cells else {
        return Error::unless_equal("the number of sheets", &0, &manifest.sheets.len());
    };
    let every = u64::from(cells.every_frames.max(1));
    let first = task.frames.start.next_multiple_of(every);
    let mut wanted = (first..task.frames.end).step_by(usize::try_from(every).unwrap_or(usize::MAX));
    for sheet in &manifest.sheets {
        check_sheet(folder, sheet, cells)?;
        for cell in &sheet.cells {
            let name = &sheet.object.name;
            let expected = wanted
                .next()
                .map_or_else(|| "none".to_owned(), |f| f.to_string());
            let what = format!("the frame of a small picture in {name}");
            Error::unless_equal(what, &expected, &cell.frame.to_string())?;
            let video = &task.probe.video;
            if !video.variable_frame_rate {
                let at = video.frame_rate.frame_to_ns(cell.frame);
                let what = format!("the time of a small picture in {name}");
                Error::unless_equal(what, &at, &cell.at_ns)?;
            }
        }
    }
    match wanted.next() {
        None => Ok(()),
        Some(frame) => {
            let what = format!("the number of small pictures of frame {frame}");
            Err(Error::mismatch(what, 1, 0))
        }
    }
}

fn check_sheet(folder: &Path, sheet: &Sheet, cells: Cells) -> Result<(), Error> {
    let name = &sheet.object.name;
    let bytes = read_bounded(&folder.join(name), STILL_MAX)?;
    let found = jpeg::resolution(&bytes).ok_or_else(|| Error::Picture(name.clone()))?;
    let what = format!("the size of the small pictures in {name}");
    Error::unless_equal(what, &cells.size, &sheet.cell)?;
    Error::unless_equal(format!("the size of {name}"), &sheet.resolution(), &found)
}

/// Every sound track has one outline, as long as the track.
pub(super) fn outlines(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let (wanted, found) = (manifest.tracks.len(), manifest.peaks.len());
    Error::unless_equal("the number of outlines", &wanted, &found)?;
    for (track, outline) in manifest.tracks.iter().zip(&manifest.peaks) {
        let name = &outline.object.name;
        Error::unless_equal(format!("the track of {name}"), &track.name, &outline.track)?;
        let bytes = read_bounded(&folder.join(name), OUTLINE_MAX)?;
        let levels = peaks::parse(&bytes, outline.sample_rate, outline.channels)
            .filter(|levels| *levels == outline.levels)
            .ok_or_else(|| Error::Peaks(name.clone()))?;
        for level in levels {
            let bucket = u64::from(level.samples_per_bucket.max(1));
            let wanted = track.duration().div_ceil(bucket);
            let what = format!("the number of buckets of {bucket} samples in {name}");
            Error::unless_equal(what, &wanted, &u64::from(level.buckets))?;
        }
    }
    Ok(())
}
