//! Pure: bounds on what enters the catalogue, beside those that the settings carry.

use protocol::failure::Failure;
use protocol::probe::{AudioTrack, Probe};

use super::outcome::Rejection;
use super::settings::Settings;

/// Uploads open at once, in the whole cluster.
pub const UPLOADS_MAX: usize = 10_000;
/// Machines, those that left included.
pub const NODES_MAX: usize = 1_000;
/// Subclips of one video.
pub const CLIPS_PER_VIDEO_MAX: usize = 500;
/// Longest name of a subclip in characters.
pub const CLIP_NAME_MAX_CHARS: usize = 200;
/// Sound tracks kept of a probe.
const AUDIO_TRACKS_MAX: usize = 32;
/// Remarks kept of a probe, and the bytes of each.
const REMARKS_MAX: usize = 16;
const REMARK_MAX_BYTES: usize = 300;
/// Short names, such as those of codecs.
const WORD_MAX_BYTES: usize = 64;

/// Refuses `given` above `limit`.
pub(super) fn at_most(what: &str, given: u64, limit: u64) -> Result<(), Rejection> {
    if given > limit {
        return Err(Rejection::Limit {
            what: what.to_owned(),
            given,
            limit,
        });
    }
    Ok(())
}

/// A file name is display text: not empty, no control characters, not too long.
pub(super) fn check_filename(filename: &str, settings: &Settings) -> Result<(), Rejection> {
    let state = |state: &str| Rejection::WrongState {
        what: "the file name".to_owned(),
        state: state.to_owned(),
    };
    if filename.trim().is_empty() {
        return Err(state("empty"));
    }
    let chars = filename.chars().count();
    at_most(
        "the file name's number of characters",
        u64::try_from(chars).unwrap_or(u64::MAX),
        u64::from(settings.filename_max_chars),
    )?;
    if filename.chars().any(char::is_control) {
        return Err(state("not printable"));
    }
    Ok(())
}

/// The name of a subclip is display text, as a file name is.
pub(super) fn check_clip_name(name: &str) -> Result<(), Rejection> {
    check_line("the subclip's name", name, CLIP_NAME_MAX_CHARS)
}

/// One line of display text: not empty, no control characters, not too long.
pub(super) fn check_line(what: &str, text: &str, max_chars: usize) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::WrongState {
            what: what.to_owned(),
            state: "empty".to_owned(),
        });
    }
    check_chars(what, text, max_chars, char::is_control)
}

/// Display text of any number of lines; it may be empty.
pub(super) fn check_text(what: &str, text: &str, max_chars: usize) -> Result<(), Rejection> {
    check_chars(what, text, max_chars, |c| c.is_control() && c != '\n')
}

fn check_chars(
    what: &str,
    text: &str,
    max_chars: usize,
    is_bad: impl Fn(char) -> bool,
) -> Result<(), Rejection> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    at_most(
        &format!("{what}'s number of characters"),
        count(text.chars().count()),
        count(max_chars),
    )?;
    if text.chars().any(is_bad) {
        return Err(Rejection::WrongState {
            what: what.to_owned(),
            state: "not printable".to_owned(),
        });
    }
    Ok(())
}

/// At most `max_bytes` of `text`, cut between characters.
pub(super) fn cut(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
    }
}

/// A failure that came from a node, with its texts within their limits.
pub(super) fn bounded_failure(failure: Failure) -> Failure {
    Failure::new(failure.class, failure.code, failure.message, failure.detail)
}

/// A probe with its lists and texts within their limits: a record of a video stays small however
/// odd the file.
pub(super) fn bounded_probe(mut probe: Probe) -> Probe {
    let word = |text: &mut String| cut(text, WORD_MAX_BYTES);
    word(&mut probe.container);
    word(&mut probe.video.codec);
    word(&mut probe.video.chroma);
    word(&mut probe.video.field_order);
    word(&mut probe.video.colorimetry);
    probe.audio.truncate(AUDIO_TRACKS_MAX);
    for AudioTrack {
        codec, language, ..
    } in &mut probe.audio
    {
        word(codec);
        if let Some(language) = language {
            word(language);
        }
    }
    if let Some(timecode) = &mut probe.timecode {
        word(&mut timecode.text);
        word(&mut timecode.source);
    }
    probe.remarks.truncate(REMARKS_MAX);
    for remark in &mut probe.remarks {
        cut(remark, REMARK_MAX_BYTES);
    }
    probe
}
