//! Watched folders: files that stand still are taken as if somebody had uploaded them.
//!
//! The folder is looked at again and again, since a network mount tells nobody what happens on it.
//! A file is an upload like any other: what was taken in before a crash is not read again.

pub mod steady;

pub mod folder;
pub mod lists;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use globset::GlobMatcher;
use protocol::id::VideoId;
use protocol::time::{Span, Timestamp};
use protocol::upload::{ChunkHash, FileKey, Layout};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::registry::{Begin, Handle};
use super::{Error, blocking, now, writer};
use folder::Journal;
use lists::{Lists, Wanted};
use steady::{Look, Steady};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// A file that failed is tried again after this long, and then after twice as long, up to a day.
const RETRY_MIN: Span = Span::from_secs(60);
const RETRY_DOUBLINGS_MAX: u32 = 10;

/// Problems that are kept for whoever asks.
const PROBLEMS_MAX: usize = 20;

/// One folder.
#[derive(Debug, Clone)]
pub struct Options {
    pub path: PathBuf,
    pub pattern: GlobMatcher,
    pub stable: Span,
    pub rescan: Duration,
    pub cards: bool,
    pub put_away: bool,
    /// Where it notes what was taken.
    pub journal: PathBuf,
}

/// How it goes, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    pub path: String,
    /// Files that match and were not taken yet.
    pub waiting: u64,
    /// Files taken since the node started.
    pub taken: u64,
    /// Whole sentences, the newest last.
    pub problems: Vec<String>,
}

/// Looks after one folder.
#[derive(Debug)]
pub struct Service {
    options: Options,
    handle: Handle,
    status: watch::Sender<Status>,
    steady: Steady,
    lists: Lists,
    /// Files that failed: as they looked, how often, and when to try again.
    failed: BTreeMap<PathBuf, (Look, u32, Timestamp)>,
}

impl Service {
    pub fn new(options: Options, handle: Handle) -> (Self, watch::Receiver<Status>) {
        let (status, receiver) = watch::channel(Status {
            path: options.path.display().to_string(),
            ..Status::default()
        });
        let service = Self {
            options,
            handle,
            status,
            steady: Steady::default(),
            lists: Lists::default(),
            failed: BTreeMap::new(),
        };
        (service, receiver)
    }

    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let journal = self.options.journal.clone();
        let mut journal = match blocking(move || Journal::open(journal)).await {
            Ok(journal) => journal,
            Err(error) => {
                let path = self.options.journal.display();
                let sentence = format!(
                    "What was taken before cannot be read from {path} ({error}); nothing is taken until that file is mended or removed."
                );
                warn!("{sentence}");
                self.complain(sentence);
                shutdown.cancelled().await;
                return;
            }
        };
        loop {
            let step = self.step(&mut journal, now());
            if shutdown.run_until_cancelled(step).await.is_none() {
                return;
            }
            let pause = tokio::time::sleep(self.options.rescan);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// One look, and what follows from it.
    pub async fn step(&mut self, journal: &mut Journal, now: Timestamp) {
        let root = self.options.path.clone();
        let all = match blocking(move || folder::files(&root)).await {
            Ok(all) => all,
            Err(error) => {
                let path = self.options.path.display();
                let sentence = format!(
                    "The watched folder {path} cannot be looked at: {error}. See that it is mounted and that this node may read it."
                );
                self.complain(sentence);
                return;
            }
        };
        let mut ready = self.steady.handle(now, self.options.stable, all.clone());
        let unsettled = lists::unsettled(&all, &ready);
        ready.retain(|(path, _)| !unsettled.iter().any(|base| path.starts_with(base)));
        if self.options.cards {
            ready = steady::whole_cards(&all, ready);
        }
        self.failed.retain(|path, _| all.contains_key(path));
        let wanted = |path: &Path, look: &Look| {
            self.options.pattern.is_match(path) && !journal.has(path, look)
        };
        let waiting = all.iter().filter(|(path, look)| wanted(path, look)).count();
        ready.retain(|(path, look)| wanted(path, look) && !self.is_put_off(path, look, now));
        self.status.send_modify(|status| {
            status.waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        });
        if ready.is_empty() {
            return;
        }
        let root = self.options.path.clone();
        let (mut lists, looks) = (std::mem::take(&mut self.lists), all.clone());
        let (writing, root, lists, sentences) = blocking(move || {
            // The names in /proc are those after all links.
            let root = fs::canonicalize(&root).unwrap_or(root);
            let sentences = lists.refresh(&root, &looks);
            (folder::being_written(), root, lists, sentences)
        })
        .await;
        self.lists = lists;
        for sentence in sentences {
            warn!(folder = %self.options.path.display(), "{sentence}");
            self.complain(sentence);
        }
        for (path, look) in ready {
            if writing.contains(&root.join(&path)) {
                continue;
            }
            let wanted = self.lists.wanted(&path);
            match self.take(&root.join(&path), look, wanted).await {
                Ok(video) => self.taken(journal, &root, &path, look, &all, video).await,
                Err(error) => self.put_off(path, look, &error, now),
            }
        }
    }

    fn is_put_off(&self, path: &Path, look: &Look, now: Timestamp) -> bool {
        let failed = self.failed.get(path);
        failed.is_some_and(|(before, _, until)| before == look && now < *until)
    }

    fn put_off(&mut self, path: PathBuf, look: Look, error: &Error, now: Timestamp) {
        let sentence = format!("{} is not taken: {}", path.display(), error.sentence());
        warn!(folder = %self.options.path.display(), "{sentence}");
        self.complain(sentence);
        let times = match self.failed.get(&path) {
            Some((before, times, _)) if *before == look => times + 1,
            _ => 1,
        };
        let doublings = (times - 1).min(RETRY_DOUBLINGS_MAX);
        let wait = Span::from_millis(RETRY_MIN.as_millis() << doublings);
        self.failed.insert(path, (look, times, now + wait));
    }

    fn complain(&self, sentence: String) {
        self.status.send_modify(|status| {
            status.problems.retain(|known| *known != sentence);
            status.problems.push(sentence);
            let surplus = status.problems.len().saturating_sub(PROBLEMS_MAX);
            status.problems.drain(..surplus);
        });
    }

    async fn taken(
        &mut self,
        journal: &mut Journal,
        root: &Path,
        path: &Path,
        look: Look,
        all: &BTreeMap<PathBuf, Look>,
        video: VideoId,
    ) {
        info!(path = %path.display(), %video, "file taken from a watched folder");
        self.failed.remove(path);
        // Even if it cannot be noted: the spool knows the file for a while too.
        if let Err(error) = journal.note(path, look, all) {
            warn!(%error, "file that was taken not noted");
            self.complain(format!(
                "That {} was taken could not be noted: {error}.",
                path.display()
            ));
        }
        let name = path.display().to_string();
        self.status.send_modify(|status| {
            status.taken += 1;
            status.waiting = status.waiting.saturating_sub(1);
            // It went well in the end.
            status
                .problems
                .retain(|problem| !problem.starts_with(&name));
        });
        if self.options.put_away {
            let whole = root.join(path);
            if let Err(error) = blocking(move || folder::put_away(&whole)).await {
                self.complain(format!(
                    "{name} was taken, but cannot be moved to the folder {:?}: {error}.",
                    folder::TAKEN
                ));
            }
        }
    }

    /// Reads the file into the spool and makes it a video.
    async fn take(
        &self,
        path: &Path,
        look: Look,
        wanted: Option<Wanted>,
    ) -> Result<VideoId, Error> {
        if let Some(wanted) = wanted {
            let owned = path.to_owned();
            blocking(move || lists::compare(&owned, &wanted)).await?;
        }
        let gone = |error: io::Error| Error::Gone(error.to_string());
        let layout = Layout::new(look.size_bytes).ok_or(Error::Empty)?;
        let owned = path.to_owned();
        let (file, first, last) = blocking(move || {
            let file = File::open(&owned)?;
            let first = chunk(&file, layout, 0)?;
            let last = chunk(&file, layout, layout.chunks() - 1)?;
            Ok((Arc::new(file), first, last))
        })
        .await
        .map_err(gone)?;
        let filename = path.file_name().unwrap_or_default().to_string_lossy();
        let modified = i64::try_from(look.modified_ns / 1_000_000).unwrap_or_default();
        let modified = Timestamp::from_millis(modified);
        let begin = Begin {
            key: Some(FileKey::new(
                &filename,
                look.size_bytes,
                modified,
                &first,
                &last,
            )),
            first: Some(first),
            filename: &filename,
            size_bytes: look.size_bytes,
            is_trusted: true,
            // The file is on this machine.
            is_here: true,
            ..Begin::default()
        };
        let opened = self.handle.begin(begin).await?;
        let live = opened.live;
        let Some(ticket) = opened.ticket else {
            return Ok(live.video());
        };
        let offset = live.session().offset();
        let bytes = contents(Arc::clone(&file), offset, look.size_bytes);
        writer::append(&live, &ticket, offset, bytes).await?;
        // Read to the end and still the same: only then is it what stood still.
        let metadata = blocking(move || file.metadata()).await.map_err(gone)?;
        if folder::look(&metadata) != look {
            self.handle.abort(live.upload()).await?;
            return Err(Error::Gone("the file changed while it was read".to_owned()));
        }
        self.handle.finish(&live, None).await?;
        Ok(live.video())
    }
}

fn chunk(file: &File, layout: Layout, index: u32) -> io::Result<ChunkHash> {
    let mut bytes = vec![0; layout.length(index) as usize];
    file.read_exact_at(&mut bytes, layout.offset(index))?;
    Ok(ChunkHash::of(layout, index, &bytes))
}

/// The bytes of `file` from `offset` to `end`.
fn contents(
    file: Arc<File>,
    offset: u64,
    end: u64,
) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    async_stream::try_stream! {
        let mut at = offset;
        while at < end {
            let length = READ_BYTES.min(usize::try_from(end - at).unwrap_or(READ_BYTES));
            let shared = Arc::clone(&file);
            let bytes = blocking(move || {
                let mut bytes = vec![0; length];
                shared.read_exact_at(&mut bytes, at).map(|()| bytes)
            })
            .await?;
            at += length as u64;
            yield Bytes::from(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
