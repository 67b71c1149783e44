//! Pure: what people note about videos: tags, bins, the order of subclips, markers and comments.

use bincode::{Decode, Encode};
use protocol::id::{BinId, ClipId, CommentId, MarkerId, VideoId};
use protocol::marker::Colour;
use protocol::media::FrameRange;

use super::Catalog;
use super::context::Context;
use super::labels::Labelling;
use super::limits;
use super::marker::{Correction, Pinning};
use super::outcome::{Rejection, Reply};

/// Changes to what people note. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum ReviewCommand {
    /// Tags and bins of many videos at once; videos that are gone are passed over.
    Label {
        videos: Vec<VideoId>,
        add_tags: Vec<String>,
        remove_tags: Vec<String>,
        add_bins: Vec<BinId>,
        remove_bins: Vec<BinId>,
    } = 0,
    CreateBin {
        bin: BinId,
        name: String,
    } = 1,
    RenameBin {
        bin: BinId,
        name: String,
    } = 2,
    /// The videos that are in it stay in the library.
    DeleteBin {
        bin: BinId,
    } = 3,
    /// The subclips of a video in the order that a person wants; those left out follow in the order
    /// of their in points.
    OrderClips {
        video: VideoId,
        clips: Vec<ClipId>,
    } = 4,
    CreateMarker {
        marker: MarkerId,
        video: VideoId,
        /// One frame, or a range; the end is exclusive.
        frames: FrameRange,
        colour: Colour,
        text: String,
        author: String,
    } = 5,
    /// What is left out stays.
    ChangeMarker {
        marker: MarkerId,
        frames: Option<FrameRange>,
        colour: Option<Colour>,
        text: Option<String>,
        /// Whether it is dealt with, and who says so.
        resolved: Option<bool>,
        by: String,
    } = 6,
    /// Removes a marker with its comments.
    DeleteMarker {
        marker: MarkerId,
    } = 7,
    CreateComment {
        comment: CommentId,
        marker: MarkerId,
        text: String,
        author: String,
    } = 8,
    ChangeComment {
        comment: CommentId,
        text: String,
    } = 9,
    DeleteComment {
        comment: CommentId,
    } = 10,
}

impl Catalog {
    pub(super) fn review(
        &mut self,
        context: &mut Context,
        command: ReviewCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            ReviewCommand::Label {
                videos,
                add_tags,
                remove_tags,
                add_bins,
                remove_bins,
            } => {
                let labelling = Labelling {
                    add_tags,
                    remove_tags,
                    add_bins,
                    remove_bins,
                };
                self.label(context, &videos, &labelling)
            }
            ReviewCommand::CreateBin { bin, name } => self.create_bin(context, bin, name),
            ReviewCommand::RenameBin { bin, name } => self.rename_bin(context, bin, name),
            ReviewCommand::DeleteBin { bin } => self.delete_bin(context, bin),
            ReviewCommand::OrderClips { video, clips } => self.order_clips(context, video, &clips),
            ReviewCommand::CreateMarker {
                marker,
                video,
                frames,
                colour,
                text,
                author,
            } => {
                let pinning = Pinning {
                    marker,
                    video,
                    frames,
                    colour,
                    text,
                    author,
                };
                self.create_marker(context, pinning)
            }
            ReviewCommand::ChangeMarker {
                marker,
                frames,
                colour,
                text,
                resolved,
                by,
            } => {
                let correction = Correction {
                    frames,
                    colour,
                    text,
                    resolved,
                    by,
                };
                self.change_marker(context, marker, correction)
            }
            ReviewCommand::DeleteMarker { marker } => self.delete_marker(context, marker),
            ReviewCommand::CreateComment {
                comment,
                marker,
                text,
                author,
            } => self.create_comment(context, comment, marker, text, author),
            ReviewCommand::ChangeComment { comment, text } => {
                self.change_comment(context, comment, text)
            }
            ReviewCommand::DeleteComment { comment } => self.delete_comment(context, comment),
        }
    }

    fn order_clips(
        &mut self,
        context: &mut Context,
        video: VideoId,
        clips: &[ClipId],
    ) -> Result<Reply, Rejection> {
        self.video_or_refuse(video)?;
        limits::at_most(
            "the list's number of subclips",
            u64::try_from(clips.len()).unwrap_or(u64::MAX),
            u64::try_from(limits::CLIPS_PER_VIDEO_MAX).unwrap_or(u64::MAX),
        )?;
        for id in clips {
            if self.clip(*id).is_none_or(|clip| clip.video != video) {
                return Err(Rejection::NotFound {
                    what: format!("clip {id} in video {video}"),
                });
            }
        }
        let mut reply = Reply::Already;
        for id in self.clip_ids_of_video(video) {
            let place = clips.iter().position(|wanted| *wanted == id);
            let rank = place.and_then(|place| u32::try_from(place).ok());
            let Some(clip) = self.clip(id).filter(|clip| clip.rank != rank) else {
                continue;
            };
            let mut clip = (**clip).clone();
            clip.rank = rank;
            self.put_clip(context, clip);
            reply = Reply::Done;
        }
        Ok(reply)
    }
}
