//! Pure: the XML of Final Cut Pro 7 (xmeml 5), which Premiere and Resolve read.
//!
//! Every subclip stands in a bin as a subclip of its file; where all sources run alike there is
//! also a sequence with all of them one behind the other, picture and every channel of sound.

use protocol::timecode::Timecode;

use super::xml::Xml;
use super::{Event, Named, events, mixed, one_hour, url};

/// Of a marker's text, as its name.
const NAME_CHARS: usize = 60;
/// Sound tracks of a sequence at most.
const AUDIO_TRACKS_MAX: u64 = 64;

pub(super) fn write(title: &str, sources: &[Named<'_>]) -> String {
    let mut xml = Xml::new("xmeml");
    let events = events(sources);
    // The first mention of a file describes it, later ones point there.
    let mut described = vec![false; sources.len()];
    xml.element("xmeml", &[("version", "5")], |xml| {
        xml.element("bin", &[], |xml| {
            xml.text("name", title);
            xml.element("children", &[], |xml| {
                // First, since some readers look for the description of a file in it alone.
                if mixed(sources).is_none() {
                    sequence(xml, title, sources, &events, &mut described);
                }
                for (event, number) in events.iter().zip(1..) {
                    subclip(xml, event, number, &mut described);
                }
            });
        });
    });
    xml.finish()
}

fn subclip(xml: &mut Xml, event: &Event<'_>, number: u32, described: &mut [bool]) {
    let named = event.named;
    let frames = event.clip.frames;
    let id = format!("subclip-{number}");
    xml.element("clip", &[("id", &id)], |xml| {
        xml.text("name", &event.clip.name);
        xml.text("duration", frames.len());
        rate(xml, named);
        xml.text("in", 0);
        xml.text("out", frames.len());
        xml.text("ismasterclip", "FALSE");
        xml.element("subclipinfo", &[], |xml| {
            xml.text("startoffset", frames.start);
            xml.text("endoffset", named.source.frames.saturating_sub(frames.end));
        });
        // Counted from the subclip's own first frame.
        markers(xml, event, frames.start);
        xml.element("media", &[], |xml| {
            xml.element("video", &[], |xml| {
                xml.element("track", &[], |xml| {
                    let id = format!("{id}-v");
                    item(xml, event, &id, None, Track::Picture, described, |_| ());
                });
            });
            if named.channels() > 0 {
                xml.element("audio", &[], |xml| {
                    for channel in 1..=named.channels().min(AUDIO_TRACKS_MAX) {
                        xml.element("track", &[], |xml| {
                            let id = format!("{id}-a{channel}");
                            let track = Track::Sound(channel);
                            item(xml, event, &id, None, track, described, |_| ());
                        });
                    }
                });
            }
        });
    });
}

#[derive(Clone, Copy)]
enum Track {
    Picture,
    /// A channel, counted from one through all sound tracks of the file.
    Sound(u64),
}

fn sequence(
    xml: &mut Xml,
    title: &str,
    sources: &[Named<'_>],
    events: &[Event<'_>],
    described: &mut [bool],
) {
    let first = &sources[0];
    let total: u64 = events.iter().map(|event| event.clip.frames.len()).sum();
    let channels = sources.iter().map(Named::channels).max().unwrap_or(0);
    let channels = channels.min(AUDIO_TRACKS_MAX);
    xml.element("sequence", &[("id", "sequence-1")], |xml| {
        xml.text("name", title);
        xml.text("duration", total);
        rate(xml, first);
        timecode(xml, first, one_hour(first.clock()));
        xml.element("media", &[], |xml| {
            xml.element("video", &[], |xml| {
                xml.element("format", &[], |xml| {
                    xml.element("samplecharacteristics", &[], |xml| {
                        rate(xml, first);
                        size(xml, first);
                    });
                });
                xml.element("track", &[], |xml| {
                    for (event, number) in events.iter().zip(1..) {
                        let id = format!("item-{number}-v");
                        let links = |xml: &mut Xml| links(xml, event, number);
                        let at = Some(event.at);
                        item(xml, event, &id, at, Track::Picture, described, links);
                    }
                });
            });
            xml.element("audio", &[], |xml| {
                for channel in 1..=channels {
                    xml.element("track", &[], |xml| {
                        for (event, number) in events.iter().zip(1..) {
                            if channel > event.named.channels() {
                                continue;
                            }
                            let id = format!("item-{number}-a{channel}");
                            let links = |xml: &mut Xml| links(xml, event, number);
                            let (at, track) = (Some(event.at), Track::Sound(channel));
                            item(xml, event, &id, at, track, described, links);
                        }
                    });
                }
            });
        });
    });
}

/// A share of a file on a track; on a sequence's with its place there.
fn item(
    xml: &mut Xml,
    event: &Event<'_>,
    id: &str,
    at: Option<u64>,
    track: Track,
    described: &mut [bool],
    links: impl FnOnce(&mut Xml),
) {
    let named = event.named;
    let frames = event.clip.frames;
    xml.element("clipitem", &[("id", id)], |xml| {
        xml.text("name", &event.clip.name);
        xml.text("duration", named.source.frames);
        rate(xml, named);
        xml.text("in", frames.start);
        xml.text("out", frames.end);
        if let Some(at) = at {
            xml.text("start", at);
            xml.text("end", at + frames.len());
        }
        let known = std::mem::replace(&mut described[event.source], true);
        file(xml, named, &format!("file-{}", event.source + 1), known);
        // Once is enough: with the picture, counted as its in point is.
        if matches!(track, Track::Picture) && at.is_some() {
            markers(xml, event, 0);
        }
        if let Track::Sound(channel) = track {
            xml.element("sourcetrack", &[], |xml| {
                xml.text("mediatype", "audio");
                xml.text("trackindex", channel);
            });
        }
        links(xml);
    });
}

/// The markers on pictures of the subclip, with frames counted from `origin` of the source.
fn markers(xml: &mut Xml, event: &Event<'_>, origin: u64) {
    for marker in event.markers() {
        let frames = marker.frames;
        xml.element("marker", &[], |xml| {
            xml.text(
                "name",
                marker.text.chars().take(NAME_CHARS).collect::<String>(),
            );
            let by = if marker.author.is_empty() {
                String::new()
            } else {
                format!(" ({})", marker.author)
            };
            xml.text("comment", format!("{}{by}", marker.text));
            xml.text("in", frames.start - origin);
            // By the format, -1 says that it is on one picture.
            if frames.len() == 1 {
                xml.text("out", -1);
            } else {
                xml.text("out", frames.end - origin);
            }
        });
    }
}

/// Picture and sound of one event move together.
fn links(xml: &mut Xml, event: &Event<'_>, number: u32) {
    let mut link = |id: String, kind: &str, track: u64| {
        xml.element("link", &[], |xml| {
            xml.text("linkclipref", id);
            xml.text("mediatype", kind);
            xml.text("trackindex", track);
            xml.text("clipindex", number);
        });
    };
    link(format!("item-{number}-v"), "video", 1);
    for channel in 1..=event.named.channels().min(AUDIO_TRACKS_MAX) {
        link(format!("item-{number}-a{channel}"), "audio", channel);
    }
}

fn file(xml: &mut Xml, named: &Named<'_>, id: &str, known: bool) {
    if known {
        xml.empty("file", &[("id", id)]);
        return;
    }
    let source = named.source;
    xml.element("file", &[("id", id)], |xml| {
        xml.text("name", &named.filename);
        xml.text("pathurl", url(&named.filename));
        rate(xml, named);
        xml.text("duration", source.frames);
        timecode(xml, named, source.clock.start());
        xml.element("media", &[], |xml| {
            xml.element("video", &[], |xml| {
                xml.element("samplecharacteristics", &[], |xml| {
                    rate(xml, named);
                    size(xml, named);
                });
            });
            for channels in &source.audio {
                xml.element("audio", &[], |xml| {
                    xml.element("samplecharacteristics", &[], |xml| {
                        xml.text("depth", 16);
                        xml.text("samplerate", source.sample_rate);
                    });
                    xml.text("channelcount", channels);
                });
            }
        });
    });
}

/// 29.97 is "30, NTSC".
fn rate(xml: &mut Xml, named: &Named<'_>) {
    let clock = named.clock();
    let ntsc = clock.rate().den() == 1001;
    xml.element("rate", &[], |xml| {
        xml.text("timebase", clock.start().counting().per_second());
        xml.text("ntsc", if ntsc { "TRUE" } else { "FALSE" });
    });
}

fn timecode(xml: &mut Xml, named: &Named<'_>, start: Timecode) {
    xml.element("timecode", &[], |xml| {
        rate(xml, named);
        xml.text("string", start);
        xml.text("frame", start.frame());
        xml.text("displayformat", named.counting());
        xml.element("reel", &[], |xml| xml.text("name", &named.reel));
    });
}

fn size(xml: &mut Xml, named: &Named<'_>) {
    xml.text("width", named.source.size.width);
    xml.text("height", named.source.size.height);
}
