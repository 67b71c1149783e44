//! Pure: SMPTE timecode (ST 12-1): parse, print, drop-frame, to and from frame numbers.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::fmt;

use crate::media::FrameRate;

/// How frames are counted: the nominal frames of a second, and whether numbers are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counting {
    per_second: u32,
    drop_frame: bool,
}

/// A position on a 24 hour clock, in hours, minutes, seconds and frames. Always one that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timecode {
    frame: u32,
    counting: Counting,
}

/// Why a text is no timecode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a timecode is written HH:MM:SS:FF, or HH:MM:SS;FF with drop-frame counting")]
    Shape,
    #[error("hours end at 23, minutes and seconds at 59, frames below the frame rate")]
    Range,
    #[error("drop-frame counting leaves this number out")]
    Dropped,
    #[error("drop-frame counting needs 30000/1001 or 60000/1001 frames a second")]
    NotDroppable,
}

impl Counting {
    /// Counting for pictures at `rate`. A rate such as 24000/1001 counts as its whole neighbour, 24.
    ///
    /// `None` if the rate is above 999 frames a second, or if `drop_frame` is asked for at a rate
    /// other than 30000/1001 and 60000/1001 (ST 12-1, 5.2.2 defines it for these alone).
    pub fn new(rate: FrameRate, drop_frame: bool) -> Option<Self> {
        let per_second = rate.num().div_ceil(rate.den());
        if per_second > 999 || (drop_frame && !Self::can_drop(rate)) {
            return None;
        }
        Some(Self {
            per_second,
            drop_frame,
        })
    }

    /// Whether drop-frame counting is defined for `rate`.
    pub fn can_drop(rate: FrameRate) -> bool {
        matches!((rate.num(), rate.den()), (30000 | 60000, 1001))
    }

    /// Nominal frames of a second: 30 for 30000/1001.
    pub const fn per_second(self) -> u32 {
        self.per_second
    }

    pub const fn is_drop_frame(self) -> bool {
        self.drop_frame
    }

    /// Frames of 24 hours on the clock; after that many it starts again.
    pub const fn frames_in_day(self) -> u32 {
        144 * self.frames_in_ten_minutes()
    }

    /// Numbers left out at the start of a minute: 2 at 29.97, 4 at 59.94.
    const fn dropped_per_minute(self) -> u32 {
        if self.drop_frame {
            self.per_second / 15
        } else {
            0
        }
    }

    /// Nine of ten minutes drop numbers.
    const fn frames_in_ten_minutes(self) -> u32 {
        600 * self.per_second - 9 * self.dropped_per_minute()
    }
}

impl Timecode {
    /// The timecode of frame `frame` after midnight; past 24 hours it starts again.
    pub fn from_frame(frame: u64, counting: Counting) -> Self {
        let frame = frame % u64::from(counting.frames_in_day());
        Self {
            frame: u32::try_from(frame).expect("a day has fewer than 2^32 frames"),
            counting,
        }
    }

    /// The timecode with these fields.
    pub fn from_fields(
        hours: u32,
        minutes: u32,
        seconds: u32,
        frames: u32,
        counting: Counting,
    ) -> Result<Self, Error> {
        if hours > 23 || minutes > 59 || seconds > 59 || frames >= counting.per_second {
            return Err(Error::Range);
        }
        let dropped = counting.dropped_per_minute();
        if seconds == 0 && !minutes.is_multiple_of(10) && frames < dropped {
            return Err(Error::Dropped);
        }
        let minute = hours * 60 + minutes;
        let number = (minute * 60 + seconds) * counting.per_second + frames;
        Ok(Self {
            frame: number - dropped * (minute - minute / 10),
            counting,
        })
    }

    /// Reads `HH:MM:SS:FF` or `HH:MM:SS;FF`.
    ///
    /// The mark before the frames decides about drop-frame counting: `;`, `.` and `,` ask for it.
    pub fn parse(text: &str, rate: FrameRate) -> Result<Self, Error> {
        let (rest, frames) = text.rsplit_once([':', ';', '.', ',']).ok_or(Error::Shape)?;
        let drop_frame = !text[rest.len()..].starts_with(':');
        let mut parts = rest.split([':', ';']);
        let mut field = || number(parts.next().unwrap_or_default());
        let (hours, minutes, seconds) = (field()?, field()?, field()?);
        if parts.next().is_some() {
            return Err(Error::Shape);
        }
        let counting = Counting::new(rate, drop_frame).ok_or(Error::NotDroppable)?;
        Self::from_fields(hours, minutes, seconds, number(frames)?, counting)
    }

    /// Frames since midnight, without gaps: what drop-frame counting leaves out is not counted.
    pub const fn frame(self) -> u32 {
        self.frame
    }

    pub const fn counting(self) -> Counting {
        self.counting
    }

    /// `(hours, minutes, seconds, frames)` as printed.
    pub const fn fields(self) -> (u32, u32, u32, u32) {
        let Counting { per_second, .. } = self.counting;
        let dropped = self.counting.dropped_per_minute();
        let tens = self.frame / self.counting.frames_in_ten_minutes();
        let rest = self.frame % self.counting.frames_in_ten_minutes();
        // The first of ten minutes is full; each later one is shorter by the dropped numbers.
        let full = 60 * per_second;
        let minute = if rest < full {
            0
        } else {
            1 + (rest - full) / (full - dropped)
        };
        let number = self.frame + dropped * (9 * tens + minute);
        let seconds = number / per_second;
        (
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            number % per_second,
        )
    }

    /// The timecode `frames` later, over midnight if need be.
    #[must_use]
    pub fn plus(self, frames: u64) -> Self {
        let day = u64::from(self.counting.frames_in_day());
        Self::from_frame(u64::from(self.frame) + frames % day, self.counting)
    }
}

impl fmt::Display for Timecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds, frames) = self.fields();
        let mark = if self.counting.drop_frame { ';' } else { ':' };
        let width = if self.counting.per_second > 100 { 3 } else { 2 };
        write!(
            f,
            "{hours:02}:{minutes:02}:{seconds:02}{mark}{frames:0width$}"
        )
    }
}

fn number(digits: &str) -> Result<u32, Error> {
    if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Shape);
    }
    digits.parse().map_err(|_| Error::Shape)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(num: u32, den: u32) -> FrameRate {
        FrameRate::new(num, den).expect("not zero")
    }

    fn countings() -> Vec<(FrameRate, Counting)> {
        [
            (24000, 1001, false),
            (24, 1, false),
            (25, 1, false),
            (30000, 1001, false),
            (30000, 1001, true),
            (30, 1, false),
            (50, 1, false),
            (60000, 1001, false),
            (60000, 1001, true),
            (60, 1, false),
        ]
        .into_iter()
        .map(|(num, den, drop)| {
            let rate = rate(num, den);
            (rate, Counting::new(rate, drop).expect("defined"))
        })
        .collect()
    }

    fn check(text: &str, rate: FrameRate, frame: u32) {
        let timecode = Timecode::parse(text, rate).expect("a timecode");
        assert_eq!(timecode.frame(), frame, "{text}");
        assert_eq!(timecode.to_string(), text);
    }

    #[test]
    fn every_frame_of_a_day_round_trips() {
        for (_, counting) in countings() {
            for frame in 0..counting.frames_in_day() {
                let timecode = Timecode::from_frame(u64::from(frame), counting);
                let (hours, minutes, seconds, frames) = timecode.fields();
                let back = Timecode::from_fields(hours, minutes, seconds, frames, counting);
                assert_eq!(back, Ok(timecode), "{frame} at {counting:?}");
            }
        }
    }

    #[test]
    fn drop_frame_skips_two_numbers_but_not_in_every_tenth_minute() {
        let ntsc = rate(30000, 1001);
        check("00:00:59;29", ntsc, 1799);
        check("00:01:00;02", ntsc, 1800);
        check("00:09:59;29", ntsc, 17_981);
        check("00:10:00;00", ntsc, 17_982);
        check("01:00:00;00", ntsc, 107_892);
        check("01:00:00:00", ntsc, 108_000);
        check("23:59:59;29", ntsc, 2_589_407);
        assert_eq!(Timecode::parse("00:01:00;01", ntsc), Err(Error::Dropped));
        let fast = rate(60000, 1001);
        check("00:01:00;04", fast, 3600);
        check("01:00:00;00", fast, 215_784);
        assert_eq!(Timecode::parse("00:01:00;03", fast), Err(Error::Dropped));
    }

    #[test]
    fn midnight_starts_the_clock_again() {
        for (rate, text) in [
            (rate(25, 1), "23:59:58:00"),
            (rate(30000, 1001), "23:59:58;00"),
            (rate(60000, 1001), "23:59:58:00"),
        ] {
            let start = Timecode::parse(text, rate).expect("a timecode");
            let two_seconds = u64::from(start.counting().per_second()) * 2;
            let end = start.plus(two_seconds);
            assert_eq!(end.frame(), 0);
            assert_eq!(start.plus(two_seconds + 1).frame(), 1);
            assert!(end.to_string().starts_with("00:00:00"));
        }
    }

    #[test]
    fn texts_that_are_no_timecode_are_refused() {
        let pal = rate(25, 1);
        for (text, error) in [
            ("", Error::Shape),
            ("01:00:00", Error::Shape),
            ("1:2:3:4:5", Error::Shape),
            ("01:00:00:-1", Error::Shape),
            ("01:00:00:1234", Error::Shape),
            ("24:00:00:00", Error::Range),
            ("00:60:00:00", Error::Range),
            ("00:00:00:25", Error::Range),
            ("00:00:00;00", Error::NotDroppable),
        ] {
            assert_eq!(Timecode::parse(text, pal), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,16}") {
            for (rate, _) in countings() {
                let _any = Timecode::parse(&text, rate);
            }
        }

        #[test]
        fn printing_and_parsing_agree(frame in any::<u64>(), steps in any::<u64>()) {
            for (rate, counting) in countings() {
                let timecode = Timecode::from_frame(frame, counting);
                prop_assert_eq!(Timecode::parse(&timecode.to_string(), rate), Ok(timecode));
                let day = u64::from(counting.frames_in_day());
                let later = (u64::from(timecode.frame()) + steps % day) % day;
                prop_assert_eq!(u64::from(timecode.plus(steps).frame()), later);
            }
        }
    }
}
