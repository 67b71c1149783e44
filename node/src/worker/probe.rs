//! What is in this file: typefind first, refusals before any decoding, then the facts.

/// Which containers and codings are opened, and with which elements.
pub mod codec;

mod first_picture;
mod index;
mod survey;
mod typefind;
mod web;

use std::fs::File;
use std::path::Path;

use protocol::failure::Failure;
use protocol::media::{FrameRate, Resolution};
use protocol::probe::{AudioTrack, Colour, Probe, SourceTimecode, VideoTrack};
use protocol::timecode::Timecode;
use protocol::worker::Request;

use self::codec::{Container, VideoCodec, audio_name, spoken_name};
use self::first_picture::{Picture, first_picture};
use self::index::Index;
use self::survey::{Depth, Kind, Stream, Survey};
use crate::worker::container::movie::Turn;
use crate::worker::container::timing::Timing;
use crate::worker::refuse::{Refusal, check_picture, check_time, check_tracks};

/// Codings whose samples a decoder takes one by one, beginning at any key picture.
const ENTERED: [&str; 6] = ["dnxhd", "h264", "hevc", "mjpeg", "mpeg4", "prores"];
/// With key pictures further apart, more would be decoded to enter than is gained.
const ENTRY_EVERY_MS: u64 = 20_000;

/// Looks into the input of `request`.
///
/// GStreamer must be initialised. Everything that is wrong with the file itself comes back as a
/// [`Failure`] of class `Input`; the codes are listed in the room `refuse`.
pub fn run(request: &Request) -> Result<Probe, Failure> {
    let path = Path::new(&request.input);
    let unreadable = |error: std::io::Error| Refusal::Unreadable.because(error.to_string());
    let mut file = File::open(path).map_err(unreadable)?;
    let size_bytes = file.metadata().map_err(unreadable)?.len();
    if size_bytes == 0 {
        return Err(Refusal::Empty.into());
    }
    let mut container = typefind::container(path, &mut file)?;
    let mut remarks = Vec::new();
    let index = match container.demuxer {
        "qtdemux" => Some(Index::read(&mut file, size_bytes, &mut remarks)?),
        _ => None,
    };
    drop(file);
    if let Some(index) = &index {
        container.name = index.container;
    }

    // An MP4 index tells all about time; everything else has to be read to be counted.
    let depth = match &index {
        Some(index) if index.timing.is_some() => Depth::Headers,
        _ => Depth::Everything,
    };
    let survey = survey::survey(path, container, depth)?;
    let (stream, codec) = choose(&survey, index.as_ref())?;
    let caps = stream.parsed.as_ref().unwrap_or(&stream.caps);
    let sizes = [size(&stream.caps), size(caps), stream.coded];
    for (width, height) in sizes.into_iter().flatten() {
        check_picture(width, height)?;
    }
    let (frames, timing) = match index.as_ref().and_then(|index| index.timing) {
        Some(found) => found,
        None => counted(stream, &survey, container)?,
    };
    check_time(timing.frame_rate, timing.duration_ns)?;
    // Nothing was decoded so far, and nothing is decoded of what is refused.
    let picture = first_picture(path, container, codec)?.map_err(|why| {
        let codec = codec.name.to_owned();
        Refusal::Undecodable { codec }.because(why)
    })?;
    check_picture(picture.width, picture.height)?;

    let turn = match &index {
        Some(index) => index.turn,
        None => tagged_turn(stream, &survey),
    };
    let colorimetry = colorimetry(caps).or_else(|| colorimetry(&stream.caps));
    let colorimetry = colorimetry.unwrap_or_default();
    let (colour, colorimetry) = colours(index.as_ref(), colorimetry);
    let field_order = field_order(index.as_ref(), codec, &picture);
    let pixel_aspect = pixel_aspect(caps, &stream.caps, &picture);
    let square = pixel_aspect.unwrap_or((1, 1));
    let coded = Resolution {
        width: picture.width,
        height: picture.height,
    };
    // Filters that look at neighbours, and times that only a whole pass knows, want the whole.
    let random_access = index.as_ref().and_then(|index| index.longest_gop);
    let random_access = random_access.is_some_and(|gop| {
        gop <= timing.frame_rate.frames_in_ms(ENTRY_EVERY_MS)
            && ENTERED.contains(&codec.name)
            && !timing.variable
            && field_order == "progressive"
    });
    let video = VideoTrack {
        codec: codec.name.to_owned(),
        coded,
        display: display(coded, square, turn.degrees),
        pixel_aspect: square,
        rotation: turn.degrees,
        frame_rate: timing.frame_rate,
        variable_frame_rate: timing.variable,
        frames,
        duration_ns: timing.duration_ns,
        bit_depth: picture.bit_depth,
        chroma: picture.chroma.to_owned(),
        field_order: field_order.to_owned(),
        hdr: is_hdr(&colorimetry),
        colour,
        colorimetry,
        random_access,
    };
    remark(&mut remarks, &video, &survey, stream);
    if turn.mirrored {
        remarks.push("The file asks for a mirrored picture; it is shown unmirrored.".to_owned());
    }
    if pixel_aspect.is_none() {
        remarks
            .push("The shape of its pixels makes no sense; they are taken as square.".to_owned());
    }
    let timecode = match index.as_ref().and_then(|index| index.timecode.clone()) {
        Some(found) => Some(found),
        None => foreign_timecode(stream, &survey, container, timing.frame_rate),
    };
    Ok(Probe {
        container: container.name.to_owned(),
        web: web::judge(index.as_ref().and_then(|index| index.web.clone()), &video),
        video,
        audio: audio(&survey, index.as_ref(), &mut remarks),
        timecode,
        reel: index.as_ref().and_then(|index| index.reel.clone()),
        remarks,
    })
}

/// The container's word on colour, else the stream's; by number and by name.
fn colours(index: Option<&Index>, colorimetry: String) -> (Colour, String) {
    let colour = index.and_then(|index| index.colour);
    let colour = colour.unwrap_or_else(|| colour_of(&colorimetry));
    if colorimetry.is_empty() {
        return (colour, named(colour).unwrap_or_default());
    }
    (colour, colorimetry)
}

/// A coding without fields of its own has them in the container's words.
fn field_order(index: Option<&Index>, codec: VideoCodec, picture: &Picture) -> &'static str {
    match index.and_then(|index| index.field_order) {
        Some(order) if picture.field_order == "progressive" && codec.name == "dnxhd" => order,
        _ => picture.field_order,
    }
}

/// Says what is odd about the pictures but was dealt with.
fn remark(remarks: &mut Vec<String>, video: &VideoTrack, survey: &Survey, stream: &Stream) {
    if survey.error.is_some() {
        remarks.push("The file is damaged; what can be read is shown.".to_owned());
    }
    if stream.outside > 0 {
        remarks.push(format!(
            "{} pictures lie outside the time that the file says it has, and are left out.",
            stream.outside
        ));
    }
    if video.variable_frame_rate {
        remarks.push(format!(
            "The frame rate is variable; it is treated as {} frames a second.",
            video.frame_rate
        ));
    }
    if video.field_order != "progressive" {
        remarks.push("The picture is interlaced; it is deinterlaced.".to_owned());
    }
    if video.hdr {
        remarks.push(
            "The picture is high dynamic range; the proxy shows it as a plain screen can."
                .to_owned(),
        );
    }
}

/// The video stream to render, which is the first one, and its coding.
fn choose<'a>(
    survey: &'a Survey,
    index: Option<&Index>,
) -> Result<(&'a Stream, VideoCodec), Failure> {
    let videos = survey.of_kind(Kind::Video).count();
    check_tracks(survey.streams.len(), videos)?;
    let detail = survey.error.clone().unwrap_or_default();
    let Some(stream) = survey.of_kind(Kind::Video).next() else {
        // The index knows of a track that GStreamer did not care to offer.
        if let Some(index) = index {
            let name = spoken_name(&index.codec);
            return Err(Refusal::UnsupportedCodec { name }.because(detail));
        }
        if survey.streams.is_empty() {
            return Err(Refusal::Damaged.because(detail));
        }
        let sound = survey.of_kind(Kind::Audio).next().is_some();
        return Err(Refusal::NoVideoTrack { sound }.because(detail));
    };
    if let Some(codec) = stream.codec.filter(is_decodable) {
        return Ok((stream, codec));
    }
    let kind = stream.caps.structure(0).map(|s| s.name().to_string());
    let kind = kind.unwrap_or_default();
    if kind == "application/x-cenc" {
        return Err(Refusal::Encrypted.into());
    }
    let name = match (index, kind.strip_prefix("video/x-gst-fourcc-")) {
        (Some(index), _) => spoken_name(&index.codec),
        (None, Some(fourcc)) => spoken_name(fourcc),
        (None, None) => spoken_name(&kind),
    };
    Err(Refusal::UnsupportedCodec { name }.because(stream.caps.to_string()))
}

fn is_decodable(codec: &VideoCodec) -> bool {
    codec.decoders.is_empty() || codec.decoder().is_some()
}

/// Frames and timing from the time stamps of a pass through the whole file.
fn counted(
    stream: &Stream,
    survey: &Survey,
    container: Container,
) -> Result<(u64, Timing), Failure> {
    let frames = stream.shown;
    if frames == 0 {
        return Err(match &survey.error {
            Some(text) => Refusal::Damaged.because(text),
            None => Refusal::NoPictures.into(),
        });
    }
    let parsed = stream.parsed.as_ref();
    let declared = parsed
        .and_then(|caps| field_fraction(caps, "framerate"))
        .or_else(|| field_fraction(&stream.caps, "framerate"));
    let stamped = stream.starts.len() as u64;
    // These containers have a grid instead of time stamps; and a stream that is only partly
    // stamped is not to be measured by its stamps.
    let has_grid = matches!(container.name, "avi" | "mxf");
    if let Some(frame_rate) = declared.filter(|_| has_grid || stamped < frames) {
        let timing = Timing {
            frame_rate,
            variable: false,
            duration_ns: frame_rate.frame_to_ns(frames),
        };
        return Ok((frames, timing));
    }
    let mut starts: Vec<i64> = stream
        .starts
        .iter()
        .map(|start| i64::try_from(*start).unwrap_or(i64::MAX))
        .collect();
    starts.sort_unstable();
    let (first, last) = (starts.first().copied(), starts.last().copied());
    let gaps = i64::try_from(starts.len()).unwrap_or(i64::MAX).max(2) - 1;
    let mean = last.unwrap_or(0).saturating_sub(first.unwrap_or(0)) / gaps;
    let length = stream
        .picture_ns
        .and_then(|ns| i64::try_from(ns).ok())
        .unwrap_or(mean);
    let end = last.unwrap_or(0).saturating_add(length);
    // Stamps come in the container's own ticks: milliseconds in Matroska and FLV, 90 kHz in MPEG.
    // In those units rounding is understood as such.
    let ticks: u32 = match container.name {
        "mkv" | "webm" | "flv" => 1000,
        "ts" | "ps" => 90_000,
        _ => 1_000_000_000,
    };
    let tick_ns = 1_000_000_000 / i64::from(ticks);
    let to_ticks = |ns: i64| ns.saturating_add(tick_ns / 2) / tick_ns;
    let in_ticks: Vec<i64> = starts.iter().map(|ns| to_ticks(*ns)).collect();
    let timing = Timing::of(&in_ticks, to_ticks(end), ticks, declared)
        .ok_or_else(|| Failure::from(Refusal::NoPictures))?;
    Ok((frames, timing))
}

fn audio(survey: &Survey, index: Option<&Index>, remarks: &mut Vec<String>) -> Vec<AudioTrack> {
    let streams: Vec<&Stream> = survey.of_kind(Kind::Audio).collect();
    let known = index.map_or(&[][..], |index| &index.sound);
    // Only if both see the same tracks can they be matched by position.
    let matches = known.len() == streams.len();
    if index.is_some() && !matches {
        remarks.push(format!(
            "Of {} sound tracks only {} can be read.",
            known.len(),
            streams.len()
        ));
    }
    let track = |(position, stream): (usize, &&Stream)| {
        let caps = stream.parsed.as_ref().unwrap_or(&stream.caps);
        let number = |field| {
            let of = |caps: &gst::Caps| caps.structure(0)?.get::<i32>(field).ok();
            of(caps).or_else(|| of(&stream.caps)).unwrap_or(0)
        };
        let indexed = known.get(position).filter(|_| matches);
        let tagged = stream.tags.iter().find_map(|tags| {
            let language = tags.get::<gst::tags::LanguageCode>()?;
            Some(language.get().to_owned())
        });
        let tagged = tagged.filter(|code| {
            (2..=3).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_lowercase())
                && code != "und"
        });
        AudioTrack {
            codec: audio_name(caps),
            channels: u16::try_from(number("channels")).unwrap_or(0),
            sample_rate: u32::try_from(number("rate")).unwrap_or(0),
            language: indexed.and_then(|sound| sound.language.clone()).or(tagged),
            duration_ns: indexed.map_or_else(
                || stream.span.map_or(0, |(first, last)| last - first),
                |sound| sound.duration_ns,
            ),
            label: indexed
                .and_then(|sound| sound.label.clone())
                .or_else(|| title(stream)),
            layout: indexed
                .and_then(|sound| sound.layout.map(str::to_owned))
                .unwrap_or_else(|| layout(caps, &stream.caps)),
            sample_bits: match indexed.map_or(0, |sound| sound.sample_bits) {
                0 => sample_bits(caps),
                bits => bits,
            },
        }
    };
    streams.iter().enumerate().map(track).collect()
}

/// What a tag calls the track.
fn title(stream: &Stream) -> Option<String> {
    let title = stream.tags.iter().find_map(|tags| {
        let title = tags.get::<gst::tags::Title>()?;
        Some(title.get().trim().to_owned())
    });
    title.filter(|title| !title.is_empty() && !title.contains(char::is_control))
}

/// Where the channels are heard, as `AudioTrack::layout` has it.
fn layout(parsed: &gst::Caps, container: &gst::Caps) -> String {
    let number = |field| {
        let of = |caps: &gst::Caps| caps.structure(0)?.get::<i32>(field).ok();
        of(parsed).or_else(|| of(container)).unwrap_or(0)
    };
    let mask = [parsed, container].into_iter().find_map(|caps| {
        let mask = caps
            .structure(0)?
            .get::<gst::Bitmask>("channel-mask")
            .ok()?;
        Some(mask.0).filter(|mask| *mask != 0)
    });
    // Sides or rears make no difference to the name.
    let name = match (number("channels"), mask) {
        (1, _) => "mono",
        (2, None | Some(0x3)) => "stereo",
        (6, Some(0x3f | 0x60f)) => "5.1",
        (8, Some(0xc3f | 0x63f | 0xff)) => "7.1",
        // A coding whose number of channels says where they are.
        (6, None) if is_placed(parsed) => "5.1",
        (8, None) if is_placed(parsed) => "7.1",
        _ => "",
    };
    name.to_owned()
}

/// Codings in which so many channels are always heard at the same places.
fn is_placed(caps: &gst::Caps) -> bool {
    let codec = audio_name(caps);
    matches!(
        codec.as_str(),
        "aac" | "ac3" | "eac3" | "dts" | "opus" | "vorbis" | "flac"
    )
}

/// Bits of one uncompressed sample; 0 where the coding has none.
fn sample_bits(caps: &gst::Caps) -> u16 {
    let info = gst_audio::AudioInfo::from_caps(caps).ok();
    info.map_or(0, |info| u16::try_from(info.depth()).unwrap_or(0))
}

/// By the numbers of ITU-T H.273.
fn colour_of(colorimetry: &str) -> Colour {
    let Ok(colour) = colorimetry.parse::<gst_video::VideoColorimetry>() else {
        return Colour::default();
    };
    let number = |iso: u32| match u16::try_from(iso) {
        // Not said.
        Ok(2) | Err(_) => 0,
        Ok(number) => number,
    };
    Colour {
        primaries: number(colour.primaries().to_iso()),
        transfer: number(colour.transfer().to_iso()),
        matrix: number(colour.matrix().to_iso()),
        full_range: colour.range() == gst_video::VideoColorRange::Range0_255,
    }
}

/// What GStreamer calls a colour that only the container names.
fn named(colour: Colour) -> Option<String> {
    let name = match (colour.primaries, colour.transfer, colour.matrix) {
        _ if colour.full_range => return None,
        (1, 1, 1) => "bt709",
        (5 | 6, 1 | 6, 5 | 6) => "bt601",
        (9, 16, 9) => "bt2100-pq",
        (9, 18, 9) => "bt2100-hlg",
        (9, 1 | 14 | 15, 9) => "bt2020",
        _ => return None,
    };
    Some(name.to_owned())
}

/// A start timecode from the stream itself or from a tag.
fn foreign_timecode(
    stream: &Stream,
    survey: &Survey,
    container: Container,
    rate: FrameRate,
) -> Option<SourceTimecode> {
    if container.name == "mxf"
        && let Some((text, drop_frame)) = &stream.timecode
    {
        return Some(SourceTimecode {
            text: text.clone(),
            drop_frame: *drop_frame,
            source: "mxf".to_owned(),
        });
    }
    let tags = survey.tags.iter().chain(&stream.tags);
    let comments = tags.flat_map(|tags| {
        let comments = tags.iter_tag::<gst::tags::ExtendedComment>();
        comments
            .map(|value| value.get().to_owned())
            .collect::<Vec<_>>()
    });
    for comment in comments {
        let Some((key, value)) = comment.split_once('=') else {
            continue;
        };
        if key.to_ascii_lowercase().ends_with("timecode")
            && let Ok(timecode) = Timecode::parse(value.trim(), rate)
        {
            return Some(SourceTimecode {
                text: timecode.to_string(),
                drop_frame: timecode.counting().is_drop_frame(),
                source: "tag".to_owned(),
            });
        }
    }
    None
}

/// The turn that a tag asks for.
fn tagged_turn(stream: &Stream, survey: &Survey) -> Turn {
    let mut tags = stream.tags.iter().chain(&survey.tags);
    let text = tags.find_map(|tags| {
        let orientation = tags.get::<gst::tags::ImageOrientation>()?;
        Some(orientation.get().to_owned())
    });
    let Some(text) = text else {
        return Turn::default();
    };
    let degrees = text
        .rsplit('-')
        .next()
        .and_then(|degrees| degrees.parse().ok())
        .filter(|degrees| matches!(degrees, 0 | 90 | 180 | 270));
    Turn {
        degrees: degrees.unwrap_or(0),
        mirrored: text.starts_with("flip-"),
    }
}

fn size(caps: &gst::Caps) -> Option<(u32, u32)> {
    let structure = caps.structure(0)?;
    let side = |name| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    Some((side("width")?, side("height")?))
}

fn field_fraction(caps: &gst::Caps, field: &str) -> Option<FrameRate> {
    let fraction = caps.structure(0)?.get::<gst::Fraction>(field).ok()?;
    FrameRate::new(
        u32::try_from(fraction.numer()).ok()?,
        u32::try_from(fraction.denom()).ok()?,
    )
}

fn colorimetry(caps: &gst::Caps) -> Option<String> {
    let text = caps.structure(0)?.get::<String>("colorimetry").ok()?;
    (!text.is_empty()).then_some(text)
}

fn is_hdr(colorimetry: &str) -> bool {
    let parsed = colorimetry.parse::<gst_video::VideoColorimetry>();
    parsed.is_ok_and(|colorimetry| {
        matches!(
            colorimetry.transfer(),
            gst_video::VideoTransferFunction::Smpte2084
                | gst_video::VideoTransferFunction::AribStdB67
        )
    })
}

/// The stream's word on the shape of a pixel, else the container's, else the decoder's; `None` if
/// it makes no sense.
fn pixel_aspect(
    parsed: &gst::Caps,
    container: &gst::Caps,
    picture: &Picture,
) -> Option<(u32, u32)> {
    let of = |caps| field_fraction(caps, "pixel-aspect-ratio").map(|par| (par.num(), par.den()));
    let (num, den) = of(parsed)
        .or_else(|| of(container))
        .filter(|aspect| *aspect != (1, 1))
        .unwrap_or(picture.pixel_aspect);
    let plausible = num > 0 && den > 0 && num / den < 10 && den / num < 10;
    plausible.then_some((num, den))
}

/// Square pixels, upright: lines are kept, columns are stretched.
fn display(coded: Resolution, (num, den): (u32, u32), rotation: u16) -> Resolution {
    let width = u64::from(coded.width) * u64::from(num) + u64::from(den) / 2;
    let width = u32::try_from(width / u64::from(den.max(1))).unwrap_or(coded.width);
    let (width, height) = (width.max(1), coded.height);
    match rotation {
        90 | 270 => Resolution {
            width: height,
            height: width,
        },
        _ => Resolution { width, height },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::refuse::CODES;

    #[test]
    fn every_refusal_has_its_page() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        for code in CODES {
            let page = std::fs::read_to_string(pages.join(format!("{code}.md")));
            let page = page.unwrap_or_else(|error| panic!("no page for {code}: {error}"));
            assert!(page.contains(&format!("Code: `{code}`")));
        }
    }

    #[test]
    fn pictures_are_shown_with_square_pixels_and_upright() {
        let of = |width, height| Resolution { width, height };
        assert_eq!(display(of(1440, 1080), (4, 3), 0), of(1920, 1080));
        assert_eq!(display(of(720, 576), (64, 45), 0), of(1024, 576));
        assert_eq!(display(of(720, 480), (8, 9), 0), of(640, 480));
        assert_eq!(display(of(1920, 1080), (1, 1), 90), of(1080, 1920));
        assert_eq!(display(of(1, 1), (1, 9), 270), of(1, 1));
    }

    #[test]
    fn only_pq_and_hlg_are_high_dynamic_range() {
        gst::init().expect("GStreamer is installed");
        let hdr = [
            "bt2100-pq",
            "bt2100-hlg",
            "bt2020",
            "bt709",
            "bt601",
            "",
            "nonsense",
        ]
        .map(is_hdr);
        assert_eq!(hdr, [true, true, false, false, false, false, false]);
    }
}
