//! Pure: what a picture stream is made of, and what a ladder asks for.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Frames per second as a fraction in lowest terms, such as 30000/1001. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(try_from = "RawFrameRate", into = "RawFrameRate")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FrameRate {
    num: u32,
    den: u32,
}

#[derive(Serialize, Deserialize)]
struct RawFrameRate {
    num: u32,
    den: u32,
}

impl TryFrom<RawFrameRate> for FrameRate {
    type Error = &'static str;

    fn try_from(raw: RawFrameRate) -> Result<Self, Self::Error> {
        Self::new(raw.num, raw.den).ok_or("a frame rate has no zero in it")
    }
}

impl From<FrameRate> for RawFrameRate {
    fn from(rate: FrameRate) -> Self {
        Self {
            num: rate.num,
            den: rate.den,
        }
    }
}

impl FrameRate {
    /// `num / den` frames per second, reduced; `None` if either is zero.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Some(Self {
            num: num / a,
            den: den / a,
        })
    }

    pub const fn num(self) -> u32 {
        self.num
    }

    pub const fn den(self) -> u32 {
        self.den
    }

    /// The start of frame `frame` in nanoseconds, rounded to the nearest.
    pub fn frame_to_ns(self, frame: u64) -> u64 {
        let ns = (u128::from(frame) * 1_000_000_000 * u128::from(self.den)
            + u128::from(self.num) / 2)
            / u128::from(self.num);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The frame whose start is nearest to `ns` nanoseconds.
    pub fn ns_to_frame(self, ns: u64) -> u64 {
        let den = u128::from(self.den) * 1_000_000_000;
        let frame = (u128::from(ns) * u128::from(self.num) + den / 2) / den;
        u64::try_from(frame).unwrap_or(u64::MAX)
    }

    /// How many whole frames come nearest to `ms` milliseconds, at least one.
    pub fn frames_in_ms(self, ms: u64) -> u64 {
        self.ns_to_frame(ms.saturating_mul(1_000_000)).max(1)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

/// Width and height in pixels.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resolution {
    pub width: u32,
    pub height: u32,
}

impl Resolution {
    /// Both sides even, as 4:2:0 asks, and at least 2.
    #[must_use]
    pub const fn even(self) -> Self {
        const fn even(side: u32) -> u32 {
            if side < 2 { 2 } else { side & !1 }
        }
        Self {
            width: even(self.width),
            height: even(self.height),
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Frames `start..end` of a source, counted from its first; `end` is exclusive.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FrameRange {
    pub start: u64,
    pub end: u64,
}

impl FrameRange {
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Players stall on shorter segments: a tail that would be shorter belongs to the segment before it.
pub const SHORTEST_SEGMENT_MS: u64 = 500;

/// What a ladder asks for, before a source is known.
///
/// It travels with every generation, so that a node never renders by settings of its own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Ladder {
    /// Highest first. A rung above the source is left out; the source is never upscaled.
    pub rungs: Vec<Rung>,
    /// Length of a segment in milliseconds; rounded to whole GOPs.
    pub segment_ms: u32,
    /// Longest distance between two IDR pictures in milliseconds; rounded to whole frames.
    pub gop_ms: u32,
    /// AAC bit rate in kbit/s for a stereo track.
    pub audio_kbps: u32,
    /// Whether the top rung may be the source's own pictures.
    pub keep_top: KeepTop,
}

/// What becomes of a source whose pictures are fit for the web as they are. Append only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum KeepTop {
    /// They are the top rendition, not encoded again.
    Auto = 0,
    /// Every rendition is encoded.
    #[default]
    Never = 1,
}

/// One step of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Rung {
    /// Height of an upright 16:9 picture in lines; other shapes are fitted into that box.
    pub height: u32,
    /// Average video bit rate in kbit/s that the encoder aims at, at 30 frames a second or fewer.
    pub video_kbps: u32,
}

impl Default for Ladder {
    fn default() -> Self {
        let rung = |height, video_kbps| Rung { height, video_kbps };
        Self {
            rungs: vec![rung(1080, 5000), rung(720, 2800), rung(360, 800)],
            segment_ms: 6000,
            gop_ms: 2000,
            audio_kbps: 128,
            keep_top: KeepTop::Never,
        }
    }
}

/// One rendition of one video: a rung with the source's shape applied.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rendition {
    /// Such as `1080p`; also its folder in the origin, so `[a-z0-9]+` only.
    pub name: String,
    /// Upright, square pixels, both sides even.
    pub resolution: Resolution,
    /// Average video bit rate in kbit/s that the encoder aims at.
    pub video_kbps: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_reduced_and_never_zero() {
        let rate = FrameRate::new(60000, 2002);
        assert_eq!(rate.map(|r| (r.num(), r.den())), Some((30000, 1001)));
        assert_eq!(FrameRate::new(25, 0), None);
        assert_eq!(FrameRate::new(0, 1), None);
        assert!(serde_json::from_str::<FrameRate>(r#"{"num":0,"den":1}"#).is_err());
    }

    #[test]
    fn frames_and_nanoseconds_agree_for_a_day_at_every_rate() {
        for (num, den) in [
            (24000, 1001),
            (24, 1),
            (25, 1),
            (30000, 1001),
            (50, 1),
            (60000, 1001),
        ] {
            let rate = FrameRate::new(num, den).expect("not zero");
            for frame in [0, 1, 2, 1799, 1800, 86_399 * 24, 86_400 * 60] {
                assert_eq!(rate.ns_to_frame(rate.frame_to_ns(frame)), frame);
            }
        }
    }
}
