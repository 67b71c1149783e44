//! Pure: the shape of a file of peaks from its headers.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::manifest::PeakLevel;

/// Of a data block of `audiowaveform`, version 2.
const HEADER_BYTES: usize = 24;

/// The levels in `file`, if it is whole and has this sample rate and these channels.
pub fn parse(file: &[u8], sample_rate: u32, channels: u16) -> Option<Vec<PeakLevel>> {
    let mut levels = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let header = file.get(at..at.checked_add(HEADER_BYTES)?)?;
        let field = |number: usize| {
            let bytes = header.get(number * 4..number * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let shape = (field(0)?, field(1)?, field(2)?, field(5)?);
        if shape != (2, 1, sample_rate, u32::from(channels)) {
            return None;
        }
        let level = PeakLevel {
            samples_per_bucket: field(3)?,
            buckets: field(4)?,
            offset: at as u64,
        };
        let extents = u64::from(level.buckets) * u64::from(channels);
        at += HEADER_BYTES + usize::try_from(extents * 2).ok()?;
        levels.push(level);
    }
    (at == file.len() && !levels.is_empty()).then_some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(samples_per_bucket: u32, buckets: u32) -> Vec<u8> {
        let fields = [2, 1, 48_000, samples_per_bucket, buckets, 2];
        let mut bytes: Vec<u8> = fields.iter().flat_map(|f: &u32| f.to_le_bytes()).collect();
        bytes.resize(HEADER_BYTES + usize::try_from(buckets).unwrap() * 4, 0);
        bytes
    }

    #[test]
    fn levels_follow_each_other_to_the_last_byte() {
        let file = [block(2048, 2), block(256, 16)].concat();
        let level = |samples_per_bucket, buckets, offset| PeakLevel {
            samples_per_bucket,
            buckets,
            offset,
        };
        let expected = vec![level(2048, 2, 0), level(256, 16, 32)];
        assert_eq!(parse(&file, 48_000, 2), Some(expected));
        assert_eq!(parse(&file, 48_000, 1), None);
        for len in (0..file.len()).filter(|len| *len != 32) {
            assert_eq!(parse(&file[..len], 48_000, 2), None, "{len}");
        }
        // A count that no file can have.
        let mut hostile = block(256, 1);
        hostile[16..20].copy_from_slice(&[0xff; 4]);
        assert_eq!(parse(&hostile, 48_000, 2), None);
    }
}
