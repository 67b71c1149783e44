//! How long one page of the library takes: `list_bench [VIDEOS]...`, 100 000 and 1 000 000 if none are given.
//!
//! It fills a catalogue, then asks for pages of 50 from random places, for every order, with and
//! without a filter, a tag and a part of a name, and prints the 50th and 99th percentile in microseconds.
//! Then the same parts of names out of a catalogue whose names are words of many lengths.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::collections::BTreeSet;
use std::time::Instant;

use coordinator::catalog::Catalog;
use coordinator::catalog::labels::Labels;
use coordinator::catalog::query::{VideoCursor, VideoOrder, VideoQuery};
use coordinator::catalog::snapshot::Record;
use coordinator::catalog::video::{Status, Video};
use protocol::failure::{Failure, FailureClass};
use protocol::id::{BlobHash, GenerationId, NodeId, VideoId};
use protocol::media::{FrameRate, Resolution};
use protocol::probe::{AudioTrack, Probe, VideoTrack};
use protocol::time::Timestamp;

/// Pages asked for per line.
const PAGES: usize = 2000;
/// Of a text search.
const SEARCHES: usize = 500;
/// Parts of names as cameras and people make them: some that few names have, some that all have.
const OF_REELS: [&str; 5] = ["take-77", "TAKE-", "e", "12", ".mov"];
const OF_WORDS: [&str; 6] = [
    "wedding",
    "e",
    "in",
    "interview_0",
    "7.mov",
    "river harbour",
];

fn main() {
    let mut sizes: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes = vec![100_000, 1_000_000];
    }
    for videos in sizes {
        let start = Instant::now();
        let catalog = Catalog::from_records((0..videos).map(|n| Record::Video(video(n, reel(n)))));
        head(videos, start);
        for order in VideoOrder::ALL {
            for status in [None, Some(Status::Ready), Some(Status::Failed)] {
                let name = status.map_or("none", Status::as_str);
                let wanted = VideoQuery {
                    status,
                    ..VideoQuery::default()
                };
                report(&catalog, order, &wanted, name, PAGES);
            }
            narrow(&catalog, order);
            search(&catalog, order, &OF_REELS);
        }
        drop(catalog);

        let start = Instant::now();
        let catalog = Catalog::from_records((0..videos).map(|n| Record::Video(video(n, words(n)))));
        head(videos, start);
        for order in VideoOrder::ALL {
            search(&catalog, order, &OF_WORDS);
        }
    }
}

fn head(videos: u64, start: Instant) {
    let millis = start.elapsed().as_millis();
    println!("{videos} videos, loaded in {millis} ms; a page of 50, in microseconds:");
    println!("{:24} {:24} {:>8} {:>8}", "order", "filter", "p50", "p99");
}

/// By what videos have in common: every 20th has a tag, every third has another, all have a rate.
fn narrow(catalog: &Catalog, order: VideoOrder) {
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    let filters = [
        ("day 7", tags(&["day 7"]), None),
        (
            "day 7, b-roll, 25 fps",
            tags(&["day 7", "b-roll"]),
            FrameRate::new(25, 1),
        ),
        ("b-roll", tags(&["b-roll"]), None),
    ];
    for (name, tags, rate) in filters {
        let wanted = VideoQuery {
            tags,
            rate,
            ..VideoQuery::default()
        };
        report(catalog, order, &wanted, name, SEARCHES);
    }
}

fn search(catalog: &Catalog, order: VideoOrder, texts: &[&str]) {
    for text in texts {
        for status in [None, Some(Status::Ready), Some(Status::Failed)] {
            let name = status.map_or("", Status::as_str);
            let filter = format!("\"{text}\" {name}");
            let wanted = VideoQuery {
                status,
                text: Some((*text).to_owned()),
                ..VideoQuery::default()
            };
            report(catalog, order, &wanted, &filter, SEARCHES);
        }
    }
}

fn report(catalog: &Catalog, order: VideoOrder, wanted: &VideoQuery, filter: &str, rounds: usize) {
    let all: Vec<_> = catalog.videos().collect();
    let mut random = 7_u64;
    let mut times: Vec<u128> = (0..rounds)
        .map(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(random >> 33).unwrap_or(0) % all.len();
            let from = all[place];
            let key = match order {
                VideoOrder::CreatedAt | VideoOrder::CreatedAtDescending => {
                    from.created_at.as_millis().to_string()
                }
                VideoOrder::Filename | VideoOrder::FilenameDescending => {
                    from.filename.to_lowercase()
                }
                VideoOrder::Length | VideoOrder::LengthDescending => {
                    let probe = from.probe.as_deref();
                    (probe.map_or(0, |probe| probe.video.duration_ns / 1_000_000)).to_string()
                }
            };
            let query = VideoQuery {
                order,
                after: Some(VideoCursor { key, id: from.id }),
                limit: 50,
                ..wanted.clone()
            };
            let start = Instant::now();
            let page = catalog.page_of_videos(&query);
            let micros = start.elapsed().as_micros();
            std::hint::black_box(page);
            micros
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let order = format!("{order:?}");
    println!("{order:24} {filter:24} {:8} {:8}", at(50), at(99));
}

/// A library as it might be: most are ready, one in a hundred failed.
fn video(number: u64, filename: String) -> Video {
    let at = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap_or(0) * 1000);
    let scattered = scattered(number);
    let status = match scattered % 100 {
        0 => Status::Failed,
        1..=4 => Status::Uploading,
        5..=9 => Status::Rendering,
        _ => Status::Ready,
    };
    let generation = GenerationId::derived(at, number, 1);
    let failure = || {
        Failure::new(
            FailureClass::Input,
            "not_a_video",
            "The file is not a video.",
            "",
        )
    };
    let complete = status != Status::Uploading;
    Video {
        id: VideoId::derived(at, number, 0),
        filename,
        size_bytes: 4_000_000_000,
        created_at: at,
        upload: None,
        blob: complete.then(|| BlobHash::of(&number.to_be_bytes())),
        copies: if complete {
            vec![NodeId(1)]
        } else {
            Vec::new()
        },
        probe: complete.then(|| Box::new(probe())),
        published: (status == Status::Ready).then_some(generation),
        building: (status == Status::Rendering).then_some(generation),
        failure: (status == Status::Failed).then(failure),
        status,
        labels: Labels {
            tags: [format!("Day {}", number % 20)]
                .into_iter()
                .chain(number.is_multiple_of(3).then(|| "B-roll".to_owned()))
                .collect(),
            bins: BTreeSet::new(),
        },
    }
}

/// A name as a slate makes it.
fn reel(number: u64) -> String {
    let scattered = scattered(number);
    format!("Scene {:04}-Take-{}.mov", scattered >> 50, scattered % 1000)
}

/// A name as people make it: two to five words and a number.
fn words(number: u64) -> String {
    const WORDS: [&str; 32] = [
        "Wedding",
        "interview",
        "B-Roll",
        "final",
        "River",
        "harbour",
        "drone",
        "Mountain",
        "kitchen",
        "opening",
        "goal",
        "Städtetour",
        "crowd",
        "night",
        "rain",
        "Train",
        "station",
        "market",
        "children",
        "beach",
        "sunset",
        "speech",
        "audience",
        "piano",
        "factory",
        "welding",
        "robot",
        "forest",
        "snow",
        "Müller",
        "garden",
        "éclair",
    ];
    let mut scattered = scattered(number) >> 20;
    let mut name = String::new();
    for _ in 0..2 + scattered % 4 {
        scattered /= 4;
        name.push_str(WORDS[usize::try_from(scattered % 32).unwrap_or(0)]);
        name.push([' ', '_'][usize::from(scattered.is_multiple_of(3))]);
        scattered /= 32;
    }
    let extension = if number.is_multiple_of(5) {
        "mp4"
    } else {
        "mov"
    };
    format!("{name}{:04}.{extension}", number % 10_000)
}

fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn probe() -> Probe {
    let size = Resolution {
        width: 1920,
        height: 1080,
    };
    Probe {
        container: "mov".to_owned(),
        web: protocol::probe::Web::default(),
        video: VideoTrack {
            codec: "prores".to_owned(),
            coded: size,
            display: size,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: FrameRate::new(25, 1).expect("not zero"),
            variable_frame_rate: false,
            frames: 15_000,
            duration_ns: 600_000_000_000,
            bit_depth: 10,
            chroma: "4:2:2".to_owned(),
            field_order: "progressive".to_owned(),
            colorimetry: "bt709".to_owned(),
            colour: protocol::probe::Colour::default(),
            hdr: false,
            random_access: true,
        },
        audio: vec![AudioTrack {
            codec: "pcm".to_owned(),
            channels: 2,
            sample_rate: 48_000,
            language: None,
            duration_ns: 600_000_000_000,
            label: None,
            layout: "stereo".to_owned(),
            sample_bits: 0,
        }],
        timecode: None,
        reel: None,
        remarks: Vec::new(),
    }
}
