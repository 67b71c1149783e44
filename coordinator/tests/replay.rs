//! The same log gives the same catalogue; a snapshot and the rest of the log give it too.

mod world;

use coordinator::catalog::invariant;
use coordinator::catalog::snapshot::Record;
use coordinator::catalog::{Catalog, Command, Stamp};
use proptest::prelude::*;
use protocol::codec;
use world::{World, at_ms, bytes_of, some_command};

type Step = (u8, u16, u8, i16);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), any::<u16>(), any::<u8>(), -200_i16..5000);
    proptest::collection::vec(step, 0..250)
}

fn play(steps: &[Step], after_each: impl Fn(&World)) -> World {
    let mut world = World::default();
    let mut ms = 0_i64;
    for &(verb, pick, twist, pause_ms) in steps {
        // Sometimes backwards, as the clock of a new leader may be.
        ms += i64::from(pause_ms);
        let at = at_ms(ms);
        let command = some_command(&world.catalog, at, verb, pick, twist);
        world.apply(at, command);
        after_each(&world);
    }
    world
}

fn replay(mut catalog: Catalog, log: &[(Stamp, Command)]) -> Catalog {
    for (stamp, command) in log {
        catalog.apply(*stamp, command.clone());
    }
    catalog
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// That a rebuilt index is the one kept along the way is among the invariants.
    #[test]
    fn no_command_panics_or_breaks_an_invariant_or_an_index(steps in steps()) {
        play(&steps, World::assert_sound);
    }

    #[test]
    fn a_refused_or_repeated_command_changes_nothing_but_the_time(steps in steps()) {
        let mut world = World::default();
        let mut ms = 0_i64;
        for (verb, pick, twist, pause_ms) in steps {
            ms += i64::from(pause_ms).max(0);
            let at = at_ms(ms);
            let command = some_command(&world.catalog, at, verb, pick, twist);
            let before: Vec<Record> = world.catalog.records().skip(1).collect();
            let first = world.apply(at, command.clone());
            if first.reply.is_err() {
                let after: Vec<Record> = world.catalog.records().skip(1).collect();
                prop_assert_eq!(&before, &after);
                prop_assert!(first.effects.is_empty());
            }
            let before: Vec<Record> = world.catalog.records().skip(1).collect();
            world.apply(at, command);
            let after: Vec<Record> = world.catalog.records().skip(1).collect();
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn the_same_log_gives_the_same_bytes(steps in steps()) {
        let world = play(&steps, |_| ());
        let again = replay(Catalog::default(), &world.log);
        prop_assert_eq!(bytes_of(&world.catalog), bytes_of(&again));
        prop_assert_eq!(world.catalog, again);
    }

    #[test]
    fn a_snapshot_and_the_tail_give_what_the_whole_log_gives(
        steps in steps(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let world = play(&steps, |_| ());
        let (head, tail) = world.log.split_at(cut.index(world.log.len() + 1));
        let half = replay(Catalog::default(), head);
        let records: Vec<Record> = half
            .records()
            .map(|record| codec::decode(&codec::encode(&record).unwrap()).unwrap())
            .collect();
        let loaded = Catalog::from_records(records);
        prop_assert_eq!(&loaded, &half);
        prop_assert_eq!(replay(loaded, tail), world.catalog);
    }
}

/// The invariants are worth something only if they can fail.
#[test]
fn a_broken_catalogue_is_noticed() {
    let mut world = World::default();
    let open = Command::OpenUpload {
        upload: world::upload_id(1),
        video: world::video_id(1),
        filename: "a.mp4".to_owned(),
        size_bytes: 1,
        node: protocol::id::NodeId(1),
    };
    world.apply(at_ms(0), open);
    world.assert_sound();
    let without_upload = (world.catalog.records()).filter(|r| !matches!(r, Record::Upload(_)));
    let broken = Catalog::from_records(without_upload);
    assert!(!invariant::check(&broken).is_empty());
}

fn next_byte(next: &mut impl FnMut() -> u16) -> u8 {
    next().to_be_bytes()[1]
}

/// Random logs that never publish a generation would prove little.
#[test]
fn random_logs_reach_every_stage() {
    use coordinator::catalog::clip::Status as ClipStatus;
    use coordinator::catalog::generation::Stage;
    use coordinator::catalog::job::Phase;
    use coordinator::catalog::video::Status;
    use std::collections::BTreeSet;

    let mut seen = BTreeSet::new();
    // A fixed walk of a linear congruential generator; no randomness in a test that must pass.
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u16::try_from(state >> 48).expect("16 bits")
    };
    let mut world = World::default();
    for step in 0..20_000_i64 {
        let at = at_ms(step * 500);
        let command = some_command(
            &world.catalog,
            at,
            next_byte(&mut next),
            next(),
            next_byte(&mut next),
        );
        world.apply(at, command);
        for status in Status::ALL {
            if world.catalog.count_of_videos(status) > 0 {
                seen.insert(status.as_str());
            }
        }
        for phase in [Phase::Done, Phase::Failed, Phase::Cancelled, Phase::Running] {
            if world.catalog.count_of_jobs(phase) > 0 {
                seen.insert(phase.as_str());
            }
        }
        for clip in world.catalog.clips() {
            seen.insert(match world.catalog.status_of_clip(clip) {
                ClipStatus::Ready => "clip ready",
                ClipStatus::Failed => "clip failed",
                status => status.as_str(),
            });
        }
        for stage in [Stage::Published, Stage::Retired] {
            if world.catalog.generations_in(stage).next().is_some() {
                seen.insert(stage.as_str());
            }
        }
    }
    world.assert_sound();
    let all = [
        "cancelled",
        "clip failed",
        "clip ready",
        "done",
        "failed",
        "probing",
        "published",
        "queued",
        "ready",
        "rendering",
        "retired",
        "running",
        "uploading",
        "virtual",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}
