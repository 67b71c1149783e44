//! Pure: a table (RFC 4180) for spreadsheets and scripts.

use protocol::media::FrameRange;

use super::{Named, events};

const HEAD: &str = "video,reel,subclip,in,out,in_frame,out_frame,duration_frames,frame_rate,counting,kind,marker,colour,author,resolved";

pub(super) fn write(sources: &[Named<'_>]) -> String {
    let mut text = format!("{HEAD}\r\n");
    for event in events(sources) {
        // A source with markers alone has no subclip of its own.
        if !event.named.source.clips.is_empty() {
            let name = event.clip.name.as_str();
            let rest = ["subclip", "", "", "", ""];
            row(&mut text, event.named, name, event.clip.frames, rest);
        }
    }
    for named in sources {
        for marker in &named.markers {
            let colour = marker.colour.as_str();
            let resolved = if marker.resolved { "yes" } else { "no" };
            let rest = ["marker", &marker.text, colour, &marker.author, resolved];
            row(&mut text, named, "", marker.frames, rest);
        }
    }
    text
}

fn row(text: &mut String, named: &Named<'_>, name: &str, frames: FrameRange, rest: [&str; 5]) {
    let clock = named.clock();
    let fields = [
        named.filename.clone(),
        named.reel.clone(),
        name.to_owned(),
        clock.at(frames.start).to_string(),
        clock.at(frames.end).to_string(),
        frames.start.to_string(),
        frames.end.to_string(),
        frames.len().to_string(),
        clock.rate().to_string(),
        named.counting().to_owned(),
    ];
    let rest = rest.map(str::to_owned);
    let fields: Vec<String> = fields
        .iter()
        .chain(&rest)
        .map(|field| quoted(field))
        .collect();
    text.push_str(&fields.join(","));
    text.push_str("\r\n");
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
