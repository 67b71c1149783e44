//! Yesterday's bytes still decode: every command and every record as it was first written.
//!
//! A line that is there is never changed. A new variant gets a new line: run the test with
//! `REELMESH_BLESS=1`, which adds the missing ones.

mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bincode::{Decode, Encode};
use coordinator::catalog::access::{AccessCommand, ApiToken, Charge};
use coordinator::catalog::clip::Clip;
use coordinator::catalog::cluster::{ClusterCommand, Token, TokenUse};
use coordinator::catalog::command::{Command, JobResult, UnitTotals};
use coordinator::catalog::delivery::{DeliveryCommand, Secret, SigningKey, Wish};
use coordinator::catalog::generation::{Generation, Stage, UnitState};
use coordinator::catalog::ingest::{IngestCommand, Mirror};
use coordinator::catalog::job::{Job, Kind, State, Work};
use coordinator::catalog::labels::{Bin, Labels};
use coordinator::catalog::marker::{Comment, Marker, Resolved};
use coordinator::catalog::node::Role;
use coordinator::catalog::proxy::{Proxy, ProxyCommand, ProxyRecord};
use coordinator::catalog::review::ReviewCommand;
use coordinator::catalog::session::{Request, RequestId, Session, SessionId};
use coordinator::catalog::settings::Settings;
use coordinator::catalog::snapshot::Record;
use coordinator::catalog::strike::Strikes;
use coordinator::catalog::upload::Upload;
use coordinator::catalog::video::{Status, Video};
use coordinator::catalog::{Rejection, Reply};
use protocol::clip::Mode;
use protocol::codec;
use protocol::failure::FailureClass;
use protocol::id::{ClipId, GenerationId, JobId, NodeId};
use protocol::job::{Progress, Unit};
use protocol::marker::Colour;
use protocol::media::{FrameRange, Rendition, Resolution};
use protocol::preset::{BurnIn, EditCodec, Lut, Preset};
use protocol::probe::SourceTimecode;
use world::{
    at_ms, bin_id, blob, comment_id, failure, file_key, marker_id, node, probe, proxy_id,
    upload_id, video_id,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.txt");

fn job_id() -> JobId {
    JobId::derived(at_ms(0), 5, 6)
}

fn generation_id() -> GenerationId {
    GenerationId::derived(at_ms(0), 7, 8)
}

fn clip_id() -> ClipId {
    ClipId::derived(at_ms(0), 9, 10)
}

fn request_id() -> RequestId {
    RequestId {
        session: SessionId {
            node: NodeId(3),
            start: 0x1234_5678_9abc_def0,
        },
        number: 300,
        answered_below: 299,
    }
}

fn session() -> Session {
    let replies = [(299, Ok(Reply::Done)), (300, Err(Rejection::Answered))];
    Session {
        id: request_id().session,
        last_at: at_ms(3),
        answered_below: 299,
        replies: BTreeMap::from(replies),
    }
}

fn strikes() -> Strikes {
    Strikes {
        node: NodeId(2),
        work: Work::Clip,
        in_a_row: 3,
        videos: 2,
        last_video: video_id(1),
        why: "The worker crashed.".to_owned(),
        bars: 1,
        barred_until: Some(at_ms(600_000)),
    }
}

const fn totals() -> UnitTotals {
    UnitTotals {
        objects: 37,
        size_bytes: 123_456_789,
        frames: 1500,
    }
}

fn full_probe() -> protocol::probe::Probe {
    let mut probe = probe(1920, 1080, 1500, true);
    probe.timecode = Some(SourceTimecode {
        text: "01:00:00;00".to_owned(),
        drop_frame: true,
        source: "tmcd".to_owned(),
    });
    probe.remarks = vec!["The frame rate varies.".to_owned()];
    probe
}

/// Exhaustive, so that a new variant cannot be forgotten here.
fn name_of_command(command: &Command) -> &'static str {
    match command {
        Command::AnnounceNode { .. } => "announce_node",
        Command::SetSettings { .. } => "set_settings",
        Command::OpenUpload { .. } => "open_upload",
        Command::CompleteUpload { .. } => "complete_upload",
        Command::AbortUpload { .. } => "abort_upload",
        Command::AssignJob { .. } => "assign_job",
        Command::RenewLease { .. } => "renew_lease",
        Command::FinishJob {
            result: JobResult::Probe(_),
            ..
        } => "finish_job_probe",
        Command::FinishJob {
            result: JobResult::Unit(_),
            ..
        } => "finish_job_unit",
        Command::FailJob { .. } => "fail_job",
        Command::ReleaseJob { .. } => "release_job",
        Command::RetryJob { .. } => "retry_job",
        Command::CancelJob { .. } => "cancel_job",
        Command::PublishUnit { .. } => "publish_unit",
        Command::LoseUnit { .. } => "lose_unit",
        Command::PublishGeneration { .. } => "publish_generation",
        Command::RenameVideo { .. } => "rename_video",
        Command::DeleteVideo { .. } => "delete_video",
        Command::ForgetGeneration { .. } => "forget_generation",
        Command::CreateClip { .. } => "create_clip",
        Command::ChangeClip { .. } => "change_clip",
        Command::DeleteClip { .. } => "delete_clip",
        Command::RenderClip { .. } => "render_clip",
        Command::Cluster(command) => match command {
            ClusterCommand::CreateToken { .. } => "cluster_create_token",
            ClusterCommand::AdmitNode { .. } => "cluster_admit_node",
            ClusterCommand::PlaceNode { .. } => "cluster_place_node",
            ClusterCommand::DrainNode { .. } => "cluster_drain_node",
            ClusterCommand::RemoveNode { .. } => "cluster_remove_node",
            ClusterCommand::AddCopy { .. } => "cluster_add_copy",
            ClusterCommand::DropCopy { .. } => "cluster_drop_copy",
        },
        Command::Ingest(command) => match command {
            IngestCommand::Open { .. } => "ingest_open",
            IngestCommand::Move { .. } => "ingest_move",
            IngestCommand::Mirror { .. } => "ingest_mirror",
            IngestCommand::Adopt { .. } => "ingest_adopt",
        },
        Command::Proxy(command) => match command {
            ProxyCommand::Create { .. } => "proxy_create",
            ProxyCommand::Delete { .. } => "proxy_delete",
            ProxyCommand::SavePreset { .. } => "proxy_save_preset",
            ProxyCommand::DeletePreset { .. } => "proxy_delete_preset",
            ProxyCommand::SaveLut { .. } => "proxy_save_lut",
            ProxyCommand::DeleteLut { .. } => "proxy_delete_lut",
        },
        Command::Review(command) => match command {
            ReviewCommand::Label { .. } => "review_label",
            ReviewCommand::CreateBin { .. } => "review_create_bin",
            ReviewCommand::RenameBin { .. } => "review_rename_bin",
            ReviewCommand::DeleteBin { .. } => "review_delete_bin",
            ReviewCommand::OrderClips { .. } => "review_order_clips",
            ReviewCommand::CreateMarker { .. } => "review_create_marker",
            ReviewCommand::ChangeMarker { .. } => "review_change_marker",
            ReviewCommand::DeleteMarker { .. } => "review_delete_marker",
            ReviewCommand::CreateComment { .. } => "review_create_comment",
            ReviewCommand::ChangeComment { .. } => "review_change_comment",
            ReviewCommand::DeleteComment { .. } => "review_delete_comment",
        },
        Command::Delivery(command) => match command {
            DeliveryCommand::AddKey { .. } => "delivery_add_key",
            DeliveryCommand::WantUnit { .. } => "delivery_want_unit",
        },
        Command::Access(command) => match command {
            AccessCommand::CreateToken { .. } => "access_create_token",
            AccessCommand::RevokeToken { .. } => "access_revoke_token",
            AccessCommand::SetQuota { .. } => "access_set_quota",
            AccessCommand::OpenUpload { .. } => "access_open_upload",
        },
    }
}

const COMMANDS: usize = 57;

fn commands() -> Vec<Command> {
    let (job, generation, video) = (job_id(), generation_id(), video_id(3));
    let (epoch, unit) = (4, Unit::Piece(2));
    let mut announced = node(2);
    announced.draining = true;
    let mut commands = vec![
        Command::AnnounceNode {
            node: Box::new(announced),
        },
        Command::SetSettings {
            settings: Settings::default(),
        },
        Command::OpenUpload {
            upload: upload_id(1),
            video,
            filename: "Ünïcode 名.mov".to_owned(),
            size_bytes: 1 << 33,
            node: NodeId(1),
        },
        Command::CompleteUpload {
            upload: upload_id(1),
            blob: blob(1),
            node: NodeId(1),
        },
        Command::AbortUpload {
            upload: upload_id(1),
        },
        Command::AssignJob {
            job,
            node: NodeId(300),
            lease_until: at_ms(15_000),
        },
        Command::RenewLease {
            job,
            epoch,
            node: NodeId(1),
            lease_until: at_ms(-1),
            progress: Progress {
                done: 251,
                total: 70_000,
            },
        },
        Command::FinishJob {
            job,
            epoch,
            node: NodeId(1),
            result: JobResult::Probe(Box::new(full_probe())),
        },
        Command::FinishJob {
            job,
            epoch,
            node: NodeId(1),
            result: JobResult::Unit(totals()),
        },
        Command::FailJob {
            job,
            epoch,
            node: NodeId(1),
            failure: failure(FailureClass::Verification),
        },
        Command::ReleaseJob {
            job,
            epoch,
            reason: "the lease lapsed".to_owned(),
        },
        Command::RetryJob { job },
        Command::CancelJob { job },
        Command::PublishUnit {
            generation,
            unit,
            epoch,
        },
        Command::LoseUnit {
            generation,
            unit: Unit::Audio,
            epoch,
        },
        Command::PublishGeneration { generation },
        Command::RenameVideo {
            video,
            filename: "b.mp4".to_owned(),
        },
        Command::DeleteVideo { video },
        Command::ForgetGeneration { generation },
    ];
    commands.extend(cluster_commands().map(Command::Cluster));
    commands.extend(ingest_commands().map(Command::Ingest));
    commands.extend(proxy_commands().map(Command::Proxy));
    commands.extend(delivery_commands().map(Command::Delivery));
    commands.extend(access_commands().map(Command::Access));
    commands
}

fn access_commands() -> [AccessCommand; 4] {
    let name = "edit bay 名".to_owned();
    [
        AccessCommand::CreateToken {
            token: blob(1),
            name: name.clone(),
            quota_bytes: Some(500 << 30),
        },
        AccessCommand::RevokeToken { name: name.clone() },
        AccessCommand::SetQuota {
            name,
            quota_bytes: None,
        },
        AccessCommand::OpenUpload {
            token: blob(1),
            upload: upload_id(1),
            video: video_id(3),
            filename: "a.mov".to_owned(),
            size_bytes: 1 << 33,
            node: NodeId(1),
            key: None,
        },
    ]
}

fn cluster_commands() -> [ClusterCommand; 7] {
    let (node, video, blob) = (NodeId(2), video_id(3), blob(1));
    [
        ClusterCommand::CreateToken {
            token: blob,
            role: Role::Worker,
            expires_at: at_ms(3_600_000),
        },
        ClusterCommand::AdmitNode {
            token: blob,
            key: world::blob(2),
            name: "edge-2".to_owned(),
            site: "berlin".to_owned(),
            address: "10.0.0.2:7443".to_owned(),
        },
        ClusterCommand::PlaceNode {
            node,
            site: "berlin".to_owned(),
            role: Role::Voter,
            address: "10.0.0.2:7443".to_owned(),
        },
        ClusterCommand::DrainNode {
            node,
            draining: true,
        },
        ClusterCommand::RemoveNode { node },
        ClusterCommand::AddCopy { video, blob, node },
        ClusterCommand::DropCopy { video, blob, node },
    ]
}

fn ingest_commands() -> [IngestCommand; 4] {
    let (upload, node) = (upload_id(1), NodeId(2));
    [
        IngestCommand::Open {
            upload,
            video: video_id(3),
            filename: "a.mov".to_owned(),
            size_bytes: 1 << 33,
            node,
            key: file_key(1),
        },
        IngestCommand::Move {
            upload,
            from: NodeId(1),
            to: node,
        },
        IngestCommand::Mirror {
            upload,
            node,
            mirror: Some(Mirror {
                node: NodeId(3),
                is_complete: false,
            }),
        },
        IngestCommand::Adopt {
            video: video_id(4),
            filename: "b.mov".to_owned(),
            size_bytes: 1 << 33,
            blob: blob(1),
        },
    ]
}

fn preset() -> Preset {
    Preset {
        name: "own-1".to_owned(),
        version: 3,
        codec: EditCodec::DnxhrLb,
        lines: 540,
        lut: Some(lut().hash()),
        burn_in: BurnIn {
            timecode: true,
            name: false,
        },
    }
}

fn lut() -> Lut {
    Lut {
        name: "Täg".to_owned(),
        size: 2,
        table: (0..24).map(|number| number * 2849).collect(),
    }
}

fn proxy_commands() -> [ProxyCommand; 6] {
    let proxy = proxy_id(1);
    [
        ProxyCommand::Create {
            proxy,
            video: video_id(3),
            preset: "prores-proxy".to_owned(),
        },
        ProxyCommand::Delete { proxy },
        ProxyCommand::SavePreset { preset: preset() },
        ProxyCommand::DeletePreset {
            name: "own-1".to_owned(),
        },
        ProxyCommand::SaveLut {
            lut: Box::new(lut()),
        },
        ProxyCommand::DeleteLut { lut: lut().hash() },
    ]
}

fn proxy_records() -> [(&'static str, Record); 3] {
    let proxy = Proxy {
        id: proxy_id(1),
        video: video_id(3),
        preset: preset(),
        created_at: at_ms(0),
        rendering: None,
        rendered: Some(generation_id()),
        failure: Some(failure(FailureClass::Input)),
    };
    [
        ("proxy", Record::Proxy(ProxyRecord::Proxy(proxy))),
        ("preset", Record::Proxy(ProxyRecord::Preset(preset()))),
        ("lut", Record::Proxy(ProxyRecord::Lut(lut()))),
    ]
}

fn review_commands() -> [ReviewCommand; 11] {
    let (video, bin, marker, comment) = (video_id(3), bin_id(1), marker_id(2), comment_id(3));
    let (text, author) = ("Zu dunkel 名\nhier".to_owned(), "Ruth".to_owned());
    [
        ReviewCommand::Label {
            videos: vec![video],
            add_tags: vec!["Day 4".to_owned()],
            remove_tags: vec!["day 3".to_owned()],
            add_bins: vec![bin],
            remove_bins: vec![bin_id(2)],
        },
        ReviewCommand::CreateBin {
            bin,
            name: "Dailies".to_owned(),
        },
        ReviewCommand::RenameBin {
            bin,
            name: "Rushes".to_owned(),
        },
        ReviewCommand::DeleteBin { bin },
        ReviewCommand::OrderClips {
            video,
            clips: vec![clip_id()],
        },
        ReviewCommand::CreateMarker {
            marker,
            video,
            frames: FrameRange { start: 1, end: 2 },
            colour: Colour::Magenta,
            text: text.clone(),
            author: author.clone(),
        },
        ReviewCommand::ChangeMarker {
            marker,
            frames: Some(FrameRange { start: 1, end: 300 }),
            colour: Some(Colour::Blue),
            text: Some(text.clone()),
            resolved: Some(true),
            by: author.clone(),
        },
        ReviewCommand::DeleteMarker { marker },
        ReviewCommand::CreateComment {
            comment,
            marker,
            text: text.clone(),
            author,
        },
        ReviewCommand::ChangeComment { comment, text },
        ReviewCommand::DeleteComment { comment },
    ]
}

fn delivery_commands() -> [DeliveryCommand; 2] {
    [
        DeliveryCommand::AddKey {
            after: 1,
            secret: Secret([7; 32]),
        },
        DeliveryCommand::WantUnit {
            generation: generation_id(),
            unit: Unit::Piece(300),
        },
    ]
}

fn clip_commands() -> Vec<Command> {
    let video = video_id(3);
    vec![
        Command::CreateClip {
            clip: clip_id(),
            video,
            name: "Täke 名".to_owned(),
            frames: FrameRange {
                start: 300,
                end: 70_000,
            },
            mode: Mode::Instant,
        },
        Command::ChangeClip {
            clip: clip_id(),
            name: Some("a".to_owned()),
            frames: Some(FrameRange { start: 1, end: 2 }),
            mode: Some(Mode::Encode),
        },
        Command::DeleteClip { clip: clip_id() },
        Command::RenderClip { clip: clip_id() },
    ]
}

fn signing_key() -> Record {
    Record::SigningKey(SigningKey {
        id: 2,
        secret: Secret([7; 32]),
        added_at: at_ms(0),
    })
}

fn wish() -> Record {
    Record::Wish(Wish {
        generation: generation_id(),
        unit: Unit::Piece(300),
        until: at_ms(60_000),
    })
}

fn token() -> Record {
    Record::Token(Token {
        hash: blob(1),
        role: Role::Learner,
        expires_at: at_ms(3_600_000),
        used_by: Some(TokenUse {
            node: NodeId(2),
            key: blob(2),
        }),
    })
}

fn video() -> Video {
    Video {
        id: video_id(3),
        filename: "a.mp4".to_owned(),
        size_bytes: 1 << 33,
        created_at: at_ms(0),
        upload: Some(upload_id(1)),
        blob: Some(blob(1)),
        copies: vec![NodeId(1), NodeId(2)],
        probe: Some(Box::new(full_probe())),
        published: Some(generation_id()),
        building: None,
        failure: Some(failure(FailureClass::Internal)),
        status: Status::Ready,
        labels: Labels {
            tags: ["Day 4".to_owned()].into(),
            bins: [bin_id(1)].into(),
        },
    }
}

fn records() -> Vec<(&'static str, Record)> {
    let rendition = Rendition {
        name: "720p".to_owned(),
        resolution: Resolution {
            width: 1280,
            height: 720,
        },
        video_kbps: 2800,
    };
    let rendered = UnitState::Rendered {
        node: NodeId(2),
        epoch: 3,
        totals: totals(),
    };
    let generation = Generation {
        id: generation_id(),
        video: video_id(3),
        created_at: at_ms(0),
        renditions: vec![rendition],
        gop_frames: 50,
        segment_frames: 150,
        cuts: vec![0, 180],
        encoded_because: "its key pictures lie up to 10.0 s apart".to_owned(),
        audio_kbps: 128,
        audio_track: Some(0),
        pieces: vec![FrameRange {
            start: 0,
            end: 1500,
        }],
        units: [
            (Unit::Piece(0), rendered),
            (Unit::Audio, UnitState::Published { totals: totals() }),
            (Unit::Stills, UnitState::Pending),
        ]
        .into(),
        stage: Stage::Building,
    };
    let job = |state| Job {
        id: job_id(),
        video: video_id(3),
        kind: Kind::Unit {
            generation: generation_id(),
            unit: Unit::Stills,
        },
        state,
        epoch: 4,
        failed_attempts: 1,
        lost_attempts: 2,
        created_at: at_ms(0),
        started_at: Some(at_ms(1)),
        finished_at: None,
        not_before: at_ms(2),
        failure: Some(failure(FailureClass::Crashed)),
        last_node: Some(NodeId(2)),
    };
    let running = State::Running {
        node: NodeId(2),
        lease_until: at_ms(15_000),
        progress: Progress { done: 1, total: 3 },
    };
    let mut probing = job(State::Waiting);
    probing.kind = Kind::Probe;
    [
        (
            "head",
            Record::Head {
                settings: Settings::default(),
                at: at_ms(0),
            },
        ),
        ("video", Record::Video(video())),
        (
            "upload",
            Record::Upload(Upload {
                id: upload_id(1),
                video: video_id(3),
                node: NodeId(1),
                opened_at: at_ms(0),
                key: Some(file_key(1)),
                mirror: Some(Mirror {
                    node: NodeId(2),
                    is_complete: true,
                }),
            }),
        ),
        ("generation", Record::Generation(generation)),
        ("job_probe_waiting", Record::Job(probing)),
        ("job_running", Record::Job(job(running))),
        ("job_done", Record::Job(job(State::Done))),
        ("job_failed", Record::Job(job(State::Failed))),
        ("job_cancelled", Record::Job(job(State::Cancelled))),
        ("node", Record::Node(node(1))),
        ("clip", Record::Clip(clip())),
        ("token", token()),
        ("signing_key", signing_key()),
        ("wish", wish()),
    ]
    .into_iter()
    .chain(access_records())
    .collect()
}

fn access_records() -> [(&'static str, Record); 4] {
    [
        ("session", Record::Session(session())),
        ("strikes", Record::Strikes(strikes())),
        (
            "api_token",
            Record::ApiToken(ApiToken {
                hash: blob(1),
                name: "edit bay".to_owned(),
                quota_bytes: Some(500 << 30),
                used_bytes: 1 << 33,
                created_at: at_ms(0),
            }),
        ),
        (
            "charge",
            Record::Charge(Charge {
                video: video_id(3),
                token: blob(1),
                size_bytes: 1 << 33,
            }),
        ),
    ]
}

fn clip() -> Clip {
    Clip {
        id: clip_id(),
        video: video_id(3),
        name: "Täke 名".to_owned(),
        frames: FrameRange {
            start: 300,
            end: 70_000,
        },
        mode: Mode::Smart,
        created_at: at_ms(0),
        rendering: Some(generation_id()),
        rendered: None,
        failure: Some(failure(FailureClass::Crashed)),
        rank: Some(3),
    }
}

fn notes() -> [(&'static str, Record); 3] {
    [
        (
            "bin",
            Record::Bin(Bin {
                id: bin_id(1),
                name: "Dailies".to_owned(),
                created_at: at_ms(0),
            }),
        ),
        (
            "marker",
            Record::Marker(Marker {
                id: marker_id(2),
                video: video_id(3),
                frames: FrameRange { start: 1, end: 300 },
                colour: Colour::Cyan,
                text: "Zu dunkel 名\nhier".to_owned(),
                author: "Ruth".to_owned(),
                created_at: at_ms(0),
                edited_at: Some(at_ms(1)),
                resolved: Some(Resolved {
                    at: at_ms(2),
                    by: "Jan".to_owned(),
                }),
            }),
        ),
        (
            "comment",
            Record::Comment(Comment {
                id: comment_id(3),
                video: video_id(3),
                marker: marker_id(2),
                text: "Heller".to_owned(),
                author: String::new(),
                created_at: at_ms(0),
                edited_at: None,
            }),
        ),
    ]
}

#[test]
fn yesterdays_bytes_still_decode() {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let known: BTreeMap<&str, &str> = text.lines().filter_map(|l| l.split_once(' ')).collect();
    let mut missing = String::new();
    let mut commands = commands();
    commands.extend(clip_commands());
    commands.extend(review_commands().map(Command::Review));
    let names: std::collections::BTreeSet<_> = commands.iter().map(name_of_command).collect();
    assert_eq!(names.len(), COMMANDS, "one sample of every command");
    for command in commands {
        let name = format!("command_{}", name_of_command(&command));
        check(&known, &mut missing, &name, &command);
    }
    let request = Request {
        id: Some(request_id()),
        command: Command::RetryJob { job: job_id() },
    };
    check(&known, &mut missing, "request", &request);
    let records = records().into_iter().chain(proxy_records());
    for (name, record) in records.chain(notes()) {
        check(&known, &mut missing, &format!("record_{name}"), &record);
    }
    if std::env::var_os("REELMESH_BLESS").is_some() {
        std::fs::write(FILE, text + &missing).expect("the repository can be written");
    } else {
        assert!(missing.is_empty(), "not in {FILE}:\n{missing}");
    }
}

#[track_caller]
fn check<T>(known: &BTreeMap<&str, &str>, missing: &mut String, name: &str, value: &T)
where
    T: Encode + Decode<()> + PartialEq + std::fmt::Debug,
{
    let bytes = codec::encode(value).expect("samples are small");
    let Some(hex) = known.get(name) else {
        writeln!(missing, "{name} {}", to_hex(&bytes)).expect("a string takes all");
        return;
    };
    let decoded: T = codec::decode(&from_hex(hex)).expect("old bytes decode");
    assert_eq!(&decoded, value, "{name}");
    assert_eq!(to_hex(&bytes), *hex, "{name} is written differently now");
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}
