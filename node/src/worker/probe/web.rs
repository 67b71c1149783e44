//! Whether the pictures of a file are fit for the web as they are, and where they can be cut.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use protocol::media::Resolution;
use protocol::probe::{VideoTrack, Web};

use crate::worker::cmaf::{self, Colour, Media};
use crate::worker::container::access::{Access, Picture};
use crate::worker::container::movie::Track;

/// Pictures that a segment may begin with, as far as they are noted: one every five seconds of a
/// day of video.
const ENTRIES_MAX: usize = 16_384;
/// Bytes of a length in front of a NAL unit.
const LENGTH_BYTES: u8 = 4;
/// NAL units in front of the first slice at most: parameter sets and messages.
const UNITS_MAX: usize = 24;
/// Entries closer to each other than this are of no use to anybody.
const APART_MS: u64 = 400;
/// Level 5.1: what players of the web decode.
const LEVEL_MAX: u8 = 51;

/// What the index and the key pictures of `track` say.
pub(super) fn look(track: &Track<'_>, access: Option<&Access>, file: &File) -> Web {
    match entries(track, access, file) {
        Ok((entries, bytes)) => Web {
            entries,
            // Bytes until the length of the track is known.
            kbps: u32::try_from(bytes / 1000).unwrap_or(u32::MAX),
            refused: None,
        },
        Err(refused) => Web {
            refused: Some(refused.to_owned()),
            ..Web::default()
        },
    }
}

fn entries(
    track: &Track<'_>,
    access: Option<&Access>,
    file: &File,
) -> Result<(Vec<u32>, u64), &'static str> {
    let access = access.ok_or("its edit list shows it in several parts")?;
    if &track.codec != b"avc1" || track.entries() != 1 {
        return Err("its parameter sets change on the way");
    }
    let avcc = track.box_of_entry(*b"avcC");
    let avcc = avcc.ok_or("it has no parameter sets")?;
    let &[_, profile, constraints, level, length, ..] = avcc else {
        return Err("it has no parameter sets");
    };
    let constrained = constraints & 0x40 != 0;
    // Baseline without constraint 1 may have slices in any order, which nobody decodes.
    if !matches!((profile, constrained), (66, true) | (77 | 100, _)) || level > LEVEL_MAX {
        return Err("its profile or level is not for the web");
    }
    if length & 3 != LENGTH_BYTES - 1 {
        return Err("its pictures are packed in another way than the web has it");
    }
    // What cannot be written to the byte must not be published.
    let media = Media::Video {
        resolution: Resolution {
            width: 2,
            height: 2,
        },
        avcc,
        colour: Colour {
            primaries: 1,
            transfer: 1,
            matrix: 1,
        },
    };
    if cmaf::init_segment(1, &media).is_err() {
        return Err("its parameter sets are not written as usual");
    }
    let splits = access.splits().ok_or("its edit list hides pictures")?;
    let step = splits.len().div_ceil(ENTRIES_MAX).max(1);
    let mut entries = Vec::new();
    for split in splits.iter().step_by(step) {
        if begins_with_idr(file, split) {
            entries.push(u32::try_from(split.rank).map_err(|_| "it is too long")?);
        }
    }
    Ok((entries, access.bytes()))
}

/// Looks at the heads of the units in front of the first slice, not at the picture.
fn begins_with_idr(file: &File, picture: &Picture) -> bool {
    let end = picture.offset.saturating_add(u64::from(picture.size));
    let mut at = picture.offset;
    for _ in 0..UNITS_MAX {
        let mut head = [0; 5];
        if at.saturating_add(5) > end || file.read_exact_at(&mut head, at).is_err() {
            return false;
        }
        let [a, b, c, d, unit] = head;
        match unit & 0x1f {
            5 => return true,
            // Slices of a picture that is none, and what belongs to them.
            1..=4 => return false,
            _ => {}
        }
        at += 4 + u64::from(u32::from_be_bytes([a, b, c, d]));
    }
    false
}

/// Judges `web` by what the decoder and the container say of the pictures.
pub(super) fn judge(web: Option<Web>, video: &VideoTrack) -> Web {
    let Some(mut web) = web.filter(|_| video.codec == "h264") else {
        return Web::default();
    };
    let full_range = video.colorimetry.starts_with("1:");
    let refused = if video.bit_depth != 8 || video.chroma != "4:2:0" {
        Some("browsers show no more than 8 bits and 4:2:0")
    } else if video.field_order != "progressive" {
        Some("it is interlaced")
    } else if video.rotation != 0 || video.coded != video.display {
        Some("it is turned, or its pixels are not square")
    } else if video.coded != video.coded.even() {
        Some("it has an odd number of columns or lines")
    } else if video.variable_frame_rate {
        Some("its frame rate is variable")
    } else if video.hdr || video.colorimetry.starts_with("bt2020") || full_range {
        Some("its colours are not those of a plain screen")
    } else {
        None
    };
    if let Some(reason) = refused {
        web.refused = Some(reason.to_owned());
    }
    if web.refused.is_some() {
        return Web {
            refused: web.refused,
            ..Web::default()
        };
    }
    let bits = u128::from(web.kbps) * 8 * 1_000_000_000;
    web.kbps = u32::try_from(bits / u128::from(video.duration_ns.max(1))).unwrap_or(u32::MAX);
    let apart = video.frame_rate.frames_in_ms(APART_MS);
    let mut last = None;
    web.entries.retain(|entry| {
        let far = last.is_none_or(|last: u32| u64::from(entry - last) >= apart);
        if far {
            last = Some(*entry);
        }
        far
    });
    web
}
