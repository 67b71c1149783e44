//! Uploads whose length is said late, and files that come as several parts side by side.
//!
//! Both are known to this node alone until they are files of known length; from then on they are
//! uploads like any other.

use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use protocol::id::{BlobHash, UploadId};
use protocol::upload::CHUNK_SIZE;
use tracing::{debug, info, warn};

use super::live::Live;
use super::registry::{Begin, Handle, Opened};
use super::session::{Meta, Record, Stage};
use super::shape::{PARTS_MAX, Shape};
use super::writer::{self, Room};
use super::{Error, blocking, finish, spool};

/// Uploads on this node that the catalogue does not know of.
const PRIVATE_MAX: usize = 10_000;

/// Bytes of a part read at once.
const READ_BYTES: usize = 1 << 20;

impl Handle {
    /// Whether one more upload may begin that only this node knows of.
    pub(super) fn check_private(&self, size_bytes: u64) -> Result<(), Error> {
        if self.private_count() >= PRIVATE_MAX {
            return Err(Error::TooMany { max: PRIVATE_MAX });
        }
        let max_bytes = self.size_max_bytes();
        if size_bytes > max_bytes {
            return Err(Error::TooLarge {
                size_bytes,
                max_bytes,
            });
        }
        Ok(())
    }

    /// How far an upload of unknown length may go now.
    ///
    /// # Errors
    /// The disk cannot be looked at.
    pub fn room(&self, live: &Live) -> Result<Room, Error> {
        let max_bytes = self.size_max_bytes();
        if live.length().is_some() {
            return Ok(Room::Size(max_bytes));
        }
        let free_bytes = self.free_bytes()?;
        let end = live.session().offset().saturating_add(free_bytes);
        Ok(if end < max_bytes {
            Room::Disk { free_bytes, end }
        } else {
            Room::Size(max_bytes)
        })
    }

    /// Takes the length of an upload that was begun without. Whoever wrote before has stopped
    /// when this returns.
    ///
    /// # Errors
    /// The length is not possible, or the catalogue refuses the file.
    pub async fn measure(&self, upload: UploadId, size_bytes: u64) -> Result<Opened, Error> {
        let handle = self.clone();
        // In a task of its own: it replaces what is in memory, which must not stop half-way.
        let task = tokio::spawn(async move { handle.measure_now(upload, size_bytes).await });
        task.await.unwrap_or(Err(Error::ShuttingDown))
    }

    async fn measure_now(&self, upload: UploadId, size_bytes: u64) -> Result<Opened, Error> {
        let opened = self.take_over(upload).await?;
        let live = Arc::clone(&opened.live);
        if let Some(known) = live.length() {
            return if known == size_bytes {
                Ok(opened)
            } else {
                Err(Error::Invalid(format!(
                    "the upload has {known} bytes, as was said before, and not {size_bytes}"
                )))
            };
        }
        let reached = live.session().offset();
        if size_bytes < reached {
            return Err(Error::Invalid(format!(
                "{reached} bytes are here already, so the upload cannot have {size_bytes}"
            )));
        }
        let shared = Arc::clone(&live);
        if live.meta().shape.is_part() {
            self.check_private(size_bytes)?;
            self.check_space(size_bytes - reached)?;
            blocking(move || {
                shared.folder().measure(size_bytes)?;
                shared.change_meta(|meta| {
                    meta.size_bytes = size_bytes;
                    meta.shape = Shape::Part {
                        is_measured: true,
                        joined: None,
                    };
                })
            })
            .await?;
            return Ok(opened);
        }
        self.check_size(size_bytes)?;
        self.check_quota(live.meta().owner, size_bytes)?;
        self.check_space(size_bytes - reached)?;
        blocking(move || shared.folder().measure(size_bytes)).await?;
        let meta = Meta {
            size_bytes,
            shape: Shape::Whole,
            ..live.meta()
        };
        // First the catalogue: on disk it is of unknown length still, so a client that hears
        // nothing says the length again, and the catalogue takes that for a repetition.
        self.announce(&meta).await?;
        live.close().await;
        let spool = self.inner().spool.clone();
        let loaded = blocking(move || {
            live.folder().write_meta(&meta)?;
            let (meta, session, folder) = spool.load_one(upload)?;
            let records = rehash(&meta, &live, &folder)?;
            folder.commit(&records)?;
            let mut session = session;
            for record in records {
                session.apply(record);
            }
            Ok::<_, Error>((meta, session, folder))
        });
        let (meta, session, folder) = loaded.await?;
        let live = self.insert(meta, session, folder, true);
        self.resume(live).await
    }

    /// Begins a file that is made of `parts`, or finds the one that they were made into.
    ///
    /// # Errors
    /// A part is not there, not finished, or part of another file.
    pub async fn begin_joined(
        &self,
        begin: Begin<'_>,
        parts: Vec<UploadId>,
    ) -> Result<Arc<Live>, Error> {
        if parts.is_empty() || parts.len() > PARTS_MAX {
            return Err(Error::Invalid(format!(
                "a file is made of 1 to {PARTS_MAX} parts"
            )));
        }
        let mut size_bytes = 0_u64;
        let mut joined = Vec::new();
        for (at, &upload) in parts.iter().enumerate() {
            let fail = |problem| Error::Part { upload, problem };
            if parts[..at].contains(&upload) {
                return Err(fail("it is named twice"));
            }
            let live = self.find(upload).map_err(|_| fail("it is not here"))?;
            let meta = live.meta();
            if meta.owner != begin.owner {
                return Err(fail("it is not here"));
            }
            let Shape::Part { joined: whole, .. } = meta.shape else {
                return Err(fail("it was not begun as a part"));
            };
            joined.push(whole);
            if whole.is_none() && !live.is_whole() {
                return Err(fail("bytes are missing"));
            }
            size_bytes = size_bytes.saturating_add(meta.size_bytes);
        }
        if let Some(&Some(whole)) = joined.first() {
            // Asked again, since the first answer did not arrive.
            let live = self.find(whole)?;
            if matches!(&live.meta().shape, Shape::Joined { parts: known } if *known == parts) {
                return Ok(live);
            }
        }
        if let Some(at) = joined.iter().position(Option::is_some) {
            return Err(Error::Part {
                upload: parts[at],
                problem: "it is part of another file already",
            });
        }
        let begin = Begin {
            size_bytes,
            shape: Shape::Joined {
                parts: parts.clone(),
            },
            ..begin
        };
        let live = self.begin(begin).await?.live;
        self.claim_parts(&live, &parts).await?;
        Ok(live)
    }

    /// Notes with each part what it has become part of.
    async fn claim_parts(
        &self,
        whole: &Arc<Live>,
        parts: &[UploadId],
    ) -> Result<Vec<Arc<Live>>, Error> {
        let mut claimed = Vec::new();
        for &upload in parts {
            let fail = |problem| Error::Part { upload, problem };
            let part = self.find(upload).map_err(|_| fail("it is not here"))?;
            let Shape::Part {
                is_measured,
                joined,
            } = part.meta().shape
            else {
                return Err(fail("it was not begun as a part"));
            };
            match joined {
                Some(other) if other != whole.upload() => {
                    return Err(fail("it is part of another file already"));
                }
                Some(_) => {}
                None => {
                    // Nobody writes to it any more.
                    part.take_over().await?;
                    let (shared, joined) = (Arc::clone(&part), Some(whole.upload()));
                    blocking(move || {
                        shared.change_meta(|meta| {
                            meta.shape = Shape::Part {
                                is_measured,
                                joined,
                            };
                        })
                    })
                    .await?;
                }
            }
            claimed.push(part);
        }
        Ok(claimed)
    }

    /// Puts the parts of a file together, from where that was left off, and makes it a video. Goes
    /// on even if the caller goes away.
    ///
    /// # Errors
    /// The disk fails, or a part is gone.
    pub async fn join(&self, live: &Arc<Live>) -> Result<BlobHash, Error> {
        let (handle, live) = (self.clone(), Arc::clone(live));
        let task = tokio::spawn(async move { handle.join_now(&live).await });
        task.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// As [`Self::join`], unless somebody does it already; nobody waits for the end.
    pub fn join_behind(&self, live: &Arc<Live>) {
        if live.joining.try_lock().is_err() {
            return;
        }
        let (handle, live) = (self.clone(), Arc::clone(live));
        tokio::spawn(async move {
            match handle.join_now(&live).await {
                Ok(_) => {}
                Err(error @ Error::Part { .. }) => {
                    warn!(upload = %live.upload(), %error, "file of parts given up");
                    if let Err(error) = handle.abort(live.upload()).await {
                        debug!(%error, "not given up yet");
                    }
                }
                Err(error) => warn!(upload = %live.upload(), %error, "parts not joined yet"),
            }
        });
    }

    async fn join_now(&self, live: &Arc<Live>) -> Result<BlobHash, Error> {
        let _once = live.joining.lock().await;
        let meta = live.meta();
        let Shape::Joined { parts } = meta.shape else {
            return Err(Error::Invalid("it is not made of parts".to_owned()));
        };
        if let Stage::Finished(hash) = meta.stage {
            return Ok(hash);
        }
        let parts = self.claim_parts(live, &parts).await?;
        if live.session().missing() > 0 {
            let ticket = live.take_over().await?;
            let offset = live.session().offset();
            let bytes = contents(parts.clone(), Arc::clone(live), offset);
            writer::append(live, &ticket, offset, bytes).await?;
            info!(upload = %live.upload(), parts = parts.len(), "parts joined");
        }
        let hash = finish::finish(self, live, None).await?;
        for part in parts {
            // Kept as a note, so that whoever asks for the same parts again finds the file.
            let shared = Arc::clone(&part);
            blocking(move || {
                shared.set_stage(Stage::Finished(hash))?;
                shared.folder().discard().map_err(Error::from)
            })
            .await?;
        }
        Ok(hash)
    }

    /// The parts of a file that is given up are of no use to anybody: some of their bytes have
    /// moved into it.
    pub(super) async fn remove_parts(&self, live: &Live) -> Result<(), Error> {
        let meta = live.meta();
        let Shape::Joined { parts } = &meta.shape else {
            return Ok(());
        };
        for upload in parts {
            if let Ok(part) = self.find(*upload)
                && matches!(part.meta().shape, Shape::Part { joined, .. } if joined == Some(meta.upload))
            {
                self.remove(&part).await?;
            }
        }
        Ok(())
    }
}

/// The notes that change once the length is known: the hash of the begin of a chunk is final if
/// nothing follows, and the only chunk of a file has a hash of its own kind.
fn rehash(meta: &Meta, before: &Live, folder: &spool::Folder) -> Result<Vec<Record>, Error> {
    let layout = meta.layout().ok_or(Error::Empty)?;
    let reached = before.session().offset();
    let is_begun = !reached.is_multiple_of(u64::from(CHUNK_SIZE));
    let tail = before.session().tail();
    if layout.chunks() > 1 && !is_begun {
        return Ok(Vec::new());
    }
    let last = if layout.chunks() == 1 {
        0
    } else {
        u32::try_from(reached / u64::from(CHUNK_SIZE)).map_err(|_| Error::Poisoned)?
    };
    let length = u32::try_from(reached - layout.offset(last)).map_err(|_| Error::Poisoned)?;
    if length == 0 {
        return Ok(Vec::new());
    }
    // What is on disk must be what was noted, or a damaged byte would get a good hash now.
    if let Some(tail) = tail
        && let found = before.folder().hash(tail.index, tail.length)?
        && found.finish() != tail.hash
    {
        return Ok(Vec::new());
    }
    if let Some(noted) = before.session().hash(last).copied()
        && !before.folder().verify(last, noted)?
    {
        return Ok(Vec::new());
    }
    let hash = folder.hash(last, length)?.finish();
    Ok(vec![if length == layout.length(last) {
        Record::Chunk { index: last, hash }
    } else {
        Record::Tail {
            index: last,
            length,
            hash,
        }
    }])
}

/// The bytes of `parts` in order, from `offset` on. What is durable in the whole is given back to
/// the disk, so that joining needs next to no room.
fn contents(
    parts: Vec<Arc<Live>>,
    whole: Arc<Live>,
    offset: u64,
) -> impl Stream<Item = Result<Bytes, Error>> {
    async_stream::try_stream! {
        let mut start = 0;
        for part in parts {
            let size = part.length().unwrap_or_default();
            let end = start + size;
            let mut at = offset.max(start);
            let mut given_back = 0;
            while at < end {
                let length = READ_BYTES.min(usize::try_from(end - at).unwrap_or(READ_BYTES));
                let durable = whole.session().offset().clamp(start, end) - start;
                let give_back = durable >= given_back + u64::from(CHUNK_SIZE);
                if give_back {
                    given_back = durable;
                }
                let (shared, from) = (Arc::clone(&part), at - start);
                let bytes = blocking(move || {
                    if give_back {
                        shared.folder().give_back(durable);
                    }
                    shared.folder().read_at(from, length)
                })
                .await?;
                if bytes.len() < length {
                    Err(Error::Part { upload: part.upload(), problem: "its bytes are gone" })?;
                }
                at += length as u64;
                yield Bytes::from(bytes);
            }
            start = end;
        }
    }
}
