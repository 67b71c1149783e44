//! Copies the pictures of a source that is fit for the web as they are.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use protocol::failure::Failure;
use protocol::manifest::{Track, TrackKind};
use protocol::media::{FrameRange, Rendition};
use protocol::worker::LadderTask;

use super::cmaf::{self, Colour, Media, Sample};
use super::container::access::{Access, Picture};
use super::container::movie::Movie;
use super::feed::{has_idr, unreadable};
use super::ladder::Clock;
use super::output::{Output, TrackWriter};
use super::pipeline::{internal, read_index};

/// Largest coded picture of such a source.
const PICTURE_MAX_BYTES: u32 = 64 << 20;
/// Bytes of a length in front of a NAL unit; the probe takes no other.
const LENGTH_BYTES: usize = 4;

/// Writes the samples of the task's range as `rendition`, cut as the others are.
pub(super) fn run(
    task: &LadderTask,
    rendition: &Rendition,
    input: &str,
    output: &Output,
) -> Result<Track, Failure> {
    let video = &task.probe.video;
    let clock = Clock::new(task);
    let index = read_index(input).map_err(|error| unreadable(&error))?;
    let index = index.ok_or_else(|| internal("the file has no index"))?;
    let movie = Movie::parse(&index).map_err(|error| internal(&error.to_string()))?;
    let track = movie.video();
    let track = track.ok_or_else(|| internal("the index names no picture track"))?;
    let avcc = track
        .box_of_entry(*b"avcC")
        .ok_or_else(|| internal("the pictures have no parameter sets"))?;
    let access = Access::of(track, movie.timescale).map_err(|e| internal(&e.to_string()))?;
    let access = access.ok_or_else(|| internal("the edit list shows several parts"))?;
    let file = File::open(input).map_err(|error| unreadable(&error))?;

    let (folder, name) = (output.clone(), rendition.name.clone());
    let mut writer = TrackWriter::new(folder, name, clock.timescale());
    writer.init(&Media::Video {
        resolution: rendition.resolution,
        avcc,
        colour: Colour::named(&video.colorimetry, rendition.resolution.height),
    })?;
    let ends = task.cuts.iter().skip(1).copied().chain([task.frames.end]);
    for (number, (&start, end)) in (task.first_segment..).zip(task.cuts.iter().zip(ends)) {
        let frames = FrameRange { start, end };
        let samples = samples(&access, &file, frames, &clock)?;
        let mut rest = samples.as_slice();
        while !rest.is_empty() {
            // A fragment for each IDR picture, as where they are encoded: nothing reaches over it.
            let next = rest.iter().skip(1).position(|sample| sample.sync);
            let (gop, after) = rest.split_at(next.map_or(rest.len(), |next| next + 1));
            let end = after
                .first()
                .map_or_else(|| clock.frame_ticks(end), |next| next.pts);
            writer.fragment(number, gop, end)?;
            rest = after;
        }
    }
    let codec = cmaf::avc_codec(avcc).ok_or_else(|| internal("the avcC record is too short"))?;
    let kind = TrackKind::Video {
        resolution: rendition.resolution,
        frame_rate: video.frame_rate,
    };
    writer.finish(kind, codec)
}

/// The samples of one segment: exactly its frames, and nothing that another needs.
fn samples(
    access: &Access,
    file: &File,
    frames: FrameRange,
    clock: &Clock,
) -> Result<Vec<Sample>, Failure> {
    let broken = |what: &str| internal(&format!("frames {frames:?} cannot be copied: {what}"));
    let span = access.span(frames, 0);
    let span = span.ok_or_else(|| broken("the index does not lead there"))?;
    if span.pictures.len() as u64 != frames.len() {
        return Err(broken("they share pictures with others"));
    }
    let sample = |picture: &Picture| {
        let frame = picture.rank.checked_sub(span.origin);
        let frame = frame.filter(|frame| (frames.start..frames.end).contains(frame));
        let frame = frame.ok_or_else(|| broken("a picture lies outside"))?;
        if picture.size > PICTURE_MAX_BYTES {
            return Err(broken("a picture is too large"));
        }
        let mut data = vec![0; picture.size as usize];
        file.read_exact_at(&mut data, picture.offset)
            .map_err(|error| unreadable(&error))?;
        Ok(Sample {
            // Some files call pictures key pictures that are none to a player.
            sync: picture.sync && has_idr(&data, LENGTH_BYTES),
            data,
            pts: clock.frame_ticks(frame),
        })
    };
    let samples = span.pictures.iter().map(sample);
    let samples = samples.collect::<Result<Vec<_>, Failure>>()?;
    if !samples.first().is_some_and(|first| first.sync) {
        return Err(broken("the first is no key picture"));
    }
    Ok(samples)
}
