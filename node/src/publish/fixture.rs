//! A catalogue with videos in it and units in an outbox, for tests here and above.

use std::path::{Path, PathBuf};

use coordinator::catalog::command::{JobResult, UnitTotals};
use coordinator::catalog::job::{Kind, State};
use coordinator::catalog::node::{Node, Role};
use coordinator::catalog::{Command, Reply};
use coordinator::raft::Handle;
use protocol::id::{BlobHash, GenerationId, JobId, NodeId, UploadId, VideoId};
use protocol::job::Unit;
use protocol::manifest::{
    Cell, Manifest, Object, PeakLevel, Peaks, Segment, Sheet, Still, Track, TrackKind,
};
use protocol::media::{FrameRange, FrameRate, Resolution};
use protocol::probe::{AudioTrack, Probe, SourceTimecode, VideoTrack};
use protocol::time::Timestamp;
use uuid::Uuid;

pub(crate) const ME: NodeId = NodeId(1);

/// A catalogue that knows one node.
pub(crate) async fn library() -> Handle {
    let catalog = Handle::in_memory(ME);
    let node = Node {
        id: ME,
        name: "alpha".to_owned(),
        site: "here".to_owned(),
        role: Role::Voter,
        version: "0.1.0".to_owned(),
        slots: 2,
        cpu_cores: 2,
        encoders: vec!["x264enc".to_owned()],
        sandbox: "full".to_owned(),
        draining: false,
        announced_at: Timestamp::default(),
        address: String::new(),
        removed_at: None,
    };
    let node = Box::new(node);
    catalog
        .propose(Command::AnnounceNode { node })
        .await
        .unwrap();
    catalog
}

/// Begins an upload; `number` makes the ids.
pub(crate) async fn open(
    catalog: &Handle,
    number: u128,
    filename: &str,
    size_bytes: u64,
) -> (VideoId, UploadId) {
    let upload = UploadId::from_uuid(Uuid::from_u128(0x7000_0000_0000_0000_0000 | number));
    let video = VideoId::from_uuid(Uuid::from_u128(0x7000_0000_0000_0000_0000 | number));
    let command = Command::OpenUpload {
        upload,
        video,
        filename: filename.to_owned(),
        size_bytes,
        node: ME,
    };
    catalog.propose(command).await.unwrap();
    (video, upload)
}

/// A video whose original, `bytes`, is complete and whose probe is done.
pub(crate) async fn probed(
    catalog: &Handle,
    number: u128,
    filename: &str,
    bytes: &[u8],
) -> (VideoId, GenerationId) {
    probed_as(catalog, number, filename, bytes, probe()).await
}

/// As [`probed`], with these facts.
pub(crate) async fn probed_as(
    catalog: &Handle,
    number: u128,
    filename: &str,
    bytes: &[u8],
    probe: Probe,
) -> (VideoId, GenerationId) {
    let (video, upload) = open(catalog, number, filename, bytes.len() as u64).await;
    let blob = BlobHash::of(bytes);
    let command = Command::CompleteUpload {
        upload,
        blob,
        node: ME,
    };
    catalog.propose(command).await.unwrap();
    for (job, _) in waiting(catalog, video) {
        finish(catalog, job, JobResult::Probe(Box::new(probe.clone()))).await;
    }
    let building = catalog.read(|c| c.video(video).unwrap().building);
    (video, building.expect("a probed video has a generation"))
}

/// Does every waiting unit of `video`: files in the outbox, job finished.
pub(crate) async fn render(catalog: &Handle, video: VideoId, outbox: &Path) {
    render_some(catalog, video, outbox, |_| true).await;
}

/// The same for those units that are `wanted`.
pub(crate) async fn render_some(
    catalog: &Handle,
    video: VideoId,
    outbox: &Path,
    wanted: impl Fn(Unit) -> bool,
) {
    for (job, kind) in waiting(catalog, video) {
        let Kind::Unit { generation, unit } = kind else {
            continue;
        };
        if !wanted(unit) {
            continue;
        }
        let (renditions, range) = catalog.read(|c| {
            let generation = c.generation(generation).unwrap();
            let range = match unit {
                Unit::Piece(number) => Some(generation.pieces[number as usize]),
                Unit::Clip | Unit::Proxy => Some(generation.pieces[0]),
                Unit::Audio | Unit::Stills => None,
            };
            (generation.renditions.clone(), range)
        });
        let folder = outbox.join(generation.to_string()).join(unit.to_string());
        let mut files = Files { folder };
        let mut manifest = Manifest {
            frames: range,
            ..Manifest::default()
        };
        match unit {
            Unit::Piece(number) => {
                for rendition in renditions {
                    manifest
                        .tracks
                        .push(files.video(&rendition, number, range.unwrap().len()));
                }
                manifest.sheets.push(files.sheet(range.unwrap()));
            }
            Unit::Audio => {
                manifest.tracks.push(files.audio());
                manifest.peaks.push(files.peaks());
            }
            Unit::Clip => manifest.clip = Some(files.write("clip", "mp4")),
            Unit::Proxy => {
                manifest.proxy = Some(protocol::manifest::Proxy {
                    object: files.write("proxy", "mov"),
                    facts: probe(),
                    decoded: probe().video.frames,
                    alike: probe().video.frames,
                    frame_map: None,
                });
            }
            Unit::Stills => {
                for class in [320, 640, 1280] {
                    for ending in ["jpg", "webp"] {
                        manifest.stills.push(files.still(class, ending));
                    }
                }
            }
        }
        let text = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(files.folder.join(Manifest::FILE_NAME), text).unwrap();
        let totals = UnitTotals {
            objects: u32::try_from(manifest.objects().count()).unwrap(),
            size_bytes: manifest.size_bytes(),
            frames: range.map_or(0, FrameRange::len),
        };
        finish(catalog, job, JobResult::Unit(totals)).await;
    }
}

pub(crate) fn waiting(catalog: &Handle, video: VideoId) -> Vec<(JobId, Kind)> {
    catalog.read(|c| {
        let jobs = c
            .jobs_of_video(video)
            .filter(|job| job.state == State::Waiting);
        jobs.map(|job| (job.id, job.kind)).collect()
    })
}

async fn finish(catalog: &Handle, job: JobId, result: JobResult) {
    let assign = Command::AssignJob {
        job,
        node: ME,
        lease_until: Timestamp::from_millis(i64::MAX / 2),
    };
    let Ok(Reply::JobAssigned { epoch, .. }) = catalog.propose(assign).await else {
        panic!("the job waits");
    };
    let command = Command::FinishJob {
        job,
        epoch,
        node: ME,
        result,
    };
    catalog.propose(command).await.unwrap();
}

struct Files {
    folder: PathBuf,
}

impl Files {
    fn write(&mut self, stem: &str, ending: &str) -> Object {
        let bytes = format!("these are the bytes of {stem}").into_bytes();
        let blake3 = BlobHash::of(&bytes);
        let name = format!("{stem}-{}.{ending}", blake3.short());
        let path = self.folder.join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes).unwrap();
        Object {
            name,
            size_bytes: bytes.len() as u64,
            blake3,
        }
    }

    fn video(&mut self, rendition: &protocol::media::Rendition, number: u32, frames: u64) -> Track {
        let name = &rendition.name;
        Track {
            name: name.clone(),
            kind: TrackKind::Video {
                resolution: rendition.resolution,
                frame_rate: FrameRate::new(30000, 1001).unwrap(),
            },
            codec: "avc1.64001f".to_owned(),
            timescale: 30000,
            init: self.write(&format!("{name}/init"), "mp4"),
            segments: vec![Segment {
                object: self.write(&format!("{name}/{number:06}"), "m4s"),
                duration: frames * 1001,
                frames: u32::try_from(frames).unwrap(),
                keys: Vec::new(),
            }],
        }
    }

    fn audio(&mut self) -> Track {
        Track {
            name: "audio".to_owned(),
            kind: TrackKind::Audio {
                channels: 2,
                sample_rate: 48000,
                language: None,
            },
            codec: "mp4a.40.2".to_owned(),
            timescale: 48000,
            init: self.write("audio/init", "mp4"),
            segments: vec![Segment {
                object: self.write("audio/000000", "m4s"),
                duration: 48000 * 2,
                frames: 94,
                keys: Vec::new(),
            }],
        }
    }

    fn sheet(&mut self, frames: FrameRange) -> Sheet {
        let rate = FrameRate::new(30000, 1001).unwrap();
        let cells = (frames.start..frames.end).step_by(30).map(|frame| Cell {
            frame,
            at_ns: rate.frame_to_ns(frame),
        });
        Sheet {
            object: self.write(&format!("sprites/{:08}", frames.start), "jpg"),
            cell: Resolution {
                width: 192,
                height: 108,
            },
            columns: 2,
            cells: cells.collect(),
        }
    }

    fn peaks(&mut self) -> Peaks {
        Peaks {
            object: self.write("audio/peaks", "dat"),
            track: "audio".to_owned(),
            sample_rate: 48000,
            channels: 2,
            levels: vec![PeakLevel {
                samples_per_bucket: 256,
                buckets: 376,
                offset: 0,
            }],
        }
    }

    fn still(&mut self, class: u32, ending: &str) -> Still {
        Still {
            resolution: Resolution {
                width: class,
                height: class * 9 / 16,
            },
            width_class: class,
            object: self.write(&format!("thumb-{class}"), ending),
        }
    }
}

/// Half a minute that is rendered in four pieces.
pub(crate) fn long_probe() -> Probe {
    let mut probe = probe();
    probe.video.frames = 900;
    probe.video.duration_ns = 30_030_000_000;
    probe.video.random_access = true;
    probe
}

/// Two seconds of 1080p at 29.97 with stereo sound.
pub(crate) fn probe() -> Probe {
    let size = Resolution {
        width: 1920,
        height: 1080,
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
            frame_rate: FrameRate::new(30000, 1001).unwrap(),
            variable_frame_rate: false,
            frames: 60,
            duration_ns: 2_002_000_000,
            bit_depth: 8,
            chroma: "4:2:0".to_owned(),
            field_order: "progressive".to_owned(),
            colorimetry: "bt709".to_owned(),
            colour: protocol::probe::Colour::default(),
            hdr: false,
            random_access: false,
        },
        audio: vec![AudioTrack {
            codec: "aac".to_owned(),
            channels: 2,
            sample_rate: 48000,
            language: None,
            duration_ns: 2_000_000_000,
            label: None,
            layout: "stereo".to_owned(),
            sample_bits: 0,
        }],
        timecode: Some(SourceTimecode {
            text: "01:00:00;00".to_owned(),
            drop_frame: true,
            source: "tmcd".to_owned(),
        }),
        reel: None,
        remarks: Vec::new(),
    }
}
