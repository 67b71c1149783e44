//! Chunks at a second node before they are acknowledged, so that nothing is sent again when the
//! first one is lost.
//!
//! The node of an upload chooses a second one of its site if it can and names it in the catalogue;
//! every chunk goes there while it is synced here. The second node keeps a session like any other
//! and goes on with it when a client comes. A second node that fails is replaced; where there is
//! none the upload goes on with one copy, and says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coordinator::catalog::Command;
use coordinator::catalog::ingest::{IngestCommand, Mirror};
use coordinator::catalog::node::Role;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use protocol::id::{NodeId, UploadId};
use protocol::upload::{Answer, ChunkHash, Put, REQUEST_MAX, Refused};
use protocol::version::peer_name;
use quinn::{Connection, RecvStream, SendStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::live::{Live, Ticket};
use super::quic::pieces;
use super::registry::{Handle, Inner};
use super::session::Stage;
use super::{Error, blocking, writer};
use crate::transport::stream::{read_frame, write_frame};
use crate::transport::{Admit, DialError, Handler};

/// Longest time for one chunk; a second node that is slower costs more than it saves.
const COPY_WITHIN: Duration = Duration::from_secs(10);
const FRAME_WITHIN: Duration = Duration::from_secs(10);

/// A node that failed as the second one is not asked again for so long.
const SPARED_FOR: Duration = Duration::from_secs(30);

/// Chunks of an earlier time that are copied at once.
const BACKFILL_AT_ONCE: usize = 2;

/// Bytes handed to a stream at once.
const PIECE_BYTES: usize = 256 << 10;

/// Largest answer.
const ANSWER_MAX: usize = 4 << 10;

/// Where the second copies of one upload go.
#[derive(Debug, Default)]
pub struct State {
    at: Option<Second>,
    /// Nodes that failed, and when.
    failed: BTreeMap<NodeId, Instant>,
    /// Nobody was found at that time.
    none_at: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Second {
    node: NodeId,
    address: String,
}

/// Why a chunk is not at the second node.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    #[error(transparent)]
    Frame(#[from] crate::transport::stream::Error),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Here(#[from] Error),
    #[error("it answered what was not asked")]
    Wrong,
    #[error("it is silent")]
    Silent,
}

impl Live {
    /// Begins to copy chunk `index`, whose bytes are written here; none if no copies are asked for.
    pub(super) fn copy_out(
        self: &Arc<Self>,
        index: u32,
        hash: ChunkHash,
    ) -> Option<JoinHandle<bool>> {
        let inner = self.registry.upgrade()?;
        if inner.options.copies < 2 || inner.peers.is_none() {
            return None;
        }
        let live = Arc::clone(self);
        Some(tokio::spawn(async move {
            // Once more for a second node that has just died.
            for _ in 0..2 {
                let Some(second) = second(&inner, &live).await else {
                    return false;
                };
                match push(&inner, &live, &second, index, hash).await {
                    Ok(()) => return true,
                    Err(error) => {
                        debug!(upload = %live.upload(), index, node = %second.node, %error, "chunk not copied");
                        give_up(&inner, &live, &second).await;
                    }
                }
            }
            false
        }))
    }
}

impl Handle {
    /// Nodes that a chunk will be on before it is acknowledged, as far as can be told now.
    pub(super) fn copies_ahead(&self, live: &Live) -> u8 {
        let inner = self.inner();
        let is_possible = inner.options.copies > 1
            && inner.peers.is_some()
            && choose(self, live, &BTreeMap::new()).is_some();
        1 + u8::from(is_possible)
    }
}

/// The second node of `live`: the one it has, or a new one.
async fn second(inner: &Arc<Inner>, live: &Arc<Live>) -> Option<Second> {
    let mut state = live.mirror.lock().await;
    if state.at.is_some() {
        return state.at.clone();
    }
    if state.none_at.is_some_and(|at| at.elapsed() < SPARED_FOR) {
        return None;
    }
    let handle = Handle::of(inner);
    let me = inner.catalogue.node();
    // A second node does not copy on.
    let is_mine = inner.catalogue.read(|catalogue| {
        let open = catalogue.upload(live.upload());
        open.is_some_and(|open| open.node == me)
    });
    if !is_mine {
        return None;
    }
    state.failed.retain(|_, at| at.elapsed() < SPARED_FOR);
    let Some(chosen) = choose(&handle, live, &state.failed) else {
        info!(upload = %live.upload(), "no second node for the copies of an upload");
        state.none_at = Some(Instant::now());
        return None;
    };
    let before: Vec<(u32, ChunkHash)> = live.session().chunks().collect();
    if let Err(error) = note(inner, live, Some((chosen.node, before.is_empty()))).await {
        debug!(upload = %live.upload(), %error, "second node not noted");
        return None;
    }
    state.at = Some(chosen.clone());
    drop(state);
    if !before.is_empty() {
        let (inner, live, second) = (Arc::clone(inner), Arc::clone(live), chosen.clone());
        tokio::spawn(async move { backfill(&inner, &live, &second, before).await });
    }
    Some(chosen)
}

/// The node that is to have the second copy: of the same site first, since each chunk waits for
/// it; then by a lot that differs from upload to upload.
fn choose(handle: &Handle, live: &Live, failed: &BTreeMap<NodeId, Instant>) -> Option<Second> {
    let inner = handle.inner();
    let me = inner.catalogue.node();
    let fleet = inner.peers.as_ref()?.fleet.borrow().clone();
    let needed = live.layout().size_bytes() + inner.options.reserve_bytes;
    inner.catalogue.read(|catalogue| {
        let site = catalogue.node(me).map(|node| node.site.clone());
        catalogue
            .members()
            .filter(|node| node.id != me && node.role != Role::Worker && !node.draining)
            .filter(|node| !node.address.is_empty() && !failed.contains_key(&node.id))
            .filter(|node| handle.is_up(node.id))
            .filter(|node| {
                let free = fleet.get(&node.id).map(|vitals| vitals.disk_free_bytes);
                free.is_some_and(|free| free >= needed)
            })
            .min_by_key(|node| {
                (
                    Some(&node.site) != site.as_ref(),
                    lot(live.upload(), node.id),
                )
            })
            .map(|node| Second {
                node: node.id,
                address: node.address.clone(),
            })
    })
}

fn lot(upload: UploadId, node: NodeId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(upload.as_uuid().as_bytes());
    hasher.update(&node.0.to_be_bytes());
    *hasher.finalize().as_bytes()
}

async fn note(inner: &Inner, live: &Live, mirror: Option<(NodeId, bool)>) -> Result<(), Error> {
    let command = IngestCommand::Mirror {
        upload: live.upload(),
        node: inner.catalogue.node(),
        mirror: mirror.map(|(node, is_complete)| Mirror { node, is_complete }),
    };
    inner.catalogue.propose(Command::Ingest(command)).await?;
    Ok(())
}

/// Takes `second` off; the next chunk finds another.
async fn give_up(inner: &Inner, live: &Live, second: &Second) {
    let mut state = live.mirror.lock().await;
    if state.at.as_ref() != Some(second) {
        return;
    }
    warn!(upload = %live.upload(), node = %second.node, "second node of an upload lost");
    state.at = None;
    state.failed.insert(second.node, Instant::now());
    if let Err(error) = note(inner, live, None).await {
        debug!(upload = %live.upload(), %error, "loss of the second node not noted");
    }
}

/// Copies what was acknowledged before there was this second node, then says that it has all.
async fn backfill(
    inner: &Arc<Inner>,
    live: &Arc<Live>,
    second: &Second,
    chunks: Vec<(u32, ChunkHash)>,
) {
    let mut copies = stream::iter(chunks)
        .map(|(index, hash)| push(inner, live, second, index, hash))
        .buffer_unordered(BACKFILL_AT_ONCE);
    while let Some(copied) = copies.next().await {
        if let Err(error) = copied {
            debug!(upload = %live.upload(), node = %second.node, %error, "earlier chunk not copied");
            return give_up(inner, live, second).await;
        }
    }
    if let Err(error) = note(inner, live, Some((second.node, true))).await {
        debug!(upload = %live.upload(), %error, "second node not noted");
    }
}

async fn push(
    inner: &Inner,
    live: &Arc<Live>,
    second: &Second,
    index: u32,
    hash: ChunkHash,
) -> Result<(), Failed> {
    let Some(peers) = &inner.peers else {
        return Err(Failed::Wrong);
    };
    let shared = Arc::clone(live);
    let mut bytes = Bytes::from(
        blocking(move || shared.folder().read(index))
            .await
            .map_err(Error::from)?,
    );
    let name = peer_name(second.node, peers.cluster);
    let exchange = async {
        let connection = peers.pool.connection(&second.address, &name).await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        let put = Put {
            upload: live.upload(),
            index,
            hash,
            length: live.layout().length(index),
        };
        write_frame(&mut send, &put, FRAME_WITHIN).await?;
        while !bytes.is_empty() {
            match send
                .write_chunk(bytes.split_to(PIECE_BYTES.min(bytes.len())))
                .await
            {
                // It has it already, or says why it does not want it.
                Err(quinn::WriteError::Stopped(_)) => break,
                other => other?,
            }
        }
        drop(send.finish());
        match read_frame(&mut receive, ANSWER_MAX, FRAME_WITHIN).await? {
            Answer::Stored { .. } => Ok(()),
            Answer::Refused(refused) => Err(refused.into()),
            _ => Err(Failed::Wrong),
        }
    };
    match tokio::time::timeout(COPY_WITHIN, exchange).await {
        Ok(result) => result,
        Err(_) => Err(Failed::Silent),
    }
}

/// Takes copies of chunks from the nodes whose uploads they are of.
pub struct Server {
    pub handle: Handle,
    pub admit: Admit,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(node) = (self.admit)(&connection) else {
                return;
            };
            let keeper = Arc::new(Keeper {
                handle: self.handle.clone(),
                node,
                tickets: Mutex::default(),
                opening: tokio::sync::Mutex::default(),
            });
            let streams = TaskTracker::new();
            let serve = async {
                while let Ok((send, receive)) = connection.accept_bi().await {
                    let keeper = Arc::clone(&keeper);
                    streams.spawn(async move { keeper.serve(send, receive).await });
                }
            };
            shutdown.run_until_cancelled(serve).await;
        })
    }
}

/// Keeps the chunks of one node.
struct Keeper {
    handle: Handle,
    node: NodeId,
    tickets: Mutex<BTreeMap<UploadId, (Arc<Live>, Ticket)>>,
    /// Held while a session is made, so that it is made once.
    opening: tokio::sync::Mutex<()>,
}

impl Keeper {
    async fn serve(&self, mut send: SendStream, mut receive: RecvStream) {
        let answer = match read_frame(&mut receive, REQUEST_MAX, FRAME_WITHIN).await {
            Ok(put) => self.put(put, &mut receive).await,
            Err(error) => Err(Error::Invalid(error.to_string())),
        };
        let answer = answer.unwrap_or_else(|error| {
            debug!(node = %self.node, %error, "copy of a chunk refused");
            Answer::Refused(Refused::from(&error))
        });
        drop(receive.stop(0_u32.into()));
        if write_frame(&mut send, &answer, FRAME_WITHIN).await.is_ok() {
            drop(send.finish());
        }
    }

    async fn put(&self, put: Put, receive: &mut RecvStream) -> Result<Answer, Error> {
        let (live, ticket) = self.session(put.upload).await?;
        if put.length == 0 || put.length != live.layout().length(put.index) {
            return Err(Error::Invalid(format!("no such chunk {}", put.index)));
        }
        writer::put(&live, &ticket, put.index, put.hash, pieces(receive)).await?;
        let index = put.index;
        Ok(Answer::Stored { index, copies: 1 })
    }

    async fn session(&self, upload: UploadId) -> Result<(Arc<Live>, Ticket), Error> {
        let known = |all: &BTreeMap<_, (Arc<Live>, Ticket)>| all.get(&upload).cloned();
        if let Some(known) = known(&self.tickets.lock().expect("no holder panics")) {
            return Ok(known);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(known) = known(&self.tickets.lock().expect("no holder panics")) {
            return Ok(known);
        }
        // The catalogue here may lag behind that of the node that asks; when it does not, the
        // reconciler sees what this room sees and leaves the session alone.
        let catalogue = &self.handle.inner().catalogue;
        catalogue.linearize().await?;
        let me = catalogue.node();
        let open = catalogue
            .read(|catalogue| catalogue.upload(upload).cloned())
            .ok_or(Error::NotFound(upload))?;
        let is_meant = open.mirror.is_some_and(|mirror| mirror.node == me);
        if open.node != self.node || !is_meant {
            return Err(Error::Superseded);
        }
        let live = if let Ok(live) = self.handle.find(upload) {
            live
        } else {
            let live = self.handle.copy_session(&open).await?;
            self.handle.mark_announced(upload);
            // What is only kept for another is not under way here.
            self.handle.forget_progress(upload);
            live
        };
        if live.meta().stage != Stage::Receiving {
            return Err(Error::Superseded);
        }
        let ticket = live.take_over().await?;
        let entry = (live, ticket);
        let mut tickets = self.tickets.lock().expect("no holder panics");
        // Those that have ended since leave room.
        tickets.retain(|id, _| self.handle.find(*id).is_ok());
        tickets.insert(upload, entry.clone());
        Ok(entry)
    }
}
