//! Scenes from the life of a catalogue, as text: what is proposed, what is answered, what is then so.
//!
//! A line is a time, a verb and its words, and after `=>` the answer if it is not `done`.
//! `v1/stills` is a job by its video and unit, `c1/clip` that of a subclip's file. A line `is` looks at the state.
//! After every line all invariants are checked.

mod world;

use coordinator::catalog::access::AccessCommand;
use coordinator::catalog::cluster::ClusterCommand;
use coordinator::catalog::command::{Command, JobResult, UnitTotals};
use coordinator::catalog::delivery::DeliveryCommand;
use coordinator::catalog::generation::Stage;
use coordinator::catalog::ingest::{IngestCommand, Mirror};
use coordinator::catalog::job::{Job, Kind};
use coordinator::catalog::marker::{COMMENTS_PER_MARKER_MAX, MARKERS_PER_VIDEO_MAX};
use coordinator::catalog::proxy::{ProxyCommand, Status};
use coordinator::catalog::review::ReviewCommand;
use coordinator::catalog::{Outcome, Rejection, Reply};
use protocol::clip::Mode;
use protocol::failure::FailureClass;
use protocol::id::{ClipId, GenerationId, JobId, NodeId, ProxyId, VideoId};
use protocol::job::{Progress, Unit};
use protocol::marker::Colour;
use protocol::media::FrameRange;
use protocol::time::{Span, Timestamp};
use world::{
    World, at_ms, blob, clip_id, comment_id, failure, file_key, marker_id, node, preset, probe,
    proxy_id, upload_id, video_id,
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
        Err(Rejection::Answered) => "answered".to_owned(),
        Err(Rejection::WrongState { state, .. }) => state.clone(),
        Err(Rejection::Limit { limit, .. }) => format!("limit {limit}"),
    }
}

fn state_of(world: &World, what: &str) -> String {
    let catalog = &world.catalog;
    if what == "retired" {
        return catalog.generations_in(Stage::Retired).count().to_string();
    }
    if let Some(name) = what.strip_prefix("used:") {
        let mut tokens = catalog.api_tokens();
        return tokens
            .find(|token| token.name == name)
            .map_or_else(|| "gone".to_owned(), |token| token.used_bytes.to_string());
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
    if what.starts_with('p') && !what.contains('/') {
        let status = |status| match status {
            Status::Queued => "queued",
            Status::Rendering => "rendering",
            Status::Ready => "ready",
            Status::Failed => "failed",
        };
        return match catalog.proxy(proxy(what)) {
            None => "gone".to_owned(),
            Some(proxy) => status(catalog.status_of_proxy(proxy)).to_owned(),
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

fn proxy(word: &str) -> ProxyId {
    proxy_id(number(word))
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
        "proxy" => Unit::Proxy,
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
    if of.starts_with('p') {
        let proxy = world.catalog.proxy(proxy(of))?;
        let generation = proxy.rendering.or(proxy.rendered)?;
        return world.catalog.job_of_proxy(proxy.video, generation);
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
    if word.starts_with('p') {
        let proxy = proxy(word.split('/').next().expect("a proxy"));
        let proxy = world.catalog.proxy(proxy);
        let generation = proxy.and_then(|proxy| proxy.rendering.or(proxy.rendered));
        return generation.unwrap_or_else(|| GenerationId::derived(at_ms(0), 99, 99));
    }
    let video = video(word.split('/').next().expect("a video"));
    let newest = world.catalog.generations_of_video(video).last();
    newest.map_or_else(|| GenerationId::derived(at_ms(0), 99, 99), |g| g.id)
}

/// `token 1 name [quota]`, `revoke name`, `quota name [quota]`, `open-as 1 u1 v1 file size node`.
fn access_of(words: &[&str]) -> AccessCommand {
    let quota = |at: usize| words.get(at).map(|word| word.parse().expect("bytes"));
    let token = |word: &str| blob(900 + word.parse::<u64>().expect("a number"));
    match words[0] {
        "token" => AccessCommand::CreateToken {
            token: token(words[1]),
            name: words[2].to_owned(),
            quota_bytes: quota(3),
        },
        "revoke" => AccessCommand::RevokeToken {
            name: words[1].to_owned(),
        },
        "quota" => AccessCommand::SetQuota {
            name: words[1].to_owned(),
            quota_bytes: quota(2),
        },
        _ => AccessCommand::OpenUpload {
            token: token(words[1]),
            upload: upload_id(number(words[2])),
            video: video(words[3]),
            filename: words[4].to_owned(),
            size_bytes: words[5].parse().expect("a size"),
            node: node_id(words[6]),
            key: None,
        },
    }
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
        "want" => Command::Delivery(DeliveryCommand::WantUnit {
            generation: generation(world, words[1]),
            unit: unit_of(words[1]),
        }),
        "token" | "revoke" | "quota" | "open-as" => Command::Access(access_of(words)),
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
        "open-key" => Command::Ingest(IngestCommand::Open {
            upload: upload_id(number(words[1])),
            video: video(words[2]),
            filename: words[3].to_owned(),
            size_bytes: 1000,
            node: node_id(words[4]),
            key: file_key(number(words[5])),
        }),
        "go-on" => Command::Ingest(IngestCommand::Move {
            upload: upload_id(number(words[1])),
            from: node_id(words[2]),
            to: node_id(words[3]),
        }),
        "mirror" => Command::Ingest(IngestCommand::Mirror {
            upload: upload_id(number(words[1])),
            node: node_id(words[2]),
            mirror: words.get(3).map(|word| Mirror {
                node: node_id(word),
                is_complete: true,
            }),
        }),
        "adopt" => Command::Ingest(IngestCommand::Adopt {
            video: video(words[1]),
            filename: words[2].to_owned(),
            size_bytes: words[3].parse().expect("a size"),
            blob: blob(number(words[4])),
        }),
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
        "proxy" => Command::Proxy(ProxyCommand::Create {
            proxy: proxy(words[1]),
            video: video(words[2]),
            preset: words[3].to_owned(),
        }),
        "unproxy" => Command::Proxy(ProxyCommand::Delete {
            proxy: proxy(words[1]),
        }),
        "preset" => Command::Proxy(ProxyCommand::SavePreset {
            preset: preset(words[1], words[2].parse().expect("lines")),
        }),
        "unpreset" => Command::Proxy(ProxyCommand::DeletePreset {
            name: words[1].to_owned(),
        }),
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
fn an_upload_is_found_by_its_file_and_moves_once() {
    let world = check(
        "
        0s announce a
        0s announce b
        0s open-key u1 v1 a.mp4 a k1 => opened
        0s open-key u2 v2 a.mp4 b k1 => exists
        1s mirror u1 b => at node 1
        1s mirror u1 a a => at node 1
        1s mirror u1 a b
        1s mirror u1 a b => already
        2s go-on u1 b a => already
        2s go-on u1 a b
        2s go-on u1 a b => already
        2s go-on u1 a c => at node 2 by now
        3s complete u1 h1 b => completed
        3s go-on u1 b a => not found
        4s open-key u2 v2 a.mp4 b k1 => opened
        ",
    );
    let open = world.catalog.upload_by_key(&file_key(1)).expect("open");
    assert_eq!((open.id, open.mirror), (upload_id(2), None));
}

#[test]
fn a_file_that_is_here_becomes_a_video_without_being_sent() {
    let world = check(
        "
        0s announce a
        0s adopt v2 b.mp4 1000 h1 => not found
        0s open u1 v1 a.mp4 1000 a => opened
        1s complete u1 h1 a => completed
        1s adopt v2 b.mp4 999 h1 => not found
        1s adopt v2 a.mp4 1000 h1 => completed
        is v2 gone
        1s adopt v2 b.mp4 1000 h1 => completed
        is v2 probing
        is h1 2
        2s adopt v3 b.mp4 1000 h1 => completed
        is v3 gone
        2s delete v1
        is h1 1
        ",
    );
    assert!(world.catalog.has_original_of_size(1000));
    assert!(!world.catalog.has_original_of_size(999));
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
        9s assign v1/audio b => epoch 2
        9s publish v1/audio 1 => stale
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

#[test]
fn an_edit_proxy_is_made_at_any_time_and_stands_alone() {
    check_after_rendering(
        "
        4s proxy p1 v1 none => not found
        4s proxy p1 v2 prores-proxy => not found
        4s proxy p1 v1 prores-proxy
        4s proxy p1 v1 prores-proxy => already
        4s proxy p1 v1 prores-lt => exists
        is p1 queued
        4s assign p1/proxy b => epoch 1
        is p1 rendering
        5s finish p1/proxy 1 b 1499 => 1499 frames long instead of 1500
        5s finish p1/proxy 1 b 1500
        5s publish p1/proxy 1
        5s publish p1
        is p1 ready
        is v1 rendering
        6s proxy p2 v1 dnxhr-lb
        6s assign p2/proxy b => epoch 1
        7s fail p2/proxy 1 b input
        is p2 failed
        is v1 rendering
        7s retry p2/proxy
        is p2 queued
        8s fail v1/piece-0000 1 a input
        is v1 failed test
        is p2 queued
        8s cancel p2/proxy
        is p2 failed
        is retired 0
        9s unproxy p2
        is p2 gone
        is retired 1
        9s unproxy p2 => not found
        10s delete v1
        is p1 gone
        is retired 3
        ",
    );
}

#[test]
fn a_proxy_keeps_the_preset_that_it_was_asked_for_with() {
    let world = check_after_rendering(
        "
        4s preset own 540
        4s preset own 540 => already
        4s proxy p1 v1 own
        4s preset own 270
        4s proxy p2 v1 own
        4s unpreset own
        4s unpreset own => not found
        4s unpreset prores-lt => built in
        4s preset prores-lt 270 => built in
        4s preset Own 270 => not usable: its name is not 1 to 40 of a-z, 0-9 and -
        4s preset own 5000 => not usable: 5000 lines are not between 64 and 4320
        4s proxy p3 v1 own => not found
        ",
    );
    let told = |name: &str| {
        let proxy = world.catalog.proxy(proxy(name)).expect("it was made");
        (proxy.preset.version, proxy.preset.lines)
    };
    assert_eq!((told("p1"), told("p2")), ((1, 540), (2, 270)));
}

#[test]
fn a_video_has_only_so_many_proxies() {
    use std::fmt::Write as _;

    let mut script = String::new();
    for number in 1..=32 {
        writeln!(script, "4s proxy p{number} v1 prores-lt").expect("a string takes all");
    }
    check_after_rendering(&format!("{script}\n4s proxy p33 v1 prores-lt => limit 32"));
}

#[test]
fn a_viewer_may_wish_for_pieces_that_wait_and_for_nothing_else() {
    let mut world = check(
        "
        0s announce a
        0s open u1 v1 a.mp4 1000 a => opened
        1s complete u1 h1 a => completed
        1s want v1/piece-0000 => not found
        2s assign v1/probe a => epoch 1
        ",
    );
    // One that can be entered anywhere, so it is cut into pieces.
    let mut facts = probe(1280, 720, 3000, true);
    facts.video.random_access = true;
    let probed = Command::FinishJob {
        job: job(&world, "v1/probe"),
        epoch: 1,
        node: NodeId(1),
        result: JobResult::Probe(Box::new(facts)),
    };
    world.apply(at_ms(3000), probed);
    for line in [
        "4s want v1/piece-0001 => done",
        "4s want v1/audio => nothing that a viewer could wait for",
        "4s want v1/stills => nothing that a viewer could wait for",
        "4s want v1/piece-0999 => nothing that a viewer could wait for",
        "5s want v1/piece-0002 => done",
        "6s want v1/piece-0002 => done",
        "7s want v1/piece-0003 => done",
    ] {
        let (input, expected) = line.split_once(" => ").expect("an answer");
        let (secs, words) = input.split_once("s ").expect("a time");
        let at = at_ms(secs.parse::<i64>().expect("a number") * 1000);
        let words: Vec<&str> = words.split(' ').collect();
        let command = command_of(&world, at, &words);
        assert_eq!(answer_of(&world.apply(at, command)), expected, "{line}");
        world.assert_sound();
    }
    let wanted = |world: &World, secs: i64| -> Vec<Unit> {
        let wishes = world.catalog.wishes().iter();
        let live = wishes.filter(|wish| at_ms(secs * 1000) <= wish.until);
        live.map(|wish| wish.unit).collect()
    };
    // The newest two of a video, each for a minute from when it was last said.
    assert_eq!(wanted(&world, 10), [Unit::Piece(2), Unit::Piece(3)]);
    assert_eq!(wanted(&world, 67), [Unit::Piece(3)]);
    assert_eq!(wanted(&world, 68), []);
    let job = find_job(&world, "v1/piece-0003").expect("it waits");
    assert!(world.catalog.is_wanted(job, at_ms(60_000)));
    assert!(!world.catalog.is_wanted(job, at_ms(68_000)));
    let assign = command_of(&world, at_ms(8000), &["assign", "v1/piece-0003", "a"]);
    world.apply(at_ms(8000), assign);
    world.assert_sound();
}

#[test]
fn a_token_keeps_no_more_than_its_quota() {
    check(
        "
        0s announce a
        0s token 1 alice 1000
        0s token 1 alice 1000 => already
        0s token 2 alice => exists
        0s token 2 bob
        1s open-as 1 u1 v1 a.mov 600 a => opened
        1s open-as 1 u1 v1 a.mov 600 a => opened
        is used:alice 600
        1s open-as 1 u2 v2 b.mov 401 a => limit 1000
        1s open-as 1 u2 v2 b.mov 400 a => opened
        is used:alice 1000
        1s open-as 3 u3 v3 c.mov 1 a => not found
        1s open-as 2 u3 v3 c.mov 999999 a => opened
        2s abort u2
        is used:alice 600
        2s complete u1 h1 a => completed
        is used:alice 600
        3s delete v1
        is used:alice 0
        3s open-as 1 u4 v4 d.mov 1000 a => opened
        4s quota alice 10
        4s open-as 1 u5 v5 e.mov 1 a => limit 10
        4s quota alice
        4s open-as 1 u5 v5 e.mov 1 a => opened
        5s revoke alice
        5s revoke alice => not found
        is used:alice gone
        5s open-as 1 u6 v6 f.mov 1 a => not found
        is v4 uploading
        is used:bob 999999
        ",
    );
}
