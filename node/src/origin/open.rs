//! Makes the client of a store from its description and the credentials of the environment.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::Error;
use super::credentials::SharedFile;
use crate::config;
use crate::config::Provider;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Pauses between tries of one request; each is drawn at random up to a bound that doubles.
const BACKOFF_INIT: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Reads the environment; a test gives its own.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// A store and what it can do beside reading and writing.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    /// Signs requests that `object_store` has no call for.
    pub(super) signer: Option<Arc<dyn Signer>>,
    /// Knows uploads that were begun by number.
    pub(super) multiparts: Option<Arc<dyn MultipartStore>>,
    /// Whether objects keep their media type and how long they may be cached.
    pub(super) keeps_headers: bool,
    /// Whether a put may be bound to what is there.
    pub(super) conditional_put: bool,
    pub(super) folder: Option<PathBuf>,
    pub(super) provider: Option<Provider>,
}

/// Variables with which `object_store` finds keys for S3.
const AWS_VARIABLES: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// The same for Azure.
const AZURE_VARIABLES: [&str; 10] = [
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
];

/// Opens the store that `section` describes.
pub(super) fn open(
    section: &config::Origin,
    data_dir: &FilePath,
    environment: Environment<'_>,
) -> Result<Opened, Error> {
    let described = section.store().map_err(|error| Error::Described {
        text: error.to_string(),
    })?;
    match described {
        config::Store::Folder(path) => folder(&data_dir.join(path)),
        config::Store::S3(s3) => bucket(section, &s3, environment),
        config::Store::Gcs {
            bucket,
            prefix,
            endpoint,
        } => google(section, bucket, &prefix, endpoint.as_deref(), environment),
        config::Store::Azure {
            container,
            prefix,
            endpoint,
        } => azure(section, container, &prefix, endpoint, environment),
    }
}

fn folder(path: &FilePath) -> Result<Opened, Error> {
    let failed = |source| Error::Folder {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    let store = LocalFileSystem::new_with_prefix(path)
        .map_err(Error::of("open", &path.to_string_lossy()))?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    Ok(Opened {
        store: Arc::new(store),
        // A folder is its own prefix.
        prefix: Path::default(),
        signer: None,
        multiparts: None,
        keeps_headers: false,
        conditional_put: false,
        folder: Some(path.to_owned()),
        provider: None,
    })
}

/// An S3 client for `s3`.
pub(super) fn s3_client(
    section: &config::Origin,
    s3: &config::S3,
    environment: Environment<'_>,
) -> Result<AmazonS3, Error> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_virtual_hosted_style_request(s3.host_style)
        .with_disable_tagging(true)
        .with_client_options(client_options(section, s3.endpoint().as_deref())?)
        .with_retry(retries(section));
    for variable in AWS_VARIABLES {
        if let (Some(value), Ok(key)) = (environment(variable), variable.to_lowercase().parse()) {
            builder = builder.with_config(key, value);
        }
    }
    if environment("AWS_ACCESS_KEY_ID").is_none()
        && environment("AWS_WEB_IDENTITY_TOKEN_FILE").is_none()
        && let Some(keys) = shared_file(environment)
    {
        builder = builder.with_credentials(Arc::new(keys));
    }
    let region = s3.region.clone();
    let region = region
        .or_else(|| environment("AWS_REGION"))
        .or_else(|| environment("AWS_DEFAULT_REGION"));
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = s3.endpoint() {
        builder = builder.with_endpoint(endpoint);
    }
    if s3.sha256 {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    builder = builder.with_conditional_put(if s3.conditional_put {
        S3ConditionalPut::ETagMatch
    } else {
        S3ConditionalPut::Disabled
    });
    builder.build().map_err(Error::of("open", &section.url))
}

fn shared_file(environment: Environment<'_>) -> Option<SharedFile> {
    let named = environment("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let usual = || Some(PathBuf::from(environment("HOME")?).join(".aws/credentials"));
    let profile = environment("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    SharedFile::open(&named.or_else(usual)?, &profile)
}

fn bucket(
    section: &config::Origin,
    s3: &config::S3,
    environment: Environment<'_>,
) -> Result<Opened, Error> {
    let store = Arc::new(s3_client(section, s3, environment)?);
    Ok(Opened {
        store: Arc::clone(&store) as _,
        prefix: Path::from(s3.prefix.as_str()),
        signer: Some(Arc::clone(&store) as _),
        multiparts: Some(store),
        keeps_headers: true,
        conditional_put: s3.conditional_put,
        folder: None,
        provider: Some(s3.provider),
    })
}

fn google(
    section: &config::Origin,
    bucket: String,
    prefix: &str,
    endpoint: Option<&str>,
    environment: Environment<'_>,
) -> Result<Opened, Error> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_client_options(client_options(section, endpoint)?)
        .with_retry(retries(section));
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(endpoint);
    }
    if let Some(path) = environment("GOOGLE_APPLICATION_CREDENTIALS") {
        builder = builder.with_application_credentials(path);
    }
    let store: GoogleCloudStorage = builder.build().map_err(Error::of("open", &section.url))?;
    let store = Arc::new(store);
    Ok(Opened {
        store: Arc::clone(&store) as _,
        prefix: Path::from(prefix),
        signer: Some(Arc::clone(&store) as _),
        multiparts: Some(store),
        keeps_headers: true,
        conditional_put: true,
        folder: None,
        provider: Some(Provider::Gcs),
    })
}

fn azure(
    section: &config::Origin,
    container: String,
    prefix: &str,
    endpoint: Option<String>,
    environment: Environment<'_>,
) -> Result<Opened, Error> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(container)
        .with_disable_tagging(true)
        .with_client_options(client_options(section, endpoint.as_deref())?)
        .with_retry(retries(section));
    for variable in AZURE_VARIABLES {
        if let (Some(value), Ok(key)) = (environment(variable), variable.to_lowercase().parse()) {
            builder = builder.with_config(key, value);
        }
    }
    let named = environment("AZURE_STORAGE_ACCOUNT_NAME");
    let account = named.or_else(|| account(endpoint.as_deref()?));
    let account = account.ok_or_else(|| Error::Described {
        text: "origin.endpoint: the storage account is not known; write https://ACCOUNT.blob.core.windows.net, or set AZURE_STORAGE_ACCOUNT_NAME in the environment of the node".to_owned(),
    })?;
    builder = builder.with_account(account);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let store: MicrosoftAzure = builder.build().map_err(Error::of("open", &section.url))?;
    let store = Arc::new(store);
    Ok(Opened {
        store: Arc::clone(&store) as _,
        prefix: Path::from(prefix),
        signer: Some(store),
        // Blocks that were not put together are dropped by the store after a week.
        multiparts: None,
        keeps_headers: true,
        conditional_put: true,
        folder: None,
        provider: Some(Provider::Azure),
    })
}

/// `https://ACCOUNT.blob.core.windows.net`, or `http://host:port/ACCOUNT` as an emulator has it.
fn account(endpoint: &str) -> Option<String> {
    let (_, rest) = endpoint.split_once("://")?;
    match rest.split_once('/') {
        Some((_, account)) => Some(account.to_owned()),
        None => Some(rest.split_once(".blob.")?.0.to_owned()),
    }
}

fn client_options(
    section: &config::Origin,
    endpoint: Option<&str>,
) -> Result<ClientOptions, Error> {
    // The client takes an address that it cannot read for a bug of its own, and panics.
    if let Some(endpoint) = endpoint
        && let Err(error) = reqwest::Url::parse(endpoint)
    {
        return Err(Error::Described {
            text: format!(
                "origin.endpoint: {endpoint} is no address ({error}); write one such as \"https://minio.example:9000\", and addressing = \"path\" if it is a number"
            ),
        });
    }
    // Whoever comes first chooses; all choose the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut options = ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")))
        .with_connect_timeout(CONNECT_TIMEOUT)
        // Of one read: a large object may take longer as a whole.
        .with_read_timeout(section.request_timeout.into())
        .with_timeout_disabled();
    if !section.ca_file.is_empty() {
        let path = PathBuf::from(&section.ca_file);
        let unread = |source| Error::File {
            path: path.clone(),
            source,
        };
        let pem = std::fs::read(&path).map_err(unread)?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| Error::Described {
            text: format!(
                "origin.ca_file: {} holds no certificate in PEM form",
                section.ca_file
            ),
        })?;
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

/// The one layer that retries a request.
fn retries(section: &config::Origin) -> RetryConfig {
    let timeout: Duration = section.request_timeout.into();
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: BACKOFF_INIT,
            max_backoff: BACKOFF_MAX,
            base: 2.0,
        },
        max_retries: section.retries as usize,
        retry_timeout: timeout * 2,
    }
}
