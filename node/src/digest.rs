//! Pure: hashes that other programs ask for: those of tus's checksums and of media hash lists.
//!
//! What this program itself trusts is BLAKE3; these are for whoever speaks something else.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod mhl;

use std::fmt::Write as _;

use sha1::Digest as _;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use xxhash_rust::xxh3::Xxh3;
use xxhash_rust::xxh64::Xxh64;

/// How a hash is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Blake3,
    /// SHA-512 as 90 characters (SMPTE ST 2114).
    C4,
    Crc32,
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Xxh64,
    Xxh3,
    Xxh128,
}

/// Computes one hash as bytes come.
#[derive(Clone)]
pub enum Hasher {
    Blake3(Box<blake3::Hasher>),
    C4(Sha512),
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
    Xxh64(Xxh64),
    Xxh3(Box<Xxh3>),
    Xxh128(Box<Xxh3>),
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::C4 => Self::C4(Sha512::new()),
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
            Algorithm::Xxh64 => Self::Xxh64(Xxh64::new(0)),
            Algorithm::Xxh3 => Self::Xxh3(Box::default()),
            Algorithm::Xxh128 => Self::Xxh128(Box::default()),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
            Self::C4(hasher) | Self::Sha512(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Xxh64(hasher) => hasher.update(bytes),
            Self::Xxh3(hasher) | Self::Xxh128(hasher) => hasher.update(bytes),
        }
    }

    /// The hash, most significant byte first.
    pub fn finish(&self) -> Vec<u8> {
        match self {
            Self::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
            Self::C4(hasher) | Self::Sha512(hasher) => hasher.clone().finalize().to_vec(),
            Self::Crc32(hasher) => hasher.clone().finalize().to_be_bytes().to_vec(),
            Self::Md5(hasher) => hasher.clone().finalize().to_vec(),
            Self::Sha1(hasher) => hasher.clone().finalize().to_vec(),
            Self::Sha256(hasher) => hasher.clone().finalize().to_vec(),
            Self::Xxh64(hasher) => hasher.digest().to_be_bytes().to_vec(),
            Self::Xxh3(hasher) => hasher.digest().to_be_bytes().to_vec(),
            Self::Xxh128(hasher) => hasher.digest128().to_be_bytes().to_vec(),
        }
    }

    /// The hash as people write it: hexadecimal, or the 90 characters of a C4 id.
    pub fn text(&self) -> String {
        let bytes = self.finish();
        match self {
            Self::C4(_) => c4(&bytes),
            _ => hex(&bytes),
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The characters of a C4 id: base 58, without those that look alike.
const BASE_58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// `c4` and 88 digits of base 58, filled up with the digit zero on the left.
fn c4(sha512: &[u8]) -> String {
    let mut number = sha512.to_vec();
    let mut digits = [BASE_58[0]; 88];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_usize;
        for byte in &mut number {
            let value = rest * 256 + usize::from(*byte);
            *byte = u8::try_from(value / 58).unwrap_or_default();
            rest = value % 58;
        }
        *digit = BASE_58[rest];
    }
    let mut text = "c4".to_owned();
    text.extend(digits.iter().map(|&digit| char::from(digit)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(algorithm: Algorithm, input: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        let (left, right) = input.split_at(input.len() / 2);
        hasher.update(left);
        hasher.update(right);
        hasher.text()
    }

    #[test]
    fn each_algorithm_gives_what_its_standard_says() {
        let check = |algorithm, input: &str, expected: &str| {
            assert_eq!(text(algorithm, input.as_bytes()), expected, "{algorithm:?}");
        };
        check(Algorithm::Md5, "abc", "900150983cd24fb0d6963f7d28e17f72");
        check(
            Algorithm::Sha1,
            "abc",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
        );
        check(
            Algorithm::Sha256,
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        check(Algorithm::Crc32, "123456789", "cbf43926");
        check(Algorithm::Xxh64, "", "ef46db3751d8e999");
        check(Algorithm::Xxh64, "abc", "44bc2cf5ad770999");
        check(Algorithm::Xxh3, "", "2d06800538d394c2");
        check(Algorithm::Xxh128, "", "99aa06d3014798d86001c324468d497f");
        check(
            Algorithm::Blake3,
            "",
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        );
    }

    #[test]
    fn a_c4_id_has_ninety_characters() {
        // The standard's own example for the empty input.
        assert_eq!(
            text(Algorithm::C4, b""),
            "c459dsjfscH38cYeXXYogktxf4Cd9ibshE3BHUo6a58hBXmRQdZrAkZzsWcbWtDg5oQstpDuni4Hirj75GEmTc1sFT"
        );
        assert_eq!(c4(&[0; 64]).len(), 90);
    }
}
