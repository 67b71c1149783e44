//! Pure: the catalogue as a sequence of records, and back.
//!
//! Records of one length each rather than one long text: a reader needs no more memory than the
//! catalogue itself, and a damaged record is found where it stands.

use bincode::{Decode, Encode};
use protocol::time::Timestamp;

use super::Catalog;
use super::access::{ApiToken, Charge};
use super::clip::Clip;
use super::cluster::Token;
use super::delivery::{SigningKey, Wish};
use super::generation::Generation;
use super::job::Job;
use super::labels::Bin;
use super::marker::{Comment, Marker};
use super::node::Node;
use super::proxy::ProxyRecord;
use super::session::Session;
use super::settings::Settings;
use super::strike::Strikes;
use super::upload::Upload;
use super::video::Video;

/// One record of a snapshot. Append only; an entity whose shape changes gets a new variant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Record {
    Head {
        settings: Settings,
        at: Timestamp,
    } = 0,
    Video(Video) = 1,
    Upload(Upload) = 2,
    Generation(Generation) = 3,
    Job(Job) = 4,
    Node(Node) = 5,
    Clip(Clip) = 6,
    Token(Token) = 7,
    Bin(Bin) = 8,
    Marker(Marker) = 9,
    Comment(Comment) = 10,
    Proxy(ProxyRecord) = 11,
    SigningKey(SigningKey) = 12,
    Wish(Wish) = 13,
    Session(Session) = 14,
    Strikes(Strikes) = 15,
    ApiToken(ApiToken) = 16,
    /// After the token that it counts against.
    Charge(Charge) = 17,
}

impl Catalog {
    /// All records, in an order that depends on the content alone.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        std::iter::once(Record::Head {
            settings: self.settings.clone(),
            at: self.at,
        })
        .chain(self.videos.values().map(|v| Record::Video((**v).clone())))
        .chain(self.uploads.values().map(|u| Record::Upload((**u).clone())))
        .chain(
            self.generations
                .values()
                .map(|g| Record::Generation((**g).clone())),
        )
        .chain(self.jobs.values().map(|j| Record::Job((**j).clone())))
        .chain(self.nodes.values().map(|n| Record::Node((**n).clone())))
        .chain(self.clips.values().map(|c| Record::Clip((**c).clone())))
        .chain(self.tokens.values().map(|t| Record::Token(t.clone())))
        .chain(self.shelf.records().map(Record::Proxy))
        .chain(self.bins.values().map(|b| Record::Bin(b.clone())))
        .chain(self.markers.values().map(|m| Record::Marker((**m).clone())))
        .chain((self.comments.values()).map(|c| Record::Comment((**c).clone())))
        .chain(self.signing_keys.iter().map(|k| Record::SigningKey(*k)))
        .chain(self.wishes.iter().map(|w| Record::Wish(*w)))
        .chain(self.sessions.values().map(|s| Record::Session(s.clone())))
        .chain(self.strikes.values().map(|s| Record::Strikes(s.clone())))
        .chain(self.api_tokens().map(|t| Record::ApiToken(t.clone())))
        .chain(self.charges().map(|c| Record::Charge(*c)))
    }

    /// The catalogue that holds `records`; indexes are built anew.
    pub fn from_records(records: impl IntoIterator<Item = Record>) -> Self {
        let mut catalog = Self::default();
        for record in records {
            match record {
                Record::Head { settings, at } => {
                    catalog.settings = settings;
                    catalog.at = at;
                }
                Record::Video(video) => catalog.load_video(video),
                Record::Upload(upload) => catalog.load_upload(upload),
                Record::Generation(generation) => catalog.load_generation(generation),
                Record::Job(job) => catalog.load_job(job),
                Record::Node(node) => catalog.load_node(node),
                Record::Clip(clip) => catalog.load_clip(clip),
                Record::Proxy(record) => catalog.shelf.load(record),
                Record::Token(token) => {
                    catalog.tokens.insert(token.hash, token);
                }
                Record::Bin(bin) => {
                    catalog.bins.insert(bin.id, bin);
                }
                Record::Marker(marker) => catalog.load_marker(marker),
                Record::Comment(comment) => catalog.load_comment(comment),
                Record::SigningKey(key) => catalog.signing_keys.push(key),
                Record::Wish(wish) => catalog.wishes.push(wish),
                Record::Session(session) => {
                    catalog.sessions.insert(session.id, session);
                }
                Record::Strikes(strikes) => {
                    let key = (strikes.node, strikes.work);
                    catalog.strikes.insert(key, strikes);
                }
                Record::ApiToken(token) => {
                    // The charges that follow add up to what it uses.
                    let token = ApiToken {
                        used_bytes: 0,
                        ..token
                    };
                    catalog.api_tokens.insert(token.hash, token);
                }
                Record::Charge(charge) => catalog.load_charge(charge),
            }
        }
        catalog
    }
}
