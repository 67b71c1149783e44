//! Pure: what a store said when it refused, in a few words, and what to do about it.
//!
//! Of an answer only code and message are shown: the rest may hold what was signed.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// Longest text of a store that is repeated.
const SAID_MAX: usize = 300;

/// A refusal in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// What the store said, or what became of the request.
    pub(super) said: String,
    /// What to do, as far as it is known.
    pub(super) mend: Option<&'static str>,
    pub(super) class: Class,
}

/// What a refusal says of the requests to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The store cannot be reached or does not work: nothing else will do either.
    Away,
    /// It answers and does not let this node in: nothing else will do either.
    Refused,
    /// There is no such bucket.
    NoBucket,
    /// Only this request.
    Other,
}

/// Codes and words of stores, and what they mean; the first that is found counts.
const KNOWN: [(&[&str], Class, &str); 17] = [
    (
        &[
            "NoSuchBucket",
            "ContainerNotFound",
            "The specified bucket does not exist",
        ],
        Class::NoBucket,
        "make the bucket or container, or mend its name in origin.url",
    ),
    (
        &["RequestTimeTooSkewed"],
        Class::Refused,
        "set this machine's clock, best with NTP",
    ),
    (
        &[
            "169.254.169.254",
            "169.254.170.2",
            "metadata.google.internal",
        ],
        Class::Refused,
        "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_ACCOUNT_KEY or GOOGLE_APPLICATION_CREDENTIALS in the environment of the node",
    ),
    (
        &["InvalidAccessKeyId", "InvalidClientTokenId", "NotSignedUp"],
        Class::Refused,
        "the store does not know the access key: mend AWS_ACCESS_KEY_ID, and see that origin.endpoint is the store it belongs to",
    ),
    (
        &[
            "SignatureDoesNotMatch",
            "AuthenticationFailed",
            "InvalidSignature",
        ],
        Class::Refused,
        "the secret does not fit the key: mend AWS_SECRET_ACCESS_KEY or AZURE_STORAGE_ACCOUNT_KEY, and origin.region",
    ),
    (
        &["ExpiredToken", "TokenExpired"],
        Class::Refused,
        "the credentials have expired: give the node new ones",
    ),
    (
        &[
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "IllegalLocationConstraintException",
            "redirect without LOCATION",
            "TemporaryRedirect",
        ],
        Class::Refused,
        "the bucket lies in another region: write it as origin.region",
    ),
    (
        &[
            "SlowDown",
            "TooManyRequests",
            "HTTP 429",
            "ServerBusy",
            "HTTP 503",
        ],
        Class::Away,
        "the store asks for fewer requests: this passes; if it does not, lower origin.requests_at_once",
    ),
    (
        &["NotImplemented", "HTTP 501", "not yet implemented"],
        Class::Other,
        "the store does not know this request: try origin.conditional_put = \"none\" and origin.checksum = \"none\"",
    ),
    (
        &[
            "BadDigest",
            "InvalidDigest",
            "XAmzContentSHA256Mismatch",
            "MissingContentMD5",
        ],
        Class::Other,
        "the bytes changed on the way, or the store takes no checksums: try origin.checksum = \"none\"",
    ),
    (
        &["EntityTooSmall", "InvalidPart", "EntityTooLarge"],
        Class::Other,
        "the store wants parts of another size: change origin.part_size",
    ),
    (
        &["QuotaExceeded", "StorageFull", "No space left", "HTTP 507"],
        Class::Away,
        "the store is full: make room",
    ),
    (
        &[
            "AccessDenied",
            "AuthorizationFailure",
            "AuthorizationPermissionMismatch",
            "HTTP 403",
            "HTTP 401",
        ],
        Class::Refused,
        "the key may not do this: let it put, get, list and delete objects and abort multipart uploads in this bucket",
    ),
    (
        &["certificate", "UnknownIssuer"],
        Class::Away,
        "the store's certificate is not trusted here: name its authority with origin.ca_file",
    ),
    (
        &["dns error", "failed to lookup", "Name or service not known"],
        Class::Away,
        "there is no such host: mend origin.endpoint, or the name service of this machine",
    ),
    (
        &[
            "Connection refused",
            "tcp connect error",
            "error trying to connect",
            "Connect",
        ],
        Class::Away,
        "nothing answers there: start the store, let the connection through, or mend origin.endpoint",
    ),
    (
        &["timed out", "timeout", "operation timed out"],
        Class::Away,
        "no answer in time: look at the network; a slow store wants a longer origin.request_timeout",
    ),
];

/// Explains the texts of an error and its sources, outermost first.
pub(super) fn explain(chain: &[String]) -> Told {
    let whole = chain.join(": ");
    let root = chain.last().map_or("", String::as_str);
    let status = status(&whole);
    let said = match (element(&whole, "Code"), element(&whole, "Message")) {
        // Azure goes on with the number and the time of the request.
        (Some(code), Some(message)) => {
            let message = message.split("RequestId:").next().unwrap_or(message);
            format!("{code}, {message}")
        }
        (Some(code), None) => code.to_owned(),
        _ => match status {
            // The body of a proxy in between is a page, not an answer.
            Some(status) if whole.contains("<html") || whole.contains("<HTML") => {
                format!("HTTP {status} with a page; a proxy stands in between")
            }
            Some(status) => format!("HTTP {status}"),
            None => root.to_owned(),
        },
    };
    // Codes are looked for where the store wrote them; a key may hold any digits.
    let status_word = status.map_or(String::new(), |status| format!("HTTP {status}"));
    let evidence = format!("{said} {root} {status_word} {}", metadata(&whole));
    let known = KNOWN
        .iter()
        .find(|(words, ..)| words.iter().any(|word| evidence.contains(word)));
    let class = match (known, status) {
        (Some((_, class, _)), _) => *class,
        (None, Some(status)) if status >= 500 => Class::Away,
        (None, _) => Class::Other,
    };
    Told {
        said: tidy(&said),
        mend: known.map(|(.., mend)| *mend),
        class,
    }
}

/// The address of the machine's own metadata, if that was what was asked.
fn metadata(text: &str) -> &str {
    KNOWN[2]
        .0
        .iter()
        .find(|host| text.contains(**host))
        .copied()
        .unwrap_or("")
}

/// `... status code: 403 Forbidden: ...`
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside.trim()).filter(|inside| !inside.is_empty())
}

/// One line, without queries of URLs, where signatures stand.
fn tidy(text: &str) -> String {
    let words = text
        .split_whitespace()
        .map(|word| match word.split_once('?') {
            Some((front, _)) if front.contains("://") => front,
            _ => word,
        });
    let line = words.collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    line.chars().take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Told {
        explain(&["Generic S3 error".to_owned(), text.to_owned()])
    }

    #[test]
    fn a_refusal_names_what_the_store_said_and_the_mend() {
        for (text, said, mend, class) in [
            (
                "Server returned non-2xx status code: 404 Not Found: <?xml?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>",
                "NoSuchBucket, The specified bucket does not exist",
                "origin.url",
                Class::NoBucket,
            ),
            (
                "status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><Message>Wrong.</Message><StringToSign>AKIA-SECRET</StringToSign></Error>",
                "SignatureDoesNotMatch, Wrong",
                "AWS_SECRET_ACCESS_KEY",
                Class::Refused,
            ),
            (
                "status code: 403 Forbidden: <Error><Code>RequestTimeTooSkewed</Code></Error>",
                "RequestTimeTooSkewed",
                "NTP",
                Class::Refused,
            ),
            (
                "status code: 400 Bad Request: <Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'a' is wrong; expecting 'b'</Message></Error>",
                "AuthorizationHeaderMalformed, the region 'a' is wrong; expecting 'b'",
                "origin.region",
                Class::Refused,
            ),
            (
                "status code: 503 Service Unavailable: ",
                "HTTP 503",
                "requests_at_once",
                Class::Away,
            ),
            (
                "error sending request for url: tcp connect error: Connection refused (os error 111)",
                "error sending request for url: tcp connect error: Connection refused (os error 111)",
                "start the store",
                Class::Away,
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "invalid peer certificate: UnknownIssuer",
                "ca_file",
                Class::Away,
            ),
        ] {
            let told = told(text);
            assert_eq!(told.said, said);
            assert!(told.mend.unwrap().contains(mend), "{told:?}");
            assert_eq!(told.class, class, "{text}");
        }
        let page = told("status code: 502 Bad Gateway: <html>sorry</html>");
        assert!(page.said.contains("proxy") && page.class == Class::Away);
        let none = told("Error performing PUT http://169.254.169.254/latest/api/token");
        assert!(none.mend.unwrap().contains("no credentials"), "{none:?}");
    }

    #[test]
    fn no_signature_is_repeated() {
        let seen = told("cannot read https://s3.example/b/k?X-Amz-Signature=abc&X=1 at all");
        assert_eq!(seen.said, "cannot read https://s3.example/b/k at all");
        assert!(told("x".repeat(5000).as_str()).said.len() <= SAID_MAX);
    }
}
