//! The network between nodes: slow, lossy, cut one way or both; what is late may still arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coordinator::raft::{CallError, Handle, Network, Peer};
use futures::future::BoxFuture;
use protocol::id::NodeId;
use protocol::raft::{Answer, Request};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::chance::Shared;

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeId, (Handle, Alive)>,
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Messages of a thousand that are lost.
    loss_permille: u64,
    /// Times the usual delay.
    slowness: u64,
}

/// Whether a process is still there; what it does afterwards has no effect on anybody.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicBool>);

impl Alive {
    pub fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
pub struct Net {
    state: Arc<Mutex<State>>,
    shared: Shared,
}

impl Net {
    pub fn new(shared: &Shared) -> Self {
        Self {
            state: Arc::default(),
            shared: shared.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn wire(&self, from: NodeId, alive: &Alive) -> Wire {
        Wire {
            net: self.clone(),
            from,
            alive: alive.clone(),
        }
    }

    pub fn enter(&self, node: NodeId, handle: Handle, alive: Alive) {
        self.state().nodes.insert(node, (handle, alive));
    }

    pub fn leave(&self, node: NodeId) {
        self.state().nodes.remove(&node);
    }

    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.state().cut.insert((from, to));
    }

    pub fn be_bad(&self, loss_permille: u64, slowness: u64) {
        let mut state = self.state();
        state.loss_permille = loss_permille;
        state.slowness = slowness;
    }

    pub fn heal(&self) {
        let mut state = self.state();
        state.cut.clear();
        state.loss_permille = 0;
        state.slowness = 1;
    }

    /// Whether a message from one to the other gets through, and after how long.
    pub fn passes(&self, from: NodeId, to: NodeId) -> Option<Duration> {
        let state = self.state();
        let lost = state.cut.contains(&(from, to))
            || self.shared.chance(|c| c.happens(state.loss_permille));
        let slowness = state.slowness.max(1);
        drop(state);
        let delay = self.shared.chance(|c| {
            let tail = if c.happens(20) { 20 } else { 1 };
            c.micros(200..4000) * u32::try_from(slowness * tail).expect("small")
        });
        (!lost).then_some(delay)
    }

    /// Takes the request to its target and the answer back; none: lost on the way.
    async fn deliver(
        self,
        from: NodeId,
        to: NodeId,
        request: Request,
    ) -> Option<Result<Answer, CallError>> {
        let there = self.passes(from, to)?;
        sleep(there).await;
        let target = self.state().nodes.get(&to).cloned();
        let Some((target, alive)) = target else {
            // A port that nobody listens on says so; a machine without power says nothing.
            let told = self.shared.chance(|c| c.happens(500));
            return told.then(|| Err(CallError::Unreachable("nobody there".to_owned())));
        };
        let kind = request.kind;
        let length = request.body.len();
        let answer = target.answer(from, request).await;
        if !alive.is() {
            return None;
        }
        let answered = match &answer {
            Answer::Body(body) => body.len(),
            Answer::Failed(why) => why.len(),
        };
        self.shared
            .note(&format!("{from} to {to}: {kind:?} {length} {answered}"));
        let back = self.passes(to, from)?;
        sleep(back).await;
        Some(Ok(answer))
    }
}

/// One node's end of the network.
pub struct Wire {
    net: Net,
    from: NodeId,
    alive: Alive,
}

impl Network for Wire {
    fn call(
        &self,
        peer: Peer,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Answer, CallError>> {
        let (net, from, alive) = (self.net.clone(), self.from, self.alive.clone());
        Box::pin(async move {
            let (told, hears) = oneshot::channel();
            if alive.is() {
                // On its own: it goes on when nobody waits for it any more.
                tokio::spawn(async move {
                    let answer = net.deliver(from, peer.node, request).await;
                    if let Some(answer) = answer {
                        drop(told.send(answer));
                    } else {
                        // The caller learns nothing, and waits.
                        std::future::pending::<()>().await;
                    }
                });
            }
            let lost = || CallError::Lost("no answer".to_owned());
            match timeout(deadline, hears).await {
                Ok(Ok(answer)) if alive.is() => answer,
                Ok(Err(_)) => {
                    sleep(deadline).await;
                    Err(lost())
                }
                _ => Err(lost()),
            }
        })
    }
}
