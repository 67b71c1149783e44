//! Pure: a unit's manifest, read with suspicion: the worker that wrote it decoded a stranger's file.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::collections::BTreeMap;

use protocol::job::Unit;
use protocol::manifest::{Manifest, Object, Segment, Sheet, Track, TrackKind};

use super::names::{self, Kind};

/// Largest manifest in bytes: a day of six-second segments in three renditions is 9 MB.
pub const BYTES_MAX: u64 = 64 << 20;

/// Largest single object in bytes.
pub const OBJECT_MAX_BYTES: u64 = 1 << 30;

/// Largest file of a subclip in bytes: that of the largest original.
pub const CLIP_MAX_BYTES: u64 = 1 << 60;

/// Longest side of a sheet of small pictures: JPEG's own bound.
const SIDE_MAX: u32 = 65_500;

/// Why a manifest cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the manifest is not valid JSON of the known shape: {0}")]
    Json(String),
    #[error("the manifest names {name:?}, which is not a name of this unit")]
    Name { name: String },
    #[error("the manifest names {name:?} twice")]
    Twice { name: String },
    #[error("the manifest gives {name:?} {size_bytes} bytes")]
    Size { name: String, size_bytes: u64 },
    #[error("track {track:?} has {problem}")]
    Track {
        track: String,
        problem: &'static str,
    },
    #[error("the sheet {name:?} has no sane order or size")]
    Sheet { name: String },
    #[error("the manifest of {unit} holds {problem}")]
    Content { unit: Unit, problem: &'static str },
}

/// The manifest of `unit` in `bytes`, with every name, size and time checked.
///
/// # Errors
/// Anything that could write outside the generation's folder or give a wrong playlist.
pub fn parse(unit: Unit, bytes: &[u8]) -> Result<Manifest, Error> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| Error::Json(error.to_string()))?;
    check(unit, &manifest)?;
    Ok(manifest)
}

fn check(unit: Unit, manifest: &Manifest) -> Result<(), Error> {
    let content = |problem| Err(Error::Content { unit, problem });
    match unit {
        Unit::Piece(_) | Unit::Audio if manifest.tracks.is_empty() => return content("no track"),
        Unit::Piece(_) | Unit::Audio if !manifest.stills.is_empty() => return content("stills"),
        Unit::Stills if !manifest.tracks.is_empty() => return content("tracks"),
        Unit::Stills if manifest.stills.is_empty() => return content("no still"),
        Unit::Clip if !manifest.tracks.is_empty() || !manifest.stills.is_empty() => {
            return content("more than a file");
        }
        Unit::Clip if manifest.clip.is_none() => return content("no file"),
        Unit::Piece(_) | Unit::Audio | Unit::Stills if manifest.clip.is_some() => {
            return content("the file of a subclip");
        }
        Unit::Piece(_) | Unit::Audio | Unit::Stills | Unit::Clip => {}
    }
    for track in &manifest.tracks {
        let audio = matches!(track.kind, TrackKind::Audio { .. });
        if audio != (unit == Unit::Audio) {
            return content("a track of the wrong kind");
        }
        check_track(track)?;
    }
    for still in &manifest.stills {
        check_object(&still.object, &[Kind::Image, Kind::WebP])?;
    }
    if !manifest.sheets.is_empty() && !matches!(unit, Unit::Piece(_)) {
        return content("sheets of small pictures");
    }
    for sheet in &manifest.sheets {
        check_sheet(sheet)?;
    }
    if !manifest.peaks.is_empty() && unit != Unit::Audio {
        return content("outlines of sound");
    }
    for peaks in &manifest.peaks {
        check_object(&peaks.object, &[Kind::Peaks])?;
        // Goes into an index.
        if !manifest
            .tracks
            .iter()
            .any(|track| track.name == peaks.track)
        {
            return content("an outline of another track");
        }
    }
    if let Some(file) = &manifest.clip {
        check_object(file, &[Kind::Init, Kind::Movie])?;
    }
    let mut seen = BTreeMap::new();
    for object in manifest.objects() {
        // Two segments of equal bytes under an equal name are one object.
        if seen
            .insert(object.name.as_str(), object)
            .is_some_and(|other| other != object)
        {
            return Err(Error::Twice {
                name: object.name.clone(),
            });
        }
    }
    Ok(())
}

fn check_sheet(sheet: &Sheet) -> Result<(), Error> {
    check_object(&sheet.object, &[Kind::Image])?;
    let sane = |side: u32| (1..=SIDE_MAX).contains(&side);
    let size = sheet.resolution();
    let in_order = sheet
        .cells
        .windows(2)
        .all(|pair| pair[0].frame < pair[1].frame && pair[0].at_ns < pair[1].at_ns);
    if sheet.cells.is_empty() || !in_order || !sane(size.width) || !sane(size.height) {
        return Err(Error::Sheet {
            name: sheet.object.name.clone(),
        });
    }
    Ok(())
}

fn check_track(track: &Track) -> Result<(), Error> {
    let wrong = |problem| {
        Err(Error::Track {
            track: track.name.chars().take(80).collect(),
            problem,
        })
    };
    if !names::is_valid(&track.name) || track.name.contains(['/', '.']) {
        return wrong("a name that is not allowed");
    }
    // Goes into a quoted attribute.
    let codec = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
    if track.codec.is_empty() || track.codec.len() > 64 || !track.codec.bytes().all(codec) {
        return wrong("a codec that is not an RFC 6381 name");
    }
    if track.timescale == 0 {
        return wrong("no timescale");
    }
    if track.segments.is_empty() {
        return wrong("no segments");
    }
    let day = u64::from(track.timescale) * 86_400;
    if track
        .segments
        .iter()
        .any(|s| s.duration == 0 || s.duration > day)
    {
        return wrong("a segment without a sane duration");
    }
    if !track.segments.iter().all(keys_are_inside) {
        return wrong("a key picture outside its segment");
    }
    let inside = |object: &Object| {
        let folder = object.name.strip_prefix(&track.name);
        folder
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|file| !file.contains('/'))
    };
    check_object(&track.init, &[Kind::Init])?;
    for object in std::iter::once(&track.init).chain(track.segments.iter().map(|s| &s.object)) {
        if !inside(object) {
            return wrong("a file outside its folder");
        }
        check_object(object, &[Kind::Init, Kind::Segment])?;
    }
    Ok(())
}

/// Key pictures lie in the file, one after the other in time.
fn keys_are_inside(segment: &Segment) -> bool {
    let size = segment.object.size_bytes;
    let inside = segment.keys.iter().all(|key| {
        let end = key.offset.checked_add(key.size_bytes);
        key.size_bytes > 0 && end.is_some_and(|end| end <= size) && key.at < segment.duration
    });
    inside && segment.keys.windows(2).all(|pair| pair[0].at < pair[1].at)
}

fn check_object(object: &Object, kinds: &[Kind]) -> Result<(), Error> {
    let name = &object.name;
    let kind = Kind::of(name).is_some_and(|kind| kinds.contains(&kind));
    let hash = object.blake3.to_string();
    let named_by_hash = names::hash_in(name).is_some_and(|digits| hash.starts_with(digits));
    if !names::is_valid(name) || !kind || !named_by_hash {
        return Err(Error::Name {
            name: name.chars().take(names::NAME_MAX).collect(),
        });
    }
    let largest = if kinds.contains(&Kind::Movie) {
        CLIP_MAX_BYTES
    } else {
        OBJECT_MAX_BYTES
    };
    if object.size_bytes == 0 || object.size_bytes > largest {
        return Err(Error::Size {
            name: name.clone(),
            size_bytes: object.size_bytes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::id::BlobHash;
    use protocol::manifest::{KeyPicture, Still};
    use protocol::media::{FrameRange, FrameRate, Resolution};

    use super::*;

    fn object(stem: &str, ending: &str, bytes: &[u8]) -> Object {
        let blake3 = BlobHash::of(bytes);
        Object {
            name: format!("{stem}-{}.{ending}", blake3.short()),
            size_bytes: bytes.len() as u64,
            blake3,
        }
    }

    fn piece() -> Manifest {
        Manifest {
            frames: Some(FrameRange { start: 0, end: 50 }),
            tracks: vec![Track {
                name: "360p".to_owned(),
                kind: TrackKind::Video {
                    resolution: Resolution {
                        width: 640,
                        height: 360,
                    },
                    frame_rate: FrameRate::new(25, 1).unwrap(),
                },
                codec: "avc1.4d401e".to_owned(),
                timescale: 25,
                init: object("360p/init", "mp4", b"init"),
                segments: vec![Segment {
                    object: object("360p/000000", "m4s", b"segment"),
                    duration: 50,
                    frames: 50,
                    keys: Vec::new(),
                }],
            }],
            ..Manifest::default()
        }
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> Error {
        let mut manifest = piece();
        change(&mut manifest);
        let bytes = serde_json::to_vec(&manifest).unwrap();
        parse(Unit::Piece(0), &bytes).unwrap_err()
    }

    #[test]
    fn a_good_manifest_passes_for_its_own_unit_only() {
        let bytes = serde_json::to_vec(&piece()).unwrap();
        assert_eq!(parse(Unit::Piece(0), &bytes), Ok(piece()));
        assert!(parse(Unit::Audio, &bytes).is_err());
        assert!(parse(Unit::Stills, &bytes).is_err());
        assert!(matches!(parse(Unit::Audio, b"{"), Err(Error::Json(_))));
    }

    #[test]
    fn nothing_leads_out_of_the_folder_or_breaks_a_playlist() {
        let hash = BlobHash::of(b"segment").short();
        for name in [
            "../../../etc/passwd",
            "/etc/passwd",
            "360p/../master.m3u8",
            "master.m3u8",
        ] {
            refused(|m| m.tracks[0].segments[0].object.name = name.to_owned());
        }
        refused(|m| m.tracks[0].segments[0].object.name = format!("720p/000000-{hash}.m4s"));
        refused(|m| m.tracks[0].segments[0].object.name = format!("360p/a/000000-{hash}.m4s"));
        refused(|m| m.tracks[0].segments[0].object.blake3 = BlobHash::of(b"other"));
        refused(|m| m.tracks[0].segments[0].object.size_bytes = 0);
        refused(|m| m.tracks[0].segments[0].duration = 0);
        let key = |offset, size_bytes, at| KeyPicture {
            offset,
            size_bytes,
            at,
        };
        refused(|m| m.tracks[0].segments[0].keys = vec![key(0, 8, 0)]);
        refused(|m| m.tracks[0].segments[0].keys = vec![key(u64::MAX, 2, 0)]);
        refused(|m| m.tracks[0].segments[0].keys = vec![key(0, 2, 25), key(2, 2, 25)]);
        refused(|m| m.tracks[0].segments.clear());
        refused(|m| m.tracks[0].timescale = 0);
        refused(|m| m.tracks[0].codec = "avc1\"\n#EXT-X".to_owned());
        refused(|m| m.tracks[0].name = "units".to_owned() + "/..");
        refused(|m| m.tracks.clear());
        refused(|m| {
            m.stills.push(Still {
                resolution: Resolution {
                    width: 320,
                    height: 180,
                },
                width_class: 320,
                object: object("thumb-320", "jpg", b"jpg"),
            });
        });
    }
}
