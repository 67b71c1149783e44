//! Pure: which small pictures a video is scrubbed by, and the branch of a ladder that makes them.
//!
//! They are taken from the lowest rendition while it is encoded, so they cost next to nothing and
//! have whatever was done to its pictures: turned, deinterlaced, with square pixels.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::media::Resolution;
use protocol::probe::Probe;
use protocol::worker::{Cells, Pipeline};

/// The longer side of a small picture in pixels.
const LONG_SIDE: u32 = 192;
/// One picture a second is as close as a pointer can tell apart.
const EVERY_MS: u64 = 1000;
/// Pictures of one video at most; longer videos get fewer of them.
const CELLS_MAX: u64 = 1800;

/// The small pictures of `probe`.
pub fn plan(probe: &Probe) -> Cells {
    let video = &probe.video;
    let second = video.frame_rate.frames_in_ms(EVERY_MS);
    // Whole seconds, so that the grid stays easy to read.
    let every = second * video.frames.div_ceil(second * CELLS_MAX).max(1);
    Cells {
        every_frames: u32::try_from(every).unwrap_or(u32::MAX),
        size: fitted(video.display),
    }
}

/// The shape of `display` with a long side of [`LONG_SIDE`], never larger, both sides even.
fn fitted(display: Resolution) -> Resolution {
    let long = display.width.max(display.height).max(1);
    if long <= LONG_SIDE {
        return display.even();
    }
    let side = |side: u32| {
        let side =
            (u64::from(side) * u64::from(LONG_SIDE) + u64::from(long)) / (u64::from(long) * 2);
        u32::try_from(side * 2).unwrap_or(LONG_SIDE)
    };
    Resolution {
        width: side(display.width),
        height: side(display.height),
    }
    .even()
}

/// The branch from the last of `renditions` renditions to their sink, to be put behind a ladder.
///
/// JFIF knows one colour space: full range, BT.601.
pub fn branch(renditions: usize, cells: &Cells) -> String {
    format!(
        " tee{}. ! identity name={} silent=true ! queue max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! videoscale add-borders=false ! video/x-raw,width={},height={},pixel-aspect-ratio=1/1 ! videoconvert ! video/x-raw,format=I420,colorimetry=1:4:7:1 ! appsink name={} sync=false async=false max-buffers=4",
        renditions.saturating_sub(1),
        Pipeline::CELLS,
        cells.size.width,
        cells.size.height,
        Pipeline::sink(renditions),
    )
}

#[cfg(test)]
mod tests {
    use protocol::media::FrameRate;

    use super::super::ladder::tests::probe;
    use super::*;

    #[test]
    fn there_is_a_picture_a_second_up_to_a_bound() {
        let check = |rate: (u32, u32), frames: u64, every: u32| {
            let mut probe = probe();
            probe.video.frame_rate = FrameRate::new(rate.0, rate.1).unwrap();
            probe.video.frames = frames;
            let cells = plan(&probe);
            assert_eq!(cells.every_frames, every, "{rate:?} {frames}");
            assert!(frames.div_ceil(u64::from(every)) <= CELLS_MAX);
        };
        check((30_000, 1001), 1800, 30);
        check((25, 1), 25 * 1800, 25);
        check((25, 1), 25 * 1800 + 1, 50);
        check((24, 1), 24 * 7200, 96);
        check((1, 10), 3, 1);
    }

    #[test]
    fn they_have_the_shape_of_the_video() {
        let size = |width, height| Resolution { width, height };
        let check = |display, cell| assert_eq!(fitted(display), cell);
        check(size(1920, 1080), size(192, 108));
        check(size(1080, 1920), size(108, 192));
        check(size(1440, 1080), size(192, 144));
        check(size(100, 51), size(100, 50));
        check(size(u32::MAX, 1), size(192, 2));
    }
}
