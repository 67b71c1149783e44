//! `[origin]`: where everything derived from an original lies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;
use super::units::{ByteSize, Span};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// `file://PATH`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
    pub url: String,
    /// Whether a `file://` origin is one folder that all machines see.
    pub shared: bool,
    pub provider: Provider,
    /// Address of the store, or `auto`.
    pub endpoint: String,
    /// Region of the bucket, or `auto`.
    pub region: String,
    pub addressing: Addressing,
    pub conditional_put: ConditionalPut,
    pub checksum: Checksum,
    /// PEM file with the authority that signed the store's certificate; empty: the system's.
    pub ca_file: String,
    /// Requests under way to the store at once, of each node.
    pub requests_at_once: u32,
    /// Larger objects are sent in parts of this size.
    pub part_size: ByteSize,
    /// Longest wait for one answer.
    pub request_timeout: Span,
    /// How often a request that may pass by itself is tried again.
    pub retries: u32,
    /// Whether a video that is still rendered can be watched from the store itself.
    pub growing_playlists: bool,
    /// How long the segments of a deleted or replaced video stay after its playlists.
    pub retired_grace: Span,
    /// How often the store is searched for what nothing names; 0s: never.
    pub sweep_every: Span,
    /// What is younger is never swept.
    pub sweep_grace: Span,
}

/// Who runs the store: decides what is right where a key says `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// By the URL and the endpoint.
    Auto,
    Aws,
    Minio,
    Ceph,
    Garage,
    R2,
    B2,
    Gcs,
    Azure,
    /// Something that speaks S3.
    Other,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Aws => "AWS",
            Self::Minio => "MinIO",
            Self::Ceph => "Ceph",
            Self::Garage => "Garage",
            Self::R2 => "Cloudflare R2",
            Self::B2 => "Backblaze B2",
            Self::Gcs => "Google Cloud Storage",
            Self::Azure => "Azure",
            Self::Other => "another provider",
        })
    }
}

/// Where an S3 request names the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    Auto,
    /// `https://host/bucket/key`
    Path,
    /// `https://bucket.host/key`
    Host,
}

/// Whether an S3 store heeds conditions on a put. One that does not may ignore them silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConditionalPut {
    Auto,
    Etag,
    None,
}

/// What an S3 put carries beside its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    Auto,
    Sha256,
    None,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            url: "file://./origin".to_owned(),
            shared: false,
            provider: Provider::Auto,
            endpoint: "auto".to_owned(),
            region: "auto".to_owned(),
            addressing: Addressing::Auto,
            conditional_put: ConditionalPut::Auto,
            checksum: Checksum::Auto,
            ca_file: String::new(),
            requests_at_once: 16,
            part_size: ByteSize::from_bytes(8 << 20),
            request_timeout: Span::from_millis(30_000),
            retries: 3,
            growing_playlists: true,
            retired_grace: Span::from_millis(26 * 3_600_000),
            sweep_every: Span::from_millis(86_400_000),
            sweep_grace: Span::from_millis(2 * 86_400_000),
        }
    }
}

/// Keys under which somebody might write a secret, and where it belongs.
const SECRETS: [(&str, &str); 14] = [
    ("access_key", AWS),
    ("access_key_id", AWS),
    ("aws_access_key_id", AWS),
    ("secret_key", AWS),
    ("secret_access_key", AWS),
    ("aws_secret_access_key", AWS),
    ("session_token", AWS),
    ("token", AWS),
    ("password", AWS),
    ("account_key", AZURE),
    ("sas_token", AZURE),
    ("client_secret", AZURE),
    ("connection_string", AZURE),
    ("service_account_key", GCS),
];
const AWS: &str = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
const AZURE: &str = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
const GCS: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Refuses a file with a credential in it, and says where it belongs; the value is never repeated.
pub(super) fn refuse_secrets(file: &toml::Table) -> Result<(), Error> {
    let Some(origin) = file.get("origin").and_then(toml::Value::as_table) else {
        return Ok(());
    };
    let found = SECRETS.iter().find(|(key, _)| origin.contains_key(*key));
    match found {
        None => Ok(()),
        Some((key, variables)) => Err(Error::invalid(
            format!("origin.{key}"),
            format!(
                "a credential does not belong in the file, which every machine and its backups have; take it out, make a new one, and give it to the node in its environment as {variables} (docs/origin.md)"
            ),
        )),
    }
}

impl Origin {
    /// Several nodes publish into one origin, and read from it what others have published.
    pub(super) fn check_reach(&self, one_machine: bool) -> Result<(), Error> {
        let invalid = |problem: &str| Err(Error::invalid("origin.url", problem));
        let Some(path) = self.url.strip_prefix("file://") else {
            return Ok(());
        };
        if path.starts_with("./") {
            return invalid(
                "each node would have an origin of its own in its data folder; write one that all nodes reach, such as file:///srv/reelmesh/origin",
            );
        }
        if !one_machine && !self.shared {
            return invalid(
                "the nodes run on several machines, and a folder is on one; if it is a network mount that all of them see, say so with origin.shared = true",
            );
        }
        Ok(())
    }

    /// Whether it is a folder on the disk of this machine.
    pub fn is_near(&self) -> bool {
        self.url.starts_with("file://") && !self.shared
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.store()?;
        let between = |key: &str, value: u64, least: u64, most: u64, unit: &str| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(
                format!("origin.{key}"),
                format!("{value}{unit} is not between {least}{unit} and {most}{unit}"),
            ))
        };
        let part_mib = self.part_size.as_bytes() >> 20;
        between(
            "requests_at_once",
            self.requests_at_once.into(),
            1,
            1024,
            "",
        )?;
        // S3 refuses parts below 5 MiB, and parts are held in memory.
        between("part_size", part_mib, 5, 256, "MiB")?;
        let timeout_s = self.request_timeout.as_millis() / 1000;
        between("request_timeout", timeout_s, 1, 600, "s")?;
        between("retries", self.retries.into(), 0, 10, "")?;
        // A playlist that somebody has just read names segments that he is about to ask for.
        let grace_s = self.retired_grace.as_millis() / 1000;
        between("retired_grace", grace_s, 60, 366 * 86_400, "s")?;
        let sweep_grace_s = self.sweep_grace.as_millis() / 1000;
        between("sweep_grace", sweep_grace_s, 3600, 366 * 86_400, "s")?;
        let every_s = self.sweep_every.as_millis() / 1000;
        if self.sweep_every.as_millis() != 0 {
            between("sweep_every", every_s, 3600, 366 * 86_400, "s")?;
        }
        Ok(())
    }
}
