//! Bytes that mean harm, through everything in this room: nothing may panic, hang or ask for memory.

use std::io::Cursor;

use proptest::prelude::*;

use protocol::media::{FrameRange, FrameRate};
use protocol::timecode::{Counting, Timecode};

use super::access::Access;
use super::cut::Cut;
use super::layout::Layout;
use super::movie::{Kind, Movie};
use super::samples::{MAX_PICTURES, Presentation};
use super::timing::Timing;
use super::write::{Brand, Draft, Start};

/// Does with a file what the probe does; the number of pictures, so that nothing is optimised away.
fn look(file: &[u8]) -> usize {
    let size = file.len() as u64;
    let layout = Layout::scan(&mut Cursor::new(file), size).expect("memory can be read");
    let Some(range) = layout.moov else {
        return 0;
    };
    let range = usize::try_from(range.start).expect("in memory")
        ..usize::try_from(range.end).expect("in memory");
    look_at_index(&file[range])
}

fn look_at_index(moov: &[u8]) -> usize {
    let Ok(movie) = Movie::parse(moov) else {
        return 0;
    };
    let mut pictures = 0;
    assert!(movie.data_end() < u64::MAX || !movie.tracks.is_empty());
    for track in &movie.tracks {
        assert!(track.samples.iter().take(10_000).count() <= track.samples.count());
        if let Some(timecode) = movie.timecode_of(track) {
            assert_eq!(timecode.kind, Kind::Timecode);
        }
        // As the probe does, which refuses before this what points beyond the file.
        let fits = track.samples.data_end() <= 1 << 20;
        if fits && let Ok(shown) = Presentation::of(track, movie.timescale) {
            assert!(shown.starts.len() <= MAX_PICTURES);
            let timing = Timing::of(&shown.starts, shown.end, track.timescale, None);
            assert_eq!(timing.is_some(), !shown.starts.is_empty());
            pictures += shown.starts.len();
            if let Ok(Some(access)) = Access::of(track, movie.timescale) {
                assert!(access.longest_gop() <= track.samples.count());
                let end = shown.starts.len() as u64;
                let span = access.span(
                    FrameRange {
                        start: end / 2,
                        end,
                    },
                    1,
                );
                assert!(span.is_none_or(|span| span.pictures.len() <= track.samples.count()));
            }
        }
    }
    cut(&movie);
    pictures
}

/// Takes parts out of a movie, as the renderer of subclips does.
fn cut(movie: &Movie<'_>) {
    let Some(video) = movie.video() else { return };
    let fits = movie.data_end() <= 1 << 20;
    let Ok(shown) = Presentation::of(video, movie.timescale) else {
        return;
    };
    let count = shown.starts.len() as u64;
    if !fits || count == 0 {
        return;
    }
    let rate = FrameRate::new(25, 1).expect("not zero");
    let counting = Counting::new(rate, false).expect("a usual rate");
    for (start, end) in [(0, 1), (0, count), (count / 2, count), (count - 1, count)] {
        let Ok(cut) = Cut::of(movie, count, FrameRange { start, end }) else {
            continue;
        };
        let start = Start {
            reel: Some("A001"),
            timecode: Timecode::from_frame(start, counting),
            rate,
            frames: end - start,
        };
        let Ok(draft) = Draft::of(&cut, Brand::Mp4, Some(start)) else {
            continue;
        };
        // What was written is read like any other file.
        let layout = Layout::scan(&mut Cursor::new(&draft.head), draft.size_bytes());
        let Ok(Some(range)) = layout.map(|layout| layout.moov) else {
            continue;
        };
        let range = usize::try_from(range.start).expect("in memory")
            ..usize::try_from(range.end).expect("in memory");
        let written = Movie::parse(&draft.head[range]).expect("well formed");
        assert_eq!(written.tracks.len(), cut.tracks.len() + 1);
    }
}

fn boxed(kind: [u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let size = u32::try_from(content.len() + 8).expect("small");
    [&size.to_be_bytes()[..], &kind, &content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A file with a video track of 20 pictures in 4 chunks, out of order by composition offsets and
/// cut by an edit list, and a timecode track.
fn small_file() -> Vec<u8> {
    let header = |timescale| words(&[0, 0, 0, timescale, 2000, 0, 0]);
    let tkhd = |id| {
        words(
            &[
                [7, 0, 0, id, 0, 2000].as_slice(),
                &[0; 4],
                &[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000, 0, 0],
            ]
            .concat(),
        )
    };
    let trak = |id, handler: &[u8; 4], entry: &[u8], tables: &[Vec<u8>]| {
        let stsd = boxed(*b"stsd", &[&words(&[0, 1]), entry]);
        let tables = tables.concat();
        let stbl = boxed(*b"stbl", &[&stsd, &tables]);
        let hdlr = boxed(*b"hdlr", &[&words(&[0, 0]), handler, &[0; 13]]);
        let minf = boxed(*b"minf", &[&stbl]);
        let mdia = boxed(
            *b"mdia",
            &[&boxed(*b"mdhd", &[&header(1000)]), &hdlr, &minf],
        );
        let elst = boxed(
            *b"elst",
            &[&words(&[0, 2, 500, u32::MAX, 0x1_0000, 600, 80, 0x1_0000])],
        );
        let edts = boxed(*b"edts", &[&elst]);
        boxed(*b"trak", &[&boxed(*b"tkhd", &[&tkhd(id)]), &edts, &mdia])
    };
    let sizes: Vec<u32> = [0, 0, 20]
        .into_iter()
        .chain((0..20).map(|n| n + 1))
        .collect();
    let video = trak(
        1,
        b"vide",
        &boxed(*b"avc1", &[&[0; 24], &[1, 64, 0, 180], &[0; 50]]),
        &[
            boxed(*b"stts", &[&words(&[0, 1, 20, 40])]),
            boxed(*b"ctts", &[&words(&[0, 3, 10, 80, 5, 40, 5, 120])]),
            boxed(*b"stss", &[&words(&[0, 2, 1, 11])]),
            boxed(*b"stsz", &[&words(&sizes)]),
            boxed(*b"stsc", &[&words(&[0, 2, 1, 4, 1, 3, 6, 1])]),
            boxed(*b"stco", &[&words(&[0, 4, 32, 50, 80, 150])]),
        ],
    );
    let timecode = trak(
        2,
        b"tmcd",
        &boxed(*b"tmcd", &[&[0; 12], &words(&[0, 25, 1, 25 << 24])]),
        &[
            boxed(*b"stts", &[&words(&[0, 1, 1, 800])]),
            boxed(*b"stsz", &[&words(&[0, 4, 1])]),
            boxed(*b"stsc", &[&words(&[0, 1, 1, 1, 1])]),
            boxed(*b"co64", &[&words(&[0, 1, 0, 32])]),
        ],
    );
    let moov = boxed(
        *b"moov",
        &[&boxed(*b"mvhd", &[&header(1000)]), &video, &timecode],
    );
    [
        boxed(*b"ftyp", &[b"isom", &[0; 4]]),
        boxed(*b"mdat", &[&[9; 400]]),
        moov,
    ]
    .concat()
}

#[test]
fn the_whole_file_is_understood() {
    let file = small_file();
    let layout = Layout::scan(&mut Cursor::new(&file), file.len() as u64).expect("in memory");
    let moov = layout.moov.expect("there is one");
    let moov = &file[usize::try_from(moov.start).expect("small")..];
    let movie = Movie::parse(moov).expect("well formed");
    let video = movie.video().expect("the first track");
    assert_eq!((video.codec, video.coded), (*b"avc1", (320, 180)));
    assert_eq!(video.samples.count(), 20);
    let samples: Vec<_> = video.samples.iter().collect();
    assert_eq!(samples.len(), 20);
    // Chunks of 4, 4, 6 and 6 samples; sample n has n + 1 bytes.
    assert_eq!((samples[5].offset, samples[5].size), (50 + 5, 6));
    assert_eq!(
        (samples[19].offset, samples[19].time),
        (150 + 15 + 16 + 17 + 18 + 19, 760 + 120)
    );
    let syncs: Vec<_> = (0..20).filter(|n| samples[*n].sync).collect();
    assert_eq!(syncs, [0, 10]);
    assert_eq!(movie.data_end(), 150 + 15 + 16 + 17 + 18 + 19 + 20);
    let shown = Presentation::of(video, movie.timescale).expect("few pictures");
    // Half a second of nothing, then 600 ms from 80 ms on: 15 pictures of 40 ms.
    assert_eq!(shown.starts.first(), Some(&500));
    assert_eq!(shown.starts.len() as u64 + shown.hidden, 20);
    assert_eq!(movie.timecode_of(video).map(|track| track.id), Some(2));
    assert!(look(&file) > 10);
    let count = shown.starts.len() as u64;
    let frames = FrameRange { start: 7, end: 9 };
    let cut = Cut::of(&movie, count, frames).expect("it can be cut");
    assert_eq!((cut.duration, cut.tracks.len()), (80, 1));
}

#[test]
fn cut_anywhere_it_is_refused_or_read() {
    let file = small_file();
    for len in 0..file.len() {
        look(&file[..len]);
    }
}

#[test]
fn a_byte_or_a_word_changed_anywhere_does_no_harm() {
    let file = small_file();
    // xorshift32, so that every run is the same.
    let mut state = 0x9e37_79b9_u32;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut at = || usize::try_from(random()).expect("32 bits");
    for _ in 0..3000 {
        let mut changed = file.clone();
        for _ in 0..=at() % 4 {
            let place = 400 + at() % (file.len() - 404);
            let word = [0, 1, u32::MAX, 0x7fff_ffff, 0x8000_0000][at() % 5].to_be_bytes();
            match at() % 3 {
                0 => changed[place] = word[at() % 4],
                1 => changed[place] ^= 1 << (at() % 8),
                _ => changed[place..place + 4].copy_from_slice(&word),
            }
        }
        look(&changed);
    }
}

#[test]
fn a_small_index_that_claims_a_lot_costs_little() {
    let claim = |tables: &[Vec<u8>]| {
        let stbl = boxed(*b"stbl", &[&tables.concat()]);
        let minf = boxed(*b"minf", &[&stbl]);
        let hdlr = boxed(*b"hdlr", &[&words(&[0, 0]), b"vide"]);
        let mdhd = boxed(*b"mdhd", &[&words(&[0, 0, 0, 1, 0, 0])]);
        let mdia = boxed(*b"mdia", &[&mdhd, &hdlr, &minf]);
        let tkhd = boxed(*b"tkhd", &[&[0; 84]]);
        let trak = boxed(*b"trak", &[&tkhd, &mdia]);
        let mvhd = boxed(*b"mvhd", &[&words(&[0, 0, 0, 1, 0, 0])]);
        [mvhd, trak].concat()
    };
    let most = u32::MAX;
    for tables in [
        // Four thousand million samples of one byte, all in one chunk.
        [
            boxed(*b"stts", &[&words(&[0, 1, most, 1])]),
            boxed(*b"stsz", &[&words(&[0, 1, most])]),
            boxed(*b"stsc", &[&words(&[0, 1, 1, most, 1])]),
            boxed(*b"stco", &[&words(&[0, 1, 0])]),
        ],
        // Counts without the entries.
        [
            boxed(*b"stts", &[&words(&[0, most])]),
            boxed(*b"stsz", &[&words(&[0, 0, most])]),
            boxed(*b"stsc", &[&words(&[0, most])]),
            boxed(*b"co64", &[&words(&[0, most])]),
        ],
    ] {
        let moov = claim(&tables);
        let movie = Movie::parse(&moov).expect("well formed");
        let video = movie.video().expect("one track");
        let shown = Presentation::of(video, movie.timescale);
        assert!(shown.is_err() || shown.is_ok_and(|shown| shown.starts.is_empty()));
        assert!(movie.data_end() <= 1 << 32);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_file(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        look(&bytes);
        look_at_index(&bytes);
    }

    #[test]
    fn any_bytes_in_any_table_are_an_index(
        kind in prop::sample::select(vec![*b"stts", *b"ctts", *b"stss", *b"stsz", *b"stsc", *b"stco", *b"elst", *b"mdhd", *b"tkhd", *b"stsd"]),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut file = small_file();
        let at = file.windows(4).position(|window| window == kind).expect("in the file");
        for (place, byte) in file[at + 8..].iter_mut().zip(bytes) {
            *place = byte;
        }
        look(&file);
    }
}
