//! Pure: parameter sets of H.264 as MP4 keeps them (ISO/IEC 14496-15, 5.3.3.1).

use super::bytes::Reader;

/// An `avcC` box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avcc {
    /// Profile, its constraints, and level.
    head: [u8; 3],
    /// Bytes of a length, less one.
    length: u8,
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    /// What high profiles add.
    rest: Vec<u8>,
}

/// Numbers of sequence parameter sets end here (H.264, 7.4.2.1.1).
const NUMBERS: u32 = 32;

impl Avcc {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [version, head @ ..] = reader.array::<4>()?;
        let [length, count] = reader.array::<2>()?;
        if version != 1 {
            return None;
        }
        let mut sets = |count: u8| -> Option<Vec<Vec<u8>>> {
            (0..count)
                .map(|_| {
                    let size = reader.u16()?;
                    reader.take(usize::from(size)).map(<[u8]>::to_vec)
                })
                .collect()
        };
        let sps = sets(count & 0x1f)?;
        let [count] = reader.array::<1>()?;
        let mut sets = |count: u8| -> Option<Vec<Vec<u8>>> {
            (0..count)
                .map(|_| {
                    let size = reader.u16()?;
                    reader.take(usize::from(size)).map(<[u8]>::to_vec)
                })
                .collect()
        };
        let pps = sets(count)?;
        Some(Self {
            head,
            length: length & 3,
            sps,
            pps,
            rest: reader.rest().to_vec(),
        })
    }

    /// A number that none of the sets has.
    pub fn free_number(&self) -> Option<u32> {
        // The number of a sequence parameter set stands behind three fixed bytes.
        let sps = self.sps.iter().map(|set| golomb(set.get(4..)?));
        let pps = self.pps.iter().map(|set| golomb(set.get(1..)?));
        let taken: Vec<u32> = sps.chain(pps).collect::<Option<_>>()?;
        (1..NUMBERS).find(|number| !taken.contains(number))
    }

    /// The content of a box with the sets of both; none where they cannot stand together.
    pub fn joined(&self, other: &Self) -> Option<Vec<u8>> {
        if self.length != other.length {
            return None;
        }
        let [profile, constraints, level] = self.head;
        let mut bytes = vec![1, profile.max(other.head[0]), constraints];
        bytes.push(level.max(other.head[2]));
        bytes.push(0xfc | self.length);
        let mut put = |mark: u8, one: &[Vec<u8>], two: &[Vec<u8>], most: usize| {
            let count = one.len() + two.len();
            let count = u8::try_from(count).ok().filter(|_| count <= most)?;
            bytes.push(mark | count);
            for set in one.iter().chain(two) {
                bytes.extend_from_slice(&u16::try_from(set.len()).ok()?.to_be_bytes());
                bytes.extend_from_slice(set);
            }
            Some(())
        };
        put(0xe0, &self.sps, &other.sps, 31)?;
        put(0, &self.pps, &other.pps, 255)?;
        let rest = if self.rest.is_empty() {
            &other.rest
        } else {
            &self.rest
        };
        bytes.extend_from_slice(rest);
        Some(bytes)
    }
}

/// An unsigned number in Exp-Golomb code at the start of `bytes` (H.264, 9.1).
fn golomb(bytes: &[u8]) -> Option<u32> {
    let bit = |at: usize| Some(u32::from(bytes.get(at / 8)? >> (7 - at % 8) & 1));
    let zeros = (0..16).find(|at| bit(*at) == Some(1))?;
    let mut value = 0;
    for at in zeros..=2 * zeros {
        value = value << 1 | bit(at)?;
    }
    Some(value - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn avcc(sps: u8, pps: u8) -> Vec<u8> {
        vec![
            1, 100, 0, 31, 0xff, 0xe1, 0, 5, 0x67, 100, 0, 31, sps, 1, 0, 2, 0x68, pps, 0xfd, 0xf8,
        ]
    }

    #[test]
    fn sets_are_read_joined_and_numbered() {
        // 1 is zero, 010 is one, 011 is two.
        let zero = Avcc::parse(&avcc(0x80, 0x80)).unwrap();
        let one = Avcc::parse(&avcc(0x40, 0x40)).unwrap();
        assert_eq!(zero.free_number(), Some(1));
        assert_eq!(one.free_number(), Some(2));
        let both = Avcc::parse(&zero.joined(&one).unwrap()).unwrap();
        assert_eq!((both.sps.len(), both.pps.len()), (2, 2));
        assert_eq!(both.free_number(), Some(2));
        assert_eq!(both.rest, [0xfd, 0xf8]);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let whole = avcc(0x80, 0x80);
        for length in 0..whole.len() - 2 {
            assert_eq!(Avcc::parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(golomb(&[0; 8]), None);
        assert_eq!(golomb(&[]), None);
    }
}
