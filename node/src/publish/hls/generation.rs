//! Pure: the playlists of a generation from its units' manifests, whole or while it is rendered.
//!
//! While it is rendered, what can be played is the run of pieces from the first to the one before
//! the first that is missing. Which units are in the origin says the catalogue, so everything that
//! a playlist names is there.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;

use coordinator::catalog::generation::{Generation, Stage, UnitState};
use protocol::job::Unit;
use protocol::manifest::{Manifest, TrackKind};
use protocol::media::{FrameRate, SHORTEST_SEGMENT_MS};

use super::names;
use super::playlist::{self, Ending, Rendition};
use super::scrub;

/// The units that can be played now: none before the first piece and the sound are there.
pub fn playable(generation: &Generation) -> Vec<Unit> {
    let published = |unit: &Unit| {
        matches!(
            generation.units.get(unit),
            Some(UnitState::Published { .. })
        )
    };
    let audio = generation.audio_track.map(|_| Unit::Audio);
    if generation.stage == Stage::Retired || generation.is_file() || !audio.iter().all(published) {
        return Vec::new();
    }
    let pieces: Vec<Unit> = (0..)
        .zip(&generation.pieces)
        .map(|(number, _)| Unit::Piece(number))
        .take_while(published)
        .collect();
    if pieces.is_empty() {
        return pieces;
    }
    pieces.into_iter().chain(audio).collect()
}

/// Names and texts of all playlists, the multivariant one last, from the manifests of all units.
///
/// # Errors
/// The units do not fit together.
pub fn whole(
    generation: &Generation,
    manifests: &BTreeMap<Unit, Manifest>,
) -> Result<Vec<(String, String)>, playlist::Error> {
    if generation.is_file() {
        // Its file is fetched as it is.
        return Ok(Vec::new());
    }
    write(generation, manifests, None)
}

/// The same from the manifests of the units in [`playable`]: playlists that go on growing.
///
/// # Errors
/// The units do not fit together.
pub fn growing(
    generation: &Generation,
    manifests: &BTreeMap<Unit, Manifest>,
) -> Result<Vec<(String, String)>, playlist::Error> {
    let rate = manifests.values().find_map(|manifest| {
        let mut kinds = manifest.tracks.iter().map(|track| track.kind.clone());
        kinds.find_map(|kind| match kind {
            TrackKind::Video { frame_rate, .. } => Some(frame_rate),
            TrackKind::Audio { .. } => None,
        })
    });
    let rate = rate.ok_or(playlist::Error::Empty)?;
    write(
        generation,
        manifests,
        Some(target_duration(generation, rate)),
    )
}

/// What the longest segment will have, in whole seconds: it must not change while a playlist grows
/// (RFC 8216, 4.3.3.1).
fn target_duration(generation: &Generation, rate: FrameRate) -> u64 {
    let frames = generation.pieces.last().map_or(0, |piece| piece.end);
    let segment = u64::from(generation.segment_frames.max(1));
    if generation.keeps_top() {
        let ends = generation.cuts.iter().skip(1).chain([&frames]);
        let lengths = generation.cuts.iter().zip(ends).map(|(a, b)| b - a);
        // Sound is cut on the grid all the same.
        return seconds(rate, lengths.max().unwrap_or(0).max(segment.min(frames)));
    }
    let (full, tail) = (frames / segment, frames % segment);
    let longest = match full {
        0 => frames,
        // A tail that is no segment belongs to the one before.
        _ if tail < rate.frames_in_ms(SHORTEST_SEGMENT_MS) => segment + tail,
        _ => segment,
    };
    seconds(rate, longest)
}

fn seconds(rate: FrameRate, frames: u64) -> u64 {
    let ns = rate.frame_to_ns(frames);
    ((ns + 500_000_000) / 1_000_000_000).max(1)
}

fn write(
    generation: &Generation,
    manifests: &BTreeMap<Unit, Manifest>,
    target_s: Option<u64>,
) -> Result<Vec<(String, String)>, playlist::Error> {
    // Units order by piece number, so each rendition's shares come in order of presentation.
    let pieces = || {
        let is_piece = |unit: &Unit| matches!(unit, Unit::Piece(_));
        let pieces = manifests.iter().filter(move |(unit, _)| is_piece(unit));
        pieces.map(|(_, manifest)| manifest)
    };
    let mut videos = Vec::new();
    for rendition in &generation.renditions {
        let mut parts = Vec::new();
        for piece in pieces() {
            let mut tracks = piece.tracks.iter();
            let part = tracks.find(|track| track.name == rendition.name);
            parts.push(part.ok_or_else(|| playlist::Error::Differ {
                track: rendition.name.clone(),
                what: "their renditions",
            })?);
        }
        videos.push(Rendition::join(parts)?);
    }
    let mut sound = Vec::new();
    for track in manifests
        .get(&Unit::Audio)
        .into_iter()
        .flat_map(|manifest| &manifest.tracks)
    {
        sound.push(Rendition::join(vec![track])?);
    }
    let ending = match target_s {
        None => Ending::Complete,
        // Sound is rendered at once, but a player takes a playlist with an end for one that does
        // not grow.
        Some(target_s) => Ending::Open {
            target_s,
            listed_ns: videos.first().map_or(0, Rendition::duration_ns),
        },
    };
    let mut texts = Vec::new();
    for rendition in videos.iter().chain(&sound) {
        let name = names::media_playlist(rendition.name());
        texts.push((name, playlist::media(rendition, ending)));
    }
    for rendition in &videos {
        if let Some(text) = playlist::iframes(rendition, ending) {
            texts.push((names::iframe_playlist(rendition.name()), text));
        }
    }
    let listed_ns = videos.first().map_or(0, Rendition::duration_ns);
    texts.extend(scrub::indexes(manifests, listed_ns));
    let master = playlist::multivariant(&videos, &sound)?;
    texts.push((names::MASTER.to_owned(), master));
    Ok(texts)
}
