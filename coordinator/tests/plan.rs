//! The scheduler's promises: nobody over capacity, nobody forgotten, the same view the same plan.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use coordinator::catalog::command::{Command, JobResult};
use coordinator::catalog::job::{Class, State, Work};
use coordinator::catalog::video::Status;
use coordinator::scheduler::view::{
    Load, NodeView, RenderedUnit, RunningJob, UploadView, WaitingJob,
};
use coordinator::scheduler::{Decision, View, plan, waiting_because};
use proptest::prelude::*;
use protocol::failure::FailureClass;
use protocol::id::{GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::job::Unit;
use protocol::time::{Span, Timestamp};
use protocol::vitals::Rest;
use world::{World, at_ms, failure, fresh_vitals, node, result_of};

const CLASSES: [Class; 3] = [Class::Interactive, Class::Sound, Class::Bulk];

fn node_view(id: u64, slots: u16) -> NodeView {
    NodeView {
        id: NodeId(id),
        name: format!("n{id}"),
        slots,
        draining: false,
        can_encode: true,
        seen_at: Some(at_ms(0)),
        disk_free_bytes: None,
        disk_reserve_bytes: 1 << 30,
        link_bytes_per_s: 100 << 20,
        software_megapixels_per_s: 100,
        megapixels_per_s: 100,
        rest: None,
        barred: BTreeMap::new(),
        load: Load::default(),
    }
}

fn waiting(number: u64, video: u64, class: Class) -> WaitingJob {
    WaitingJob {
        id: JobId::derived(at_ms(0), number, 0),
        video: world::video_id(video),
        video_created_at: at_ms(i64::try_from(video).expect("small")),
        created_at: at_ms(i64::try_from(number).expect("small")),
        class,
        work: match class {
            Class::Interactive => Work::Stills,
            Class::Sound => Work::Audio,
            Class::Bulk => Work::Piece,
        },
        result_bytes: 0,
        source_bytes: 0,
        megapixels: 1000,
        due: at_ms(0),
        failed: None,
        copies: Vec::new(),
        wanted: false,
    }
}

fn view(nodes: Vec<NodeView>, jobs: Vec<WaitingJob>) -> View {
    View {
        waiting: jobs.into_iter().map(|job| (job.id, job)).collect(),
        running: BTreeMap::new(),
        nodes: nodes.into_iter().map(|node| (node.id, node)).collect(),
        uploads: Vec::new(),
        rendered: Vec::new(),
        looking_since: at_ms(0),
        lease: Span::from_secs(15),
        upload_expiry: Span::from_secs(3600),
    }
}

/// `job number -> node` of every assignment.
fn assigned(view: &View, now: Timestamp) -> Vec<(u64, u64)> {
    let numbers: BTreeMap<JobId, u64> = (0..100)
        .map(|number| (JobId::derived(at_ms(0), number, 0), number))
        .collect();
    (plan(view, now).into_iter())
        .filter_map(|decision| match decision {
            Decision::Assign { job, node, .. } => Some((numbers[&job], node.0)),
            _ => None,
        })
        .collect()
}

/// The view once `decisions` are carried out.
fn carried_out(mut view: View, decisions: &[Decision], now: Timestamp) -> View {
    for decision in decisions {
        match decision {
            Decision::Assign {
                job,
                node,
                lease_until,
            } => {
                let job = view.waiting.remove(job).expect("it waited");
                let target = view.nodes.get_mut(node).expect("it is known");
                count(&mut target.load, job.class, 1);
                let running = RunningJob {
                    id: job.id,
                    video: job.video,
                    class: job.class,
                    result_bytes: job.result_bytes,
                    node: *node,
                    epoch: 1,
                    lease_until: *lease_until,
                };
                view.running.insert(job.id, running);
            }
            Decision::LoseUnit { unit, .. } => view.rendered.retain(|other| other.unit != *unit),
            Decision::Release { job, .. } => {
                let job = view.running.remove(job).expect("it ran");
                if let Some(node) = view.nodes.get_mut(&job.node) {
                    count(&mut node.load, job.class, -1);
                }
                let mut again = waiting(0, 0, job.class);
                again.id = job.id;
                again.video = job.video;
                again.due = now;
                view.waiting.insert(job.id, again);
            }
            Decision::ExpireUpload { upload } => view.uploads.retain(|open| open.id != *upload),
        }
    }
    view
}

fn count(load: &mut Load, class: Class, by: i32) {
    let count = match class {
        Class::Interactive => &mut load.interactive,
        Class::Sound => &mut load.sound,
        Class::Bulk => &mut load.bulk,
    };
    *count = count.saturating_add_signed(by);
}

fn views() -> impl Strategy<Value = View> {
    let node = (0_u16..4, any::<bool>(), any::<bool>(), 0_u8..4);
    let job = (0_u64..4, 0_usize..3, -1_i64..2, 0_u64..6);
    let nodes = proptest::collection::vec(node, 0..5);
    let jobs = proptest::collection::vec(job.clone(), 0..30);
    let running = proptest::collection::vec((job, -9_i64..20), 0..8);
    (nodes, jobs, running).prop_map(|(nodes, jobs, running)| {
        let nodes = (1..)
            .zip(nodes)
            .map(|(id, (slots, draining, can_encode, away))| {
                let mut node = node_view(id, slots);
                node.draining = draining;
                node.can_encode = can_encode || away == 0;
                node.seen_at = (away < 3).then(|| at_ms(-20_000 * i64::from(away)));
                node
            });
        let jobs = (0..)
            .zip(jobs)
            .map(|(number, (video, class, due, failed_on))| {
                let mut job = waiting(number, video, CLASSES[class]);
                job.due = at_ms(due * 1000);
                let failed = failure(FailureClass::Crashed);
                job.failed = (failed_on > 0).then_some((Some(NodeId(failed_on)), failed));
                job
            });
        let mut view = view(nodes.collect(), jobs.collect());
        for (number, ((video, class, _, node), lease)) in (50..).zip(running) {
            let (class, node) = (CLASSES[class], NodeId(node));
            let running = RunningJob {
                id: JobId::derived(at_ms(0), number, 0),
                video: world::video_id(video),
                class,
                result_bytes: 0,
                node,
                epoch: 1,
                lease_until: at_ms(lease * 1000),
            };
            // Only what fits, as plans before this one saw to it.
            if let Some(node) = view.nodes.get_mut(&node) {
                let mut load = node.load;
                count(&mut load, class, 1);
                if !fits(load, node.slots) {
                    continue;
                }
                node.load = load;
            }
            view.running.insert(running.id, running);
        }
        view
    })
}

fn fits(load: Load, slots: u16) -> bool {
    let slots = u32::from(slots);
    load.total() == 0
        || slots > 0
            && load.bulk <= slots
            && load.bulk + load.sound <= slots + 1
            && load.total() <= slots + 2
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_node_is_over_capacity_and_none_that_must_not_work_gets_work(view in views()) {
        let now = at_ms(0);
        let decisions = plan(&view, now);
        let mut given = BTreeSet::new();
        for decision in &decisions {
            if let Decision::Assign { job, node, lease_until } = decision {
                prop_assert!(given.insert(*job), "twice");
                let waiting = &view.waiting[job];
                prop_assert!(waiting.due <= now);
                let node = &view.nodes[node];
                prop_assert!(!node.draining && node.can_encode && node.is_fresh(now));
                prop_assert_eq!(*lease_until, now + view.lease);
            }
        }
        for node in carried_out(view, &decisions, now).nodes.values() {
            prop_assert!(fits(node.load, node.slots), "{:?}", node);
        }
    }

    #[test]
    fn the_same_view_gives_the_same_plan_and_two_rounds_settle_it(view in views()) {
        let now = at_ms(0);
        let first = plan(&view, now);
        prop_assert_eq!(&first, &plan(&view, now));
        let view = carried_out(view, &first, now);
        let second = plan(&view, now);
        // What was released in the first round is given out in the second.
        let released = (first.iter()).filter(|d| matches!(d, Decision::Release { .. })).count();
        prop_assert!(second.len() <= released);
        let view = carried_out(view, &second, now);
        prop_assert_eq!(plan(&view, now), []);
    }

    #[test]
    fn no_place_stays_empty_while_work_waits(view in views()) {
        let now = at_ms(0);
        let decisions = plan(&view, now);
        let view = carried_out(view, &decisions, now);
        for job in view.waiting.values().filter(|job| job.due <= now) {
            // It was running a moment ago, under a lease that has lapsed.
            if decisions.iter().any(|d| matches!(d, Decision::Release { job: id, .. } if *id == job.id)) {
                continue;
            }
            for node in view.nodes.values() {
                // It waits for another node.
                if matches!(&job.failed, Some((Some(failed), _)) if *failed == node.id) {
                    continue;
                }
                let mut load = node.load;
                count(&mut load, job.class, 1);
                let able = !node.draining && node.can_encode && node.is_fresh(now);
                prop_assert!(!able || !fits(load, node.slots), "{:?} on {:?}", job, node);
            }
        }
    }

    #[test]
    fn every_waiting_job_has_a_reason_in_whole_sentences(view in views()) {
        for id in view.waiting.keys() {
            let reasons = waiting_because(&view, *id, at_ms(0));
            prop_assert!(!reasons.is_empty());
            for reason in reasons {
                prop_assert!(reason.ends_with('.') && !reason.ends_with(".."));
                prop_assert!(reason.starts_with(char::is_uppercase) || reason.starts_with(char::is_numeric));
            }
        }
    }
}

#[test]
fn light_work_runs_beside_a_render_and_renders_do_not_pile_up() {
    let jobs = vec![
        waiting(1, 1, Class::Bulk),
        waiting(2, 1, Class::Sound),
        waiting(3, 1, Class::Interactive),
        waiting(4, 2, Class::Bulk),
        waiting(5, 2, Class::Interactive),
        waiting(6, 2, Class::Sound),
    ];
    let view = view(vec![node_view(1, 1)], jobs);
    let got = assigned(&view, at_ms(0));
    // A poster each, then one sound; the renders follow when the posters are made.
    assert_eq!(got, [(3, 1), (5, 1), (2, 1)]);
}

#[test]
fn a_busy_node_still_takes_a_probe() {
    let mut busy = node_view(1, 1);
    busy.load.bulk = 1;
    let view = view(
        vec![busy],
        vec![
            waiting(1, 1, Class::Bulk),
            waiting(2, 2, Class::Interactive),
        ],
    );
    assert_eq!(assigned(&view, at_ms(0)), [(2, 1)]);
    let because = waiting_because(&view, JobId::derived(at_ms(0), 1, 0), at_ms(0));
    assert_eq!(
        because,
        ["It waits for a free slot on node n1: 1 of 1 busy."]
    );
}

#[test]
fn the_idle_node_comes_first_and_the_oldest_video() {
    let mut busy = node_view(1, 4);
    busy.load.bulk = 2;
    let jobs = vec![waiting(1, 9, Class::Bulk), waiting(2, 3, Class::Bulk)];
    let view = view(vec![busy, node_view(2, 1)], jobs);
    assert_eq!(assigned(&view, at_ms(0)), [(2, 2), (1, 1)]);
}

#[test]
fn a_long_video_in_many_pieces_does_not_hold_up_a_short_one() {
    let mut jobs: Vec<_> = (1..20).map(|n| waiting(n, 1, Class::Bulk)).collect();
    jobs.push(waiting(20, 2, Class::Bulk));
    let view = view(vec![node_view(1, 2)], jobs);
    assert_eq!(assigned(&view, at_ms(0)), [(1, 1), (20, 1)]);
}

#[test]
fn what_a_viewer_waits_for_goes_first() {
    let mut jobs: Vec<_> = (1..6)
        .map(|number| waiting(number, 1, Class::Bulk))
        .collect();
    jobs.push(waiting(6, 2, Class::Bulk));
    jobs[3].wanted = true;
    let one = view(vec![node_view(1, 1)], jobs.clone());
    assert_eq!(assigned(&one, at_ms(1)), [(4, 1)]);
    // Then the others, fairly.
    let three = view(vec![node_view(1, 3)], jobs);
    assert_eq!(assigned(&three, at_ms(1)), [(4, 1), (6, 1), (1, 1)]);
}

#[test]
fn a_job_goes_elsewhere_after_failing_if_there_is_an_elsewhere() {
    let mut job = waiting(1, 1, Class::Bulk);
    job.failed = Some((Some(NodeId(1)), failure(FailureClass::Crashed)));
    let mut other = node_view(2, 4);
    other.load.bulk = 3;
    let both = view(vec![node_view(1, 1), other], vec![job.clone()]);
    assert_eq!(assigned(&both, at_ms(0)), [(1, 2)]);
    let alone = view(vec![node_view(1, 1)], vec![job.clone()]);
    assert_eq!(assigned(&alone, at_ms(0)), [(1, 1)]);
    // It waits for the other, though that is busy and this one idle.
    let mut busy = node_view(2, 1);
    busy.load.bulk = 1;
    let waits = view(vec![node_view(1, 1), busy], vec![job.clone()]);
    assert_eq!(assigned(&waits, at_ms(0)), []);
    assert_eq!(
        waiting_because(&waits, job.id, at_ms(0)),
        [
            "It failed on node n1, so it waits for another.",
            "It waits for a free slot on node n2: 1 of 1 busy."
        ]
    );
}

#[test]
fn a_lapsed_lease_is_given_back_one_heartbeat_late_and_its_place_is_free() {
    let mut node = node_view(1, 1);
    node.load.bulk = 1;
    let mut view = view(vec![node], vec![waiting(1, 1, Class::Bulk)]);
    let running = RunningJob {
        id: JobId::derived(at_ms(0), 2, 0),
        video: world::video_id(2),
        class: Class::Bulk,
        result_bytes: 0,
        node: NodeId(1),
        epoch: 7,
        lease_until: at_ms(1000),
    };
    view.running.insert(running.id, running.clone());
    assert_eq!(plan(&view, at_ms(3999)), []);
    let decisions = plan(&view, at_ms(4000));
    assert!(matches!(&decisions[0], Decision::Release { job, epoch: 7, .. } if *job == running.id));
    assert_eq!(assigned(&view, at_ms(4000)), [(1, 1)]);
}

#[test]
fn what_only_a_lost_node_had_is_done_again() {
    let mut view = view(vec![node_view(1, 1), node_view(2, 1)], Vec::new());
    let on = |node| RenderedUnit {
        generation: GenerationId::derived(at_ms(0), 1, 0),
        unit: Unit::Piece(u32::try_from(node).expect("small")),
        epoch: 1,
        node: NodeId(node),
    };
    view.rendered = vec![on(1), on(2), on(3)];
    let lost = |view: &View, ms| -> Vec<u64> {
        let decisions = plan(view, at_ms(ms));
        let units = decisions.into_iter().filter_map(|decision| match decision {
            Decision::LoseUnit {
                unit: Unit::Piece(number),
                ..
            } => Some(u64::from(number)),
            _ => None,
        });
        units.collect()
    };
    view.nodes.get_mut(&NodeId(1)).expect("there").seen_at = Some(at_ms(20_000));
    assert_eq!(lost(&view, 19_999), [3], "it was removed");
    assert_eq!(lost(&view, 20_000), [2, 3]);
    // A leader that has just begun does not know yet who is there.
    view.looking_since = at_ms(15_000);
    view.nodes.get_mut(&NodeId(2)).expect("there").seen_at = None;
    assert_eq!(lost(&view, 34_999), [3]);
    assert_eq!(lost(&view, 35_000), [2, 3]);
}

#[test]
fn a_job_waits_for_a_node_that_has_the_original() {
    let mut job = waiting(1, 1, Class::Bulk);
    job.copies = vec![NodeId(2)];
    let mut view = view(vec![node_view(1, 1), node_view(2, 1)], vec![job.clone()]);
    view.nodes.get_mut(&NodeId(1)).expect("there").seen_at = Some(at_ms(60_000));
    assert_eq!(assigned(&view, at_ms(60_000)), []);
    let reasons = waiting_because(&view, job.id, at_ms(60_000));
    assert_eq!(
        reasons,
        ["Its original lies on node n2, which is away; it starts when that is back."]
    );
    assert_eq!(assigned(&view, at_ms(10)).len(), 1);
}

#[test]
fn an_upload_of_a_lost_node_expires() {
    let mut view = view(vec![node_view(1, 1)], Vec::new());
    let upload = |number, node| UploadView {
        id: UploadId::derived(at_ms(0), number, 0),
        node: NodeId(node),
        opened_at: at_ms(-3_600_000),
    };
    view.uploads = vec![upload(1, 1), upload(2, 2)];
    let upload = upload(2, 2).id;
    assert_eq!(plan(&view, at_ms(0)), [Decision::ExpireUpload { upload }]);
}

#[test]
fn a_waiting_job_says_what_it_waits_for() {
    let mut job = waiting(1, 1, Class::Bulk);
    let id = job.id;
    let say = |nodes: Vec<NodeView>, job: &WaitingJob| {
        waiting_because(&view(nodes, vec![job.clone()]), id, at_ms(0)).join(" ")
    };
    assert_eq!(say(vec![], &job), "No node has announced itself yet.");
    let mut blind = node_view(1, 1);
    blind.can_encode = false;
    assert_eq!(
        say(vec![blind], &job),
        "No node can encode: none of them has an encoder that works."
    );
    let mut silent = node_view(1, 1);
    silent.seen_at = Some(at_ms(-60_000));
    let mut full = node_view(2, 1);
    full.disk_free_bytes = Some(100 << 20);
    let mut draining = node_view(3, 1);
    draining.draining = true;
    assert_eq!(
        say(vec![silent, full, draining], &job),
        "Node n1 is away; it last reported at 19:59:00 UTC. \
         Node n2 has only 100 MiB of disk left and needs 1024 MiB. \
         Node n3 is draining and gets no new work."
    );
    assert_eq!(
        say(vec![node_view(1, 1)], &job),
        "It starts on node n1 in a moment."
    );
    job.due = at_ms(845_000);
    job.failed = Some((Some(NodeId(1)), failure(FailureClass::Crashed)));
    assert_eq!(
        say(vec![node_view(1, 1)], &job),
        "It tries again at 20:14:05 UTC after failing: It did not work."
    );
}

/// Catalogue and scheduler together, with nodes that fail and die: every video gets ready.
#[test]
fn whatever_nodes_do_all_videos_become_ready() {
    let mut world = World::default();
    for id in 1..=3 {
        let node = Box::new(node(id));
        world.apply(at_ms(0), Command::AnnounceNode { node });
    }
    for number in 0..12 {
        let (upload, video) = (world::upload_id(number), world::video_id(number));
        let open = Command::OpenUpload {
            upload,
            video,
            filename: format!("{number}.mp4"),
            size_bytes: 1000,
            node: NodeId(1),
        };
        world.apply(at_ms(0), open).reply.unwrap();
        let complete = Command::CompleteUpload {
            upload,
            blob: world::blob(number),
            node: NodeId(1),
        };
        world.apply(at_ms(0), complete).reply.unwrap();
    }

    let mut attempts = 0_u32;
    let mut now = at_ms(0);
    let ready = |world: &World| world.catalog.count_of_videos(Status::Ready);
    for _ in 0..400 {
        now = now + Span::from_secs(2);
        let view = View::of(&world.catalog, &fresh_vitals(&world.catalog, now), now);
        for decision in plan(&view, now) {
            world
                .apply(now, decision.into())
                .reply
                .expect("still makes sense");
        }
        let running: Vec<_> = world.catalog.running_jobs().cloned().collect();
        for job in running {
            let State::Running { node, .. } = job.state else {
                continue;
            };
            attempts += 1;
            let command = match attempts % 7 {
                // It died without a word; the lease will lapse.
                0 => continue,
                // One failure a job at most, or it would be given up.
                1 if job.failed_attempts == 0 => Command::FailJob {
                    job: job.id,
                    epoch: job.epoch,
                    node,
                    failure: failure(FailureClass::Crashed),
                },
                _ => Command::FinishJob {
                    job: job.id,
                    epoch: job.epoch,
                    node,
                    result: result_of(&world.catalog, &job),
                },
            };
            let unit = matches!(
                &command,
                Command::FinishJob {
                    result: JobResult::Unit(_),
                    ..
                }
            );
            world.apply(now, command).reply.expect("the lease holds");
            if let (true, coordinator::catalog::job::Kind::Unit { generation, unit }) =
                (unit, job.kind)
            {
                let epoch = job.epoch;
                let publish = Command::PublishUnit {
                    generation,
                    unit,
                    epoch,
                };
                world.apply(now, publish).reply.expect("rendered");
                // Refused until the last unit is there.
                world.apply(now, Command::PublishGeneration { generation });
            }
        }
        world.assert_sound();
        if ready(&world) == 12 {
            return;
        }
    }
    panic!("only {} of 12 videos are ready", ready(&world));
}

#[test]
fn a_flood_of_renders_does_not_hide_a_probe() {
    let mut world = World::default();
    let node = Box::new(node(1));
    world.apply(at_ms(0), Command::AnnounceNode { node });
    for number in 0..1200_u64 {
        let (upload, video) = (
            world::upload_id(number),
            VideoId::derived(at_ms(0), number, 9),
        );
        let open = Command::OpenUpload {
            upload,
            video,
            filename: "a.mp4".to_owned(),
            size_bytes: 1,
            node: NodeId(1),
        };
        world.apply(at_ms(0), open).reply.unwrap();
        let complete = Command::CompleteUpload {
            upload,
            blob: world::blob(number),
            node: NodeId(1),
        };
        world.apply(at_ms(0), complete).reply.unwrap();
    }
    let view = View::of(
        &world.catalog,
        &fresh_vitals(&world.catalog, at_ms(0)),
        at_ms(0),
    );
    assert_eq!(view.waiting.len(), 1000, "a view is bounded");
    let last = world
        .catalog
        .waiting_jobs(Class::Interactive)
        .last()
        .unwrap();
    assert!(waiting_because(&view, last.id, at_ms(0)).is_empty());
    let view = view.with_job(&world.catalog, last);
    assert_eq!(
        waiting_because(&view, last.id, at_ms(0)),
        ["It waits for a free slot on node a: 3 of 3 busy."]
    );
}

#[test]
fn hardware_comes_first_for_what_gains_from_it() {
    let mut fast = node_view(2, 1);
    fast.megapixels_per_s = 400;
    let jobs = vec![waiting(1, 1, Class::Bulk), waiting(2, 1, Class::Sound)];
    let view = view(vec![node_view(1, 1), fast], jobs);
    // The piece is encoded there; sound gains nothing, and goes to where less is busy.
    assert_eq!(assigned(&view, at_ms(0)), [(2, 1), (1, 2)]);
}

#[test]
fn a_job_goes_to_the_bytes_unless_moving_them_pays() {
    let mut job = waiting(1, 1, Class::Bulk);
    job.copies = vec![NodeId(2)];
    job.source_bytes = 1 << 30;
    let near = |job: &WaitingJob, link: u64, fast: u64, busy: u32| {
        let mut far = node_view(1, 2);
        (far.link_bytes_per_s, far.megapixels_per_s) = (link, fast);
        let mut holder = node_view(2, 2);
        holder.load.bulk = busy;
        assigned(&view(vec![far, holder], vec![job.clone()]), at_ms(0))
    };
    // 10 s of encoding, 15 s if half of the node is busy; 10 s for the bytes over the usual link.
    assert_eq!(near(&job, 100 << 20, 100, 0), [(1, 2)]);
    assert_eq!(near(&job, 100 << 20, 100, 1), [(1, 2)]);
    assert_eq!(near(&job, 1 << 30, 100, 1), [(1, 1)], "a fast link");
    assert_eq!(near(&job, 100 << 20, 1000, 1), [(1, 1)], "a fast encoder");
    assert_eq!(near(&job, 1 << 20, 1000, 1), [(1, 2)], "a slow link");
}

/// It was given jobs while it had 512 MiB, and refused them below its reserve, until they had
/// failed three times.
#[test]
fn no_job_goes_to_a_node_that_would_refuse_it_for_its_disk() {
    let mut job = waiting(1, 1, Class::Bulk);
    job.result_bytes = 100 << 20;
    job.source_bytes = 500 << 20;
    let with = |job: &WaitingJob, free_mib: u64| {
        let mut node = node_view(1, 4);
        node.disk_free_bytes = Some(free_mib << 20);
        assigned(&view(vec![node], vec![job.clone()]), at_ms(0)).len()
    };
    assert_eq!([with(&job, 1123), with(&job, 1124)], [0, 1]);
    job.copies = vec![NodeId(7)];
    let elsewhere = |free_mib: u64| {
        let mut node = node_view(1, 4);
        node.disk_free_bytes = Some(free_mib << 20);
        let mut holder = node_view(7, 1);
        holder.draining = true;
        assigned(&view(vec![node, holder], vec![job.clone()]), at_ms(0)).len()
    };
    assert_eq!(
        [elsewhere(1623), elsewhere(1624)],
        [0, 1],
        "the original too"
    );
    // Two of them need twice the room.
    let mut second = waiting(2, 2, Class::Bulk);
    second.result_bytes = 100 << 20;
    let mut first = job.clone();
    first.copies.clear();
    let mut node = node_view(1, 4);
    node.disk_free_bytes = Some(1200 << 20);
    let both = view(vec![node], vec![first, second]);
    assert_eq!(assigned(&both, at_ms(0)), [(1, 1)]);
}

#[test]
fn a_node_that_rests_or_is_barred_says_so() {
    let job = waiting(1, 1, Class::Bulk);
    let mut off = node_view(1, 1);
    off.rest = Some(Rest::OffHours);
    let mut used = node_view(2, 1);
    used.rest = Some(Rest::InUse);
    let mut barred = node_view(3, 1);
    let why = (at_ms(600_000), "The worker crashed.".to_owned());
    barred.barred.insert(Work::Piece, why);
    let view = view(
        vec![off, used, barred],
        vec![job.clone(), waiting(2, 2, Class::Sound)],
    );
    assert_eq!(assigned(&view, at_ms(0)), [(2, 3)], "other work it gets");
    let reasons = waiting_because(&view, job.id, at_ms(0));
    assert_eq!(
        reasons,
        [
            "Node n1 works at other hours (work in its section of cluster.toml).",
            "Node n2 is in use by somebody else, and works when it is idle.",
            "Node n3 gets no pieces until 20:10:00 UTC, since it failed at several in a row, last: The worker crashed.",
        ]
    );
}
