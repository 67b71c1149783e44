//! Scenes from the life of a catalogue, as text: what is proposed, what is answered, what is then so.
//!
//! A line is a time, a verb and its words, and after `=>` the answer if it is not `done`.
//! `v1/stills` is a job by its video and unit, `c1/clip` that of a subclip's file. A line `is` looks at the state.
//! After every line all invariants are checked.

mod world;

use coordinator::catalog::cluster::ClusterCommand;
use coordinator::catalog::command::{Command, JobResult, UnitTotals};
use coordinator::catalog::generation::Stage;
use coordinator::catalog::job::{Job, Kind};
use coordinator::catalog::marker::{COMMENTS_PER_MARKER_MAX, MARKERS_PER_VIDEO_MAX};
use coordinator::catalog::review::ReviewCommand;
use coordinator::catalog::{Outcome, Rejection, Reply};
use protocol::clip::Mode;
use protocol::failure::FailureClass;
use protocol::id::{ClipId, GenerationId, JobId, NodeId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::marker::Colour;
use protocol::media::FrameRange;
use protocol::time::{Span, Timestamp};
use world::{
    World, at_ms, blob, clip_id, comment_id, failure, marker_id, node, probe, upload_id, video_id,
};

#[track_caller]
fn check(script: &str) -> World {
    let mut world = World::default();
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (input, expected) = line.split_once("=>").unwrap_or((line, "done"));
        let words: Vec<&str> = input.split_whitespace().collect();
        if words[0] == "is" {
            assert_eq!(state_of(&world, words[1]), words[2..].join(" "), "{line}");
            continue;
        }
        let secs: i64 = words[0].trim_end_matches('s').parse().expect("a time");
        let at = at_ms(secs * 1000);
        let command = command_of(&world, at, &words[1..]);
        let outcome = world.apply(at, command);
        assert_eq!(answer_of(&outcome), expected.trim(), "{line}");
        world.assert_sound();
    }
    world
}

fn answer_of(outcome: &Outcome) -> String {
    match &outcome.reply {
        Ok(Reply::Done) => "done".to_owned(),
        Ok(Reply::Already) => "already".to_owned(),
        Ok(Reply::UploadOpened { .. }) => "opened".to_owned(),
        Ok(Reply::UploadCompleted { .. }) => "completed".to_owned(),
        Ok(Reply::JobAssigned { epoch, .. }) => format!("epoch {epoch}"),
        Ok(Reply::NodeAdmitted { node, .. }) => format!("node {node}"),
        Err(Rejection::NotFound { .. }) => "not found".to_owned(),
        Err(Rejection::Exists { .. }) => "exists".to_owned(),
        Err(Rejection::Stale { .. }) => "stale".to_owned(),
        Err(Rejection::WrongState { state, .. }) => state.clone(),
        Err(Rejection::Limit { limit, .. }) => format!("limit {limit}"),
    }
}

fn state_of(world: &World, what: &str) -> String {
    let catalog = &world.catalog;
    if what == "retired" {
        return catalog.generations_in(Stage::Retired).count().to_string();
    }
    if let Some(number) = what.strip_prefix('h') {
        return catalog
            .references(&blob(number.parse().expect("a number")))
            .to_string();
    }
    if what.starts_with('c') && !what.contains('/') {
        return match catalog.clip(clip(what)) {
            None => "gone".to_owned(),
            Some(clip) => catalog.status_of_clip(clip).as_str().to_owned(),
        };
    }
    if what.contains('/') {
        return match find_job(world, what) {
            None => "gone".to_owned(),
            Some(job) => job.state.phase().as_str().to_owned(),
        };
    }
    match catalog.video(video(what)) {
        None => "gone".to_owned(),
        Some(video) => match &video.failure {
            None => video.status.as_str().to_owned(),
            Some(failure) => format!("{} {}", video.status.as_str(), failure.code),
        },
    }
}

fn number(word: &str) -> u64 {
    word[1..].parse().expect("a letter and a number")
}

fn video(word: &str) -> VideoId {
    video_id(number(word))
}

fn clip(word: &str) -> ClipId {
    clip_id(number(word))
}

/// `10-20` as a range of frames.
fn range(word: &str) -> FrameRange {
    let (start, end) = word.split_once('-').expect("in-out");
    FrameRange {
        start: start.parse().expect("a frame"),
        end: end.parse().expect("a frame"),
    }
}

fn mode(word: &str) -> Mode {
    let mut all = Mode::ALL.into_iter();
    all.find(|mode| mode.as_str() == word).expect("a mode")
}

fn node_id(word: &str) -> NodeId {
    NodeId(u64::from(word.as_bytes()[0] - b'a' + 1))
}

fn unit_of(word: &str) -> Unit {
    match word.split('/').next_back().expect("a unit") {
        "stills" => Unit::Stills,
        "clip" => Unit::Clip,
        "audio" => Unit::Audio,
        piece => Unit::Piece(piece.trim_start_matches("piece-").parse().expect("a piece")),
    }
}

fn find_job<'a>(world: &'a World, word: &str) -> Option<&'a Job> {
    let (of, kind) = word.split_once('/').expect("video/unit");
    if of.starts_with('c') {
        let clip = world.catalog.clip(clip(of))?;
        let generation = clip.rendering.or(clip.rendered)?;
        return world.catalog.job_of_clip(clip.video, generation);
    }
    world
        .catalog
        .jobs_of_video(video(of))
        .find(|job| match job.kind {
            Kind::Probe => kind == "probe",
            Kind::Unit { unit, .. } => unit.to_string() == kind,
        })
        .map(AsRef::as_ref)
}

/// The job, or one that does not exist.
fn job(world: &World, word: &str) -> JobId {
    find_job(world, word).map_or_else(|| JobId::derived(at_ms(0), 99, 99), |job| job.id)
}

fn generation(world: &World, word: &str) -> GenerationId {
    if word.starts_with('c') {
        let clip = clip(word.split('/').next().expect("a clip"));
        let clip = world.catalog.clip(clip);
        let generation = clip.and_then(|clip| clip.rendering.or(clip.rendered));
        return generation.unwrap_or_else(|| GenerationId::derived(at_ms(0), 99, 99));
    }
    let video = video(word.split('/').next().expect("a video"));
    let newest = world.catalog.generations_of_video(video).last();
    newest.map_or_else(|| GenerationId::derived(at_ms(0), 99, 99), |g| g.id)
}

#[allow(clippy::too_many_lines, reason = "one short arm a verb")]
fn command_of(world: &World, at: Timestamp, words: &[&str]) -> Command {
    let epoch = |position: usize| words[position].parse().expect("an epoch");
    match words[0] {
        "announce" => {
            let node = node(node_id(words[1]).0);
            Command::AnnounceNode {
                node: Box::new(node),
            }
        }
        "drain" => Command::Cluster(ClusterCommand::DrainNode {
            node: node_id(words[1]),
            draining: words.get(2) != Some(&"no"),
        }),
        "settings" => {
            let mut settings = world.catalog.settings().clone();
            settings.max_lost_attempts = words[1].parse().expect("a number");
            Command::SetSettings { settings }
        }
        "open" => Command::OpenUpload {
            upload: upload_id(number(words[1])),
            video: video(words[2]),
            filename: words[3].replace('_', " "),
            size_bytes: words[4].parse().expect("a size"),
            node: node_id(words[5]),
        },
        "complete" => Command::CompleteUpload {
            upload: upload_id(number(words[1])),
            blob: blob(number(words[2])),
            node: node_id(words[3]),
        },
        "abort" => Command::AbortUpload {
            upload: upload_id(number(words[1])),
        },
        "assign" => Command::AssignJob {
            job: job(world, words[1]),
            node: node_id(words[2]),
            lease_until: at + Span::from_secs(15),
        },
        "renew" => {
            let (done, total) = words[4].split_once('/').expect("done/total");
            Command::RenewLease {
                job: job(world, words[1]),
                epoch: epoch(2),
                node: node_id(words[3]),
                lease_until: at + Span::from_secs(15),
                progress: Progress {
                    done: done.parse().expect("a number"),
                    total: total.parse().expect("a number"),
                },
            }
        }
        "probed" => {
            let frames = words[4].parse().expect("frames");
            let sound = words.get(5) == Some(&"sound");
            Command::FinishJob {
                job: job(world, words[1]),
                epoch: epoch(2),
                node: node_id(words[3]),
                result: JobResult::Probe(Box::new(probe(1280, 720, frames, sound))),
            }
        }
        "finish" => Command::FinishJob {
            job: job(world, words[1]),
            epoch: epoch(2),
            node: node_id(words[3]),
            result: JobResult::Unit(UnitTotals {
                objects: 1,
                size_bytes: 1,
                frames: words
                    .get(4)
                    .map_or(0, |frames| frames.parse().expect("frames")),
            }),
        },
        "fail" => Command::FailJob {
            job: job(world, words[1]),
            epoch: epoch(2),
            node: node_id(words[3]),
            failure: failure(match words[4] {
                "input" => FailureClass::Input,
                _ => FailureClass::Crashed,
            }),
        },
        "release" => Command::ReleaseJob {
            job: job(world, words[1]),
            epoch: epoch(2),
            reason: "test".to_owned(),
        },
        "retry" => Command::RetryJob {
            job: job(world, words[1]),
        },
        "cancel" => Command::CancelJob {
            job: job(world, words[1]),
        },
        "publish" if words[1].contains('/') => Command::PublishUnit {
            generation: generation(world, words[1]),
            unit: unit_of(words[1]),
            epoch: epoch(2),
        },
        "publish" => Command::PublishGeneration {
            generation: generation(world, words[1]),
        },
        "lose" => Command::LoseUnit {
            generation: generation(world, words[1]),
            unit: unit_of(words[1]),
            epoch: epoch(2),
        },
        "rename" => Command::RenameVideo {
            video: video(words[1]),
            filename: words[2].to_owned(),
        },
        "delete" => Command::DeleteVideo {
            video: video(words[1]),
        },
        "forget" => Command::ForgetGeneration {
            generation: generation(world, words[1]),
        },
        "mark" => Command::CreateClip {
            clip: clip(words[1]),
            video: video(words[2]),
            name: words[3].replace('_', " "),
            frames: range(words[4]),
            mode: mode(words[5]),
        },
        "name" => Command::ChangeClip {
            clip: clip(words[1]),
            name: Some(words[2].replace('_', " ")),
            frames: None,
            mode: None,
        },
        "move" => Command::ChangeClip {
            clip: clip(words[1]),
            name: None,
            frames: Some(range(words[2])),
            mode: words.get(3).map(|word| mode(word)),
        },
        "unmark" => Command::DeleteClip {
            clip: clip(words[1]),
        },
        "render" => Command::RenderClip {
            clip: clip(words[1]),
        },
        verb => Command::Review(note_of(verb, &words[1..])),
    }
}

fn note_of(verb: &str, words: &[&str]) -> ReviewCommand {
    let text = |at: usize| words[at].replace('_', " ");
    match verb {
        "order" => ReviewCommand::OrderClips {
            video: video(words[0]),
            clips: words[1..].iter().map(|word| clip(word)).collect(),
        },
        "pin" => ReviewCommand::CreateMarker {
            marker: marker_id(number(words[0])),
            video: video(words[1]),
            frames: range(words[2]),
            colour: Colour::Green,
            text: text(3),
            author: "ruth".to_owned(),
        },
        "say" => ReviewCommand::ChangeMarker {
            marker: marker_id(number(words[0])),
            frames: None,
            colour: None,
            text: Some(text(1)),
            resolved: None,
            by: String::new(),
        },
        "resolve" => ReviewCommand::ChangeMarker {
            marker: marker_id(number(words[0])),
            frames: None,
            colour: None,
            text: None,
            resolved: Some(words.get(1) != Some(&"no")),
            by: "ruth".to_owned(),
        },
        "unpin" => ReviewCommand::DeleteMarker {
            marker: marker_id(number(words[0])),
        },
        "answer" => ReviewCommand::CreateComment {
            comment: comment_id(number(words[0])),
            marker: marker_id(number(words[1])),
            text: text(2),
            author: "jan".to_owned(),
        },
        "correct" => ReviewCommand::ChangeComment {
            comment: comment_id(number(words[0])),
            text: text(1),
        },
        "retract" => ReviewCommand::DeleteComment {
            comment: comment_id(number(words[0])),
        },
        verb => panic!("no verb {verb}"),
    }
}

/// A video that is being rendered on node a, at 10 s: 1500 frames with sound.
const RENDERING: &str = "
    0s announce a
    0s announce b
    0s open u1 v1 a.mp4 1000 a => opened
    1s complete u1 h1 a => completed
    1s assign v1/probe a => epoch 1
    2s probed v1/probe 1 a 1500 sound
    3s assign v1/stills a => epoch 1
    3s assign v1/piece-0000 a => epoch 1
    3s assign v1/audio a => epoch 1
    is v1 rendering
";

#[track_caller]
fn check_after_rendering(script: &str) -> World {
    check(&format!("{RENDERING}{script}"))
}

#[test]
fn markers_have_threads_and_go_with_their_video() {
    let world = check_after_rendering(
        "
        4s pin m1 v1 10-11 too_dark
        4s pin m1 v1 10-11 too_dark => already
        4s pin m1 v1 10-11 too_bright => exists
        4s pin m2 v1 5-1500 a_range
        4s pin m3 v1 5-1501 too_long => limit 1500
        4s pin m3 v1 5-5 nothing => empty
        4s pin m3 v2 5-6 nowhere => not found
        5s answer t1 m1 brighter_then
        5s answer t1 m1 brighter_then => already
        5s answer t2 m9 what => not found
        6s answer t2 m1 done
        6s correct t2 all_done
        6s correct t2 _ => empty
        7s resolve m1
        7s resolve m1 => already
        8s say m1 too_dark => already
        ",
    );
    let marker = world.catalog.marker(marker_id(1)).expect("it is there");
    assert_eq!(marker.edited_at, None, "the same text is no edit");
    assert_eq!(marker.resolved.as_ref().map(|r| r.at), Some(at_ms(7000)));
    let texts: Vec<_> = (world.catalog.comments_of_marker(marker_id(1)))
        .map(|comment| comment.text.as_str())
        .collect();
    assert_eq!(texts, ["brighter then", "all done"]);
    let order: Vec<_> = world
        .catalog
        .markers_of_video(video_id(1))
        .map(|m| m.id)
        .collect();
    assert_eq!(order, [marker_id(2), marker_id(1)]);
    assert_eq!(world.catalog.count_of_open_markers(video_id(1)), 1);

    let world = check_after_rendering(
        "
        4s pin m1 v1 10-11 a
        4s pin m2 v1 10-11 b
        5s answer t1 m1 c
        5s answer t2 m2 d
        6s retract t1
        6s retract t1 => not found
        7s unpin m1
        8s delete v1
        8s pin m3 v1 1-2 e => not found
        ",
    );
    assert_eq!(
        world.catalog.markers().count() + world.catalog.comments().count(),
        0
    );
}

#[test]
fn markers_and_comments_have_their_limits() {
    let mut world = check_after_rendering("4s pin m0 v1 1-2 x");
    let mut note = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let command = Command::Review(note_of(words[0], &words[1..]));
        answer_of(&world.apply(at_ms(5000), command))
    };
    for number in 1..MARKERS_PER_VIDEO_MAX {
        assert_eq!(note(&format!("pin m{number} v1 1-2 x")), "done");
    }
    assert_eq!(note("pin m9999 v1 1-2 x"), "limit 2000");
    for number in 0..COMMENTS_PER_MARKER_MAX {
        assert_eq!(note(&format!("answer t{number} m0 x")), "done");
    }
    assert_eq!(note("answer t9999 m0 x"), "limit 200");
    assert_eq!(note(&format!("say m0 {}", "é".repeat(4001))), "limit 4000");
    assert_eq!(note("say m0 a\u{7}b"), "not printable");
    let long = "x".repeat(4000);
    let all = (1..MARKERS_PER_VIDEO_MAX).map(|number| note(&format!("say m{number} {long}")));
    assert_eq!(all.filter(|answer| answer == "limit 4194304").count(), 951);
    world.assert_sound();
}

#[test]
fn subclips_are_in_the_order_of_their_in_points_until_a_person_arranges_them() {
    let order = |world: &World| -> Vec<ClipId> {
        world
            .catalog
            .clips_of_video(video_id(1))
            .map(|clip| clip.id)
            .collect()
    };
    let marked = "
        4s mark c1 v1 a 300-400 smart
        4s mark c2 v1 b 100-200 smart
        4s mark c3 v1 c 200-300 smart
        ";
    let world = check_after_rendering(marked);
    assert_eq!(order(&world), [2, 3, 1].map(clip_id));
    let world = check_after_rendering(&format!(
        "{marked}
        5s order v1 c1 c3
        5s order v1 c1 c3 => already
        5s order v1 c1 c7 => not found
        6s mark c4 v1 d 1-2 smart
        "
    ));
    assert_eq!(
        order(&world),
        [1, 3, 4, 2].map(clip_id),
        "those left out follow"
    );
    let world = check_after_rendering(&format!("{marked} 5s order v1 c1\n 6s order v1"));
    assert_eq!(order(&world), [2, 3, 1].map(clip_id));
}

#[test]
fn a_video_from_upload_to_ready() {
    check(
        "
        0s announce a
        0s open u1 v1 holiday.mp4 1000 a => opened
        is v1 uploading
        5s complete u1 h1 a => completed
        is v1 probing
        is h1 1
        5s assign v1/probe a => epoch 1
        6s renew v1/probe 1 a 1/2
        6s probed v1/probe 1 a 1500 sound
        is v1 rendering
        is v1/stills waiting
        is v1/piece-0000 waiting
        is v1/audio waiting
        7s assign v1/stills a => epoch 1
        7s assign v1/piece-0000 a => epoch 1
        7s assign v1/audio a => epoch 1
        8s finish v1/stills 1 a
        8s publish v1/stills 1
        8s publish v1 => not whole yet
        9s finish v1/piece-0000 1 a 1500
        9s finish v1/audio 1 a
        9s publish v1/piece-0000 1
        9s publish v1/audio 1
        is v1 rendering
        9s publish v1
        is v1 ready
        is retired 0
        ",
    );
}

#[test]
fn a_silent_video_has_no_audio_job() {
    check(
        "
        0s announce a
        0s open u1 v1 a.mp4 1 a => opened
        0s complete u1 h1 a => completed
        0s assign v1/probe a => epoch 1
        0s probed v1/probe 1 a 10
        is v1/audio gone
        is v1/piece-0000 waiting
        ",
    );
}

#[test]
fn repeated_commands_say_so_and_change_nothing() {
    check(
        "
        0s announce a
        0s open u1 v1 a.mp4 1000 a => opened
        0s open u1 v1 a.mp4 1000 a => opened
        1s complete u1 h1 a => completed
        1s complete u1 h1 a => already
        1s complete u1 h2 a => complete with other content
        1s abort u1 => complete
        1s open u1 v1 a.mp4 1000 a => exists
        1s open u2 v1 a.mp4 1000 a => exists
        1s assign v1/probe a => epoch 1
        1s assign v1/probe a => already
        2s probed v1/probe 1 a 1500 sound
        2s probed v1/probe 1 a 1500 sound => already
        3s assign v1/stills a => epoch 1
        3s fail v1/stills 1 a crashed
        3s fail v1/stills 1 a crashed => already
        8s assign v1/stills a => epoch 2
        8s release v1/stills 2
        8s release v1/stills 2 => already
        8s assign v1/stills a => epoch 3
        9s finish v1/stills 3 a
        9s finish v1/stills 3 a => already
        9s publish v1/stills 3
        9s publish v1/stills 3 => already
        ",
    );
}

#[test]
fn an_upload_that_is_given_up_takes_its_video_with_it() {
    check(
        "
        0s open u1 v1 a.mp4 1000 a => opened
        1s abort u1
        is v1 gone
        1s abort u1 => not found
        1s complete u1 h1 a => not found
        ",
    );
}

#[test]
fn names_and_sizes_have_limits() {
    let long = "名".repeat(256);
    check(&format!(
        "
        0s open u1 v1 {long} 1000 a => limit 255
        0s open u1 v1 _ 1000 a => empty
        0s open u1 v1 a.mp4 1099511627777 a => limit 1099511627776
        0s open u1 v1 ../../etc/passwd 1000 a => opened
        0s rename v1 {long} => limit 255
        0s rename v1 b.mp4
        0s rename v1 b.mp4 => already
        0s rename v2 b.mp4 => not found
        "
    ));
}

#[test]
fn a_late_result_is_refused() {
    check_after_rendering(
        "
        20s release v1/piece-0000 1
        is v1/piece-0000 waiting
        20s renew v1/piece-0000 1 a 700/1500 => stale
        20s finish v1/piece-0000 1 a 1500 => stale
        20s assign v1/piece-0000 b => epoch 2
        21s finish v1/piece-0000 1 a 1500 => stale
        21s fail v1/piece-0000 1 a crashed => stale
        21s finish v1/piece-0000 2 a 1500 => running on node 2
        22s finish v1/piece-0000 2 b 1500
        22s publish v1/piece-0000 1 => stale
        22s publish v1/piece-0000 2
        22s lose v1/piece-0000 2 => published
        ",
    );
}

#[test]
fn a_piece_that_lacks_a_frame_is_refused() {
    check_after_rendering(
        "
        4s finish v1/piece-0000 1 a 1499 => 1499 frames long instead of 1500
        is v1/piece-0000 running
        4s publish v1/piece-0000 1 => stale
        ",
    );
}

#[test]
fn progress_and_leases_only_grow() {
    let world = check_after_rendering(
        "
        10s renew v1/audio 1 a 50/100
        8s renew v1/audio 1 a 40/100
        ",
    );
    let job = find_job(&world, "v1/audio").unwrap();
    let coordinator::catalog::job::State::Running {
        lease_until,
        progress,
        ..
    } = job.state
    else {
        panic!("it runs");
    };
    assert_eq!((lease_until, progress.done), (at_ms(25_000), 50));
    // The clock went back two seconds; the catalogue's did not.
    assert_eq!(world.catalog.at(), at_ms(10_000));
}

#[test]
fn a_crash_is_tried_again_later_and_in_the_end_given_up() {
    check_after_rendering(
        "
        4s fail v1/piece-0000 1 a crashed
        is v1/piece-0000 waiting
        is v1 rendering
        8s assign v1/piece-0000 b => not due before 2026-11-22T20:00:09.000Z
        9s assign v1/piece-0000 b => epoch 2
        10s fail v1/piece-0000 2 b crashed
        19s assign v1/piece-0000 b => not due before 2026-11-22T20:00:20.000Z
        20s assign v1/piece-0000 b => epoch 3
        21s finish v1/stills 1 a
        21s fail v1/piece-0000 3 b crashed
        is v1/piece-0000 failed
        is v1/audio cancelled
        is v1/stills done
        is v1 failed test
        ",
    );
}

#[test]
fn a_bad_file_fails_at_once_and_a_retry_revives_everything() {
    check_after_rendering(
        "
        4s fail v1/piece-0000 1 a input
        is v1 failed test
        5s finish v1/audio 1 a => stale
        6s retry v1/piece-0000
        is v1 rendering
        is v1/audio waiting
        is v1/stills waiting
        6s retry v1/piece-0000 => already
        6s assign v1/piece-0000 a => epoch 2
        ",
    );
}

#[test]
fn a_retry_of_a_job_that_waits_after_a_failure_ends_the_wait() {
    check_after_rendering(
        "
        4s fail v1/piece-0000 1 a crashed
        5s retry v1/piece-0000
        5s assign v1/piece-0000 a => epoch 2
        5s retry v1/piece-0000 => already
        6s finish v1/piece-0000 2 a 1500
        6s retry v1/piece-0000 => finished
        ",
    );
}

#[test]
fn a_file_without_pictures_fails_with_a_sentence() {
    let world = check(
        "
        0s announce a
        0s open u1 v1 a.mp4 1 a => opened
        0s complete u1 h1 a => completed
        0s assign v1/probe a => epoch 1
        0s probed v1/probe 1 a 0
        is v1 failed no_pictures
        is v1/probe failed
        ",
    );
    let failure = world.catalog.video(video_id(1)).unwrap().failure.clone();
    assert!(failure.unwrap().message.ends_with('.'));
}

#[test]
fn cancelled_work_stops_and_can_be_taken_up_again() {
    check_after_rendering(
        "
        4s cancel v1/audio
        is v1 failed cancelled
        is v1/piece-0000 cancelled
        4s cancel v1/audio => already
        4s renew v1/piece-0000 1 a 1/2 => stale
        5s retry v1/audio
        is v1 rendering
        is v1/piece-0000 waiting
        5s cancel v1/probe => finished
        ",
    );
}

#[test]
fn attempts_lost_with_their_nodes_do_not_count_until_there_are_too_many() {
    check_after_rendering(
        "
        4s settings 2
        4s release v1/audio 1
        4s assign v1/audio b => epoch 2
        4s release v1/audio 2
        4s assign v1/audio b => epoch 3
        is v1 rendering
        4s release v1/audio 3
        is v1/audio failed
        is v1 failed attempts_lost
        ",
    );
}

#[test]
fn a_unit_whose_files_are_lost_is_rendered_again() {
    check_after_rendering(
        "
        4s finish v1/audio 1 a
        is v1/audio done
        4s lose v1/audio 9 => stale
        4s lose v1/audio 1
        is v1/audio waiting
        4s lose v1/audio 1 => already
        4s assign v1/audio b => epoch 2
        4s publish v1/audio 1 => stale
        ",
    );
}

#[test]
fn files_lost_after_the_video_failed_do_not_start_work_again() {
    check_after_rendering(
        "
        4s finish v1/audio 1 a
        4s fail v1/piece-0000 1 a input
        4s lose v1/audio 1
        is v1/audio cancelled
        5s retry v1/piece-0000
        is v1/audio waiting
        ",
    );
}

#[test]
fn a_draining_or_unknown_node_gets_nothing() {
    check(
        "
        0s announce a
        0s drain a => done
        0s open u1 v1 a.mp4 1 a => opened
        0s complete u1 h1 a => completed
        0s assign v1/probe a => draining
        0s assign v1/probe b => not found
        0s announce a
        0s assign v1/probe a => draining
        0s drain a no => done
        0s assign v1/probe a => epoch 1
        ",
    );
}

#[test]
fn a_deleted_video_leaves_its_generation_to_be_swept_and_frees_its_blob() {
    check_after_rendering(
        "
        3s open u2 v2 copy.mp4 1000 a => opened
        3s complete u2 h1 a => completed
        is h1 2
        4s forget v1 => being built
        4s delete v1
        is v1 gone
        is v1/audio gone
        is h1 1
        is retired 1
        4s publish v1/audio 1 => retired
        4s publish v1 => retired
        4s delete v1 => not found
        4s forget v1
        4s forget v1 => already
        is retired 0
        4s delete v2
        is h1 0
        ",
    );
}

#[test]
fn an_upload_whose_video_is_deleted_is_gone() {
    check(
        "
        0s open u1 v1 a.mp4 1 a => opened
        0s delete v1
        0s complete u1 h1 a => not found
        ",
    );
}

#[test]
fn a_subclip_is_marked_moved_and_deleted() {
    let long = "名".repeat(201);
    check_after_rendering(&format!(
        "
        4s mark c1 v1 take_one 10-20 smart
        is c1 virtual
        4s mark c1 v1 take_one 10-20 smart => already
        4s mark c1 v1 take_two 10-20 smart => exists
        4s mark c2 v1 a 20-20 smart => empty
        4s mark c2 v1 a 30-20 smart => empty
        4s mark c2 v1 a 1499-1501 smart => limit 1500
        4s mark c2 v1 a 1499-1500 instant
        4s mark c3 v2 a 1-2 smart => not found
        4s mark c3 v1 {long} 1-2 smart => limit 200
        4s mark c3 v1 _ 1-2 smart => empty
        4s name c1 another
        4s name c1 another => already
        4s move c1 0-1501 => limit 1500
        4s move c1 0-1500
        5s unmark c1
        5s unmark c1 => not found
        5s name c1 b => not found
        is c1 gone
        6s delete v1
        is c2 gone
        "
    ));
    check(
        "
        0s open u1 v1 a.mp4 1000 a => opened
        0s mark c1 v1 a 0-1 smart => not looked into yet
        ",
    );
}

#[test]
fn a_video_has_only_so_many_subclips() {
    use std::fmt::Write as _;

    let mut script = String::new();
    for number in 1..=500 {
        writeln!(script, "4s mark c{number} v1 a 0-1 smart").expect("a string takes all");
    }
    check_after_rendering(&format!(
        "{script}
        4s mark c501 v1 a 0-1 smart => limit 500
        4s unmark c3
        4s mark c501 v1 a 0-1 smart
        "
    ));
}

#[test]
fn a_subclip_becomes_a_file_while_its_video_is_still_rendered() {
    check_after_rendering(
        "
        4s mark c1 v1 a 10-30 instant
        4s render c2 => not found
        4s render c1
        4s render c1 => already
        is c1 queued
        is c1/clip waiting
        4s assign c1/clip b => epoch 1
        is c1 rendering
        5s finish c1/clip 1 b 19 => 19 frames long instead of 20
        5s finish c1/clip 1 b 20
        is c1 rendering
        5s publish c1 => not whole yet
        5s publish c1/clip 1
        5s publish c1
        5s publish c1 => already
        is c1 ready
        5s render c1 => already
        5s name c1 b
        is c1 ready
        is retired 0
        6s move c1 10-31
        is c1 virtual
        is retired 1
        is v1 rendering
        ",
    );
}

#[test]
fn a_subclip_that_fails_leaves_its_video_alone_and_the_other_way_round() {
    check_after_rendering(
        "
        4s mark c1 v1 a 10-30 smart
        4s mark c2 v1 a 10-30 smart
        4s render c1
        4s render c2
        4s assign c1/clip b => epoch 1
        5s fail c1/clip 1 b input
        is c1 failed
        is c1/clip failed
        is v1 rendering
        is v1/piece-0000 running
        is c2 queued
        6s retry c1/clip
        is c1 queued
        6s cancel c1/clip
        is c1 failed
        is retired 0
        6s render c1
        is c1 queued
        is retired 1
        7s assign c1/clip b => epoch 1
        8s fail v1/piece-0000 1 a input
        is v1 failed test
        is c1 rendering
        is c2 queued
        9s release c1/clip 1
        is c1 queued
        10s cancel c2/clip
        10s retry v1/piece-0000
        is v1 rendering
        is c2 failed
        11s unmark c1
        11s unmark c2
        is v1 rendering
        is retired 3
        12s delete v1
        is retired 4
        ",
    );
}
