//! Every format at every frame rate, beside files that were read by eye and by edit software.
//!
//! A change of the golden files is made with `REELMESH_BLESS=1` and looked at like any other.

#![allow(
    clippy::disallowed_methods,
    reason = "golden files are read, and written when asked for"
)]

use std::fmt::Write as _;

use proptest::prelude::*;
use protocol::media::FrameRate;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/interchange/golden");

/// What cameras and editors use, and how it counts.
const RATES: [(&str, u32, u32, bool); 10] = [
    ("23.976", 24000, 1001, false),
    ("24", 24, 1, false),
    ("25", 25, 1, false),
    ("29.97 NDF", 30000, 1001, false),
    ("29.97 DF", 30000, 1001, true),
    ("30", 30, 1, false),
    ("50", 50, 1, false),
    ("59.94 NDF", 60000, 1001, false),
    ("59.94 DF", 60000, 1001, true),
    ("60", 60, 1, false),
];

fn subclip(name: &str, start: u64, end: u64) -> Subclip {
    Subclip {
        name: name.to_owned(),
        frames: FrameRange { start, end },
    }
}

fn marker(text: &str, start: u64, end: u64, colour: Colour) -> Marker {
    Marker {
        frames: FrameRange { start, end },
        colour,
        text: text.to_owned(),
        author: "Ruth".to_owned(),
        resolved: colour == Colour::Cyan,
    }
}

/// Starts two seconds before midnight; the second subclip runs over it, the third over a minute.
fn source(num: u32, den: u32, drop_frame: bool) -> Source {
    let mark = if drop_frame { ';' } else { ':' };
    let rate = FrameRate::new(num, den).unwrap();
    let clock = Clock::starting(rate, &format!("23:59:58{mark}00")).unwrap();
    let second = u64::from(clock.start().counting().per_second());
    Source {
        filename: "A001 \"C003\" & <漢>.mov".to_owned(),
        clock,
        frames: 1000 * second,
        size: Resolution {
            width: 1920,
            height: 1080,
        },
        audio: vec![1, 1],
        sample_rate: 48000,
        clips: vec![
            subclip("first", 0, second),
            subclip("a & b <\"c\"> 'd'\nlong 名", second, 3 * second + 1),
            subclip("=SUM(1,2)", 61 * second, 63 * second),
        ],
        markers: vec![
            marker("too \"dark\" & <here>\nJan: brighter", 0, 1, Colour::Red),
            marker("over midnight", 2 * second, 4 * second, Colour::Cyan),
            // On none of the subclips.
            marker("=later", 70 * second, 70 * second + 1, Colour::Magenta),
        ],
    }
}

#[test]
fn every_format_at_every_rate_is_as_it_was() {
    let bless = std::env::var_os("REELMESH_BLESS").is_some();
    for format in Format::ALL {
        let mut text = String::new();
        for (name, num, den, drop_frame) in RATES {
            let document = write(format, "Reel & <1>", &[source(num, den, drop_frame)]).unwrap();
            writeln!(text, "=== {name}\n{document}").unwrap();
        }
        let path = format!("{GOLDEN}/{}.txt", format.as_str());
        if bless {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == golden, "{path} is written differently now:\n{text}");
    }
}

#[test]
fn xml_is_well_formed_and_keeps_every_name() {
    for (format, names) in [
        (Format::Fcpxml, "asset-clip"),
        (Format::Fcp7xml, "clipitem"),
    ] {
        for (_, num, den, drop_frame) in RATES {
            let text = write(format, "t", &[source(num, den, drop_frame)]).unwrap();
            let options = roxmltree::ParsingOptions {
                allow_dtd: true,
                ..roxmltree::ParsingOptions::default()
            };
            let document = roxmltree::Document::parse_with_options(&text, options).unwrap();
            let found: Vec<String> = document
                .descendants()
                .filter(|node| node.has_tag_name(names))
                .filter_map(|node| {
                    let child = node.children().find(|child| child.has_tag_name("name"));
                    let inner = child.and_then(|child| child.text());
                    node.attribute("name").or(inner).map(str::to_owned)
                })
                .collect();
            for name in ["first", "a & b <\"c\"> 'd' long 名", "=SUM(1,2)"] {
                assert!(found.iter().any(|found| found == name), "{name}: {found:?}");
            }
            let file = |node: roxmltree::Node<'_, '_>| {
                node.has_tag_name("asset") || node.has_tag_name("file")
            };
            assert!(text.contains("A001%20%22C003%22%20%26%20%3C%E6%BC%A2%3E.mov"));
            assert!(document.descendants().any(file));
        }
    }
}

/// Each picture of a subclip is where the source's own clock says.
#[test]
fn an_edl_gives_back_the_frames_that_went_in() {
    for (name, num, den, drop_frame) in RATES {
        let source = source(num, den, drop_frame);
        let text = write(Format::Edl, "t", std::slice::from_ref(&source)).unwrap();
        let fcm = if drop_frame {
            "DROP FRAME"
        } else {
            "NON-DROP FRAME"
        };
        assert!(text.contains(&format!("\r\nFCM: {fcm}\r\n")), "{name}");
        let lines = text.lines().filter(|line| line.starts_with("00"));
        let mut end = one_hour(&source.clock);
        for (line, clip) in lines.zip(&source.clips) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "A001__C0");
            assert_eq!(source.clock.frame_of(words[4]), Ok(clip.frames.start));
            assert_eq!(source.clock.frame_of(words[5]), Ok(clip.frames.end));
            assert_eq!(words[6], end.to_string());
            end = end.plus(clip.frames.len());
            assert_eq!(words[7], end.to_string(), "{name}");
        }
    }
}

#[test]
fn markers_stand_on_the_pictures_they_were_pinned_to() {
    for (name, num, den, drop_frame) in RATES {
        let source = source(num, den, drop_frame);
        let second = u64::from(source.clock.start().counting().per_second());
        let sources = std::slice::from_ref(&source);
        let edl = write(Format::Edl, "t", sources).unwrap();
        let begin = one_hour(&source.clock);
        let first = format!("* LOC: {begin} RED     too \"dark\" & <here> Jan: brighter\r\n");
        assert!(edl.contains(&first), "{name}: {edl}");
        let second_one = format!(
            "* LOC: {} CYAN    over midnight\r\n",
            begin.plus(2 * second)
        );
        assert!(edl.contains(&second_one), "{name}: {edl}");

        let otio = write(Format::Otio, "t", sources).unwrap();
        let value: serde_json::Value = serde_json::from_str(&otio).unwrap();
        let clip = &value["tracks"]["children"][0]["children"][1];
        let marked = &clip["markers"][0]["marked_range"];
        assert_eq!(
            marked["start_time"]["value"].as_u64().unwrap(),
            clip["source_range"]["start_time"]["value"]
                .as_u64()
                .unwrap()
                + second,
            "{name}"
        );
        assert_eq!(marked["duration"]["value"], 2 * second);

        let xml = write(Format::Fcp7xml, "t", sources).unwrap();
        // In the subclip from its own first frame, in the sequence from that of the file.
        for (begin, end) in [(second, 3 * second), (2 * second, 4 * second)] {
            let found = xml.lines().map(str::trim).collect::<String>();
            let points = format!("<in>{begin}</in><out>{end}</out></marker>");
            assert!(found.contains(&points), "{name}");
        }
    }
}

#[test]
fn a_video_with_markers_alone_is_taken_whole() {
    let mut source = source(25, 1, false);
    source.clips.clear();
    let text = write(Format::Edl, "t", std::slice::from_ref(&source)).unwrap();
    assert_eq!(text.matches("* LOC: ").count(), 3);
    assert_eq!(text.matches("* COMMENT: SUBCLIP ").count(), 1);
    let text = write(Format::Csv, "t", &[source]).unwrap();
    assert_eq!(text.lines().count(), 4, "no subclip that nobody made");
}

#[test]
fn a_spreadsheet_runs_nothing_and_reads_every_field() {
    let text = write(Format::Csv, "t", &[source(25, 1, false)]).unwrap();
    assert!(text.contains(",\"'=SUM(1,2)\","), "{text}");
    assert!(text.contains("\"A001 \"\"C003\"\" & <漢>.mov\""), "{text}");
    assert_eq!(text.matches("\r\n").count(), 7);
    assert!(
        text.contains(",marker,'=later,magenta,Ruth,no\r\n"),
        "{text}"
    );
}

#[test]
fn otio_counts_from_the_sources_own_timecode() {
    let text = write(Format::Otio, "t", &[source(30000, 1001, true)]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let clip = &value["tracks"]["children"][0]["children"][1];
    let start = &clip["source_range"]["start_time"];
    // 23:59:59;00 with drop-frame counting.
    assert_eq!(start["value"], 2_589_408 - 60 + 30);
    assert_eq!(start["rate"].to_string(), "29.97002997002997");
    assert_eq!(clip["metadata"]["reelmesh"]["out"], "00:00:01;01");
    assert_eq!(value["global_start_time"]["value"], 107_892);
}

#[test]
fn videos_of_equal_names_get_reels_of_their_own() {
    let (mut one, two) = (source(25, 1, false), source(25, 1, false));
    one.filename = "ABCDEFGHIJ.mov".to_owned();
    let mut three = two.clone();
    three.filename = "漢字.mov".to_owned();
    let sources = [one.clone(), one.clone(), one, two, three];
    let named = named(&sources);
    let reels: Vec<&str> = named.iter().map(|named| named.reel.as_str()).collect();
    assert_eq!(
        reels,
        ["ABCDEFGH", "ABCDEF_2", "ABCDEF_3", "A001__C0", "REEL"]
    );
}

#[test]
fn what_a_format_cannot_hold_is_refused_or_left_apart() {
    let sources = [source(25, 1, false), source(30000, 1001, true)];
    let error = write(Format::Edl, "t", &sources).unwrap_err();
    assert!(matches!(error, Error::Mixed { .. }));
    for format in [Format::Fcpxml, Format::Fcp7xml] {
        let text = write(format, "t", &sources).unwrap();
        assert!(!text.contains("<sequence"), "clips alone: {format:?}");
        let text = write(format, "t", &sources[..1]).unwrap();
        assert!(text.contains("<sequence"));
    }
    let mut nothing = source(25, 1, false);
    nothing.clips.clear();
    nothing.markers.clear();
    for format in Format::ALL {
        let empty = write(format, "t", std::slice::from_ref(&nothing));
        assert_eq!(empty, Err(Error::Empty));
    }
}

proptest! {
    #[test]
    fn no_name_breaks_a_document(name in "\\PC{0,40}|.{0,40}", filename in ".{0,40}") {
        let mut source = source(25, 1, false);
        source.filename = filename;
        source.clips[0].name = name;
        for format in Format::ALL {
            let text = write(format, "t", std::slice::from_ref(&source)).unwrap();
            match format {
                Format::Fcpxml | Format::Fcp7xml => {
                    let options = roxmltree::ParsingOptions {
                        allow_dtd: true,
                        ..roxmltree::ParsingOptions::default()
                    };
                    roxmltree::Document::parse_with_options(&text, options).unwrap();
                }
                Format::Otio => {
                    serde_json::from_str::<serde_json::Value>(&text).unwrap();
                }
                // Two markers are on subclips.
                Format::Edl => prop_assert_eq!(text.lines().count(), 2 + 3 * 5 + 2),
                Format::Csv => prop_assert_eq!(text.lines().count(), 4 + 3),
            }
        }
    }
}
