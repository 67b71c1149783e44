//! Pure: what a video becomes: which renditions, and where it is cut into pieces.

use protocol::failure::{Failure, FailureClass};
use protocol::id::{GenerationId, VideoId};
use protocol::job::Unit;
use protocol::media::{
    FrameRange, FrameRate, Ladder, Rendition, Resolution, Rung, SHORTEST_SEGMENT_MS,
};
use protocol::probe::Probe;
use protocol::time::Timestamp;

use super::generation::{Generation, Stage, UnitState};
use super::keep;

/// Segments of one piece. Fewer would cost more entries into the source, and a rate control that
/// begins anew more often; more would leave nodes idle at the end, and lose more with each of them.
const SEGMENTS_PER_PIECE: u64 = 2;
/// Pieces of a single segment at the beginning of a video, so that it can soon be watched.
const SHORT_PIECES: u64 = 2;
/// Pieces of one video at most; longer videos get longer pieces.
const PIECES_MAX: u64 = 1024;
/// Lowest bit rate in kbit/s that still looks like a picture.
const VIDEO_KBPS_MIN: u32 = 100;
/// A source that reaches this share of a rung, in hundredths, counts as that rung: cropped
/// 1916x1076 is "1080p" to its owner. It keeps its own size, since nothing is upscaled.
const REACHES_RUNG_PERCENT: u64 = 90;

/// The generation that renders a source by `ladder`, all of it still to do.
///
/// # Errors
/// The failure to show if there is nothing to render.
pub(super) fn generation(
    id: GenerationId,
    video: VideoId,
    at: Timestamp,
    ladder: &Ladder,
    probe: &Probe,
) -> Result<Generation, Failure> {
    let track = &probe.video;
    if track.frames == 0 || track.display.width == 0 || track.display.height == 0 {
        return Err(Failure::new(
            FailureClass::Input,
            "no_pictures",
            "The file has a video track without pictures; export it again.",
            format!("{} frames of {}", track.frames, track.display),
        ));
    }
    let (gop_frames, segment_frames) = gop_and_segment(ladder, track.frame_rate);
    let per_piece = if track.random_access {
        SEGMENTS_PER_PIECE
    } else {
        // Each piece would have to decode everything before it.
        u64::MAX
    };
    let shortest = track.frame_rate.frames_in_ms(SHORTEST_SEGMENT_MS);
    let mut renditions = renditions(ladder, track.display, track.frame_rate);
    let (cuts, encoded_because) = match keep::cuts(ladder, probe, &renditions) {
        Ok(cuts) => (cuts, String::new()),
        Err(reason) => (Vec::new(), reason),
    };
    let pieces = if cuts.is_empty() {
        pieces(track.frames, segment_frames, per_piece, shortest)
    } else {
        if let Some(top) = renditions.first_mut() {
            top.video_kbps = probe.web.kbps;
        }
        pieces_between(&cuts, track.frames)
    };
    let mut generation = Generation {
        id,
        video,
        created_at: at,
        renditions,
        gop_frames,
        segment_frames,
        cuts,
        encoded_because,
        audio_kbps: ladder.audio_kbps,
        audio_track: (!probe.audio.is_empty()).then_some(0),
        pieces,
        units: [].into(),
        stage: Stage::Building,
    };
    generation.units = units_in_order(&generation)
        .into_iter()
        .map(|unit| (unit, UnitState::Pending))
        .collect();
    Ok(generation)
}

/// The units of `generation`, in the order in which they are wanted: a poster first.
pub(super) fn units_in_order(generation: &Generation) -> Vec<Unit> {
    let pieces = (0..).zip(&generation.pieces).map(|(n, _)| Unit::Piece(n));
    std::iter::once(Unit::Stills)
        .chain(pieces)
        .chain(generation.audio_track.map(|_| Unit::Audio))
        .collect()
}

/// Frames of a GOP and of a segment; a segment is whole GOPs.
fn gop_and_segment(ladder: &Ladder, rate: FrameRate) -> (u32, u32) {
    /// No sane rate comes near it; it keeps the product below within 32 bits.
    const GOP_FRAMES_MAX: u64 = 1 << 20;
    const GOPS_MAX: u64 = 1 << 10;

    let gop = rate.frames_in_ms(ladder.gop_ms.into()).min(GOP_FRAMES_MAX);
    let wanted = rate.frames_in_ms(ladder.segment_ms.into());
    let gops = ((wanted + gop / 2) / gop).clamp(1, GOPS_MAX);
    (narrow(gop), narrow(gop * gops))
}

/// The rungs that the source reaches, with its shape; if it reaches none, its own size alone.
fn renditions(ladder: &Ladder, source: Resolution, rate: FrameRate) -> Vec<Rendition> {
    let reached: Vec<Rendition> = ladder
        .rungs
        .iter()
        .filter(|rung| reaches(source, rung))
        .map(|rung| {
            let resolution = fit(source, rung.height);
            Rendition {
                name: format!("{}p", rung.height),
                resolution,
                video_kbps: bit_rate(rung, resolution, rate),
            }
        })
        .collect();
    if !reached.is_empty() {
        return reached;
    }
    let Some(lowest) = ladder.rungs.last() else {
        // Settings without a rung are refused when they are set.
        return Vec::new();
    };
    let resolution = source.even();
    vec![Rendition {
        name: format!("{}p", class_of(resolution)),
        resolution,
        video_kbps: bit_rate(lowest, resolution, rate),
    }]
}

/// The box of a rung: 16:9, upright or lying as the source is, so that a portrait picture keeps as
/// many lines across as a landscape one has down.
fn box_of(source: Resolution, height: u32) -> Resolution {
    let long = narrow((u64::from(height) * 16 + 4) / 9);
    if source.width >= source.height {
        Resolution {
            width: long,
            height,
        }
    } else {
        Resolution {
            width: height,
            height: long,
        }
    }
}

/// Whether the source fills the rung's box, or nearly, in at least one direction.
fn reaches(source: Resolution, rung: &Rung) -> bool {
    let frame = box_of(source, rung.height);
    let nearly =
        |side: u32, whole: u32| u64::from(side) * 100 >= u64::from(whole) * REACHES_RUNG_PERCENT;
    nearly(source.width, frame.width) || nearly(source.height, frame.height)
}

/// The source's shape in the rung's box, both sides even, never larger than the source.
fn fit(source: Resolution, height: u32) -> Resolution {
    let frame = box_of(source, height);
    let (width, height) = (u64::from(source.width), u64::from(source.height));
    let (box_width, box_height) = (u64::from(frame.width), u64::from(frame.height));
    if width <= box_width && height <= box_height {
        return source.even();
    }
    // The side that would stick out further decides; the other follows, to the nearest even number.
    let follow = |side: u64, own: u64, limit: u64| nearest_even(side * limit, own).min(side);
    let fitted = if width * box_height >= height * box_width {
        Resolution {
            width: frame.width,
            height: narrow(follow(height, width, box_width)),
        }
    } else {
        Resolution {
            width: narrow(follow(width, height, box_height)),
            height: frame.height,
        }
    };
    fitted.even()
}

/// `num / den` to the nearest even number.
fn nearest_even(num: u64, den: u64) -> u64 {
    (num + den) / (2 * den) * 2
}

/// The height of the 16:9 picture that `size` is as large as.
fn class_of(size: Resolution) -> u32 {
    let (long, short) = if size.width >= size.height {
        (size.width, size.height)
    } else {
        (size.height, size.width)
    };
    short.max(narrow(u64::from(long) * 9 / 16))
}

/// The rung's bit rate for a picture that fills only part of its box, and half as much again above
/// 30 frames a second.
fn bit_rate(rung: &Rung, size: Resolution, rate: FrameRate) -> u32 {
    let pixels = u128::from(size.width) * u128::from(size.height);
    let whole = u128::from(rung.height) * u128::from(rung.height) * 16 / 9;
    let mut kbps = u128::from(rung.video_kbps) * pixels.min(whole) / whole.max(1);
    if u64::from(rate.num()) > 30 * u64::from(rate.den()) {
        kbps = kbps * 3 / 2;
    }
    u32::try_from(kbps).unwrap_or(u32::MAX).max(VIDEO_KBPS_MIN)
}

/// Cuts `frames` into pieces of whole segments; the last may be shorter. A tail of fewer than
/// `shortest` frames is no segment, and so no piece.
fn pieces(
    frames: u64,
    segment_frames: u32,
    segments_per_piece: u64,
    shortest: u64,
) -> Vec<FrameRange> {
    let segment = u64::from(segment_frames.max(1));
    let tail = frames % segment;
    let segments = match frames / segment {
        full if full > 0 && tail < shortest => full,
        full => full + u64::from(tail > 0),
    };
    let per_piece = segments_per_piece
        .max(segments.div_ceil(PIECES_MAX))
        .clamp(1, segments.max(1));
    let short = if per_piece == SEGMENTS_PER_PIECE && segments > per_piece {
        SHORT_PIECES.min(segments)
    } else {
        0
    };
    let count = short + (segments - short).div_ceil(per_piece);
    let start = |number: u64| {
        let before = number.min(short) + number.saturating_sub(short).saturating_mul(per_piece);
        before.saturating_mul(segment)
    };
    (0..count)
        .map(|number| FrameRange {
            start: start(number),
            end: match number + 1 {
                next if next == count => frames,
                next => start(next),
            },
        })
        .collect()
}

/// The same where segments begin at `cuts`.
fn pieces_between(cuts: &[u64], frames: u64) -> Vec<FrameRange> {
    let segments = cuts.len() as u64;
    // A grid of one frame a segment: the same rules for how many make a piece.
    pieces(segments, 1, SEGMENTS_PER_PIECE, 0)
        .into_iter()
        .map(|run| {
            let at = |segment: u64| {
                let cut = usize::try_from(segment).ok().and_then(|n| cuts.get(n));
                cut.copied().unwrap_or(frames)
            };
            FrameRange {
                start: at(run.start),
                end: at(run.end),
            }
        })
        .collect()
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn rate(num: u32, den: u32) -> FrameRate {
        FrameRate::new(num, den).unwrap()
    }

    /// Renditions of the default ladder, as text.
    #[track_caller]
    fn check(width: u32, height: u32, fps: u32, expected: &[&str]) {
        let source = Resolution { width, height };
        let got: Vec<String> = renditions(&Ladder::default(), source, rate(fps, 1))
            .iter()
            .map(|r| format!("{} {} {}k", r.name, r.resolution, r.video_kbps))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_full_hd_source_gets_the_whole_ladder() {
        check(
            1920,
            1080,
            30,
            &[
                "1080p 1920x1080 5000k",
                "720p 1280x720 2800k",
                "360p 640x360 800k",
            ],
        );
    }

    #[test]
    fn a_larger_one_is_scaled_down_and_a_fast_one_gets_more_bits() {
        check(
            3840,
            2160,
            60,
            &[
                "1080p 1920x1080 7500k",
                "720p 1280x720 4200k",
                "360p 640x360 1200k",
            ],
        );
    }

    #[test]
    fn a_portrait_source_counts_by_its_short_side() {
        check(
            1080,
            1920,
            25,
            &[
                "1080p 1080x1920 5000k",
                "720p 720x1280 2800k",
                "360p 360x640 800k",
            ],
        );
    }

    #[test]
    fn other_shapes_are_fitted_into_the_box() {
        check(
            1920,
            804,
            24,
            &[
                "1080p 1920x804 3722k",
                "720p 1280x536 2084k",
                "360p 640x268 595k",
            ],
        );
        check(
            1440,
            1080,
            24,
            &[
                "1080p 1440x1080 3750k",
                "720p 960x720 2100k",
                "360p 480x360 600k",
            ],
        );
    }

    #[test]
    fn nothing_is_upscaled() {
        check(1600, 900, 25, &["720p 1280x720 2800k", "360p 640x360 800k"]);
        check(321, 241, 25, &["240p 320x240 266k"]);
        check(64, 64, 25, &["64p 64x64 100k"]);
        check(2, 2, 25, &["2p 2x2 100k"]);
        check(1, 1, 25, &["2p 2x2 100k"]);
    }

    #[test]
    fn a_cropped_source_keeps_its_rung_and_its_size() {
        check(
            1917,
            1077,
            25,
            &[
                "1080p 1916x1076 4971k",
                "720p 1280x720 2800k",
                "360p 640x360 800k",
            ],
        );
    }

    #[test]
    fn extreme_sizes_do_not_overflow() {
        check(
            u32::MAX,
            1,
            25,
            &["1080p 1920x2 100k", "720p 1280x2 100k", "360p 640x2 100k"],
        );
        let top = renditions(
            &Ladder::default(),
            Resolution {
                width: u32::MAX,
                height: u32::MAX,
            },
            rate(u32::MAX, 1),
        );
        assert_eq!(top[0].resolution.to_string(), "1080x1080");
    }

    #[test]
    fn segments_are_whole_gops_at_every_rate() {
        for (num, den, expected) in [
            (24000, 1001, (48, 144)),
            (25, 1, (50, 150)),
            (30000, 1001, (60, 180)),
            (60, 1, (120, 360)),
            (1, 10, (1, 1)),
        ] {
            let got = gop_and_segment(&Ladder::default(), rate(num, den));
            assert_eq!(got, expected, "{num}/{den}");
        }
        let (gop, segment) = gop_and_segment(&Ladder::default(), rate(u32::MAX, 1));
        assert_eq!(segment % gop, 0);
    }

    #[test]
    fn pieces_cover_all_frames_in_whole_segments() {
        for frames in [1, 149, 150, 151, 1800, 1_000_003] {
            for per_piece in [1, 2, 7, u64::MAX] {
                let pieces = pieces(frames, 150, per_piece, 13);
                assert_eq!(pieces.first().unwrap().start, 0);
                assert_eq!(pieces.last().unwrap().end, frames);
                assert!(pieces.len() <= 1024);
                assert!(pieces.iter().all(|p| p.start % 150 == 0 && !p.is_empty()));
                assert!(pieces.windows(2).all(|w| w[0].end == w[1].start));
            }
        }
        assert_eq!(pieces(1800, 150, u64::MAX, 13).len(), 1);
        let starts: Vec<u64> = pieces(1800, 150, 2, 13).iter().map(|p| p.start).collect();
        assert_eq!(starts, [0, 150, 300, 600, 900, 1200, 1500]);
    }

    #[test]
    fn a_tail_that_is_no_segment_is_no_piece() {
        let ends = |frames| {
            let pieces = pieces(frames, 150, 2, 13);
            pieces.iter().map(|piece| piece.end).collect::<Vec<_>>()
        };
        assert_eq!(ends(600), [150, 300, 600]);
        assert_eq!(ends(612), [150, 300, 612]);
        assert_eq!(ends(613), [150, 300, 600, 613]);
        assert_eq!(ends(5), [5]);
        assert_eq!(ends(312), [312]);
    }

    #[test]
    fn only_what_can_be_entered_anywhere_is_cut() {
        let pieces = |random_access| {
            let mut probe = probe();
            probe.video.random_access = random_access;
            let id = GenerationId::derived(Timestamp::from_millis(0), 1, 0);
            let video = VideoId::derived(Timestamp::from_millis(0), 1, 0);
            let at = Timestamp::from_millis(0);
            let planned = generation(id, video, at, &Ladder::default(), &probe);
            planned.unwrap().pieces.len()
        };
        assert_eq!((pieces(true), pieces(false)), (6, 1));
    }

    #[test]
    fn pieces_of_a_copy_begin_where_its_segments_do() {
        let cuts: Vec<u64> = (0..7).map(|n| n * 190).collect();
        let starts: Vec<u64> = pieces_between(&cuts, 1300)
            .iter()
            .map(|p| p.start)
            .collect();
        assert_eq!(starts, [0, 190, 380, 760, 1140]);
        let one = pieces_between(&[0], 100);
        assert_eq!((one.len(), one[0].end), (1, 100));
    }

    pub(in crate::catalog) fn probe() -> Probe {
        let size = Resolution {
            width: 1920,
            height: 1080,
        };
        Probe {
            container: "mp4".to_owned(),
            web: protocol::probe::Web::default(),
            video: protocol::probe::VideoTrack {
                codec: "h264".to_owned(),
                coded: size,
                display: size,
                pixel_aspect: (1, 1),
                rotation: 0,
                frame_rate: rate(30, 1),
                variable_frame_rate: false,
                frames: 1800,
                duration_ns: 60_000_000_000,
                bit_depth: 8,
                chroma: "4:2:0".to_owned(),
                field_order: "progressive".to_owned(),
                colorimetry: "bt709".to_owned(),
                colour: protocol::probe::Colour::default(),
                hdr: false,
                random_access: true,
            },
            audio: Vec::new(),
            timecode: None,
            reel: None,
            remarks: Vec::new(),
        }
    }
}
