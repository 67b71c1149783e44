//! What a browser, a CDN and a clock would see of a store: over signed URLs, as they ask.

use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::signer::Method;
use reqwest::header::HeaderMap;

use super::super::SIGNED_FOR;
use super::{Check, HEADERS, Seen, Tried};

/// A clock that is off by more is worth a word; stores refuse signatures after a quarter of an hour.
const SKEW_MAX_S: u64 = 60;

impl Check {
    /// What those who read the store directly are told.
    pub(super) async fn headers(&self) -> Tried {
        if !self.origin.inner.keeps_headers {
            return Ok(Seen::skipped(
                "a folder keeps none; nodes know them by the name",
            ));
        }
        let answer = match self.as_a_browser(Method::GET).await {
            Ok(answer) => answer,
            Err(why) => return Ok(Seen::skipped(why)),
        };
        let (kind, cache) = (
            text(&answer.headers, "content-type"),
            text(&answer.headers, "cache-control"),
        );
        let mut wrong = Vec::new();
        for (name, found, sent) in [
            ("Content-Type", kind, HEADERS.content_type),
            ("Cache-Control", cache, HEADERS.cache_control),
        ] {
            if found != sent {
                wrong.push(format!("{name} is {found:?} instead of {sent:?}"));
            }
        }
        Ok(if wrong.is_empty() {
            Seen::ok("media type and cache lifetime come back as they were sent")
        } else {
            Seen::warning(
                wrong.join(", "),
                "matters only where players or a CDN read the store directly: let the CDN set them by the ending of the name, or point it at the nodes",
            )
        })
    }

    pub(super) async fn clock(&self) -> Tried {
        let before = SystemTime::now();
        let answer = match self.as_a_browser(Method::GET).await {
            Ok(answer) => answer,
            Err(why) => return Ok(Seen::skipped(why)),
        };
        let Some(theirs) = date(&text(&answer.headers, "date")) else {
            return Ok(Seen::skipped("the store does not tell its time"));
        };
        let ours = before + before.elapsed().unwrap_or_default() / 2;
        let skew = ours
            .duration_since(theirs)
            .unwrap_or_else(|error| error.duration())
            .as_secs();
        let side = if ours > theirs { "ahead of" } else { "behind" };
        Ok(if skew <= SKEW_MAX_S {
            Seen::ok(format!("the clocks differ by {skew} s"))
        } else {
            Seen::failed(
                format!("this machine's clock is {skew} s {side} the store's"),
                "set it, best with NTP: stores refuse requests whose time is far off",
            )
        })
    }

    /// Whether anybody may read, which a CDN without keys would need.
    pub(super) async fn public(&self) -> Tried {
        let url = match self.signed(Method::GET).await {
            Ok(url) => url,
            Err(why) => return Ok(Seen::skipped(why)),
        };
        let bare = url.split('?').next().unwrap_or_default();
        Ok(match client().get(bare).send().await {
            Ok(answer) if answer.status().is_success() => {
                Seen::ok("anybody who knows a name may read it")
            }
            Ok(answer) => Seen::ok(format!(
                "the bucket is private (HTTP {}): viewers go through the nodes, or a CDN that has a key",
                answer.status().as_u16()
            )),
            Err(error) => Seen::skipped(error.without_url().to_string()),
        })
    }

    /// What a browser asks before a player may fetch a part of a segment from another host.
    pub(super) async fn cors_preflight(&self) -> Tried {
        let url = match self.signed(Method::GET).await {
            Ok(url) => url,
            Err(why) => return Ok(Seen::skipped(why)),
        };
        let bare = url.split('?').next().unwrap_or_default();
        let asked = client()
            .request(Method::OPTIONS, bare)
            .header("Origin", &self.web_origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "range");
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(Seen::skipped(error.without_url().to_string())),
        };
        let status = answer.status();
        let allowed = text(answer.headers(), "access-control-allow-origin");
        let headers = text(answer.headers(), "access-control-allow-headers").to_lowercase();
        let fits = status.is_success()
            && (allowed == "*" || allowed == self.web_origin)
            && (headers == "*" || headers.split(',').any(|header| header.trim() == "range"));
        Ok(if fits {
            Seen::ok(format!("scripts of {} may ask for parts", self.web_origin))
        } else {
            Seen::warning(
                format!(
                    "scripts of {} may not ask for parts (HTTP {})",
                    self.web_origin,
                    status.as_u16()
                ),
                CORS,
            )
        })
    }

    pub(super) async fn cors_get(&self) -> Tried {
        let answer = match self.as_a_browser(Method::GET).await {
            Ok(answer) => answer,
            Err(why) => return Ok(Seen::skipped(why)),
        };
        let allowed = text(&answer.headers, "access-control-allow-origin");
        let exposed = text(&answer.headers, "access-control-expose-headers").to_lowercase();
        if allowed != "*" && allowed != self.web_origin {
            return Ok(Seen::warning(
                format!(
                    "scripts of {} may not read what they fetch",
                    self.web_origin
                ),
                CORS,
            ));
        }
        let shows = |name: &str| exposed == "*" || exposed.split(',').any(|h| h.trim() == name);
        let hidden: Vec<&str> = ["content-length", "content-range", "etag"]
            .into_iter()
            .filter(|name| !shows(name))
            .collect();
        Ok(if hidden.is_empty() {
            Seen::ok(format!("scripts of {} may read it", self.web_origin))
        } else {
            Seen::warning(
                format!("scripts may read it, but not {}", hidden.join(", ")),
                "add them to the exposed headers of the bucket's CORS rule (docs/origin.md)",
            )
        })
    }

    async fn signed(&self, method: Method) -> Result<String, String> {
        let signer = self.origin.inner.signer.as_ref();
        let signer = signer.ok_or_else(|| {
            "nobody reads a folder but the nodes, which say all that a browser wants".to_owned()
        })?;
        let path: Path = self
            .origin
            .path(&self.segment())
            .map_err(|error| error.to_string())?;
        let url = signer.signed_url(method, &path, SIGNED_FOR).await;
        url.map(String::from).map_err(|_| {
            "these credentials cannot sign a URL, so what a browser would see was not tried"
                .to_owned()
        })
    }

    /// Fetches the segment as a script of the page would.
    async fn as_a_browser(&self, method: Method) -> Result<Answer, String> {
        let url = self.signed(method).await?;
        let asked = client().get(url).header("Origin", &self.web_origin);
        let answer = asked
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!(
                "a signed URL is answered with HTTP {}",
                answer.status().as_u16()
            ));
        }
        Ok(Answer {
            headers: answer.headers().clone(),
        })
    }
}

const CORS: &str = "matters only where players read the store directly: give the bucket a CORS rule with GET, HEAD, the header Range and your pages as origins (docs/origin.md)";

struct Answer {
    headers: HeaderMap,
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap_or_default()
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// `Tue, 24 Nov 2026 10:00:00 GMT`
fn date(text: &str) -> Option<SystemTime> {
    let civil = jiff::fmt::rfc2822::parse(text).ok()?;
    let seconds = u64::try_from(civil.timestamp().as_second()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read() {
        let at = date("Thu, 01 Jan 1970 00:01:00 GMT").unwrap();
        assert_eq!(at, SystemTime::UNIX_EPOCH + Duration::from_mins(1));
        assert_eq!(date("soon"), None);
    }
}
