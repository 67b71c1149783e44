//! Pure: the pipelines that make an edit proxy, and the one that reads it back.
//!
//! Every picture of such a coding stands alone, so several encoders take turns with the pictures of
//! one decoder: that fills the cores, whatever the source, and nothing has to be joined.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::fmt::Write as _;

use protocol::media::{FrameRate, Resolution};
use protocol::preset::{EditCodec, Lut, Preset};
use protocol::probe::{AudioTrack, Probe, VideoTrack};
use protocol::worker::{Pipeline, ProxyTask, SoundTask};

use super::{Error, audio, audio_decoder, entry, source, video_decoder};

/// More encoders than this wait for the one decoder.
const LANES_MAX: u16 = 16;

/// Everything that a worker needs to make a proxy of `probe` by `preset`, with `threads` threads.
///
/// # Errors
/// A container or codec that is not offered, or a source that the preset cannot be used for.
pub fn describe(
    probe: &Probe,
    preset: &Preset,
    lut: Option<&Lut>,
    threads: u16,
) -> Result<ProxyTask, Error> {
    let size = preset
        .size(&probe.video)
        .map_err(|error| Error::Preset(error.to_string()))?;
    let lanes = match preset.codec {
        // x264 has threads of its own.
        EditCodec::H264Intra => 1,
        _ => threads.clamp(1, LANES_MAX),
    };
    let sound = (0..).zip(&probe.audio);
    let sound = sound.map(|(number, track)| self::sound(probe, number, track));
    Ok(ProxyTask {
        probe: probe.clone(),
        preset: preset.clone(),
        lut: lut.cloned(),
        size,
        rate: rate(&probe.video),
        lanes,
        pictures: pictures(probe, preset, size, lanes, threads)?,
        origin: audio::origin(probe)?,
        sound: sound.collect::<Result<_, _>>()?,
        review: review(preset.codec),
    })
}

/// Rates that edit software counts in.
const RATES: [(u32, u32); 9] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];

/// A constant rate stays; a variable one becomes the rate that edit software counts in and that
/// shows every picture: the nearest to its mean, or else the next above it.
fn rate(video: &VideoTrack) -> FrameRate {
    let mean = video.frame_rate;
    if !video.variable_frame_rate {
        return mean;
    }
    // In thousandths of a picture a second.
    let milli = |rate: FrameRate| u64::from(rate.num()) * 1000 / u64::from(rate.den());
    let known = RATES
        .iter()
        .filter_map(|(num, den)| FrameRate::new(*num, *den));
    let apart = |rate: &FrameRate| milli(*rate).abs_diff(milli(mean));
    let nearest = known.clone().min_by_key(apart);
    let near = nearest.filter(|rate| apart(rate) * 200 <= milli(mean));
    let above = known.clone().find(|rate| milli(*rate) >= milli(mean));
    near.or(above).unwrap_or(mean)
}

fn pictures(
    probe: &Probe,
    preset: &Preset,
    size: Resolution,
    lanes: u16,
    threads: u16,
) -> Result<Pipeline, Error> {
    let video = &probe.video;
    let mut text = format!(
        "{} {} ! {} ! {}identity name={} silent=true ! {}identity name={} silent=true ! {}tee name=lanes",
        source(&probe.container)?,
        entry(),
        video_decoder(&video.codec, (threads / 2).clamp(2, 16))?,
        told(video),
        Pipeline::GATE,
        converted(video, preset, size),
        Pipeline::BURN,
        untold(video, preset.codec),
    );
    for lane in 0..usize::from(lanes) {
        let queue = "queue max-size-buffers=3 max-size-bytes=0 max-size-time=0";
        let _ = write!(
            text,
            " lanes. ! {queue} ! identity name={} silent=true  {} ! appsink name={} sync=false async=false max-buffers=8",
            Pipeline::joint(lane),
            encoder(lane, video, preset, threads),
            Pipeline::sink(lane),
        );
    }
    Ok(Pipeline { text })
}

/// Colours that players and edit software know, all of them from black to white of television.
const KNOWN: [&str; 7] = [
    "bt601",
    "bt709",
    "smpte240m",
    "bt2020",
    "bt2020-10",
    "bt2100-pq",
    "bt2100-hlg",
];

/// What the probe knows better than some decoders: the constant rate, and a colour that only the
/// container names.
fn told(video: &VideoTrack) -> String {
    let (num, den) = (video.frame_rate.num(), video.frame_rate.den());
    let colour = if KNOWN.contains(&video.colorimetry.as_str()) {
        format!(",colorimetry=(string){}", video.colorimetry)
    } else {
        String::new()
    };
    format!("capssetter caps=\"video/x-raw,framerate={num}/{den}{colour}\" ! ")
}

/// The encoder of `DNxHR` refuses fields, which it codes as one picture all the same.
fn untold(video: &VideoTrack, codec: EditCodec) -> &'static str {
    if codec == EditCodec::DnxhrLb && video.field_order != "progressive" {
        "capssetter caps=\"video/x-raw,interlace-mode=(string)progressive\" ! "
    } else {
        ""
    }
}

/// Sampling and size of the proxy, with the look and the name of the file. Fields stay fields, and
/// the shape of a pixel stays what it is: the child writes it down as the source has it.
fn converted(video: &VideoTrack, preset: &Preset, size: Resolution) -> String {
    let format = match preset.codec {
        EditCodec::ProresProxy | EditCodec::ProresLt => "I422_10LE",
        EditCodec::DnxhrLb => "Y42B",
        EditCodec::H264Intra => "I420",
    };
    let colours = colours(video);
    // Colour is stored with half the lines or all; the look wants none of that.
    let mut text = format!(
        "videoscale method=lanczos add-borders=false ! video/x-raw,width={},height={} ! capssetter caps=\"video/x-raw,pixel-aspect-ratio={}/{}\" ! ",
        size.width, size.height, video.pixel_aspect.0, video.pixel_aspect.1,
    );
    if preset.lut.is_some() {
        let _ = write!(
            text,
            "videoconvert ! video/x-raw,format=ARGB64_LE ! identity name={} silent=true ! ",
            Pipeline::LOOK,
        );
    }
    if preset.burn_in.name {
        let _ = write!(
            text,
            "videoconvert ! video/x-raw,format=BGRA ! rsvgoverlay name={} ! ",
            Pipeline::CAPTION,
        );
    }
    let _ = write!(
        text,
        "videoconvert ! capsfilter caps=\"video/x-raw,format={format}{colours}\" ! ",
    );
    text
}

/// Colour spaces are kept where they are limited-range and named, as in the ladder.
fn colours(video: &VideoTrack) -> String {
    if KNOWN.contains(&video.colorimetry.as_str()) {
        return format!(",colorimetry=(string){}", video.colorimetry);
    }
    let (first, second) = if video.coded.height > 576 {
        ("bt709", "bt601")
    } else {
        ("bt601", "bt709")
    };
    format!(
        ",colorimetry=(string){{{first},{second},2:4:5:2,2:4:16:2,2:4:16:3,smpte240m,bt2020,bt2020-10,bt2100-pq,bt2100-hlg}}"
    )
}

/// The encoder of one lane.
fn encoder(lane: usize, video: &VideoTrack, preset: &Preset, threads: u16) -> String {
    let name = Pipeline::encoder(lane);
    let interlaced = video.field_order != "progressive";
    let fields = if interlaced { " flags=ildct" } else { "" };
    match preset.codec {
        // The vendor that edit software knows: others are taken for damaged by some of it.
        EditCodec::ProresProxy => {
            format!("avenc_prores_ks name={name} profile=proxy vendor=apl0{fields}")
        }
        EditCodec::ProresLt => {
            format!("avenc_prores_ks name={name} profile=lt vendor=apl0{fields}")
        }
        // It knows no fields in this profile: both are coded as one picture.
        EditCodec::DnxhrLb => format!("avenc_dnxhd name={name} profile=dnxhr_lb"),
        EditCodec::H264Intra => format!(
            "x264enc name={name} pass=qual quantizer=20 bitrate=200000 speed-preset=ultrafast threads={} key-int-max=1 bframes=0 cabac=true aud=false interlaced={interlaced} option-string=\"open-gop=0:scenecut=0\" ! video/x-h264,profile=high,stream-format=avc,alignment=au",
            threads.max(1),
        ),
    }
}

/// Samples as the track has them: as many channels, at its rate, at no fewer bits.
fn sound(probe: &Probe, number: u16, track: &AudioTrack) -> Result<SoundTask, Error> {
    let sample_bits = if track.sample_bits > 16 { 24 } else { 16 };
    let format = if sample_bits == 24 { "S24BE" } else { "S16LE" };
    let (rate, channels) = (track.sample_rate, track.channels);
    if rate == 0 || channels == 0 {
        return Err(Error::Track(number));
    }
    // Without a mix: an empty matrix would mean one, so the channel mask is left as it comes.
    let text = format!(
        "{} {} ! {} ! audioconvert dithering=none noise-shaping=none ! audioresample quality=6 ! capsfilter caps=\"audio/x-raw,format={format},layout=interleaved,rate={rate},channels={channels}\" ! appsink name={} sync=false async=false max-buffers=32",
        source(&probe.container)?,
        entry(),
        audio_decoder(&track.codec)?,
        Pipeline::sink(0),
    );
    Ok(SoundTask {
        pipeline: Pipeline { text },
        sample_rate: rate,
        channels,
        sample_bits,
    })
}

/// From coded pictures, one a buffer, to raw ones.
fn review(codec: EditCodec) -> Pipeline {
    let decoder = match codec {
        EditCodec::ProresProxy | EditCodec::ProresLt => "avdec_prores max-threads=0",
        EditCodec::DnxhrLb => "avdec_dnxhd max-threads=0",
        EditCodec::H264Intra => "h264parse ! avdec_h264 max-threads=2",
    };
    let text = format!(
        "appsrc name={} format=time block=true max-bytes=8388608 ! {decoder} ! appsink name={} sync=false async=false max-buffers=8",
        Pipeline::SOURCE,
        Pipeline::sink(0),
    );
    Pipeline { text }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::tests::probe;
    use super::*;

    fn preset(name: &str) -> Preset {
        let mut all = Preset::built_in().into_iter();
        all.find(|preset| preset.name == name).unwrap()
    }

    #[test]
    fn encoders_take_turns_but_for_the_one_with_threads_of_its_own() {
        let task = describe(&probe(), &preset("prores-proxy"), None, 3).unwrap();
        assert_eq!(task.lanes, 3);
        assert!(task.pictures.text.contains("name=encoder2 profile=proxy"));
        assert_eq!((task.size.width, task.size.height), (960, 540));
        let task = describe(&probe(), &preset("h264-intra"), None, 3).unwrap();
        assert_eq!(task.lanes, 1);
    }

    #[test]
    fn a_variable_rate_becomes_one_that_loses_no_picture() {
        let of = |num, den| {
            let mut video = probe().video;
            video.variable_frame_rate = true;
            video.frame_rate = FrameRate::new(num, den).unwrap();
            let rate = rate(&video);
            (rate.num(), rate.den())
        };
        assert_eq!(of(2995, 100), (30_000, 1001));
        assert_eq!(of(30, 1), (30, 1));
        assert_eq!(of(1320, 49), (30_000, 1001));
        assert_eq!(of(15, 1), (24_000, 1001));
        assert_eq!(of(59, 1), (60_000, 1001));
        assert_eq!(of(120, 1), (120, 1));
    }

    #[test]
    fn fields_stay_fields() {
        let mut probe = probe();
        probe.video.field_order = "bff".to_owned();
        let task = describe(&probe, &preset("prores-lt"), None, 1).unwrap();
        assert!(task.pictures.text.contains("flags=ildct"));
        assert!(!task.pictures.text.contains("deinterlace"));
    }

    #[test]
    fn a_look_and_a_name_are_there_only_when_asked_for() {
        let mut preset = preset("prores-lt");
        let text = |preset: &Preset| describe(&probe(), preset, None, 1).unwrap().pictures.text;
        assert!(!text(&preset).contains("ARGB64") && !text(&preset).contains("rsvgoverlay"));
        preset.burn_in.name = true;
        preset.lut = Some(protocol::id::BlobHash::of(b""));
        assert!(text(&preset).contains("ARGB64") && text(&preset).contains("rsvgoverlay"));
    }

    #[test]
    fn what_is_too_small_is_refused() {
        let mut probe = probe();
        probe.video.coded = Resolution {
            width: 160,
            height: 90,
        };
        let error = describe(&probe, &preset("dnxhr-lb"), None, 1).unwrap_err();
        assert!(error.to_string().contains("256x120"), "{error}");
    }
}
