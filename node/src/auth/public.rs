//! The certificate that browsers and players see, from files that somebody else renews.
//!
//! Nodes know each other by the certificates of their own authority; this one is for everybody else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::authority::provider;

/// ALPN name of HTTP/3.
pub const HTTP3: &[u8] = b"h3";

/// The files are looked at this often.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Why there is no such certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    #[error("certificate and key do not make TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Cheap to clone; every clone changes when the files do.
#[derive(Debug, Clone)]
pub struct Certificate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the chain in `certificate`, the server's first, and its `key`, both as PEM.
    ///
    /// # Errors
    /// A file cannot be read, or the two do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let current = RwLock::new(Arc::new(load(certificate, key)?));
        Ok(Self {
            inner: Arc::new(Inner {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                current,
            }),
        })
    }

    /// TLS over TCP: HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// Never with the provider that is built in.
    pub fn server_config(&self) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(provider());
        let mut config = builder
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.inner) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// On the QUIC endpoint: this certificate for HTTP/3, and for all else what `config` has.
    pub fn join(&self, config: &mut ServerConfig) {
        config.cert_resolver = Arc::new(ByProtocol {
            public: Arc::clone(&self.inner),
            others: Arc::clone(&config.cert_resolver),
        });
    }

    /// Takes up what changes on disk, until `shutdown`.
    pub async fn follow(self, shutdown: CancellationToken) {
        let mut seen = self.inner.modified();
        let work = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let now = self.inner.modified();
                if now == seen {
                    continue;
                }
                match load(&self.inner.certificate, &self.inner.key) {
                    Ok(key) => {
                        self.inner.set(key);
                        info!(path = %self.inner.certificate.display(), "a new certificate is in use");
                        seen = now;
                    }
                    // Half of it may be written; the old one goes on until it fits.
                    Err(error) => warn!(%error, "the new certificate cannot be used yet"),
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
    }
}

impl Inner {
    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).ok()?.modified().ok())
    }

    fn set(&self, key: CertifiedKey) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Inner {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// One endpoint, two audiences.
#[derive(Debug)]
struct ByProtocol {
    public: Arc<Inner>,
    others: Arc<dyn ResolvesServerCert>,
}

impl ResolvesServerCert for ByProtocol {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let http3 = hello
            .alpn()
            .is_some_and(|mut names| names.any(|name| name == HTTP3));
        if http3 {
            self.public.resolve(hello)
        } else {
            self.others.resolve(hello)
        }
    }
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Pem { path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .map_err(unreadable(certificate))?
        .collect::<Result<_, _>>()
        .map_err(unreadable(certificate))?;
    if chain.is_empty() {
        return Err(Error::Empty(certificate.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_belong_together_is_refused_and_says_which_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        for name in ["a", "b"] {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(file(&format!("{name}.pem")), made.cert.pem()).unwrap();
            std::fs::write(
                file(&format!("{name}.key")),
                made.signing_key.serialize_pem(),
            )
            .unwrap();
        }
        let both = Certificate::open(&file("a.pem"), &file("a.key")).unwrap();
        let config = both.server_config().unwrap();
        assert_eq!(
            config.alpn_protocols,
            [b"h2".to_vec(), b"http/1.1".to_vec()]
        );
        let other = Certificate::open(&file("a.pem"), &file("b.key")).unwrap_err();
        assert!(matches!(other, Error::Tls(_)), "{other}");
        let missing = Certificate::open(&file("c.pem"), &file("a.key")).unwrap_err();
        assert!(missing.to_string().contains("c.pem"), "{missing}");
        std::fs::write(file("empty.pem"), "").unwrap();
        let empty = Certificate::open(&file("empty.pem"), &file("a.key")).unwrap_err();
        assert!(empty.to_string().contains("empty.pem"), "{empty}");
    }
}
