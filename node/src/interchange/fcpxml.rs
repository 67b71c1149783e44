//! Pure: FCPXML 1.9, for Final Cut Pro and Resolve.
//!
//! Every subclip stands in the event as a clip of its own; where all sources run alike there is
//! also a project with all of them one behind the other.
//! Times are fractions of a second: the frame's number times the length of a frame.

use protocol::clip::Clock;
use protocol::media::FrameRate;

use super::xml::Xml;
use super::{Event, Marker, Named, events, mixed, one_hour, url};

pub(super) fn write(title: &str, sources: &[Named<'_>]) -> String {
    let mut xml = Xml::new("fcpxml");
    let events = events(sources);
    xml.element("fcpxml", &[("version", "1.9")], |xml| {
        xml.element("resources", &[], |xml| {
            for (index, named) in sources.iter().enumerate() {
                resource(xml, index, named);
            }
        });
        xml.element("event", &[("name", title)], |xml| {
            for event in &events {
                clip(xml, event, None);
            }
            if mixed(sources).is_none() {
                project(xml, title, &sources[0], &events);
            }
        });
    });
    xml.finish()
}

fn resource(xml: &mut Xml, index: usize, named: &Named<'_>) {
    let source = named.source;
    let rate = source.clock.rate();
    let (format, asset) = (format_id(index), asset_id(index));
    xml.empty(
        "format",
        &[
            ("id", &format),
            ("frameDuration", &seconds(1, rate)),
            ("width", &source.size.width.to_string()),
            ("height", &source.size.height.to_string()),
        ],
    );
    let start = seconds(u64::from(source.clock.start().frame()), rate);
    let duration = seconds(source.frames, rate);
    let tracks = source.audio.len().to_string();
    let channels = source.audio.iter().max().unwrap_or(&0).to_string();
    let sample_rate = source.sample_rate.to_string();
    let mut attributes = vec![
        ("id", asset.as_str()),
        ("name", named.filename.as_str()),
        ("start", start.as_str()),
        ("duration", duration.as_str()),
        ("hasVideo", "1"),
        ("format", format.as_str()),
        ("videoSources", "1"),
    ];
    if !source.audio.is_empty() {
        attributes.extend([
            ("hasAudio", "1"),
            ("audioSources", tracks.as_str()),
            ("audioChannels", channels.as_str()),
            ("audioRate", sample_rate.as_str()),
        ]);
    }
    xml.element("asset", &attributes, |xml| {
        let src = format!("./{}", url(&named.filename));
        xml.empty("media-rep", &[("kind", "original-media"), ("src", &src)]);
    });
}

/// A subclip; in a project with its place there.
fn clip(xml: &mut Xml, event: &Event<'_>, offset: Option<&str>) {
    let clock = event.named.clock();
    let rate = clock.rate();
    let frames = event.clip.frames;
    let (format, asset) = (format_id(event.source), asset_id(event.source));
    // Not the printed timecode of the in point: past midnight it would be before the asset.
    let start = seconds(u64::from(clock.start().frame()) + frames.start, rate);
    let duration = seconds(frames.len(), rate);
    let mut attributes = vec![
        ("ref", asset.as_str()),
        ("name", event.clip.name.as_str()),
        ("start", start.as_str()),
        ("duration", duration.as_str()),
        ("format", format.as_str()),
        ("tcFormat", event.named.counting()),
    ];
    if let Some(offset) = offset {
        attributes.insert(1, ("offset", offset));
    }
    let markers: Vec<&Marker> = event.markers().collect();
    if markers.is_empty() {
        xml.empty("asset-clip", &attributes);
        return;
    }
    xml.element("asset-clip", &attributes, |xml| {
        for marker in markers {
            self::marker(xml, marker, clock);
        }
    });
}

/// By the clock of the source, as the clip itself is. One that is dealt with is a finished to-do.
fn marker(xml: &mut Xml, marker: &Marker, clock: &Clock) {
    let rate = clock.rate();
    let start = seconds(u64::from(clock.start().frame()) + marker.frames.start, rate);
    let duration = seconds(marker.frames.len(), rate);
    // A marker needs a text to be seen.
    let value = if marker.text.is_empty() {
        "Marker"
    } else {
        &marker.text
    };
    let mut attributes = vec![
        ("start", start.as_str()),
        ("duration", duration.as_str()),
        ("value", value),
    ];
    if marker.resolved {
        attributes.push(("completed", "1"));
    }
    if !marker.author.is_empty() {
        attributes.push(("note", marker.author.as_str()));
    }
    xml.empty("marker", &attributes);
}

fn project(xml: &mut Xml, title: &str, first: &Named<'_>, events: &[Event<'_>]) {
    let clock = first.clock();
    let rate = clock.rate();
    let begin = u64::from(one_hour(clock).frame());
    let total: u64 = events.iter().map(|event| event.clip.frames.len()).sum();
    xml.element("project", &[("name", title)], |xml| {
        let attributes = [
            ("format", format_id(0)),
            ("duration", seconds(total, rate)),
            ("tcStart", seconds(begin, rate)),
            ("tcFormat", first.counting().to_owned()),
        ];
        let attributes = attributes
            .each_ref()
            .map(|(key, value)| (*key, value.as_str()));
        xml.element("sequence", &attributes, |xml| {
            xml.element("spine", &[], |xml| {
                for event in events {
                    clip(xml, event, Some(&seconds(begin + event.at, rate)));
                }
            });
        });
    });
}

fn format_id(index: usize) -> String {
    format!("r{}", 2 * index + 1)
}

fn asset_id(index: usize) -> String {
    format!("r{}", 2 * index + 2)
}

/// The time of frame `frames` as FCPXML writes it: `3003/1000s`, or `5s` where it is whole.
fn seconds(frames: u64, rate: FrameRate) -> String {
    let ticks = u128::from(frames) * u128::from(rate.den());
    let scale = u128::from(rate.num());
    if ticks.is_multiple_of(scale) {
        format!("{}s", ticks / scale)
    } else {
        format!("{ticks}/{scale}s")
    }
}
