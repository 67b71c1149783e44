//! The index of an MP4 or MOV file: whole or cut, and what it says about pictures, sound and timecode.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use protocol::failure::Failure;
use protocol::media::FrameRate;
use protocol::probe::{Colour, SourceTimecode, Web};
use protocol::timecode::{Counting, Timecode};

use crate::worker::container::access::Access;
use crate::worker::container::layout::Layout;
use crate::worker::container::made::layout_name;
use crate::worker::container::movie::{Error, Kind, Movie, Track, Turn};
use crate::worker::container::samples::Presentation;
use crate::worker::container::timing::Timing;
use crate::worker::probe::web;
use crate::worker::refuse::{MAX_INDEX_BYTES, Refusal, check_picture, check_tracks};

/// What the index says about the track that is rendered and what belongs to it.
#[derive(Debug)]
pub(super) struct Index {
    /// `mov` or `mp4`.
    pub(super) container: &'static str,
    /// Sample entry type of the chosen track.
    pub(super) codec: String,
    pub(super) turn: Turn,
    /// Shown frames and their timing; `None` if fragments behind the index hold the samples.
    pub(super) timing: Option<(u64, Timing)>,
    /// Longest way between two key pictures, in pictures; `None` if parts of the track cannot be
    /// decoded by themselves.
    pub(super) longest_gop: Option<u64>,
    /// Whether its pictures can be published as they are; none if fragments hold them.
    pub(super) web: Option<Web>,
    pub(super) sound: Vec<Sound>,
    pub(super) timecode: Option<SourceTimecode>,
    pub(super) reel: Option<String>,
    /// As the sample entry has it.
    pub(super) colour: Option<Colour>,
    pub(super) field_order: Option<&'static str>,
}

#[derive(Debug)]
pub(super) struct Sound {
    pub(super) language: Option<String>,
    pub(super) duration_ns: u64,
    pub(super) label: Option<String>,
    pub(super) layout: Option<&'static str>,
    pub(super) sample_bits: u16,
}

impl Index {
    /// Reads and judges the index of `file`; sentences about what is odd go to `remarks`.
    pub(super) fn read(
        file: &mut File,
        size_bytes: u64,
        remarks: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| Refusal::Unreadable.because(error.to_string());
        let layout = Layout::scan(file, size_bytes).map_err(unreadable)?;
        let Some(range) = layout.moov.clone() else {
            let missing_bytes = layout.missing_bytes;
            return Err(match missing_bytes {
                0 => Refusal::IncompleteRecording.because("no moov box"),
                _ => Refusal::Truncated { missing_bytes }.because("cut before the moov box"),
            });
        };
        let len = range.end - range.start;
        if len > MAX_INDEX_BYTES {
            return Err(Refusal::Damaged.because(format!("an index of {len} bytes")));
        }
        let mut moov = Vec::new();
        file.seek(SeekFrom::Start(range.start))
            .map_err(unreadable)?;
        file.take(len).read_to_end(&mut moov).map_err(unreadable)?;
        let movie = Movie::parse(&moov).map_err(refuse)?;
        check_tracks(movie.tracks.len(), movie.of_kind(Kind::Video).count())?;
        let Some(video) = movie.video() else {
            let sound = movie.of_kind(Kind::Sound).next().is_some();
            return Err(Refusal::NoVideoTrack { sound }.into());
        };
        if matches!(&video.codec, b"encv" | b"drmi") {
            return Err(Refusal::Encrypted.into());
        }
        if !video.enabled {
            remarks.push(
                "The video track is switched off in the file; it is shown all the same.".to_owned(),
            );
        }
        if movie.of_kind(Kind::Video).nth(1).is_some() {
            remarks.push("The file has several video tracks; the first one is shown.".to_owned());
        }
        let (width, height) = video.coded;
        if width > 0 && height > 0 {
            check_picture(u32::from(width), u32::from(height))?;
        }
        let is_fragmented = movie.fragmented && layout.fragments > 0;
        let data_end = movie.data_end();
        if data_end > size_bytes {
            let missing_bytes = data_end - size_bytes;
            return Err(Refusal::Truncated { missing_bytes }.because("samples beyond the end"));
        }
        if layout.missing_bytes > 0 && is_fragmented {
            remarks.push("The recording is cut off; its last fragment is left out.".to_owned());
        }
        let timing = if is_fragmented {
            None
        } else {
            Some(timing(video, &movie, remarks)?)
        };
        let rate = timing.map(|(_, timing)| timing.frame_rate);
        let access = if is_fragmented {
            None
        } else {
            Access::of(video, movie.timescale).map_err(refuse)?
        };
        Ok(Self {
            container: match layout.brand {
                None | Some([b'q', b't', b' ', b' ']) => "mov",
                Some(_) => "mp4",
            },
            codec: video
                .codec
                .iter()
                .map(|byte| char::from(*byte))
                .filter(char::is_ascii_graphic)
                .collect(),
            turn: video.turn,
            timing,
            web: (!is_fragmented).then(|| web::look(video, access.as_ref(), file)),
            longest_gop: access.map(|access| access.longest_gop() as u64),
            sound: movie
                .of_kind(Kind::Sound)
                .map(|track| sound(track, &movie))
                .collect(),
            reel: reel(&movie, video),
            colour: video
                .colour()
                .map(|(primaries, transfer, matrix, full_range)| Colour {
                    primaries,
                    transfer,
                    matrix,
                    full_range,
                }),
            field_order: video.field_order(),
            timecode: movie
                .timecode_of(video)
                .and_then(|track| timecode(track, rate, file)),
        })
    }
}

/// The reel that the timecode names, or the file as a whole.
fn reel(movie: &Movie<'_>, video: &Track<'_>) -> Option<String> {
    let named = movie.timecode_of(video).and_then(Track::reel);
    let keys = [
        "com.apple.proapps.reel",
        "com.apple.quicktime.reel",
        "reel_name",
    ];
    named.or_else(|| keys.iter().find_map(|key| movie.text_of(key)))
}

fn sound(track: &Track<'_>, movie: &Movie<'_>) -> Sound {
    let entry = track.sound_entry().unwrap_or_default();
    Sound {
        language: track.language.clone(),
        duration_ns: sound_duration(track, movie),
        label: track.label(),
        layout: entry.layout_tag.and_then(layout_name),
        sample_bits: entry.sample_bits,
    }
}

fn refuse(error: Error) -> Failure {
    match error {
        Error::TooManyPictures => Refusal::TooLong.because(error.to_string()),
        Error::Compressed | Error::Malformed(_) => Refusal::Damaged.because(error.to_string()),
    }
}

fn timing(
    video: &Track<'_>,
    movie: &Movie<'_>,
    remarks: &mut Vec<String>,
) -> Result<(u64, Timing), Failure> {
    // Each picture has a byte at least, so that a table cannot ask for more than the file has.
    let shown = Presentation::of(video, movie.timescale).map_err(refuse)?;
    if video
        .edits
        .iter()
        .any(|edit| edit.media_time.is_some() && !edit.normal_speed)
    {
        return Err(Refusal::UnsupportedEdit.into());
    }
    if shown.hidden > 0 {
        remarks.push(format!(
            "{} pictures of the file are hidden by its edit list.",
            shown.hidden
        ));
    }
    let timing = Timing::of(&shown.starts, shown.end, video.timescale, None)
        .ok_or_else(|| Failure::from(Refusal::NoPictures))?;
    Ok((shown.starts.len() as u64, timing))
}

/// What the edit list plays, else the whole track.
fn sound_duration(track: &Track<'_>, movie: &Movie<'_>) -> u64 {
    let edits = track.edits.iter().filter(|edit| edit.media_time.is_some());
    let edited: u64 = edits.map(|edit| edit.duration).fold(0, u64::saturating_add);
    let (ticks, timescale) = match edited {
        0 => (track.duration, track.timescale),
        ticks => (ticks, movie.timescale),
    };
    let ns = u128::from(ticks) * 1_000_000_000 / u128::from(timescale.max(1));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// The timecode of the first frame: a frame number in the track's only sample
/// (`QuickTime` File Format, "Timecode media").
fn timecode(
    track: &Track<'_>,
    video_rate: Option<FrameRate>,
    file: &mut File,
) -> Option<SourceTimecode> {
    let entry = track.timecode?;
    let mut sample = [0; 4];
    file.seek(SeekFrom::Start(track.samples.first_offset()?))
        .ok()?;
    file.read_exact(&mut sample).ok()?;
    // An edit may begin further on in the timecode.
    let edit = track.edits.iter().find_map(|edit| edit.media_time);
    let later = edit.unwrap_or(0) / u64::from(entry.frame_duration);
    let frame = u64::from(u32::from_be_bytes(sample)).checked_add(later)?;
    let own = FrameRate::new(entry.timescale, entry.frame_duration)?;
    // Some writers round the timecode's own rate; the pictures know better which one it is.
    let rate = match video_rate {
        Some(video) if video.num().div_ceil(video.den()) == own.num().div_ceil(own.den()) => video,
        _ => own,
    };
    let drop_frame = entry.drop_frame && Counting::can_drop(rate);
    let timecode = Timecode::from_frame(frame, Counting::new(rate, drop_frame)?);
    Some(SourceTimecode {
        text: timecode.to_string(),
        drop_frame,
        source: "tmcd".to_owned(),
    })
}
