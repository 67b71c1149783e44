//! Pure: edit proxies, the presets they are made by, and the looks that presets bake in.
//!
//! The file of an edit proxy is a generation of its own with a single unit, as that of a subclip
//! is. A proxy keeps the preset as it was when it was asked for, so that a preset that changes
//! later changes nothing that was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bincode::{Decode, Encode};
use protocol::failure::Failure;
use protocol::id::{BlobHash, GenerationId, ProxyId, VideoId};
use protocol::job::Unit;
use protocol::media::FrameRange;
use protocol::preset::{Lut, Preset};
use protocol::time::Timestamp;

use super::Catalog;
use super::context::Context;
use super::generation::{Generation, Stage, UnitState};
use super::job::{Job, Kind, Phase};
use super::limits;
use super::outcome::{Effect, Rejection, Reply};

/// One edit proxy.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proxy {
    pub id: ProxyId,
    pub video: VideoId,
    /// As it was when the proxy was asked for.
    pub preset: Preset,
    pub created_at: Timestamp,
    /// The generation that is to hold its file.
    pub rendering: Option<GenerationId>,
    /// The generation that holds its file.
    pub rendered: Option<GenerationId>,
    /// Why its file could not be made; cleared by a retry.
    pub failure: Option<Failure>,
}

/// Where an edit proxy stands; follows from its record and its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Queued,
    Rendering,
    Ready,
    Failed,
}

/// What may happen to edit proxies and presets. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum ProxyCommand {
    /// Makes an edit proxy of a video.
    Create {
        proxy: ProxyId,
        video: VideoId,
        /// Name of a preset.
        preset: String,
    } = 0,
    /// Removes it; its file is swept from the origin.
    Delete {
        proxy: ProxyId,
    } = 1,
    /// Saves a preset under its name; the version is given here.
    SavePreset {
        preset: Preset,
    } = 2,
    DeletePreset {
        name: String,
    } = 3,
    SaveLut {
        lut: Box<Lut>,
    } = 4,
    /// Removes a look that no preset names.
    DeleteLut {
        lut: BlobHash,
    } = 5,
}

/// One record of a snapshot. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum ProxyRecord {
    Proxy(Proxy) = 0,
    Preset(Preset) = 1,
    Lut(Lut) = 2,
}

/// All that the catalogue knows of proxies; the indexes follow from the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shelf {
    proxies: BTreeMap<ProxyId, Arc<Proxy>>,
    /// Those that somebody saved, by name.
    presets: BTreeMap<String, Preset>,
    luts: BTreeMap<BlobHash, Arc<Lut>>,
    /// Oldest first.
    by_video: BTreeMap<VideoId, BTreeSet<(Timestamp, ProxyId)>>,
    by_generation: BTreeMap<GenerationId, ProxyId>,
}

impl Shelf {
    /// The hook: a proxy became `new`, or went.
    fn updated(&mut self, id: ProxyId, new: Option<Proxy>) -> Option<Arc<Proxy>> {
        let files = |proxy: &Proxy| [proxy.rendering, proxy.rendered].into_iter().flatten();
        let old = self.proxies.remove(&id);
        if let Some(old) = &old {
            if let Some(set) = self.by_video.get_mut(&old.video) {
                set.remove(&(old.created_at, id));
                if set.is_empty() {
                    self.by_video.remove(&old.video);
                }
            }
            for generation in files(old) {
                self.by_generation.remove(&generation);
            }
        }
        if let Some(new) = new {
            let set = self.by_video.entry(new.video).or_default();
            set.insert((new.created_at, id));
            for generation in files(&new) {
                self.by_generation.insert(generation, id);
            }
            self.proxies.insert(id, Arc::new(new));
        }
        old
    }

    pub(super) fn load(&mut self, record: ProxyRecord) {
        match record {
            ProxyRecord::Proxy(proxy) => {
                self.updated(proxy.id, Some(proxy));
            }
            ProxyRecord::Preset(preset) => {
                self.presets.insert(preset.name.clone(), preset);
            }
            ProxyRecord::Lut(lut) => {
                self.luts.insert(lut.hash(), Arc::new(lut));
            }
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = ProxyRecord> {
        let proxies = self.proxies.values();
        let proxies = proxies.map(|proxy| ProxyRecord::Proxy((**proxy).clone()));
        let presets = self.presets.values().cloned().map(ProxyRecord::Preset);
        let luts = self.luts.values();
        let luts = luts.map(|lut| ProxyRecord::Lut((**lut).clone()));
        proxies.chain(presets).chain(luts)
    }
}

impl Catalog {
    pub fn proxy(&self, id: ProxyId) -> Option<&Arc<Proxy>> {
        self.shelf.proxies.get(&id)
    }

    pub fn proxies(&self) -> impl Iterator<Item = &Arc<Proxy>> {
        self.shelf.proxies.values()
    }

    /// The edit proxies of one video, oldest first.
    pub fn proxies_of_video(&self, video: VideoId) -> impl Iterator<Item = &Arc<Proxy>> {
        let set = self.shelf.by_video.get(&video);
        (set.into_iter().flatten()).filter_map(|(_, id)| self.shelf.proxies.get(id))
    }

    /// The edit proxy that `generation` holds or is to hold.
    pub fn proxy_of_generation(&self, generation: GenerationId) -> Option<&Arc<Proxy>> {
        let id = self.shelf.by_generation.get(&generation)?;
        self.shelf.proxies.get(id)
    }

    /// The job that makes the file of an edit proxy.
    pub fn job_of_proxy(&self, video: VideoId, generation: GenerationId) -> Option<&Job> {
        let unit = Unit::Proxy;
        let kind = Kind::Unit { generation, unit };
        self.jobs_of_video(video)
            .find(|job| job.kind == kind)
            .map(AsRef::as_ref)
    }

    pub fn status_of_proxy(&self, proxy: &Proxy) -> Status {
        if proxy.failure.is_some() {
            Status::Failed
        } else if let Some(generation) = proxy.rendering {
            let job = self.job_of_proxy(proxy.video, generation);
            match job.map(|job| job.state.phase()) {
                None | Some(Phase::Waiting) => Status::Queued,
                Some(_) => Status::Rendering,
            }
        } else {
            Status::Ready
        }
    }

    /// The preset called `name`, one that was saved or one that is built in.
    pub fn preset(&self, name: &str) -> Option<Preset> {
        let saved = self.shelf.presets.get(name).cloned();
        saved.or_else(|| built_in(name))
    }

    /// All presets, by name.
    pub fn presets(&self) -> Vec<Preset> {
        let mut all = Preset::built_in();
        all.extend(self.shelf.presets.values().cloned());
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    pub fn lut(&self, hash: BlobHash) -> Option<&Arc<Lut>> {
        self.shelf.luts.get(&hash)
    }

    pub fn luts(&self) -> impl Iterator<Item = (&BlobHash, &Arc<Lut>)> {
        self.shelf.luts.iter()
    }

    pub(super) fn change_proxies(
        &mut self,
        context: &mut Context,
        command: ProxyCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            ProxyCommand::Create {
                proxy,
                video,
                preset,
            } => self.create_proxy(context, proxy, video, &preset),
            ProxyCommand::Delete { proxy } => self.delete_proxy(context, proxy),
            ProxyCommand::SavePreset { preset } => self.save_preset(preset),
            ProxyCommand::DeletePreset { name } => self.delete_preset(&name),
            ProxyCommand::SaveLut { lut } => self.save_lut(*lut),
            ProxyCommand::DeleteLut { lut } => self.delete_lut(lut),
        }
    }

    fn create_proxy(
        &mut self,
        context: &mut Context,
        id: ProxyId,
        video: VideoId,
        preset: &str,
    ) -> Result<Reply, Rejection> {
        if let Some(known) = self.shelf.proxies.get(&id) {
            // A repeated command: the proposer did not learn what came of the first.
            return if known.video == video && known.preset.name == preset {
                Ok(Reply::Already)
            } else {
                Err(Rejection::Exists {
                    what: format!("proxy {id}"),
                })
            };
        }
        let preset = self.preset_or_refuse(preset)?;
        let record = self.video_or_refuse(video)?;
        let probe = record.probe.as_deref();
        let probe = probe.ok_or_else(|| Rejection::WrongState {
            what: format!("video {video}"),
            state: "not looked into yet".to_owned(),
        })?;
        // A preset that cannot be used for this source is refused before work is queued.
        preset
            .size(&probe.video)
            .map_err(|error| unfit(&preset, &error))?;
        limits::at_most(
            "the video's number of edit proxies",
            count(self.proxies_of_video(video).count() + 1),
            count(limits::PROXIES_PER_VIDEO_MAX),
        )?;
        let generation = context.generation_id();
        let unit = Unit::Proxy;
        let job = context.job_id();
        let kind = Kind::Unit { generation, unit };
        let frames = FrameRange {
            start: 0,
            end: probe.video.frames,
        };
        self.put_job(context, Job::new(job, video, kind, context.at));
        self.put_generation(
            context,
            Generation {
                id: generation,
                video,
                created_at: context.at,
                renditions: Vec::new(),
                gop_frames: 0,
                segment_frames: 0,
                audio_kbps: 0,
                audio_track: None,
                pieces: vec![frames],
                cuts: Vec::new(),
                encoded_because: String::new(),
                units: [(unit, UnitState::Pending)].into(),
                stage: Stage::Building,
            },
        );
        let proxy = Proxy {
            id,
            video,
            preset,
            created_at: context.at,
            rendering: Some(generation),
            rendered: None,
            failure: None,
        };
        self.put_proxy(context, proxy);
        Ok(Reply::Done)
    }

    fn delete_proxy(&mut self, context: &mut Context, id: ProxyId) -> Result<Reply, Rejection> {
        let proxy = self.proxy_or_refuse(id)?;
        for generation in [proxy.rendering, proxy.rendered].into_iter().flatten() {
            self.retire_generation(context, generation);
        }
        self.remove_proxy(context, id);
        Ok(Reply::Done)
    }

    fn save_preset(&mut self, mut preset: Preset) -> Result<Reply, Rejection> {
        preset.check().map_err(|error| unfit(&preset, &error))?;
        if built_in(&preset.name).is_some() {
            return Err(Rejection::WrongState {
                what: format!("preset {:?}", preset.name),
                state: "built in".to_owned(),
            });
        }
        if let Some(lut) = preset.lut
            && !self.shelf.luts.contains_key(&lut)
        {
            return Err(Rejection::NotFound {
                what: format!("look {lut}"),
            });
        }
        let known = self.shelf.presets.get(&preset.name);
        if known.is_some_and(|known| known.is_like(&preset)) {
            return Ok(Reply::Already);
        }
        let presets = self.shelf.presets.len() + usize::from(known.is_none());
        limits::at_most(
            "the number of presets",
            count(presets),
            count(limits::PRESETS_MAX),
        )?;
        preset.version = known.map_or(1, |known| known.version.saturating_add(1));
        self.shelf.presets.insert(preset.name.clone(), preset);
        Ok(Reply::Done)
    }

    fn delete_preset(&mut self, name: &str) -> Result<Reply, Rejection> {
        let preset = self.preset_or_refuse(name)?;
        if self.shelf.presets.remove(&preset.name).is_none() {
            return Err(Rejection::WrongState {
                what: format!("preset {name:?}"),
                state: "built in".to_owned(),
            });
        }
        Ok(Reply::Done)
    }

    fn save_lut(&mut self, lut: Lut) -> Result<Reply, Rejection> {
        lut.check().map_err(|error| Rejection::WrongState {
            what: "the look".to_owned(),
            state: format!("not usable: {error}"),
        })?;
        let hash = lut.hash();
        if self.shelf.luts.contains_key(&hash) {
            return Ok(Reply::Already);
        }
        limits::at_most(
            "the number of looks",
            count(self.shelf.luts.len() + 1),
            count(limits::LUTS_MAX),
        )?;
        self.shelf.luts.insert(hash, Arc::new(lut));
        Ok(Reply::Done)
    }

    fn delete_lut(&mut self, hash: BlobHash) -> Result<Reply, Rejection> {
        let unmade = |proxy: &&Arc<Proxy>| proxy.rendered.is_none();
        let waiting = self.proxies().filter(unmade);
        let waiting = waiting.map(|proxy| &proxy.preset);
        let user =
            (self.shelf.presets.values().chain(waiting)).find(|preset| preset.lut == Some(hash));
        if let Some(user) = user {
            return Err(Rejection::WrongState {
                what: format!("look {hash}"),
                state: format!("used by preset {:?}", user.name),
            });
        }
        match self.shelf.luts.remove(&hash) {
            Some(_) => Ok(Reply::Done),
            None => Err(Rejection::NotFound {
                what: format!("look {hash}"),
            }),
        }
    }

    /// The file of an edit proxy is in the origin.
    pub(super) fn proxy_published(
        &mut self,
        context: &mut Context,
        mut proxy: Proxy,
        generation: GenerationId,
    ) {
        if let Some(older) = proxy.rendered.replace(generation) {
            self.retire_generation(context, older);
        }
        proxy.rendering = None;
        proxy.failure = None;
        self.put_proxy(context, proxy);
    }

    /// The edit proxy for whose file `job` works.
    pub(super) fn proxy_of_job(&self, job: &Job) -> Option<&Arc<Proxy>> {
        match job.kind {
            Kind::Unit {
                generation,
                unit: Unit::Proxy,
            } => self.proxy_of_generation(generation),
            _ => None,
        }
    }

    /// Whether `job` makes a file of its own, so that its end is not the end of its video's work,
    /// and the other way round.
    pub(super) fn stands_alone(&self, job: &Job) -> bool {
        self.clip_of_job(job).is_some() || self.proxy_of_job(job).is_some()
    }

    /// Notes on the record that `job` works for how it stands; whether there is such a record.
    pub(super) fn note_failure(
        &mut self,
        context: &mut Context,
        job: &Job,
        failure: Option<Failure>,
    ) -> bool {
        if let Some(clip) = self.clip_of_job(job) {
            let mut clip = (**clip).clone();
            clip.failure = failure;
            self.put_clip(context, clip);
            return true;
        }
        if let Some(proxy) = self.proxy_of_job(job) {
            let mut proxy = (**proxy).clone();
            proxy.failure = failure;
            self.put_proxy(context, proxy);
            return true;
        }
        false
    }

    pub(super) fn remove_proxies_of_video(&mut self, context: &mut Context, video: VideoId) {
        let ids: Vec<_> = self.proxies_of_video(video).map(|proxy| proxy.id).collect();
        for id in ids {
            self.remove_proxy(context, id);
        }
    }

    fn put_proxy(&mut self, context: &mut Context, proxy: Proxy) {
        context.wake(Effect::ProxyChanged(proxy.id));
        self.shelf.updated(proxy.id, Some(proxy));
    }

    fn remove_proxy(&mut self, context: &mut Context, id: ProxyId) {
        if let Some(old) = self.shelf.updated(id, None) {
            context.wake(Effect::ProxyDeleted {
                proxy: id,
                video: old.video,
            });
        }
    }

    fn proxy_or_refuse(&self, id: ProxyId) -> Result<Proxy, Rejection> {
        let proxy = self.proxy(id).map(|proxy| (**proxy).clone());
        proxy.ok_or_else(|| Rejection::NotFound {
            what: format!("proxy {id}"),
        })
    }

    fn preset_or_refuse(&self, name: &str) -> Result<Preset, Rejection> {
        self.preset(name).ok_or_else(|| Rejection::NotFound {
            what: format!("preset {:?}", name.chars().take(40).collect::<String>()),
        })
    }
}

fn built_in(name: &str) -> Option<Preset> {
    let mut all = Preset::built_in().into_iter();
    all.find(|preset| preset.name == name)
}

fn unfit(preset: &Preset, error: &protocol::preset::Error) -> Rejection {
    Rejection::WrongState {
        what: format!(
            "preset {:?}",
            preset.name.chars().take(40).collect::<String>()
        ),
        state: format!("not usable: {error}"),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
