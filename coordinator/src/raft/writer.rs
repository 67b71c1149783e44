//! The one writer of the log: takes what has gathered, writes it, commits once, tells everybody.
//!
//! On a machine it is a thread, since a commit blocks; on a simulated disk it is a task.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::JoinHandle;

use tokio::sync::mpsc as tasks;
use tracing::error;

use super::disk::Disk;
use super::keys;

/// Called once the work is on the disk, or never will be.
pub(super) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What the thread does, in the order of arrival.
pub(super) enum Op {
    Append {
        records: Vec<(u64, Vec<u8>)>,
        done: Done,
    },
    Vote {
        record: Vec<u8>,
        done: Done,
    },
    /// Only a hint for the next start, so it rides on the next sync.
    Committed {
        record: Vec<u8>,
    },
    /// Removes `from` and everything after it.
    Truncate {
        from: u64,
        done: Done,
    },
    /// Removes everything up to and with `upto`, little by little; `record` is its log id.
    Purge {
        upto: u64,
        record: Vec<u8>,
    },
    #[cfg(test)]
    Break,
}

/// One turn of the thread takes no more, so that the first callback does not wait for ever.
const TURN_MAX_BYTES: usize = 4 << 20;
/// Removing 5,000 records takes 19 ms; a vote must not wait that long.
const PURGE_PER_TURN: usize = 256;
/// Raft keeps few writes under way; a full queue makes it wait.
const QUEUE: usize = 1024;

/// Whoever alone writes.
pub(super) struct Writer {
    queue: Mutex<Option<Queue>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
enum Queue {
    Thread(SyncSender<Op>),
    Task(tasks::UnboundedSender<Op>),
}

impl Queue {
    fn send(&self, op: Op) -> Result<(), Op> {
        match self {
            Self::Thread(queue) => queue.send(op).map_err(|mpsc::SendError(op)| op),
            Self::Task(queue) => queue.send(op).map_err(|tasks::error::SendError(op)| op),
        }
    }
}

/// Where the log goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The index that the next record must have; none if the log is empty and new.
    pub(super) next: Option<u64>,
    /// Records up to here may be left over from the last run.
    pub(super) purging: Option<u64>,
}

impl Writer {
    /// A thread of its own.
    pub(super) fn start(disk: Box<dyn Disk>, position: Position) -> io::Result<Self> {
        let (queue, ops) = mpsc::sync_channel(QUEUE);
        let state = State::new(disk, position);
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || state.run(&ops))?;
        Ok(Self {
            queue: Mutex::new(Some(Queue::Thread(queue))),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// A task of the runtime that this is called on; a commit takes as long as the disk says.
    pub(super) fn start_task(disk: Box<dyn Disk>, position: Position) -> Self {
        // What raft has under way bounds it, and nothing may block here.
        let (queue, ops) = tasks::unbounded_channel();
        let state = State::new(disk, position);
        tokio::spawn(state.run_as_task(ops));
        Self {
            queue: Mutex::new(Some(Queue::Task(queue))),
            thread: Mutex::new(None),
        }
    }

    /// Hands `op` over; its `done` hears if nobody writes any more.
    pub(super) fn send(&self, op: Op) {
        let queue = self.queue.lock().expect("never poisoned").clone();
        let op = match queue {
            Some(queue) => match queue.send(op) {
                Ok(()) => return,
                Err(op) => op,
            },
            None => op,
        };
        if let Some(done) = op.into_done() {
            done(Err(io::Error::other("the log is closed")));
        }
    }

    /// Writes what is queued, then lets go of the folder. Blocks.
    pub(super) fn close(&self) {
        self.queue.lock().expect("never poisoned").take();
        // Held until the thread has ended: whoever closes as well must not go on before.
        let mut thread = self.thread.lock().expect("never poisoned");
        if let Some(Err(_)) = thread.take().map(JoinHandle::join) {
            error!("the log's thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Op {
    fn into_done(self) -> Option<Done> {
        match self {
            Self::Append { done, .. } | Self::Vote { done, .. } | Self::Truncate { done, .. } => {
                Some(done)
            }
            Self::Committed { .. } | Self::Purge { .. } => None,
            #[cfg(test)]
            Self::Break => None,
        }
    }
}

struct State {
    disk: Box<dyn Disk>,
    /// Index that the next record must have.
    next: Option<u64>,
    /// Up to where records are still to be removed.
    purging: Option<u64>,
    /// The first error. After a failed sync nobody knows what is on the disk, so nothing is tried
    /// again and nothing is acknowledged any more.
    failed: Option<String>,
}

/// What one turn has gathered.
#[derive(Default)]
struct Turn {
    done: Vec<Done>,
    bytes: usize,
}

impl State {
    fn new(disk: Box<dyn Disk>, Position { next, purging }: Position) -> Self {
        Self {
            disk,
            next,
            purging,
            failed: None,
        }
    }

    /// Once it has failed nothing is purged: wait, rather than spin until the node has stopped.
    fn has_work(&self) -> bool {
        self.purging.is_some() && self.failed.is_none()
    }

    async fn run_as_task(mut self, mut ops: tasks::UnboundedReceiver<Op>) {
        loop {
            let first = if self.has_work() {
                match ops.try_recv() {
                    Ok(op) => Some(op),
                    Err(tasks::error::TryRecvError::Empty) => None,
                    Err(tasks::error::TryRecvError::Disconnected) => break,
                }
            } else {
                match ops.recv().await {
                    Some(op) => Some(op),
                    None => break,
                }
            };
            let turn = self.gather(first, || ops.try_recv().ok());
            tokio::time::sleep(self.disk.commit_takes()).await;
            self.finish(turn);
        }
        self.end();
    }

    fn run(mut self, ops: &Receiver<Op>) {
        loop {
            let first = if self.has_work() {
                match ops.try_recv() {
                    Ok(op) => Some(op),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else {
                match ops.recv() {
                    Ok(op) => Some(op),
                    Err(_) => break,
                }
            };
            let turn = self.gather(first, || ops.try_recv().ok());
            self.finish(turn);
        }
        self.end();
    }

    fn end(&mut self) {
        if self.failed.is_none()
            && let Err(error) = self.disk.commit()
        {
            error!(%error, "the log could not be closed cleanly");
        }
    }

    /// Writes what has come, without a commit.
    fn gather(&mut self, first: Option<Op>, mut more: impl FnMut() -> Option<Op>) -> Turn {
        let mut turn = Turn::default();
        let mut next = first;
        while let Some(op) = next {
            self.take(op, &mut turn);
            next = if turn.bytes < TURN_MAX_BYTES {
                more()
            } else {
                None
            };
        }
        turn
    }

    /// Commits, and only then tells.
    fn finish(&mut self, turn: Turn) {
        if self.failed.is_none()
            && let Err(error) = self.purge_some()
        {
            self.fail(&error);
        }
        if !turn.done.is_empty()
            && self.failed.is_none()
            && let Err(error) = self.disk.commit()
        {
            self.fail(&error);
        }
        for done in turn.done {
            done(match &self.failed {
                None => Ok(()),
                Some(error) => Err(io::Error::other(error.clone())),
            });
        }
    }

    fn take(&mut self, op: Op, turn: &mut Turn) {
        let result = if self.failed.is_none() {
            self.write(&op, turn)
        } else {
            Ok(())
        };
        turn.done.extend(op.into_done());
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    fn write(&mut self, op: &Op, turn: &mut Turn) -> io::Result<()> {
        let disk = &mut self.disk;
        match op {
            Op::Append { records, .. } => {
                for (index, record) in records {
                    if self.next.is_some_and(|next| next != *index) {
                        return Err(io::Error::other(format!(
                            "entry {index} does not follow the log, which goes on at {:?}",
                            self.next
                        )));
                    }
                    disk.set_entry(*index, record)?;
                    turn.bytes += record.len();
                    self.next = Some(index + 1);
                }
                if let Some((last, _)) = records.last() {
                    disk.set_fact(keys::REACHES, &keys::log(*last))?;
                }
            }
            Op::Vote { record, .. } => {
                disk.set_fact(keys::VOTE, record)?;
            }
            Op::Committed { record } => {
                disk.set_fact(keys::COMMITTED, record)?;
            }
            Op::Truncate { from, .. } => {
                match from.checked_sub(1) {
                    Some(last) => disk.set_fact(keys::REACHES, &keys::log(last))?,
                    None => disk.remove_fact(keys::REACHES)?,
                }
                // Backwards, so that no hole can be left.
                while let Some(last) = disk.last_entry()? {
                    if last < *from {
                        break;
                    }
                    disk.remove_entry(last)?;
                }
                self.next = Some(*from);
            }
            Op::Purge { upto, record } => {
                disk.set_fact(keys::PURGED, record)?;
                // A snapshot from the leader may reach beyond this log.
                if self.next.is_none_or(|next| next <= *upto) {
                    disk.set_fact(keys::REACHES, &keys::log(*upto))?;
                    self.next = Some(upto + 1);
                }
                self.purging = Some(self.purging.map_or(*upto, |before| before.max(*upto)));
            }
            #[cfg(test)]
            Op::Break => return Err(io::Error::other("broken on purpose")),
        }
        Ok(())
    }

    fn purge_some(&mut self) -> io::Result<()> {
        let Some(upto) = self.purging else {
            return Ok(());
        };
        for _ in 0..PURGE_PER_TURN {
            match self.disk.first_entry()? {
                Some(first) if first <= upto => self.disk.remove_entry(first)?,
                _ => {
                    self.purging = None;
                    break;
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        error!(%error, "the log cannot be written; this node stops");
        self.failed.get_or_insert_with(|| error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::disk::{Durability, open_database};
    use super::*;

    fn append(writer: &Writer, index: u64) -> Receiver<io::Result<()>> {
        let (told, hears) = mpsc::channel();
        writer.send(Op::Append {
            records: vec![(index, vec![7; 100])],
            done: Box::new(move |result| told.send(result).expect("the test listens")),
        });
        hears
    }

    fn writer(dir: &Path) -> Writer {
        let disk = open_database(dir, Durability::Power).expect("new");
        let position = Position {
            next: Some(0),
            purging: None,
        };
        Writer::start(Box::new(disk), position).expect("a thread")
    }

    #[test]
    fn after_the_first_error_nothing_is_acknowledged() {
        let dir = tempfile::tempdir().expect("a folder");
        let writer = writer(dir.path());
        assert!(append(&writer, 0).recv().expect("told").is_ok());
        writer.send(Op::Break);
        assert!(append(&writer, 1).recv().expect("told").is_err());
        assert!(append(&writer, 1).recv().expect("told").is_err());
        writer.close();
        assert!(append(&writer, 1).recv().expect("told").is_err());
    }

    #[test]
    fn an_entry_that_leaves_a_hole_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let writer = writer(dir.path());
        assert!(append(&writer, 0).recv().expect("told").is_ok());
        assert!(append(&writer, 2).recv().expect("told").is_err());
    }
}
