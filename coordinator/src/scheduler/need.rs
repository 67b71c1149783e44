//! Pure: what a job takes: room on the disk, and time.

use crate::catalog::Catalog;
use crate::catalog::generation::Generation;
use crate::catalog::job::{Job, Kind};
use protocol::job::Unit;
use protocol::probe::Probe;

/// A few pictures, or nothing.
const SMALL_BYTES: u64 = 16 << 20;
/// Megapixels that looking into a file, or taking a few pictures from it, is like.
const SMALL_MEGAPIXELS: u64 = 200;
/// The same for sound, by the second.
const SOUND_MEGAPIXELS_PER_S: u64 = 1;

/// A guess at the size of the result, high rather than low. The node that does the job reserves as
/// much, and the scheduler gives it to none that has less.
pub fn result_bytes(catalog: &Catalog, job: &Job) -> u64 {
    let Some((generation, unit)) = unit_of(catalog, job) else {
        return SMALL_BYTES;
    };
    let video = catalog.video(job.video);
    let probe = video.and_then(|video| video.probe.as_deref());
    let (Some(video), Some(probe)) = (video, probe) else {
        return SMALL_BYTES;
    };
    let (kbps, ns) = match unit {
        Unit::Piece(_) => {
            let renditions = generation.renditions.iter();
            let kbps = renditions.map(|r| u64::from(r.video_kbps)).sum();
            let rate = probe.video.frame_rate;
            (kbps, rate.frame_to_ns(frames_of(generation, unit)))
        }
        Unit::Audio => (u64::from(generation.audio_kbps), probe.video.duration_ns),
        Unit::Clip => {
            // Its share of the original, what lies before the in point, and what an encoder
            // writes before it is joined.
            let frames = u128::from(frames_of(generation, unit));
            let share = u128::from(video.size_bytes) * frames;
            let share = share / u128::from(probe.video.frames.max(1));
            return clamp(share * 4).saturating_add(64 << 20);
        }
        Unit::Proxy => return proxy_bytes(catalog, generation, probe),
        Unit::Stills => return SMALL_BYTES,
    };
    // Twice the aim of the encoder, since bit rates at high frame rates lie above it.
    clamp(u128::from(kbps) * 125 * 2 * u128::from(ns) / 1_000_000_000)
}

/// Twice the file: the parts lie beside the whole for a moment. Four bits a pixel is more than any
/// of the codings takes.
fn proxy_bytes(catalog: &Catalog, generation: &Generation, probe: &Probe) -> u64 {
    let size = catalog
        .proxy_of_generation(generation.id)
        .and_then(|proxy| proxy.preset.size(&probe.video).ok())
        .unwrap_or(probe.video.display);
    let pixels = u128::from(size.width) * u128::from(size.height);
    let pictures = pixels * u128::from(probe.video.frames) / 2;
    let sound = probe.audio.iter().map(|track| {
        let second = u128::from(track.sample_rate) * u128::from(track.channels);
        // 24 bits at most.
        second * 3 * u128::from(probe.video.duration_ns) / 1_000_000_000
    });
    clamp((pictures + sound.sum::<u128>()) * 2).saturating_add(64 << 20)
}

/// Pictures to be encoded, in megapixels, or what takes as long.
pub(super) fn megapixels(catalog: &Catalog, job: &Job) -> u64 {
    let Some((generation, unit)) = unit_of(catalog, job) else {
        return SMALL_MEGAPIXELS;
    };
    let probe = catalog.video(job.video).and_then(|v| v.probe.as_deref());
    let size = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let pixels = match unit {
        Unit::Piece(_) => {
            let renditions = generation.renditions.iter();
            let pixels = renditions.map(|r| size(r.resolution.width, r.resolution.height));
            pixels.sum()
        }
        Unit::Clip | Unit::Proxy => probe.map_or(0, |probe| {
            size(probe.video.display.width, probe.video.display.height)
        }),
        Unit::Stills => return SMALL_MEGAPIXELS,
        Unit::Audio => {
            let seconds = probe.map_or(0, |probe| probe.video.duration_ns / 1_000_000_000);
            return SMALL_MEGAPIXELS.saturating_add(seconds * SOUND_MEGAPIXELS_PER_S);
        }
    };
    pixels.saturating_mul(frames_of(generation, unit)) / 1_000_000
}

fn unit_of<'a>(catalog: &'a Catalog, job: &Job) -> Option<(&'a Generation, Unit)> {
    match job.kind {
        Kind::Probe => None,
        Kind::Unit { generation, unit } => Some((catalog.generation(generation)?.as_ref(), unit)),
    }
}

fn frames_of(generation: &Generation, unit: Unit) -> u64 {
    let number = match unit {
        Unit::Piece(number) => usize::try_from(number).unwrap_or(usize::MAX),
        _ => 0,
    };
    generation.pieces.get(number).map_or(0, |piece| piece.len())
}

fn clamp(bytes: u128) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
