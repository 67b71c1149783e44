//! Pure: tus headers: parsed with limits, printed as the specification wants them.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, Method, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use protocol::id::UploadId;
use protocol::time::Timestamp;

use crate::digest::Algorithm;
use crate::ingest::shape::PARTS_MAX;

/// The one version this node speaks.
pub const VERSION: &str = "1.0.0";

/// The extensions it has.
pub const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,termination,\
    expiration,checksum,checksum-trailer,concatenation";

/// The checksums it can compare, as clients name them.
pub const CHECKSUMS: [(&str, Algorithm); 7] = [
    ("sha1", Algorithm::Sha1),
    ("sha256", Algorithm::Sha256),
    ("sha512", Algorithm::Sha512),
    ("md5", Algorithm::Md5),
    ("crc32", Algorithm::Crc32),
    ("blake3", Algorithm::Blake3),
    ("xxh64", Algorithm::Xxh64),
];

/// Longest `Upload-Metadata` in bytes: it is kept with the upload and given back.
pub const METADATA_BYTES_MAX: usize = 8 << 10;

pub const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
/// Names the video that a complete upload became.
pub const VIDEO_ID: HeaderName = HeaderName::from_static("reelmesh-video-id");

/// Headers that a page of another origin may send.
pub const ALLOWED: &str = "Authorization, Content-Type, Tus-Resumable, Upload-Checksum, \
    Upload-Concat, Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, \
    X-HTTP-Method-Override, X-Request-ID, X-Requested-With";

/// Headers that a page of another origin may read.
pub const EXPOSED: &str = "Location, Reelmesh-Video-Id, Tus-Checksum-Algorithm, Tus-Extension, \
    Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, Upload-Defer-Length, Upload-Expires, \
    Upload-Length, Upload-Metadata, Upload-Offset";

/// Why a header cannot be used; each text is a whole sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("The header {0} is missing.")]
    Missing(&'static str),
    #[error("The header {0} is not a whole number of bytes.")]
    Number(&'static str),
    #[error("The header Upload-Metadata is not a list of keys and base64 values.")]
    Metadata,
    #[error("The header Upload-Metadata has more than {METADATA_BYTES_MAX} bytes.")]
    MetadataTooLong,
    #[error("The header Upload-Defer-Length can only be 1.")]
    DeferLength,
    #[error("The headers {0} and {1} exclude each other.")]
    Both(&'static str, &'static str),
    #[error(
        "The header Upload-Concat is neither `partial` nor `final;` and a list of uploads of this node."
    )]
    Concat,
    #[error("The header Upload-Concat names more than {PARTS_MAX} uploads.")]
    TooManyParts,
    #[error(
        "The header Upload-Checksum is not the name of an algorithm and a hash in base64; the header Tus-Checksum-Algorithm of an OPTIONS answer names those that there are."
    )]
    Checksum,
}

/// The method that is meant: some proxies let only GET and POST through, so `POST` may carry the
/// real one.
pub fn effective_method(method: &Method, headers: &HeaderMap) -> Method {
    if *method != Method::POST {
        return method.clone();
    }
    let given = headers.get(METHOD_OVERRIDE);
    match given.and_then(|value| value.to_str().ok()) {
        Some(name) => match name.trim().to_ascii_uppercase().as_str() {
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            "HEAD" => Method::HEAD,
            "OPTIONS" => Method::OPTIONS,
            _ => Method::POST,
        },
        None => Method::POST,
    }
}

/// Whether the client speaks the version that this node speaks.
pub fn is_version_right(headers: &HeaderMap) -> bool {
    headers
        .get(TUS_RESUMABLE)
        .is_some_and(|version| version.as_bytes() == VERSION.as_bytes())
}

/// Whether the body is bytes of an upload.
pub fn is_chunk(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/offset+octet-stream")
        })
}

/// `Upload-Offset`.
///
/// # Errors
/// It is missing or no number.
pub fn offset(headers: &HeaderMap) -> Result<u64, Error> {
    number(headers, &UPLOAD_OFFSET, "Upload-Offset")?.ok_or(Error::Missing("Upload-Offset"))
}

/// What a client wants to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// A file, or a part of one, of this length; `None` if it will be said later.
    Upload { length: Option<u64>, is_part: bool },
    /// A file made of parts.
    Final(Vec<UploadId>),
}

/// Reads what `Upload-Length`, `Upload-Defer-Length` and `Upload-Concat` ask for.
///
/// # Errors
/// They are missing, exclude each other, or are not what the specification says.
pub fn creation(headers: &HeaderMap) -> Result<Creation, Error> {
    let length = length(headers)?;
    let is_deferred = match headers.get(UPLOAD_DEFER_LENGTH) {
        None => false,
        Some(value) if value.as_bytes() == b"1" => true,
        Some(_) => return Err(Error::DeferLength),
    };
    if length.is_some() && is_deferred {
        return Err(Error::Both("Upload-Length", "Upload-Defer-Length"));
    }
    let is_part = match concat(headers)? {
        None => false,
        Some(Concat::Partial) => true,
        Some(Concat::Final(parts)) => {
            return match (length, is_deferred) {
                (None, false) => Ok(Creation::Final(parts)),
                (Some(_), _) => Err(Error::Both("Upload-Concat: final", "Upload-Length")),
                (None, true) => Err(Error::Both("Upload-Concat: final", "Upload-Defer-Length")),
            };
        }
    };
    if length.is_none() && !is_deferred {
        return Err(Error::Missing("Upload-Length"));
    }
    Ok(Creation::Upload { length, is_part })
}

enum Concat {
    Partial,
    Final(Vec<UploadId>),
}

fn concat(headers: &HeaderMap) -> Result<Option<Concat>, Error> {
    let Some(value) = headers.get(UPLOAD_CONCAT) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Error::Concat)?.trim();
    if text == "partial" {
        return Ok(Some(Concat::Partial));
    }
    let urls = text.strip_prefix("final;").ok_or(Error::Concat)?;
    let mut parts = Vec::new();
    for url in urls.split_ascii_whitespace() {
        if parts.len() == PARTS_MAX {
            return Err(Error::TooManyParts);
        }
        // Absolute or not: the client knows this node under a name that the node does not know.
        let id = url.trim_end_matches('/').rsplit('/').next();
        parts.push(id.and_then(|id| id.parse().ok()).ok_or(Error::Concat)?);
    }
    if parts.is_empty() {
        return Err(Error::Concat);
    }
    Ok(Some(Concat::Final(parts)))
}

/// `Upload-Length` if the client says it.
///
/// # Errors
/// It is no number.
pub fn length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    number(headers, &UPLOAD_LENGTH, "Upload-Length")
}

/// What the bytes of a request must have as their hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    pub algorithm: Algorithm,
    pub hash: Vec<u8>,
}

/// `Upload-Checksum`, in the head or the trailer of a request.
///
/// # Errors
/// Its algorithm is not one of [`CHECKSUMS`], or it is not what the specification says.
pub fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Error> {
    let Some(value) = headers.get(UPLOAD_CHECKSUM) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Error::Checksum)?.trim();
    let (name, hash) = text.split_once(' ').ok_or(Error::Checksum)?;
    let known = CHECKSUMS
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known));
    let &(_, algorithm) = known.ok_or(Error::Checksum)?;
    let hash = BASE64_STANDARD
        .decode(hash.trim())
        .map_err(|_| Error::Checksum)?;
    Ok(Some(Checksum { algorithm, hash }))
}

/// Whether the checksum comes behind the bytes.
pub fn has_checksum_trailer(headers: &HeaderMap) -> bool {
    let names = headers.get_all(header::TRAILER);
    names
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upload-checksum"))
}

/// `Content-Length` if the client says it.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(headers, &header::CONTENT_LENGTH, "Content-Length")
        .ok()
        .flatten()
}

fn number(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &'static str,
) -> Result<Option<u64>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    // `parse` alone would take a plus sign.
    let digits = value.to_str().ok().filter(|text| {
        !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(Error::Number(shown))
}

/// What a client says about its file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// As it came, to be given back; `None` if there was none.
    pub raw: Option<String>,
    values: BTreeMap<String, String>,
}

impl Metadata {
    /// Reads `Upload-Metadata`. An empty header is taken for none: tuspy always sends one.
    ///
    /// # Errors
    /// It is too long, or not what the specification says.
    pub fn parse(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(value) = headers.get(UPLOAD_METADATA) else {
            return Ok(Self::default());
        };
        if value.len() > METADATA_BYTES_MAX {
            return Err(Error::MetadataTooLong);
        }
        let raw = value.to_str().map_err(|_| Error::Metadata)?.trim();
        if raw.is_empty() {
            return Ok(Self::default());
        }
        let mut values = BTreeMap::new();
        for pair in raw.split(',') {
            let mut words = pair.split_ascii_whitespace();
            let key = words.next().ok_or(Error::Metadata)?;
            let bytes = BASE64_STANDARD
                .decode(words.next().unwrap_or_default())
                .map_err(|_| Error::Metadata)?;
            if words.next().is_some() {
                return Err(Error::Metadata);
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if values.insert(key.to_owned(), text).is_some() {
                return Err(Error::Metadata);
            }
        }
        Ok(Self {
            raw: Some(raw.to_owned()),
            values,
        })
    }

    /// The file's name as the client gives it: `filename`, or `name` as some clients have it.
    pub fn filename(&self) -> Option<&str> {
        ["filename", "name"]
            .iter()
            .filter_map(|key| self.values.get(*key))
            .map(String::as_str)
            .find(|name| !name.trim().is_empty())
    }
}

/// A date as HTTP writes it (RFC 9110, 5.6.7).
pub fn http_date(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        let check = |text, number: Option<u64>| {
            assert_eq!(offset(&with(UPLOAD_OFFSET, text)).ok(), number, "{text:?}");
        };
        check("0", Some(0));
        check("9000000000000000000", Some(9_000_000_000_000_000_000));
        for text in ["", "+1", "-1", "1.5", "0x10", "1 ", "99999999999999999999"] {
            check(text, None);
        }
        assert_eq!(
            offset(&HeaderMap::new()),
            Err(Error::Missing("Upload-Offset"))
        );
    }

    #[test]
    fn metadata_is_read_and_given_back() {
        let headers = with(UPLOAD_METADATA, "filename cmVlbC5tb3Y=,relative");
        let metadata = Metadata::parse(&headers).unwrap();
        assert_eq!(metadata.filename(), Some("reel.mov"));
        assert_eq!(
            metadata.raw.as_deref(),
            Some("filename cmVlbC5tb3Y=,relative")
        );
        let headers = with(UPLOAD_METADATA, "filetype dmlkZW8=,name eC5tcDQ=");
        assert_eq!(Metadata::parse(&headers).unwrap().filename(), Some("x.mp4"));
    }

    #[test]
    fn empty_metadata_is_none() {
        for text in ["", " "] {
            let metadata = Metadata::parse(&with(UPLOAD_METADATA, text)).unwrap();
            assert_eq!(metadata, Metadata::default());
        }
    }

    #[test]
    fn bad_metadata_is_an_error() {
        for text in [
            "filename !!!",
            "a YQ==,,b YQ==",
            "a YQ==,a YQ==",
            "a YQ== more",
        ] {
            let parsed = Metadata::parse(&with(UPLOAD_METADATA, text));
            assert_eq!(parsed, Err(Error::Metadata), "{text:?}");
        }
        let long = format!("a {}", "A".repeat(METADATA_BYTES_MAX));
        let headers =
            HeaderMap::from_iter([(UPLOAD_METADATA, HeaderValue::try_from(long).unwrap())]);
        assert_eq!(Metadata::parse(&headers), Err(Error::MetadataTooLong));
    }

    #[test]
    fn what_a_client_begins_is_read_from_three_headers() {
        let id = "01890000-0000-7000-8000-000000000000";
        let check = |pairs: &[(HeaderName, String)], expected: Option<Creation>| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::try_from(value).unwrap()));
            let headers: HeaderMap = headers.collect();
            assert_eq!(creation(&headers).ok(), expected, "{pairs:?}");
        };
        let upload = |length, is_part| Some(Creation::Upload { length, is_part });
        let length = (UPLOAD_LENGTH, "7".to_owned());
        let later = (UPLOAD_DEFER_LENGTH, "1".to_owned());
        let concat = |text: &str| (UPLOAD_CONCAT, text.to_owned());
        check(std::slice::from_ref(&length), upload(Some(7), false));
        check(std::slice::from_ref(&later), upload(None, false));
        check(&[length.clone(), concat("partial")], upload(Some(7), true));
        check(&[later.clone(), concat("partial")], upload(None, true));
        let two = format!("final;/a/{id} https://x.example/up/{id}/");
        let parts = vec![id.parse().unwrap(), id.parse().unwrap()];
        check(&[concat(&two)], Some(Creation::Final(parts)));
        check(&[concat(&two), length.clone()], None);
        check(&[concat(&two), later.clone()], None);
        check(&[length.clone(), later], None);
        check(&[(UPLOAD_DEFER_LENGTH, "2".to_owned())], None);
        check(&[concat("partial")], None);
        for bad in [
            "final",
            "final;",
            "final; ",
            "final;/x",
            "finish;/a",
            "Partial",
        ] {
            check(&[length.clone(), concat(bad)], None);
        }
        let many = format!("final;{}", format!("/a/{id} ").repeat(PARTS_MAX + 1));
        check(&[concat(&many)], None);
    }

    #[test]
    fn checksums_are_read_and_unknown_ones_refused() {
        let check = |text| checksum(&with(UPLOAD_CHECKSUM, text));
        let found = check("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").unwrap().unwrap();
        assert_eq!((found.algorithm, found.hash.len()), (Algorithm::Sha1, 20));
        assert!(check("SHA256 AA==").is_ok());
        for bad in ["", "sha1", "sha3 AA==", "sha1 !!", "sha1 AA== x"] {
            assert_eq!(check(bad), Err(Error::Checksum), "{bad}");
        }
        assert!(has_checksum_trailer(&with(
            header::TRAILER,
            "X, upload-checksum"
        )));
        assert!(!has_checksum_trailer(&HeaderMap::new()));
    }

    #[test]
    fn only_post_can_mean_another_method() {
        let headers = with(METHOD_OVERRIDE, "patch");
        assert_eq!(effective_method(&Method::POST, &headers), Method::PATCH);
        assert_eq!(effective_method(&Method::GET, &headers), Method::GET);
        let headers = with(METHOD_OVERRIDE, "BREW");
        assert_eq!(effective_method(&Method::POST, &headers), Method::POST);
    }

    #[test]
    fn dates_are_as_http_writes_them() {
        let at = Timestamp::from_millis(1_795_377_600_250);
        assert_eq!(
            http_date(at).as_deref(),
            Some("Sun, 22 Nov 2026 20:00:00 GMT")
        );
    }
}
