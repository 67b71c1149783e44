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
        ((2 * longest + self.timescale()) / (2 * self.timescale())).max(1)
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

    /// The peak segment bit rate of RFC 8216, 4.1: the largest of any contiguous set of segments
    /// that lasts between 0.5 and 1.5 target durations.
    fn peak_bandwidth(&self) -> u64 {
        let target = self.target_duration() * self.timescale();
        let segments: Vec<&Segment> = self.segments().collect();
        let mut peak = 0;
        for start in 0..segments.len() {
            let (mut bytes, mut ticks) = (0, 0);
            for segment in &segments[start..] {
                bytes += segment.object.size_bytes;
                ticks += segment.duration;
                if 2 * ticks > 3 * target {
                    break;
                }
                if 2 * ticks >= target {
                    peak = peak.max(bit_rate(bytes, ticks, self.timescale()));
                }
            }
        }
        // A video shorter than half a second has no such set.
        peak.max(self.average_bandwidth())
    }
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

/// The media playlist of a rendition. URIs are relative to the rendition's folder.
pub fn media(rendition: &Rendition<'_>, ending: Ending) -> String {
    let (target_s, kind, listed_us) = match ending {
        Ending::Complete => (rendition.target_duration(), "VOD", u64::MAX),
        Ending::Open {
            target_s,
            listed_ns,
        } => (
            target_s.max(rendition.target_duration()),
            "EVENT",
            listed_ns / 1000,
        ),
    };
    let mut text = String::from(HEAD);
    let _ = writeln!(
        text,
        "#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-PLAYLIST-TYPE:{kind}\n#EXT-X-INDEPENDENT-SEGMENTS"
    );
    let mut init = "";
    let mut end_ticks = 0;
    let mut end_us = 0;
    for part in &rendition.parts {
        // Times go on from one piece to the next, so a new init segment needs no discontinuity
        // (RFC 8216, 4.3.2.3); players fetch it and go on.
        if part.init.name != init {
            init = &part.init.name;
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", file(init));
        }
        for segment in &part.segments {
            if end_us >= listed_us {
                break;
            }
            end_ticks += segment.duration;
            let start_us = end_us;
            end_us = micros(end_ticks, rendition.timescale());
            let us = end_us - start_us;
            let (secs, fraction) = (us / 1_000_000, us % 1_000_000);
            let _ = writeln!(
                text,
                "#EXTINF:{secs}.{fraction:06},\n{}",
                file(&segment.object.name)
            );
        }
    }
    if ending == Ending::Complete {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// The multivariant playlist. `videos` highest first; the middle one is listed first, since
/// players begin with what they read first. URIs are relative to the generation's folder.
///
/// # Errors
/// There is no picture.
pub fn multivariant(
    videos: &[Rendition<'_>],
    audio: Option<&Rendition<'_>>,
) -> Result<String, Error> {
    let mut text = String::from(HEAD);
    text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    if let Some(audio) = audio {
        write_audio(&mut text, audio);
    }
    let middle = videos.get(videos.len() / 2).ok_or(Error::Empty)?;
    let rest = videos.iter().filter(|video| video.name() != middle.name());
    for video in std::iter::once(middle).chain(rest) {
        write_variant(&mut text, video, audio);
    }
    Ok(text)
}

fn write_audio(text: &mut String, audio: &Rendition<'_>) {
    let TrackKind::Audio {
        channels, language, ..
    } = audio.kind()
    else {
        return;
    };
    let language = language.as_deref().and_then(language_tag);
    let _ = write!(
        text,
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"{}\"",
        language.as_deref().unwrap_or("Sound")
    );
    if let Some(language) = &language {
        let _ = write!(text, ",LANGUAGE=\"{language}\"");
    }
    let _ = writeln!(
        text,
        ",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"{channels}\",URI=\"{}\"",
        names::media_playlist(audio.name())
    );
}

fn write_variant(text: &mut String, video: &Rendition<'_>, audio: Option<&Rendition<'_>>) {
    let TrackKind::Video {
        resolution,
        frame_rate,
    } = video.kind()
    else {
        return;
    };
    let Resolution { width, height } = resolution;
    let peak = video.peak_bandwidth() + audio.map_or(0, Rendition::peak_bandwidth);
    let average = video.average_bandwidth() + audio.map_or(0, Rendition::average_bandwidth);
    let mut codecs = video.codecs();
    codecs.extend(audio.into_iter().flat_map(Rendition::codecs));
    let _ = write!(
        text,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\",RESOLUTION={width}x{height},FRAME-RATE={},VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE",
        codecs.join(","),
        three_decimals(*frame_rate),
    );
    if audio.is_some() {
        let _ = write!(text, ",AUDIO=\"{AUDIO_GROUP}\"");
    }
    let _ = writeln!(text, "\n{}", names::media_playlist(video.name()));
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

/// BCP 47 wants the shortest ISO 639 code; files carry three letters. Anything odd is left out.
fn language_tag(code: &str) -> Option<String> {
    let code = code.to_ascii_lowercase();
    let letters = code
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if code == "und" || !letters || !(2..=16).contains(&code.len()) {
        return None;
    }
    let short = match code.as_str() {
        "ara" => "ar",
        "chi" | "zho" => "zh",
        "cze" | "ces" => "cs",
        "dan" => "da",
        "dut" | "nld" => "nl",
        "eng" => "en",
        "fin" => "fi",
        "fre" | "fra" => "fr",
        "ger" | "deu" => "de",
        "gre" | "ell" => "el",
        "heb" => "he",
        "hin" => "hi",
        "hun" => "hu",
        "ita" => "it",
        "jpn" => "ja",
        "kor" => "ko",
        "nor" => "no",
        "pol" => "pl",
        "por" => "pt",
        "rum" | "ron" => "ro",
        "rus" => "ru",
        "spa" => "es",
        "swe" => "sv",
        "tur" => "tr",
        "ukr" => "uk",
        other => other,
    };
    Some(short.to_owned())
}

#[cfg(test)]
mod tests {
    use protocol::id::BlobHash;
    use protocol::manifest::Object;

    use super::*;

    fn object(name: &str, size_bytes: u64) -> Object {
        Object {
            name: name.to_owned(),
            size_bytes,
            blake3: BlobHash::from_bytes([7; 32]),
        }
    }

    fn video(
        name: &str,
        resolution: (u32, u32),
        init: &str,
        first: u32,
        segments: &[(u64, u64)],
    ) -> Track {
        Track {
            name: name.to_owned(),
            kind: TrackKind::Video {
                resolution: Resolution {
                    width: resolution.0,
                    height: resolution.1,
                },
                frame_rate: FrameRate::new(30000, 1001).unwrap(),
            },
            codec: "avc1.64001f".to_owned(),
            timescale: 30000,
            init: object(&format!("{name}/{init}"), 800),
            segments: segments
                .iter()
                .zip(first..)
                .map(|(&(frames, size_bytes), number)| Segment {
                    object: object(&format!("{name}/{number:06}-x.m4s"), size_bytes),
                    duration: frames * 1001,
                    frames: u32::try_from(frames).unwrap(),
                })
                .collect(),
        }
    }

    fn audio(segments: &[(u64, u64)]) -> Track {
        Track {
            name: "audio".to_owned(),
            kind: TrackKind::Audio {
                channels: 2,
                sample_rate: 48000,
                language: Some("eng".to_owned()),
            },
            codec: "mp4a.40.2".to_owned(),
            timescale: 48000,
            init: object("audio/init-x.mp4", 700),
            segments: segments
                .iter()
                .zip(0..)
                .map(|(&(frames, size_bytes), number)| Segment {
                    object: object(&format!("audio/{number:06}-x.m4s"), size_bytes),
                    duration: frames * 1024,
                    frames: u32::try_from(frames).unwrap(),
                })
                .collect(),
        }
    }

    #[test]
    fn media_playlist_at_29_97_is_exact() {
        let track = video(
            "720p",
            (1280, 720),
            "init-x.mp4",
            0,
            &[(180, 10), (180, 10), (31, 10)],
        );
        let text = media(&Rendition::join(vec![&track]).unwrap(), Ending::Complete);
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"init-x.mp4\"
#EXTINF:6.006000,
000000-x.m4s
#EXTINF:6.006000,
000001-x.m4s
#EXTINF:1.034367,
000002-x.m4s
#EXT-X-ENDLIST
";
        assert_eq!(text, expected);
    }

    #[test]
    fn rounding_does_not_add_up_over_a_day() {
        // 280 AAC frames last 5.973333… s.
        let track = audio(&vec![(280, 1); 14_464]);
        let text = media(&Rendition::join(vec![&track]).unwrap(), Ending::Complete);
        let sum: u64 = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','))
            .map(|secs| secs.replace('.', "").parse::<u64>().unwrap())
            .sum();
        assert_eq!(sum, micros(280 * 1024 * 14_464, 48000));
    }

    #[test]
    fn a_new_init_segment_is_announced_without_a_break() {
        let one = video("720p", (1280, 720), "init-a.mp4", 0, &[(180, 10)]);
        let two = video("720p", (1280, 720), "init-a.mp4", 1, &[(180, 10)]);
        let three = video("720p", (1280, 720), "init-b.mp4", 2, &[(180, 10)]);
        let text = media(
            &Rendition::join(vec![&one, &two, &three]).unwrap(),
            Ending::Complete,
        );
        assert_eq!(text.matches("#EXT-X-MAP").count(), 2);
        assert!(text.contains("000001-x.m4s\n#EXT-X-MAP:URI=\"init-b.mp4\"\n#EXTINF"));
        assert!(!text.contains("DISCONTINUITY"));
    }

    #[test]
    fn multivariant_playlist_is_measured_and_begins_in_the_middle() {
        let high = video(
            "1080p",
            (1920, 1080),
            "i",
            0,
            &[(180, 3_753_750), (180, 3_003_000)],
        );
        let mid = video(
            "720p",
            (1280, 720),
            "i",
            0,
            &[(180, 2_002_000), (180, 1_501_500)],
        );
        let low = video(
            "360p",
            (640, 360),
            "i",
            0,
            &[(180, 750_750), (180, 600_600)],
        );
        let sound = audio(&[(375, 128_000), (188, 64_171)]);
        let join = |track| Rendition::join(vec![track]).unwrap();
        let text =
            multivariant(&[join(&high), join(&mid), join(&low)], Some(&join(&sound))).unwrap();
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"en\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/media.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2794668,AVERAGE-BANDWIDTH=2461335,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"
720p/media.m3u8
";
        assert!(text.starts_with(expected), "{text}");
        let uris: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            uris,
            ["720p/media.m3u8", "1080p/media.m3u8", "360p/media.m3u8"]
        );
    }

    #[test]
    fn a_short_last_segment_does_not_set_the_peak() {
        let track = video("360p", (640, 360), "i", 0, &[(180, 600_600), (1, 30_000)]);
        let rendition = Rendition::join(vec![&track]).unwrap();
        // The last picture alone would be 7 Mbit/s; both segments together are 0.83 Mbit/s.
        assert_eq!(rendition.peak_bandwidth(), 835_320);
    }

    #[test]
    fn silence_has_no_audio_group() {
        let track = video("360p", (640, 360), "i", 0, &[(3, 600)]);
        let rendition = Rendition::join(vec![&track]).unwrap();
        let text = multivariant(&[rendition], None).unwrap();
        assert!(!text.contains("AUDIO="));
        assert!(!text.contains("EXT-X-MEDIA:"));
        assert_eq!(multivariant(&[], None), Err(Error::Empty));
    }

    #[test]
    fn pieces_of_other_shapes_are_refused() {
        let one = video("720p", (1280, 720), "i", 0, &[(180, 10)]);
        let two = video("720p", (1280, 718), "i", 1, &[(180, 10)]);
        assert!(matches!(
            Rendition::join(vec![&one, &two]),
            Err(Error::Differ { .. })
        ));
        assert_eq!(Rendition::join(vec![]).unwrap_err(), Error::Empty);
    }

    #[test]
    fn hostile_languages_are_left_out() {
        assert_eq!(language_tag("deu").as_deref(), Some("de"));
        assert_eq!(language_tag("pt-BR").as_deref(), Some("pt-br"));
        for bad in ["und", "", "e", "en\"\n#EXT", "a-very-long-language-tag"] {
            assert_eq!(language_tag(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_playlist_that_grows_has_no_end_and_keeps_its_target() {
        let track = video(
            "360p",
            (640, 360),
            "init-a.mp4",
            0,
            &[(50, 100), (50, 100), (50, 100)],
        );
        let rendition = Rendition::join(vec![&track]).unwrap();
        let open = |listed_ns| {
            let target_s = 7;
            media(
                &rendition,
                Ending::Open {
                    target_s,
                    listed_ns,
                },
            )
        };
        let text = open(u64::MAX);
        assert!(text.contains("#EXT-X-TARGETDURATION:7\n"), "{text}");
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"), "{text}");
        assert!(!text.contains("ENDLIST"), "{text}");
        assert_eq!(text.matches("#EXTINF").count(), 3);
        let one = rendition.duration_ns() / 3;
        // Sound that lies wholly behind the pictures waits for them.
        assert_eq!(open(one).matches("#EXTINF").count(), 1);
        assert_eq!(open(one + 1000).matches("#EXTINF").count(), 2);
    }
}
