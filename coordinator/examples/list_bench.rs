//! How long one page of the library takes: `list_bench [VIDEOS]...`, 100 000 and 1 000 000 if none are given.
//!
//! It fills a catalogue, then asks for pages of 50 from random places, for every order, with and
//! without a filter, and prints the 50th and 99th percentile in microseconds.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::Instant;

use coordinator::catalog::Catalog;
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
/// Of a text search, which looks at every name.
const SEARCHES: usize = 200;

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
        let catalog = Catalog::from_records((0..videos).map(|n| Record::Video(video(n))));
        let seconds = start.elapsed().as_secs();
        println!("{videos} videos, loaded in {seconds} s; a page of 50, in microseconds:");
        println!("{:24} {:12} {:>8} {:>8}", "order", "filter", "p50", "p99");
        for order in VideoOrder::ALL {
            for status in [None, Some(Status::Ready), Some(Status::Failed)] {
                let name = status.map_or("none", Status::as_str);
                report(&catalog, order, status, None, name, PAGES);
            }
            report(&catalog, order, None, Some("take-77"), "text", SEARCHES);
        }
    }
}

fn report(
    catalog: &Catalog,
    order: VideoOrder,
    status: Option<Status>,
    text: Option<&str>,
    filter: &str,
    rounds: usize,
) {
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
            };
            let query = VideoQuery {
                status,
                text: text.map(str::to_owned),
                order,
                after: Some(VideoCursor { key, id: from.id }),
                limit: 50,
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
    println!("{order:24} {filter:12} {:8} {:8}", at(50), at(99));
}

/// A library as it might be: most are ready, one in a hundred failed.
fn video(number: u64) -> Video {
    let at = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap_or(0) * 1000);
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
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
        filename: format!("Scene {:04}-Take-{}.mov", scattered >> 50, scattered % 1000),
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
    }
}

fn probe() -> Probe {
    let size = Resolution {
        width: 1920,
        height: 1080,
    };
    Probe {
        container: "mov".to_owned(),
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
            hdr: false,
            random_access: true,
        },
        audio: vec![AudioTrack {
            codec: "pcm".to_owned(),
            channels: 2,
            sample_rate: 48_000,
            language: None,
            duration_ns: 600_000_000_000,
        }],
        timecode: None,
        remarks: Vec::new(),
    }
}
