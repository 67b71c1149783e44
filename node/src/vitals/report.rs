//! Both ends of a report: one frame to the leader, one frame back.

use std::time::Duration;

use coordinator::raft;
use futures::future::BoxFuture;
use protocol::id::ClusterId;
use protocol::version::peer_name;
use protocol::vitals::{Fleet, Vitals};
use quinn::Connection;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Handle, sample};
use crate::transport::{Admit, DialError, Handler, Pool, stream};

/// A report has some hundred bytes.
const REPORT_MAX: usize = 4 << 10;
/// Of a thousand nodes.
const FLEET_MAX: usize = 256 << 10;
const FRAME_WITHIN: Duration = Duration::from_secs(2);

/// Why a report did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    #[error(transparent)]
    Stream(#[from] stream::Error),
}

/// Tells the leader, if that is another node, and brings what it knows.
pub(super) async fn report(
    catalog: &raft::Handle,
    cluster: ClusterId,
    pool: &Pool,
    vitals: &Vitals,
) -> Result<Option<Fleet>, Error> {
    let leader = catalog.leader().filter(|&leader| leader != catalog.node());
    let members = catalog.members();
    let Some(leader) = members.iter().find(|member| Some(member.node) == leader) else {
        return Ok(None);
    };
    let name = peer_name(leader.node, cluster);
    let connection = pool.connection(&leader.address, &name).await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    stream::write_frame(&mut send, vitals, FRAME_WITHIN).await?;
    drop(send.finish());
    let fleet = stream::read_frame(&mut receive, FLEET_MAX, FRAME_WITHIN).await?;
    Ok(Some(fleet))
}

/// Takes the reports of other nodes.
pub struct Server {
    pub handle: Handle,
    pub admit: Admit,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    async fn serve(&self, connection: Connection) {
        let Some(node) = (self.admit)(&connection) else {
            return;
        };
        while let Ok((mut send, mut receive)) = connection.accept_bi().await {
            let exchange = async {
                let vitals: Vitals =
                    stream::read_frame(&mut receive, REPORT_MAX, FRAME_WITHIN).await?;
                let now = sample::now();
                // Each speaks for itself alone.
                if vitals.node == node {
                    self.handle.take(vitals, now);
                }
                stream::write_frame(&mut send, &self.handle.fleet(now), FRAME_WITHIN).await?;
                drop(send.finish());
                Ok::<_, stream::Error>(())
            };
            if let Err(error) = exchange.await {
                debug!(%node, %error, "report not taken");
            }
        }
    }
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            shutdown.run_until_cancelled(self.serve(connection)).await;
        })
    }
}
