//! Removes what no video points to: retired generations from the origin, old work from the outbox.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use protocol::id::GenerationId;
use tokio::time::Instant;

use super::plan;
use crate::origin::{self, Origin};

/// When this process first saw a generation retired, and so when its objects may go. A restart
/// begins the wait anew, which only delays.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    since: BTreeMap<GenerationId, Instant>,
}

impl Waiting {
    pub(super) fn is_new(&self, generation: GenerationId) -> bool {
        !self.since.contains_key(&generation)
    }

    pub(super) fn begin(&mut self, generation: GenerationId, now: Instant) {
        self.since.entry(generation).or_insert(now);
    }

    pub(super) fn is_over(&self, generation: GenerationId, grace: Duration, now: Instant) -> bool {
        self.since
            .get(&generation)
            .is_some_and(|since| now.duration_since(*since) >= grace)
    }

    pub(super) fn end(&mut self, generation: GenerationId) {
        self.since.remove(&generation);
    }
}

/// Removes the playlists below `base`: nobody new begins to watch.
pub(super) async fn close(origin: &Origin, base: &str) -> Result<(), origin::Error> {
    let removal = plan::removal(origin.list(base).await?.into_keys());
    for key in &removal.playlists {
        origin.delete(key).await?;
    }
    Ok(())
}

/// Removes everything below `base`, playlists first.
pub(super) async fn sweep(origin: &Origin, base: &str) -> Result<usize, origin::Error> {
    let removal = plan::removal(origin.list(base).await?.into_keys());
    let count = removal.playlists.len() + removal.rest.len();
    for key in &removal.playlists {
        origin.delete(key).await?;
    }
    origin.delete_all(removal.rest).await?;
    Ok(count)
}

/// Removes a folder and all in it. That there is none is as good.
pub(super) async fn remove_folder(folder: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Generations that have a folder in the outbox, at most `max` of them.
pub(super) async fn outbox(folder: &Path, max: usize) -> io::Result<Vec<GenerationId>> {
    let mut found = Vec::new();
    let mut entries = match tokio::fs::read_dir(folder).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
            found.push(id);
        }
        if found.len() == max {
            break;
        }
    }
    Ok(found)
}
