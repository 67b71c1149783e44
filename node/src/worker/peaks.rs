//! Pure: the outline of a sound track, for drawing it.
//!
//! Samples are sorted into buckets as they come; a bucket keeps the lowest and the highest of each
//! channel. How long the track will be is known beforehand, so that the finest level is bounded and
//! memory with it.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::manifest::PeakLevel;

/// The finest level has a bucket every five milliseconds, unless that makes more than
/// [`BUCKETS_MAX`]: then buckets double until it does not.
const FINEST_SAMPLES: u32 = 256;
const BUCKETS_MAX: u64 = 1 << 17;
/// From one level to the next.
const ZOOM: u32 = 8;
/// A level of fewer buckets than a narrow screen has columns is of no use.
const BUCKETS_MIN: usize = 256;

/// The lowest and the highest sample of one channel in one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    low: i8,
    high: i8,
}

/// Peaks while samples come in.
#[derive(Debug)]
pub struct Outline {
    channels: usize,
    sample_rate: u32,
    samples_per_bucket: u32,
    /// The open bucket of each channel.
    open: Vec<(f32, f32)>,
    /// Samples in the open bucket.
    filled: u32,
    /// Whole buckets, channels beside each other.
    finest: Vec<Extent>,
}

impl Outline {
    /// A track of `length` samples for each of `channels` channels.
    pub fn new(length: u64, channels: u16, sample_rate: u32) -> Self {
        let mut samples_per_bucket = FINEST_SAMPLES;
        while length.div_ceil(u64::from(samples_per_bucket)) > BUCKETS_MAX
            && samples_per_bucket < 1 << 30
        {
            samples_per_bucket *= 2;
        }
        let channels = usize::from(channels.max(1));
        Self {
            channels,
            sample_rate,
            samples_per_bucket,
            open: vec![EMPTY; channels],
            filled: 0,
            finest: Vec::new(),
        }
    }

    /// Takes interleaved samples, 1.0 being full scale.
    pub fn add(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.channels) {
            for (extent, &sample) in self.open.iter_mut().zip(frame) {
                *extent = (extent.0.min(sample), extent.1.max(sample));
            }
            self.filled += 1;
            if self.filled == self.samples_per_bucket {
                self.close();
            }
        }
    }

    /// Takes `count` samples of silence on every channel.
    pub fn add_silence(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            for extent in &mut self.open {
                *extent = (extent.0.min(0.0), extent.1.max(0.0));
            }
            let room = self.samples_per_bucket - self.filled;
            let taken = u32::try_from(left).unwrap_or(u32::MAX).min(room);
            self.filled += taken;
            left -= u64::from(taken);
            if self.filled == self.samples_per_bucket {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        for extent in &mut self.open {
            let (low, high) = std::mem::replace(extent, EMPTY);
            self.finest.push(Extent {
                low: eight_bits(low),
                high: eight_bits(high),
            });
        }
        self.filled = 0;
    }

    /// The file of all levels, coarsest first, and where each begins.
    pub fn finish(mut self) -> (Vec<u8>, Vec<PeakLevel>) {
        if self.filled > 0 {
            self.close();
        }
        let mut levels = vec![(self.samples_per_bucket, self.finest)];
        while let Some((samples, finer)) = levels.last()
            && finer.len() / self.channels > BUCKETS_MIN * ZOOM as usize
            && let Some(samples) = samples.checked_mul(ZOOM)
        {
            let coarser = coarser(finer, self.channels);
            levels.push((samples, coarser));
        }
        let mut file = Vec::new();
        let mut listed = Vec::new();
        for (samples_per_bucket, extents) in levels.iter().rev() {
            let buckets = u32::try_from(extents.len() / self.channels).unwrap_or(u32::MAX);
            listed.push(PeakLevel {
                samples_per_bucket: *samples_per_bucket,
                buckets,
                offset: file.len() as u64,
            });
            // Version 2; flag: 8 bits; sample rate; samples per bucket; buckets; channels.
            let header = [
                2,
                1,
                self.sample_rate,
                *samples_per_bucket,
                buckets,
                u32::try_from(self.channels).unwrap_or(u32::MAX),
            ];
            for field in header {
                file.extend_from_slice(&field.to_le_bytes());
            }
            for extent in extents {
                file.extend_from_slice(&extent.low.to_le_bytes());
                file.extend_from_slice(&extent.high.to_le_bytes());
            }
        }
        (file, listed)
    }
}

/// No sample yet: one of them, and it is both.
const EMPTY: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

/// Full scale as -128 to 127; what lies beyond is cut, what is no number is silence.
fn eight_bits(sample: f32) -> i8 {
    let sample = if sample.is_finite() { sample } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
    let value = (sample * 128.0).round().clamp(-128.0, 127.0) as i8;
    value
}

fn coarser(finer: &[Extent], channels: usize) -> Vec<Extent> {
    let zoom = ZOOM as usize;
    finer
        .chunks(channels * zoom)
        .flat_map(|group| {
            (0..channels).map(move |channel| {
                let own = group.iter().skip(channel).step_by(channels);
                own.copied()
                    .reduce(|a, b| Extent {
                        low: a.low.min(b.low),
                        high: a.high.max(b.high),
                    })
                    .unwrap_or(Extent { low: 0, high: 0 })
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_keeps_its_lowest_and_highest() {
        let mut outline = Outline::new(600, 2, 48_000);
        let mut samples = vec![0.0; 1200];
        samples[2 * 10] = 0.5;
        samples[2 * 255 + 1] = -1.0;
        samples[2 * 256] = 2.0;
        samples[2 * 599 + 1] = f32::NAN;
        for part in samples.chunks(34) {
            outline.add(part);
        }
        let (file, levels) = outline.finish();
        let expected = PeakLevel {
            samples_per_bucket: 256,
            buckets: 3,
            offset: 0,
        };
        assert_eq!(levels, [expected]);
        // Left low, left high, right low, right high.
        let body = [0, 64, 0x80, 0, 0, 127, 0, 0, 0, 0, 0, 0];
        assert_eq!(file[24..], body);
        assert_eq!(
            file[..24],
            [
                2, 0, 0, 0, 1, 0, 0, 0, 0x80, 0xbb, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0
            ]
        );
    }

    #[test]
    fn a_coarser_level_covers_the_finer_one() {
        let length = 256 * 256 * 8 + 1;
        let mut outline = Outline::new(length, 1, 48_000);
        outline.add_silence(length - 1);
        outline.add(&[-0.25]);
        let (file, levels) = outline.finish();
        let shape: Vec<_> = levels
            .iter()
            .map(|level| (level.samples_per_bucket, level.buckets))
            .collect();
        assert_eq!(shape, [(2048, 257), (256, 2049)]);
        assert_eq!(levels[1].offset, 24 + 2 * 257);
        // The last sample is the last bucket on both.
        let last = 24 + 2 * 257;
        assert_eq!(file[last - 2..last], [0xe0, 0xe0]);
        assert_eq!(file[file.len() - 2..], [0xe0, 0xe0]);
    }

    #[test]
    fn a_day_of_sound_stays_small() {
        let outline = Outline::new(48_000 * 86_400, 2, 48_000);
        assert_eq!(outline.samples_per_bucket, 32_768);
    }
}
