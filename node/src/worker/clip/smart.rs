//! A subclip whose first pictures are encoded again, up to a key picture; the rest is copied.
//!
//! Both codings stand in one track with one sample entry. Their parameter sets have different
//! numbers, so that a decoder takes each picture by its own.

use std::fs::File;

use protocol::failure::Failure;
use protocol::worker::{ClipTask, LadderTask};

use super::{copy, encode, index};
use crate::worker::container::avcc::Avcc;
use crate::worker::container::cut::{Chunk, Cut, Seam, TrackCut};
use crate::worker::container::movie::Movie;
use crate::worker::output::{Output, Stream};
use crate::worker::pipeline::internal;

/// What precedes the encoder's options in the text of its pipeline.
const OPTIONS: &str = "option-string=\"";

/// A cut whose head is encoded.
pub(super) struct Plan<'a> {
    task: &'a ClipTask,
    movie: &'a Movie<'a>,
    seam: Seam,
    /// Parameter sets of the source.
    avcc: Avcc,
    ladder: LadderTask,
}

/// How `task` is done this way; none where the coding does not allow it.
pub(super) fn plan<'a>(
    task: &'a ClipTask,
    ladder: &LadderTask,
    movie: &'a Movie<'a>,
) -> Option<Plan<'a>> {
    let facts = &task.probe.video;
    let fits = facts.codec == "h264"
        && (facts.bit_depth, facts.chroma.as_str()) == (8, "4:2:0")
        && facts.field_order == "progressive"
        && facts.rotation == 0
        && facts.coded == facts.display
        && facts.coded == facts.coded.even();
    let video = movie.video()?;
    if !fits || &video.codec != b"avc1" {
        return None;
    }
    let avcc = Avcc::parse(video.box_of_entry(*b"avcC")?)?;
    let number = avcc.free_number()?;
    let seam = Cut::seam(movie, task.frames).ok().flatten()?;
    let mut ladder = ladder.clone();
    let text = &ladder.pipeline.text;
    if !text.contains(OPTIONS) {
        return None;
    }
    ladder.pipeline.text = text.replacen(OPTIONS, &format!("{OPTIONS}sps-id={number}:"), 1);
    let frames = seam.head.len();
    ladder.frames.end = frames;
    ladder.probe.video.frames = frames;
    ladder.probe.video.duration_ns = facts.frame_rate.frame_to_ns(frames);
    Some(Plan {
        task,
        movie,
        seam,
        avcc,
        ladder,
    })
}

/// Encodes the head, copies the rest, and writes the whole into `writer`. The source comes back
/// where both turn out not to fit together, and nothing was written.
pub(super) fn run<'a>(
    plan: &Plan<'a>,
    mut whole: Cut<'a>,
    source: File,
    output: &Output,
    writer: &mut Stream,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<File>, Failure> {
    let Plan { task, movie, .. } = plan;
    let broken = |error: &dyn std::fmt::Display| internal(&error.to_string());
    let head = Cut::of(movie, task.probe.video.frames, plan.seam.head).map_err(|e| broken(&e))?;
    let scratch = output.folder(encode::SCRATCH)?;
    let mut files = vec![source];
    let encoded = encode::pictures(task, &plan.ladder, &head, &files, &scratch, progress)?;
    let mut init = scratch.open(&encoded.init)?;
    let moov = index(&mut init).map_err(|error| internal(&error))?;
    let own = Movie::parse(&moov).map_err(|error| broken(&error))?;
    let own = own.video().and_then(|track| track.box_of_entry(*b"avcC"));
    let sets = own
        .and_then(Avcc::parse)
        .and_then(|own| plan.avcc.joined(&own));
    let (chunks, _, joined) = encode::chunks(&scratch, &encoded)?;
    let samples: u64 = chunks.iter().map(|chunk| u64::from(chunk.samples())).sum();
    let (Some(sets), true) = (sets, samples == plan.seam.head.len()) else {
        scratch.remove()?;
        return Ok(files.pop());
    };
    files.push(joined);
    let video = movie.video().ok_or_else(|| internal("no picture track"))?;
    let body = TrackCut::behind(video, &plan.seam).map_err(|error| broken(&error))?;
    whole.tracks[whole.picture] = join(chunks, body, &plan.seam, whole.duration, sets);
    let draft = copy::draft(task, &whole).map_err(|error| broken(&error))?;
    copy::write(&draft, &files, writer, &mut |_, _| ())?;
    scratch.remove()?;
    Ok(None)
}

/// One track of both: decoding times are the times of showing, in order, so that they never meet.
fn join<'a>(
    mut head: Vec<Chunk>,
    mut body: TrackCut<'a>,
    seam: &Seam,
    shown: u64,
    sets: Vec<u8>,
) -> TrackCut<'a> {
    let origin = seam.starts.first().copied().unwrap_or(0);
    let start = |frame: usize| seam.starts.get(frame).copied().unwrap_or(origin);
    // When each encoded picture is shown, by the encoder's own clock, in order of decoding.
    let mut at = 0_i64;
    let mut shows = Vec::new();
    for span in head.iter().flat_map(|chunk| &chunk.spans) {
        shows.push(at.saturating_add(span.composition));
        at = at.saturating_add(i64::from(span.duration));
    }
    let mut order = shows.clone();
    order.sort_unstable();
    let mut number = 0;
    let mut lowest = 0;
    for chunk in &mut head {
        chunk.start = u64::try_from(start(number) - origin).unwrap_or(0);
        chunk.duration = 0;
        for span in &mut chunk.spans {
            let rank = order.partition_point(|other| *other < shows[number]);
            span.composition = start(rank) - start(number);
            span.duration = u32::try_from(start(number + 1) - start(number)).unwrap_or(1);
            chunk.duration += u64::from(span.duration);
            lowest = lowest.min(span.composition);
            number += 1;
        }
    }
    let before: u64 = head.iter().map(|chunk| chunk.duration).sum();
    let delay = body.spans().next().map_or(0, |span| span.composition);
    for chunk in &mut body.chunks {
        chunk.start += before;
        for span in &mut chunk.spans {
            span.composition = span.composition.saturating_sub(delay);
            lowest = lowest.min(span.composition);
        }
    }
    head.append(&mut body.chunks);
    let shift = lowest.saturating_neg();
    TrackCut {
        chunks: head,
        delay: 0,
        media_time: u64::try_from(shift).unwrap_or(0),
        shown,
        shift,
        parameter_sets: Some(sets),
        ..body
    }
}
