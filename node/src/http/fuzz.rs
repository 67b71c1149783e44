//! Whatever a client sends in headers, queries and files, it is understood or refused, and never
//! ends the node. `PROPTEST_CASES` says how long to look; `make fuzz` looks long.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::range::{self, Asked};
use super::tus::headers::{self, Creation, Metadata};
use crate::config::Config;
use crate::digest::mhl;
use crate::ingest::shape::PARTS_MAX;

/// A value that a header can have, made of the words that its parser knows.
fn value(words: &'static [&'static str]) -> impl Strategy<Value = HeaderValue> {
    let word = prop_oneof![
        6 => prop::sample::select(words).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => "[0-9]{1,25}",
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| {
        HeaderValue::try_from(words.concat()).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

/// Any of the headers that tus reads, each with something like a value, or raw bytes.
fn tus_headers() -> impl Strategy<Value = HeaderMap> {
    const WORDS: &[&str] = &[
        "0",
        "1",
        "7",
        "-",
        "+",
        " ",
        ",",
        ";",
        "partial",
        "final;",
        "/api/v1/uploads/",
        "filename",
        "01890000-0000-7000-8000-000000000000",
        "c3RyaW5n",
        "sha1",
        "sha256",
        "AAAA",
        "=",
    ];
    let name = prop::sample::select(vec![
        headers::UPLOAD_LENGTH,
        headers::UPLOAD_OFFSET,
        headers::UPLOAD_CONCAT,
        headers::UPLOAD_DEFER_LENGTH,
        headers::UPLOAD_METADATA,
        headers::UPLOAD_CHECKSUM,
        headers::METHOD_OVERRIDE,
        HeaderName::from_static("content-type"),
        HeaderName::from_static("trailer"),
    ]);
    let raw = prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
        HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static("x"))
    });
    let value = prop_oneof![5 => value(WORDS), 1 => raw];
    prop::collection::vec((name, value), 0..8).prop_map(HeaderMap::from_iter)
}

proptest! {
    #[test]
    fn headers_of_tus(headers in tus_headers()) {
        match headers::creation(&headers) {
            Ok(Creation::Final(parts)) => prop_assert!((1..=PARTS_MAX).contains(&parts.len())),
            Ok(Creation::Upload { .. }) => {}
            Err(error) => prop_assert!(error.to_string().ends_with('.')),
        }
        if let Ok(metadata) = Metadata::parse(&headers) {
            let raw = metadata.raw.unwrap_or_default();
            prop_assert!(raw.len() <= headers::METADATA_BYTES_MAX);
        }
        if let Ok(offset) = headers::offset(&headers) {
            prop_assert!(offset <= 9_999_999_999_999_999_999);
        }
        let _checksum = headers::checksum(&headers);
        let _is_chunk = headers::is_chunk(&headers);
        let _is_checked = headers::has_checksum_trailer(&headers);
        let _method = headers::effective_method(&axum::http::Method::POST, &headers);
    }

    #[test]
    fn ranges(
        range in "(bytes|items|)=?[0-9]{0,21}-?[0-9]{0,21}(,[0-9]{0,3}-)?",
        size in prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()],
    ) {
        if let Asked::Part(part) = range::asked(Some(&range), None, "\"e\"", size) {
            prop_assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
        }
    }

    #[test]
    fn configurations(
        lines in prop::collection::vec(
            prop_oneof![
                Just("[cluster]".to_owned()),
                Just("[[node]]".to_owned()),
                Just("[[watch]]".to_owned()),
                Just("[render]".to_owned()),
                Just("[limits]".to_owned()),
                "(name|segment|gop|copies|path|pattern|stable|node|ladder|upload_size|peer|quic) = (\"[ -~&&[^\"\\\\]]{0,20}\"|[0-9]{1,20}|\\[\\]|true)",
            ],
            0..12,
        ),
    ) {
        if let Ok(config) = toml::from_str::<Config>(&lines.join("\n"))
            && let Err(error) = config.check()
        {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn hash_lists(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<hashlist>", "</hashlist>", "<hash>", "</hash>", "<path size=\"5\">", "</path>",
                "<file>", "</file>", "a/b.mov", "<md5>", "</md5>", "<c4 action='failed'>", "</c4>",
                "00ff", "&amp;", "&#x41;", "&bomb;", "<!--x-->", "<![CDATA[y]]>", "<?xml?>", "<", "\"",
                "<directoryhash>", "</directoryhash>", "<!DOCTYPE a>",
            ]),
            0..40,
        ),
    ) {
        if let Ok(files) = mhl::parse(&pieces.concat()) {
            for file in files {
                prop_assert!(!file.path.is_empty() && !file.hashes.is_empty());
            }
        }
    }
}
