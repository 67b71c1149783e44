//! The one QUIC endpoint of a node, who serves which protocol on it, and how it dials others.

use std::sync::Arc;

use anyhow::Context;
use protocol::http::quic::Quic;

use super::now;
use crate::auth::authority::Identity;
use crate::auth::public::{Certificate, HTTP3};
use crate::blob;
use crate::config;
use crate::http;
use crate::ingest;
use crate::raft_net;
use crate::transport;
use crate::vitals;

/// The one QUIC endpoint: what it serves, and what is dialled from it.
pub(super) struct Net {
    pub(super) endpoint: quinn::Endpoint,
    identity: Arc<Identity>,
    /// What browsers and players see, if they are to come in TLS.
    pub(super) public: Option<Certificate>,
}

impl Net {
    pub(super) fn open(identity: &Arc<Identity>, node: &config::Node) -> anyhow::Result<Self> {
        use protocol::version::{BLOB, JOIN, RAFT, SPOOL, UPLOAD, VITALS};
        let address = node.quic;
        let protocols = [UPLOAD, RAFT, BLOB, VITALS, JOIN, SPOOL].map(<[u8]>::to_vec);
        let mut tls = identity
            .server_config(protocols.to_vec())
            .context("cannot use this node's keys")?;
        let public = if node.certificate.as_os_str().is_empty() {
            None
        } else {
            let public = Certificate::open(&node.certificate, &node.private_key)
                .context("cannot use node.certificate and node.private_key")?;
            public.join(&mut tls);
            tls.alpn_protocols.push(HTTP3.to_vec());
            Some(public)
        };
        let endpoint = transport::endpoint::bind(address, tls, identity.reset_secret())
            .with_context(|| format!("cannot listen on {address} (node.quic)"))?;
        Ok(Self {
            endpoint,
            identity: Arc::clone(identity),
            public,
        })
    }

    /// TLS for HTTP, if there is to be any.
    pub(super) fn http_tls(&self) -> anyhow::Result<Option<http::Tls>> {
        let Some(public) = &self.public else {
            return Ok(None);
        };
        Ok(Some(http::Tls {
            config: Arc::new(public.server_config()?),
            quic_port: self.quic()?.port,
        }))
    }

    /// Connections to other nodes for one protocol.
    pub(super) fn pool(&self, alpn: &[u8]) -> anyhow::Result<transport::Pool> {
        let tls = self.identity.peer_config(alpn)?;
        Ok(transport::Pool::new(self.endpoint.clone(), tls)?)
    }

    /// Who serves which protocol.
    pub(super) fn router(
        &self,
        peers: &raft_net::Peers,
        uploads: &ingest::Handle,
        vitals: &vitals::Handle,
        blobs: &blob::Store,
    ) -> transport::Router {
        use protocol::version::{BLOB, JOIN, RAFT, SPOOL, UPLOAD, VITALS};
        let admit = || {
            let peers = peers.clone();
            Box::new(move |connection: &quinn::Connection| peers.admit(connection))
        };
        transport::Router::default()
            .route(UPLOAD, Arc::new(ingest::quic::Server::new(uploads.clone())))
            .route(RAFT, Arc::new(raft_net::Server::new(peers.clone())))
            .route(
                BLOB,
                Arc::new(blob::transfer::Server {
                    store: blobs.clone(),
                    admit: admit(),
                }),
            )
            .route(
                SPOOL,
                Arc::new(ingest::mirror::Server {
                    handle: uploads.clone(),
                    admit: admit(),
                }),
            )
            .route(
                VITALS,
                Arc::new(vitals::Server {
                    handle: vitals.clone(),
                    admit: admit(),
                }),
            )
            .route(
                JOIN,
                Arc::new(raft_net::join::Server {
                    identity: Arc::clone(&self.identity),
                    catalog: peers.catalog.clone(),
                    clock: Arc::new(now),
                }),
            )
    }

    /// How clients find the endpoint.
    pub(super) fn quic(&self) -> anyhow::Result<Quic> {
        let bound = self
            .endpoint
            .local_addr()
            .context("the QUIC port has no address")?;
        Ok(Quic {
            port: bound.port(),
            server_name: protocol::version::SERVER_NAME.to_owned(),
            authority_pem: self.identity.authority_pem().to_owned(),
        })
    }
}
