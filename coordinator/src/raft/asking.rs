//! The numbers of this node's requests: which are open, and which it has the replies to.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use protocol::id::NodeId;

use crate::catalog::session::{RequestId, SessionId};

/// One run of this node.
#[derive(Debug)]
pub(super) struct Asking {
    session: SessionId,
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    open: BTreeSet<u64>,
}

/// A request that waits for its reply; dropped when it has it, or when nobody wants it any more.
#[derive(Debug)]
pub(super) struct Open<'a> {
    asking: &'a Asking,
    pub(super) id: RequestId,
}

impl Asking {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            session: SessionId {
                node,
                start: RandomState::new().hash_one(node.0),
            },
            numbers: Mutex::default(),
        }
    }

    pub(super) fn open(&self) -> Open<'_> {
        let mut numbers = self.numbers.lock().expect("never poisoned");
        let number = numbers.next;
        numbers.next += 1;
        numbers.open.insert(number);
        let answered_below = numbers.open.first().copied().unwrap_or(number);
        Open {
            asking: self,
            id: RequestId {
                session: self.session,
                number,
                answered_below,
            },
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut numbers = self.asking.numbers.lock().expect("never poisoned");
        numbers.open.remove(&self.id.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_request_is_where_replies_are_still_needed() {
        let asking = Asking::new(NodeId(1));
        let (first, second) = (asking.open(), asking.open());
        assert_eq!((first.id.number, first.id.answered_below), (0, 0));
        assert_eq!((second.id.number, second.id.answered_below), (1, 0));
        drop(second);
        assert_eq!(asking.open().id.answered_below, 0);
        drop(first);
        let last = asking.open();
        assert_eq!((last.id.number, last.id.answered_below), (3, 3));
        assert_ne!(
            Asking::new(NodeId(1)).session,
            Asking::new(NodeId(1)).session
        );
    }
}
