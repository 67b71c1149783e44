//! Pure: how tracks of our own making are described, for files that edit software reads.
//!
//! What comes out is an index without samples; it is read like any other, and its tracks then get
//! their samples from a cut.

use protocol::media::Resolution;
use protocol::preset::EditCodec;
use protocol::probe::{AudioTrack, Colour, Probe};
use protocol::worker::SoundTask;

use super::write::{Body, UNDETERMINED, UPRIGHT, boxed, count};

/// A picture track that is to be described.
#[derive(Debug, Clone, Copy)]
pub struct Pictures<'a> {
    pub codec: EditCodec,
    /// As they are stored.
    pub size: Resolution,
    /// Ticks per second.
    pub timescale: u32,
    /// Of the source: turn, shape of a pixel, order of fields.
    pub source: &'a Probe,
    pub colour: Colour,
    /// The `avcC` record of H.264.
    pub avcc: Option<&'a [u8]>,
    /// The compression id in the header of the first picture, for `DNxHR`.
    pub compression: u32,
}

/// The content of an index with one picture track and then `sound`, all without samples.
pub fn index(pictures: &Pictures<'_>, sound: &[(&SoundTask, &AudioTrack)]) -> Vec<u8> {
    let mut header = Body::full(0, 0);
    header.u32(0).u32(0).u32(pictures.timescale).u32(0);
    header.u32(0x1_0000).u16(0x0100).zeros(10);
    header.bytes(&UPRIGHT).zeros(24).u32(count(sound.len() + 2));
    let mut moov = header.boxed(*b"mvhd");
    moov.extend(picture_track(pictures));
    for (number, (task, track)) in sound.iter().enumerate() {
        moov.extend(sound_track(task, track, number));
    }
    moov
}

fn picture_track(pictures: &Pictures<'_>) -> Vec<u8> {
    let size = shown(pictures);
    let mut header = Body::full(0, 3);
    header.u32(0).u32(0).u32(1).u32(0).u32(0);
    header.zeros(8).u16(0).u16(0).u16(0).u16(0);
    let turned = matrix(pictures.source.video.rotation, size);
    header
        .bytes(&turned)
        .u32(size.width << 16)
        .u32(size.height << 16);
    let mut track = header.boxed(*b"tkhd");

    let mut minf = Body::full(0, 1);
    minf.u16(0x40).u16(0x8000).u16(0x8000).u16(0x8000);
    let minf = minf.boxed(*b"vmhd");
    let media = Media {
        timescale: pictures.timescale,
        language: UNDETERMINED,
        handler: *b"vide",
        name: "Video",
    };
    track.extend(media.boxed(minf, &visual_entry(pictures)));
    boxed(*b"trak", &track)
}

/// What a player makes of the stored size, before it turns it.
fn shown(pictures: &Pictures<'_>) -> Resolution {
    // Both sides are divided by the same number.
    let (num, den) = pictures.source.video.pixel_aspect;
    let width = (u64::from(pictures.size.width) * u64::from(num) + u64::from(den) / 2)
        / u64::from(den.max(1));
    Resolution {
        width: u32::try_from(width)
            .unwrap_or(pictures.size.width)
            .min(0x7fff),
        height: pictures.size.height.min(0x7fff),
    }
}

/// A clockwise turn, moved back into the first quadrant.
fn matrix(degrees: u16, size: Resolution) -> [u8; 36] {
    const ONE: i32 = 0x1_0000;
    let side = |side: u32| i32::try_from(side << 16).unwrap_or(0);
    let (width, height) = (side(size.width), side(size.height));
    let placed = match degrees {
        90 => [0, ONE, -ONE, 0, height, 0],
        180 => [-ONE, 0, 0, -ONE, width, height],
        270 => [0, -ONE, ONE, 0, 0, width],
        _ => [ONE, 0, 0, ONE, 0, 0],
    };
    let mut matrix = [0; 36];
    let places = [0, 4, 12, 16, 24, 28].into_iter().zip(placed);
    for (place, value) in places.chain([(32, 0x4000_0000)]) {
        matrix[place..place + 4].copy_from_slice(&value.to_be_bytes());
    }
    matrix
}

/// `QuickTime` File Format, "Video sample description".
fn visual_entry(pictures: &Pictures<'_>) -> Vec<u8> {
    let (kind, name): (_, &[u8]) = match pictures.codec {
        EditCodec::ProresProxy => (*b"apco", b"Apple ProRes 422 Proxy"),
        EditCodec::ProresLt => (*b"apcs", b"Apple ProRes 422 LT"),
        EditCodec::DnxhrLb => (*b"AVdh", b"Avid DNxHR LB"),
        EditCodec::H264Intra => (*b"avc1", b"H.264"),
    };
    let mut entry = Body::default();
    entry.zeros(6).u16(1).u16(0).u16(0).bytes(b"appl");
    // Quality in time and space: as good as lossless, says edit software that asks.
    entry.u32(0).u32(0x0000_0400);
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    entry
        .u16(side(pictures.size.width))
        .u16(side(pictures.size.height));
    entry.u32(0x0048_0000).u32(0x0048_0000).u32(0).u16(1);
    let length = name.len().min(31);
    entry
        .u8(u8::try_from(length).unwrap_or(0))
        .bytes(&name[..length])
        .zeros(31 - length);
    entry.u16(24).u16(u16::MAX);
    if let Some(avcc) = pictures.avcc {
        entry.bytes(&boxed(*b"avcC", avcc));
    }
    let mut fields = Body::default();
    match pictures.source.video.field_order.as_str() {
        // Lines of both fields are interleaved.
        "tff" => fields.u8(2).u8(9),
        "bff" => fields.u8(2).u8(14),
        _ => fields.u8(1).u8(0),
    };
    entry.bytes(&fields.boxed(*b"fiel"));
    let Colour {
        primaries,
        transfer,
        matrix,
        ..
    } = pictures.colour;
    let mut colour = Body::default();
    colour
        .bytes(b"nclc")
        .u16(primaries)
        .u16(transfer)
        .u16(matrix);
    entry.bytes(&colour.boxed(*b"colr"));
    let (num, den) = pictures.source.video.pixel_aspect;
    let mut aspect = Body::default();
    aspect.u32(num).u32(den);
    entry.bytes(&aspect.boxed(*b"pasp"));
    if pictures.codec == EditCodec::DnxhrLb {
        // What Avid's own software writes: levels from black to white, and which coding it is.
        let mut levels = Body::default();
        levels.bytes(b"ACLR0001").u32(1).u32(0);
        entry.bytes(&levels.boxed(*b"ACLR"));
        let mut coding = Body::default();
        coding
            .bytes(b"0001")
            .u32(pictures.compression)
            .u32(0)
            .u32(1)
            .u32(0)
            .u32(0);
        entry.bytes(&coding.boxed(*b"ADHR"));
    }
    entry.boxed(kind)
}

fn sound_track(task: &SoundTask, track: &AudioTrack, number: usize) -> Vec<u8> {
    let mut header = Body::full(0, 7);
    header.u32(0).u32(0).u32(count(number + 2)).u32(0).u32(0);
    // All of them together, none instead of another: an alternate group would hide them.
    header.zeros(8).u16(0).u16(0).u16(0x0100).u16(0);
    header.bytes(&UPRIGHT).u32(0).u32(0);
    let mut boxes = header.boxed(*b"tkhd");
    if let Some(label) = &track.label {
        boxes.extend(boxed(*b"udta", &boxed(*b"name", label.as_bytes())));
    }
    let mut minf = Body::full(0, 0);
    minf.u16(0).u16(0);
    let minf = minf.boxed(*b"smhd");
    let media = Media {
        timescale: task.sample_rate,
        language: track
            .language
            .as_deref()
            .and_then(packed)
            .unwrap_or(UNDETERMINED),
        handler: *b"soun",
        name: track.label.as_deref().unwrap_or("Audio"),
    };
    boxes.extend(media.boxed(minf, &sound_entry(task, track)));
    boxed(*b"trak", &boxes)
}

/// Three letters in three times five bits.
fn packed(language: &str) -> Option<u16> {
    let letters: [u8; 3] = language.as_bytes().try_into().ok()?;
    letters.into_iter().try_fold(0, |code, letter| {
        letter
            .is_ascii_lowercase()
            .then(|| code << 5 | u16::from(letter - 0x60))
    })
}

/// `QuickTime` File Format, "Sound sample description", version 1.
fn sound_entry(task: &SoundTask, track: &AudioTrack) -> Vec<u8> {
    let (kind, bytes) = match task.sample_bits {
        24 => (*b"in24", 3),
        _ => (*b"sowt", 2),
    };
    let mut entry = Body::default();
    entry.zeros(6).u16(1).u16(1).u16(0).u32(0);
    entry.u16(task.channels).u16(16).u16(0).u16(0);
    // 16.16 has room for 65535 Hz; above that the media's timescale tells.
    entry
        .u16(u16::try_from(task.sample_rate).unwrap_or(0))
        .u16(0);
    entry
        .u32(1)
        .u32(bytes)
        .u32(bytes * u32::from(task.channels))
        .u32(2);
    let mut layout = Body::full(0, 0);
    layout
        .u32(layout_tag(&track.layout, task.channels))
        .u32(0)
        .u32(0);
    entry.bytes(&layout.boxed(*b"chan"));
    entry.boxed(kind)
}

/// Core Audio's number for a layout.
fn layout_tag(layout: &str, channels: u16) -> u32 {
    let tag = match (layout, channels) {
        ("mono", 1) => 100,
        ("stereo", 2) => 101,
        // L R C LFE Ls Rs
        ("5.1", 6) => 121,
        // L R C LFE Ls Rs and two behind them
        ("7.1", 8) => 128,
        // In order, with no place in the room.
        _ => 147,
    };
    tag << 16 | u32::from(channels)
}

/// What the layout tags of [`layout_tag`], and those that others write, are called.
pub fn layout_name(tag: u32) -> Option<&'static str> {
    Some(match tag >> 16 {
        100 => "mono",
        101..=103 => "stereo",
        121..=124 => "5.1",
        126..=128 => "7.1",
        _ => return None,
    })
}

struct Media<'a> {
    timescale: u32,
    language: u16,
    handler: [u8; 4],
    name: &'a str,
}

impl Media<'_> {
    fn boxed(&self, mut minf: Vec<u8>, entry: &[u8]) -> Vec<u8> {
        let mut times = Body::full(0, 0);
        times.u32(0).u32(0).u32(self.timescale).u32(0);
        times.u16(self.language).u16(0);
        let mut mdia = times.boxed(*b"mdhd");
        mdia.extend(handler(*b"mhlr", self.handler, self.name));
        minf.extend(handler(*b"dhlr", *b"url ", "Data"));
        let mut stsd = Body::full(0, 0);
        stsd.u32(1).bytes(entry);
        minf.extend(boxed(*b"stbl", &stsd.boxed(*b"stsd")));
        mdia.extend(boxed(*b"minf", &minf));
        boxed(*b"mdia", &mdia)
    }
}

fn handler(component: [u8; 4], kind: [u8; 4], name: &str) -> Vec<u8> {
    let mut body = Body::full(0, 0);
    let length = name.floor_char_boundary(255);
    body.bytes(&component).bytes(&kind).zeros(12);
    body.u8(u8::try_from(length).unwrap_or(0))
        .bytes(&name.as_bytes()[..length]);
    body.boxed(*b"hdlr")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_packed_or_left_out() {
        assert_eq!(packed("eng"), Some(0x15c7));
        assert_eq!(packed("und"), Some(UNDETERMINED));
        for bad in ["", "en", "EN1", "engl", "ü"] {
            assert_eq!(packed(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_turned_picture_lies_in_the_first_quadrant() {
        let size = Resolution {
            width: 960,
            height: 540,
        };
        let moved = |degrees| {
            let matrix = matrix(degrees, size);
            let word = |at: usize| i32::from_be_bytes(matrix[at..at + 4].try_into().unwrap()) >> 16;
            [0, 4, 12, 16, 24, 28].map(word)
        };
        assert_eq!(moved(0), [1, 0, 0, 1, 0, 0]);
        assert_eq!(moved(90), [0, 1, -1, 0, 540, 0]);
        assert_eq!(moved(180), [-1, 0, 0, -1, 960, 540]);
        assert_eq!(moved(270), [0, -1, 1, 0, 0, 960]);
    }

    #[test]
    fn layouts_have_core_audios_numbers() {
        for (layout, channels) in [("mono", 1), ("stereo", 2), ("5.1", 6), ("7.1", 8)] {
            let tag = layout_tag(layout, channels);
            assert_eq!(layout_name(tag), Some(layout));
            assert_eq!(tag & 0xffff, u32::from(channels));
        }
        assert_eq!(layout_name(layout_tag("", 8)), None);
    }
}
