//! Which node a certificate stands for. The handshake has proved that the authority vouches for it.

use protocol::id::{ClusterId, NodeId};
use protocol::version::parse_peer_name;
use rustls::pki_types::CertificateDer;

/// The node and cluster that the first certificate of `chain` names; none if it names none.
pub fn identify(chain: &[CertificateDer<'_>]) -> Option<(NodeId, ClusterId)> {
    let certificate = webpki::EndEntityCert::try_from(chain.first()?).ok()?;
    certificate.valid_dns_names().find_map(parse_peer_name)
}
