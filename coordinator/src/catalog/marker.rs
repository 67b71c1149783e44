//! Pure: markers on pictures of a video, and the comments under them.

use bincode::{Decode, Encode};
use protocol::id::{CommentId, MarkerId, VideoId};
use protocol::marker::Colour;
use protocol::media::FrameRange;
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::limits;
use super::outcome::{Effect, Rejection, Reply};

/// Markers of one video.
pub const MARKERS_PER_VIDEO_MAX: usize = 2_000;
/// Comments of one marker.
pub const COMMENTS_PER_MARKER_MAX: usize = 200;
/// Bytes of all texts about one video: whoever asks for its markers gets all of them.
pub const TEXTS_PER_VIDEO_MAX_BYTES: u64 = 4 << 20;
/// Longest text of a marker or a comment in characters.
pub const TEXT_MAX_CHARS: usize = 4_000;
/// Longest name of whoever wrote it in characters.
pub const AUTHOR_MAX_CHARS: usize = 80;

/// Something said about a picture or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Marker {
    pub id: MarkerId,
    pub video: VideoId,
    /// Of the source; the end is exclusive. A marker on one picture has one frame.
    pub frames: FrameRange,
    pub colour: Colour,
    /// May be empty, and have several lines.
    pub text: String,
    /// As its author calls themselves; may be empty.
    pub author: String,
    pub created_at: Timestamp,
    /// When its text was changed last.
    pub edited_at: Option<Timestamp>,
    pub resolved: Option<Resolved>,
}

/// It is dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Resolved {
    pub at: Timestamp,
    pub by: String,
}

/// An answer to a marker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Comment {
    pub id: CommentId,
    /// That of the marker.
    pub video: VideoId,
    pub marker: MarkerId,
    pub text: String,
    pub author: String,
    pub created_at: Timestamp,
    pub edited_at: Option<Timestamp>,
}

/// What `CreateMarker` asks for.
pub(super) struct Pinning {
    pub(super) marker: MarkerId,
    pub(super) video: VideoId,
    pub(super) frames: FrameRange,
    pub(super) colour: Colour,
    pub(super) text: String,
    pub(super) author: String,
}

/// What `ChangeMarker` asks for.
pub(super) struct Correction {
    pub(super) frames: Option<FrameRange>,
    pub(super) colour: Option<Colour>,
    pub(super) text: Option<String>,
    pub(super) resolved: Option<bool>,
    pub(super) by: String,
}

impl Catalog {
    pub fn marker(&self, id: MarkerId) -> Option<&Marker> {
        self.markers.get(&id).map(AsRef::as_ref)
    }

    pub fn comment(&self, id: CommentId) -> Option<&Comment> {
        self.comments.get(&id).map(AsRef::as_ref)
    }

    pub fn markers(&self) -> impl Iterator<Item = &Marker> {
        self.markers.values().map(AsRef::as_ref)
    }

    pub fn comments(&self) -> impl Iterator<Item = &Comment> {
        self.comments.values().map(AsRef::as_ref)
    }

    /// The markers of one video in the order of their pictures.
    pub fn markers_of_video(&self, video: VideoId) -> impl Iterator<Item = &Marker> {
        let set = self.index.markers.by_video.get(&video);
        (set.into_iter().flatten()).filter_map(|(_, id)| self.marker(*id))
    }

    /// How many markers of a video are not dealt with.
    pub fn count_of_open_markers(&self, video: VideoId) -> u64 {
        (self.index.markers.open.get(&video)).map_or(0, |set| count(set.len()))
    }

    /// The comments of one marker, oldest first.
    pub fn comments_of_marker(&self, marker: MarkerId) -> impl Iterator<Item = &Comment> {
        let set = self.index.markers.by_marker.get(&marker);
        (set.into_iter().flatten()).filter_map(|(_, id)| self.comment(*id))
    }

    pub(super) fn create_marker(
        &mut self,
        context: &mut Context,
        pinning: Pinning,
    ) -> Result<Reply, Rejection> {
        let marker = Marker {
            id: pinning.marker,
            video: pinning.video,
            frames: pinning.frames,
            colour: pinning.colour,
            text: pinning.text,
            author: pinning.author,
            created_at: context.at,
            edited_at: None,
            resolved: None,
        };
        if let Some(known) = self.marker(marker.id) {
            // A repeated command: the proposer did not learn what came of the first.
            let created_at = known.created_at;
            return if *known
                == (Marker {
                    created_at,
                    ..marker
                }) {
                Ok(Reply::Already)
            } else {
                Err(exists(format!("marker {}", known.id)))
            };
        }
        self.check_frames("the marker", marker.video, marker.frames)?;
        limits::check_text("the marker's text", &marker.text, TEXT_MAX_CHARS)?;
        check_author(&marker.author)?;
        limits::at_most(
            "the video's number of markers",
            count(self.markers_of_video(marker.video).count() + 1),
            count(MARKERS_PER_VIDEO_MAX),
        )?;
        self.check_room(marker.video, &marker.text)?;
        self.put_marker(context, marker);
        Ok(Reply::Done)
    }

    pub(super) fn change_marker(
        &mut self,
        context: &mut Context,
        id: MarkerId,
        correction: Correction,
    ) -> Result<Reply, Rejection> {
        let old = self.marker_or_refuse(id)?;
        let mut marker = old.clone();
        let Correction {
            frames,
            colour,
            text,
            resolved,
            by,
        } = correction;
        if let Some(frames) = frames {
            self.check_frames("the marker", marker.video, frames)?;
            marker.frames = frames;
        }
        if let Some(colour) = colour {
            marker.colour = colour;
        }
        if let Some(text) = text.filter(|text| *text != marker.text) {
            limits::check_text("the marker's text", &text, TEXT_MAX_CHARS)?;
            self.check_room(marker.video, &text)?;
            marker.text = text;
            marker.edited_at = Some(context.at);
        }
        check_author(&by)?;
        match resolved {
            Some(true) if marker.resolved.is_none() => {
                marker.resolved = Some(Resolved { at: context.at, by });
            }
            Some(false) => marker.resolved = None,
            Some(true) | None => {}
        }
        if marker == old {
            return Ok(Reply::Already);
        }
        self.put_marker(context, marker);
        Ok(Reply::Done)
    }

    pub(super) fn delete_marker(
        &mut self,
        context: &mut Context,
        id: MarkerId,
    ) -> Result<Reply, Rejection> {
        self.marker_or_refuse(id)?;
        self.remove_marker(context, id);
        Ok(Reply::Done)
    }

    pub(super) fn create_comment(
        &mut self,
        context: &mut Context,
        id: CommentId,
        marker: MarkerId,
        text: String,
        author: String,
    ) -> Result<Reply, Rejection> {
        let video = self.marker_or_refuse(marker)?.video;
        if let Some(known) = self.comment(id) {
            let same = known.marker == marker && known.text == text && known.author == author;
            return if same {
                Ok(Reply::Already)
            } else {
                Err(exists(format!("comment {id}")))
            };
        }
        check_comment(&text)?;
        check_author(&author)?;
        limits::at_most(
            "the marker's number of comments",
            count(self.comments_of_marker(marker).count() + 1),
            count(COMMENTS_PER_MARKER_MAX),
        )?;
        self.check_room(video, &text)?;
        let comment = Comment {
            id,
            video,
            marker,
            text,
            author,
            created_at: context.at,
            edited_at: None,
        };
        self.put_comment(context, comment);
        Ok(Reply::Done)
    }

    pub(super) fn change_comment(
        &mut self,
        context: &mut Context,
        id: CommentId,
        text: String,
    ) -> Result<Reply, Rejection> {
        let mut comment = self.comment_or_refuse(id)?;
        if comment.text == text {
            return Ok(Reply::Already);
        }
        check_comment(&text)?;
        self.check_room(comment.video, &text)?;
        comment.text = text;
        comment.edited_at = Some(context.at);
        self.put_comment(context, comment);
        Ok(Reply::Done)
    }

    pub(super) fn delete_comment(
        &mut self,
        context: &mut Context,
        id: CommentId,
    ) -> Result<Reply, Rejection> {
        self.comment_or_refuse(id)?;
        self.remove_comment(context, id);
        Ok(Reply::Done)
    }

    pub(super) fn marker_ids_of_video(&self, video: VideoId) -> Vec<MarkerId> {
        self.markers_of_video(video)
            .map(|marker| marker.id)
            .collect()
    }

    /// Whether the texts about the video leave room for `text`.
    fn check_room(&self, video: VideoId, text: &str) -> Result<(), Rejection> {
        let there = self.index.markers.bytes.get(&video).copied().unwrap_or(0);
        limits::at_most(
            "the video's markers and comments' number of bytes",
            there + count(text.len()),
            TEXTS_PER_VIDEO_MAX_BYTES,
        )
    }

    fn marker_or_refuse(&self, id: MarkerId) -> Result<Marker, Rejection> {
        self.marker(id).cloned().ok_or_else(|| Rejection::NotFound {
            what: format!("marker {id}"),
        })
    }

    fn comment_or_refuse(&self, id: CommentId) -> Result<Comment, Rejection> {
        self.comment(id)
            .cloned()
            .ok_or_else(|| Rejection::NotFound {
                what: format!("comment {id}"),
            })
    }

    // The way in and out, as in `tables`.

    fn put_marker(&mut self, context: &mut Context, marker: Marker) {
        context.wake(Effect::MarkerChanged(marker.id));
        self.load_marker(marker);
    }

    /// With its comments.
    pub(super) fn remove_marker(&mut self, context: &mut Context, id: MarkerId) {
        let comments: Vec<_> = self
            .comments_of_marker(id)
            .map(|comment| comment.id)
            .collect();
        for comment in comments {
            if let Some(old) = self.comments.remove(&comment) {
                self.index.markers.commented(Some(&old), None);
            }
        }
        if let Some(old) = self.markers.remove(&id) {
            self.index.markers.updated(Some(&old), None);
            context.wake(Effect::MarkerDeleted {
                marker: id,
                video: old.video,
            });
        }
    }

    fn put_comment(&mut self, context: &mut Context, comment: Comment) {
        context.wake(Effect::MarkerChanged(comment.marker));
        self.load_comment(comment);
    }

    fn remove_comment(&mut self, context: &mut Context, id: CommentId) {
        if let Some(old) = self.comments.remove(&id) {
            self.index.markers.commented(Some(&old), None);
            context.wake(Effect::MarkerChanged(old.marker));
        }
    }

    pub(super) fn load_marker(&mut self, marker: Marker) {
        let new = std::sync::Arc::new(marker);
        let old = self.markers.insert(new.id, std::sync::Arc::clone(&new));
        self.index.markers.updated(old.as_deref(), Some(&new));
    }

    pub(super) fn load_comment(&mut self, comment: Comment) {
        let new = std::sync::Arc::new(comment);
        let old = self.comments.insert(new.id, std::sync::Arc::clone(&new));
        self.index.markers.commented(old.as_deref(), Some(&new));
    }
}

/// A comment says something.
fn check_comment(text: &str) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::WrongState {
            what: "the comment".to_owned(),
            state: "empty".to_owned(),
        });
    }
    limits::check_text("the comment", text, TEXT_MAX_CHARS)
}

fn check_author(author: &str) -> Result<(), Rejection> {
    if author.is_empty() {
        return Ok(());
    }
    limits::check_line("the author's name", author, AUTHOR_MAX_CHARS)
}

fn exists(what: String) -> Rejection {
    Rejection::Exists { what }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
