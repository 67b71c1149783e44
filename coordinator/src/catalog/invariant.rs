//! Pure: what must be true of a catalogue after every command, one function per property.

use std::collections::BTreeMap;

use protocol::job::Unit;

use super::Catalog;
use super::generation::{Generation, Stage, UnitState};
use super::job::{Kind, Phase, State};
use super::video::Status;

/// A property that does not hold, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub subject: String,
}

/// All violations; empty is good. Looks at everything: for tests and repair, not for every day.
pub fn check(catalog: &Catalog) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    indexes_follow_from_the_records(catalog, &mut found);
    uploads_and_videos_agree(catalog, &mut found);
    videos_are_in_order(catalog, &mut found);
    generations_are_in_order(catalog, &mut found);
    clips_are_in_order(catalog, &mut found);
    proxies_are_in_order(catalog, &mut found);
    notes_are_in_order(catalog, &mut found);
    jobs_are_in_order(catalog, &mut found);
    unfinished_videos_have_work(catalog, &mut found);
    charges_are_in_order(catalog, &mut found);
    found.0
}

struct Found(Vec<Violation>);

impl Found {
    fn unless(&mut self, holds: bool, rule: &'static str, subject: impl std::fmt::Display) {
        if !holds {
            self.0.push(Violation {
                rule,
                subject: subject.to_string(),
            });
        }
    }
}

fn indexes_follow_from_the_records(catalog: &Catalog, found: &mut Found) {
    let rebuilt = Catalog::from_records(catalog.records());
    found.unless(
        rebuilt == *catalog,
        "a catalogue rebuilt from its records is the same",
        "catalogue",
    );
}

fn charges_are_in_order(catalog: &Catalog, found: &mut Found) {
    for charge in catalog.charges() {
        found.unless(
            catalog.video(charge.video).is_some(),
            "what counts against a token is there",
            charge.video,
        );
    }
    for token in catalog.api_tokens() {
        let charges = catalog.charges();
        let sum: u64 = charges
            .filter(|charge| charge.token == token.hash)
            .map(|charge| charge.size_bytes)
            .sum();
        found.unless(
            sum == token.used_bytes,
            "a token uses what its videos add up to",
            &token.name,
        );
    }
}

fn uploads_and_videos_agree(catalog: &Catalog, found: &mut Found) {
    for upload in catalog.uploads() {
        let video = catalog.video(upload.video);
        found.unless(
            video.is_some_and(|video| video.upload == Some(upload.id) && video.blob.is_none()),
            "an open upload has a video without an original",
            upload.id,
        );
    }
    for video in catalog.videos() {
        let open = video.upload.is_some_and(|id| catalog.upload(id).is_some());
        found.unless(
            open != video.blob.is_some(),
            "a video has either an open upload or an original",
            video.id,
        );
    }
}

fn videos_are_in_order(catalog: &Catalog, found: &mut Found) {
    for video in catalog.videos() {
        let id = video.id;
        found.unless(
            video.status == video.status_now(),
            "a status follows from the fields",
            id,
        );
        found.unless(
            video.created_at <= catalog.at(),
            "nothing is newer than the newest entry",
            id,
        );
        found.unless(
            video.copies.is_empty() == video.blob.is_none(),
            "an original is on at least one node",
            id,
        );
        for (pointer, stage) in [
            (video.building, Stage::Building),
            (video.published, Stage::Published),
        ] {
            if let Some(generation) = pointer {
                let generation = catalog.generation(generation);
                found.unless(
                    generation.is_some_and(|g| g.video == id && g.stage == stage),
                    "a video points to generations of its own in the right stage",
                    id,
                );
            }
        }
        found.unless(
            (video.building.is_none() && video.published.is_none()) || video.probe.is_some(),
            "nothing is rendered without a probe",
            id,
        );
    }
}

fn generations_are_in_order(catalog: &Catalog, found: &mut Found) {
    for generation in catalog.generations() {
        let id = generation.id;
        if generation.is_of_clip() {
            file_of_clip_is_in_order(catalog, generation, found);
            continue;
        }
        if generation.is_of_proxy() {
            file_of_proxy_is_in_order(catalog, generation, found);
            continue;
        }
        let video = catalog.video(generation.video);
        let pointed_to = match generation.stage {
            Stage::Building => video.is_some_and(|video| video.building == Some(id)),
            Stage::Published => {
                video.is_some_and(|video| video.published == Some(id)) && generation.is_whole()
            }
            Stage::Retired => {
                video.is_none_or(|video| video.building != Some(id) && video.published != Some(id))
            }
        };
        found.unless(pointed_to, "a video points to what is not retired", id);
        found.unless(
            has_a_sound_shape(generation),
            "pieces follow each other in whole segments, and each has its unit",
            id,
        );
        if generation.stage != Stage::Retired {
            units_and_jobs_agree(catalog, generation, found);
        }
    }
}

fn file_of_clip_is_in_order(catalog: &Catalog, generation: &Generation, found: &mut Found) {
    let id = generation.id;
    let clip = catalog.clip_of_generation(id);
    let pointed_to = match generation.stage {
        Stage::Building => clip.is_some_and(|clip| clip.rendering == Some(id)),
        Stage::Published => {
            clip.is_some_and(|clip| clip.rendered == Some(id)) && generation.is_whole()
        }
        Stage::Retired => clip.is_none(),
    };
    found.unless(pointed_to, "a subclip points to what is not retired", id);
    let wanted = clip.map(|clip| clip.frames);
    found.unless(
        generation.units.len() == 1
            && generation.pieces.len() == 1
            && wanted.is_none_or(|frames| generation.pieces[0] == frames),
        "the file of a subclip is one unit with the subclip's frames",
        id,
    );
    if generation.stage != Stage::Retired {
        units_and_jobs_agree(catalog, generation, found);
    }
}

fn clips_are_in_order(catalog: &Catalog, found: &mut Found) {
    for clip in catalog.clips() {
        let video = catalog.video(clip.video);
        let probe = video.and_then(|video| video.probe.as_deref());
        found.unless(
            probe.is_some_and(|probe| clip.frames.is_within(probe.video.frames)),
            "a subclip has frames that its video has",
            clip.id,
        );
        found.unless(
            clip.created_at <= catalog.at(),
            "nothing is newer than the newest entry",
            clip.id,
        );
        let generations = [clip.rendering, clip.rendered];
        for generation in generations.into_iter().flatten() {
            let generation = catalog.generation(generation);
            found.unless(
                generation.is_some_and(|g| g.is_of_clip() && g.video == clip.video),
                "a subclip points to a file of its own",
                clip.id,
            );
        }
        let pending = clip.rendering.and_then(|id| catalog.generation(id));
        let pending = pending.is_some_and(|generation| {
            (generation.units.values()).any(|state| *state == UnitState::Pending)
        });
        let job = (clip.rendering).and_then(|id| catalog.job_of_clip(clip.video, id));
        let busy =
            job.is_some_and(|job| matches!(job.state, State::Waiting | State::Running { .. }));
        found.unless(
            busy == (pending && clip.failure.is_none()),
            "a subclip that is to become a file has work, and a failed one has none",
            clip.id,
        );
    }
}

fn file_of_proxy_is_in_order(catalog: &Catalog, generation: &Generation, found: &mut Found) {
    let id = generation.id;
    let proxy = catalog.proxy_of_generation(id);
    let pointed_to = match generation.stage {
        Stage::Building => proxy.is_some_and(|proxy| proxy.rendering == Some(id)),
        Stage::Published => {
            proxy.is_some_and(|proxy| proxy.rendered == Some(id)) && generation.is_whole()
        }
        Stage::Retired => proxy.is_none(),
    };
    found.unless(
        pointed_to,
        "an edit proxy points to what is not retired",
        id,
    );
    found.unless(
        generation.units.len() == 1 && generation.pieces.len() == 1,
        "the file of an edit proxy is one unit",
        id,
    );
    if generation.stage != Stage::Retired {
        units_and_jobs_agree(catalog, generation, found);
    }
}

fn proxies_are_in_order(catalog: &Catalog, found: &mut Found) {
    for proxy in catalog.proxies() {
        let video = catalog.video(proxy.video);
        found.unless(
            video.is_some_and(|video| video.probe.is_some()),
            "an edit proxy has a video that was looked into",
            proxy.id,
        );
        found.unless(
            proxy.rendering.is_some() || proxy.rendered.is_some(),
            "an edit proxy has a file or is to have one",
            proxy.id,
        );
        let pending = proxy.rendering.and_then(|id| catalog.generation(id));
        let pending = pending.is_some_and(|generation| {
            (generation.units.values()).any(|state| *state == UnitState::Pending)
        });
        let job = (proxy.rendering).and_then(|id| catalog.job_of_proxy(proxy.video, id));
        let busy =
            job.is_some_and(|job| matches!(job.state, State::Waiting | State::Running { .. }));
        found.unless(
            busy == (pending && proxy.failure.is_none()),
            "an edit proxy that is to become a file has work, and a failed one has none",
            proxy.id,
        );
    }
}

fn notes_are_in_order(catalog: &Catalog, found: &mut Found) {
    let mut spellings: BTreeMap<String, &str> = BTreeMap::new();
    for video in catalog.videos() {
        found.unless(
            (video.labels.bins.iter()).all(|bin| catalog.bin(*bin).is_some()),
            "a video is in bins that are there",
            video.id,
        );
        for tag in &video.labels.tags {
            let spelling = spellings.entry(tag.to_lowercase()).or_insert(tag);
            found.unless(spelling == tag, "a tag has one spelling", tag);
        }
    }
    for marker in catalog.markers() {
        let video = catalog.video(marker.video);
        let probe = video.and_then(|video| video.probe.as_deref());
        found.unless(
            probe.is_some_and(|probe| marker.frames.is_within(probe.video.frames)),
            "a marker is on pictures that its video has",
            marker.id,
        );
    }
    for comment in catalog.comments() {
        found.unless(
            (catalog.marker(comment.marker)).is_some_and(|marker| marker.video == comment.video),
            "a comment is under a marker of its video",
            comment.id,
        );
    }
}

fn has_a_sound_shape(generation: &Generation) -> bool {
    let segment = u64::from(generation.segment_frames);
    let whole_gops = generation.gop_frames > 0
        && generation
            .segment_frames
            .is_multiple_of(generation.gop_frames);
    let starts_at_zero = generation.pieces.first().is_some_and(|p| p.start == 0);
    let gap_free = (generation.pieces.windows(2)).all(|pair| pair[0].end == pair[1].start);
    let begins = |frame: u64| {
        if generation.keeps_top() {
            generation.cuts.binary_search(&frame).is_ok()
        } else {
            segment > 0 && frame.is_multiple_of(segment)
        }
    };
    let on_segments =
        (generation.pieces.iter()).all(|piece| begins(piece.start) && !piece.is_empty());
    let even = (generation.renditions.iter()).all(|rendition| {
        let size = rendition.resolution;
        size.width >= 2 && size.height >= 2 && size == size.even()
    });
    let pieces = (generation.units.keys()).filter(|unit| matches!(unit, Unit::Piece(_)));
    whole_gops
        && starts_at_zero
        && gap_free
        && on_segments
        && even
        && !generation.renditions.is_empty()
        && pieces.count() == generation.pieces.len()
        && generation.units.contains_key(&Unit::Stills)
        && generation.units.contains_key(&Unit::Audio) == generation.audio_track.is_some()
}

fn units_and_jobs_agree(catalog: &Catalog, generation: &Generation, found: &mut Found) {
    let mut jobs = BTreeMap::new();
    for job in catalog.jobs_of_video(generation.video) {
        if let Kind::Unit {
            generation: of,
            unit,
        } = job.kind
            && of == generation.id
        {
            found.unless(
                jobs.insert(unit, job).is_none(),
                "a unit has one job",
                job.id,
            );
        }
    }
    for (unit, state) in &generation.units {
        let subject = || format!("{unit} of {}", generation.id);
        let Some(job) = jobs.remove(unit) else {
            found.unless(false, "a unit has one job", subject());
            continue;
        };
        let agrees = match state {
            UnitState::Pending => job.state != State::Done,
            UnitState::Rendered { node, epoch, .. } => {
                job.state == State::Done && job.epoch == *epoch && job.last_node == Some(*node)
            }
            UnitState::Published { .. } => job.state == State::Done,
        };
        found.unless(agrees, "a unit is where its job is", subject());
    }
    found.unless(jobs.is_empty(), "a job makes a unit", generation.id);
}

fn jobs_are_in_order(catalog: &Catalog, found: &mut Found) {
    for job in catalog.jobs() {
        let video = catalog.video(job.video);
        found.unless(video.is_some(), "a job has a video", job.id);
        if let Kind::Unit { generation, .. } = job.kind {
            found.unless(
                (catalog.generation(generation)).is_some_and(|g| g.stage != Stage::Retired),
                "a job works for a generation that is wanted",
                job.id,
            );
        }
        if let State::Running { node, .. } = job.state {
            found.unless(
                catalog.node(node).is_some() && job.epoch > 0 && job.last_node == Some(node),
                "a running job has an epoch and a known node",
                job.id,
            );
        }
        let ended = matches!(
            job.state.phase(),
            Phase::Done | Phase::Failed | Phase::Cancelled
        );
        found.unless(
            ended == job.finished_at.is_some(),
            "a job has an end exactly when it ended",
            job.id,
        );
    }
}

/// Nothing is forgotten: a video on its way has a job to wait for, or results to publish.
fn unfinished_videos_have_work(catalog: &Catalog, found: &mut Found) {
    for video in catalog.videos() {
        let alone = |kind| {
            matches!(
                kind,
                Kind::Unit {
                    unit: Unit::Clip | Unit::Proxy,
                    ..
                }
            )
        };
        let mut jobs = (catalog.jobs_of_video(video.id)).filter(|job| !alone(job.kind));
        let busy = jobs.any(|job| matches!(job.state, State::Waiting | State::Running { .. }));
        let holds = match video.status {
            Status::Uploading | Status::Failed => !busy,
            Status::Probing => busy,
            Status::Rendering => {
                let pending = video.building.and_then(|id| catalog.generation(id));
                let pending = pending.is_some_and(|generation| {
                    (generation.units.values()).any(|state| *state == UnitState::Pending)
                });
                busy == pending
            }
            Status::Ready => true,
        };
        found.unless(
            holds,
            "a video on its way has work, and a failed one has none",
            video.id,
        );
    }
}
