//! One upload in memory: its session, the one who may write, and the task that makes chunks
//! durable.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use protocol::id::{UploadId, VideoId};
use protocol::upload::{ChunkHash, Layout};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::session::{Meta, Record, Session, Stage};
use super::spool::Folder;
use super::{Error, blocking, now};

/// Commits waiting for the disk, of one upload. More senders than this wait their turn, which is
/// what holds back the network.
const COMMITS_WAITING_MAX: usize = 64;

/// A live upload.
#[derive(Debug)]
pub struct Live {
    upload: UploadId,
    video: VideoId,
    layout: Layout,
    state: Arc<State>,
    seat: Seat,
    /// Chunks that some stream writes right now.
    busy: Mutex<BTreeSet<u32>>,
    commits: mpsc::Sender<Commit>,
    /// Held while the end is made, so that it is made once.
    pub(super) finishing: tokio::sync::Mutex<()>,
    /// Held while the parts of a file are put together.
    pub(super) joining: tokio::sync::Mutex<()>,
    /// How far the verification of the whole has come.
    pub(super) verified_bytes: AtomicU64,
}

/// What the committing task shares with everybody else.
#[derive(Debug)]
struct State {
    folder: Folder,
    meta: Mutex<Meta>,
    session: Mutex<Session>,
    /// A failed sync leaves unknown what is on disk, so nothing more is acknowledged.
    poisoned: AtomicBool,
}

#[derive(Debug)]
struct Commit {
    record: Record,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Live {
    pub(super) fn new(meta: Meta, session: Session, folder: Folder, changed: Changed) -> Arc<Self> {
        let (commits, waiting) = mpsc::channel(COMMITS_WAITING_MAX);
        let (upload, video) = (meta.upload, meta.video);
        let layout = meta.layout().expect("the spool holds possible sizes only");
        let state = Arc::new(State {
            folder,
            meta: Mutex::new(meta),
            session: Mutex::new(session),
            poisoned: AtomicBool::new(false),
        });
        let live = Arc::new(Self {
            upload,
            video,
            layout,
            state: Arc::clone(&state),
            seat: Seat::default(),
            busy: Mutex::default(),
            commits,
            finishing: tokio::sync::Mutex::default(),
            joining: tokio::sync::Mutex::default(),
            verified_bytes: AtomicU64::new(0),
        });
        tokio::spawn(commit_loop(state, waiting, changed));
        live
    }

    pub const fn upload(&self) -> UploadId {
        self.upload
    }

    pub const fn video(&self) -> VideoId {
        self.video
    }

    pub const fn layout(&self) -> Layout {
        self.layout
    }

    pub fn folder(&self) -> &Folder {
        &self.state.folder
    }

    pub fn session(&self) -> MutexGuard<'_, Session> {
        self.state.session.lock().expect("no holder panics")
    }

    pub fn meta(&self) -> Meta {
        self.state.meta.lock().expect("no holder panics").clone()
    }

    /// Notes the stage on disk, then here.
    pub(super) fn set_stage(&self, stage: Stage) -> Result<(), Error> {
        self.change_meta(|meta| meta.stage = stage)
    }

    /// Notes a change on disk, then here.
    pub(super) fn change_meta(&self, change: impl FnOnce(&mut Meta)) -> Result<(), Error> {
        let mut meta = self.state.meta.lock().expect("no holder panics");
        let mut next = meta.clone();
        change(&mut next);
        self.state.folder.write_meta(&next)?;
        *meta = next;
        Ok(())
    }

    /// Bytes of the whole, once they are known.
    pub fn length(&self) -> Option<u64> {
        self.state.meta.lock().expect("no holder panics").length()
    }

    /// Known to this node only.
    pub fn is_private(&self) -> bool {
        let meta = self.state.meta.lock().expect("no holder panics");
        meta.shape.is_private()
    }

    /// Whether every byte is in.
    pub fn is_whole(&self) -> bool {
        let length = self.length();
        let session = self.session();
        session.missing() == 0 || length == Some(session.offset())
    }

    /// Notes that somebody cares.
    pub fn touch(&self) {
        let now = now();
        self.session().touch(now);
        self.state.folder.touch(now);
    }

    /// Waits until `record` is on disk, and all that was written before it.
    pub(super) async fn commit(&self, record: Record) -> Result<(), Error> {
        self.submit(record).await?.wait().await
    }

    /// As [`Self::commit`], but the wait is left to the caller, who may go on meanwhile.
    pub(super) async fn submit(&self, record: Record) -> Result<Pending, Error> {
        let (done, result) = oneshot::channel();
        self.commits
            .send(Commit { record, done })
            .await
            .map_err(|_| Error::Poisoned)?;
        Ok(Pending(result))
    }

    /// Makes the caller the only one who may write. Whoever wrote before is told to stop, and
    /// this returns when they have.
    pub async fn take_over(&self) -> Result<Ticket, Error> {
        self.seat.take_over().await
    }

    /// Enters for one piece of writing; refused once somebody newer has taken over.
    pub async fn enter(&self, ticket: &Ticket) -> Result<OwnedRwLockReadGuard<()>, Error> {
        self.seat.enter(ticket).await
    }

    /// Claims chunk `index` for one stream.
    pub(super) fn claim(self: &Arc<Self>, index: u32) -> Result<Claim, Error> {
        let mut busy = self.busy.lock().expect("no holder panics");
        if !busy.insert(index) {
            return Err(Error::Busy { index });
        }
        Ok(Claim {
            live: Arc::clone(self),
            index,
        })
    }

    /// Stops every writer for good.
    pub(super) async fn close(&self) {
        self.seat.close().await;
    }

    /// Compares every chunk on disk with what was noted; returns those that are lost. Blocks.
    pub(super) fn verify(&self) -> Result<Vec<u32>, Error> {
        let chunks: Vec<(u32, ChunkHash)> = self.session().chunks().collect();
        self.verified_bytes.store(0, Ordering::Relaxed);
        let check = |half: &[(u32, ChunkHash)]| -> Result<Vec<u32>, Error> {
            let mut lost = Vec::new();
            for &(index, hash) in half {
                if !self.state.folder.verify(index, hash)? {
                    lost.push(index);
                }
                self.verified_bytes
                    .fetch_add(u64::from(self.layout.length(index)), Ordering::Relaxed);
            }
            Ok(lost)
        };
        // Two threads: one alone cannot keep up with a fast disk, more would starve the node.
        let (left, right) = chunks.split_at(chunks.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| check(right));
            let mut lost = check(left)?;
            lost.extend(other.join().expect("verifying does not panic")?);
            Ok(lost)
        })
    }
}

/// Called after every commit, with the bytes that are in.
pub(super) type Changed = Box<dyn Fn(u64) + Send + Sync>;

/// A commit under way.
#[derive(Debug)]
pub(super) struct Pending(oneshot::Receiver<Result<(), Error>>);

impl Pending {
    pub(super) async fn wait(self) -> Result<(), Error> {
        self.0.await.unwrap_or(Err(Error::Poisoned))
    }
}

/// Group commit: takes all that wait, syncs once, answers all.
async fn commit_loop(state: Arc<State>, mut waiting: mpsc::Receiver<Commit>, changed: Changed) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, COMMITS_WAITING_MAX).await > 0 {
        let records: Vec<Record> = batch.iter().map(|commit| commit.record).collect();
        let shared = Arc::clone(&state);
        let result = if state.poisoned.load(Ordering::Acquire) {
            Err(Error::Poisoned)
        } else {
            blocking(move || shared.folder.commit(&records))
                .await
                .map_err(Error::from)
        };
        match result {
            Ok(()) => {
                let received_bytes = {
                    let mut session = state.session.lock().expect("no holder panics");
                    session.touch(now());
                    for commit in &batch {
                        session.apply(commit.record);
                    }
                    session.received_bytes()
                };
                changed(received_bytes);
                for commit in batch.drain(..) {
                    // A sender that went away does not hear of it; the chunk is in all the same.
                    drop(commit.done.send(Ok(())));
                }
            }
            Err(error) => {
                if !state.poisoned.swap(true, Ordering::AcqRel) {
                    error!(%error, "upload cannot be written");
                }
                for commit in batch.drain(..) {
                    drop(commit.done.send(Err(Error::Poisoned)));
                }
            }
        }
    }
}

/// A chunk that one stream writes; given back when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    live: Arc<Live>,
    index: u32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = self.live.busy.lock().expect("no holder panics");
        busy.remove(&self.index);
    }
}

/// Leave to write, until somebody newer takes it.
#[derive(Debug, Clone)]
pub struct Ticket {
    number: u64,
    superseded: CancellationToken,
}

impl Ticket {
    /// Returns when somebody else has taken over.
    pub async fn superseded(&self) {
        self.superseded.cancelled().await;
    }
}

/// One writer at a time, and the newest wins at once.
#[derive(Debug, Default)]
struct Seat {
    holder: Mutex<Holder>,
    /// Read by every piece of writing, written by whoever waits for all of them to end.
    ops: Arc<RwLock<()>>,
}

#[derive(Debug, Default)]
struct Holder {
    number: u64,
    superseded: CancellationToken,
    closed: bool,
}

impl Seat {
    async fn take_over(&self) -> Result<Ticket, Error> {
        let ticket = {
            let mut holder = self.holder.lock().expect("no holder panics");
            if holder.closed {
                return Err(Error::Superseded);
            }
            holder.superseded.cancel();
            holder.number += 1;
            holder.superseded = CancellationToken::new();
            Ticket {
                number: holder.number,
                superseded: holder.superseded.clone(),
            }
        };
        drop(self.ops.write().await);
        self.check(&ticket)?;
        Ok(ticket)
    }

    async fn enter(&self, ticket: &Ticket) -> Result<OwnedRwLockReadGuard<()>, Error> {
        let guard = Arc::clone(&self.ops).read_owned().await;
        self.check(ticket)?;
        Ok(guard)
    }

    async fn close(&self) {
        {
            let mut holder = self.holder.lock().expect("no holder panics");
            holder.closed = true;
            holder.number += 1;
            holder.superseded.cancel();
        }
        drop(self.ops.write().await);
    }

    fn check(&self, ticket: &Ticket) -> Result<(), Error> {
        let holder = self.holder.lock().expect("no holder panics");
        if holder.number == ticket.number {
            Ok(())
        } else {
            Err(Error::Superseded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_wins_once_the_older_has_let_go() {
        let seat = Arc::new(Seat::default());
        let old = seat.take_over().await.unwrap();
        let op = seat.enter(&old).await.unwrap();
        let newer = tokio::spawn({
            let seat = Arc::clone(&seat);
            async move { seat.take_over().await }
        });
        old.superseded().await;
        assert!(!newer.is_finished(), "the old one still writes");
        drop(op);
        let new = newer.await.unwrap().unwrap();
        assert!(matches!(seat.enter(&old).await, Err(Error::Superseded)));
        drop(seat.enter(&new).await.unwrap());
    }

    #[tokio::test]
    async fn after_closing_nobody_writes() {
        let seat = Seat::default();
        let ticket = seat.take_over().await.unwrap();
        seat.close().await;
        ticket.superseded().await;
        assert!(seat.enter(&ticket).await.is_err());
        assert!(seat.take_over().await.is_err());
    }
}
