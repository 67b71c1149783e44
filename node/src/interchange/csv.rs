//! Pure: a table (RFC 4180) for spreadsheets and scripts.

use super::{Named, events};

const HEAD: &str =
    "video,reel,subclip,in,out,in_frame,out_frame,duration_frames,frame_rate,counting";

pub(super) fn write(sources: &[Named<'_>]) -> String {
    let mut text = format!("{HEAD}\r\n");
    for event in events(sources) {
        let clock = event.named.clock();
        let frames = event.clip.frames;
        let fields = [
            event.named.filename.clone(),
            event.named.reel.clone(),
            event.clip.name.clone(),
            clock.at(frames.start).to_string(),
            clock.at(frames.end).to_string(),
            frames.start.to_string(),
            frames.end.to_string(),
            frames.len().to_string(),
            clock.rate().to_string(),
            event.named.counting().to_owned(),
        ];
        let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field, in quotes if it needs them. A text that a spreadsheet would run as a formula gets an
/// apostrophe in front, which spreadsheets hide.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}
