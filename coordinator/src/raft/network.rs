//! Raft's way to the other nodes: openraft's network over whatever carries requests.
//!
//! The program gives a [`Network`], which takes opaque bytes to a peer and brings an answer; here
//! openraft's messages become such bytes. A snapshot goes in chunks: the peer says how much it has
//! already, so that a broken transfer goes on where it stopped, and checks the hash of the whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bincode::{Decode, Encode};
use futures::future::BoxFuture;
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend};
use protocol::codec;
use protocol::id::{BlobHash, NodeId};
use protocol::raft::{Answer, Kind, Request};
use tracing::{debug, error};

use super::blocking::blocking;
use super::record;
use super::snapshots::SnapshotFile;
use super::types::{Snapshot, TypeConfig, Vote};
use super::wire;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    /// As the membership has it.
    pub address: String,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request did not get to the peer, so it has had no effect.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody knows whether the peer acted upon it.
    #[error("{0}")]
    Lost(String),
}

/// What carries requests between nodes.
pub trait Network: Send + Sync + 'static {
    /// Takes `request` to `peer` and brings the answer, both within `deadline`.
    fn call(
        &self,
        peer: Peer,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Answer, CallError>>;
}

/// For a cluster of one: nobody can be reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Network for Alone {
    fn call(
        &self,
        _peer: Peer,
        _request: Request,
        _deadline: Duration,
    ) -> BoxFuture<'static, Result<Answer, CallError>> {
        let why = "this node has no network to its peers".to_owned();
        Box::pin(std::future::ready(Err(CallError::Unreachable(why))))
    }
}

/// Bytes of a snapshot in one request.
const CHUNK_BYTES: usize = 512 << 10;
/// Entries on the disk of a busy follower.
const ENTRIES_WITHIN: Duration = Duration::from_secs(3);
/// One chunk on a slow link; installing a snapshot of a million videos takes as long.
const CHUNK_WITHIN: Duration = Duration::from_secs(30);
const INSTALL_WITHIN: Duration = Duration::from_mins(2);

/// A request with its body encoded, and its answer decoded.
pub(super) async fn ask<Q: Encode, A: Decode<()>>(
    network: &dyn Network,
    peer: &Peer,
    kind: Kind,
    question: &Q,
    deadline: Duration,
) -> Result<A, CallError> {
    let body = codec::encode(question).map_err(|e| CallError::Unreachable(e.to_string()))?;
    let request = Request { kind, body };
    match network.call(peer.clone(), request, deadline).await? {
        Answer::Body(body) => codec::decode(&body).map_err(|e| CallError::Lost(e.to_string())),
        Answer::Failed(why) => Err(CallError::Lost(why)),
    }
}

/// Makes openraft's links to peers.
pub(super) struct Links {
    network: Arc<dyn Network>,
    acked: Arc<Acked>,
}

/// What each peer acknowledged while this node led.
#[derive(Debug, Default)]
struct Acked(Mutex<BTreeMap<u64, Memory>>);

/// A peer that does not have such an entry any more has lost what others were promised.
#[derive(Debug, Clone, Copy)]
struct Memory {
    /// The term that `last` is of: nobody else could take an entry away in it.
    vote: record::Vote,
    last: u64,
    /// What is committed stays, whoever leads.
    committed: u64,
}

impl Acked {
    fn note(&self, peer: u64, request: &wire::Append) {
        let Some(last) = request.last() else { return };
        let committed = request.committed().map_or(0, |index| index.min(last));
        let new = Memory {
            vote: request.vote,
            last,
            committed,
        };
        let mut acked = self.0.lock().expect("never poisoned");
        let memory = acked.entry(peer).or_insert(new);
        memory.committed = memory.committed.max(committed);
        if memory.vote != new.vote || memory.last < last {
            (memory.vote, memory.last) = (new.vote, last);
        }
    }

    /// What `peer` acknowledged, if it now says that it does not have the entry before those in
    /// `request`.
    fn denied(&self, peer: u64, missing: u64, vote: record::Vote) -> Option<u64> {
        let acked = self.0.lock().expect("never poisoned");
        let memory = acked.get(&peer)?;
        let last = if memory.vote == vote { memory.last } else { 0 };
        let promised = last.max(memory.committed);
        (missing <= promised).then_some(promised)
    }
}

impl Links {
    pub(super) fn new(network: Arc<dyn Network>) -> Self {
        Self {
            network,
            acked: Arc::default(),
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Link {
        Link {
            peer: Peer {
                node: NodeId(target),
                address: node.addr.clone(),
            },
            network: Arc::clone(&self.network),
            acked: Arc::clone(&self.acked),
        }
    }
}

/// The link to one peer.
pub(super) struct Link {
    peer: Peer,
    network: Arc<dyn Network>,
    acked: Arc<Acked>,
}

impl Link {
    async fn ask<Q: Encode, A: Decode<()>>(
        &self,
        kind: Kind,
        question: &Q,
        deadline: Duration,
    ) -> Result<A, CallError> {
        let answer = ask(&*self.network, &self.peer, kind, question, deadline).await;
        if let Err(error) = &answer {
            debug!(peer = %self.peer.node, ?kind, %error, "no answer");
        }
        answer
    }

    fn failed(&self, error: &CallError) -> RPCError<TypeConfig> {
        let text = format!("node {}: {error}", self.peer.node);
        match error {
            // openraft waits a little before it tries again.
            CallError::Unreachable(_) => Unreachable::from_string(text).into(),
            CallError::Lost(_) => NetworkError::from_string(text).into(),
        }
    }

    /// The peer does not have the entry before those it was sent. If it once said it had, it runs
    /// on an older copy of its disk: it must not vote or count again.
    async fn check_memory(&self, request: &wire::Append) -> Result<(), RPCError<TypeConfig>> {
        let Some(missing) = request.prev else {
            return Ok(());
        };
        let denied = self
            .acked
            .denied(self.peer.node.0, missing.index, request.vote);
        let Some(acked) = denied else { return Ok(()) };
        let node = self.peer.node;
        let why = format!(
            "node {node} acknowledged entry {acked} and no longer has entry {}: its data folder is an older copy",
            missing.index
        );
        error!(%node, "{why}; it is quarantined");
        let told: Result<(), CallError> = self
            .ask(Kind::Quarantine, &why, Duration::from_secs(1))
            .await;
        drop(told);
        Err(Unreachable::from_string(why).into())
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let lost = |error: CallError| StreamingError::from(self.failed(&error));
        let broken = |error: io::Error| {
            StreamingError::from(RPCError::Network(NetworkError::from_string(error)))
        };
        let Snapshot { meta, snapshot } = snapshot;
        let file = Arc::new(snapshot.file);
        let read = Arc::clone(&file);
        let (hash, size_bytes) = blocking(move || hash_of(&read)).await.map_err(broken)?;
        let offer = wire::Offer {
            vote: vote.into(),
            hash,
            size_bytes,
        };
        let mut held: wire::Held = self
            .ask(Kind::SnapshotOffer, &offer, CHUNK_WITHIN)
            .await
            .map_err(lost)?;
        loop {
            let offset = match held {
                wire::Held::HigherVote(vote) => return Ok(SnapshotResponse::new(vote.into())),
                wire::Held::Bytes(offset) if offset >= size_bytes => break,
                wire::Held::Bytes(offset) => offset,
            };
            let read = Arc::clone(&file);
            let bytes = blocking(move || chunk_of(&read, offset, size_bytes))
                .await
                .map_err(broken)?;
            let chunk = wire::Chunk {
                hash,
                offset,
                bytes,
            };
            held = self
                .ask(Kind::SnapshotChunk, &chunk, CHUNK_WITHIN)
                .await
                .map_err(lost)?;
        }
        let install = wire::Install {
            vote: vote.into(),
            hash,
            last: meta.last_log_id.map(Into::into),
            membership: (&meta.last_membership).into(),
        };
        let installed: wire::Installed = self
            .ask(Kind::SnapshotInstall, &install, INSTALL_WITHIN)
            .await
            .map_err(lost)?;
        Ok(SnapshotResponse::new(installed.vote.into()))
    }
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        // A heartbeat is answered at once or never; entries wait for the follower's disk.
        let deadline = if request.entries.is_empty() {
            option.soft_ttl()
        } else {
            ENTRIES_WITHIN
        };
        let request = wire::Append::from(&request);
        let answer: wire::Appended = self
            .ask(Kind::Append, &request, deadline)
            .await
            .map_err(|error| self.failed(&error))?;
        match &answer {
            wire::Appended::Success => {
                self.acked.note(self.peer.node.0, &request);
            }
            wire::Appended::Conflict => self.check_memory(&request).await?,
            wire::Appended::Partial(_) | wire::Appended::HigherVote(_) => {}
        }
        Ok(answer.into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let ballot = wire::Ballot::from(request);
        let voted: wire::Voted = self
            .ask(Kind::Vote, &ballot, option.soft_ttl())
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(voted.into())
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let ballot = wire::Ballot::from(request);
        let voted: wire::Voted = self
            .ask(Kind::PreVote, &ballot, option.soft_ttl())
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(voted.into())
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            sent = self.send_snapshot(vote, snapshot) => sent,
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let transfer = wire::Transfer::from(&request);
        let answer: wire::Transferred = self
            .ask(Kind::TransferLeader, &transfer, option.soft_ttl())
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(answer.into())
    }
}

/// Hash and length of a whole file.
pub(super) fn hash_of(file: &File) -> io::Result<(BlobHash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        let count = file.read_at(&mut buffer, offset)?;
        if count == 0 {
            return Ok((hasher.finalize().into(), offset));
        }
        hasher.update(&buffer[..count]);
        offset += count as u64;
    }
}

fn chunk_of(file: &File, offset: u64, size_bytes: u64) -> io::Result<Vec<u8>> {
    let length = (size_bytes - offset).min(CHUNK_BYTES as u64);
    let mut bytes = vec![0; usize::try_from(length).expect("at most a chunk")];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
