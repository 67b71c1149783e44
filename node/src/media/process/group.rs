//! One child with all its descendants: started, killed and reaped together.

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Starts children from one thread that lives as long as this value.
///
/// A child asks the kernel to die with its parent, and by that the kernel means the thread that
/// started it; the threads of a runtime come and go.
#[derive(Debug)]
pub(super) struct Spawner {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    command: Command,
    runtime: tokio::runtime::Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    pub(super) fn new() -> io::Result<Self> {
        // Unbounded, but each sender waits for its answer: as many as there are slots.
        let (orders, received) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("worker-spawner".to_owned())
            .spawn(move || {
                for Order {
                    mut command,
                    runtime,
                    reply,
                } in received
                {
                    let _context = runtime.enter();
                    // Nobody waits any more: the child is killed as it is dropped.
                    drop(reply.send(command.spawn()));
                }
            })?;
        Ok(Self { orders })
    }

    /// Starts `command` as the leader of a process group of its own.
    pub(super) async fn spawn(&self, mut command: Command) -> io::Result<Group> {
        command.process_group(0).kill_on_drop(true);
        let (reply, answer) = oneshot::channel();
        let order = Order {
            command,
            runtime: tokio::runtime::Handle::current(),
            reply,
        };
        let gone = || io::Error::other("the thread that starts workers is gone");
        self.orders.send(order).map_err(|_| gone())?;
        let child = answer.await.map_err(|_| gone())??;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(gone)?;
        Ok(Group {
            child,
            id,
            reaped: false,
        })
    }
}

/// A running child and its process group. Dropping it kills all of them.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) child: Child,
    id: Pid,
    reaped: bool,
}

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Before it was killed.
    pub(super) by_itself: bool,
}

/// How often an exit is looked for, once it is expected.
const POLL: Duration = Duration::from_millis(10);
/// How long a killed process may take to vanish; longer only in a broken driver or file system.
const REAP_MAX: Duration = Duration::from_secs(30);

impl Group {
    /// Gives the child `grace` to end by itself, then kills what is left of the group and reaps.
    ///
    /// The child is left as a zombie until its group is killed, so that the group's number cannot
    /// have become somebody else's.
    pub(super) async fn end(mut self, grace: Duration) -> io::Result<Ended> {
        let deadline = Instant::now() + grace;
        let mut by_itself = self.has_exited()?;
        while !by_itself && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
            by_itself = self.has_exited()?;
        }
        self.kill();
        let status = tokio::time::timeout(REAP_MAX, self.child.wait())
            .await
            .map_err(|_| io::Error::other("a killed worker does not vanish"))??;
        self.reaped = true;
        Ok(Ended { status, by_itself })
    }

    fn has_exited(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(rustix::process::waitid(WaitId::Pid(self.id), options)?.is_some())
    }

    fn kill(&self) {
        // The group is empty when all of it has ended: nothing to do.
        let _ = rustix::process::kill_process_group(self.id, Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}
