//! Pure: what nodes say to each other to agree on the catalogue; the bodies are opaque here.

use bincode::{Decode, Encode};

/// One request of a node to another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    pub kind: Kind,
    pub body: Vec<u8>,
}

/// What a request is about. Append only: the number is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[repr(u8)]
pub enum Kind {
    /// Entries of the log, or none: a heartbeat.
    Append = 0,
    Vote = 1,
    /// Whether a vote would be given, should there be an election.
    PreVote = 2,
    /// The leader asks this node to take over.
    TransferLeader = 3,
    /// A snapshot is to be sent: how much of it is there already?
    SnapshotOffer = 4,
    SnapshotChunk = 5,
    /// The snapshot is there whole: take it over.
    SnapshotInstall = 6,
    /// Commands that a client gave to a node that does not lead.
    Propose = 7,
    /// Up to where must a copy have come, to hold all that was acknowledged?
    ReadIndex = 8,
    /// A change of the members.
    Change = 9,
    /// The leader saw that this node has forgotten what it once acknowledged.
    Quarantine = 10,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Answer {
    Body(Vec<u8>) = 0,
    /// The peer cannot answer, and says why in a sentence.
    Failed(String) = 1,
}

/// Largest request or answer in bytes, with what wraps it.
pub const MESSAGE_MAX: usize = crate::codec::RECORD_MAX;
