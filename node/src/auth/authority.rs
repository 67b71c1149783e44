//! The cluster's own certificate authority and this node's certificate, kept under `tls/`.
//!
//! The first node makes the authority; others get a certificate from it when they join. The
//! cluster is named after the authority: another authority is another cluster. Clients trust this
//! authority and nothing else. They read its certificate from the node's HTTP API, so they trust
//! QUIC exactly as far as the address they were given. Its private key goes to the voters, over an
//! encrypted connection and with a token for a voter, so that any of them can admit machines.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::id::{BlobHash, ClusterId, NodeId};
use protocol::join::Admission;
use protocol::version::peer_name;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SignatureAlgorithm,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use super::peers;

/// Certificates outlive the cluster's machines; revoking one is the cluster's business, not the
/// calendar's.
const NOT_AFTER_YEAR: i32 = 2126;

const AUTHORITY_CERT: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const NODE_CERT: &str = "node.pem";
const NODE_KEY: &str = "node.key";

/// The node that founds a cluster.
const FOUNDER: NodeId = NodeId(1);

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
    #[error("the certificate of a peer cannot be checked: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error(
        "{path} does not say which node this is; move the tls folder away and let the machine join again"
    )]
    Nameless { path: PathBuf },
    #[error("this node does not have the key of the cluster's authority; ask a voter")]
    NoAuthorityKey,
    #[error("the public key given is not one of P-256")]
    PublicKey,
}

/// What a node needs to prove itself, and what its clients need to believe it.
#[derive(Debug)]
pub struct Identity {
    node: NodeId,
    cluster: ClusterId,
    authority_pem: String,
    authority: CertificateDer<'static>,
    /// On voters.
    authority_key_pem: Option<Secret>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A text that is never printed.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Identity {
    /// Reads authority and certificate from `dir`, or makes both: this node founds a cluster.
    ///
    /// # Errors
    /// The folder cannot be written, or what lies in it is damaged.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        if let Some(identity) = Self::load(dir)? {
            return Ok(identity);
        }
        found(dir)?;
        Self::read(dir)
    }

    /// Reads authority and certificate from `dir`; none if this machine is no node yet.
    ///
    /// # Errors
    /// What lies in the folder is damaged.
    pub fn load(dir: &Path) -> Result<Option<Self>, Error> {
        // The node's certificate is written last, so its presence means that all of it is there.
        if !dir.join(NODE_CERT).exists() {
            return Ok(None);
        }
        match Self::read(dir) {
            // A certificate from before nodes had names: there was one node only.
            Err(Error::Nameless { .. }) if dir.join(AUTHORITY_KEY).exists() => {
                certify_founder(dir)?;
                Self::read(dir).map(Some)
            }
            read => read.map(Some),
        }
    }

    fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(AUTHORITY_CERT);
        let authority_pem = read_text(&path)?;
        let authority = CertificateDer::from_pem_slice(authority_pem.as_bytes())
            .map_err(|source| Error::Pem { path, source })?;
        let path = dir.join(NODE_CERT);
        let certificate =
            CertificateDer::from_pem_file(&path).map_err(|source| Error::Pem { path, source })?;
        let path = dir.join(NODE_KEY);
        let key =
            PrivateKeyDer::from_pem_file(&path).map_err(|source| Error::Pem { path, source })?;
        let path = dir.join(AUTHORITY_KEY);
        let authority_key_pem = if path.exists() {
            Some(Secret(read_text(&path)?))
        } else {
            None
        };
        let named = peers::identify(std::slice::from_ref(&certificate));
        let (node, _) = named.ok_or_else(|| Error::Nameless {
            path: dir.join(NODE_CERT),
        })?;
        Ok(Self {
            node,
            cluster: cluster_of(&authority),
            authority_pem,
            authority_key_pem,
            chain: vec![certificate, authority.clone()],
            authority,
            key,
        })
    }

    /// Keeps what the cluster gave this machine, whose key is in `dir` already.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(dir: &Path, admission: &Admission) -> Result<(), Error> {
        if let Some(key) = &admission.authority_key_pem {
            write(dir, AUTHORITY_KEY, 0o600, key)?;
        }
        write(dir, AUTHORITY_CERT, 0o644, &admission.authority_pem)?;
        write(dir, NODE_CERT, 0o644, &admission.certificate_pem)
    }

    /// This node, by its certificate.
    pub fn node(&self) -> NodeId {
        self.node
    }

    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Whether this node founded the cluster, rather than joined it.
    pub fn is_founder(&self) -> bool {
        self.node == FOUNDER
    }

    /// The certificate of the authority, to be given to clients. Not a secret.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// What a join token pins.
    pub fn authority_hash(&self) -> BlobHash {
        BlobHash::of(&self.authority)
    }

    /// The private key of the authority, for another voter.
    ///
    /// # Errors
    /// This node is none.
    pub fn authority_key_pem(&self) -> Result<&str, Error> {
        match &self.authority_key_pem {
            Some(Secret(pem)) => Ok(pem),
            None => Err(Error::NoAuthorityKey),
        }
    }

    /// A certificate for `node`, whose public key is `public_key`.
    ///
    /// # Errors
    /// This node does not have the authority's key, or the public key is none.
    pub fn certify(&self, node: NodeId, public_key: &[u8]) -> Result<String, Error> {
        // Uncompressed: one byte and two coordinates of 32.
        if public_key.len() != 65 || public_key[0] != 4 {
            return Err(Error::PublicKey);
        }
        let key = KeyPair::from_pem(self.authority_key_pem()?)?;
        let issuer = Issuer::new(authority_params()?, &key);
        let certificate =
            node_params(node, self.cluster)?.signed_by(&Stranger(public_key), &issuer)?;
        Ok(certificate.pem())
    }

    /// A secret that is this node's alone and the same after every start: from it the QUIC
    /// endpoint makes what it needs to tell a client that its connection died with the node.
    pub fn reset_secret(&self) -> [u8; 32] {
        blake3::derive_key("reelmesh 2026 quic reset secret v1", self.key.secret_der())
    }

    /// TLS for a QUIC endpoint that serves the protocols named in `alpn`. A client may show a
    /// certificate, and then it must be of this cluster; each protocol says whether it needs one.
    ///
    /// # Errors
    /// Key and certificate do not fit.
    pub fn server_config(&self, alpn: Vec<Vec<u8>>) -> Result<ServerConfig, Error> {
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider())
            .allow_unauthenticated()
            .build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(clients)
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = alpn;
        Ok(config)
    }

    /// TLS for this node as the client of another one of its cluster.
    ///
    /// # Errors
    /// Key and certificate do not fit.
    pub fn peer_config(&self, alpn: &[u8]) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        Ok(Arc::new(roots))
    }
}

/// Bytes that nobody can guess.
///
/// # Errors
/// The system has no random numbers.
pub fn random_secret() -> Result<[u8; 32], Error> {
    let mut secret = [0; 32];
    provider()
        .secure_random
        .fill(&mut secret)
        .map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    Ok(secret)
}

/// The public key of this machine, which is no node yet; its private key is made and kept in
/// `dir`, so that a second try to join is one of the same machine.
///
/// # Errors
/// The folder cannot be written.
pub fn candidate_key(dir: &Path) -> Result<Vec<u8>, Error> {
    let path = dir.join(NODE_KEY);
    let key = if path.exists() {
        KeyPair::from_pem(&read_text(&path)?)?
    } else {
        make_dir(dir)?;
        let key = KeyPair::generate()?;
        write(dir, NODE_KEY, 0o600, &key.serialize_pem())?;
        key
    };
    Ok(key.public_key_raw().to_vec())
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

/// TLS for a machine that knows only the hash of the authority's certificate, from its token.
///
/// # Errors
/// The library refuses its own settings.
pub fn pinned_config(authority: BlobHash, alpn: &[u8]) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { authority }))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// Takes the authority from what the server shows, if it has the hash that is expected, and has
/// everything else checked as usual.
#[derive(Debug)]
struct Pinned {
    authority: BlobHash,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut shown = intermediates.iter();
        let authority = shown
            .find(|certificate| BlobHash::of(certificate) == self.authority)
            .ok_or(rustls::Error::InvalidCertificate(
                rustls::CertificateError::UnknownIssuer,
            ))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A public key that came over the network.
struct Stranger<'a>(&'a [u8]);

impl PublicKeyData for Stranger<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// Chosen by hand: a second provider in the build must not make rustls guess.
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Another authority is another cluster.
fn cluster_of(authority: &CertificateDer<'_>) -> ClusterId {
    let hash = blake3::derive_key("reelmesh 2026 cluster id v1", authority);
    let bytes = *hash.first_chunk().expect("32 bytes have a first 16");
    ClusterId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The same every time: the name in it is that of the issuer in every node's certificate.
fn authority_params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.not_after = rcgen::date_time_ymd(NOT_AFTER_YEAR, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Reelmesh cluster authority");
    Ok(params)
}

fn node_params(node: NodeId, cluster: ClusterId) -> Result<CertificateParams, Error> {
    let names = vec![
        protocol::version::SERVER_NAME.to_owned(),
        peer_name(node, cluster),
    ];
    let mut params = CertificateParams::new(names)?;
    params.not_after = rcgen::date_time_ymd(NOT_AFTER_YEAR, 1, 1);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Reelmesh node {node}"));
    Ok(params)
}

/// Makes the authority of a new cluster, and the certificate of its first node.
fn found(dir: &Path) -> Result<(), Error> {
    make_dir(dir)?;
    let key = KeyPair::generate()?;
    let authority = authority_params()?.self_signed(&key)?;
    write(dir, AUTHORITY_KEY, 0o600, &key.serialize_pem())?;
    write(dir, AUTHORITY_CERT, 0o644, &authority.pem())?;
    certify_founder(dir)
}

fn certify_founder(dir: &Path) -> Result<(), Error> {
    let authority_key = KeyPair::from_pem(&read_text(&dir.join(AUTHORITY_KEY))?)?;
    let issuer = Issuer::new(authority_params()?, &authority_key);
    let path = dir.join(AUTHORITY_CERT);
    let authority =
        CertificateDer::from_pem_file(&path).map_err(|source| Error::Pem { path, source })?;
    let key = KeyPair::generate()?;
    let node = node_params(FOUNDER, cluster_of(&authority))?.signed_by(&key, &issuer)?;
    write(dir, NODE_KEY, 0o600, &key.serialize_pem())?;
    write(dir, NODE_CERT, 0o644, &node.pem())
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|source| Error::Io {
        path: dir.to_owned(),
        source,
    })
}

fn read_text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
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
    fn a_joined_node_is_of_the_same_cluster_and_has_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let founder = Identity::open(&dir.path().join("a")).unwrap();
        let other = dir.path().join("b");
        let public_key = candidate_key(&other).unwrap();
        assert_eq!(candidate_key(&other).unwrap(), public_key, "a second try");
        let admission = Admission {
            node: NodeId(2),
            certificate_pem: founder.certify(NodeId(2), &public_key).unwrap(),
            authority_pem: founder.authority_pem().to_owned(),
            authority_key_pem: None,
        };
        Identity::keep(&other, &admission).unwrap();
        let joined = Identity::load(&other).unwrap().unwrap();
        assert_eq!(
            (joined.node(), joined.cluster()),
            (NodeId(2), founder.cluster())
        );
        assert!(founder.is_founder() && !joined.is_founder());
        joined.server_config(Vec::new()).unwrap();
        joined.peer_config(b"x").unwrap();
        assert!(matches!(
            joined.certify(NodeId(3), &public_key),
            Err(Error::NoAuthorityKey)
        ));
        assert!(matches!(
            founder.certify(NodeId(3), b"no key"),
            Err(Error::PublicKey)
        ));
        let stranger = Identity::open(&dir.path().join("c")).unwrap();
        assert_ne!(stranger.cluster(), founder.cluster());
    }

    #[test]
    fn a_text_that_is_no_certificate_is_an_error() {
        assert!(client_config("hello", b"x").is_err());
    }
}
