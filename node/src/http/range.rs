//! Pure: `Range`, `If-Range` and `If-None-Match` (RFC 9110, 13 and 14).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::ops::Range;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Also for ranges that a server may ignore: several, another unit, nonsense.
    Whole,
    Part(Range<u64>),
    /// Answered with 416 and the size.
    Beyond,
}

/// What `range`, the header's value, asks of an object of `size` bytes. `if_range` is compared
/// with `etag` strongly; if it differs, the client has another object and needs the whole.
pub(super) fn asked(range: Option<&str>, if_range: Option<&str>, etag: &str, size: u64) -> Asked {
    let Some(range) = range else {
        return Asked::Whole;
    };
    if if_range.is_some_and(|tag| tag.starts_with("W/") || tag != etag) {
        return Asked::Whole;
    }
    let Some((unit, set)) = range.split_once('=') else {
        return Asked::Whole;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Asked::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || last.contains(',') {
        return Asked::Whole;
    }
    let (Ok(first), Ok(last)) = (number(first), number(last)) else {
        return Asked::Whole;
    };
    match (first, last) {
        (None, None) => Asked::Whole,
        (Some(first), Some(last)) if last < first => Asked::Whole,
        (Some(first), _) if first >= size => Asked::Beyond,
        (Some(first), last) => {
            Asked::Part(first..last.map_or(size, |last| size.min(last.saturating_add(1))))
        }
        (None, Some(0)) => Asked::Beyond,
        (None, Some(_)) if size == 0 => Asked::Beyond,
        (None, Some(suffix)) => Asked::Part(size.saturating_sub(suffix)..size),
    }
}

/// Not a number, and not empty either.
struct Nonsense;

/// The number in `text`, none for the empty text. A number too large for 64 bits is as good as the
/// largest.
fn number(text: &str) -> Result<Option<u64>, Nonsense> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Nonsense);
    }
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

/// Whether one of the tags in `header` is `etag`, by the weak comparison of RFC 9110, 8.8.3.2.
pub(super) fn none_match(header: Option<&str>, etag: &str) -> bool {
    header.is_some_and(|header| {
        header.trim() == "*" || header.split(',').any(|tag| opaque(tag) == opaque(etag))
    })
}

/// A tag without the mark of a weak one.
fn opaque(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, expect: &Asked) {
        assert_eq!(&asked(Some(range), None, "\"e\"", 100), expect, "{range}");
    }

    #[test]
    fn single_ranges() {
        check("bytes=0-0", &Asked::Part(0..1));
        check("bytes=10-19", &Asked::Part(10..20));
        check("bytes=90-", &Asked::Part(90..100));
        check("bytes=90-1000", &Asked::Part(90..100));
        check("bytes=-7", &Asked::Part(93..100));
        check("bytes=-700", &Asked::Part(0..100));
        check("Bytes= 1-2 ", &Asked::Part(1..3));
        check("bytes=99-99999999999999999999999", &Asked::Part(99..100));
        check("bytes=100-", &Asked::Beyond);
        check("bytes=99999999999999999999999-", &Asked::Beyond);
        check("bytes=-0", &Asked::Beyond);
    }

    #[test]
    fn nonsense_and_several_ranges_get_the_whole() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=+1-2",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=0,1-2",
        ] {
            check(range, &Asked::Whole);
        }
        assert_eq!(asked(None, None, "\"e\"", 100), Asked::Whole);
        assert_eq!(asked(Some("bytes=-1"), None, "\"e\"", 0), Asked::Beyond);
    }

    #[test]
    fn if_range_is_strong() {
        let part = |if_range| asked(Some("bytes=0-0"), Some(if_range), "\"e\"", 100);
        assert_eq!(part("\"e\""), Asked::Part(0..1));
        assert_eq!(part("W/\"e\""), Asked::Whole);
        assert_eq!(part("\"other\""), Asked::Whole);
        assert_eq!(part("Sun, 22 Nov 2026 20:00:00 GMT"), Asked::Whole);
    }

    #[test]
    fn if_none_match_is_weak() {
        assert!(none_match(Some("\"a\", W/\"e\""), "\"e\""));
        assert!(none_match(Some("*"), "\"e\""));
        assert!(!none_match(Some("\"a\""), "\"e\""));
        assert!(!none_match(None, "\"e\""));
    }
}
