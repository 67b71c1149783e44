//! Pure: the catalogue as a sequence of records, and back.
//!
//! Records of one length each rather than one long text: a reader needs no more memory than the
//! catalogue itself, and a damaged record is found where it stands.

use bincode::{Decode, Encode};
use protocol::time::Timestamp;

use super::Catalog;
use super::clip::Clip;
use super::cluster::Token;
use super::generation::Generation;
use super::job::Job;
use super::labels::Bin;
use super::marker::{Comment, Marker};
use super::node::Node;
use super::settings::Settings;
use super::upload::Upload;
use super::video::Video;

/// One record of a snapshot. Append only; an entity whose shape changes gets a new variant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Record {
    Head { settings: Settings, at: Timestamp } = 0,
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
        .chain(self.bins.values().map(|b| Record::Bin(b.clone())))
        .chain(self.markers.values().map(|m| Record::Marker((**m).clone())))
        .chain((self.comments.values()).map(|c| Record::Comment((**c).clone())))
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
                Record::Token(token) => {
                    catalog.tokens.insert(token.hash, token);
                }
                Record::Bin(bin) => {
                    catalog.bins.insert(bin.id, bin);
                }
                Record::Marker(marker) => catalog.load_marker(marker),
                Record::Comment(comment) => catalog.load_comment(comment),
            }
        }
        catalog
    }
}
