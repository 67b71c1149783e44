//! `[render]`: the ladder, presets of edit proxies, and how long and how confined a worker may run.

use protocol::media::{KeepTop, Ladder, Rung};
use protocol::preset::{self, BurnIn, EditCodec};
use serde::{Deserialize, Serialize};

use super::Error;
use super::units::{ByteSize, Span};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Render {
    /// Highest first; a rung above the source is left out.
    pub ladder: Vec<Rung>,
    /// Length of an HLS segment; rounded to whole GOPs.
    pub segment: Span,
    /// Distance of IDR pictures.
    pub gop: Span,
    /// Whether a source that is fit for the web is its own top rung.
    pub keep_top: KeepTop,
    /// AAC, stereo, kbit/s.
    pub audio_kbps: u32,
    /// Attempts that a job may fail.
    pub max_attempts: u32,
    /// How long a node may be silent about a job before another gets it.
    pub lease: Span,
    /// Wait before the first retry; doubles.
    pub retry_backoff: Span,
    /// A worker whose frames stand still this long is killed.
    pub stall_timeout: Span,
    /// Address space of one worker.
    pub worker_memory: ByteSize,
    pub sandbox: Sandbox,
    /// Presets of edit proxies, beside those that are built in.
    pub presets: Vec<Preset>,
}

/// A preset of edit proxies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    pub name: String,
    pub codec: EditCodec,
    #[serde(default = "lines")]
    pub lines: u32,
    #[serde(default)]
    pub burn_in: BurnIn,
}

const fn lines() -> u32 {
    preset::LINES_DEFAULT
}

/// What to do where the kernel cannot confine a worker fully.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Render anyway, and say so in the node's status.
    BestEffort,
    /// Refuse to render.
    Strict,
}

impl Default for Render {
    fn default() -> Self {
        let ladder = Ladder::default();
        Self {
            segment: Span::from_millis(ladder.segment_ms.into()),
            gop: Span::from_millis(ladder.gop_ms.into()),
            keep_top: ladder.keep_top,
            audio_kbps: ladder.audio_kbps,
            ladder: ladder.rungs,
            max_attempts: 3,
            lease: Span::from_millis(15_000),
            retry_backoff: Span::from_millis(5000),
            stall_timeout: Span::from_millis(60_000),
            worker_memory: ByteSize::from_bytes(8 << 30),
            sandbox: Sandbox::Strict,
            presets: Vec::new(),
        }
    }
}

impl Render {
    /// The ladder as it travels with the work.
    pub fn ladder(&self) -> Ladder {
        Ladder {
            rungs: self.ladder.clone(),
            segment_ms: u32::try_from(self.segment.as_millis()).unwrap_or(u32::MAX),
            gop_ms: u32::try_from(self.gop.as_millis()).unwrap_or(u32::MAX),
            audio_kbps: self.audio_kbps,
            keep_top: self.keep_top,
        }
    }

    /// The presets as the catalogue keeps them; it gives them their versions.
    pub fn presets(&self) -> Vec<preset::Preset> {
        let preset = |preset: &Preset| preset::Preset {
            name: preset.name.clone(),
            version: 0,
            codec: preset.codec,
            lines: preset.lines,
            lut: None,
            burn_in: preset.burn_in,
        };
        self.presets.iter().map(preset).collect()
    }

    fn check_presets(&self) -> Result<(), Error> {
        let built_in = preset::Preset::built_in();
        for (number, preset) in self.presets().iter().enumerate() {
            let problem = match preset.check() {
                Err(error) => error.to_string(),
                Ok(()) if built_in.iter().any(|known| known.name == preset.name) => {
                    "this preset is built in; give yours another name".to_owned()
                }
                Ok(()) if self.presets[..number].iter().any(|p| p.name == preset.name) => {
                    "two presets have this name".to_owned()
                }
                Ok(()) => continue,
            };
            let key = format!("render.presets ({:?})", preset.name);
            return Err(Error::invalid(key, problem));
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_presets()?;
        let within = |key: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(
                key,
                format!("{value} is not between {low} and {high}"),
            ))
        };
        within(
            "render.ladder (number of rungs)",
            self.ladder.len() as u64,
            1,
            12,
        )?;
        for rung in &self.ladder {
            within("render.ladder.height", rung.height.into(), 64, 4320)?;
            within(
                "render.ladder.video_kbps",
                rung.video_kbps.into(),
                50,
                200_000,
            )?;
        }
        if !self.ladder.is_sorted_by(|a, b| a.height > b.height) {
            return Err(Error::invalid(
                "render.ladder",
                "write the rungs from the highest to the lowest, each height once",
            ));
        }
        within("render.gop (ms)", self.gop.as_millis(), 250, 10_000)?;
        within(
            "render.segment (ms)",
            self.segment.as_millis(),
            1000,
            20_000,
        )?;
        if self.segment < self.gop {
            return Err(Error::invalid(
                "render.segment",
                "a segment is at least one gop long",
            ));
        }
        within("render.audio_kbps", self.audio_kbps.into(), 32, 512)?;
        within("render.max_attempts", self.max_attempts.into(), 1, 100)?;
        within("render.lease (ms)", self.lease.as_millis(), 2000, 600_000)?;
        within(
            "render.stall_timeout (ms)",
            self.stall_timeout.as_millis(),
            5000,
            3_600_000,
        )?;
        within(
            "render.worker_memory (bytes)",
            self.worker_memory.as_bytes(),
            1 << 30,
            1 << 40,
        )
    }
}
