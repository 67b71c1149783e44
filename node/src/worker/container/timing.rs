//! Pure: from the time stamps of shown pictures to a frame rate, in whole numbers throughout.

use protocol::media::FrameRate;

/// How pictures follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub frame_rate: FrameRate,
    /// No constant rate explains the time stamps.
    pub variable: bool,
    /// From the start of the first picture to the end of the last.
    pub duration_ns: u64,
}

/// Rates that cameras, editors and broadcasters use.
const COMMON: [(u32, u32); 26] = [
    (24000, 1001),
    (24, 1),
    (25, 1),
    (30000, 1001),
    (30, 1),
    (48000, 1001),
    (48, 1),
    (50, 1),
    (60000, 1001),
    (60, 1),
    (100, 1),
    (120_000, 1001),
    (120, 1),
    (200, 1),
    (240_000, 1001),
    (240, 1),
    (1, 1),
    (2, 1),
    (5, 1),
    (8, 1),
    (10, 1),
    (12, 1),
    (25, 2),
    (15000, 1001),
    (15, 1),
    (20, 1),
];

impl Timing {
    /// `starts` rise, in ticks of which `timescale` make a second; `end` is where the last picture ends.
    /// `declared` is what the file claims; it is believed only if the time stamps bear it out.
    /// `None` without a picture.
    pub fn of(
        starts: &[i64],
        end: i64,
        timescale: u32,
        declared: Option<FrameRate>,
    ) -> Option<Self> {
        let (first, last) = (*starts.first()?, *starts.last()?);
        let timescale = timescale.max(1);
        let grid = Grid { starts, timescale };
        let length = u64::try_from(end.saturating_sub(first)).unwrap_or(0);
        let gaps = u64::try_from(starts.len() - 1).ok()?;
        let span = u64::try_from(last.saturating_sub(first)).unwrap_or(0);
        let mean = if gaps > 0 {
            fraction(u128::from(gaps) * u128::from(timescale), u128::from(span))
        } else {
            fraction(u128::from(timescale), u128::from(length))
        };
        let common = || {
            COMMON
                .iter()
                .filter_map(|(num, den)| FrameRate::new(*num, *den))
        };

        let constant = declared
            .filter(|rate| grid.fits(*rate) && (gaps > 0 || mean.is_none_or(|m| m == *rate)))
            .or_else(|| {
                common()
                    .filter(|rate| grid.fits(*rate))
                    .min_by_key(|rate| grid.end_error(*rate, gaps.max(1), span_or(span, length)))
                    .filter(|rate| gaps > 0 || grid.near(*rate, length))
            })
            .or_else(|| mean.filter(|rate| grid.fits(*rate)));
        if let Some(frame_rate) = constant {
            return Some(Self {
                frame_rate,
                variable: false,
                duration_ns: frame_rate.frame_to_ns(starts.len() as u64),
            });
        }
        // The neighbour among the common rates, unless none is within 4 %.
        let mean = mean.or(declared).or_else(|| FrameRate::new(25, 1))?;
        let frame_rate = common()
            .min_by_key(|rate| distance(*rate, mean))
            .filter(|rate| distance(*rate, mean) <= 40_000)
            .unwrap_or(mean);
        let duration_ns = u128::from(length) * 1_000_000_000 / u128::from(timescale);
        Some(Self {
            frame_rate,
            variable: gaps > 0,
            duration_ns: u64::try_from(duration_ns).unwrap_or(u64::MAX),
        })
    }
}

const fn span_or(span: u64, length: u64) -> u64 {
    if span == 0 { length } else { span }
}

/// Time stamps laid beside the even grid of a rate.
struct Grid<'a> {
    starts: &'a [i64],
    timescale: u32,
}

impl Grid<'_> {
    /// Whether every picture starts within an eighth of a frame of its place, or within two ticks
    /// where ticks are coarse. Cameras jitter that much; nobody sees it, and counting frames by
    /// time stays safe, for that allows half a frame.
    fn fits(&self, rate: FrameRate) -> bool {
        let Some(first) = self.starts.first() else {
            return false;
        };
        // All times multiplied by `num`, so that a frame is a whole number.
        let num = i128::from(rate.num());
        let frame = i128::from(self.timescale) * i128::from(rate.den());
        let allowed = (frame / 8).max(2 * num).min((frame - 1) / 2);
        let mut place = 0;
        self.starts.iter().all(|start| {
            let at = (i128::from(*start) - i128::from(*first)) * num;
            let off = (at - place).abs();
            place += frame;
            off <= allowed
        })
    }

    /// How far `gaps` frames end beside `span`, in billionths of a second.
    fn end_error(&self, rate: FrameRate, gaps: u64, span: u64) -> u128 {
        let ideal =
            u128::from(gaps) * u128::from(rate.den()) * 1_000_000_000 / u128::from(rate.num());
        let real = u128::from(span) * 1_000_000_000 / u128::from(self.timescale);
        ideal.abs_diff(real)
    }

    /// Whether one frame lasts `length`, give or take two ticks.
    fn near(&self, rate: FrameRate, length: u64) -> bool {
        let tick = 1_000_000_000 / u128::from(self.timescale);
        self.end_error(rate, 1, length) <= 2 * tick.max(1)
    }
}

/// `num / den` with both parts small enough for every tool downstream.
fn fraction(num: u128, den: u128) -> Option<FrameRate> {
    const LARGEST: u128 = 1_000_000;
    if num == 0 || den == 0 {
        return None;
    }
    // Continued fraction: each step is the best approximation with parts of its size.
    let (mut p0, mut q0, mut p1, mut q1) = (0_u128, 1_u128, 1_u128, 0_u128);
    let (mut n, mut d) = (num, den);
    while d != 0 {
        let whole = n / d;
        let (p2, q2) = (
            whole.saturating_mul(p1).saturating_add(p0),
            whole.saturating_mul(q1).saturating_add(q0),
        );
        if p2 > LARGEST || q2 > LARGEST {
            break;
        }
        (p0, q0, p1, q1) = (p1, q1, p2, q2);
        (n, d) = (d, n % d);
    }
    FrameRate::new(u32::try_from(p1).ok()?, u32::try_from(q1).ok()?)
}

/// Distance of two rates in millionths of the second.
fn distance(a: FrameRate, b: FrameRate) -> u128 {
    let left = u128::from(a.num()) * u128::from(b.den());
    let right = u128::from(b.num()) * u128::from(a.den());
    left.abs_diff(right) * 1_000_000 / right.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(num: u32, den: u32) -> FrameRate {
        FrameRate::new(num, den).expect("not zero")
    }

    /// Stamps of `count` frames at `rate`, cut down to whole ticks.
    fn stamps(rate: FrameRate, count: u32, timescale: u32) -> Vec<i64> {
        (0..=i64::from(count))
            .map(|n| n * i64::from(timescale) * i64::from(rate.den()) / i64::from(rate.num()))
            .collect()
    }

    fn check(starts: &[i64], end: i64, timescale: u32, expect: (FrameRate, bool)) {
        let timing = Timing::of(starts, end, timescale, None).expect("there are pictures");
        assert_eq!((timing.frame_rate, timing.variable), expect);
    }

    #[test]
    fn every_common_rate_is_found_in_milliseconds_and_in_exact_ticks() {
        for (num, den) in COMMON {
            let rate = rate(num, den);
            for timescale in [1000, 90_000, num] {
                if u64::from(timescale) * u64::from(den) < 4 * u64::from(num) && timescale != num {
                    continue;
                }
                let mut starts = stamps(rate, 400, timescale);
                let end = starts.pop().expect("one too many was made");
                check(&starts, end, timescale, (rate, false));
            }
        }
    }

    #[test]
    fn an_odd_but_even_rate_stays_exact() {
        let starts: Vec<i64> = (0..100).map(|n| n * 37).collect();
        check(&starts, 3700, 1000, (rate(1000, 37), false));
    }

    #[test]
    fn a_pause_makes_the_rate_variable() {
        let starts: Vec<i64> = (0..60)
            .map(|n| n * 40 + if n > 30 { 400 } else { 0 })
            .collect();
        let timing = Timing::of(&starts, 2800, 1000, Some(rate(25, 1))).expect("pictures");
        assert!(timing.variable);
        assert_eq!(timing.duration_ns, 2_800_000_000);
    }

    #[test]
    fn the_declared_rate_decides_where_the_stamps_leave_it_open() {
        let starts: Vec<i64> = (0..5).map(|n| n * 1001 / 30).collect();
        let declared = Some(rate(30000, 1001));
        let timing = Timing::of(&starts, 167, 1000, declared).expect("pictures");
        assert_eq!(
            (Some(timing.frame_rate), timing.variable),
            (declared, false)
        );
        let wrong = Timing::of(&starts, 167, 1000, Some(rate(50, 1))).expect("pictures");
        assert_eq!(wrong.frame_rate.num().div_ceil(wrong.frame_rate.den()), 30);
    }

    #[test]
    fn one_picture_and_none() {
        check(&[7], 47, 1000, (rate(25, 1), false));
        assert_eq!(Timing::of(&[], 0, 1000, None), None);
        assert!(Timing::of(&[0, 0, 0], 0, 1000, None).is_some());
        assert!(Timing::of(&[i64::MIN, 0, i64::MAX], i64::MAX, u32::MAX, None).is_some());
    }
}
