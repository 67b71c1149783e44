//! Pure: at which frames GOPs and segments begin.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// A regular grid over a track, in any unit that starts at 0 with the first frame: frames,
/// nanoseconds, samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    gop: u64,
    segment: u64,
    last_segment: u64,
}

impl Cadence {
    /// A track of `total` units with a GOP every `gop` and a segment every `segment` units.
    /// A tail shorter than `shortest` belongs to the segment before it, because players stall on
    /// segments of a few frames.
    pub fn new(total: u64, gop: u64, segment: u64, shortest: u64) -> Self {
        let (gop, segment) = (gop.max(1), segment.max(1));
        let tail = total % segment;
        let full = total / segment;
        let last_segment = match tail {
            0 => full.saturating_sub(1),
            _ if tail < shortest && full > 0 => full - 1,
            _ => full,
        };
        Self {
            gop,
            segment,
            last_segment,
        }
    }

    /// The GOP that the unit `at` lies in.
    pub fn gop(&self, at: u64) -> u64 {
        at / self.gop
    }

    /// The segment that the unit `at` lies in.
    pub fn segment(&self, at: u64) -> u64 {
        (at / self.segment).min(self.last_segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_the_grid_and_a_short_tail_joins_the_one_before() {
        let long = Cadence::new(400, 50, 150, 13);
        assert_eq!([0, 149, 150, 399].map(|at| long.segment(at)), [0, 0, 1, 2]);
        let short = Cadence::new(310, 50, 150, 13);
        assert_eq!([299, 300, 309].map(|at| short.segment(at)), [1, 1, 1]);
        let exact = Cadence::new(300, 50, 150, 13);
        assert_eq!([299, 300].map(|at| exact.segment(at)), [1, 1]);
        let tiny = Cadence::new(3, 50, 150, 13);
        assert_eq!(tiny.segment(2), 0);
        assert_eq!([0, 49, 50].map(|at| tiny.gop(at)), [0, 0, 1]);
    }
}
