//! Joining: a machine with a token gets its number and its certificate, and the token is used up.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coordinator::catalog::cluster::ClusterCommand;
use coordinator::catalog::node::Role;
use coordinator::catalog::{Command, Reply};
use coordinator::raft::{Error as RaftError, Handle};
use futures::future::BoxFuture;
use protocol::id::{BlobHash, NodeId};
use protocol::join::{Admission, Answer, CLOCKS_DIFFER_MAX_MS, MESSAGE_MAX, Request, Token};
use protocol::time::Timestamp;
use protocol::version::{JOIN, SERVER_NAME};
use quinn::Connection;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::auth::authority::{self, Identity};
use crate::transport::{DialError, Handler, Pool, bind_client, stream};

/// A request is small; the answer waits for the catalogue.
const FRAME_WITHIN: Duration = Duration::from_secs(30);
/// An answer must be read before the connection is closed.
const LINGER: Duration = Duration::from_secs(5);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Admits machines.
pub struct Server {
    pub identity: Arc<Identity>,
    pub catalog: Handle,
    pub clock: Clock,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    async fn serve(&self, connection: Connection, shutdown: CancellationToken) {
        let exchange = async {
            let (mut send, mut receive) = connection.accept_bi().await.ok()?;
            let request: Request = stream::read_frame(&mut receive, MESSAGE_MAX, FRAME_WITHIN)
                .await
                .ok()?;
            let name = request.name.clone();
            let answer = match self.admit(request).await {
                Ok(admission) => {
                    info!(node = %admission.node, name, "a machine has joined");
                    Answer::Admitted(Box::new(admission))
                }
                Err(why) => {
                    warn!(name, remote = %connection.remote_address(), "a machine was not let in: {why}");
                    Answer::Refused(why)
                }
            };
            stream::write_frame(&mut send, &answer, FRAME_WITHIN)
                .await
                .ok()?;
            send.finish().ok()?;
            // The machine closes once it has read it.
            drop(tokio::time::timeout(LINGER, connection.closed()).await);
            Some(())
        };
        shutdown.run_until_cancelled(exchange).await;
    }

    async fn admit(&self, request: Request) -> Result<Admission, String> {
        let now = (self.clock)();
        check_clocks(now, request.at)?;
        // Before the token is used up.
        self.identity
            .authority_key_pem()
            .map_err(|error| error.to_string())?;
        let admit = Command::Cluster(ClusterCommand::AdmitNode {
            token: BlobHash::of(&request.secret),
            key: BlobHash::of(&request.public_key),
            name: request.name,
            site: request.site,
            address: request.address,
        });
        let (node, role) = match self.catalog.propose(admit).await {
            Ok(Reply::NodeAdmitted { node, role }) => (node, role),
            Ok(reply) => return Err(format!("the catalogue answers {reply:?}")),
            Err(error @ RaftError::NotLeader { .. }) => {
                return Err(format!(
                    "the cluster has no leader now ({error}); see that most of its voters run, and try again"
                ));
            }
            Err(error) => return Err(error.to_string()),
        };
        self.admission(node, role, &request.public_key)
            .map_err(|error| error.to_string())
    }

    fn admission(
        &self,
        node: NodeId,
        role: Role,
        public_key: &[u8],
    ) -> Result<Admission, authority::Error> {
        let authority_key_pem = match role {
            Role::Voter => Some(self.identity.authority_key_pem()?.to_owned()),
            Role::Learner | Role::Worker => None,
        };
        Ok(Admission {
            node,
            certificate_pem: self.identity.certify(node, public_key)?,
            authority_pem: self.identity.authority_pem().to_owned(),
            authority_key_pem,
        })
    }
}

/// A clock that is off spoils leases and confuses whoever reads logs.
fn check_clocks(ours: Timestamp, theirs: Timestamp) -> Result<(), String> {
    let (ahead, behind) = (theirs.since(ours), ours.since(theirs));
    let differ = ahead.max(behind);
    if differ.as_millis() <= CLOCKS_DIFFER_MAX_MS {
        return Ok(());
    }
    let way = if ahead > behind { "ahead of" } else { "behind" };
    Err(format!(
        "this machine's clock is {} s {way} the cluster's; set it right, best with NTP, and try again",
        differ.as_millis() / 1000
    ))
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(self.serve(connection, shutdown))
    }
}

/// Why a machine could not join.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the token has expired, at {0}; make another with `reelmesh token create`")]
    Expired(Timestamp),
    #[error("the cluster did not let this machine in: {0}")]
    Refused(String),
    #[error("no node of the cluster could be reached: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Keys(#[from] authority::Error),
    #[error(transparent)]
    Transport(#[from] crate::transport::Error),
}

/// What the machine says of itself.
#[derive(Debug, Clone)]
pub struct Machine {
    pub name: String,
    pub site: String,
    pub address: String,
}

/// Asks the nodes that `token` names, one after the other, and keeps what they give in `tls`.
///
/// # Errors
/// No node answers, or the cluster refuses: the text says what to do.
pub async fn join(
    tls: &Path,
    token: &Token,
    machine: &Machine,
    now: Timestamp,
) -> Result<Identity, Error> {
    if token.expires_at <= now {
        return Err(Error::Expired(token.expires_at));
    }
    let request = Request {
        secret: token.secret,
        name: machine.name.clone(),
        site: machine.site.clone(),
        address: machine.address.clone(),
        public_key: authority::candidate_key(tls)?,
        at: now,
    };
    let mut silent = Vec::new();
    for address in &token.addresses {
        match ask(address, token.authority, &request).await {
            Ok(Answer::Admitted(admission)) => {
                Identity::keep(tls, &admission)?;
                info!(node = %admission.node, "this machine is a node of the cluster now");
                return Ok(Identity::open(tls)?);
            }
            Ok(Answer::Refused(why)) => return Err(Error::Refused(why)),
            Err(why) => silent.push(why),
        }
    }
    Err(Error::Unreachable(silent.join("; ")))
}

async fn ask(address: &str, authority: BlobHash, request: &Request) -> Result<Answer, String> {
    let text = |error: &dyn fmt::Display| error.to_string();
    let no_host = || DialError::NoHost {
        address: address.to_owned(),
    };
    let mut found = tokio::net::lookup_host(address)
        .await
        .map_err(|_| no_host().to_string())?;
    let target = found.next().ok_or_else(|| no_host().to_string())?;
    let tls = authority::pinned_config(authority, JOIN).map_err(|e| text(&e))?;
    let endpoint = bind_client(target, tls.clone()).map_err(|e| text(&e))?;
    let pool = Pool::new(endpoint.clone(), tls).map_err(|e| text(&e))?;
    let connection = pool
        .connection(address, SERVER_NAME)
        .await
        .map_err(|e| text(&e))?;
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.map_err(|e| text(&e))?;
        stream::write_frame(&mut send, request, FRAME_WITHIN)
            .await
            .map_err(|e| text(&e))?;
        drop(send.finish());
        stream::read_frame(&mut receive, MESSAGE_MAX, FRAME_WITHIN)
            .await
            .map_err(|e| text(&e))
    };
    let answer = exchange.await;
    connection.close(0_u32.into(), b"done");
    endpoint.wait_idle().await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much() {
        let at = Timestamp::from_millis;
        assert_eq!(check_clocks(at(0), at(30_000)), Ok(()));
        let ahead = check_clocks(at(0), at(3_600_000)).unwrap_err();
        assert!(ahead.contains("3600 s ahead"), "{ahead}");
        let behind = check_clocks(at(3_600_000), at(0)).unwrap_err();
        assert!(behind.contains("3600 s behind"), "{behind}");
    }
}
