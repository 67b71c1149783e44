//! Pure: playlists of a subclip, which list its video's segments.
//!
//! HLS is exact to the segment: a subclip's playlist begins with the segment that its in point
//! lies in, and `EXT-X-START` says where in it to begin. The player stops at the out point.
//! Everything follows from the manifests of one published generation, so a playlist never changes.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::job::Unit;
use protocol::manifest::{Manifest, Segment, Track};
use protocol::media::FrameRange;

use super::names;
use super::playlist::{self, Rendition};

/// Folder of all subclips' playlists, below a generation.
const FOLDER: &str = "clips";

/// From the folder of a subclip's media playlist up to the generation's.
const UP: &str = "../../../";

/// A playlist of a subclip, as its name asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    pub frames: FrameRange,
    pub list: List<'a>,
}

/// Which of a subclip's playlists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List<'a> {
    Multivariant,
    /// Of this rendition.
    Media(&'a str),
    /// Pictures of this rendition that decode alone.
    Iframes(&'a str),
}

impl<'a> Asked<'a> {
    /// Reads `clips/100-200/master.m3u8` or `clips/100-200/720p/media.m3u8`. Only the printed form
    /// of a range: each playlist has one URL.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (range, rest) = name
            .strip_prefix(FOLDER)?
            .strip_prefix('/')?
            .split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let frames = FrameRange {
            start: start.parse().ok()?,
            end: end.parse().ok()?,
        };
        if format!("{}-{}", frames.start, frames.end) != range || frames.is_empty() {
            return None;
        }
        let list = match rest.rsplit_once('/') {
            None if rest == names::MASTER => List::Multivariant,
            Some((rendition, _)) if rendition.contains('/') => return None,
            Some((rendition, names::MEDIA)) => List::Media(rendition),
            Some((rendition, names::IFRAMES)) => List::Iframes(rendition),
            _ => return None,
        };
        Some(Self { frames, list })
    }
}

/// The text of the playlist that is asked for; `None` if there is no such rendition or frame.
///
/// # Errors
/// The manifests do not fit together.
pub fn playlist(
    manifests: &BTreeMap<Unit, Manifest>,
    asked: &Asked<'_>,
) -> Result<Option<String>, playlist::Error> {
    let Some(cut) = Cut::of(manifests, asked.frames) else {
        return Ok(None);
    };
    let start = start(asked.frames.start - cut.first_frame, &cut.pace);
    let (name, iframes) = match asked.list {
        List::Multivariant => {
            let videos: Vec<_> = cut
                .videos
                .iter()
                .map(|parts| join(parts))
                .collect::<Result<_, _>>()?;
            let sound: Vec<_> = cut
                .sound
                .iter()
                .map(|parts| join(parts))
                .collect::<Result<_, _>>()?;
            let text = playlist::multivariant(&videos, &sound)?;
            return Ok(Some(lead(&text, "", &start)));
        }
        List::Media(name) => (name, false),
        List::Iframes(name) => (name, true),
    };
    let mut tracks = cut.videos.iter().chain(&cut.sound);
    let Some(parts) = tracks.find(|parts| parts[0].name == name) else {
        return Ok(None);
    };
    let rendition = join(parts)?;
    let ending = playlist::Ending::Complete;
    let text = if iframes {
        playlist::iframes(&rendition, ending)
    } else {
        Some(playlist::media(&rendition, ending))
    };
    Ok(text.map(|text| lead(&text, &format!("{UP}{name}/"), &start)))
}

fn join(parts: &[Track]) -> Result<Rendition<'_>, playlist::Error> {
    Rendition::join(parts.iter().collect())
}

/// The shares of all renditions that a subclip needs.
struct Cut {
    /// Where the first of its segments begins, in frames of the source.
    first_frame: u64,
    pace: Pace,
    videos: Vec<Vec<Track>>,
    /// Tracks that have nothing to say there are left out.
    sound: Vec<Vec<Track>>,
}

impl Cut {
    /// `None` if the video does not have these frames.
    fn of(manifests: &BTreeMap<Unit, Manifest>, frames: FrameRange) -> Option<Self> {
        // Units order by piece number, so shares come in order of presentation.
        let pieces: Vec<&Manifest> = manifests
            .iter()
            .filter(|(unit, _)| matches!(unit, Unit::Piece(_)))
            .map(|(_, manifest)| manifest)
            .collect();
        let mut first_frame = None;
        let mut pace = None;
        let mut videos = Vec::new();
        let mut span = 0..0;
        for track in &pieces.first()?.tracks {
            let parts = pieces.iter().map(|piece| {
                let mut tracks = piece.tracks.iter();
                tracks.find(|other| other.name == track.name)
            });
            let parts: Vec<&Track> = parts.collect::<Option<_>>()?;
            let total: u64 = parts.iter().map(|part| part.frames()).sum();
            if !frames.is_within(total) {
                return None;
            }
            let mut at = 0;
            let mut ticks = 0;
            let mut begin = None;
            let cut = keep(&parts, |segment| {
                let here = at;
                let here_ticks = ticks;
                at += u64::from(segment.frames);
                ticks += segment.duration;
                let wanted = here < frames.end && at > frames.start;
                if wanted && begin.is_none() {
                    begin = Some(here);
                    pace.get_or_insert_with(|| Pace {
                        frames: u64::from(segment.frames),
                        ticks: segment.duration,
                        timescale: u64::from(track.timescale),
                    });
                    span.start = micros(here_ticks, track.timescale);
                }
                if wanted {
                    span.end = micros(ticks, track.timescale);
                }
                wanted
            });
            // All renditions are cut at the same frames; if not, no one offset fits.
            if first_frame.is_some() && first_frame != begin {
                return None;
            }
            first_frame = begin;
            videos.push(cut);
        }
        let sound = manifests
            .get(&Unit::Audio)
            .into_iter()
            .flat_map(|manifest| &manifest.tracks)
            .map(|track| sound(track, &span))
            .filter(|parts| !parts.is_empty())
            .collect();
        Some(Self {
            pace: pace?,
            first_frame: first_frame?,
            videos,
            sound,
        })
    }
}

/// Sound is cut at the coded frame that is nearest to a picture's cut, so a segment belongs to the
/// pictures that its middle falls on: both playlists then begin within half a coded frame.
fn sound(track: &Track, span: &std::ops::Range<u64>) -> Vec<Track> {
    let mut ticks = 0;
    keep(&[track], |segment| {
        let middle = micros(ticks + segment.duration / 2, track.timescale);
        ticks += segment.duration;
        span.contains(&middle)
    })
}

/// The shares with the wanted segments alone; those that have none are left out.
fn keep(parts: &[&Track], mut wanted: impl FnMut(&Segment) -> bool) -> Vec<Track> {
    let mut kept = Vec::new();
    for part in parts {
        let segments: Vec<Segment> = part
            .segments
            .iter()
            .filter(|segment| wanted(segment))
            .cloned()
            .collect();
        if !segments.is_empty() {
            kept.push(Track {
                name: part.name.clone(),
                kind: part.kind.clone(),
                codec: part.codec.clone(),
                timescale: part.timescale,
                init: part.init.clone(),
                segments,
            });
        }
    }
    kept
}

/// How fast the frames of one segment follow each other. Exact where the rate is constant; where
/// it is not, frames are taken to lie evenly within the segment.
#[derive(Debug, Clone, Copy)]
struct Pace {
    frames: u64,
    ticks: u64,
    timescale: u64,
}

/// Where to begin, `frames` into the first segment. Rounded up, since a microsecond early would
/// show the picture before.
fn start(frames: u64, pace: &Pace) -> String {
    let us = u128::from(frames) * 1_000_000 * u128::from(pace.ticks);
    let us = us.div_ceil(u128::from(pace.frames.max(1)) * u128::from(pace.timescale.max(1)));
    let (secs, fraction) = (us / 1_000_000, us % 1_000_000);
    format!("#EXT-X-START:TIME-OFFSET={secs}.{fraction:06},PRECISE=YES\n")
}

/// `text` with `start` in its head, and every URI below `folder`.
fn lead(text: &str, folder: &str, start: &str) -> String {
    const HEAD_ENDS: &str = "#EXT-X-INDEPENDENT-SEGMENTS";

    let mut led = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        if line.starts_with("#EXT-X-MAP:") {
            let line = line.replacen("URI=\"", &format!("URI=\"{folder}"), 1);
            let _ = writeln!(led, "{line}");
        } else if line.starts_with('#') {
            let _ = writeln!(led, "{line}");
        } else {
            let _ = writeln!(led, "{folder}{line}");
        }
        if line == HEAD_ENDS {
            led.push_str(start);
        }
    }
    led
}

fn micros(ticks: u64, timescale: u32) -> u64 {
    let us = u128::from(ticks) * 1_000_000 / u128::from(timescale.max(1));
    u64::try_from(us).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::id::BlobHash;
    use protocol::manifest::{Object, TrackKind};
    use protocol::media::{FrameRate, Resolution};

    use super::*;

    fn object(name: String) -> Object {
        Object {
            name,
            size_bytes: 1000,
            blake3: BlobHash::from_bytes([7; 32]),
        }
    }

    fn ntsc() -> FrameRate {
        FrameRate::new(30000, 1001).unwrap()
    }

    /// Segments of 180 frames; the last of the video may be shorter.
    fn video(name: &str, height: u32, init: &str, first: u32, frames: &[u32]) -> Track {
        Track {
            name: name.to_owned(),
            kind: TrackKind::Video {
                resolution: Resolution {
                    width: height * 16 / 9,
                    height,
                },
                frame_rate: ntsc(),
            },
            codec: "avc1.64001f".to_owned(),
            timescale: 30000,
            init: object(format!("{name}/{init}.mp4")),
            segments: (frames.iter().zip(first..))
                .map(|(&frames, number)| Segment {
                    object: object(format!("{name}/{number:06}-x.m4s")),
                    duration: u64::from(frames) * 1001,
                    frames,
                    keys: Vec::new(),
                })
                .collect(),
        }
    }

    /// Two pieces, 180+180 and 180+40 frames, and sound cut beside them.
    fn manifests() -> BTreeMap<Unit, Manifest> {
        let piece = |first, frames: &[u32], init| Manifest {
            tracks: vec![
                video("720p", 720, init, first, frames),
                video("360p", 360, init, first, frames),
            ],
            ..Manifest::default()
        };
        // 6.006 s are 281.53 AAC frames.
        let ends = [0_u32, 282, 563, 845, 907];
        let audio = Track {
            name: "audio".to_owned(),
            kind: TrackKind::Audio {
                channels: 2,
                sample_rate: 48000,
                language: None,
            },
            codec: "mp4a.40.2".to_owned(),
            timescale: 48000,
            init: object("audio/init-x.mp4".to_owned()),
            segments: (ends.windows(2).zip(0..))
                .map(|(pair, number)| Segment {
                    object: object(format!("audio/{number:06}-x.m4s")),
                    duration: u64::from(pair[1] - pair[0]) * 1024,
                    frames: pair[1] - pair[0],
                    keys: Vec::new(),
                })
                .collect(),
        };
        [
            (Unit::Piece(0), piece(0, &[180, 180], "init-a")),
            (Unit::Piece(1), piece(2, &[180, 40], "init-b")),
            (
                Unit::Audio,
                Manifest {
                    tracks: vec![audio],
                    ..Manifest::default()
                },
            ),
        ]
        .into()
    }

    fn text(name: &str) -> Option<String> {
        let asked = Asked::parse(name)?;
        playlist(&manifests(), &asked).unwrap()
    }

    fn segments(name: &str) -> Vec<String> {
        text(name)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_subclip_lists_the_segments_it_overlaps_and_says_where_to_begin() {
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-START:TIME-OFFSET=0.667334,PRECISE=YES
#EXT-X-MAP:URI=\"../../../720p/init-a.mp4\"
#EXTINF:6.006000,
../../../720p/000001-x.m4s
#EXT-X-MAP:URI=\"../../../720p/init-b.mp4\"
#EXTINF:6.006000,
../../../720p/000002-x.m4s
#EXT-X-ENDLIST
";
        assert_eq!(text("clips/200-361/720p/media.m3u8").unwrap(), expected);
    }

    #[test]
    fn in_is_inclusive_and_out_is_not() {
        let numbers = |name: &str| -> Vec<String> {
            let path = format!("clips/{name}/360p/media.m3u8");
            let numbers = segments(&path).into_iter();
            numbers
                .map(|line| line["../../../360p/".len()..][..6].to_owned())
                .collect()
        };
        assert_eq!(numbers("179-180"), ["000000"]);
        assert_eq!(numbers("180-181"), ["000001"]);
        assert_eq!(numbers("180-360"), ["000001"]);
        assert_eq!(numbers("0-580").len(), 4);
        assert_eq!(numbers("579-580"), ["000003"]);
    }

    #[test]
    fn sound_begins_with_the_pictures_though_it_is_cut_beside_them() {
        for (range, expected) in [
            ("0-1", vec!["000000"]),
            ("180-181", vec!["000001"]),
            ("360-540", vec!["000002"]),
            ("200-541", vec!["000001", "000002", "000003"]),
        ] {
            let found = segments(&format!("clips/{range}/audio/media.m3u8"));
            let expected: Vec<String> = expected
                .iter()
                .map(|number| format!("../../../audio/{number}-x.m4s"))
                .collect();
            assert_eq!(found, expected, "{range}");
        }
    }

    #[test]
    fn the_multivariant_playlist_names_playlists_of_the_same_subclip() {
        let text = text("clips/200-361/master.m3u8").unwrap();
        assert!(text.contains("\n#EXT-X-START:TIME-OFFSET=0.667334,PRECISE=YES\n"));
        assert!(text.contains("URI=\"audio/media.m3u8\""));
        let uris: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(uris, ["360p/media.m3u8", "720p/media.m3u8"]);
    }

    #[test]
    fn silence_stays_silent_and_short_sound_ends_early() {
        let mut manifests = manifests();
        let asked = Asked::parse("clips/540-580/master.m3u8").unwrap();
        let audio = manifests.get_mut(&Unit::Audio).unwrap();
        audio.tracks[0].segments.pop();
        let text = playlist(&manifests, &asked).unwrap().unwrap();
        assert!(!text.contains("AUDIO"));
        manifests.remove(&Unit::Audio);
        let text = playlist(&manifests, &asked).unwrap().unwrap();
        assert!(!text.contains("AUDIO"));
    }

    #[test]
    fn there_are_no_other_playlists() {
        for bad in [
            "clips/0-581/master.m3u8",
            "clips/580-581/720p/media.m3u8",
            "clips/0-10/1080p/media.m3u8",
            "clips/10-10/master.m3u8",
            "clips/11-10/master.m3u8",
            "clips/00-10/master.m3u8",
            "clips/+0-10/master.m3u8",
            "clips/0-10-20/master.m3u8",
            "clips/-0-10/master.m3u8",
            "clips/0-18446744073709551616/master.m3u8",
            "clips/0-18446744073709551615/master.m3u8",
            "clips/0-10/media.m3u8",
            "clips/0-10/720p/master.m3u8",
            "clips/0-10/a/720p/media.m3u8",
            // Its segments do not say where their pictures are.
            "clips/0-10/720p/iframes.m3u8",
            "clips/0-10/audio/iframes.m3u8",
            "clips/0-10",
            "clip/0-10/master.m3u8",
            "clips//master.m3u8",
        ] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_beginning_is_never_before_its_picture() {
        for (num, den) in [
            (24000, 1001),
            (25, 1),
            (30000, 1001),
            (60000, 1001),
            (60, 1),
        ] {
            let pace = Pace {
                frames: 180,
                ticks: 180 * den,
                timescale: num,
            };
            for frame in 0..400_u64 {
                let text = start(frame, &pace);
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                let us: u128 = digits.parse().unwrap();
                let exact = u128::from(frame) * 1_000_000 * u128::from(den);
                assert!(us * u128::from(num) >= exact, "{frame} at {num}/{den}");
                assert!(
                    us * u128::from(num) < exact + u128::from(num),
                    "{frame} at {num}/{den}"
                );
            }
        }
    }
}
