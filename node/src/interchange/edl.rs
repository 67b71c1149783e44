//! Pure: an edit decision list (CMX 3600), which every edit software reads.
//!
//! One event a subclip, one behind the other, with its markers as locators, at the times of the record. Reel names have eight characters; the whole names
//! stand in comments.

use std::fmt::Write as _;

use super::{Error, Named, events, mixed, one_hour};

/// Numbers have three digits, or four where there are many.
const EVENTS_MAX: usize = 9999;

pub(super) fn write(title: &str, sources: &[Named<'_>]) -> Result<String, Error> {
    if let Some((first, other)) = mixed(sources) {
        return Err(Error::Mixed {
            first: first.filename.clone(),
            other: other.filename.clone(),
        });
    }
    let events = events(sources);
    if events.len() > EVENTS_MAX {
        return Err(Error::TooMany(events.len()));
    }
    let mut text = format!("TITLE: {title}\r\n");
    text.push_str(if sources.iter().any(Named::is_drop_frame) {
        "FCM: DROP FRAME\r\n"
    } else {
        "FCM: NON-DROP FRAME\r\n"
    });
    for (event, number) in events.iter().zip(1..) {
        let clock = event.named.clock();
        let frames = event.clip.frames;
        let record = one_hour(clock).plus(event.at);
        let channels = match event.named.channels() {
            0 => "V",
            1 => "B",
            _ => "AA/V",
        };
        let _ = write!(
            text,
            "\r\n{number:03}  {:<8} {channels:<5} C        {} {} {record} {}\r\n",
            event.named.reel,
            clock.at(frames.start),
            clock.at(frames.end),
            record.plus(frames.len()),
        );
        // What Premiere, Resolve and Avid show as the clip's name is that of its file.
        let _ = write!(text, "* FROM CLIP NAME: {}\r\n", event.named.filename);
        let _ = write!(text, "* SOURCE FILE: {}\r\n", event.named.filename);
        let _ = write!(text, "* COMMENT: SUBCLIP {}\r\n", event.clip.name);
        for marker in event.markers() {
            let at = record.plus(marker.frames.start - frames.start);
            let colour = marker.colour.as_str().to_uppercase();
            let _ = write!(text, "* LOC: {at} {colour:<7} {}\r\n", marker.text);
        }
    }
    Ok(text)
}
