//! Expected playlists, to the letter.

use protocol::id::BlobHash;
use protocol::manifest::{KeyPicture, Object};

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
                keys: Vec::new(),
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
                keys: Vec::new(),
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
    let text = multivariant(&[join(&high), join(&mid), join(&low)], &[join(&sound)]).unwrap();
    let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/media.m3u8\"
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
    let text = multivariant(&[rendition], &[]).unwrap();
    assert!(!text.contains("AUDIO="));
    assert!(!text.contains("EXT-X-MEDIA:"));
    assert_eq!(multivariant(&[], &[]), Err(Error::Empty));
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

/// Fragments of 2 s, each beginning with a picture that decodes alone.
fn with_keys(mut track: Track) -> Track {
    for segment in &mut track.segments {
        let count = u64::from(segment.frames).div_ceil(60);
        segment.keys = (0..count)
            .map(|number| KeyPicture {
                offset: 24 + number * 1000,
                size_bytes: 500 + number,
                at: number * 60 * 1001,
            })
            .collect();
    }
    track
}

#[test]
fn pictures_that_decode_alone_have_a_playlist_of_byte_ranges() {
    let one = with_keys(video("720p", (1280, 720), "init-a.mp4", 0, &[(120, 9000)]));
    let two = with_keys(video("720p", (1280, 720), "init-b.mp4", 1, &[(75, 9000)]));
    let rendition = Rendition::join(vec![&one, &two]).unwrap();
    let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI=\"init-a.mp4\"
#EXTINF:2.002000,
#EXT-X-BYTERANGE:500@24
000000-x.m4s
#EXTINF:2.002000,
#EXT-X-BYTERANGE:501@1024
000000-x.m4s
#EXT-X-MAP:URI=\"init-b.mp4\"
#EXTINF:2.002000,
#EXT-X-BYTERANGE:500@24
000001-x.m4s
#EXTINF:0.500500,
#EXT-X-BYTERANGE:501@1024
000001-x.m4s
#EXT-X-ENDLIST
";
    assert_eq!(iframes(&rendition, Ending::Complete).unwrap(), expected);
    let text = multivariant(&[rendition], &[]).unwrap();
    let line = "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3200,AVERAGE-BANDWIDTH=2462,CODECS=\"avc1.64001f\",RESOLUTION=1280x720,VIDEO-RANGE=SDR,URI=\"720p/iframes.m3u8\"\n";
    assert!(text.ends_with(line), "{text}");
}

#[test]
fn a_growing_list_of_pictures_ends_where_the_segments_do() {
    let track = with_keys(video(
        "720p",
        (1280, 720),
        "i",
        0,
        &[(120, 9000), (120, 9000)],
    ));
    let rendition = Rendition::join(vec![&track]).unwrap();
    let open = Ending::Open {
        target_s: 6,
        listed_ns: 4_004_000_000,
    };
    let text = iframes(&rendition, open).unwrap();
    assert_eq!(text.matches("#EXTINF").count(), 2, "{text}");
    assert!(
        text.contains("TYPE:EVENT\n") && !text.contains("ENDLIST"),
        "{text}"
    );
}

#[test]
fn a_rendition_with_a_segment_of_unknown_pictures_has_no_such_playlist() {
    let known = with_keys(video("720p", (1280, 720), "i", 0, &[(120, 9000)]));
    let unknown = video("720p", (1280, 720), "i", 1, &[(120, 9000)]);
    let rendition = Rendition::join(vec![&known, &unknown]).unwrap();
    assert_eq!(iframes(&rendition, Ending::Complete), None);
    let text = multivariant(&[rendition], &[]).unwrap();
    assert!(!text.contains("I-FRAME"), "{text}");
}

#[test]
fn sound_tracks_have_names_of_their_own_and_the_first_is_the_default() {
    let picture = video("360p", (640, 360), "i", 0, &[(180, 600_600)]);
    let mut tracks = Vec::new();
    for (name, code) in [
        ("audio", "eng"),
        ("audio-2", "ger"),
        ("audio-3", "eng"),
        ("audio-4", "und"),
    ] {
        let mut track = audio(&[(281, 96_000)]);
        track.name = name.to_owned();
        let TrackKind::Audio { language, .. } = &mut track.kind else {
            unreachable!()
        };
        *language = Some(code.to_owned());
        tracks.push(track);
    }
    // A loud one counts towards the peak, the others do not add up.
    tracks[1].segments[0].object.size_bytes = 192_000;
    let sound: Vec<_> = tracks
        .iter()
        .map(|track| Rendition::join(vec![track]).unwrap())
        .collect();
    let text = multivariant(&[Rendition::join(vec![&picture]).unwrap()], &sound).unwrap();
    for line in [
        "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/media.m3u8\"",
        "NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-2/media.m3u8\"",
        "NAME=\"English (3)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"2\",URI=\"audio-3/media.m3u8\"",
        "NAME=\"Sound 4\",DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"2\",URI=\"audio-4/media.m3u8\"",
    ] {
        assert!(text.contains(line), "{line}\nin\n{text}");
    }
    let peak = bit_rate(600_600, 180 * 1001, 30000) + bit_rate(192_000, 281 * 1024, 48000);
    assert!(
        text.contains(&format!("BANDWIDTH={peak},AVERAGE-BANDWIDTH={peak},")),
        "{text}"
    );
}
