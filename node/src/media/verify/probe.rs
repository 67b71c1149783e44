//! Pure: whether facts that a worker reports about a file can be true at all.
//!
//! They come from a process that read hostile bytes, and they go into the catalogue of every node.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::media::Resolution;
use protocol::probe::Probe;

const SIDE_MAX: u32 = 16_384;
const FPS_MAX: u64 = 1000;
const DAY_NS: u64 = 24 * 3600 * 1_000_000_000;
const TRACKS_MAX: usize = 64;
const REMARKS_MAX: usize = 32;
const ENTRIES_MAX: usize = 16_384;

/// `Err` names what cannot be true.
pub fn check(probe: &Probe) -> Result<(), String> {
    let video = &probe.video;
    let rate = video.frame_rate;
    // The parts, since a decoded fraction has not gone through its constructor.
    let (num, den) = (u64::from(rate.num()), u64::from(rate.den()));
    let has_side = |side: u32| (1..=SIDE_MAX).contains(&side);
    let has_size = |size: Resolution| has_side(size.width) && has_side(size.height);

    let words = [
        &probe.container,
        &video.codec,
        &video.chroma,
        &video.field_order,
    ];
    let rules = [
        (num > 0 && den > 0 && num <= FPS_MAX * den, "frame rate"),
        (has_size(video.coded), "coded size"),
        (has_size(video.display), "display size"),
        (
            video.pixel_aspect.0 > 0 && video.pixel_aspect.1 > 0,
            "pixel aspect",
        ),
        (matches!(video.rotation, 0 | 90 | 180 | 270), "rotation"),
        (video.frames > 0, "frame count"),
        (
            video.duration_ns > 0 && video.duration_ns <= 7 * DAY_NS,
            "duration",
        ),
        ((1..=16).contains(&video.bit_depth), "bit depth"),
        (words.iter().all(|word| is_word(word)), "name of a format"),
        (
            video.colorimetry.is_empty() || is_word(&video.colorimetry),
            "colorimetry",
        ),
        (
            [
                video.colour.primaries,
                video.colour.transfer,
                video.colour.matrix,
            ]
            .iter()
            .all(|number| *number <= 255),
            "colour",
        ),
        (probe.reel.as_deref().is_none_or(is_line), "reel"),
        (
            probe.web.entries.len() <= ENTRIES_MAX
                && probe.web.entries.is_sorted_by(|a, b| a < b)
                && (probe.web.entries.last()).is_none_or(|last| u64::from(*last) < video.frames)
                && (probe.web.refused.as_ref()).is_none_or(|text| text.len() <= 200),
            "place to cut at",
        ),
        (probe.audio.len() <= TRACKS_MAX, "number of sound tracks"),
        (
            probe.audio.iter().all(|track| {
                is_word(&track.codec)
                    && (1..=256).contains(&track.channels)
                    && (1..=1_536_000).contains(&track.sample_rate)
                    && track.language.as_deref().is_none_or(is_word)
                    && track.label.as_deref().is_none_or(is_line)
                    && (track.layout.is_empty() || is_line(&track.layout))
                    && track.sample_bits <= 64
                    && track.duration_ns <= 7 * DAY_NS
            }),
            "sound track",
        ),
        (
            probe
                .timecode
                .as_ref()
                .is_none_or(|t| is_word(&t.text) && is_word(&t.source)),
            "timecode",
        ),
        (
            probe.remarks.len() <= REMARKS_MAX
                && probe
                    .remarks
                    .iter()
                    .all(|r| r.len() <= 512 && !r.contains(char::is_control)),
            "remark",
        ),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(format!("the {what} cannot be right")),
        None => Ok(()),
    }
}

/// Short and printable, without spaces.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Short display text.
fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 128 && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::super::tests::probe;
    use super::*;

    type Spoil = fn(&mut Probe);

    #[test]
    fn true_facts_pass_and_impossible_ones_are_named() {
        assert_eq!(check(&probe()), Ok(()));
        let spoils: [(Spoil, &str); 7] = [
            (|p| p.video.display.width = 0, "display size"),
            (|p| p.video.coded.height = 100_000, "coded size"),
            (|p| p.video.rotation = 45, "rotation"),
            (|p| p.video.frames = 0, "frame count"),
            (|p| p.video.duration_ns = u64::MAX, "duration"),
            (|p| p.container = "../mp4 \u{1b}".to_owned(), "format"),
            (|p| p.remarks = vec!["x".repeat(600)], "remark"),
        ];
        for (spoil, what) in spoils {
            let mut probe = probe();
            spoil(&mut probe);
            let error = check(&probe).expect_err(what);
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_frame_rate_of_zero_off_the_wire_is_caught() {
        // What a hostile worker can send: the fields of a fraction, decoded without its constructor.
        let rate = protocol::codec::encode(&(0_u32, 1_u32)).expect("small");
        if let Ok(rate) = protocol::codec::decode(&rate) {
            let mut probe = probe();
            probe.video.frame_rate = rate;
            assert!(check(&probe).is_err());
        }
    }
}
