//! Pure: what `[origin]` means: the URL, the provider's preset and the keys that differ from it, as
//! one description of the store.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::path::{Component, Path, PathBuf};

use super::Error;
use super::origin::{Addressing, Checksum, ConditionalPut, Origin, Provider};

/// The store behind the origin, with nothing left to guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    Folder(PathBuf),
    S3(S3),
    Gcs {
        bucket: String,
        prefix: String,
        /// None: Google's own.
        endpoint: Option<String>,
    },
    Azure {
        container: String,
        prefix: String,
        /// None: by the name of the account.
        endpoint: Option<String>,
    },
}

/// A store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    pub provider: Provider,
    pub bucket: String,
    pub prefix: String,
    /// None: AWS's own for the region.
    endpoint: Option<String>,
    /// None: what the environment says, or the first one AWS had.
    pub region: Option<String>,
    pub host_style: bool,
    /// Whether the store heeds `If-Match` and `If-None-Match` on a put.
    pub conditional_put: bool,
    /// Whether each put carries the SHA-256 of its bytes, for the store to keep.
    pub sha256: bool,
}

impl S3 {
    /// The endpoint as the client wants it: with the bucket in the host's name where it stands there.
    pub fn endpoint(&self) -> Option<String> {
        let endpoint = self.endpoint.as_deref()?;
        if !self.host_style {
            return Some(endpoint.to_owned());
        }
        let (scheme, host) = endpoint.split_once("://")?;
        Some(format!("{scheme}://{}.{host}", self.bucket))
    }

    /// The same store, addressed the other way.
    #[must_use]
    pub fn other_style(&self) -> Self {
        Self {
            host_style: !self.host_style,
            ..self.clone()
        }
    }
}

/// What is known of a provider.
struct Preset {
    region: Option<&'static str>,
    host_style: bool,
    conditional_put: bool,
    sha256: bool,
}

const fn preset(provider: Provider) -> Preset {
    let plain = Preset {
        region: Some("us-east-1"),
        host_style: false,
        conditional_put: false,
        sha256: false,
    };
    match provider {
        Provider::Aws => Preset {
            region: None,
            host_style: true,
            conditional_put: true,
            sha256: true,
        },
        Provider::Minio => Preset {
            conditional_put: true,
            ..plain
        },
        Provider::R2 => Preset {
            region: Some("auto"),
            conditional_put: true,
            ..plain
        },
        Provider::Garage => Preset {
            region: Some("garage"),
            ..plain
        },
        // B2 writes the region into the name of its host; the rest has none that matters.
        _ => plain,
    }
}

const KNOWN: &str = "file://PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";

impl Origin {
    /// What the section describes.
    ///
    /// # Errors
    /// A URL or a combination of keys that describes no store; the text names the key and the mend.
    pub fn store(&self) -> Result<Store, Error> {
        let invalid = |key: &str, problem: String| Err(Error::invalid(key, problem));
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return invalid(
                "origin.url",
                format!("{:?} is no origin; write {KNOWN}", shown(&self.url)),
            );
        };
        if rest.contains('@') {
            return invalid(
                "origin.url",
                "a user name or password does not belong in the file, which every machine has; give the node its credentials in its environment (docs/origin.md)".to_owned(),
            );
        }
        if scheme == "file" {
            self.only_for_buckets()?;
            return folder(rest);
        }
        let (bucket, prefix) = bucket_and_prefix(rest)?;
        let endpoint = self.endpoint_url()?;
        let provider = self.provider_for(scheme)?;
        match scheme {
            "gs" => Ok(Store::Gcs {
                bucket,
                prefix,
                endpoint,
            }),
            "az" => Ok(Store::Azure {
                container: bucket,
                prefix,
                endpoint,
            }),
            "s3" => self.s3(provider, bucket, prefix, endpoint).map(Store::S3),
            _ => invalid(
                "origin.url",
                format!("{scheme:?} is no kind of origin that is known; write {KNOWN}"),
            ),
        }
    }

    fn s3(
        &self,
        provider: Provider,
        bucket: String,
        prefix: String,
        endpoint: Option<String>,
    ) -> Result<S3, Error> {
        let preset = preset(provider);
        if provider != Provider::Aws && endpoint.is_none() {
            return Err(Error::invalid(
                "origin.endpoint",
                format!(
                    "a store of {provider} has an address of its own; write it, such as {:?}",
                    example(provider)
                ),
            ));
        }
        let region = match self.region.as_str() {
            "auto" => preset.region.map(str::to_owned),
            region => Some(region.to_owned()),
        };
        let region = match (provider, self.region.as_str(), &endpoint) {
            (Provider::B2, "auto", Some(endpoint)) => b2_region(endpoint).or(region),
            _ => region,
        };
        Ok(S3 {
            // A certificate for *.s3.REGION.amazonaws.com does not cover a name with a dot in it.
            host_style: match self.addressing {
                Addressing::Auto => preset.host_style && !bucket.contains('.'),
                Addressing::Host => true,
                Addressing::Path => false,
            },
            conditional_put: match self.conditional_put {
                ConditionalPut::Auto => preset.conditional_put,
                ConditionalPut::Etag => true,
                ConditionalPut::None => false,
            },
            sha256: match self.checksum {
                Checksum::Auto => preset.sha256,
                Checksum::Sha256 => true,
                Checksum::None => false,
            },
            provider,
            bucket,
            prefix,
            endpoint,
            region,
        })
    }

    /// The provider that is named, or the one that URL and endpoint give away.
    fn provider_for(&self, scheme: &str) -> Result<Provider, Error> {
        let fits = |provider: Provider| match provider {
            Provider::Azure => scheme == "az",
            Provider::Gcs => scheme == "gs",
            _ => scheme == "s3",
        };
        if self.provider != Provider::Auto {
            if fits(self.provider) {
                return Ok(self.provider);
            }
            return Err(Error::invalid(
                "origin.provider",
                format!(
                    "{} is not reached by {scheme}://; write another provider or another origin.url",
                    self.provider
                ),
            ));
        }
        Ok(match scheme {
            "az" => Provider::Azure,
            "gs" => Provider::Gcs,
            _ => match self.endpoint.as_str() {
                "auto" => Provider::Aws,
                endpoint => by_host(host(endpoint)),
            },
        })
    }

    fn endpoint_url(&self) -> Result<Option<String>, Error> {
        let invalid = |problem: &str| Err(Error::invalid("origin.endpoint", problem));
        if self.endpoint == "auto" {
            return Ok(None);
        }
        let Some((scheme, rest)) = self.endpoint.split_once("://") else {
            return invalid("write a whole address, such as \"https://minio.example:9000\"");
        };
        if !matches!(scheme, "http" | "https") || rest.is_empty() {
            return invalid("it begins with https:// or, in a network that is trusted, http://");
        }
        if rest.contains(['?', '#', '@', ' ']) {
            return invalid("it is scheme, host and port, without a user, a query or a blank");
        }
        Ok(Some(self.endpoint.trim_end_matches('/').to_owned()))
    }

    /// A folder has none of these: a key that does nothing would only mislead.
    fn only_for_buckets(&self) -> Result<(), Error> {
        let none = Self::default();
        let set = [
            ("origin.provider", self.provider != none.provider),
            ("origin.endpoint", self.endpoint != none.endpoint),
            ("origin.region", self.region != none.region),
            ("origin.addressing", self.addressing != none.addressing),
            ("origin.ca_file", self.ca_file != none.ca_file),
        ];
        match set.into_iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((key, _)) => Err(Error::invalid(
                key,
                "a file:// origin is a folder and has none; leave it out, or write an origin.url that begins with s3://, gs:// or az://",
            )),
        }
    }
}

fn folder(path: &str) -> Result<Store, Error> {
    let path = Path::new(path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if path.as_os_str().is_empty() || !(path.is_absolute() || inside) {
        return Err(Error::invalid(
            "origin.url",
            "write a whole path, such as file:///srv/reelmesh/origin, or file://./NAME for a folder in the node's data folder",
        ));
    }
    Ok(Store::Folder(path.to_owned()))
}

fn bucket_and_prefix(rest: &str) -> Result<(String, String), Error> {
    let invalid = |problem: String| Err(Error::invalid("origin.url", problem));
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if bucket.is_empty() || !bucket.chars().all(name) {
        return invalid(format!(
            "{:?} cannot be the name of a bucket or container",
            shown(bucket)
        ));
    }
    let prefix = prefix.trim_matches('/');
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.chars().all(|c| name(c) || c == '=')
    };
    if !prefix.is_empty() && !prefix.split('/').all(part) {
        return invalid(format!(
            "{:?} cannot stand in front of every key: parts of letters, digits, '-', '_' and '.', joined by '/'",
            shown(prefix)
        ));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

fn by_host(host: &str) -> Provider {
    let known = [
        ("amazonaws.com", Provider::Aws),
        ("r2.cloudflarestorage.com", Provider::R2),
        ("backblazeb2.com", Provider::B2),
    ];
    known
        .into_iter()
        .find(|(domain, _)| {
            let front = host.strip_suffix(domain);
            front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
        })
        .map_or(Provider::Other, |(_, provider)| provider)
}

fn host(endpoint: &str) -> &str {
    let rest = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    rest.split([':', '/']).next().unwrap_or(rest)
}

/// `https://s3.eu-central-003.backblazeb2.com`
fn b2_region(endpoint: &str) -> Option<String> {
    let front = host(endpoint).strip_suffix(".backblazeb2.com")?;
    Some(front.strip_prefix("s3.")?.to_owned())
}

const fn example(provider: Provider) -> &'static str {
    match provider {
        Provider::R2 => "https://ACCOUNT.r2.cloudflarestorage.com",
        Provider::B2 => "https://s3.eu-central-003.backblazeb2.com",
        _ => "https://s3.example:9000",
    }
}

/// A part of what stands in the file, for a message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<Store, String> {
        let origin: Origin = toml::from_str(text).map_err(|error| error.to_string())?;
        origin.store().map_err(|error| error.to_string())
    }

    fn s3(text: &str) -> S3 {
        match section(text) {
            Ok(Store::S3(s3)) => s3,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn each_provider_needs_only_what_nobody_can_know() {
        let aws = s3("url = \"s3://films/house\"");
        assert_eq!(
            (aws.bucket.as_str(), aws.prefix.as_str()),
            ("films", "house")
        );
        assert!(aws.host_style && aws.conditional_put && aws.sha256);
        assert_eq!((aws.region.as_deref(), aws.endpoint()), (None, None));
        let dotted = s3("url = \"s3://films.example\"");
        assert!(!dotted.host_style, "no certificate covers it");

        let minio =
            s3("url = \"s3://films\"\nprovider = \"minio\"\nendpoint = \"http://minio:9000/\"");
        assert_eq!(minio.endpoint().as_deref(), Some("http://minio:9000"));
        assert_eq!(minio.region.as_deref(), Some("us-east-1"));
        assert!(!minio.host_style && minio.conditional_put && !minio.sha256);
        assert_eq!(
            minio.other_style().endpoint().as_deref(),
            Some("http://films.minio:9000")
        );

        let r2 = s3("url = \"s3://films\"\nendpoint = \"https://a1.r2.cloudflarestorage.com\"");
        assert_eq!(
            (r2.provider, r2.region.as_deref()),
            (Provider::R2, Some("auto"))
        );
        let b2 =
            s3("url = \"s3://films\"\nendpoint = \"https://s3.eu-central-003.backblazeb2.com\"");
        assert_eq!(
            (b2.provider, b2.region.as_deref()),
            (Provider::B2, Some("eu-central-003"))
        );
        assert!(!b2.conditional_put);
        let ceph = s3("url = \"s3://films\"\nprovider = \"ceph\"\nendpoint = \"https://rgw:8443\"");
        assert!(!ceph.conditional_put && !ceph.host_style);
        let other = s3(
            "url = \"s3://films\"\nendpoint = \"https://notbackblazeb2.com\"\nregion = \"here\"\naddressing = \"host\"\nconditional_put = \"etag\"\nchecksum = \"sha256\"",
        );
        assert_eq!(other.provider, Provider::Other);
        assert_eq!(other.region.as_deref(), Some("here"));
        assert!(other.host_style && other.conditional_put && other.sha256);

        assert_eq!(
            section("url = \"gs://films/a/b\"").unwrap(),
            Store::Gcs {
                bucket: "films".to_owned(),
                prefix: "a/b".to_owned(),
                endpoint: None,
            }
        );
        assert!(matches!(
            section("url = \"az://films\"\nendpoint = \"https://house.blob.core.windows.net\""),
            Ok(Store::Azure {
                endpoint: Some(_),
                ..
            })
        ));
    }

    #[test]
    fn what_describes_no_store_names_the_key() {
        for (text, key) in [
            ("url = \"\"", "origin.url"),
            ("url = \"http://host/\"", "origin.url"),
            ("url = \"s3://\"", "origin.url"),
            ("url = \"s3://b/../c\"", "origin.url"),
            ("url = \"s3://b u\"", "origin.url"),
            ("url = \"file://\"", "origin.url"),
            ("url = \"file://../x\"", "origin.url"),
            ("url = \"s3://b\"\nprovider = \"minio\"", "origin.endpoint"),
            ("url = \"s3://b\"\nprovider = \"azure\"", "origin.provider"),
            ("url = \"az://b\"\nprovider = \"minio\"", "origin.provider"),
            (
                "url = \"s3://b\"\nendpoint = \"minio:9000\"",
                "origin.endpoint",
            ),
            (
                "url = \"s3://b\"\nendpoint = \"https://u:p@minio\"",
                "origin.endpoint",
            ),
            ("region = \"eu-west-1\"", "origin.region"),
        ] {
            let error = section(text).unwrap_err();
            assert!(error.starts_with(key), "{text}: {error}");
        }
        let error = section("url = \"s3://KEYID:S3CRET@bucket\"").unwrap_err();
        assert!(
            !error.contains("S3CRET") && error.contains("environment"),
            "{error}"
        );
    }
}
