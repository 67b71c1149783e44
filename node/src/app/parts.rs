//! The parts of a node as one list: started forwards, stopped backwards.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Longest wait for one part to end. Long enough for a request under way, short enough that a
/// service manager does not lose patience.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

type Run = BoxFuture<'static, anyhow::Result<()>>;

/// What a node consists of, in order of start: each part may use those before it.
#[derive(Default)]
pub(super) struct Parts {
    parts: Vec<(&'static str, CancellationToken, Run)>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.parts.iter().map(|part| part.0))
            .finish()
    }
}

impl Parts {
    /// Adds a part that runs until its token is cancelled.
    pub(super) fn add<F, R>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = R> + Send + 'static,
        R: Ending,
    {
        let token = CancellationToken::new();
        let run = run(token.clone());
        let run = Box::pin(async move { run.await.into_result() });
        self.parts.push((name, token, run));
    }

    /// Runs all parts until `stop` resolves or one of them ends, then stops them, last first.
    ///
    /// # Errors
    /// A part failed, or ended although nobody asked it to.
    pub(super) async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut ends = JoinSet::new();
        let mut running: Vec<(&'static str, CancellationToken, JoinHandle<()>)> = Vec::new();
        for (name, token, run) in self.parts {
            let task = tokio::spawn(run);
            let watched = token.clone();
            // Reports the end of a part that was not asked to end.
            let (told, heard) = tokio::sync::oneshot::channel();
            ends.spawn(async move {
                match heard.await {
                    Ok(result) if !watched.is_cancelled() => Some((name, result)),
                    _ => None,
                }
            });
            let task = tokio::spawn(async move {
                let result = match task.await {
                    Ok(result) => result,
                    Err(error) => Err(anyhow::anyhow!("panicked: {error}")),
                };
                if let Err(error) = &result {
                    warn!(part = name, "part failed: {error:#}");
                }
                // Nobody listens once stopping has begun.
                drop(told.send(result));
            });
            running.push((name, token, task));
        }
        let result = tokio::select! {
            () = stop => Ok(()),
            Some((name, result)) = first(&mut ends) => result
                .and_then(|()| anyhow::bail!("it ended by itself"))
                .with_context(|| format!("the node cannot go on without its part {name:?}")),
        };
        for (name, token, task) in running.into_iter().rev() {
            debug!(part = name, "stopping");
            token.cancel();
            if tokio::time::timeout(STOP_TIMEOUT, task).await.is_err() {
                warn!(
                    part = name,
                    "part does not end in time, going on without it"
                );
            }
        }
        info!("stopped");
        result
    }
}

async fn first<T: 'static>(ends: &mut JoinSet<Option<T>>) -> Option<T> {
    while let Some(end) = ends.join_next().await {
        if let Ok(Some(end)) = end {
            return Some(end);
        }
    }
    None
}

/// What a part's `run` may return.
pub(super) trait Ending {
    fn into_result(self) -> anyhow::Result<()>;
}

impl Ending for () {
    fn into_result(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<E: Into<anyhow::Error>> Ending for Result<(), E> {
    fn into_result(self) -> anyhow::Result<()> {
        self.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn parts_stop_in_the_reverse_order_of_their_start() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for name in ["store", "ingest", "http"] {
            let order = Arc::clone(&order);
            parts.add(name, |token| async move {
                token.cancelled().await;
                order.lock().unwrap().push(name);
            });
        }
        parts.run(async {}).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["http", "ingest", "store"]);
    }

    #[tokio::test]
    async fn a_part_that_fails_stops_the_node_and_is_named() {
        let mut parts = Parts::default();
        parts.add("store", |token| async move { token.cancelled().await });
        parts.add("http", |_| async { anyhow::bail!("the port is gone") });
        let error = parts.run(std::future::pending()).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("http") && text.contains("the port is gone"),
            "{text}"
        );
    }
}
