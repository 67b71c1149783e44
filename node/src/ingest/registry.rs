//! Live uploads: opened, found again, given up; one writer each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use coordinator::catalog::access::{AccessCommand, ApiToken};
use coordinator::catalog::ingest::IngestCommand;
use coordinator::catalog::node::Role;
use coordinator::catalog::upload::Upload;
use coordinator::catalog::{Command, Rejection};
use protocol::id::{BlobHash, UploadId, VideoId};
use protocol::time::{Span, Timestamp};
use protocol::upload::{ChunkHash, FileKey, Layout, display_name};
use tokio::sync::watch;
use tracing::{info, warn};

use super::cluster::Peers;
use super::live::{Live, Ticket};
use super::session::{Meta, Session, Stage};
use super::shape::Shape;
use super::spool::Spool;
use super::{Error, Options, blocking, finish, now};
use crate::blob;
use crate::vitals;

/// What a node said of its disk longer ago is not relied upon.
const REPORT_AGE_MAX: Span = Span::from_secs(30);

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub video: VideoId,
    pub received_bytes: u64,
    pub size_bytes: u64,
}

/// What somebody wants to upload.
#[derive(Debug, Clone, Default)]
pub struct Begin<'a> {
    /// Finds what was begun before with the same key.
    pub key: Option<FileKey>,
    /// Hash of the first chunk: finds what was begun without a key.
    pub first: Option<ChunkHash>,
    /// As the client has it.
    pub filename: &'a str,
    pub size_bytes: u64,
    /// Forget what was begun before.
    pub is_fresh: bool,
    /// Go on here even if the node where it was begun is up: the client cannot reach that one.
    pub is_here: bool,
    /// Kept with the upload for whoever asks, and not looked at.
    pub metadata: Option<String>,
    pub shape: Shape,
    /// The API token that it counts against.
    pub owner: Option<BlobHash>,
    /// It comes from this machine, so no token is asked for.
    pub is_trusted: bool,
}

/// An upload that was opened or found again.
#[derive(Debug)]
pub struct Opened {
    pub live: Arc<Live>,
    /// Leave to write; none if nothing is left to write.
    pub ticket: Option<Ticket>,
    /// The upload is complete already.
    pub finished: Option<BlobHash>,
    pub expires_at: Timestamp,
}

/// Cheap to clone; every clone sees the same uploads.
#[derive(Debug, Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) spool: Spool,
    pub(super) blobs: blob::Store,
    pub(super) catalogue: coordinator::raft::Handle,
    /// None for a node that is alone.
    pub(super) peers: Option<Peers>,
    /// What the nodes said last about their disks.
    fleet: OnceLock<watch::Receiver<vitals::Table>>,
    uploads: Mutex<Uploads>,
    /// Held while an upload is opened, so that two that open the same file find the same session.
    opening: tokio::sync::Mutex<()>,
    progress: watch::Sender<Arc<BTreeMap<UploadId, Progress>>>,
}

#[derive(Debug, Default)]
struct Uploads {
    by_id: BTreeMap<UploadId, Entry>,
    by_key: BTreeMap<FileKey, UploadId>,
}

#[derive(Debug)]
struct Entry {
    live: Arc<Live>,
    /// The catalogue has acknowledged it; before that its absence there means nothing.
    is_announced: bool,
}

impl Handle {
    /// Finds the uploads on disk. They are in the catalogue's hands once [`super::Service`] runs.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn open(
        options: Options,
        spool: Spool,
        blobs: blob::Store,
        catalogue: coordinator::raft::Handle,
    ) -> Result<Self, Error> {
        Self::open_among(None, options, spool, blobs, catalogue)
    }

    /// As [`Self::open`], for a node that has others beside it.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn open_among(
        peers: Option<Peers>,
        options: Options,
        spool: Spool,
        blobs: blob::Store,
        catalogue: coordinator::raft::Handle,
    ) -> Result<Self, Error> {
        let loaded = spool.load()?;
        let handle = Self {
            inner: Arc::new(Inner {
                options,
                spool,
                blobs,
                catalogue,
                peers,
                fleet: OnceLock::new(),
                uploads: Mutex::default(),
                opening: tokio::sync::Mutex::default(),
                progress: watch::channel(Arc::default()).0,
            }),
        };
        for (meta, session, folder) in loaded {
            info!(
                upload = %meta.upload,
                received_bytes = session.received_bytes(),
                size_bytes = meta.size_bytes,
                "upload found on disk"
            );
            let is_announced = !meta.shape.is_private();
            handle.insert(meta, session, folder, is_announced);
        }
        Ok(handle)
    }

    pub(super) fn of(inner: &Arc<Inner>) -> Self {
        Self {
            inner: Arc::clone(inner),
        }
    }

    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// How far every unfinished upload is; wakes whenever one moves on.
    pub fn progress(&self) -> watch::Receiver<Arc<BTreeMap<UploadId, Progress>>> {
        self.inner.progress.subscribe()
    }

    /// Begins an upload, or finds the one that was begun with the same key, and makes the caller
    /// its writer.
    ///
    /// # Errors
    /// The file cannot be accepted, and the error says why.
    pub async fn begin(&self, begin: Begin<'_>) -> Result<Opened, Error> {
        let chars_max = self.inner.options.filename_chars as usize;
        let filename = display_name(begin.filename, chars_max)?;
        self.check_begin(&begin)?;
        if !begin.is_trusted {
            self.check_quota(begin.owner, begin.size_bytes)?;
        }
        let _one_at_a_time = self.inner.opening.lock().await;
        let mut begin = begin;
        // Somebody else's upload of the same file is not to be meddled with.
        begin.key = begin.key.filter(|key| self.is_free(key, begin.owner));
        if let Some(live) = begin.key.and_then(|key| self.by_key(&key)) {
            if begin.is_fresh {
                self.abort(live.upload()).await?;
            } else if self.is_stale(&live).await? {
                self.remove(&live).await?;
            } else {
                return self.go_on(live, begin.is_here).await;
            }
        }
        if let Some(open) = begin.key.and_then(|key| self.begun(&key)) {
            if begin.is_fresh {
                let upload = open.id;
                self.propose(Command::AbortUpload { upload }).await?;
            } else {
                return self.bring(&open, begin.is_here).await;
            }
        }
        if !begin.is_fresh
            && let Some(live) = self.keyless(&begin, &filename).await?
        {
            return self.resume(live).await;
        }
        let live = self.create(begin, filename).await?;
        self.resume(live).await
    }

    /// Finds an upload that was begun, without becoming its writer.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn find(&self, upload: UploadId) -> Result<Arc<Live>, Error> {
        let uploads = self.uploads();
        let entry = uploads.by_id.get(&upload).ok_or(Error::NotFound(upload))?;
        Ok(Arc::clone(&entry.live))
    }

    /// Finds an upload and makes the caller its writer: whoever wrote before has stopped when
    /// this returns, and all that they had received is on disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], or somebody newer came first.
    pub async fn take_over(&self, upload: UploadId) -> Result<Opened, Error> {
        match self.find(upload) {
            Ok(live) => self.go_on(live, false).await,
            Err(error) => {
                let _one_at_a_time = self.inner.opening.lock().await;
                let catalogue = &self.inner.catalogue;
                let open = catalogue.read(|catalogue| catalogue.upload(upload).cloned());
                match open {
                    Some(open) if open.node != catalogue.node() => self.bring(&open, false).await,
                    _ => Err(error),
                }
            }
        }
    }

    /// Goes on with what is here, if this is the node for it.
    async fn go_on(&self, live: Arc<Live>, is_here: bool) -> Result<Opened, Error> {
        let catalogue = &self.inner.catalogue;
        let open = catalogue.read(|catalogue| catalogue.upload(live.upload()).cloned());
        if let Some(open) = open
            && open.node != catalogue.node()
        {
            if !is_here
                && self.is_up(open.node)
                && let Some(elsewhere) = self.holder(&open)
            {
                return Err(elsewhere);
            }
            self.claim(&open).await?;
        }
        self.resume(live).await
    }

    /// Goes on with an upload of which nothing is here, unless a node that has some of it is up.
    async fn bring(&self, open: &Upload, is_here: bool) -> Result<Opened, Error> {
        if !is_here && let Some(elsewhere) = self.holder(open) {
            return Err(elsewhere);
        }
        let live = self.copy_session(open).await?;
        if let Err(error) = self.claim(open).await {
            self.remove(&live).await?;
            return Err(error);
        }
        self.mark_announced(live.upload());
        self.resume(live).await
    }

    pub(super) fn mark_announced(&self, upload: UploadId) {
        if let Some(entry) = self.uploads().by_id.get_mut(&upload) {
            entry.is_announced = true;
        }
    }

    /// Verifies the whole file and makes it a video. Goes on even if the caller goes away.
    ///
    /// # Errors
    /// Chunks are missing, or `expected` is not the file's hash.
    pub async fn finish(
        &self,
        live: &Arc<Live>,
        expected: Option<BlobHash>,
    ) -> Result<BlobHash, Error> {
        let (handle, live) = (self.clone(), Arc::clone(live));
        let task = tokio::spawn(async move { finish::finish(&handle, &live, expected).await });
        task.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// Gives an upload up: its bytes and its video are gone when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`]; the catalogue or the disk fails.
    pub async fn abort(&self, upload: UploadId) -> Result<(), Error> {
        let live = self.find(upload)?;
        if !live.is_private() && !matches!(live.meta().stage, Stage::Finished(_)) {
            match self.propose(Command::AbortUpload { upload }).await {
                Ok(()) | Err(Error::Catalogue(coordinator::raft::Error::Rejected(_))) => {}
                Err(error) => return Err(error),
            }
        }
        self.remove(&live).await
    }

    /// Where uploads are announced.
    pub fn catalogue(&self) -> &coordinator::raft::Handle {
        &self.inner.catalogue
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Every upload here that the catalogue was told of.
    pub(super) fn announced(&self) -> Vec<Arc<Live>> {
        let uploads = self.uploads();
        let entries = uploads.by_id.values();
        entries
            .filter(|entry| entry.is_announced)
            .map(|entry| Arc::clone(&entry.live))
            .collect()
    }

    /// Every upload that only this node knows of.
    pub(super) fn private(&self) -> Vec<Arc<Live>> {
        let entries = self.uploads();
        let all = entries.by_id.values().map(|entry| Arc::clone(&entry.live));
        all.filter(|live| live.is_private()).collect()
    }

    /// Every upload that is not at its end.
    pub fn open_uploads(&self) -> Vec<Arc<Live>> {
        let entries = self.uploads();
        let all = entries.by_id.values().map(|entry| Arc::clone(&entry.live));
        all.filter(|live| !matches!(live.meta().stage, Stage::Finished(_)))
            .collect()
    }

    /// Proposes, and takes "that was so already" for success.
    pub(super) async fn propose(&self, command: Command) -> Result<(), Error> {
        self.inner.catalogue.propose(command).await?;
        Ok(())
    }

    /// Stops the writers of an upload and removes what is left of it on this node.
    pub(super) async fn remove(&self, live: &Arc<Live>) -> Result<(), Error> {
        Box::pin(self.remove_parts(live)).await?;
        live.close().await;
        let upload = live.upload();
        {
            let mut uploads = self.uploads();
            uploads.by_id.remove(&upload);
            uploads.by_key.retain(|_, id| *id != upload);
        }
        self.forget_progress(upload);
        let spool = self.inner.spool.clone();
        blocking(move || spool.remove(upload)).await?;
        Ok(())
    }

    /// Takes a finished upload off the list of those that move.
    pub(super) fn forget_progress(&self, upload: UploadId) {
        self.inner.progress.send_if_modified(|all| {
            all.contains_key(&upload) && Arc::make_mut(all).remove(&upload).is_some()
        });
    }

    fn check_begin(&self, begin: &Begin<'_>) -> Result<(), Error> {
        if begin.shape.is_private() {
            self.check_private(begin.size_bytes)
        } else {
            self.check_size(begin.size_bytes)
        }
    }

    /// Largest file that is accepted.
    pub fn size_max_bytes(&self) -> u64 {
        let options = &self.inner.options;
        options.size_max_bytes.min(protocol::upload::FILE_SIZE_MAX)
    }

    pub(super) fn check_size(&self, size_bytes: u64) -> Result<(), Error> {
        let max_bytes = self.size_max_bytes();
        match size_bytes {
            0 => Err(Error::Empty),
            _ if size_bytes > max_bytes => Err(Error::TooLarge {
                size_bytes,
                max_bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Bytes that uploads may still take on this disk.
    pub(super) fn free_bytes(&self) -> Result<u64, Error> {
        let space = self.inner.blobs.space()?;
        let reserve_bytes = self.inner.options.reserve_bytes;
        Ok(space.free_bytes.saturating_sub(reserve_bytes))
    }

    pub(super) fn check_space(&self, size_bytes: u64) -> Result<(), Error> {
        let free_bytes = self.free_bytes()?;
        if size_bytes <= free_bytes {
            return Ok(());
        }
        Err(Error::NoSpace {
            size_bytes,
            free_bytes,
            elsewhere: self.elsewhere(size_bytes),
        })
    }

    /// The node with the most room, if it has enough for so much.
    fn elsewhere(&self, size_bytes: u64) -> Option<String> {
        let fleet = self.inner.fleet.get()?.borrow().clone();
        let reserve_bytes = self.inner.options.reserve_bytes;
        let me = self.inner.catalogue.node();
        let recent = now() - REPORT_AGE_MAX;
        let mut others: Vec<_> = fleet
            .values()
            .filter(|vitals| vitals.node != me && vitals.at >= recent)
            .filter(|vitals| vitals.disk_free_bytes.saturating_sub(reserve_bytes) >= size_bytes)
            .collect();
        others.sort_by_key(|vitals| std::cmp::Reverse(vitals.disk_free_bytes));
        self.inner.catalogue.read(|catalogue| {
            let mut nodes = others
                .iter()
                .filter_map(|vitals| catalogue.node(vitals.node));
            let node = nodes.find(|node| node.role != Role::Worker)?;
            Some(node.name.clone())
        })
    }

    /// Lets it name another node when this one is full.
    pub fn watch_fleet(&self, fleet: watch::Receiver<vitals::Table>) {
        drop(self.inner.fleet.set(fleet));
    }

    async fn create(&self, begin: Begin<'_>, filename: String) -> Result<Arc<Live>, Error> {
        let size_bytes = begin.size_bytes;
        let layout = begin.shape.layout(size_bytes).ok_or(Error::Empty)?;
        let meta = Meta {
            upload: UploadId::from_uuid(uuid::Uuid::now_v7()),
            video: VideoId::from_uuid(uuid::Uuid::now_v7()),
            key: begin.key,
            filename,
            metadata: begin.metadata,
            size_bytes,
            created_at: now(),
            stage: Stage::Receiving,
            shape: begin.shape,
            owner: begin.owner,
        };
        // What is made of parts takes over their room.
        if !matches!(meta.shape, Shape::Joined { .. }) {
            self.check_space(size_bytes)?;
        }
        // In a task of its own: whoever asked may go away half-way, and what is on disk by then must
        // not be forgotten.
        let handle = self.clone();
        let task = tokio::spawn(async move { handle.make(meta, layout).await });
        task.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// Makes room on disk, then tells the catalogue.
    async fn make(&self, meta: Meta, layout: Layout) -> Result<Arc<Live>, Error> {
        let (spool, on_disk) = (self.inner.spool.clone(), meta.clone());
        let folder = blocking(move || spool.create(&on_disk)).await?;
        // First here, then in the catalogue: an entry there without bytes anywhere is what the
        // reconciler gives up.
        let session = Session::new(layout, meta.created_at);
        let live = self.insert(meta.clone(), session, folder, false);
        if meta.shape.is_private() {
            return Ok(live);
        }
        if let Err(error) = self.announce(&meta).await {
            if let Err(error) = self.remove(&live).await {
                warn!(upload = %meta.upload, %error, "refused upload left on disk");
            }
            return Err(error);
        }
        self.mark_announced(meta.upload);
        Ok(live)
    }

    /// Whether what was begun with this key, if anything, belongs to the same token.
    fn is_free(&self, key: &FileKey, owner: Option<BlobHash>) -> bool {
        let is_own = |live: Arc<Live>| live.meta().owner == owner;
        let is_own_here = self.by_key(key).is_none_or(is_own);
        is_own_here
            && self.inner.catalogue.read(|catalogue| {
                let open = catalogue.upload_by_key(key);
                open.is_none_or(|open| catalogue.owner(open.video) == owner)
            })
    }

    /// Whether so much more may count against a token. Asked again when the catalogue is told.
    pub(super) fn check_quota(
        &self,
        owner: Option<BlobHash>,
        size_bytes: u64,
    ) -> Result<(), Error> {
        let Some(owner) = owner else {
            return if self.inner.options.require_token {
                Err(Error::Unauthorized)
            } else {
                Ok(())
            };
        };
        let left_bytes = self.inner.catalogue.read(|catalogue| {
            let token = catalogue.api_token(&owner);
            token.map(ApiToken::left_bytes)
        });
        match left_bytes {
            None => Err(Error::Unauthorized),
            Some(left_bytes) if size_bytes > left_bytes => Err(Error::Quota {
                size_bytes,
                left_bytes,
            }),
            Some(_) => Ok(()),
        }
    }

    /// Tells the catalogue; with the same upload again, nothing happens.
    pub(super) async fn announce(&self, meta: &Meta) -> Result<(), Error> {
        let (upload, video, filename) = (meta.upload, meta.video, meta.filename.clone());
        let (size_bytes, node) = (meta.size_bytes, self.inner.catalogue.node());
        let open = match (meta.owner, meta.key) {
            (Some(token), key) => Command::Access(AccessCommand::OpenUpload {
                token,
                upload,
                video,
                filename,
                size_bytes,
                node,
                key,
            }),
            (None, Some(key)) => Command::Ingest(IngestCommand::Open {
                upload,
                video,
                filename,
                size_bytes,
                node,
                key,
            }),
            (None, None) => Command::OpenUpload {
                upload,
                video,
                filename,
                size_bytes,
                node,
            },
        };
        self.propose(open).await?;
        info!(%upload, %video, size_bytes, "upload opened");
        Ok(())
    }

    pub(super) async fn resume(&self, live: Arc<Live>) -> Result<Opened, Error> {
        live.touch();
        let finished = match live.meta().stage {
            Stage::Finished(hash) => Some(hash),
            Stage::Receiving | Stage::Adopting(_) => None,
        };
        let ticket = if finished.is_some() {
            None
        } else {
            if !live.is_private() {
                self.note_progress(&live);
            }
            Some(live.take_over().await?)
        };
        let expires_at = live.session().expires_at(self.inner.options.expiry);
        Ok(Opened {
            live,
            ticket,
            finished,
            expires_at,
        })
    }

    pub(super) fn insert(
        &self,
        meta: Meta,
        session: Session,
        folder: super::spool::Folder,
        is_announced: bool,
    ) -> Arc<Live> {
        let (upload, key) = (meta.upload, meta.key);
        // What the catalogue does not know has no place on the page.
        let is_shown = !matches!(meta.stage, Stage::Finished(_)) && !meta.shape.is_private();
        // The live upload must not keep the handle alive, which holds the live upload.
        let inner = Arc::downgrade(&self.inner);
        let changed = Box::new(move |received_bytes| {
            if let Some(inner) = inner.upgrade() {
                inner.progress.send_if_modified(|all| {
                    Arc::make_mut(all)
                        .get_mut(&upload)
                        .map(|progress| progress.received_bytes = received_bytes)
                        .is_some()
                });
            }
        });
        let live = Live::new(meta, session, folder, changed, Arc::downgrade(&self.inner));
        if is_shown {
            self.note_progress(&live);
        }
        let mut uploads = self.uploads();
        let entry = Entry {
            live: Arc::clone(&live),
            is_announced,
        };
        uploads.by_id.insert(upload, entry);
        if let Some(key) = key {
            uploads.by_key.insert(key, upload);
        }
        live
    }

    /// Puts an upload onto the list of those that move.
    fn note_progress(&self, live: &Live) {
        let progress = Progress {
            video: live.video(),
            received_bytes: live.session().received_bytes(),
            size_bytes: live.meta().size_bytes,
        };
        self.inner.progress.send_if_modified(|all| {
            let before = Arc::make_mut(all).insert(live.upload(), progress);
            before != Some(progress)
        });
    }

    fn by_key(&self, key: &FileKey) -> Option<Arc<Live>> {
        let uploads = self.uploads();
        let upload = uploads.by_key.get(key)?;
        Some(Arc::clone(&uploads.by_id.get(upload)?.live))
    }

    /// Whether the same file is a new one again: what a finished upload made has been deleted
    /// since, or an unfinished one was given up or finished at another node.
    async fn is_stale(&self, live: &Live) -> Result<bool, Error> {
        let catalogue = &self.inner.catalogue;
        let is_gone = || match live.meta().stage {
            Stage::Finished(_) => catalogue.read(|all| all.video(live.video()).is_none()),
            Stage::Receiving => catalogue.read(|all| all.upload(live.upload()).is_none()),
            Stage::Adopting(_) => false,
        };
        if !is_gone() {
            return Ok(false);
        }
        // A copy of the catalogue that lags says nothing about what is not in it.
        catalogue.linearize().await?;
        Ok(is_gone())
    }

    /// An upload that was begun over HTTP with a file of this name, this length and this first
    /// chunk. It has the key from now on. Should it be another file all the same, the hash of the
    /// whole tells at the end.
    async fn keyless(&self, begin: &Begin<'_>, filename: &str) -> Result<Option<Arc<Live>>, Error> {
        let (Some(key), Some(first)) = (begin.key, begin.first) else {
            return Ok(None);
        };
        let found = self.open_uploads().into_iter().find(|live| {
            let meta = live.meta();
            meta.key.is_none()
                && meta.shape == Shape::Whole
                && meta.stage == Stage::Receiving
                && meta.size_bytes == begin.size_bytes
                && meta.owner == begin.owner
                && meta.filename == filename
                && live.session().hash(0) == Some(&first)
        });
        let Some(live) = found else { return Ok(None) };
        let shared = Arc::clone(&live);
        blocking(move || shared.change_meta(|meta| meta.key = Some(key))).await?;
        self.uploads().by_key.insert(key, live.upload());
        info!(upload = %live.upload(), "upload that was begun over HTTP goes on over QUIC");
        Ok(Some(live))
    }

    pub(super) fn private_count(&self) -> usize {
        let uploads = self.uploads();
        let entries = uploads.by_id.values();
        entries.filter(|entry| entry.live.is_private()).count()
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.inner.uploads.lock().expect("no holder panics")
    }
}

/// Whether the catalogue says that there is no such thing.
pub(super) const fn is_not_found(error: &Error) -> bool {
    matches!(
        error,
        Error::Catalogue(coordinator::raft::Error::Rejected(
            Rejection::NotFound { .. }
        ))
    )
}
