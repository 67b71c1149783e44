//! Pure: which ways of making a file of a subclip are offered for a source, and how its pictures
//! are encoded.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::clip::Mode;
use protocol::media::{FrameRange, Rendition};
use protocol::probe::Probe;
use protocol::worker::{Encoder, LadderTask};

use super::Error;

/// Whether a subclip of such a source can be made into a file by `mode`.
///
/// # Errors
/// It cannot, and why.
pub fn offered(mode: Mode, probe: &Probe) -> Result<(), Error> {
    let reason = match mode {
        _ if !matches!(probe.container.as_str(), "mp4" | "mov") => {
            "files of subclips are made of MP4 and MOV files only"
        }
        Mode::Smart | Mode::Encode if probe.video.hdr => {
            "encoding would lose the high dynamic range; choose the mode `instant`"
        }
        Mode::Instant | Mode::Smart | Mode::Encode => return Ok(()),
    };
    Err(Error::Mode { reason })
}

/// How the pictures of a subclip of `frames` are encoded once they are cut out: upright at the
/// source's size, at no less than its bit rate.
///
/// # Errors
/// The pictures cannot be decoded, or nothing encodes them.
pub fn encode(
    probe: &Probe,
    size_bytes: u64,
    frames: FrameRange,
    threads: u16,
    encoder: Encoder,
) -> Result<LadderTask, Error> {
    let rate = probe.video.frame_rate;
    let gop_frames = u32::try_from(rate.frames_in_ms(GOP_MS)).unwrap_or(u32::MAX);
    let renditions = vec![Rendition {
        name: "clip".to_owned(),
        resolution: probe.video.display.even(),
        video_kbps: bit_rate(probe, size_bytes),
    }];
    let mut cut = probe.clone();
    cut.video.frames = frames.len();
    cut.video.duration_ns = rate.frame_to_ns(frames.len());
    let extent = super::ladder::Extent::Whole;
    let pipeline =
        super::ladder::describe(&cut, &renditions, gop_frames, threads, encoder, extent)?;
    Ok(LadderTask {
        probe: cut,
        frames: FrameRange {
            start: 0,
            end: frames.len(),
        },
        renditions,
        kept: None,
        cuts: Vec::new(),
        first_segment: 0,
        gop_frames,
        segment_frames: gop_frames,
        threads,
        pipeline,
        cells: None,
    })
}

/// Distance of key pictures: short, since somebody will step through it.
const GOP_MS: u64 = 1000;
/// Bits of a picture's hundred pixels, at least, and kbit/s at most.
const BITS_PER_HUNDRED_PIXELS: u128 = 12;
const KBPS_MAX: u128 = 60_000;

/// That of the source, sound and all, in kbit/s, within what H.264 makes good use of.
fn bit_rate(probe: &Probe, size_bytes: u64) -> u32 {
    let video = &probe.video;
    let duration_ns = u128::from(video.duration_ns.max(1));
    let source = u128::from(size_bytes) * 8 * 1_000_000 / duration_ns;
    let size = video.display;
    let pixels = u128::from(size.width) * u128::from(size.height);
    let rate = video.frame_rate;
    let pixels = pixels * u128::from(rate.num()) / u128::from(rate.den());
    let least = pixels * BITS_PER_HUNDRED_PIXELS / 100 / 1000;
    let kbps = source.max(least).clamp(300, KBPS_MAX);
    u32::try_from(kbps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::media::{FrameRate, Resolution};

    use super::super::ladder::tests::probe;
    use super::*;

    #[test]
    fn bit_rates_follow_the_source_within_reason() {
        let check = |size_bytes: u64, (width, height): (u32, u32), kbps: u32| {
            let mut probe = probe();
            probe.video.display = Resolution { width, height };
            probe.video.frame_rate = FrameRate::new(25, 1).unwrap();
            probe.video.duration_ns = 10_000_000_000;
            assert_eq!(bit_rate(&probe, size_bytes), kbps);
        };
        check(25_000_000, (1920, 1080), 20_000);
        check(1000, (1920, 1080), 6220);
        check(u64::MAX, (1920, 1080), 60_000);
        check(1, (2, 2), 300);
    }

    #[test]
    fn only_what_works_is_offered() {
        let mut probe = probe();
        for mode in Mode::ALL {
            assert_eq!(offered(mode, &probe), Ok(()));
        }
        probe.video.hdr = true;
        assert_eq!(offered(Mode::Instant, &probe), Ok(()));
        assert!(offered(Mode::Encode, &probe).is_err());
        probe.container = "mkv".to_owned();
        assert!(offered(Mode::Instant, &probe).is_err());
    }
}
