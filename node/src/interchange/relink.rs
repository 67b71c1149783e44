//! Pure: whether edit software takes a proxy for its original, rule by rule.
//!
//! Both sides are facts that the same probe found in the files themselves. What each program
//! insists on is from its maker's documents where there are some, and from what people report
//! where there are none; docs/proxies.md says which.

use protocol::clip::Clock;
use protocol::http::proxy::{Editor, Rule};
use protocol::manifest::Proxy;
use protocol::probe::{AudioTrack, Probe};

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub original: &'a Probe,
    pub original_name: &'a str,
    pub proxy: &'a Proxy,
    pub proxy_name: &'a str,
}

/// One program: what it insists on, and how a proxy is attached there.
struct Program {
    name: &'static str,
    insists: &'static [&'static str],
    how: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "Premiere Pro",
        insists: &["audio", "pictures"],
        how: "Select the clip, Proxy > Attach Proxies, and choose this file.",
    },
    Program {
        name: "DaVinci Resolve",
        insists: &["timecode", "frame_rate", "duration", "audio", "pictures"],
        how: "Put it into a folder called Proxy beside the original, or select the clip and choose Link Proxy Media.",
    },
    Program {
        name: "Avid Media Composer",
        insists: &["timecode", "reel", "frame_rate", "duration", "pictures"],
        how: "Link to the file, then relink the sequence by tape name and timecode, or by file name.",
    },
    Program {
        name: "Final Cut Pro",
        insists: &["name", "frame_rate", "duration", "audio", "pictures"],
        how: "Select the clip, File > Relink Files > Proxy Media, and choose this file.",
    },
];

/// Every rule, in the order of the API's description.
pub fn rules(pair: &Pair<'_>) -> Vec<Rule> {
    let (original, proxy) = (pair.original, &pair.proxy.facts);
    vec![
        name(pair),
        timecode(original, proxy),
        duration(original, proxy),
        frame_rate(original, proxy),
        audio(&original.audio, &proxy.audio),
        reel(original, proxy),
        equal(
            "field_order",
            &original.video.field_order,
            &proxy.video.field_order,
            "Fields are shown in the wrong order, so that what moves flickers.",
        ),
        size(original, proxy),
        pixel_aspect(original, proxy),
        colour(original, proxy),
        pictures(pair.proxy),
    ]
}

/// What each program will do with a proxy of which `rules` hold.
pub fn editors(rules: &[Rule]) -> Vec<Editor> {
    let broken = |insisted: bool, program: &Program| -> Vec<String> {
        let broken = rules.iter().filter(|rule| !rule.holds);
        let wanted =
            broken.filter(|rule| program.insists.contains(&rule.rule.as_str()) == insisted);
        wanted.map(|rule| rule.rule.clone()).collect()
    };
    let editor = |program: &Program| {
        let blocked_by = broken(true, program);
        Editor {
            editor: program.name.to_owned(),
            relinks: blocked_by.is_empty(),
            blocked_by,
            warnings: broken(false, program),
            how: program.how.to_owned(),
        }
    };
    PROGRAMS.iter().map(editor).collect()
}

fn rule(name: &str, holds: bool, original: String, proxy: String, note: &str) -> Rule {
    Rule {
        rule: name.to_owned(),
        holds,
        original,
        proxy,
        note: if holds {
            String::new()
        } else {
            note.to_owned()
        },
    }
}

fn equal<T: PartialEq + ToString>(name: &str, original: &T, proxy: &T, note: &str) -> Rule {
    let holds = original == proxy;
    rule(name, holds, original.to_string(), proxy.to_string(), note)
}

fn name(pair: &Pair<'_>) -> Rule {
    let stem = |name: &str| {
        let stem = name.rsplit_once('.');
        stem.map_or(name, |(stem, _)| stem).to_owned()
    };
    rule(
        "name",
        stem(pair.original_name) == stem(pair.proxy_name),
        pair.original_name.to_owned(),
        pair.proxy_name.to_owned(),
        "It is not found by its name; choose it by hand.",
    )
}

/// Without one both count from zero.
fn timecode(original: &Probe, proxy: &Probe) -> Rule {
    let told = |probe: &Probe| match (&probe.timecode, Clock::of(probe)) {
        (Some(_), Some(clock)) => clock.start().to_string(),
        (None, Some(clock)) => format!("none, counted from {}", clock.start()),
        (_, None) => "none".to_owned(),
    };
    let start = |probe: &Probe| Clock::of(probe).map(|clock| clock.start());
    rule(
        "timecode",
        start(original) == start(proxy),
        told(original),
        told(proxy),
        "Cuts made on the proxy land on other pictures of the original.",
    )
}

/// A variable rate is counted as the proxy counts.
fn duration(original: &Probe, proxy: &Probe) -> Rule {
    let frames = |probe: &Probe| {
        let video = &probe.video;
        if video.variable_frame_rate {
            let rate = proxy.video.frame_rate;
            rate.ns_to_frame(video.duration_ns).max(1)
        } else {
            video.frames
        }
    };
    let told = |probe: &Probe| format!("{} frames", frames(probe));
    rule(
        "duration",
        frames(original) == frames(proxy),
        told(original),
        told(proxy),
        "The proxy is longer or shorter than the original, so its end cannot be trusted.",
    )
}

fn frame_rate(original: &Probe, proxy: &Probe) -> Rule {
    let told = |probe: &Probe| {
        let rate = probe.video.frame_rate;
        if probe.video.variable_frame_rate {
            format!("about {rate}, variable")
        } else {
            rate.to_string()
        }
    };
    let holds = original.video.frame_rate == proxy.video.frame_rate
        && original.video.variable_frame_rate == proxy.video.variable_frame_rate;
    let note = if original.video.variable_frame_rate {
        "The original's rate varies and the proxy's does not: edit software makes the original even by itself, and may be a picture off here and there."
    } else {
        "Cuts made on the proxy drift away from the original."
    };
    rule("frame_rate", holds, told(original), told(proxy), note)
}

fn audio(original: &[AudioTrack], proxy: &[AudioTrack]) -> Rule {
    let told = |tracks: &[AudioTrack]| -> String {
        let track = |track: &AudioTrack| {
            let label = track.label.as_ref();
            let label = label.map_or_else(String::new, |label| format!(" {label:?}"));
            format!("{} ch{label}", track.channels)
        };
        let tracks: Vec<String> = tracks.iter().map(track).collect();
        if tracks.is_empty() {
            "none".to_owned()
        } else {
            tracks.join(", ")
        }
    };
    let channels = |tracks: &[AudioTrack]| -> Vec<(u16, Option<String>)> {
        let track = |track: &AudioTrack| (track.channels, track.label.clone());
        tracks.iter().map(track).collect()
    };
    rule(
        "audio",
        channels(original) == channels(proxy),
        told(original),
        told(proxy),
        "Tracks or channels differ, so sound cannot be matched.",
    )
}

fn reel(original: &Probe, proxy: &Probe) -> Rule {
    let told = |reel: &Option<String>| reel.clone().unwrap_or_else(|| "none".to_owned());
    rule(
        "reel",
        original.reel == proxy.reel,
        told(&original.reel),
        told(&proxy.reel),
        "It is not found by its reel.",
    )
}

fn size(original: &Probe, proxy: &Probe) -> Rule {
    let (whole, part) = (original.video.coded, proxy.video.coded);
    let holds = part.width > 0
        && part.height > 0
        && whole.width.is_multiple_of(part.width)
        && whole.height.is_multiple_of(part.height)
        && whole.width / part.width == whole.height / part.height;
    rule(
        "size",
        holds,
        whole.to_string(),
        part.to_string(),
        "No whole number divides the original's size into this one; effects with positions may be a fraction of a pixel off.",
    )
}

fn pixel_aspect(original: &Probe, proxy: &Probe) -> Rule {
    let told = |probe: &Probe| {
        let (num, den) = probe.video.pixel_aspect;
        format!("{num}:{den}")
    };
    let (a, b) = original.video.pixel_aspect;
    let (c, d) = proxy.video.pixel_aspect;
    let turned = original.video.rotation == proxy.video.rotation;
    let same = u64::from(a) * u64::from(d) == u64::from(b) * u64::from(c);
    rule(
        "pixel_aspect",
        same && turned,
        format!("{}, turned by {}", told(original), original.video.rotation),
        format!("{}, turned by {}", told(proxy), proxy.video.rotation),
        "The picture has another shape or lies on another side.",
    )
}

/// What the original does not say, the proxy may.
fn colour(original: &Probe, proxy: &Probe) -> Rule {
    let (one, other) = (original.video.colour, proxy.video.colour);
    let told = |colour: protocol::probe::Colour| {
        format!("{}-{}-{}", colour.primaries, colour.transfer, colour.matrix)
    };
    let fits = |one: u16, other: u16| one == 0 || one == other;
    // BT.709, BT.601 and both of BT.2020 name one and the same curve (ITU-T H.273, table 3).
    let curve = |number: u16| match number {
        6 | 14 | 15 => 1,
        other => other,
    };
    rule(
        "colour",
        fits(one.primaries, other.primaries)
            && fits(curve(one.transfer), curve(other.transfer))
            && fits(one.matrix, other.matrix),
        told(one),
        told(other),
        "Colours look different from the original's.",
    )
}

fn pictures(proxy: &Proxy) -> Rule {
    rule(
        "pictures",
        proxy.alike == proxy.decoded && proxy.decoded > 0,
        format!("{} decoded", proxy.decoded),
        format!("{} alike", proxy.alike),
        "Pictures of the proxy cannot be decoded, or show something else.",
    )
}

#[cfg(test)]
mod tests {
    use protocol::id::BlobHash;
    use protocol::manifest::Object;

    use protocol::media::{FrameRate, Resolution};
    use protocol::probe::VideoTrack;

    use super::*;

    fn source() -> Probe {
        let size = Resolution {
            width: 1920,
            height: 1080,
        };
        Probe {
            container: "mxf".to_owned(),
            web: protocol::probe::Web::default(),
            video: VideoTrack {
                codec: "h264".to_owned(),
                coded: size,
                display: size,
                pixel_aspect: (1, 1),
                rotation: 0,
                frame_rate: FrameRate::new(30_000, 1001).unwrap(),
                variable_frame_rate: false,
                frames: 100,
                duration_ns: 3_336_666_667,
                bit_depth: 8,
                chroma: "4:2:0".to_owned(),
                field_order: "progressive".to_owned(),
                colorimetry: "bt709".to_owned(),
                colour: protocol::probe::Colour {
                    primaries: 1,
                    transfer: 1,
                    matrix: 1,
                    full_range: false,
                },
                hdr: false,
                random_access: true,
            },
            audio: vec![AudioTrack {
                codec: "pcm".to_owned(),
                channels: 2,
                sample_rate: 48_000,
                language: None,
                duration_ns: 3_336_666_667,
                label: Some("Boom".to_owned()),
                layout: "stereo".to_owned(),
                sample_bits: 24,
            }],
            timecode: None,
            reel: None,
            remarks: Vec::new(),
        }
    }

    fn proxy(facts: Probe) -> Proxy {
        Proxy {
            object: Object {
                name: "proxy.mov".to_owned(),
                size_bytes: 1,
                blake3: BlobHash::of(b""),
            },
            decoded: facts.video.frames,
            alike: facts.video.frames,
            facts,
            frame_map: None,
        }
    }

    /// Which rules break, and which programs do not relink, once `change` was made to the proxy.
    fn check(change: impl Fn(&mut Proxy), rules_broken: &[&str], refusing: &[&str]) {
        let original = source();
        let mut made = proxy(original.clone());
        made.facts.video.coded.width /= 2;
        made.facts.video.coded.height /= 2;
        change(&mut made);
        let rules = rules(&Pair {
            original: &original,
            original_name: "A001_C002 ü.mxf",
            proxy: &made,
            proxy_name: "A001_C002 ü.mov",
        });
        let broken: Vec<&str> = (rules.iter().filter(|rule| !rule.holds))
            .map(|rule| rule.rule.as_str())
            .collect();
        assert_eq!(broken, rules_broken);
        assert!(rules.iter().all(|rule| rule.holds == rule.note.is_empty()));
        let editors = editors(&rules);
        let refused: Vec<&str> = (editors.iter().filter(|editor| !editor.relinks))
            .map(|editor| editor.editor.as_str())
            .collect();
        assert_eq!(refused, refusing);
    }

    #[test]
    fn two_numbers_of_one_curve_are_no_other_colour() {
        check(|made| made.facts.video.colour.transfer = 6, &[], &[]);
        check(
            |made| made.facts.video.colour.transfer = 16,
            &["colour"],
            &[],
        );
    }

    #[test]
    fn each_broken_rule_stops_those_who_insist_on_it() {
        let all = [
            "Premiere Pro",
            "DaVinci Resolve",
            "Avid Media Composer",
            "Final Cut Pro",
        ];
        check(|_| (), &[], &[]);
        check(
            |proxy| proxy.facts.audio.clear(),
            &["audio"],
            &["Premiere Pro", "DaVinci Resolve", "Final Cut Pro"],
        );
        check(
            |proxy| proxy.facts.reel = Some("A001".to_owned()),
            &["reel"],
            &["Avid Media Composer"],
        );
        check(
            |proxy| proxy.facts.video.frames -= 1,
            &["duration"],
            &["DaVinci Resolve", "Avid Media Composer", "Final Cut Pro"],
        );
        check(|proxy| proxy.facts.video.coded.width += 1, &["size"], &[]);
        check(
            |proxy| proxy.facts.video.rotation = 90,
            &["pixel_aspect"],
            &[],
        );
        check(
            |proxy| proxy.facts.video.field_order = "tff".to_owned(),
            &["field_order"],
            &[],
        );
        check(|proxy| proxy.alike -= 1, &["pictures"], &all);
    }
}
