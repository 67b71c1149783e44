//! Pure: indexes of what a video is scrubbed by: its small pictures and the outlines of its sound.
//!
//! They follow from the manifests as the playlists do, while a video is rendered and afterwards.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::http::scrub::{Outline, OutlineLevel, Outlines, Sprite, SpriteSheet, Sprites};
use protocol::job::Unit;
use protocol::manifest::{Manifest, Sheet};

use super::names;

/// Names and texts of all indexes. The pictures of a video last up to `end_ns`.
pub fn indexes(manifests: &BTreeMap<Unit, Manifest>, end_ns: u64) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    // Units order by piece number, so sheets come in order of presentation.
    let sheets: Vec<&Sheet> = manifests.values().flat_map(|m| &m.sheets).collect();
    if let Some(sprites) = sprites(&sheets, end_ns) {
        texts.push((names::SPRITES_VTT.to_owned(), vtt(&sprites)));
        texts.push((names::SPRITES.to_owned(), json(&sprites)));
    }
    let outlines = outlines(manifests);
    if !outlines.tracks.is_empty() {
        texts.push((names::PEAKS.to_owned(), json(&outlines)));
    }
    texts
}

/// `None` if there are no small pictures.
fn sprites(sheets: &[&Sheet], end_ns: u64) -> Option<Sprites> {
    let cell = sheets.first()?.cell;
    let mut listed = Vec::new();
    let mut cells: Vec<Sprite> = Vec::new();
    for (sheet, number) in sheets.iter().zip(0..) {
        let size = sheet.resolution();
        listed.push(SpriteSheet {
            url: sheet.object.name.clone(),
            width: size.width,
            height: size.height,
        });
        for (cell, index) in sheet.cells.iter().zip(0..) {
            let start_ms = cell.at_ns / 1_000_000;
            if let Some(before) = cells.last_mut() {
                before.end_ms = start_ms;
            }
            let (x, y) = sheet.place(index);
            cells.push(Sprite {
                frame: cell.frame,
                start_ms,
                end_ms: end_ns.div_ceil(1_000_000).max(start_ms + 1),
                sheet: number,
                x,
                y,
            });
        }
    }
    Some(Sprites {
        width: cell.width,
        height: cell.height,
        sheets: listed,
        cells,
    })
}

/// A `WebVTT` file of media fragments, as players take it for their previews.
fn vtt(sprites: &Sprites) -> String {
    let mut text = String::from("WEBVTT\n");
    for cell in &sprites.cells {
        let Some(sheet) = usize::try_from(cell.sheet)
            .ok()
            .and_then(|number| sprites.sheets.get(number))
        else {
            continue;
        };
        let _ = write!(
            text,
            "\n{} --> {}\n{}#xywh={},{},{},{}\n",
            clock(cell.start_ms),
            clock(cell.end_ms),
            sheet.url,
            cell.x,
            cell.y,
            sprites.width,
            sprites.height,
        );
    }
    text
}

/// `00:00:01.001`.
fn clock(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03}")
}

fn outlines(manifests: &BTreeMap<Unit, Manifest>) -> Outlines {
    let peaks = manifests.get(&Unit::Audio).map(|m| m.peaks.as_slice());
    let track = |peaks: &protocol::manifest::Peaks| Outline {
        track: peaks.track.clone(),
        url: peaks.object.name.clone(),
        sample_rate: peaks.sample_rate,
        channels: peaks.channels,
        levels: (peaks.levels.iter())
            .map(|level| OutlineLevel {
                samples_per_bucket: level.samples_per_bucket,
                buckets: level.buckets,
                offset: level.offset,
            })
            .collect(),
    };
    Outlines {
        tracks: peaks.unwrap_or_default().iter().map(track).collect(),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain structs of numbers and texts: nothing in them can fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use protocol::id::BlobHash;
    use protocol::manifest::{Cell, Object, PeakLevel, Peaks};
    use protocol::media::Resolution;

    use super::*;

    fn object(name: &str) -> Object {
        Object {
            name: name.to_owned(),
            size_bytes: 9,
            blake3: BlobHash::from_bytes([7; 32]),
        }
    }

    fn sheet(name: &str, frames: std::ops::Range<u64>) -> Manifest {
        Manifest {
            sheets: vec![Sheet {
                object: object(name),
                cell: Resolution {
                    width: 192,
                    height: 108,
                },
                columns: 2,
                cells: frames
                    .map(|second| Cell {
                        frame: second * 30,
                        at_ns: second * 1_001_000_000,
                    })
                    .collect(),
            }],
            ..Manifest::default()
        }
    }

    #[test]
    fn each_moment_has_its_place_on_a_sheet() {
        let mut manifests = BTreeMap::new();
        manifests.insert(Unit::Piece(1), sheet("sprites/b.jpg", 3..4));
        manifests.insert(Unit::Piece(0), sheet("sprites/a.jpg", 0..3));
        let texts: BTreeMap<String, String> =
            indexes(&manifests, 3_503_500_000).into_iter().collect();
        assert_eq!(
            texts["sprites.vtt"],
            "WEBVTT\n\n\
             00:00:00.000 --> 00:00:01.001\nsprites/a.jpg#xywh=0,0,192,108\n\n\
             00:00:01.001 --> 00:00:02.002\nsprites/a.jpg#xywh=192,0,192,108\n\n\
             00:00:02.002 --> 00:00:03.003\nsprites/a.jpg#xywh=0,108,192,108\n\n\
             00:00:03.003 --> 00:00:03.504\nsprites/b.jpg#xywh=0,0,192,108\n"
        );
        let sprites: Sprites = serde_json::from_str(&texts["sprites.json"]).unwrap();
        assert_eq!((sprites.width, sprites.height), (192, 108));
        let sizes: Vec<_> = sprites.sheets.iter().map(|s| (s.width, s.height)).collect();
        assert_eq!(sizes, [(384, 216), (384, 108)]);
        let last = sprites.cells.last().unwrap();
        assert_eq!((last.frame, last.sheet, last.end_ms), (90, 1, 3504));
        assert!(!texts.contains_key("peaks.json"), "there is no sound");
        assert_eq!(clock(36_000_000 + 61_002), "10:01:01.002");
    }

    #[test]
    fn every_sound_track_has_its_outline() {
        let audio = Manifest {
            peaks: vec![Peaks {
                object: object("audio/peaks-x.dat"),
                track: "audio".to_owned(),
                sample_rate: 48_000,
                channels: 2,
                levels: vec![PeakLevel {
                    samples_per_bucket: 256,
                    buckets: 3,
                    offset: 0,
                }],
            }],
            ..Manifest::default()
        };
        let texts = indexes(&BTreeMap::from([(Unit::Audio, audio)]), 1);
        let [(name, text)] = texts.as_slice() else {
            panic!("{texts:?}");
        };
        assert_eq!(name, "peaks.json");
        assert_eq!(
            text,
            r#"{"tracks":[{"track":"audio","url":"audio/peaks-x.dat","sample_rate":48000,"channels":2,"levels":[{"samples_per_bucket":256,"buckets":3,"offset":0}]}]}"#
        );
    }
}
