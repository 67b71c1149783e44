//! Pure: which samples of an MP4 or MOV track have to be decoded to show a range of its frames.

use std::ops::Range;

use protocol::media::FrameRange;

use super::movie::{Error, Track};
use super::samples::{MAX_PICTURES, Presentation, Sample};

/// The samples of a track in both of their orders.
#[derive(Debug, Clone)]
pub struct Access {
    /// In order of decoding.
    samples: Vec<Sample>,
    /// Position of each sample in order of showing, hidden pictures included.
    ranks: Vec<u32>,
    /// Samples in order of showing.
    shown: Vec<u32>,
    /// The ranks that the edit list shows.
    run: Range<usize>,
}

/// Samples to decode, one after the other, for a range of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// In order of decoding, the first of them a sync sample.
    pub pictures: Vec<Picture>,
    /// Rank of the video's frame 0.
    pub origin: u64,
}

/// One sample to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    pub offset: u64,
    pub size: u32,
    pub sync: bool,
    /// Position in order of showing, among all pictures of the track.
    pub rank: u64,
}

impl Access {
    /// Reads the tables of `track`; `None` if its edit list shows it in several parts.
    ///
    /// # Errors
    /// The track has more pictures than are accepted.
    pub fn of(track: &Track<'_>, movie_timescale: u32) -> Result<Option<Self>, Error> {
        if track.samples.count() > MAX_PICTURES {
            return Err(Error::TooManyPictures);
        }
        let Some(run) = Presentation::of(track, movie_timescale)?.run else {
            return Ok(None);
        };
        let samples: Vec<Sample> = track.samples.iter().collect();
        let mut shown: Vec<u32> = (0..).take(samples.len()).collect();
        shown.sort_by_key(|index| at(&samples, *index).map(|sample| sample.time));
        let mut ranks = vec![0; samples.len()];
        for (rank, index) in (0..).zip(&shown) {
            if let Some(place) = ranks.get_mut(*index as usize) {
                *place = rank;
            }
        }
        Ok((run.end <= samples.len()).then_some(Self {
            samples,
            ranks,
            shown,
            run,
        }))
    }

    /// What to decode for `frames`, beginning `spare` sync samples earlier than need be, or at the
    /// first; `None` if no sync sample leads to them, or they are not there.
    pub fn span(&self, frames: FrameRange, spare: usize) -> Option<Span> {
        let rank = |frame: u64| self.run.start.checked_add(usize::try_from(frame).ok()?);
        let (from, to) = (rank(frames.start)?, rank(frames.end)?);
        if to > self.run.end {
            return None;
        }
        let wanted = self.shown.get(from..to)?;
        let (earliest, last) = (*wanted.iter().min()?, *wanted.iter().max()?);
        // A picture that follows a sync sample in both orders needs nothing from before it
        // (ISO/IEC 14496-12, 8.6.2); pictures that lead it in order of showing may.
        let mut entries = (0..=earliest).rev();
        let mut first = entries.find(|index| self.is_entry(*index, from))?;
        for _ in 0..spare {
            first = entries
                .find(|index| self.is_entry(*index, from))
                .unwrap_or(first);
        }
        let pictures = (first..=last)
            .map(|index| {
                let sample = at(&self.samples, index)?;
                Some(Picture {
                    offset: sample.offset,
                    size: sample.size,
                    sync: sample.sync,
                    rank: u64::from(*self.ranks.get(index as usize)?),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Span {
            pictures,
            origin: self.run.start as u64,
        })
    }

    /// The longest way from a sync sample to the next, in samples; the whole track if it has none
    /// but the first.
    pub fn longest_gop(&self) -> usize {
        let syncs = self.samples.iter().enumerate();
        let mut syncs = syncs.filter(|(_, sample)| sample.sync);
        let Some((mut before, _)) = syncs.next() else {
            return self.samples.len();
        };
        let mut longest = before;
        for (here, _) in syncs {
            longest = longest.max(here - before);
            before = here;
        }
        longest.max(self.samples.len() - before)
    }

    /// The sync samples that split the track in both of its orders: what lies before them is
    /// neither decoded nor shown after them. `None` if the edit list hides pictures.
    pub fn splits(&self) -> Option<Vec<Picture>> {
        if self.run != (0..self.samples.len()) {
            return None;
        }
        let mut splits = Vec::new();
        let mut latest = None;
        for (sample, (rank, place)) in self.samples.iter().zip(self.ranks.iter().zip(0_u32..)) {
            // As many pictures were decoded before it as are shown before it, and all of those are.
            if sample.sync && *rank == place && latest.is_none_or(|latest| latest < *rank) {
                splits.push(Picture {
                    offset: sample.offset,
                    size: sample.size,
                    sync: true,
                    rank: u64::from(*rank),
                });
            }
            latest = latest.max(Some(*rank));
        }
        Some(splits)
    }

    /// Bytes of all samples.
    pub fn bytes(&self) -> u64 {
        self.samples
            .iter()
            .map(|sample| u64::from(sample.size))
            .sum()
    }

    fn is_entry(&self, index: u32, from: usize) -> bool {
        let sync = at(&self.samples, index).is_some_and(|sample| sample.sync);
        let rank = self.ranks.get(index as usize);
        sync && rank.is_some_and(|rank| *rank as usize <= from)
    }
}

fn at(samples: &[Sample], index: u32) -> Option<&Sample> {
    samples.get(index as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples in order of decoding, as their times; sync samples are marked.
    fn access(times: &[(i64, bool)], run: Range<usize>) -> Access {
        let samples: Vec<Sample> = (0..)
            .zip(times)
            .map(|(index, (time, sync))| Sample {
                decode_time: index,
                time: *time,
                duration: 1,
                offset: 100 * index.unsigned_abs(),
                size: 10,
                sync: *sync,
            })
            .collect();
        let mut shown: Vec<u32> = (0..).take(samples.len()).collect();
        shown.sort_by_key(|index| samples[*index as usize].time);
        let mut ranks = vec![0; samples.len()];
        for (rank, index) in (0..).zip(&shown) {
            ranks[*index as usize] = rank;
        }
        Access {
            samples,
            ranks,
            shown,
            run,
        }
    }

    /// Ranks of what is decoded for frames `start..end`.
    #[track_caller]
    fn check(access: &Access, start: u64, end: u64, expected: Option<&[u64]>) {
        let span = access.span(FrameRange { start, end }, 0);
        let ranks = span.map(|span| {
            assert!(span.pictures[0].sync);
            span.pictures
                .iter()
                .map(|picture| picture.rank)
                .collect::<Vec<_>>()
        });
        assert_eq!(ranks.as_deref(), expected);
    }

    #[test]
    fn a_track_is_split_where_nothing_reaches_over() {
        let splits = |times: &[(i64, bool)], run| {
            let splits = access(times, run).splits()?;
            Some(splits.iter().map(|split| split.rank).collect::<Vec<_>>())
        };
        let closed = [0, 3, 1, 2, 4, 7, 5, 6].map(|time| (time, time % 4 == 0));
        assert_eq!(splits(&closed, 0..8), Some(vec![0, 4]));
        // The second key picture is led by two pictures that need what lies before it.
        let open = [0, 3, 1, 2, 6, 4, 5, 7].map(|time| (time, time % 6 == 0));
        assert_eq!(splits(&open, 0..8), Some(vec![0]));
        assert_eq!(splits(&closed, 1..8), None);
    }

    #[test]
    fn closed_groups_are_entered_at_their_own_key_picture() {
        // I P B B | I P B B
        let times = [0, 3, 1, 2, 4, 7, 5, 6].map(|time| (time, time % 4 == 0));
        let access = access(&times, 0..8);
        check(&access, 0, 2, Some(&[0, 3, 1]));
        check(&access, 2, 5, Some(&[0, 3, 1, 2, 4]));
        check(&access, 4, 8, Some(&[4, 7, 5, 6]));
        check(&access, 6, 9, None);
        check(&access, 3, 3, None);
        assert_eq!(access.longest_gop(), 4);
    }

    #[test]
    fn pictures_that_lead_a_key_picture_are_reached_from_the_one_before() {
        // I B B | I B B P, where the second group's B pictures are shown before its I.
        let times = [
            (2, true),
            (0, false),
            (1, false),
            (5, true),
            (3, false),
            (4, false),
            (6, false),
        ];
        let access = access(&times, 0..7);
        check(&access, 3, 5, Some(&[2, 0, 1, 5, 3, 4]));
        // The leading pictures are decoded, badly, and thrown away: they lie before the range.
        check(&access, 5, 7, Some(&[5, 3, 4, 6]));
        check(&access, 0, 1, None);
    }

    #[test]
    fn a_spare_group_is_decoded_ahead_where_there_is_one() {
        let times = [0, 1, 2, 3, 4, 5].map(|time| (time, time % 2 == 0));
        let access = access(&times, 0..6);
        let frames = FrameRange { start: 4, end: 5 };
        let first = |spare| access.span(frames, spare).map(|span| span.pictures[0].rank);
        assert_eq!(
            [0, 1, 2, 3].map(first),
            [Some(4), Some(2), Some(0), Some(0)]
        );
    }

    #[test]
    fn hidden_pictures_shift_the_frames() {
        let times = [0, 1, 2, 3, 4, 5].map(|time| (time, time % 3 == 0));
        let access = access(&times, 2..5);
        check(&access, 0, 1, Some(&[0, 1, 2]));
        check(&access, 1, 3, Some(&[3, 4]));
        check(&access, 2, 4, None);
        let span = access.span(FrameRange { start: 1, end: 2 }, 0);
        assert_eq!(span.map(|span| span.origin), Some(2));
    }
}
