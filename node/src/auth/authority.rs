//! The cluster's own certificate authority: made at first start, kept under `tls/`.
//!
//! Clients trust this authority and nothing else. They read its certificate from the node's HTTP
//! API, so they trust QUIC exactly as far as the address they were given; when several nodes
//! share the authority, who trusts one of them trusts all. The private key never leaves the disk.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Certificates outlive the cluster's machines; revoking one is the cluster's business, not the
/// calendar's.
const NOT_AFTER_YEAR: i32 = 2126;

const AUTHORITY_CERT: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const NODE_CERT: &str = "node.pem";
const NODE_KEY: &str = "node.key";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot keep certificates in {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{path} holds no certificate or key: {source}")]
    Pem {
        path: PathBuf,
        source: rustls::pki_types::pem::Error,
    },
    #[error("the certificate given for the cluster cannot be read: {0}")]
    Given(rustls::pki_types::pem::Error),
    #[error("the certificate and key in the tls folder do not work: {0}")]
    Tls(#[from] rustls::Error),
}

/// What a node needs to prove itself, and what its clients need to believe it.
#[derive(Debug)]
pub struct Identity {
    authority_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads authority and certificate from `dir`, or makes both at first start.
    ///
    /// # Errors
    /// The folder cannot be written, or what lies in it is damaged.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        // The node's certificate is written last, so its presence means that all of it is there.
        if !dir.join(NODE_CERT).exists() {
            make(dir)?;
        }
        let path = dir.join(AUTHORITY_CERT);
        let authority_pem =
            fs::read_to_string(&path).map_err(|source| Error::Io { path, source })?;
        let path = dir.join(NODE_CERT);
        let certificate =
            CertificateDer::from_pem_file(&path).map_err(|source| Error::Pem { path, source })?;
        let path = dir.join(NODE_KEY);
        let key =
            PrivateKeyDer::from_pem_file(&path).map_err(|source| Error::Pem { path, source })?;
        Ok(Self {
            authority_pem,
            chain: vec![certificate],
            key,
        })
    }

    /// The certificate of the authority, to be given to clients. Not a secret.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// A secret that is this node's alone and the same after every start: from it the QUIC
    /// endpoint makes what it needs to tell a client that its connection died with the node.
    pub fn reset_secret(&self) -> [u8; 32] {
        blake3::derive_key("reelmesh 2026 quic reset secret v1", self.key.secret_der())
    }

    /// TLS for a QUIC endpoint that serves the protocols named in `alpn`.
    ///
    /// # Errors
    /// Key and certificate do not fit.
    pub fn server_config(&self, alpn: Vec<Vec<u8>>) -> Result<ServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = alpn;
        Ok(config)
    }
}

/// TLS for a client that believes `authority_pem` and nobody else.
///
/// # Errors
/// The text holds no certificate.
pub fn client_config(authority_pem: &str, alpn: &[u8]) -> Result<ClientConfig, Error> {
    let certificate =
        CertificateDer::from_pem_slice(authority_pem.as_bytes()).map_err(Error::Given)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// Chosen by hand: a second provider in the build must not make rustls guess.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn make(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|source| Error::Io {
        path: dir.to_owned(),
        source,
    })?;
    let authority_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.not_after = rcgen::date_time_ymd(NOT_AFTER_YEAR, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Reelmesh cluster authority");
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, &authority_key);

    let node_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![protocol::version::SERVER_NAME.to_owned()])?;
    params.not_after = rcgen::date_time_ymd(NOT_AFTER_YEAR, 1, 1);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
        .distinguished_name
        .push(DnType::CommonName, "Reelmesh node");
    let node = params.signed_by(&node_key, &issuer)?;

    write(dir, AUTHORITY_KEY, 0o600, &authority_key.serialize_pem())?;
    write(dir, AUTHORITY_CERT, 0o644, &authority.pem())?;
    write(dir, NODE_KEY, 0o600, &node_key.serialize_pem())?;
    write(dir, NODE_CERT, 0o644, &node.pem())
}

/// Writes beside, syncs, renames, syncs the folder.
fn write(dir: &Path, name: &str, mode: u32, text: &str) -> Result<(), Error> {
    let path = dir.join(name);
    let beside = dir.join(format!("{name}.new"));
    let attempt = || {
        drop(fs::remove_file(&beside));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    attempt().map_err(|source| Error::Io { path, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_second_start_finds_what_the_first_made() {
        let dir = tempfile::tempdir().unwrap();
        let tls = dir.path().join("tls");
        let first = Identity::open(&tls).unwrap();
        let second = Identity::open(&tls).unwrap();
        assert_eq!(first.authority_pem(), second.authority_pem());
        assert_eq!(first.chain, second.chain);
        for key in [AUTHORITY_KEY, NODE_KEY] {
            let mode = fs::metadata(tls.join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key} is for the node alone");
        }
    }

    #[test]
    fn a_start_cut_off_in_the_middle_is_made_good() {
        let dir = tempfile::tempdir().unwrap();
        Identity::open(dir.path()).unwrap();
        fs::remove_file(dir.path().join(NODE_CERT)).unwrap();
        let identity = Identity::open(dir.path()).unwrap();
        identity.server_config(vec![b"x".to_vec()]).unwrap();
        client_config(identity.authority_pem(), b"x").unwrap();
    }

    #[test]
    fn a_text_that_is_no_certificate_is_an_error() {
        assert!(client_config("hello", b"x").is_err());
    }
}
