//! Pure: at which frames GOPs and segments begin.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::sync::Arc;

/// A regular grid over a track, in any unit that starts at 0 with the first frame: frames,
/// nanoseconds, samples; or segments that begin where the source allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cadence {
    gop: u64,
    segment: u64,
    last_segment: u64,
    cuts: Option<Cuts>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cuts {
    /// Where segments begin, in order.
    starts: Arc<[u64]>,
    /// Where the last ends.
    end: u64,
    /// The number of the first.
    number: u64,
}

/// GOPs of one segment at most; it keeps their numbers apart.
const GOPS_MAX: u64 = 1 << 24;

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
            cuts: None,
        }
    }

    /// Segments that begin at `starts`, the first of them with that `number`, up to `end`; a GOP
    /// every `gop` units of each.
    pub fn cut(starts: &[u64], end: u64, number: u64, gop: u64) -> Self {
        Self {
            gop: gop.max(1),
            segment: u64::MAX,
            last_segment: u64::MAX,
            cuts: Some(Cuts {
                starts: starts.into(),
                end,
                number,
            }),
        }
    }

    /// The GOP that the unit `at` lies in.
    pub fn gop(&self, at: u64) -> u64 {
        let Some(cuts) = &self.cuts else {
            return at / self.gop;
        };
        let (index, start, end) = cuts.around(at);
        // A tail that is no whole GOP belongs to the one before: see `graph::ladder` for what
        // happens to key pictures that are nearer to each other.
        let most = ((end - start) / self.gop).clamp(1, GOPS_MAX) - 1;
        index * GOPS_MAX + ((at - start) / self.gop).min(most)
    }

    /// The segment that the unit `at` lies in.
    pub fn segment(&self, at: u64) -> u64 {
        match &self.cuts {
            None => (at / self.segment).min(self.last_segment),
            Some(cuts) => cuts.number + cuts.around(at).0,
        }
    }
}

impl Cuts {
    /// The segment that `at` lies in: its position, its start and its end.
    fn around(&self, at: u64) -> (u64, u64, u64) {
        let next = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(next - 1).copied().unwrap_or(0).min(at);
        let end = self.starts.get(next).copied().unwrap_or(self.end);
        (next as u64 - 1, start, end.max(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_begin_segments_and_gops() {
        let cadence = Cadence::cut(&[100, 230, 300], 420, 7, 50);
        let segments = [100, 229, 230, 299, 300, 419].map(|at| cadence.segment(at));
        assert_eq!(segments, [7, 7, 8, 8, 9, 9]);
        let mut gops = vec![100];
        for at in 101..420 {
            if cadence.gop(at) != cadence.gop(at - 1) {
                gops.push(at);
            }
        }
        assert_eq!(gops, [100, 150, 230, 300, 350]);
    }

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
