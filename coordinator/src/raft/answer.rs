//! What this node answers to the requests of its peers.

use openraft::ReadPolicy;
use openraft::error::{LinearizableReadError, RaftError};
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use protocol::codec;
use protocol::id::NodeId;
use protocol::raft::{Answer, Kind, Request};
use tokio::time::timeout;
use tracing::{error, warn};

use super::error::Error;
use super::handle::{Consensus, Handle};
use super::membership::{self, Change};
use super::network::hash_of;
use super::snapshots::SnapshotFile;
use super::types::{Snapshot, SnapshotMeta, TypeConfig};
use super::wire::{self, Failed};
use super::{COMMIT_WITHIN, batcher};

/// Commands that one request may carry: what fits into an entry.
const COMMANDS_MAX: usize = 512;

impl Handle {
    /// Answers a request that `from`, a node whose identity was proved, has sent.
    pub async fn answer(&self, from: NodeId, request: Request) -> Answer {
        let Some(consensus) = self.consensus() else {
            return Answer::Failed("this node keeps its catalogue in memory only".to_owned());
        };
        match respond(self, consensus, from, request).await {
            Ok(body) => Answer::Body(body),
            Err(why) => Answer::Failed(why),
        }
    }
}

async fn respond(
    handle: &Handle,
    consensus: &Consensus,
    from: NodeId,
    request: Request,
) -> Result<Vec<u8>, String> {
    let raft = &consensus.raft;
    let Request { kind, body } = request;
    match kind {
        Kind::Append => {
            let append: wire::Append = read(&body)?;
            let request = AppendEntriesRequest::<TypeConfig>::try_from(append).map_err(text)?;
            let response = raft.append_entries(request).await.map_err(text)?;
            write(&wire::Appended::from(response))
        }
        Kind::Vote => {
            let ballot: wire::Ballot = read(&body)?;
            let request = VoteRequest::<TypeConfig>::from(ballot);
            write(&wire::Voted::from(raft.vote(request).await.map_err(text)?))
        }
        Kind::PreVote => {
            let ballot: wire::Ballot = read(&body)?;
            let request = VoteRequest::<TypeConfig>::from(ballot);
            let voted = raft.pre_vote(request).await.map_err(text)?;
            write(&wire::Voted::from(voted))
        }
        Kind::TransferLeader => {
            let transfer: wire::Transfer = read(&body)?;
            let response = raft.handle_transfer_leader(transfer.into()).await;
            write(&wire::Transferred::from(response.map_err(text)?))
        }
        Kind::SnapshotOffer => {
            let offer: wire::Offer = read(&body)?;
            if let Some(vote) = higher_vote(consensus, offer.vote) {
                return write(&wire::Held::HigherVote(vote));
            }
            let snapshots = std::sync::Arc::clone(&consensus.snapshots);
            let held =
                blocking(move || snapshots.begin_incoming(&offer.hash, offer.size_bytes)).await?;
            write(&wire::Held::Bytes(held))
        }
        Kind::SnapshotChunk => {
            let chunk: wire::Chunk = read(&body)?;
            let snapshots = std::sync::Arc::clone(&consensus.snapshots);
            let held =
                blocking(move || snapshots.write_incoming(&chunk.hash, chunk.offset, &chunk.bytes))
                    .await?;
            write(&wire::Held::Bytes(held))
        }
        Kind::SnapshotInstall => {
            let install: wire::Install = read(&body)?;
            write(&take_snapshot(consensus, install).await?)
        }
        Kind::Propose => {
            let commands: Vec<Vec<u8>> = read(&body)?;
            let proposed = match propose(handle, consensus, commands).await {
                Ok((index, replies)) => wire::Proposed::Done { index, replies },
                Err(error) => wire::Proposed::Failed(error.into()),
            };
            write(&proposed)
        }
        Kind::ReadIndex => {
            let () = read(&body)?;
            write(&read_index(consensus).await.map_err(Failed::from))
        }
        Kind::Change => {
            let change: Change = read(&body)?;
            let changed = membership::carry_out(raft, consensus.pace, change).await;
            write(&changed.map_err(Failed::from))
        }
        Kind::Quarantine => {
            let why: String = read(&body)?;
            error!(%from, "{why}: this node stops");
            consensus.quarantined.send_replace(Some(why));
            write(&())
        }
    }
}

/// The commands of another node, carried out here; refused if this node does not lead, so that
/// they are not sent in circles.
async fn propose(
    handle: &Handle,
    consensus: &Consensus,
    commands: Vec<Vec<u8>>,
) -> Result<
    (
        u64,
        Vec<Result<crate::catalog::Reply, crate::catalog::Rejection>>,
    ),
    Error,
> {
    if !handle.is_leader() {
        return Err(Error::NotLeader {
            leader: handle.leader(),
        });
    }
    if commands.len() > COMMANDS_MAX {
        return Err(batcher::too_large(commands.len()));
    }
    let mut waiting = Vec::with_capacity(commands.len());
    for command in commands {
        let (proposal, outcome) = batcher::Proposal::new(command)?;
        consensus
            .proposals
            .send(proposal)
            .await
            .map_err(|_| Error::Closed)?;
        waiting.push(outcome);
    }
    let mut last = 0;
    let mut replies = Vec::with_capacity(waiting.len());
    for outcome in waiting {
        match outcome.await.map_err(|_| Error::Timeout)? {
            Ok(outcome) => {
                last = last.max(outcome.index);
                replies.push(outcome.reply);
            }
            // They may stand in several entries, and those before have been carried out.
            Err(Error::NotLeader { .. }) if !replies.is_empty() => return Err(Error::Timeout),
            Err(error) => return Err(error),
        }
    }
    Ok((last, replies))
}

/// The index that a copy must have applied to hold all that was acknowledged by now.
async fn read_index(consensus: &Consensus) -> Result<u64, Error> {
    let read = consensus.raft.get_read_log_id(ReadPolicy::ReadIndex);
    match timeout(COMMIT_WITHIN, read).await {
        Err(_) => Err(Error::Timeout),
        Ok(Ok((read, _))) => Ok(read.index()),
        Ok(Err(RaftError::Fatal(fatal))) => Err(fatal.into()),
        Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
            Err(forward.into())
        }
        Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
            Err(Error::Timeout)
        }
    }
}

fn higher_vote(consensus: &Consensus, sender: super::record::Vote) -> Option<super::record::Vote> {
    use openraft::async_runtime::watch::WatchReceiver;
    let own = consensus.raft.metrics().borrow_watched().vote;
    let sender: super::types::Vote = sender.into();
    (own > sender).then(|| own.into())
}

async fn take_snapshot(
    consensus: &Consensus,
    install: wire::Install,
) -> Result<wire::Installed, String> {
    let snapshots = std::sync::Arc::clone(&consensus.snapshots);
    let hash = install.hash;
    let path = blocking(move || {
        let path = snapshots.incoming(&hash);
        let file = std::fs::File::open(&path)?;
        let (found, _) = hash_of(&file)?;
        if found == hash {
            return Ok(path);
        }
        std::fs::remove_file(&path)?;
        Err(std::io::Error::other(
            "the snapshot that arrived is not the one that was sent",
        ))
    })
    .await?;
    let last_membership = install.membership.try_into().map_err(text)?;
    let snapshot = Snapshot {
        meta: SnapshotMeta {
            last_log_id: install.last.map(Into::into),
            last_membership,
        },
        snapshot: SnapshotFile::open(path).map_err(text)?,
    };
    let vote = install.vote.into();
    let installed = consensus.raft.install_full_snapshot(vote, snapshot).await;
    let response = installed.map_err(text)?;
    Ok(wire::Installed {
        vote: response.vote.into(),
    })
}

fn read<T: bincode::Decode<()>>(body: &[u8]) -> Result<T, String> {
    codec::decode(body).map_err(|error| {
        warn!(%error, "a peer's request cannot be read");
        error.to_string()
    })
}

fn write<T: bincode::Encode>(value: &T) -> Result<Vec<u8>, String> {
    codec::encode(value).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    super::blocking::blocking(work).await.map_err(text)
}
