//! Pure: subclips: how one is rendered, and a source's own clock, by which its points are written.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::media::{FrameRange, FrameRate};
use crate::probe::Probe;
use crate::timecode::{self, Counting, Timecode};

/// How a subclip becomes a file. Append only.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[repr(u8)]
pub enum Mode {
    /// Whole groups of pictures are copied, what the cut breaks is encoded again.
    #[default]
    Smart = 0,
    /// Nothing is encoded: an edit list hides what comes before the in point.
    Instant = 1,
    /// Everything is encoded again.
    Encode = 2,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Smart, Self::Instant, Self::Encode];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smart => "smart",
            Self::Instant => "instant",
            Self::Encode => "encode",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The clock of one source: from its frames, counted from zero, to its timecode and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    rate: FrameRate,
    start: Timecode,
}

/// Why a text is no point on a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    #[error(transparent)]
    Timecode(#[from] timecode::Error),
    #[error("the source counts without drop-frame, so its timecodes are written HH:MM:SS:FF")]
    NotDropFrame,
}

impl Clock {
    /// The clock of a source. One without a timecode counts from 00:00:00:00.
    ///
    /// `None` if the rate is too high for timecodes.
    pub fn of(probe: &Probe) -> Option<Self> {
        let rate = probe.video.frame_rate;
        let told = probe.timecode.as_ref();
        let told = told.and_then(|told| Timecode::parse(&told.text, rate).ok());
        let start = match told {
            Some(start) => start,
            None => Timecode::from_frame(0, Counting::new(rate, false)?),
        };
        Some(Self { rate, start })
    }

    /// The clock of pictures at `rate` that begin at the timecode `start`.
    ///
    /// # Errors
    /// `start` is no timecode at this rate.
    pub fn starting(rate: FrameRate, start: &str) -> Result<Self, timecode::Error> {
        let start = Timecode::parse(start, rate)?;
        Ok(Self { rate, start })
    }

    pub const fn start(&self) -> Timecode {
        self.start
    }

    pub const fn rate(&self) -> FrameRate {
        self.rate
    }

    /// The timecode of `frame`, over midnight if need be.
    pub fn at(&self, frame: u64) -> Timecode {
        self.start.plus(frame)
    }

    /// The frame at the timecode `text`, at most 24 hours after the start.
    ///
    /// `:` before the frames will do for a drop-frame source as well: there is only one clock.
    ///
    /// # Errors
    /// The text is no timecode of this clock.
    pub fn frame_of(&self, text: &str) -> Result<u64, PointError> {
        let counting = self.start.counting();
        let drop_frame = counting.is_drop_frame();
        let mark = text.rfind([':', ';', '.', ',']);
        let mark = mark.ok_or(timecode::Error::Shape)?;
        if !drop_frame && !text[mark..].starts_with(':') {
            return Err(PointError::NotDropFrame);
        }
        let own = if drop_frame { ";" } else { ":" };
        let text = format!("{}{own}{}", &text[..mark], &text[mark + 1..]);
        let point = Timecode::parse(&text, self.rate)?;
        let day = counting.frames_in_day();
        let frames = (u64::from(point.frame()) + u64::from(day)) - u64::from(self.start.frame());
        Ok(frames % u64::from(day))
    }
}

impl FrameRange {
    /// Whether the range has frames and all of them are among the first `frames`.
    pub const fn is_within(self, frames: u64) -> bool {
        !self.is_empty() && self.end <= frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(num: u32, den: u32, start: &str) -> Clock {
        Clock::starting(FrameRate::new(num, den).unwrap(), start).unwrap()
    }

    #[test]
    fn points_come_back_at_every_rate_and_over_midnight() {
        for (num, den, mark) in [
            (24000, 1001, ':'),
            (24, 1, ':'),
            (25, 1, ':'),
            (30000, 1001, ':'),
            (30000, 1001, ';'),
            (30, 1, ':'),
            (50, 1, ':'),
            (60000, 1001, ';'),
            (60, 1, ':'),
        ] {
            let clock = clock(num, den, &format!("23:59:58{mark}00"));
            for frame in [0, 1, 47, 48, 59, 119, 120, 121, 10_000, 1_000_000] {
                let text = clock.at(frame).to_string();
                assert_eq!(clock.frame_of(&text), Ok(frame), "{text} at {num}/{den}");
            }
        }
    }

    #[test]
    fn a_colon_will_do_for_drop_frame_but_not_the_other_way_round() {
        let drop = clock(30000, 1001, "01:00:00;00");
        assert_eq!(drop.frame_of("01:01:00:02"), Ok(1800));
        assert_eq!(
            drop.frame_of("01:01:00:01"),
            Err(timecode::Error::Dropped.into())
        );
        let whole = clock(25, 1, "00:00:00:00");
        assert_eq!(whole.frame_of("00:00:01;00"), Err(PointError::NotDropFrame));
        for bad in ["", "1", "00:00:00", "é:;é", "00:00:00:25"] {
            assert!(whole.frame_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_range_is_within_if_it_has_frames_and_ends_in_time() {
        let range = |start, end| FrameRange { start, end };
        assert!(range(0, 10).is_within(10));
        assert!(range(9, 10).is_within(10));
        assert!(!range(9, 11).is_within(10));
        assert!(!range(5, 5).is_within(10));
        assert!(!range(6, 5).is_within(10));
    }
}
