//! A catalogue to try things on: short names for ids, a log, and commands made from a few numbers.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    reason = "each test binary uses its own share"
)]

use std::collections::BTreeMap;

use coordinator::catalog::command::{JobResult, UnitTotals};
use coordinator::catalog::generation::Stage;
use coordinator::catalog::ingest::{IngestCommand, Mirror};
use coordinator::catalog::invariant;
use coordinator::catalog::job::{Job, Kind, State};
use coordinator::catalog::node::{Node, Role};
use coordinator::catalog::proxy::ProxyCommand;
use coordinator::catalog::review::ReviewCommand;
use coordinator::catalog::{Catalog, Command, Outcome, Stamp};
use protocol::clip::Mode;
use protocol::codec;
use protocol::failure::{Failure, FailureClass};
use protocol::id::{
    BinId, BlobHash, ClipId, CommentId, MarkerId, NodeId, ProxyId, UploadId, VideoId,
};
use protocol::job::{Progress, Unit};
use protocol::marker::Colour;
use protocol::media::{FrameRange, FrameRate, Resolution};
use protocol::preset::{BurnIn, EditCodec, Preset};
use protocol::probe::{AudioTrack, Probe, VideoTrack};
use protocol::time::{Span, Timestamp};
use protocol::upload::{ChunkHash, FileKey};
use protocol::vitals::Vitals;

/// Scripts count from here.
pub const START_MS: i64 = 1_795_377_600_000;

/// A catalogue, and every command that made it.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub catalog: Catalog,
    pub log: Vec<(Stamp, Command)>,
}

impl World {
    pub fn apply(&mut self, at: Timestamp, command: Command) -> Outcome {
        let stamp = Stamp {
            // Two commands an entry, as a batch would have them.
            index: 1 + self.log.len() as u64 / 2,
            sequence: (self.log.len() % 2) as u16,
            at,
        };
        self.log.push((stamp, command.clone()));
        self.catalog.apply(stamp, command)
    }

    pub fn assert_sound(&self) {
        let violations = invariant::check(&self.catalog);
        assert!(
            violations.is_empty(),
            "{violations:#?}\nafter {:#?}",
            self.log.last()
        );
    }
}

/// All records as bytes: what a snapshot would hold.
pub fn bytes_of(catalog: &Catalog) -> Vec<u8> {
    catalog
        .records()
        .flat_map(|record| codec::encode(&record).expect("records are small"))
        .collect()
}

pub fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

pub fn upload_id(number: u64) -> UploadId {
    UploadId::derived(at_ms(0), number, 1)
}

pub fn video_id(number: u64) -> VideoId {
    VideoId::derived(at_ms(0), number, 2)
}

pub fn clip_id(number: u64) -> ClipId {
    ClipId::derived(at_ms(0), number, 3)
}

pub fn proxy_id(number: u64) -> ProxyId {
    ProxyId::derived(at_ms(0), number, 7)
}

pub fn preset(name: &str, lines: u32) -> Preset {
    Preset {
        name: name.to_owned(),
        version: 0,
        codec: EditCodec::ProresLt,
        lines,
        lut: None,
        burn_in: BurnIn::default(),
    }
}

pub fn bin_id(number: u64) -> BinId {
    BinId::derived(at_ms(0), number, 4)
}

pub fn marker_id(number: u64) -> MarkerId {
    MarkerId::derived(at_ms(0), number, 5)
}

pub fn comment_id(number: u64) -> CommentId {
    CommentId::derived(at_ms(0), number, 6)
}

pub fn blob(number: u64) -> BlobHash {
    BlobHash::of(&number.to_be_bytes())
}

pub fn file_key(number: u64) -> FileKey {
    let hash = ChunkHash::from_bytes([0; 32]);
    FileKey::new("a.mov", number, at_ms(0), &hash, &hash)
}

pub fn node(id: u64) -> Node {
    Node {
        id: NodeId(id),
        name: char::from(b'a' + (id as u8 - 1) % 26).to_string(),
        site: "here".to_owned(),
        role: Role::Voter,
        version: "0.1.0".to_owned(),
        slots: 1,
        cpu_cores: 4,
        encoders: vec!["x264enc".to_owned()],
        sandbox: "full".to_owned(),
        draining: false,
        announced_at: Timestamp::default(),
        address: String::new(),
        removed_at: None,
    }
}

pub fn vitals(node: NodeId, at: Timestamp) -> Vitals {
    Vitals {
        node,
        at,
        cpu_permille: 100,
        memory_total_bytes: 8 << 30,
        memory_used_bytes: 1 << 30,
        disk_total_bytes: 100 << 30,
        disk_free_bytes: 50 << 30,
        applied: 0,
        disk_reserve_bytes: 1 << 30,
        link_bytes_per_s: 0,
        rest: None,
    }
}

pub fn fresh_vitals(catalog: &Catalog, at: Timestamp) -> BTreeMap<NodeId, Vitals> {
    (catalog.nodes())
        .map(|node| (node.id, vitals(node.id, at)))
        .collect()
}

pub fn probe(width: u32, height: u32, frames: u64, sound: bool) -> Probe {
    let size = Resolution { width, height };
    let track = AudioTrack {
        codec: "aac".to_owned(),
        channels: 2,
        sample_rate: 48_000,
        language: Some("eng".to_owned()),
        duration_ns: 1_000_000_000,
        label: None,
        layout: "stereo".to_owned(),
        sample_bits: 0,
    };
    Probe {
        container: "mp4".to_owned(),
        web: protocol::probe::Web::default(),
        video: VideoTrack {
            codec: "h264".to_owned(),
            coded: size,
            display: size,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: FrameRate::new(25, 1).expect("not zero"),
            variable_frame_rate: false,
            frames,
            duration_ns: frames * 40_000_000,
            bit_depth: 8,
            chroma: "4:2:0".to_owned(),
            field_order: "progressive".to_owned(),
            colorimetry: "bt709".to_owned(),
            colour: protocol::probe::Colour::default(),
            hdr: false,
            // Both kinds, so that some videos are cut into pieces.
            random_access: !frames.is_multiple_of(2),
        },
        audio: if sound { vec![track] } else { Vec::new() },
        timecode: None,
        reel: None,
        remarks: Vec::new(),
    }
}

pub fn failure(class: FailureClass) -> Failure {
    Failure::new(class, "test", "It did not work.", "nothing to add")
}

/// The result that an honest node would bring for `job`.
pub fn result_of(catalog: &Catalog, job: &Job) -> JobResult {
    match job.kind {
        Kind::Probe => JobResult::Probe(Box::new(probe(1920, 1080, 1500, true))),
        Kind::Unit { generation, unit } => {
            let piece = |number: u32| {
                let generation = catalog.generation(generation).expect("jobs have one");
                generation.pieces[number as usize].len()
            };
            JobResult::Unit(UnitTotals {
                objects: 3,
                size_bytes: 1000,
                frames: match unit {
                    Unit::Piece(number) => piece(number),
                    Unit::Clip | Unit::Proxy => piece(0),
                    Unit::Audio | Unit::Stills => 0,
                },
            })
        }
    }
}

/// A note of some kind, about what may be there.
pub fn some_note(pick: u16, twist: u8) -> ReviewCommand {
    let number = u64::from(pick % 6);
    let odd = twist.is_multiple_of(8);
    let text = ["fine", "two\nlines", "", "\u{7}"][usize::from(pick % 4)].to_owned();
    let author = ["Ruth", ""][usize::from(pick % 2)].to_owned();
    let marker = marker_id(u64::from(pick % 5));
    let comment = comment_id(u64::from(pick % 7));
    let bin = bin_id(u64::from(pick % 3));
    match twist % 11 {
        0 => ReviewCommand::CreateBin {
            bin,
            name: ["A", "a", "B", ""][usize::from(pick % 4)].to_owned(),
        },
        1 => ReviewCommand::RenameBin {
            bin,
            name: ["A", "C"][usize::from(pick % 2)].to_owned(),
        },
        2 if odd => ReviewCommand::DeleteBin { bin },
        3 => ReviewCommand::OrderClips {
            video: video_id(number),
            clips: (0..u64::from(pick % 4)).rev().map(clip_id).collect(),
        },
        4 | 5 => ReviewCommand::CreateMarker {
            marker,
            video: video_id(number),
            frames: FrameRange {
                start: u64::from(pick % 700),
                end: u64::from(pick % 1600),
            },
            colour: Colour::ALL[usize::from(pick % 6)],
            text,
            author,
        },
        6 => ReviewCommand::ChangeMarker {
            marker,
            frames: odd.then_some(FrameRange { start: 1, end: 2 }),
            colour: None,
            text: pick.is_multiple_of(3).then_some(text),
            resolved: pick.is_multiple_of(2).then_some(pick.is_multiple_of(4)),
            by: author,
        },
        7 if odd => ReviewCommand::DeleteMarker { marker },
        8 => ReviewCommand::CreateComment {
            comment,
            marker,
            text,
            author,
        },
        9 => ReviewCommand::ChangeComment { comment, text },
        10 if odd => ReviewCommand::DeleteComment { comment },
        _ => ReviewCommand::Label {
            videos: (0..number).map(video_id).collect(),
            add_tags: [&["Day"][..], &["day", "x"], &["a,b"], &[]][usize::from(pick % 4)]
                .iter()
                .map(|tag| (*tag).to_owned())
                .collect(),
            remove_tags: [&["DAY"][..], &[]][usize::from(pick % 2)]
                .iter()
                .map(|tag| (*tag).to_owned())
                .collect(),
            add_bins: if odd { vec![bin] } else { Vec::new() },
            remove_bins: if pick.is_multiple_of(5) {
                vec![bin]
            } else {
                Vec::new()
            },
        },
    }
}

/// A command made of a verb and a few numbers, most of which mean something to `catalog`:
/// numbers pick among what is there.
pub fn some_command(catalog: &Catalog, at: Timestamp, verb: u8, pick: u16, twist: u8) -> Command {
    let number = u64::from(pick % 6);
    let nodes = u64::from(pick % 3) + 1;
    let jobs: Vec<&Job> = catalog.jobs().map(AsRef::as_ref).collect();
    let job = (!jobs.is_empty()).then(|| jobs[usize::from(pick) % jobs.len()]);
    let generations: Vec<_> = catalog.generations().collect();
    let generation =
        (!generations.is_empty()).then(|| generations[usize::from(pick) % generations.len()]);
    // One in eight is late or foreign.
    let odd = twist.is_multiple_of(8);
    let lease_of = |job: &Job| {
        let node = match job.state {
            State::Running { node, .. } => node,
            _ => job.last_node.unwrap_or(NodeId(nodes)),
        };
        if odd {
            (job.epoch.saturating_sub(1), NodeId(nodes))
        } else {
            (job.epoch, node)
        }
    };
    match (verb % 32, job, generation) {
        (26..=28, ..) => Command::Review(some_note(pick, twist)),
        (0, ..) => {
            let mut node = node(nodes);
            node.draining = odd;
            Command::AnnounceNode {
                node: Box::new(node),
            }
        }
        (1 | 2, ..) => Command::OpenUpload {
            upload: upload_id(number),
            video: video_id(if odd { 0 } else { number }),
            filename: ["b.mp4", "A.mov", "ärger.mkv", "", "b.mp4"][usize::from(pick % 5)]
                .to_owned(),
            size_bytes: u64::from(pick) << 28,
            node: NodeId(nodes),
        },
        (3, ..) => Command::CompleteUpload {
            upload: upload_id(number),
            blob: blob(number / 2),
            node: NodeId(nodes),
        },
        (4, ..) if odd => Command::AbortUpload {
            upload: upload_id(number),
        },
        (5, ..) if odd => {
            let mut settings = catalog.settings().clone();
            settings.max_lost_attempts = u32::from(pick % 3);
            settings.filename_max_chars = u32::from(pick % 8);
            Command::SetSettings { settings }
        }
        (6, ..) => Command::RenameVideo {
            video: video_id(number),
            filename: format!("renamed-{}.mp4", twist % 4),
        },
        (7, ..) if odd => Command::DeleteVideo {
            video: video_id(number),
        },
        (20, ..) => Command::CreateClip {
            clip: clip_id(u64::from(twist % 8)),
            video: video_id(number),
            name: ["take", "名", "", "a b"][usize::from(twist % 4)].to_owned(),
            frames: FrameRange {
                start: u64::from(pick % 700),
                end: u64::from(pick % 1600),
            },
            mode: Mode::ALL[usize::from(twist % 3)],
        },
        (21, ..) if odd => Command::DeleteClip {
            clip: clip_id(u64::from(pick % 8)),
        },
        (21, ..) => Command::ChangeClip {
            clip: clip_id(u64::from(pick % 8)),
            name: twist
                .is_multiple_of(2)
                .then(|| format!("take {}", twist % 5)),
            frames: twist.is_multiple_of(3).then_some(FrameRange {
                start: 0,
                end: u64::from(twist),
            }),
            mode: twist.is_multiple_of(5).then_some(Mode::Encode),
        },
        (24, ..) => Command::Ingest(IngestCommand::Open {
            upload: upload_id(number),
            video: video_id(number),
            filename: "c.mp4".to_owned(),
            size_bytes: u64::from(pick) << 28,
            node: NodeId(nodes),
            key: file_key(u64::from(twist % 3)),
        }),
        (25, ..) => Command::Ingest(match twist % 4 {
            0 => IngestCommand::Move {
                upload: upload_id(number),
                from: NodeId(1),
                to: NodeId(nodes),
            },
            1 => IngestCommand::Mirror {
                upload: upload_id(number),
                node: NodeId(nodes),
                mirror: odd.then_some(Mirror {
                    node: NodeId(u64::from(pick % 3)),
                    is_complete: true,
                }),
            },
            _ => IngestCommand::Adopt {
                video: video_id(u64::from(twist)),
                filename: format!("adopted-{}.mp4", twist % 5),
                size_bytes: u64::from(pick) << 28,
                blob: blob(number / 2),
            },
        }),
        (22 | 23, ..) => Command::RenderClip {
            clip: clip_id(u64::from(pick % 8)),
        },
        (29 | 30, ..) => Command::Proxy(ProxyCommand::Create {
            proxy: proxy_id(u64::from(twist % 8)),
            video: video_id(number),
            preset: ["prores-proxy", "own", "dnxhr-lb"][usize::from(pick % 3)].to_owned(),
        }),
        (31, ..) => Command::Proxy(match twist % 4 {
            0 => ProxyCommand::Delete {
                proxy: proxy_id(u64::from(pick % 8)),
            },
            1 => ProxyCommand::DeletePreset {
                name: ["own", "prores-lt"][usize::from(pick % 2)].to_owned(),
            },
            _ => ProxyCommand::SavePreset {
                preset: preset(
                    ["own", "Wrong"][usize::from(pick % 2)],
                    60 + u32::from(twist),
                ),
            },
        }),
        (8 | 9, Some(job), _) => Command::AssignJob {
            job: job.id,
            node: NodeId(nodes),
            lease_until: at + Span::from_secs(15),
        },
        (10, Some(job), _) => {
            let (epoch, node) = lease_of(job);
            Command::RenewLease {
                job: job.id,
                epoch,
                node,
                lease_until: at + Span::from_secs(u64::from(twist)),
                progress: Progress {
                    done: twist.into(),
                    total: 255,
                },
            }
        }
        (11 | 12, Some(job), _) => {
            let (epoch, node) = lease_of(job);
            let mut result = result_of(catalog, job);
            if let (JobResult::Unit(totals), true) = (&mut result, twist == 3) {
                totals.frames += 1;
            }
            Command::FinishJob {
                job: job.id,
                epoch,
                node,
                result: if twist == 5 {
                    JobResult::Probe(Box::new(probe(1920, 1080, 0, false)))
                } else {
                    result
                },
            }
        }
        (13, Some(job), _) => {
            let (epoch, node) = lease_of(job);
            let class = if odd {
                FailureClass::Input
            } else {
                FailureClass::Crashed
            };
            Command::FailJob {
                job: job.id,
                epoch,
                node,
                failure: failure(class),
            }
        }
        (14, Some(job), _) => Command::ReleaseJob {
            job: job.id,
            epoch: lease_of(job).0,
            reason: "test".to_owned(),
        },
        (15, Some(job), _) if twist.is_multiple_of(4) => Command::CancelJob { job: job.id },
        (15, Some(job), _) => Command::RetryJob { job: job.id },
        (16 | 17, _, Some(generation)) => {
            let units: Vec<_> = generation.units.keys().copied().collect();
            let unit = units[usize::from(twist) % units.len()];
            let job = catalog.jobs_of_video(generation.video).find(|job| {
                job.kind
                    == Kind::Unit {
                        generation: generation.id,
                        unit,
                    }
            });
            let epoch = job.map_or(1, |job| job.epoch).saturating_sub(odd.into());
            if verb % 30 == 17 && twist.is_multiple_of(2) {
                Command::LoseUnit {
                    generation: generation.id,
                    unit,
                    epoch,
                }
            } else {
                Command::PublishUnit {
                    generation: generation.id,
                    unit,
                    epoch,
                }
            }
        }
        (18, _, Some(generation)) => Command::PublishGeneration {
            generation: generation.id,
        },
        (_, _, Some(generation)) if generation.stage == Stage::Retired || odd => {
            Command::ForgetGeneration {
                generation: generation.id,
            }
        }
        _ => Command::AnnounceNode {
            node: Box::new(node(nodes)),
        },
    }
}
