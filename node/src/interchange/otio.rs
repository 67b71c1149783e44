//! Pure: `OpenTimelineIO`, a timeline as JSON with every subclip one behind the other.

use protocol::media::{FrameRange, FrameRate};
use serde_json::{Value, json};

use super::{Marker, Named, events, one_hour, url};

/// Of a marker's text, as its name.
const NAME_CHARS: usize = 60;

pub(super) fn write(title: &str, sources: &[Named<'_>]) -> String {
    let events = events(sources);
    let children: Vec<Value> = events
        .iter()
        .map(|event| {
            let named = event.named;
            let start = u64::from(named.clock().start().frame());
            let rate = named.clock().rate();
            // By the clock of the source, past midnight as well.
            let used = FrameRange {
                start: start + event.clip.frames.start,
                end: start + event.clip.frames.end,
            };
            let available = FrameRange {
                start,
                end: start + named.source.frames,
            };
            json!({
                "OTIO_SCHEMA": "Clip.1",
                "name": event.clip.name,
                "source_range": range(used, rate),
                "effects": [],
                "markers": event.markers().map(|marker| self::marker(marker, start, rate)).collect::<Vec<_>>(),
                "metadata": { "reelmesh": {
                    "in": named.clock().at(event.clip.frames.start).to_string(),
                    "out": named.clock().at(event.clip.frames.end).to_string(),
                    "reel": named.reel,
                } },
                "media_reference": {
                    "OTIO_SCHEMA": "ExternalReference.1",
                    "name": named.filename,
                    "target_url": url(&named.filename),
                    "available_range": range(available, rate),
                    "metadata": { "reelmesh": { "drop_frame": named.is_drop_frame() } },
                },
            })
        })
        .collect();
    let clock = sources[0].clock();
    let timeline = json!({
        "OTIO_SCHEMA": "Timeline.1",
        "name": title,
        "metadata": {},
        "global_start_time": time(u64::from(one_hour(clock).frame()), clock.rate()),
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "source_range": null,
            "effects": [],
            "markers": [],
            "metadata": {},
            "children": [{
                "OTIO_SCHEMA": "Track.1",
                "name": "V1",
                "kind": "Video",
                "source_range": null,
                "effects": [],
                "markers": [],
                "metadata": {},
                "children": children,
            }],
        },
    });
    let mut text = format!("{timeline:#}");
    text.push('\n');
    text
}

/// In the times of the clip's media, as its range is.
fn marker(marker: &Marker, start: u64, rate: FrameRate) -> Value {
    let frames = FrameRange {
        start: start + marker.frames.start,
        end: start + marker.frames.end,
    };
    json!({
        "OTIO_SCHEMA": "Marker.2",
        "name": marker.text.chars().take(NAME_CHARS).collect::<String>(),
        "color": marker.colour.as_str().to_uppercase(),
        "comment": marker.text,
        "marked_range": range(frames, rate),
        "metadata": { "reelmesh": { "author": marker.author, "resolved": marker.resolved } },
    })
}

fn range(frames: FrameRange, rate: FrameRate) -> Value {
    json!({
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": time(frames.start, rate),
        "duration": time(frames.len(), rate),
    })
}

/// The format wants a number with a fraction for the rate; the count of frames stays whole.
fn time(frames: u64, rate: FrameRate) -> Value {
    json!({
        "OTIO_SCHEMA": "RationalTime.1",
        "value": frames,
        "rate": f64::from(rate.num()) / f64::from(rate.den()),
    })
}
