//! Pure: what is refused before anything is decoded, why, and what a person can do about it.
//!
//! Every code is stable and has a page `docs/errors/{code}.md`:
//!
//! | code | the file |
//! | --- | --- |
//! | `empty_file` | has no bytes |
//! | `not_media` | is nothing that we know |
//! | `playlist` | only points to media elsewhere |
//! | `still_picture` | is a picture |
//! | `no_video_track` | holds only sound, or subtitles |
//! | `no_pictures` | has a video track without pictures |
//! | `unsupported_container` | is media of a kind that we do not open |
//! | `unsupported_codec` | has pictures in a coding that we cannot decode |
//! | `unsupported_edit` | plays parts faster or slower by its edit list |
//! | `encrypted` | is protected |
//! | `truncated` | ends before its end |
//! | `incomplete_recording` | was never finished by the recorder |
//! | `damaged` | contradicts itself |
//! | `undecodable` | has no picture that can be decoded |
//! | `picture_too_large` | has pictures beyond the limit |
//! | `frame_rate_too_high` | has more pictures a second than the limit |
//! | `too_long` | is longer than the limit |
//! | `too_many_tracks` | has more tracks than the limit |
//! | `source_unreadable` | could not be read from this node's disk; tried again |

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::failure::{Failure, FailureClass};
use protocol::media::FrameRate;

/// Longest side of a picture in pixels.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// Most pixels of a picture, 8192 x 8192: what a decoder needs for a few of them is still bearable.
pub(crate) const MAX_PIXELS: u64 = 8192 * 8192;
/// Most frames a second.
pub(crate) const MAX_FRAME_RATE: u32 = 240;
/// Longest video in hours.
pub(crate) const MAX_HOURS: u64 = 24;
/// Most tracks of any kind.
pub(crate) const MAX_TRACKS: usize = 64;
/// Most video tracks among them.
pub(crate) const MAX_VIDEO_TRACKS: usize = 8;
/// Largest MP4 index in bytes. A day of pictures and sound takes about 80 MiB.
pub(crate) const MAX_INDEX_BYTES: u64 = 256 * 1024 * 1024;

/// Every code, for the test that each has its page.
#[cfg(test)]
pub(crate) const CODES: [&str; 19] = [
    "damaged",
    "empty_file",
    "encrypted",
    "frame_rate_too_high",
    "incomplete_recording",
    "no_pictures",
    "no_video_track",
    "not_media",
    "picture_too_large",
    "playlist",
    "still_picture",
    "too_long",
    "too_many_tracks",
    "truncated",
    "undecodable",
    "source_unreadable",
    "unsupported_codec",
    "unsupported_container",
    "unsupported_edit",
];

/// A reason to refuse a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Damaged,
    Empty,
    Encrypted,
    FrameRateTooHigh(FrameRate),
    IncompleteRecording,
    NoPictures,
    NoVideoTrack { sound: bool },
    NotMedia,
    PictureTooLarge { width: u32, height: u32 },
    Playlist,
    StillPicture,
    TooLong,
    TooManyTracks { video: bool },
    Truncated { missing_bytes: u64 },
    Undecodable { codec: String },
    Unreadable,
    UnsupportedCodec { name: String },
    UnsupportedContainer { name: String },
    UnsupportedEdit,
}

impl Refusal {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Empty => "empty_file",
            Self::Encrypted => "encrypted",
            Self::FrameRateTooHigh(_) => "frame_rate_too_high",
            Self::IncompleteRecording => "incomplete_recording",
            Self::NoPictures => "no_pictures",
            Self::NoVideoTrack { .. } => "no_video_track",
            Self::NotMedia => "not_media",
            Self::PictureTooLarge { .. } => "picture_too_large",
            Self::Playlist => "playlist",
            Self::StillPicture => "still_picture",
            Self::TooLong => "too_long",
            Self::TooManyTracks { .. } => "too_many_tracks",
            Self::Truncated { .. } => "truncated",
            Self::Undecodable { .. } => "undecodable",
            Self::Unreadable => "source_unreadable",
            Self::UnsupportedCodec { .. } => "unsupported_codec",
            Self::UnsupportedContainer { .. } => "unsupported_container",
            Self::UnsupportedEdit => "unsupported_edit",
        }
    }

    /// One sentence: what was wrong, and what to do.
    fn message(&self) -> String {
        match self {
            Self::Damaged => "The index of this file is damaged; copy it again from the camera or card, or export it again.".into(),
            Self::Empty => "This file is empty; check the original and upload it again.".into(),
            Self::Encrypted => "This file is encrypted, so its pictures cannot be read; upload an unprotected copy.".into(),
            Self::FrameRateTooHigh(rate) => format!(
                "This video has {} frames a second, and the most we take is {MAX_FRAME_RATE}; export it at a lower frame rate.",
                rate.num().div_ceil(rate.den())
            ),
            Self::IncompleteRecording => "This recording was never finished: its index is missing, as when a camera loses power; repair it with the camera maker's tool and upload the result.".into(),
            Self::NoPictures => "This file has a video track without a single picture in it; check the original and export it again.".into(),
            Self::NoVideoTrack { sound: true } => "This file holds only sound; upload a file with pictures.".into(),
            Self::NoVideoTrack { sound: false } => "This file has no video track; upload a file with pictures.".into(),
            Self::NotMedia => "This is not a video file, whatever its name says; check that you picked the right file.".into(),
            Self::PictureTooLarge { width, height } => format!(
                "The pictures of this video are {width} x {height} pixels, and the most we take is {MAX_SIDE} on a side and 67 million in all; export it smaller."
            ),
            Self::Playlist => "This is a playlist that only points to media elsewhere; upload the media file itself.".into(),
            Self::StillPicture => "This is a picture, not a video; upload the video itself.".into(),
            Self::TooLong => format!("This video is longer than {MAX_HOURS} hours; split it and upload the parts."),
            Self::TooManyTracks { video: true } => format!(
                "This file has more than {MAX_VIDEO_TRACKS} video tracks; export it with only the one you need."
            ),
            Self::TooManyTracks { video: false } => format!(
                "This file has more than {MAX_TRACKS} tracks; export it with only those you need."
            ),
            Self::Truncated { missing_bytes } => format!(
                "This file is cut off: at least {} at its end are missing; copy it again and upload the whole file.",
                bytes(*missing_bytes)
            ),
            Self::Undecodable { codec } => format!(
                "No picture of this {codec} video could be decoded, so it is damaged or a variant we do not know; export it again, for instance as H.264."
            ),
            Self::Unreadable => "The uploaded file could not be read from this node's disk; it will be tried again.".into(),
            Self::UnsupportedCodec { name } => format!(
                "The pictures of this file are coded as {name}, which we cannot decode; export it as H.264, HEVC, ProRes or AV1."
            ),
            Self::UnsupportedContainer { name } => format!(
                "This is a file of type {name}, which we do not open; wrap it as MP4, MOV or MKV."
            ),
            Self::UnsupportedEdit => "This file plays parts of itself faster or slower by an edit list, which we cannot follow; export it as a plain file.".into(),
        }
    }

    /// With what the machine said about it.
    pub(crate) fn because(&self, detail: impl Into<String>) -> Failure {
        let class = match self {
            Self::Unreadable => FailureClass::Resource,
            _ => FailureClass::Input,
        };
        Failure::new(class, self.code(), self.message(), detail)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.because("")
    }
}

/// Sides and area of one picture. Zero is refused as well: nothing can be shown of it.
pub(crate) fn check_picture(width: u32, height: u32) -> Result<(), Refusal> {
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(Refusal::PictureTooLarge { width, height });
    }
    if pixels == 0 {
        return Err(Refusal::NoPictures);
    }
    Ok(())
}

pub(crate) fn check_tracks(all: usize, video: usize) -> Result<(), Refusal> {
    if video > MAX_VIDEO_TRACKS {
        return Err(Refusal::TooManyTracks { video: true });
    }
    if all > MAX_TRACKS {
        return Err(Refusal::TooManyTracks { video: false });
    }
    Ok(())
}

pub(crate) fn check_time(rate: FrameRate, duration_ns: u64) -> Result<(), Refusal> {
    if u64::from(rate.num()) > u64::from(MAX_FRAME_RATE) * u64::from(rate.den()) {
        return Err(Refusal::FrameRateTooHigh(rate));
    }
    if duration_ns > MAX_HOURS * 3_600_000_000_000 {
        return Err(Refusal::TooLong);
    }
    Ok(())
}

/// A size as a person says it.
fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} kB", count / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", count / 1_000_000),
        _ => format!("{} GB", count / 1_000_000_000),
    }
}

/// What the first bytes of a file are, by our own eyes: the second opinion beside GStreamer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Magic {
    Avi,
    Flv,
    Matroska,
    Mp4,
    Mxf,
    Ogg,
    Playlist,
    ProgramStream,
    TransportStream,
}

impl Magic {
    /// From the first [`Self::HEAD_BYTES`] bytes, or all of a shorter file.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let kind = head.get(4..8);
        let boxes: [&[u8]; 8] = [
            b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp",
        ];
        if kind.is_some_and(|kind| boxes.contains(&kind)) {
            return Some(Self::Mp4);
        }
        if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
            return Some(Self::Matroska);
        }
        if head.starts_with(b"RIFF") && head.get(8..11) == Some(b"AVI") {
            return Some(Self::Avi);
        }
        if head.starts_with(b"FLV\x01") {
            return Some(Self::Flv);
        }
        if head.starts_with(b"OggS") {
            return Some(Self::Ogg);
        }
        // SMPTE ST 377-1, 6.5: a partition pack, behind a run-in of less than 64 KiB.
        let partition = [
            0x06, 0x0e, 0x2b, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0d, 0x01, 0x02,
        ];
        if find(head, &partition).is_some() {
            return Some(Self::Mxf);
        }
        if is_transport_stream(head) {
            return Some(Self::TransportStream);
        }
        if head.starts_with(&[0, 0, 1, 0xba]) {
            return Some(Self::ProgramStream);
        }
        is_playlist(head).then_some(Self::Playlist)
    }

    pub(crate) const HEAD_BYTES: u64 = 64 * 1024 + 32;
}

/// Packets of 188, 192 or 204 bytes that each have a sync byte, at least three in a row.
fn is_transport_stream(head: &[u8]) -> bool {
    [188, 192, 204].iter().any(|size| {
        (0..*size).any(|start| (0..4).all(|packet| head.get(start + packet * size) == Some(&0x47)))
    })
}

fn is_playlist(head: &[u8]) -> bool {
    let start = head.get(..512).unwrap_or(head).to_ascii_lowercase();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let first: [&[u8]; 6] = [
        b"#extm3u",
        b"[playlist]",
        b"v=0",
        b"ffconcat",
        b"<asx",
        b"[reference]",
    ];
    let tags: [&[u8]; 4] = [b"<mpd", b"<smoothstreamingmedia", b"<smil", b"<playlist"];
    first.iter().any(|mark| start.starts_with(mark))
        || tags.iter().any(|mark| find(start, mark).is_some())
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_the_edge() {
        assert_eq!(check_picture(8192, 8192), Ok(()));
        assert_eq!(check_picture(16_384, 4096), Ok(()));
        assert!(check_picture(16_385, 2).is_err());
        assert!(check_picture(8193, 8192).is_err());
        assert!(check_picture(u32::MAX, u32::MAX).is_err());
        assert_eq!(check_picture(0, 5), Err(Refusal::NoPictures));
        assert_eq!(check_tracks(64, 8), Ok(()));
        assert!(check_tracks(65, 1).is_err());
        assert!(check_tracks(9, 9).is_err());
        let rate = |num, den| FrameRate::new(num, den).expect("not zero");
        assert_eq!(check_time(rate(240, 1), 86_400_000_000_000), Ok(()));
        assert!(check_time(rate(240_001, 1000), 1).is_err());
        assert_eq!(
            check_time(rate(25, 1), 86_400_000_000_001),
            Err(Refusal::TooLong)
        );
    }

    #[test]
    fn every_refusal_has_a_code_and_a_sentence() {
        let rate = FrameRate::new(500, 1).expect("not zero");
        let all = [
            Refusal::Damaged,
            Refusal::Empty,
            Refusal::Encrypted,
            Refusal::FrameRateTooHigh(rate),
            Refusal::IncompleteRecording,
            Refusal::NoPictures,
            Refusal::NoVideoTrack { sound: true },
            Refusal::NotMedia,
            Refusal::PictureTooLarge {
                width: 20_000,
                height: 20_000,
            },
            Refusal::Playlist,
            Refusal::StillPicture,
            Refusal::TooLong,
            Refusal::TooManyTracks { video: true },
            Refusal::Truncated {
                missing_bytes: 123_456_789,
            },
            Refusal::Undecodable {
                codec: "h264".into(),
            },
            Refusal::Unreadable,
            Refusal::UnsupportedCodec {
                name: "DNxHR".into(),
            },
            Refusal::UnsupportedContainer { name: "asf".into() },
            Refusal::UnsupportedEdit,
        ];
        let codes: Vec<_> = all.iter().map(Refusal::code).collect();
        assert_eq!(codes, CODES);
        for refusal in all {
            let message = Failure::from(refusal).message;
            assert!(message.ends_with('.') && message.len() > 40, "{message}");
        }
    }

    #[test]
    fn first_bytes_are_known() {
        for (head, expect) in [
            (&b"\0\0\0\x18ftypisom"[..], Some(Magic::Mp4)),
            (b"#EXTM3U\n#EXT-X-VERSION:3", Some(Magic::Playlist)),
            (b"<?xml version='1.0'?><MPD>", Some(Magic::Playlist)),
            (
                b"ffconcat version 1.0\nfile /etc/passwd",
                Some(Magic::Playlist),
            ),
            (b"RIFF\0\0\0\0AVI LIST", Some(Magic::Avi)),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"just some text", None),
            (b"", None),
        ] {
            assert_eq!(Magic::of(head), expect);
        }
        let packets: Vec<u8> = (0..900)
            .map(|n| if n % 188 == 0 { 0x47 } else { 0 })
            .collect();
        assert_eq!(Magic::of(&packets), Some(Magic::TransportStream));
        assert_eq!(Magic::of(&packets[100..]), Some(Magic::TransportStream));
    }
}
