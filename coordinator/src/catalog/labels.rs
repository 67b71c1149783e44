//! Pure: tags and bins: words that videos share, and named parts of the library.
//!
//! A tag has one spelling in the whole catalogue, that of its first use; upper and lower case make
//! no other tag.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use protocol::id::{BinId, VideoId};
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::index::{Facet, folded};
use super::limits;
use super::outcome::{Effect, Rejection, Reply};

/// Videos that one command labels.
pub const LABELLED_MAX: usize = 200;
/// Longest tag in characters.
pub const TAG_MAX_CHARS: usize = 40;
/// Tags of one video.
pub const TAGS_PER_VIDEO_MAX: usize = 32;
/// Different tags in the library.
pub const TAGS_MAX: usize = 10_000;
/// Bins in the library.
pub const BINS_MAX: usize = 1_000;
/// Longest name of a bin in characters.
pub const BIN_NAME_MAX_CHARS: usize = 100;
/// Bins that one video is in.
pub const BINS_PER_VIDEO_MAX: usize = 32;
/// Videos in one bin, so that it can be deleted by one command.
pub const VIDEOS_PER_BIN_MAX: u64 = 10_000;

/// What a video is filed under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Labels {
    pub tags: BTreeSet<String>,
    pub bins: BTreeSet<BinId>,
}

/// A named part of the library.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Bin {
    pub id: BinId,
    /// Display text; no two bins have the same, upper or lower case.
    pub name: String,
    pub created_at: Timestamp,
}

/// What `Label` asks for.
pub(super) struct Labelling {
    pub(super) add_tags: Vec<String>,
    pub(super) remove_tags: Vec<String>,
    pub(super) add_bins: Vec<BinId>,
    pub(super) remove_bins: Vec<BinId>,
}

impl Catalog {
    pub fn bin(&self, id: BinId) -> Option<&Bin> {
        self.bins.get(&id)
    }

    pub fn bins(&self) -> impl Iterator<Item = &Bin> {
        self.bins.values()
    }

    /// Tags in use with the number of videos that have each, in alphabetical order.
    pub fn tags(&self) -> Vec<(&str, u64)> {
        (self.index.videos.by_text.facets())
            .filter_map(|(facet, count)| match facet {
                Facet::Tag(tag) => Some((self.spelling(tag)?, count)),
                Facet::Bin(_) | Facet::Rate(..) | Facet::Holder(_) => None,
            })
            .collect()
    }

    /// How many videos are in a bin.
    pub fn count_in_bin(&self, bin: BinId) -> u64 {
        let facet = Facet::Bin(bin);
        (self.index.videos.by_text.with(&facet)).map_or(0, roaring::RoaringBitmap::len)
    }

    /// The tag as it was first written.
    fn spelling(&self, folded_tag: &str) -> Option<&str> {
        let facet = Facet::Tag(folded_tag.into());
        let video = self.index.videos.by_text.one_with(&facet)?;
        let mut tags = self.videos.get(&video)?.labels.tags.iter();
        tags.find(|tag| *folded(tag) == *folded_tag)
            .map(String::as_str)
    }

    pub(super) fn label(
        &mut self,
        context: &mut Context,
        videos: &[VideoId],
        labelling: &Labelling,
    ) -> Result<Reply, Rejection> {
        limits::at_most(
            "the list's number of videos",
            count(videos.len()),
            count(LABELLED_MAX),
        )?;
        let spelled = self.spelled(&labelling.add_tags)?;
        let unwanted: BTreeSet<_> = labelling
            .remove_tags
            .iter()
            .map(|tag| folded(tag))
            .collect();
        for bin in &labelling.add_bins {
            self.bin_or_refuse(*bin)?;
        }
        let mut changed = Vec::new();
        for id in videos.iter().collect::<BTreeSet<_>>() {
            let Some(video) = self.videos.get(id) else {
                continue;
            };
            let mut labels = video.labels.clone();
            labels.tags.retain(|tag| !unwanted.contains(&folded(tag)));
            for bin in &labelling.remove_bins {
                labels.bins.remove(bin);
            }
            labels.tags.extend(spelled.iter().cloned());
            labels.bins.extend(labelling.add_bins.iter().copied());
            limits::at_most(
                "the video's number of tags",
                count(labels.tags.len()),
                count(TAGS_PER_VIDEO_MAX),
            )?;
            limits::at_most(
                "the video's number of bins",
                count(labels.bins.len()),
                count(BINS_PER_VIDEO_MAX),
            )?;
            if labels != video.labels {
                let mut video = (**video).clone();
                video.labels = labels;
                changed.push(video);
            }
        }
        for bin in &labelling.add_bins {
            let new = changed.iter().filter(|video| {
                let before = self.videos.get(&video.id);
                before.is_some_and(|before| !before.labels.bins.contains(bin))
            });
            let after = self.count_in_bin(*bin) + count(new.count());
            limits::at_most("the bin's number of videos", after, VIDEOS_PER_BIN_MAX)?;
        }
        if changed.is_empty() {
            return Ok(Reply::Already);
        }
        for video in changed {
            self.put_video(context, video);
        }
        context.wake(Effect::BinsChanged);
        Ok(Reply::Done)
    }

    /// The tags as they are written in the catalogue, if they are; they are checked.
    fn spelled(&self, tags: &[String]) -> Result<Vec<String>, Rejection> {
        limits::at_most(
            "the list's number of tags",
            count(tags.len()),
            count(TAGS_PER_VIDEO_MAX),
        )?;
        let mut spelled = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut new = 0;
        for tag in tags {
            let tag = tag.trim();
            limits::check_line("the tag", tag, TAG_MAX_CHARS)?;
            if tag.contains(',') {
                // Lists of tags are written with commas.
                return Err(Rejection::WrongState {
                    what: "the tag".to_owned(),
                    state: "written with a comma".to_owned(),
                });
            }
            let name = folded(tag);
            if !seen.insert(std::sync::Arc::clone(&name)) {
                continue;
            }
            let known = self.spelling(&name);
            new += usize::from(known.is_none());
            spelled.insert(known.unwrap_or(tag).to_owned());
        }
        if new > 0 {
            let all = self.index.videos.by_text.facets();
            let known = all
                .filter(|(facet, _)| matches!(facet, Facet::Tag(_)))
                .count();
            limits::at_most(
                "the library's number of tags",
                count(known + new),
                count(TAGS_MAX),
            )?;
        }
        Ok(spelled.into_iter().collect())
    }

    pub(super) fn create_bin(
        &mut self,
        context: &mut Context,
        id: BinId,
        name: String,
    ) -> Result<Reply, Rejection> {
        if let Some(known) = self.bins.get(&id) {
            return if known.name == name {
                Ok(Reply::Already)
            } else {
                Err(Rejection::Exists {
                    what: format!("bin {id}"),
                })
            };
        }
        self.check_bin_name(&name, None)?;
        limits::at_most(
            "the library's number of bins",
            count(self.bins.len() + 1),
            count(BINS_MAX),
        )?;
        let created_at = context.at;
        let bin = Bin {
            id,
            name,
            created_at,
        };
        self.bins.insert(id, bin);
        context.wake(Effect::BinsChanged);
        Ok(Reply::Done)
    }

    pub(super) fn rename_bin(
        &mut self,
        context: &mut Context,
        id: BinId,
        name: String,
    ) -> Result<Reply, Rejection> {
        let mut bin = self.bin_or_refuse(id)?.clone();
        if bin.name == name {
            return Ok(Reply::Already);
        }
        self.check_bin_name(&name, Some(id))?;
        bin.name = name;
        self.bins.insert(id, bin);
        context.wake(Effect::BinsChanged);
        Ok(Reply::Done)
    }

    pub(super) fn delete_bin(
        &mut self,
        context: &mut Context,
        id: BinId,
    ) -> Result<Reply, Rejection> {
        self.bin_or_refuse(id)?;
        for video in self.index.videos.by_text.ids_with(&Facet::Bin(id)) {
            let Some(video) = self.videos.get(&video) else {
                continue;
            };
            let mut video = (**video).clone();
            video.labels.bins.remove(&id);
            // Without a wake-up each: there may be thousands, and whoever shows bins asks anew.
            self.load_video(video);
        }
        self.bins.remove(&id);
        context.wake(Effect::BinsChanged);
        Ok(Reply::Done)
    }

    fn bin_or_refuse(&self, id: BinId) -> Result<&Bin, Rejection> {
        self.bins.get(&id).ok_or_else(|| Rejection::NotFound {
            what: format!("bin {id}"),
        })
    }

    /// Whether the name is display text that no other bin has.
    fn check_bin_name(&self, name: &str, own: Option<BinId>) -> Result<(), Rejection> {
        limits::check_line("the bin's name", name, BIN_NAME_MAX_CHARS)?;
        let name = folded(name);
        let mut others = self.bins.values().filter(|bin| Some(bin.id) != own);
        match others.find(|bin| folded(&bin.name) == name) {
            Some(other) => Err(Rejection::Exists {
                what: format!("a bin called {:?}", other.name),
            }),
            None => Ok(()),
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
