//! Pure: whether the pictures of a source are published as they are, and where they are cut then.
//!
//! A copy can be cut only where the source has a picture that decodes alone. The renditions below
//! are encoded anyway, so they are cut there too, and players switch between all of them.

use protocol::media::{KeepTop, Ladder, Rendition, SHORTEST_SEGMENT_MS};
use protocol::probe::Probe;

/// Up to this multiple of what the rung is encoded with: a player whose link cannot carry it has
/// the renditions below.
const KBPS_MULTIPLE: u32 = 4;

/// The first frames of all segments, if the top rendition is a copy of the source.
///
/// # Errors
/// It is not, and why, as the second half of a sentence; empty if nobody would expect it.
pub(super) fn cuts(
    ladder: &Ladder,
    probe: &Probe,
    renditions: &[Rendition],
) -> Result<Vec<u64>, String> {
    let video = &probe.video;
    if ladder.keep_top == KeepTop::Never || video.codec != "h264" {
        return Err(String::new());
    }
    if let Some(refused) = &probe.web.refused {
        return Err(refused.clone());
    }
    let [top, _, ..] = renditions else {
        return Err("there is no smaller rendition to check it by".to_owned());
    };
    if top.resolution != video.coded || top.resolution != video.display {
        return Err(format!(
            "the source has {} pixels and the rung {}",
            video.coded, top.resolution
        ));
    }
    if !video.random_access || video.variable_frame_rate || video.hdr {
        return Err("it cannot be entered at its key pictures".to_owned());
    }
    let most = top.video_kbps.saturating_mul(KBPS_MULTIPLE);
    if probe.web.kbps > most {
        return Err(format!(
            "it has {} kbit/s, more than {most}",
            probe.web.kbps
        ));
    }
    segments(ladder, probe)
}

/// Picks segments of about the wanted length from the pictures that may begin one.
fn segments(ladder: &Ladder, probe: &Probe) -> Result<Vec<u64>, String> {
    let rate = probe.video.frame_rate;
    let wanted = rate.frames_in_ms(ladder.segment_ms.into());
    // Never shorter than a GOP: the encoder must be done with one key picture before the next.
    let gop = rate.frames_in_ms(ladder.gop_ms.into());
    let (least, most) = (gop.max(wanted / 3), wanted + wanted / 3);
    let shortest = rate.frames_in_ms(SHORTEST_SEGMENT_MS);
    let frames = probe.video.frames;
    let entries = &probe.web.entries;
    if entries.first() != Some(&0) {
        return Err("its first picture is no key picture that stands alone".to_owned());
    }
    let mut cuts = vec![0];
    let mut from = 0;
    while frames - from > most {
        let later = entries.partition_point(|entry| u64::from(*entry) <= from);
        let later = entries.iter().skip(later).map(|entry| u64::from(*entry));
        let next = later
            .clone()
            .take_while(|entry| *entry <= from + most)
            .filter(|entry| *entry >= from + least && entry + shortest <= frames)
            .min_by_key(|entry| entry.abs_diff(from + wanted));
        let Some(next) = next else {
            let next = later.clone().find(|entry| *entry >= from + least);
            let ms = rate.frame_to_ns(next.unwrap_or(frames) - from) / 1_000_000;
            let (s, tenths) = (ms / 1000, ms / 100 % 10);
            return Err(format!("its key pictures lie up to {s}.{tenths} s apart"));
        };
        cuts.push(next);
        from = next;
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use protocol::media::Resolution;

    use super::*;
    use crate::catalog::plan::tests::probe;

    fn top(kbps: u32) -> Vec<Rendition> {
        let rendition = |name: &str, width, height| Rendition {
            name: name.to_owned(),
            resolution: Resolution { width, height },
            video_kbps: kbps,
        };
        vec![rendition("1080p", 1920, 1080), rendition("720p", 1280, 720)]
    }

    /// Half a minute at 30 frames a second.
    fn kept(entries: &[u32]) -> Result<Vec<u64>, String> {
        let mut probe = probe();
        probe.video.frames = 900;
        probe.web.entries = entries.to_vec();
        probe.web.kbps = 14_000;
        cuts(&ladder(), &probe, &top(5000))
    }

    fn ladder() -> Ladder {
        Ladder {
            keep_top: KeepTop::Auto,
            ..Ladder::default()
        }
    }

    #[test]
    fn segments_begin_where_the_source_lets_them() {
        let every = |frames: u32| (0..900 / frames).map(|n| n * frames).collect::<Vec<_>>();
        assert_eq!(kept(&every(30)).unwrap(), [0, 180, 360, 540, 720]);
        assert_eq!(kept(&every(50)).unwrap(), [0, 200, 400, 600, 800]);
        // Scene cuts: what comes nearest to six seconds.
        let uneven = [
            0, 60, 77, 137, 197, 230, 290, 350, 410, 470, 530, 590, 650, 710, 770, 830,
        ];
        assert_eq!(kept(&uneven).unwrap(), [0, 197, 350, 530, 710]);
        // No stub at the end.
        let late: Vec<u32> = every(30).into_iter().chain([895]).collect();
        assert_eq!(kept(&late).unwrap().last(), Some(&720));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let refused = |entries: &[u32]| kept(entries).unwrap_err();
        assert_eq!(
            refused(&[0, 300, 600]),
            "its key pictures lie up to 10.0 s apart"
        );
        assert_eq!(
            refused(&[0, 180]),
            "its key pictures lie up to 24.0 s apart"
        );
        assert!(refused(&[30, 180]).contains("first picture"));
        let with = |change: fn(&mut Probe, &mut Ladder)| {
            let (mut probe, mut ladder) = (probe(), ladder());
            probe.web.entries = (0..60).map(|n| n * 30).collect();
            probe.web.kbps = 14_000;
            assert!(cuts(&ladder, &probe, &top(5000)).is_ok());
            change(&mut probe, &mut ladder);
            cuts(&ladder, &probe, &top(5000)).unwrap_err()
        };
        assert_eq!(with(|_, ladder| ladder.keep_top = KeepTop::Never), "");
        assert_eq!(with(|probe, _| probe.video.codec = "hevc".to_owned()), "");
        let sentence = with(|probe, _| probe.web.kbps = 20_001);
        assert_eq!(sentence, "it has 20001 kbit/s, more than 20000");
        let sentence = with(|probe, _| probe.video.coded.width = 1440);
        assert!(sentence.contains("1440x1080"), "{sentence}");
        let sentence = with(|probe, _| probe.web.refused = Some("so".to_owned()));
        assert_eq!(sentence, "so");
        assert!(!with(|probe, _| probe.video.random_access = false).is_empty());
    }
}
