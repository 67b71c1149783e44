//! A subclip whose pictures are encoded again; its sound is copied as it is.
//!
//! The pictures are first cut out with what their decoding needs, so that the encoder reads no more
//! than that; what it makes is then put beside the sound.

use std::fs::File;

use mp4_atom::{Atom as _, Buf as _, Header, Moof, ReadAtom as _, ReadFrom as _};
use protocol::failure::Failure;
use protocol::manifest::Track as Encoded;
use protocol::worker::{ClipTask, LadderTask};

use super::{copy, index};
use crate::worker::container::cut::{Chunk, Cut, Span, TrackCut};
use crate::worker::container::movie::Movie;
use crate::worker::container::write::Draft;
use crate::worker::ladder;
use crate::worker::output::{Output, Stream};
use crate::worker::pipeline::internal;

/// Folder of what is of no more use once the file is there.
pub(super) const SCRATCH: &str = "encoded";

/// Position of the encoded pictures, behind the source.
pub(super) const JOINED: usize = 1;

/// Encodes the pictures of `cut` by `ladder` and writes the whole into `writer`.
pub(super) fn run(
    task: &ClipTask,
    ladder: &LadderTask,
    cut: Cut<'_>,
    source: File,
    output: &Output,
    writer: &mut Stream,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Failure> {
    let scratch = output.folder(SCRATCH)?;
    let mut files = vec![source];
    let encoded = pictures(task, ladder, &cut, &files, &scratch, progress)?;

    let mut init = scratch.open(&encoded.init)?;
    let moov = index(&mut init).map_err(|error| internal(&error))?;
    let movie = Movie::parse(&moov).map_err(|error| internal(&error.to_string()))?;
    let track = movie.video();
    let track = track.ok_or_else(|| internal("an init segment without a track"))?;
    let (chunks, media_time, joined) = chunks(&scratch, &encoded)?;
    files.push(joined);
    let mut whole = cut;
    // At a variable rate the last picture of the encoder lasts a usual while, which may be longer
    // than it did.
    let encoded: u64 = chunks.iter().map(|chunk| chunk.duration).sum();
    let length = scaled(encoded, track.timescale, whole.timescale);
    whole.duration = whole.duration.max(length);
    whole.tracks[whole.picture] = TrackCut {
        track,
        chunks,
        delay: 0,
        media_time,
        shown: whole.duration,
        shift: 0,
        parameter_sets: None,
    };
    let draft = copy::draft(task, &whole).map_err(|error| internal(&error.to_string()))?;
    copy::write(&draft, &files, writer, &mut |_, _| ())?;
    scratch.remove()
}

/// Encodes the pictures of `cut`.
pub(super) fn pictures(
    task: &ClipTask,
    ladder: &LadderTask,
    cut: &Cut<'_>,
    files: &[File],
    scratch: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Encoded, Failure> {
    let pictures = cut.pictures();
    let draft = Draft::of(&pictures, copy::brand(task), None);
    let draft = draft.map_err(|error| internal(&error.to_string()))?;
    let mut stream = scratch.stream()?;
    copy::write(&draft, files, &mut stream, &mut |_, _| ())?;
    let input = scratch.path(&stream.finish("pictures", copy::ending(copy::brand(task)))?);
    let manifest = ladder::run(ladder, &input, scratch, progress)?;
    let encoded = manifest.tracks.into_iter().next();
    encoded.ok_or_else(|| internal("no rendition was encoded"))
}

/// `ticks` of a second's `from` parts in `to` parts.
fn scaled(ticks: u64, from: u32, to: u32) -> u64 {
    let ticks = u128::from(ticks) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The samples of all segments, when the first is shown, and the one file they are joined in: a
/// long subclip has more segments than files may be open.
pub(super) fn chunks(
    scratch: &Output,
    encoded: &Encoded,
) -> Result<(Vec<Chunk>, u64, File), Failure> {
    let mut joined = scratch.stream()?;
    let mut base = 0;
    let mut chunks = Vec::new();
    let mut at = 0;
    let mut first = None;
    for segment in &encoded.segments {
        let bytes = scratch.read(&segment.object)?;
        for (offset, moof) in fragments(&bytes).map_err(|error| internal(&error))? {
            let mut chunk = Chunk {
                start: at,
                duration: 0,
                spans: Vec::new(),
            };
            for run in moof.traf.iter().flat_map(|traf| &traf.trun) {
                let data = u64::try_from(run.data_offset.unwrap_or(0)).unwrap_or(0);
                let mut place = base + offset + data;
                for entry in &run.samples {
                    let size = entry.size.unwrap_or(0);
                    let duration = entry.duration.unwrap_or(0);
                    let composition = entry.cts.unwrap_or(0);
                    let shown = i64::try_from(at + chunk.duration).unwrap_or(0) + composition;
                    first = Some(first.map_or(shown, |first: i64| first.min(shown)));
                    chunk.spans.push(Span {
                        file: JOINED,
                        offset: place,
                        count: 1,
                        size,
                        duration,
                        composition,
                        // 14496-12, 8.8.3.1: sample_is_non_sync_sample.
                        sync: entry.flags.unwrap_or(0) & 0x0001_0000 == 0,
                    });
                    place += u64::from(size);
                    chunk.duration += u64::from(duration);
                }
            }
            at += chunk.duration;
            chunks.push(chunk);
        }
        joined.write(&bytes)?;
        base += bytes.len() as u64;
    }
    let joined = joined.finish("joined", "m4s")?;
    let first = u64::try_from(first.unwrap_or(0)).unwrap_or(0);
    Ok((chunks, first, scratch.open(&joined)?))
}

/// The fragments of a segment of ours, each with the offset that its data is counted from.
fn fragments(bytes: &[u8]) -> Result<Vec<(u64, Moof)>, String> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        let header = Header::read_from(&mut rest).map_err(|error| error.to_string())?;
        if header.kind == Moof::KIND {
            let moof = Moof::read_atom(&header, &mut rest).map_err(|error| error.to_string())?;
            found.push((offset, moof));
        } else {
            let size = header.size.ok_or("a box without an end")?;
            if size > rest.len() {
                return Err("a segment is cut off".to_owned());
            }
            rest.advance(size);
        }
    }
    Ok(found)
}
