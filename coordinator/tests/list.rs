//! Lists: every item once and in order, whatever comes and goes between two pages.

mod world;

use std::collections::BTreeSet;

use coordinator::catalog::command::{Command, JobResult};
use coordinator::catalog::job::Phase;
use coordinator::catalog::labels::{LABELLED_MAX, TAGS_PER_VIDEO_MAX};
use coordinator::catalog::query::{JobQuery, VideoCursor, VideoOrder, VideoQuery};
use coordinator::catalog::review::ReviewCommand;
use coordinator::catalog::video::{Status, Video};
use proptest::prelude::*;
use protocol::id::{NodeId, VideoId};
use protocol::media::FrameRate;
use world::{World, at_ms, bin_id, node, probe, upload_id, video_id};

const NAMES: [&str; 6] = [
    "b.mp4",
    "A.mov",
    "a.mov",
    "Ärger.mkv",
    "ärger 2.mkv",
    "zz.mp4",
];

fn add(world: &mut World, number: u64, name: &str, at: i64) {
    let open = Command::OpenUpload {
        upload: upload_id(number),
        video: video_id(number),
        filename: name.to_owned(),
        size_bytes: 1,
        node: NodeId(1),
    };
    world.apply(at_ms(at), open).reply.expect("new");
}

fn complete(world: &mut World, number: u64) {
    let complete = Command::CompleteUpload {
        upload: upload_id(number),
        blob: world::blob(number),
        node: NodeId(1),
    };
    world.apply(at_ms(0), complete).reply.expect("open");
}

/// What the probe of a video found: some run alike, some are as long as others.
fn probed(world: &mut World, number: u64) {
    let job = world.catalog.jobs_of_video(video_id(number)).next();
    let job = job.expect("a probe waits").id;
    let assign = Command::AssignJob {
        job,
        node: NodeId(1),
        lease_until: at_ms(15_000),
    };
    world.apply(at_ms(0), assign).reply.expect("it waits");
    let mut found = probe(1280, 720, 50 + number % 4, false);
    if number.is_multiple_of(4) {
        found.video.frame_rate = FrameRate::new(30000, 1001).expect("not zero");
    }
    let finish = Command::FinishJob {
        job,
        epoch: 1,
        node: NodeId(1),
        result: JobResult::Probe(Box::new(found)),
    };
    world.apply(at_ms(0), finish).reply.expect("it runs");
}

/// Tags and bins for some of them: `Day` and `night` in different hands' spelling, two bins.
fn file(world: &mut World, number: u64) {
    let tags = [&["Day"][..], &["NIGHT", "day"], &[], &["night"]]
        [usize::try_from(number % 4).expect("small")];
    let command = ReviewCommand::Label {
        videos: vec![video_id(number), video_id(999)],
        add_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        remove_tags: Vec::new(),
        add_bins: vec![bin_id(number % 2)],
        remove_bins: Vec::new(),
    };
    world
        .apply(at_ms(0), Command::Review(command))
        .reply
        .expect("sound labels");
}

fn bins(world: &mut World) {
    for number in 0..2 {
        let create = ReviewCommand::CreateBin {
            bin: bin_id(number),
            name: format!("Bin {number}"),
        };
        world
            .apply(at_ms(0), Command::Review(create))
            .reply
            .expect("new");
    }
}

/// Renames and deletes some of them, whether they are there or not.
fn change(world: &mut World, changes: &[(u64, Option<usize>)]) {
    for &(number, name) in changes {
        let video = video_id(number);
        let command = match name {
            Some(name) => Command::RenameVideo {
                video,
                filename: NAMES[name].to_owned(),
            },
            None => Command::DeleteVideo { video },
        };
        world.apply(at_ms(100), command);
    }
}

/// A library of `names` (by position), every third of them complete.
fn library(names: &[usize]) -> World {
    let mut world = World::default();
    let machine = node(1);
    world.apply(
        at_ms(0),
        Command::AnnounceNode {
            node: Box::new(machine),
        },
    );
    bins(&mut world);
    for (number, name) in (0..).zip(names) {
        // Two share a millisecond.
        add(
            &mut world,
            number,
            NAMES[*name],
            i64::try_from(number / 2).expect("small"),
        );
        if number % 3 == 0 {
            complete(&mut world, number);
        }
        if number % 6 == 0 {
            probed(&mut world, number);
        }
        if number % 5 < 3 {
            file(&mut world, number);
        }
    }
    world
}

fn walk(
    world: &mut World,
    query: &VideoQuery,
    mut between: impl FnMut(&mut World),
) -> Vec<VideoId> {
    let mut query = query.clone();
    let mut ids = Vec::new();
    loop {
        let page = world.catalog.page_of_videos(&query);
        ids.extend(page.items.iter().map(|video| video.id));
        let Some(next) = page.next else {
            return ids;
        };
        assert_eq!(page.items.len(), query.limit, "only the last page is short");
        query.after = Some(next);
        between(world);
    }
}

/// What a page should hold, the slow way.
fn expected(world: &World, query: &VideoQuery) -> Vec<VideoId> {
    let text = query.text.clone().unwrap_or_default().to_lowercase();
    let mut videos: Vec<_> = (world.catalog.videos())
        .filter(|video| query.status.is_none_or(|status| video.status == status))
        .filter(|video| video.filename.to_lowercase().contains(&text))
        .filter(|video| fits(video, query))
        .collect();
    match query.order {
        VideoOrder::CreatedAt | VideoOrder::CreatedAtDescending => {
            videos.sort_by_key(|video| (video.created_at, video.id));
        }
        VideoOrder::Filename | VideoOrder::FilenameDescending => {
            videos.sort_by_key(|video| (video.filename.to_lowercase(), video.id));
        }
        VideoOrder::Length | VideoOrder::LengthDescending => {
            let length = |video: &Video| (video.probe.as_ref()).map_or(0, |p| p.video.duration_ns);
            videos.sort_by_key(|video| (length(video), video.id));
        }
    }
    if matches!(
        query.order,
        VideoOrder::CreatedAtDescending
            | VideoOrder::FilenameDescending
            | VideoOrder::LengthDescending
    ) {
        videos.reverse();
    }
    videos.into_iter().map(|video| video.id).collect()
}

/// The filters beside state and name.
fn fits(video: &Video, query: &VideoQuery) -> bool {
    let rate = video.probe.as_ref().map(|probe| probe.video.frame_rate);
    let has =
        |tag: &String| (video.labels.tags.iter()).any(|t| t.to_lowercase() == tag.to_lowercase());
    query.tags.iter().all(has)
        && query.bin.is_none_or(|bin| video.labels.bins.contains(&bin))
        && query.rate.is_none_or(|wanted| rate == Some(wanted))
        && query.from.is_none_or(|from| video.created_at >= from)
        && query.to.is_none_or(|to| video.created_at < to)
        && (query.site.as_ref()).is_none_or(|site| site == "here" && !video.copies.is_empty())
}

fn filters() -> impl Strategy<Value = VideoQuery> {
    let tags = proptest::sample::subsequence(vec!["day".to_owned(), "NIGHT".to_owned()], 0..=2);
    let bin = proptest::option::of((0_u64..3).prop_map(bin_id));
    let rate = proptest::option::of(proptest::sample::select(vec![
        FrameRate::new(25, 1).expect("not zero"),
        FrameRate::new(30000, 1001).expect("not zero"),
    ]));
    let time = || proptest::option::of((0_i64..20).prop_map(at_ms));
    let site = proptest::option::of(proptest::sample::select(vec![
        "here".to_owned(),
        "there".to_owned(),
    ]));
    (tags, bin, rate, site, time(), time()).prop_map(|(tags, bin, rate, site, from, to)| {
        VideoQuery {
            tags,
            bin,
            rate,
            site,
            from,
            to,
            ..VideoQuery::default()
        }
    })
}

fn queries() -> impl Strategy<Value = VideoQuery> {
    let status = proptest::option::of(proptest::sample::select(vec![
        Status::Uploading,
        Status::Probing,
        Status::Ready,
    ]));
    let text = proptest::option::of(proptest::sample::select(vec![
        "",
        "ÄRGER",
        "rGeR 2.",
        ".m",
        "a",
        "x",
        "ger.mkv and more",
    ]));
    let order = proptest::sample::select(VideoOrder::ALL.to_vec());
    // Half of them with filters beside state and name.
    let filters = proptest::option::of(filters());
    (status, text, order, 1_usize..7, filters).prop_map(|(status, text, order, limit, filters)| {
        VideoQuery {
            status,
            text: text.map(str::to_owned),
            order,
            after: None,
            limit,
            ..filters.unwrap_or_default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_are_the_list_cut_up(
        names in proptest::collection::vec(0..NAMES.len(), 0..40),
        changes in proptest::collection::vec((0_u64..40, proptest::option::of(0..NAMES.len())), 0..30),
        query in queries(),
    ) {
        let mut world = library(&names);
        change(&mut world, &changes);
        world.assert_sound();
        let wanted = expected(&world, &query);
        let total = world.catalog.page_of_videos(&query).total;
        prop_assert_eq!(total, wanted.len() as u64);
        prop_assert_eq!(walk(&mut world, &query, |_| ()), wanted);
    }

    #[test]
    fn nothing_is_shown_twice_or_hidden_while_videos_come_and_go(
        names in proptest::collection::vec(0..NAMES.len(), 1..40),
        query in queries(),
    ) {
        let mut world = library(&names);
        let before = expected(&world, &query);
        let mut number = 1000;
        let seen = walk(&mut world, &query, |world| {
            // Bounded: in the order of creation each addition would bring another page.
            if number == 1020 {
                return;
            }
            add(world, number, NAMES[usize::try_from(number).unwrap() % NAMES.len()], 0);
            let gone = Command::DeleteVideo { video: video_id(number - 1000) };
            world.apply(at_ms(0), gone);
            number += 1;
        });
        let once: BTreeSet<_> = seen.iter().copied().collect();
        prop_assert_eq!(once.len(), seen.len(), "twice");
        for id in before {
            let still_there = world.catalog.video(id).is_some();
            prop_assert!(!still_there || once.contains(&id), "hidden");
        }
    }
}

#[test]
fn a_foreign_cursor_does_no_harm() {
    let world = library(&[0, 1, 2]);
    for order in VideoOrder::ALL {
        let query = VideoQuery {
            order,
            after: Some(VideoCursor {
                key: "no number \u{0}".to_owned(),
                id: video_id(77),
            }),
            limit: 0,
            ..VideoQuery::default()
        };
        let page = world.catalog.page_of_videos(&query);
        assert!(page.items.len() <= 1 && page.total == 3);
    }
}

#[test]
fn tags_have_one_spelling_and_bins_and_facets_are_counted() {
    let mut world = library(&[0; 12]);
    world.assert_sound();
    assert_eq!(world.catalog.tags(), [("Day", 3), ("NIGHT", 4)]);
    assert_eq!(world.catalog.count_in_bin(bin_id(0)), 4);
    assert_eq!(world.catalog.sites(), [("here", 4)]);
    let rates: Vec<_> = world
        .catalog
        .rates()
        .map(|(rate, n)| (rate.to_string(), n))
        .collect();
    assert_eq!(rates, [("25".to_owned(), 1), ("30000/1001".to_owned(), 1)]);

    let mut review = |command| world.apply(at_ms(0), Command::Review(command)).reply;
    let label = |videos: u64, tags: usize, bin: Option<u64>| ReviewCommand::Label {
        videos: (0..videos).map(video_id).collect(),
        add_tags: (0..tags).map(|number| format!("tag {number}")).collect(),
        remove_tags: vec!["DAY".to_owned()],
        add_bins: bin.map(bin_id).into_iter().collect(),
        remove_bins: vec![bin_id(0)],
    };
    assert!(review(label(u64::try_from(LABELLED_MAX).unwrap() + 1, 0, None)).is_err());
    assert!(review(label(2, TAGS_PER_VIDEO_MAX + 1, None)).is_err());
    assert!(review(label(2, 1, Some(7))).is_err(), "no such bin");
    let named = |bin, name: &str| ReviewCommand::RenameBin {
        bin: bin_id(bin),
        name: name.to_owned(),
    };
    assert!(review(named(0, "bIN 1")).is_err(), "the name of another");
    assert!(review(named(0, "BIN 0")).is_ok(), "its own name");
    assert!(review(label(12, 1, Some(1))).is_ok());
    assert!(review(ReviewCommand::DeleteBin { bin: bin_id(1) }).is_ok());
    assert_eq!(world.catalog.tags(), [("NIGHT", 4), ("tag 0", 12)]);
    assert_eq!(world.catalog.count_in_bin(bin_id(0)), 0);
    world.assert_sound();
}

#[test]
fn jobs_are_listed_newest_first_by_phase_and_by_video() {
    let mut world = World::default();
    for number in 0..5 {
        add(&mut world, number, "a.mp4", i64::try_from(number).unwrap());
        complete(&mut world, number);
    }
    let all = JobQuery {
        limit: 2,
        ..JobQuery::default()
    };
    let first = world.catalog.page_of_jobs(&all);
    assert_eq!((first.items.len(), first.total), (2, 5));
    let mut seen: Vec<_> = first.items.iter().map(|job| job.video).collect();
    let mut after = first.next;
    while after.is_some() {
        let page = world.catalog.page_of_jobs(&JobQuery {
            after,
            ..all.clone()
        });
        seen.extend(page.items.iter().map(|job| job.video));
        after = page.next;
    }
    let newest_first: Vec<_> = (0..5).rev().map(video_id).collect();
    assert_eq!(seen, newest_first);

    let of = |phase, video| {
        let query = JobQuery {
            phase,
            video,
            after: None,
            limit: 10,
        };
        world.catalog.page_of_jobs(&query).total
    };
    assert_eq!(of(Some(Phase::Waiting), None), 5);
    assert_eq!(of(Some(Phase::Done), None), 0);
    assert_eq!(of(None, Some(video_id(1))), 1);
    assert_eq!(of(Some(Phase::Waiting), Some(video_id(1))), 1);
    assert_eq!(of(Some(Phase::Failed), Some(video_id(1))), 0);
    assert_eq!(of(None, Some(video_id(9))), 0);
}
