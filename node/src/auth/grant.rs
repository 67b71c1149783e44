//! Pure: grants of private playback: a path that says which video, until when, and is signed.
//!
//! A grant is one part of a path, `{key}.{expiry}.{signature}`, in front of the video's id. Playlists
//! name what they list relative to themselves, so segments, stills and playlists of subclips inherit
//! it, without cookies and without queries. Whoever knows the key can check it without asking.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::{Digest as _, Md5};
use protocol::id::VideoId;
use protocol::time::{Span, Timestamp};
use ring::hmac;
use subtle::ConstantTimeEq as _;

/// Longest grant in bytes; the longest real one has 65.
const GRANT_MAX: usize = 100;

/// How the signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    HmacSha256,
    /// What an nginx from any distribution can check: `secure_link_md5`.
    NginxMd5,
}

/// A key by its number.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    pub id: u32,
    pub secret: &'a [u8; 32],
}

/// Why a grant opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the grant has lapsed")]
    Expired,
    #[error("the grant is not for this video, or was never given")]
    Forged,
    #[error("the grant was signed with a key that is not in use any more")]
    UnknownKey,
}

/// When a grant given at `now` that is to last `life` ends. Ends fall together, so that all who
/// begin to watch at about the same time are given the same path, and a cache in front of the node
/// keeps one copy for them all.
pub fn expiry(now: Timestamp, life: Span) -> Timestamp {
    let life_s = i64::try_from(life.as_millis() / 1000)
        .unwrap_or(i64::MAX / 4000)
        .max(1);
    let step = (life_s / 8).max(1);
    let end = now.as_millis().div_euclid(1000) + life_s;
    Timestamp::from_millis((end + step - 1).div_euclid(step) * step * 1000)
}

/// The grant for `video` until `expires`, in whole seconds.
pub fn sign(scheme: Scheme, key: Key<'_>, video: VideoId, expires: Timestamp) -> String {
    let head = format!("{}.{}", key.id, expires.as_millis().div_euclid(1000));
    let signature = signature(scheme, key, &head, video);
    format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// When `grant` for `video` ends, if one of `keys` signed it and it has not ended by `now`.
///
/// # Errors
/// It does not open the video.
pub fn verify<'a>(
    scheme: Scheme,
    keys: impl IntoIterator<Item = Key<'a>>,
    grant: &str,
    video: VideoId,
    now: Timestamp,
) -> Result<Timestamp, Refusal> {
    if grant.len() > GRANT_MAX {
        return Err(Refusal::Forged);
    }
    let (head, signed) = grant.rsplit_once('.').ok_or(Refusal::Forged)?;
    let (id, expiry) = head.split_once('.').ok_or(Refusal::Forged)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| n.to_string() == text);
    let id = number(id).ok_or(Refusal::Forged)?;
    let seconds: i64 = expiry.parse().map_err(|_| Refusal::Forged)?;
    // One spelling for each grant: caches know it by its path.
    if seconds.to_string() != expiry || seconds < 0 {
        return Err(Refusal::Forged);
    }
    let key = keys.into_iter().find(|key| key.id == id);
    let key = key.ok_or(Refusal::UnknownKey)?;
    let given = URL_SAFE_NO_PAD
        .decode(signed)
        .map_err(|_| Refusal::Forged)?;
    // Takes the same time wherever the two differ.
    let genuine = signature(scheme, key, head, video).ct_eq(&given);
    if !bool::from(genuine) {
        return Err(Refusal::Forged);
    }
    let expires = Timestamp::from_millis(seconds.saturating_mul(1000));
    if expires <= now {
        return Err(Refusal::Expired);
    }
    Ok(expires)
}

/// The secret as it is written into the configuration of an nginx.
pub fn secret_text(secret: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(secret)
}

fn signature(scheme: Scheme, key: Key<'_>, head: &str, video: VideoId) -> Vec<u8> {
    let text = format!("{head}/{video}");
    match scheme {
        Scheme::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret);
            hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
        }
        Scheme::NginxMd5 => {
            let text = format!("{text} {}", secret_text(key.secret));
            Md5::digest(text.as_bytes()).to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Key<'_> = Key {
        id: 7,
        secret: &[7; 32],
    };
    const NEW: Key<'_> = Key {
        id: 8,
        secret: &[8; 32],
    };
    const NOW: i64 = 1_800_000_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn video(last: char) -> VideoId {
        format!("01a20fe8-28c5-7254-b34b-0c5202948d8{last}")
            .parse()
            .unwrap()
    }

    fn check(scheme: Scheme, grant: &str, of: char, now: i64) -> Result<Timestamp, Refusal> {
        verify(scheme, [OLD, NEW], grant, video(of), at(now))
    }

    #[test]
    fn a_grant_opens_its_video_until_it_ends() {
        for scheme in [Scheme::HmacSha256, Scheme::NginxMd5] {
            for key in [OLD, NEW] {
                let grant = sign(scheme, key, video('1'), at(NOW + 5000));
                assert_eq!(check(scheme, &grant, '1', NOW), Ok(at(NOW + 5000)));
                assert_eq!(
                    check(scheme, &grant, '1', NOW + 5000),
                    Err(Refusal::Expired)
                );
                assert_eq!(check(scheme, &grant, '2', NOW), Err(Refusal::Forged));
                assert!(grant.len() < GRANT_MAX, "{grant}");
            }
        }
    }

    #[test]
    fn nothing_else_does() {
        let scheme = Scheme::HmacSha256;
        let grant = sign(scheme, NEW, video('1'), at(NOW + 5000));
        let longer = grant.replacen("1800000005", "1800000006", 1);
        let padded = format!("{grant}=");
        let signed = grant.rsplit_once('.').unwrap().1;
        let zero = format!("08.1800000005.{signed}");
        let plus = format!("8.+1800000005.{signed}");
        for bad in [
            "",
            ".",
            "..",
            "8.1800000005",
            "8.1800000005.",
            &longer,
            &padded,
            &zero,
            &plus,
        ] {
            assert_eq!(check(scheme, bad, '1', NOW), Err(Refusal::Forged), "{bad}");
        }
        let huge = format!("8.1800000005.{}", "A".repeat(500));
        assert_eq!(check(scheme, &huge, '1', NOW), Err(Refusal::Forged));
        assert_eq!(
            check(Scheme::NginxMd5, &grant, '1', NOW),
            Err(Refusal::Forged)
        );
        let gone = Key {
            id: 9,
            secret: &[9; 32],
        };
        let grant = sign(scheme, gone, video('1'), at(NOW + 5000));
        assert_eq!(check(scheme, &grant, '1', NOW), Err(Refusal::UnknownKey));
        // Any one bit of the signature.
        let good = sign(scheme, NEW, video('1'), at(NOW + 5000));
        let (head, signed) = good.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let bad = format!("{head}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(check(scheme, &bad, '1', NOW), Err(Refusal::Forged));
        }
    }

    #[test]
    fn ends_fall_together_and_no_grant_is_shorter_than_promised() {
        let life = Span::from_secs(6 * 3600);
        let ends: std::collections::BTreeSet<i64> = (0..600)
            .map(|second| expiry(at(NOW + second * 1000), life).as_millis())
            .collect();
        assert!(ends.len() <= 2, "{ends:?}");
        for now in [NOW, NOW + 1, NOW + 999_999] {
            let life_ms = expiry(at(now), life).as_millis() - now;
            let least = 6 * 3_600_000 - 1000;
            assert!((least..=least + 2_701_000).contains(&life_ms), "{life_ms}");
        }
        assert!(expiry(at(NOW), Span::from_secs(1)) > at(NOW));
    }
}
