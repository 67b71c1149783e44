//! Pure: each request is carried out once, however often it is asked.
//!
//! Whoever proposes numbers the requests of his session. The reply to a number is kept until he
//! says that he has it, so a request that is asked again, since the leader that was to answer died,
//! gets the reply of the first time.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use protocol::id::NodeId;
use protocol::time::{Span, Timestamp};

use super::outcome::{Outcome, Rejection, Reply, Stamp};
use super::{Catalog, Command};

/// Replies kept for one session: more than a node has under way at once. Of the oldest it is then
/// said that they are answered.
const REPLIES_MAX: usize = 16 * 1024;
/// Sessions kept; each start of a node begins one.
const SESSIONS_MAX: usize = 4 * 1024;
/// Nobody asks again after so long.
const IDLE_MAX: Span = Span::from_secs(3600);

/// A command, and who asks for which time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// None: asked once only, whatever comes of it.
    pub id: Option<RequestId>,
    pub command: Command,
}

/// Names one request for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RequestId {
    pub session: SessionId,
    /// Grows with each request of the session.
    pub number: u64,
    /// The replies to all numbers below have arrived, or nobody waits for them any more.
    pub answered_below: u64,
}

/// One run of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct SessionId {
    pub node: NodeId,
    /// Drawn by chance at each start.
    pub start: u64,
}

/// What is remembered of a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    pub id: SessionId,
    pub last_at: Timestamp,
    pub answered_below: u64,
    pub replies: BTreeMap<u64, Result<Reply, Rejection>>,
}

impl Catalog {
    /// Carries `request` out, unless that was done before: then only its reply comes again.
    pub fn apply_once(&mut self, stamp: Stamp, request: Request) -> Outcome {
        let Request { id, command } = request;
        let Some(id) = id else {
            return self.apply(stamp, command);
        };
        if let Some(session) = self.sessions.get(&id.session) {
            if let Some(reply) = session.replies.get(&id.number) {
                return Outcome {
                    reply: reply.clone(),
                    effects: Vec::new(),
                };
            }
            if id.number < session.answered_below {
                return Outcome::refused(Rejection::Answered);
            }
        }
        let outcome = self.apply(stamp, command);
        self.remember(id, outcome.reply.clone());
        outcome
    }

    fn remember(&mut self, id: RequestId, reply: Result<Reply, Rejection>) {
        let at = self.at;
        if !self.sessions.contains_key(&id.session) {
            self.sessions
                .retain(|_, session| session.last_at + IDLE_MAX > at);
            if self.sessions.len() >= SESSIONS_MAX {
                let oldest = self.sessions.values().min_by_key(|session| session.last_at);
                if let Some(oldest) = oldest.map(|session| session.id) {
                    self.sessions.remove(&oldest);
                }
            }
        }
        let session = self.sessions.entry(id.session).or_insert_with(|| Session {
            id: id.session,
            last_at: at,
            answered_below: 0,
            replies: BTreeMap::new(),
        });
        session.last_at = at;
        session.replies.insert(id.number, reply);
        if session.answered_below < id.answered_below {
            session.answered_below = id.answered_below;
            session.replies = session.replies.split_off(&id.answered_below);
        }
        while session.replies.len() > REPLIES_MAX {
            if let Some((number, _)) = session.replies.pop_first() {
                session.answered_below = number + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{UploadId, VideoId};

    use super::*;

    struct World {
        catalog: Catalog,
        index: u64,
    }

    fn upload(number: u64) -> Command {
        let at = Timestamp::from_millis(1);
        Command::OpenUpload {
            upload: UploadId::derived(at, number, 1),
            video: video(number),
            filename: "a.mov".to_owned(),
            size_bytes: 1,
            node: NodeId(1),
        }
    }

    fn video(number: u64) -> VideoId {
        VideoId::derived(Timestamp::from_millis(1), number, 2)
    }

    fn rename(filename: &str) -> Command {
        Command::RenameVideo {
            video: video(1),
            filename: filename.to_owned(),
        }
    }

    const fn session(start: u64) -> SessionId {
        SessionId {
            node: NodeId(1),
            start,
        }
    }

    impl World {
        fn new() -> Self {
            let mut world = Self {
                catalog: Catalog::default(),
                index: 0,
            };
            let opened = world.ask(0, session(9), 0, 0, upload(1));
            assert!(opened.is_ok());
            world
        }

        fn ask(
            &mut self,
            secs: i64,
            session: SessionId,
            number: u64,
            answered_below: u64,
            command: Command,
        ) -> Result<Reply, Rejection> {
            self.index += 1;
            let stamp = Stamp {
                index: self.index,
                sequence: 0,
                at: Timestamp::from_millis(secs * 1000),
            };
            let id = Some(RequestId {
                session,
                number,
                answered_below,
            });
            self.catalog
                .apply_once(stamp, Request { id, command })
                .reply
        }

        fn name(&self) -> &str {
            &self.catalog.video(video(1)).expect("there").filename
        }
    }

    /// The leader died between commit and answer; meanwhile somebody else gave another name.
    #[test]
    fn a_request_that_is_asked_again_is_not_carried_out_again() {
        let mut world = World::new();
        assert_eq!(
            world.ask(1, session(1), 1, 1, rename("one")),
            Ok(Reply::Done)
        );
        assert_eq!(
            world.ask(1, session(2), 1, 1, rename("two")),
            Ok(Reply::Done)
        );
        assert_eq!(
            world.ask(1, session(1), 1, 1, rename("one")),
            Ok(Reply::Done)
        );
        assert_eq!(world.name(), "two");
        let refused = world.ask(1, session(1), 2, 1, rename(""));
        assert!(refused.is_err());
        assert_eq!(world.ask(1, session(1), 2, 1, rename("")), refused);
    }

    #[test]
    fn a_reply_is_forgotten_once_it_has_arrived() {
        let mut world = World::new();
        for (number, answered_below) in [(1, 1), (2, 1), (3, 3)] {
            let name = number.to_string();
            let done = world.ask(1, session(1), number, answered_below, rename(&name));
            assert_eq!(done, Ok(Reply::Done));
        }
        let kept = &world.catalog.sessions[&session(1)];
        assert_eq!(kept.replies.keys().collect::<Vec<_>>(), [&3]);
        // A copy of it that was under way all the time.
        let late = world.ask(1, session(1), 2, 1, rename("2"));
        assert_eq!(late, Err(Rejection::Answered));
        assert_eq!(world.name(), "3");
    }

    #[test]
    fn what_is_remembered_has_its_bounds() {
        let mut world = World::new();
        for number in 1..=REPLIES_MAX as u64 + 5 {
            drop(world.ask(1, session(1), number, 0, rename("x")));
        }
        let kept = &world.catalog.sessions[&session(1)];
        assert_eq!((kept.replies.len(), kept.answered_below), (REPLIES_MAX, 6));
        for start in 2..SESSIONS_MAX as u64 + 50 {
            drop(world.ask(2, session(start), 1, 0, rename("x")));
        }
        assert_eq!(world.catalog.sessions.len(), SESSIONS_MAX);
        drop(world.ask(2 + 3601, session(1), 1, 0, rename("x")));
        assert_eq!(world.catalog.sessions.len(), 1);
    }

    #[test]
    fn sessions_are_part_of_a_snapshot() {
        let mut world = World::new();
        assert!(world.ask(1, session(1), 1, 0, rename("one")).is_ok());
        let mut restored = World {
            catalog: Catalog::from_records(world.catalog.records()),
            index: world.index,
        };
        assert_eq!(restored.catalog, world.catalog);
        assert!(restored.ask(1, session(2), 1, 0, rename("two")).is_ok());
        assert!(restored.ask(1, session(1), 1, 0, rename("one")).is_ok());
        assert_eq!(restored.name(), "two");
    }
}
