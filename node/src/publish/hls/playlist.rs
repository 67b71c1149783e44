//! Pure: segment lists become playlists (RFC 8216, its second edition, Apple's authoring rules).
//!
//! All arithmetic is in whole numbers. The end of each segment, not its length, is rounded to the
//! microsecond, so that the lengths of a day of segments still add up.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::fmt::Write as _;

use protocol::manifest::{Segment, Track, TrackKind};
use protocol::media::{FrameRate, Resolution};

use super::language;
use super::names;

/// Group of the sound renditions.
const AUDIO_GROUP: &str = "audio";

const HEAD: &str = "#EXTM3U\n#EXT-X-VERSION:7\n";

/// Why tracks do not make a playlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is nothing to play")]
    Empty,
    #[error("the pieces of {track:?} do not fit together: they differ in {what}")]
    Differ { track: String, what: &'static str },
}

/// One rendition over the whole video: the shares of all units, in order of presentation.
#[derive(Debug, Clone)]
pub struct Rendition<'a> {
    parts: Vec<&'a Track>,
}

impl<'a> Rendition<'a> {
    /// Joins the shares of one rendition.
    ///
    /// # Errors
    /// There are none, or they are not of one shape.
    pub fn join(parts: Vec<&'a Track>) -> Result<Self, Error> {
        let first = *parts.first().ok_or(Error::Empty)?;
        for part in &parts {
            let what = if part.name != first.name {
                "their name"
            } else if part.kind != first.kind {
                "picture size, frame rate or sound layout"
            } else if part.timescale != first.timescale {
                "timescale"
            } else {
                continue;
            };
            return Err(Error::Differ {
                track: first.name.clone(),
                what,
            });
        }
        Ok(Self { parts })
    }

    pub fn name(&self) -> &'a str {
        &self.parts[0].name
    }

    fn kind(&self) -> &'a TrackKind {
        &self.parts[0].kind
    }

    fn timescale(&self) -> u64 {
        u64::from(self.parts[0].timescale)
    }

    fn segments(&self) -> impl Iterator<Item = &'a Segment> {
        self.parts.iter().flat_map(|part| &part.segments)
    }

    /// From the start of the first segment to the end of the last.
    pub fn duration_ns(&self) -> u64 {
        let ticks: u64 = self.segments().map(|segment| segment.duration).sum();
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.timescale().max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// Distinct, in order of appearance: pieces of other encoders may differ in level.
    fn codecs(&self) -> Vec<&'a str> {
        let mut codecs = Vec::new();
        for part in &self.parts {
            if !codecs.contains(&part.codec.as_str()) {
                codecs.push(part.codec.as_str());
            }
        }
        codecs
    }

    /// In seconds, as `EXT-X-TARGETDURATION` wants it: no segment, rounded, is longer.
    fn target_duration(&self) -> u64 {
        let longest = self.segments().map(|s| s.duration).max().unwrap_or(0);
        whole_seconds(longest, self.timescale())
    }

    /// Each picture that decodes alone, until the next: its bytes and ticks, and where it lies.
    /// None if a segment does not begin with one, or does not say.
    fn pictures(&self) -> Option<Vec<Picture<'a>>> {
        let mut pictures: Vec<Picture<'a>> = Vec::new();
        for part in &self.parts {
            for segment in &part.segments {
                segment.keys.first().filter(|key| key.at == 0)?;
                let nexts = segment.keys.iter().skip(1).map(|key| key.at);
                let ends = nexts.chain(std::iter::once(segment.duration));
                for (key, end) in segment.keys.iter().zip(ends) {
                    pictures.push(Picture {
                        init: &part.init.name,
                        segment: &segment.object.name,
                        offset: key.offset,
                        size_bytes: key.size_bytes,
                        ticks: end.saturating_sub(key.at),
                    });
                }
            }
        }
        (!pictures.is_empty()).then_some(pictures)
    }

    /// In bits per second, rounded up.
    fn average_bandwidth(&self) -> u64 {
        let bytes = self.segments().map(|s| s.object.size_bytes).sum();
        bit_rate(
            bytes,
            self.segments().map(|s| s.duration).sum(),
            self.timescale(),
        )
    }

    fn peak_bandwidth(&self) -> u64 {
        let segments: Vec<(u64, u64)> = self
            .segments()
            .map(|segment| (segment.object.size_bytes, segment.duration))
            .collect();
        peak(&segments, self.target_duration(), self.timescale())
    }
}

/// One picture of a playlist of pictures.
struct Picture<'a> {
    init: &'a str,
    segment: &'a str,
    offset: u64,
    size_bytes: u64,
    /// Until the next such picture.
    ticks: u64,
}

/// The peak segment bit rate of RFC 8216, 4.1: the largest of any contiguous set of segments
/// that lasts between 0.5 and 1.5 target durations. Of each, its bytes and ticks.
fn peak(segments: &[(u64, u64)], target_s: u64, timescale: u64) -> u64 {
    let target = target_s * timescale;
    let mut peak = 0;
    for start in 0..segments.len() {
        let (mut bytes, mut ticks) = (0, 0);
        for (more_bytes, more_ticks) in &segments[start..] {
            bytes += more_bytes;
            ticks += more_ticks;
            if 2 * ticks > 3 * target {
                break;
            }
            if 2 * ticks >= target {
                peak = peak.max(bit_rate(bytes, ticks, timescale));
            }
        }
    }
    // What is shorter than half a second has no such set.
    let bytes = segments.iter().map(|segment| segment.0).sum();
    let ticks = segments.iter().map(|segment| segment.1).sum();
    peak.max(bit_rate(bytes, ticks, timescale))
}

/// Whether a playlist is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Complete,
    /// More comes at its end; what is listed does not change (`EVENT`, RFC 8216, 4.3.3.5).
    Open {
        /// The longest segment there will be, in whole seconds.
        target_s: u64,
        /// Segments that begin at this time or later are not listed yet, in nanoseconds.
        listed_ns: u64,
    },
}

impl Ending {
    /// The head of a media playlist whose longest segment has `longest_s` seconds.
    fn head(self, longest_s: u64) -> String {
        let (target_s, kind) = match self {
            Self::Complete => (longest_s, "VOD"),
            Self::Open { target_s, .. } => (target_s.max(longest_s), "EVENT"),
        };
        format!(
            "{HEAD}#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-PLAYLIST-TYPE:{kind}\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        )
    }

    /// What begins at this time or later is not listed yet, in microseconds.
    fn listed_us(self) -> u64 {
        match self {
            Self::Complete => u64::MAX,
            Self::Open { listed_ns, .. } => listed_ns / 1000,
        }
    }

    fn tail(self) -> &'static str {
        match self {
            Self::Complete => "#EXT-X-ENDLIST\n",
            Self::Open { .. } => "",
        }
    }
}

/// Turns lengths in ticks into `EXTINF` lines that add up.
struct Clock {
    timescale: u64,
    ticks: u64,
    us: u64,
}

impl Clock {
    fn new(timescale: u64) -> Self {
        Self {
            timescale,
            ticks: 0,
            us: 0,
        }
    }

    fn write(&mut self, text: &mut String, ticks: u64) {
        self.ticks += ticks;
        let end_us = micros(self.ticks, self.timescale);
        let us = end_us - self.us;
        self.us = end_us;
        let _ = writeln!(text, "#EXTINF:{}.{:06},", us / 1_000_000, us % 1_000_000);
    }
}

/// The media playlist of a rendition. URIs are relative to the rendition's folder.
pub fn media(rendition: &Rendition<'_>, ending: Ending) -> String {
    let mut text = ending.head(rendition.target_duration());
    let mut init = "";
    let mut clock = Clock::new(rendition.timescale());
    for part in &rendition.parts {
        // Times go on from one piece to the next, so a new init segment needs no discontinuity
        // (RFC 8216, 4.3.2.3); players fetch it and go on.
        if part.init.name != init {
            init = &part.init.name;
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", file(init));
        }
        for segment in &part.segments {
            if clock.us >= ending.listed_us() {
                break;
            }
            clock.write(&mut text, segment.duration);
            let _ = writeln!(text, "{}", file(&segment.object.name));
        }
    }
    text.push_str(ending.tail());
    text
}

/// The playlist of a rendition's pictures that decode alone, for fast winding and previews: byte
/// ranges of the very same segments (RFC 8216, 4.3.3.6). None if the segments do not say.
pub fn iframes(rendition: &Rendition<'_>, ending: Ending) -> Option<String> {
    let pictures = rendition.pictures()?;
    let mut text = ending.head(longest_picture(&pictures, rendition.timescale()));
    text.push_str("#EXT-X-I-FRAMES-ONLY\n");
    let mut init = "";
    let mut clock = Clock::new(rendition.timescale());
    for picture in &pictures {
        if clock.us >= ending.listed_us() {
            break;
        }
        if picture.init != init {
            init = picture.init;
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", file(init));
        }
        clock.write(&mut text, picture.ticks);
        let _ = writeln!(
            text,
            "#EXT-X-BYTERANGE:{}@{}\n{}",
            picture.size_bytes,
            picture.offset,
            file(picture.segment)
        );
    }
    text.push_str(ending.tail());
    Some(text)
}

fn longest_picture(pictures: &[Picture<'_>], timescale: u64) -> u64 {
    let longest = pictures.iter().map(|picture| picture.ticks).max();
    whole_seconds(longest.unwrap_or(0), timescale)
}

/// The multivariant playlist. `videos` highest first; the middle one is listed first, since
/// players begin with what they read first. The first of `sound` is the default.
/// URIs are relative to the generation's folder.
///
/// # Errors
/// There is no picture.
pub fn multivariant(videos: &[Rendition<'_>], sound: &[Rendition<'_>]) -> Result<String, Error> {
    let mut text = String::from(HEAD);
    text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    write_sound(&mut text, sound);
    let middle = videos.get(videos.len() / 2).ok_or(Error::Empty)?;
    let rest = videos.iter().filter(|video| video.name() != middle.name());
    for video in std::iter::once(middle).chain(rest) {
        write_variant(&mut text, video, sound);
    }
    for video in videos {
        write_pictures(&mut text, video);
    }
    Ok(text)
}

fn write_sound(text: &mut String, sound: &[Rendition<'_>]) {
    let mut names = Vec::new();
    let mut languages = Vec::new();
    for (position, track) in sound.iter().enumerate() {
        let TrackKind::Audio {
            channels, language, ..
        } = track.kind()
        else {
            continue;
        };
        let tag = language.as_deref().and_then(language::tag);
        let number = position + 1;
        let mut name = match &tag {
            Some(tag) => language::name(tag).to_owned(),
            None if number == 1 => "Sound".to_owned(),
            None => format!("Sound {number}"),
        };
        // Names are unique within a group (RFC 8216, 4.3.4.1.1).
        if names.contains(&name) {
            name = format!("{name} ({number})");
        }
        // A player may choose by language, and would not know which of two to take.
        let default = position == 0;
        let auto = default || tag.is_some() && !languages.contains(&tag);
        let yes = |yes| if yes { "YES" } else { "NO" };
        let _ = write!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"{name}\""
        );
        if let Some(tag) = &tag {
            let _ = write!(text, ",LANGUAGE=\"{tag}\"");
        }
        let _ = writeln!(
            text,
            ",DEFAULT={},AUTOSELECT={},CHANNELS=\"{channels}\",URI=\"{}\"",
            yes(default),
            yes(auto),
            names::media_playlist(track.name())
        );
        names.push(name);
        languages.push(tag);
    }
}

fn write_variant(text: &mut String, video: &Rendition<'_>, sound: &[Rendition<'_>]) {
    let TrackKind::Video {
        resolution,
        frame_rate,
    } = video.kind()
    else {
        return;
    };
    let Resolution { width, height } = resolution;
    // Of several tracks one is heard at a time.
    let loudest = sound.iter().map(Rendition::peak_bandwidth).max();
    let peak = video.peak_bandwidth() + loudest.unwrap_or(0);
    let loudest = sound.iter().map(Rendition::average_bandwidth).max();
    let average = video.average_bandwidth() + loudest.unwrap_or(0);
    let mut codecs = video.codecs();
    for codec in sound.iter().flat_map(Rendition::codecs) {
        if !codecs.contains(&codec) {
            codecs.push(codec);
        }
    }
    let _ = write!(
        text,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\",RESOLUTION={width}x{height},FRAME-RATE={},VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE",
        codecs.join(","),
        three_decimals(*frame_rate),
    );
    if !sound.is_empty() {
        let _ = write!(text, ",AUDIO=\"{AUDIO_GROUP}\"");
    }
    let _ = writeln!(text, "\n{}", names::media_playlist(video.name()));
}

fn write_pictures(text: &mut String, video: &Rendition<'_>) {
    let TrackKind::Video { resolution, .. } = video.kind() else {
        return;
    };
    let Some(pictures) = video.pictures() else {
        return;
    };
    let Resolution { width, height } = resolution;
    let timescale = video.timescale();
    let sizes: Vec<(u64, u64)> = pictures
        .iter()
        .map(|picture| (picture.size_bytes, picture.ticks))
        .collect();
    let target_s = longest_picture(&pictures, timescale);
    let bytes = sizes.iter().map(|size| size.0).sum();
    let ticks = sizes.iter().map(|size| size.1).sum();
    let _ = writeln!(
        text,
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={width}x{height},VIDEO-RANGE=SDR,URI=\"{}\"",
        peak(&sizes, target_s, timescale),
        bit_rate(bytes, ticks, timescale),
        video.codecs().join(","),
        names::iframe_playlist(video.name())
    );
}

/// Rounded to the nearest second, at least one.
fn whole_seconds(ticks: u64, timescale: u64) -> u64 {
    ((2 * ticks + timescale) / (2 * timescale)).max(1)
}

/// The name without its folder.
fn file(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, file)| file)
}

fn bit_rate(bytes: u64, ticks: u64, timescale: u64) -> u64 {
    let bits = u128::from(bytes) * 8 * u128::from(timescale);
    u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
}

/// Microseconds, rounded to the nearest.
fn micros(ticks: u64, timescale: u64) -> u64 {
    let us = (u128::from(ticks) * 2_000_000 + u128::from(timescale)) / (2 * u128::from(timescale));
    u64::try_from(us).unwrap_or(u64::MAX)
}

/// Rounded to three decimals, as `FRAME-RATE` wants it (RFC 8216, 4.3.4.2).
fn three_decimals(rate: FrameRate) -> String {
    let (num, den) = (u64::from(rate.num()), u64::from(rate.den()));
    let thousandths = (num * 2000 + den) / (2 * den);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

#[cfg(test)]
mod tests;
