//! The node's end of the upload protocol.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use protocol::id::UploadId;
use protocol::upload::{
    Answer, CHUNK_SIZE, Finish, Known, Open, Opened, PROOF_LABEL, Put, REQUEST_MAX, Refused,
    Request,
};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::live::{Live, Ticket};
use super::registry::{Begin, Handle};
use super::{Error, writer};
use crate::transport::Handler;
use crate::transport::stream::{read_frame, write_frame};

/// A client that opens a stream speaks within this time, and reads what it is told.
const FRAME_DEADLINE: Duration = Duration::from_secs(30);

/// How often a client hears that its file is still being verified.
const VERIFYING_EVERY: Duration = Duration::from_millis(500);

/// Uploads that one connection may have open; a client sends a few files side by side.
const UPLOADS_MAX: usize = 64;

/// Files that one connection may ask for by their hash.
const KNOWN_MAX: u32 = 10_000;

/// Largest piece taken from a stream at once.
const PIECE_BYTES: usize = 256 << 10;

/// Serves uploads.
#[derive(Debug, Clone)]
pub struct Server {
    handle: Handle,
}

impl Server {
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

impl Handler for Server {
    fn accept(&self, connection: Connection, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let peer = Arc::new(Peer {
                handle: self.handle.clone(),
                connection: connection.clone(),
                uploads: Mutex::default(),
                known: AtomicU32::new(0),
            });
            let streams = TaskTracker::new();
            loop {
                let stream = tokio::select! {
                    () = shutdown.cancelled() => break,
                    stream = connection.accept_bi() => stream,
                };
                match stream {
                    Ok((send, recv)) => {
                        let (peer, shutdown) = (Arc::clone(&peer), shutdown.clone());
                        streams.spawn(async move {
                            tokio::select! {
                                () = shutdown.cancelled() => {}
                                () = peer.serve(send, recv) => {}
                            }
                        });
                    }
                    Err(error) => {
                        debug!(remote = %connection.remote_address(), %error, "client gone");
                        break;
                    }
                }
            }
            streams.close();
            streams.wait().await;
            let code = protocol::code::ErrorCode::ShuttingDown.number();
            connection.close(VarInt::from_u32(code.into()), b"the node is stopping");
        })
    }
}

/// One client, as one connection.
#[derive(Debug)]
struct Peer {
    handle: Handle,
    connection: Connection,
    /// What this connection has opened and may write.
    uploads: Mutex<BTreeMap<UploadId, (Arc<Live>, Ticket)>>,
    /// Files it has asked for by their hash.
    known: AtomicU32,
}

impl Peer {
    async fn serve(&self, mut send: SendStream, mut recv: RecvStream) {
        let answer = match read_frame(&mut recv, REQUEST_MAX, FRAME_DEADLINE).await {
            Ok(Request::Open(open)) => self.open(open).await,
            Ok(Request::Put(put)) => self.put(put, &mut recv).await,
            Ok(Request::Finish(finish)) => self.finish(finish, &mut send).await,
            Ok(Request::Look(look)) => self.handle.outlook(look.size_bytes).map(Answer::Seen),
            Ok(Request::Known(known)) => self.known(&known).await,
            Err(error) => Err(Error::Invalid(error.to_string())),
        };
        let answer = answer.unwrap_or_else(|error| match error {
            Error::Elsewhere { node, address } => Answer::Elsewhere { node, address },
            error => {
                debug!(%error, "client refused");
                Answer::Refused(Refused::from(&error))
            }
        });
        // What the client still has to say on this stream is of no use any more.
        drop(recv.stop(VarInt::from_u32(0)));
        if write_frame(&mut send, &answer, FRAME_DEADLINE)
            .await
            .is_ok()
        {
            drop(send.finish());
        }
    }

    async fn open(&self, open: Open) -> Result<Answer, Error> {
        let opened = self
            .handle
            .begin(Begin {
                key: Some(open.key),
                filename: &open.filename,
                size_bytes: open.size_bytes,
                is_fresh: open.fresh,
                is_here: open.here,
                first: open.first,
                owner: open.secret.map(|secret| secret.hash()),
                ..Begin::default()
            })
            .await?;
        let live = opened.live;
        if let Some(ticket) = opened.ticket {
            let mut uploads = self.uploads.lock().expect("no holder panics");
            if uploads.len() >= UPLOADS_MAX && !uploads.contains_key(&live.upload()) {
                return Err(Error::Invalid(format!(
                    "one connection may have {UPLOADS_MAX} uploads open"
                )));
            }
            uploads.insert(live.upload(), (Arc::clone(&live), ticket));
        }
        let have = live.session().map();
        Ok(Answer::Opened(Opened {
            upload: live.upload(),
            video: live.video(),
            chunk_size: CHUNK_SIZE,
            have,
            finished: opened.finished,
            expires_at: opened.expires_at,
            copies: self.handle.copies_ahead(&live),
        }))
    }

    async fn put(&self, put: Put, recv: &mut RecvStream) -> Result<Answer, Error> {
        let (live, ticket) = self.opened(put.upload)?;
        if put.length == 0 || put.length != live.layout().length(put.index) {
            return Err(Error::Invalid(format!(
                "chunk {} of this file has not {} bytes",
                put.index, put.length
            )));
        }
        let bytes = pieces(recv);
        let copies = writer::put(&live, &ticket, put.index, put.hash, bytes).await?;
        let index = put.index;
        Ok(Answer::Stored { index, copies })
    }

    async fn known(&self, known: &Known) -> Result<Answer, Error> {
        // Each costs reads of an original that may lie on another node.
        let asked = self.known.fetch_add(1, Ordering::Relaxed);
        if asked >= KNOWN_MAX {
            return Err(Error::Invalid(format!(
                "one connection may ask for {KNOWN_MAX} files"
            )));
        }
        let mut secret = [0; 32];
        self.connection
            .export_keying_material(&mut secret, PROOF_LABEL, b"")
            .map_err(|_| Error::Invalid("the connection gives no secret".to_owned()))?;
        let found = self.handle.known(known, &secret).await?;
        Ok(
            found.map_or(Answer::Unknown, |(video, was_there)| Answer::Known {
                video,
                was_there,
            }),
        )
    }

    async fn finish(&self, finish: Finish, send: &mut SendStream) -> Result<Answer, Error> {
        let (live, _) = self.opened(finish.upload)?;
        let end = self.handle.finish(&live, Some(finish.hash));
        let mut end = std::pin::pin!(end);
        let hash = loop {
            if let Ok(result) = tokio::time::timeout(VERIFYING_EVERY, &mut end).await {
                break result?;
            }
            let done_bytes = live.verified_bytes.load(Ordering::Relaxed);
            let answer = Answer::Verifying { done_bytes };
            write_frame(send, &answer, FRAME_DEADLINE)
                .await
                .map_err(|error| Error::Gone(error.to_string()))?;
        };
        let mut uploads = self.uploads.lock().expect("no holder panics");
        uploads.remove(&finish.upload);
        Ok(Answer::Finished {
            video: live.video(),
            hash,
        })
    }

    fn opened(&self, upload: UploadId) -> Result<(Arc<Live>, Ticket), Error> {
        let uploads = self.uploads.lock().expect("no holder panics");
        let found = uploads.get(&upload).ok_or(Error::NotFound(upload))?;
        Ok((Arc::clone(&found.0), found.1.clone()))
    }
}

/// The bytes of a stream as they come, in order.
pub(super) fn pieces(recv: &mut RecvStream) -> impl Stream<Item = Result<Bytes, quinn::ReadError>> {
    futures::stream::unfold(recv, |recv| async {
        match recv.read_chunk(PIECE_BYTES, true).await {
            Ok(Some(chunk)) => Some((Ok(chunk.bytes), recv)),
            Ok(None) => None,
            Err(error) => Some((Err(error), recv)),
        }
    })
}
