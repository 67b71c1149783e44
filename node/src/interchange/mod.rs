//! Pure: subclips and markers as the files that edit software imports.
//!
//! Times are counted in whole frames; each format writes them in its own way.
//! Every name that a person gave is made safe for the format here, and kept whole where it allows it.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod csv;
pub mod edl;
pub mod fcp7xml;
pub mod fcpxml;
pub mod otio;

mod xml;

#[cfg(test)]
mod tests;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::clip::Clock;
use protocol::marker::Colour;
use protocol::media::{FrameRange, Resolution};
use protocol::timecode::Timecode;

/// One video and what was marked in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub filename: String,
    pub clock: Clock,
    /// Length of the whole video.
    pub frames: u64,
    pub size: Resolution,
    /// Channels of each sound track, in the order of the file.
    pub audio: Vec<u16>,
    pub sample_rate: u32,
    /// In the order of the list that they come from.
    pub clips: Vec<Subclip>,
    /// In the order of their pictures.
    pub markers: Vec<Marker>,
}

/// Something said about a picture or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The end is exclusive.
    pub frames: FrameRange,
    pub colour: Colour,
    /// With the answers to it.
    pub text: String,
    pub author: String,
    pub resolved: bool,
}

/// A range of a source, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subclip {
    pub name: String,
    /// The end is exclusive.
    pub frames: FrameRange,
}

/// What there is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Edl,
    Fcp7xml,
    Fcpxml,
    Otio,
}

/// Why subclips do not fit into a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there are no subclips and no markers")]
    Empty,
    #[error(
        "{first:?} and {other:?} have different frame rates or ways of counting, and an EDL has only one"
    )]
    Mixed { first: String, other: String },
    #[error("an EDL holds 9999 events, and there are {0}")]
    TooMany(usize),
}

impl Format {
    pub const ALL: [Self; 5] = [
        Self::Csv,
        Self::Edl,
        Self::Fcp7xml,
        Self::Fcpxml,
        Self::Otio,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Edl => "edl",
            Self::Fcp7xml => "fcp7xml",
            Self::Fcpxml => "fcpxml",
            Self::Otio => "otio",
        }
    }

    /// Ending of a file of this format.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Fcp7xml => "xml",
            other => other.as_str(),
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Edl => "text/plain; charset=utf-8",
            Self::Fcp7xml | Self::Fcpxml => "application/xml",
            Self::Otio => "application/json",
        }
    }
}

/// The subclips of `sources` in `format`, called `title`.
///
/// # Errors
/// There are none, or the format cannot hold them.
pub fn write(format: Format, title: &str, sources: &[Source]) -> Result<String, Error> {
    let sources: Vec<Named<'_>> = named(sources);
    if sources.is_empty() {
        return Err(Error::Empty);
    }
    let title = one_line(title);
    match format {
        Format::Csv => Ok(csv::write(&sources)),
        Format::Edl => edl::write(&title, &sources),
        Format::Fcp7xml => Ok(fcp7xml::write(&title, &sources)),
        Format::Fcpxml => Ok(fcpxml::write(&title, &sources)),
        Format::Otio => Ok(otio::write(&title, &sources)),
    }
}

/// A source with its names made safe.
#[derive(Debug)]
struct Named<'a> {
    source: &'a Source,
    /// One line.
    filename: String,
    /// Letters, digits and `_`, at most eight, no two sources alike.
    reel: String,
    clips: Vec<Subclip>,
    /// Their texts on one line.
    markers: Vec<Marker>,
}

/// A subclip in a row of all of them.
#[derive(Debug)]
struct Event<'a> {
    /// Position of its source.
    source: usize,
    named: &'a Named<'a>,
    clip: &'a Subclip,
    /// Where it begins if all are put one behind the other, in frames.
    at: u64,
}

impl Event<'_> {
    /// The markers that begin on a picture of the subclip.
    fn markers(&self) -> impl Iterator<Item = &Marker> {
        let frames = self.clip.frames;
        (self.named.markers.iter())
            .filter(move |marker| (frames.start..frames.end).contains(&marker.frames.start))
    }
}

impl Named<'_> {
    fn clock(&self) -> &Clock {
        &self.source.clock
    }

    fn is_drop_frame(&self) -> bool {
        self.clock().start().counting().is_drop_frame()
    }

    /// `DF` or `NDF`.
    fn counting(&self) -> &'static str {
        if self.is_drop_frame() { "DF" } else { "NDF" }
    }

    fn channels(&self) -> u64 {
        self.source.audio.iter().map(|&n| u64::from(n)).sum()
    }
}

/// The sources that have subclips or markers. One that has markers alone is taken whole.
fn named(sources: &[Source]) -> Vec<Named<'_>> {
    let mut reels: Vec<String> = Vec::new();
    sources
        .iter()
        .filter(|source| !source.clips.is_empty() || !source.markers.is_empty())
        .map(|source| {
            let filename = one_line(&source.filename);
            let reel = reel(&filename, &reels);
            reels.push(reel.clone());
            let mut clips: Vec<Subclip> = (source.clips.iter())
                .map(|clip| Subclip {
                    name: one_line(&clip.name),
                    frames: clip.frames,
                })
                .collect();
            if clips.is_empty() {
                clips.push(Subclip {
                    name: filename.clone(),
                    frames: FrameRange {
                        start: 0,
                        end: source.frames,
                    },
                });
            }
            let markers = source.markers.iter().map(|marker| Marker {
                text: one_line(&marker.text),
                author: one_line(&marker.author),
                ..marker.clone()
            });
            Named {
                source,
                filename,
                reel,
                clips,
                markers: markers.collect(),
            }
        })
        .collect()
}

/// All subclips, one behind the other.
fn events<'a>(sources: &'a [Named<'a>]) -> Vec<Event<'a>> {
    let mut at = 0;
    let mut events = Vec::new();
    for (source, named) in sources.iter().enumerate() {
        for clip in &named.clips {
            events.push(Event {
                source,
                named,
                clip,
                at,
            });
            at += clip.frames.len();
        }
    }
    events
}

/// Whether all sources run and count alike, so that one timeline can hold them.
fn mixed<'a>(sources: &'a [Named<'a>]) -> Option<(&'a Named<'a>, &'a Named<'a>)> {
    let first = sources.first()?;
    let counts = |named: &Named<'_>| (named.clock().rate(), named.is_drop_frame());
    let other = sources.iter().find(|other| counts(other) != counts(first));
    other.map(|other| (first, other))
}

/// Where timelines begin: one hour, as editors expect it.
fn one_hour(clock: &Clock) -> Timecode {
    let counting = clock.start().counting();
    Timecode::from_fields(1, 0, 0, 0, counting).expect("the first frame of an hour always exists")
}

/// `text` without line breaks and other control characters.
fn one_line(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.trim().to_owned()
}

/// A reel name of eight characters (CMX 3600), from the file name, unlike those in `taken`.
fn reel(filename: &str, taken: &[String]) -> String {
    const LENGTH: usize = 8;

    let stem = filename.rsplit_once('.').map_or(filename, |(stem, _)| stem);
    let mut name: String = stem
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .take(LENGTH)
        .collect();
    // Black and the auxiliary source have names of their own.
    if name.is_empty() || name.bytes().all(|b| b == b'_') || name == "BL" || name == "AX" {
        "REEL".clone_into(&mut name);
    }
    let base = name.clone();
    for number in 2.. {
        if !taken.contains(&name) {
            break;
        }
        let tail = format!("_{number}");
        let head: String = base
            .chars()
            .take(LENGTH.saturating_sub(tail.len()))
            .collect();
        name = format!("{head}{tail}");
    }
    name
}

/// `filename` as a relative URL. Where the file lies is for the edit software to ask.
fn url(filename: &str) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(filename, &KEPT).to_string()
}
