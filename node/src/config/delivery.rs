//! `[delivery]`: how viewers get what the origin holds.

use serde::{Deserialize, Serialize};

use super::Error;
use super::units::{ByteSize, Span};

/// Less than this holds no segment of a large picture.
const MEMORY_MIN: u64 = 16 << 20;

/// More would take from other viewers what nobody may want.
const READ_AHEAD_MAX: u16 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Segments and playlists that a node keeps in memory.
    pub cache_memory: ByteSize,
    /// And on its disk.
    pub cache_disk: ByteSize,
    /// Segments that are fetched before their viewer asks for them.
    pub read_ahead: u16,
    /// In front of every path that viewers are given: the CDN. Empty: the node that is asked.
    pub base_url: String,
    /// Playback needs a grant.
    pub private: bool,
    /// How long a grant lasts at least.
    pub grant_life: Span,
    /// After this long another key signs grants; the one before stays valid as long again.
    pub key_life: Span,
    pub signature: Signature,
    /// Run for each generation that is taken away, to make a CDN forget it. Empty: none.
    pub purge_command: Vec<String>,
}

/// How grants are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signature {
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// What the module `secure_link` of nginx can check.
    #[serde(rename = "nginx-md5")]
    NginxMd5,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            cache_memory: ByteSize::from_bytes(256 << 20),
            cache_disk: ByteSize::from_bytes(10 << 30),
            read_ahead: 2,
            base_url: String::new(),
            private: false,
            grant_life: Span::from_millis(6 * 3_600_000),
            key_life: Span::from_millis(30 * 24 * 3_600_000),
            signature: Signature::HmacSha256,
            purge_command: Vec::new(),
        }
    }
}

impl Delivery {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.cache_memory.as_bytes() < MEMORY_MIN {
            return Err(Error::invalid(
                "delivery.cache_memory",
                format!(
                    "{} is too little to hold a few segments; write at least 16MiB",
                    self.cache_memory
                ),
            ));
        }
        if self.read_ahead > READ_AHEAD_MAX {
            return Err(Error::invalid(
                "delivery.read_ahead",
                format!(
                    "{} is too many; write at most {READ_AHEAD_MAX}",
                    self.read_ahead
                ),
            ));
        }
        if !is_base_url(&self.base_url) {
            return Err(Error::invalid(
                "delivery.base_url",
                format!(
                    "{:?} is no address to put in front of a path; write one such as \"https://cdn.example.com\"",
                    self.base_url
                ),
            ));
        }
        let grant_ms = protocol::time::Span::from(self.grant_life).as_millis();
        let key_ms = protocol::time::Span::from(self.key_life).as_millis();
        if !(60_000..=7 * 24 * 3_600_000).contains(&grant_ms) {
            return Err(Error::invalid(
                "delivery.grant_life",
                format!("{} is not between 1min and 7d", self.grant_life),
            ));
        }
        if key_ms < grant_ms.saturating_mul(2) {
            return Err(Error::invalid(
                "delivery.key_life",
                format!(
                    "{} is too short: grants last up to {} and must not outlive their key",
                    self.key_life, self.grant_life
                ),
            ));
        }
        Ok(())
    }
}

/// Empty, or `http(s)://host[:port][/path]` without an end that would double a slash.
fn is_base_url(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_~:/[]".contains(&b);
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.ends_with('/')
            && rest.bytes().all(plain)
    })
}
