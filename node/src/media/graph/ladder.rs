//! Pure: the pipeline that decodes a video once and encodes every rendition of it.
//!
//! Each rendition is scaled from the one above it, which costs less than scaling each from the
//! source and looks the same.

use std::fmt::Write as _;

use protocol::media::Rendition;
use protocol::probe::{Probe, VideoTrack};
use protocol::worker::{Encoder, Pipeline};

use super::{Error, entry, fed, source, upright, video_decoder};

/// How the coded pictures reach the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A demuxer reads the whole file.
    Whole,
    /// The child reads the samples of a range of frames by the file's index.
    Part,
}

/// Describes the ladder for `probe`; `gop_frames` is the distance of the IDR pictures that the
/// child forces, and `threads` how many the whole may count on.
///
/// # Errors
/// A container, codec or encoder that is not offered.
pub fn describe(
    probe: &Probe,
    renditions: &[Rendition],
    gop_frames: u32,
    threads: u16,
    encoder: Encoder,
    extent: Extent,
) -> Result<Pipeline, Error> {
    if encoder != Encoder::X264 {
        return Err(Error::Encoder(encoder));
    }
    let first = renditions.first().ok_or(Error::NoRenditions)?;
    let video = &probe.video;
    let head = match extent {
        Extent::Whole => format!("{} {}", source(&probe.container)?, entry()),
        Extent::Part => format!("{} ! {}", fed(), entry()),
    };
    let mut text = format!(
        "{head} ! {} ! {}identity name={} silent=true ! {}{}",
        video_decoder(&video.codec, decoder_threads(threads))?,
        normalise(video),
        Pipeline::GATE,
        upright(video.rotation),
        crop_to_even(video, first),
    );
    for (index, rendition) in renditions.iter().enumerate() {
        // Four pictures are enough to let the encoders run beside each other; x264 holds its own
        // look-ahead, and nothing downstream joins the branches, so they cannot wait in a circle.
        let queue = "queue max-size-buffers=4 max-size-bytes=0 max-size-time=0";
        if index > 0 {
            let _ = write!(text, " tee{}. ! {queue} ! ", index - 1);
        }
        let _ = write!(
            text,
            "{} ! {}tee name=tee{index} tee{index}. ! {queue} ! {} ! appsink name={} sync=false async=false max-buffers=8",
            scale(rendition),
            // There is least to do once the picture is no larger than it will be.
            if index == 0 && is_progressive(video) {
                to_sdr(video)
            } else {
                String::new()
            },
            x264(index, rendition, gop_frames),
            Pipeline::sink(index),
        );
    }
    Ok(Pipeline { text })
}

/// 4:2:0, progressive, in a colour space that H.264 players know, at the probe's constant rate;
/// with 8 bits, or 10 if it is to go through [`to_sdr`] yet. Each step passes pictures through
/// untouched if there is nothing to do.
fn normalise(video: &VideoTrack) -> String {
    let rate = video.frame_rate;
    let mut text = format!(
        "capssetter caps=\"video/x-raw,framerate={}/{}\" ! videoconvert ! {} ! ",
        rate.num(),
        rate.den(),
        raw_caps(video),
    );
    if !is_progressive(video) {
        // That filter knows 8 bits only.
        text.push_str(&to_sdr(video));
        // One picture for each coded frame: the count stays the source's. Ahead of the gate,
        // because the first and the last picture leave this filter with their neighbour's time.
        text.push_str("deinterlace mode=interlaced fields=top method=yadif ! ");
    }
    text
}

fn is_progressive(video: &VideoTrack) -> bool {
    video.field_order == "progressive"
}

/// Whether a plain screen cannot show the colours as they are.
pub(super) fn is_wide(video: &VideoTrack) -> bool {
    video.hdr || video.colorimetry.starts_with("bt2020")
}

/// From 10 bits of a high dynamic range to 8 of a plain screen, with a `!` behind it, or nothing.
pub(super) fn to_sdr(video: &VideoTrack) -> String {
    if is_wide(video) {
        format!("{} ! ", Pipeline::TO_SDR)
    } else {
        String::new()
    }
}

/// Ten-bit pictures with the light that the container says, for decoders that do not pass it on.
pub(super) fn wide(video: &VideoTrack) -> String {
    let light = light(video);
    format!("video/x-raw,format=I420_10LE ! capssetter caps=\"video/x-raw{light}\"")
}

/// What a container says of the light.
fn light(video: &VideoTrack) -> &'static str {
    match video.colorimetry.as_str() {
        "bt2100-pq" => ",colorimetry=bt2100-pq",
        "bt2100-hlg" => ",colorimetry=bt2100-hlg",
        _ => "",
    }
}

/// Colour spaces are kept where they are limited-range and named, else mapped to the first of the
/// list: full-range and RGB pictures would look washed out under a limited-range tag.
fn raw_caps(video: &VideoTrack) -> String {
    if is_wide(video) {
        return wide(video);
    }
    let (first, second) = if video.coded.height > 576 {
        ("bt709", "bt601")
    } else {
        ("bt601", "bt709")
    };
    format!(
        "capsfilter caps=\"video/x-raw,format=I420,colorimetry=(string){{{first},{second},2:4:5:2,2:4:16:2,2:4:16:3,smpte240m}}\"",
    )
}

/// Cuts the odd last column or row off, where that alone leads to the wanted size.
fn crop_to_even(video: &VideoTrack, rendition: &Rendition) -> String {
    let (display, wanted) = (video.display, rendition.resolution);
    let square = video.pixel_aspect.0 == video.pixel_aspect.1;
    if square && display != wanted && display.even() == wanted {
        format!(
            "videocrop right={} bottom={} ! ",
            display.width - wanted.width,
            display.height - wanted.height,
        )
    } else {
        String::new()
    }
}

fn scale(rendition: &Rendition) -> String {
    let size = rendition.resolution;
    format!(
        "videoscale method=lanczos add-borders=false ! video/x-raw,width={},height={},pixel-aspect-ratio=1/1",
        size.width, size.height,
    )
}

/// Pictures that the encoder looks ahead at most.
const LOOK_AHEAD: u32 = 20;
/// Up to here a picture is small.
const SMALL_PIXELS: u64 = 640 * 480;

/// The setting that matches x264's `veryfast` picture at 0.6 of its cost: the small motion search
/// of `superfast`, with macroblock trees and a short look-ahead switched back on. Looking for scene
/// cuts costs 7 % and shows nowhere with a key picture every two seconds. Large pictures look as
/// good with two B-pictures in a row, none of them referred to, and without the smallest intra
/// blocks, for a tenth less work; small ones do not, and cost little anyway.
///
/// IDR pictures come from the child alone, at the same frames on every rung: `keyint` and
/// `min-keyint` lie above their distance.
fn x264(index: usize, rendition: &Rendition, gop_frames: u32) -> String {
    let longest = gop_frames.saturating_mul(4).max(8);
    let shortest = longest / 2 + 1;
    let size = rendition.resolution;
    let structure = if gop_frames < 12 {
        "bframes=0"
    } else if u64::from(size.width) * u64::from(size.height) > SMALL_PIXELS {
        "bframes=2:b-pyramid=none:partitions=i8x8"
    } else {
        "bframes=3"
    };
    // GStreamer 1.22 forgets about a key picture that is asked for while the one before it is still
    // in the encoder, which holds a few pictures more than it looks ahead.
    let ahead = (gop_frames / 2).clamp(1, LOOK_AHEAD);
    format!(
        "x264enc name={} pass=cbr bitrate={} vbv-buf-capacity=2000 speed-preset=superfast threads=1 key-int-max={longest} aud=false option-string=\"mbtree=1:rc-lookahead={ahead}:b-adapt=0:{structure}:scenecut=0:aq-mode=2:min-keyint={shortest}:open-gop=0\" ! video/x-h264,profile=high,stream-format=avc,alignment=au",
        Pipeline::encoder(index),
        rendition.video_kbps,
    )
}

/// Decoding is about a third of the work. Never one thread: without frame threads libav 5.1 shows
/// garbage where it enters H.264 at a key picture that is no IDR picture.
fn decoder_threads(threads: u16) -> u16 {
    (threads / 3).clamp(2, 16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use protocol::media::{FrameRate, Resolution};

    pub(in crate::media::graph) fn probe() -> Probe {
        let size = Resolution {
            width: 1920,
            height: 1080,
        };
        Probe {
            container: "mp4".to_owned(),
            web: protocol::probe::Web::default(),
            video: VideoTrack {
                codec: "h264".to_owned(),
                coded: size,
                display: size,
                pixel_aspect: (1, 1),
                rotation: 0,
                frame_rate: FrameRate::new(30000, 1001).expect("not zero"),
                variable_frame_rate: false,
                frames: 1800,
                duration_ns: 60_060_000_000,
                bit_depth: 8,
                chroma: "4:2:0".to_owned(),
                field_order: "progressive".to_owned(),
                colorimetry: "bt709".to_owned(),
                colour: protocol::probe::Colour::default(),
                hdr: false,
                random_access: false,
            },
            audio: Vec::new(),
            timecode: None,
            reel: None,
            remarks: Vec::new(),
        }
    }

    fn rendition(name: &str, width: u32, height: u32, video_kbps: u32) -> Rendition {
        Rendition {
            name: name.to_owned(),
            resolution: Resolution { width, height },
            video_kbps,
        }
    }

    fn text(probe: &Probe, renditions: &[Rendition], threads: u16) -> String {
        describe(probe, renditions, 60, threads, Encoder::X264, Extent::Whole)
            .expect("offered")
            .text
    }

    #[test]
    fn a_ladder_is_one_decode_and_a_cascade() {
        let renditions = [
            rendition("1080p", 1920, 1080, 5000),
            rendition("360p", 640, 360, 800),
        ];
        let caps = raw_caps(&probe().video);
        let x264 = |index: usize, kbps: u32, structure: &str| {
            format!(
                "x264enc name=encoder{index} pass=cbr bitrate={kbps} vbv-buf-capacity=2000 speed-preset=superfast threads=1 key-int-max=240 aud=false option-string=\"mbtree=1:rc-lookahead=20:b-adapt=0:{structure}:scenecut=0:aq-mode=2:min-keyint=121:open-gop=0\" ! video/x-h264,profile=high,stream-format=avc,alignment=au"
            )
        };
        let expected = format!(
            "filesrc name=source blocksize=1048576 ! \
             qtdemux name=demux \
             queue name=entry max-size-buffers=0 max-size-bytes=8388608 max-size-time=0 ! \
             h264parse ! avdec_h264 max-threads=2 output-corrupt=true ! \
             capssetter caps=\"video/x-raw,framerate=30000/1001\" ! videoconvert ! {caps} ! \
             identity name=gate silent=true ! \
             videoscale method=lanczos add-borders=false ! \
             video/x-raw,width=1920,height=1080,pixel-aspect-ratio=1/1 ! tee name=tee0 tee0. ! \
             queue max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! {} ! \
             appsink name=sink0 sync=false async=false max-buffers=8 tee0. ! \
             queue max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! \
             videoscale method=lanczos add-borders=false ! \
             video/x-raw,width=640,height=360,pixel-aspect-ratio=1/1 ! tee name=tee1 tee1. ! \
             queue max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! {} ! \
             appsink name=sink1 sync=false async=false max-buffers=8",
            x264(0, 5000, "bframes=2:b-pyramid=none:partitions=i8x8"),
            x264(1, 800, "bframes=3"),
        );
        assert_eq!(text(&probe(), &renditions, 2), expected);
    }

    #[test]
    fn a_part_is_fed_by_the_child() {
        let renditions = [rendition("360p", 640, 360, 800)];
        let text = describe(&probe(), &renditions, 60, 2, Encoder::X264, Extent::Part)
            .expect("offered")
            .text;
        let head = "appsrc name=source format=time block=true max-bytes=8388608 ! \
                    queue name=entry max-size-buffers=0 max-size-bytes=8388608 max-size-time=0 ! \
                    h264parse ! avdec_h264";
        assert!(text.starts_with(head), "{text}");
        assert!(!text.contains("demux"), "{text}");
    }

    #[test]
    fn odd_turned_and_interlaced_pictures_are_put_right() {
        let mut probe = probe();
        probe.video.display = Resolution {
            width: 1079,
            height: 1919,
        };
        probe.video.rotation = 90;
        probe.video.field_order = "tff".to_owned();
        let text = text(&probe, &[rendition("1080p", 1078, 1918, 5000)], 2);
        let steps = [
            "deinterlace mode=interlaced fields=top",
            "videoflip video-direction=90r",
            "videocrop right=1 bottom=1",
            "width=1078,height=1918",
        ];
        let places: Vec<_> = steps.iter().map(|step| text.find(step)).collect();
        assert!(places.iter().all(Option::is_some), "{text}");
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn a_high_range_is_brought_down_where_there_is_least_to_do() {
        let mut probe = probe();
        probe.video.hdr = true;
        probe.video.bit_depth = 10;
        probe.video.colorimetry = "bt2100-hlg".to_owned();
        let renditions = [
            rendition("1080p", 1920, 1080, 5000),
            rendition("360p", 640, 360, 800),
        ];
        let progressive = text(&probe, &renditions, 2);
        let steps = [
            "format=I420_10LE ! capssetter caps=\"video/x-raw,colorimetry=bt2100-hlg\"",
            "height=1080",
            "reelmeshtosdr ! tee name=tee0",
            "height=360",
        ];
        let places: Vec<_> = steps.iter().map(|step| progressive.find(step)).collect();
        assert!(places.iter().all(Option::is_some), "{progressive}");
        assert!(places.is_sorted(), "{progressive}");
        assert_eq!(progressive.matches(Pipeline::TO_SDR).count(), 1);
        // The deinterlacer knows 8 bits only.
        probe.video.field_order = "tff".to_owned();
        let interlaced = text(&probe, &renditions, 2);
        assert!(
            interlaced.contains("reelmeshtosdr ! deinterlace"),
            "{interlaced}"
        );
        assert_eq!(interlaced.matches(Pipeline::TO_SDR).count(), 1);
        // Nothing from a file gets into the text.
        probe.video.colorimetry = "bt2020\" ! filesink".to_owned();
        assert!(!text(&probe, &renditions, 2).contains("filesink"));
    }

    #[test]
    fn anamorphic_pictures_are_scaled_and_not_cropped() {
        let mut probe = probe();
        probe.video.pixel_aspect = (64, 45);
        probe.video.display = Resolution {
            width: 1025,
            height: 577,
        };
        let text = text(&probe, &[rendition("576p", 1024, 576, 1500)], 2);
        assert!(!text.contains("videocrop"), "{text}");
    }

    #[test]
    fn each_encoder_has_one_thread_and_the_decoder_the_rest() {
        let renditions = [
            rendition("1080p", 1920, 1080, 5000),
            rendition("720p", 1280, 720, 2800),
            rendition("360p", 640, 360, 800),
        ];
        let text = text(&probe(), &renditions, 16);
        assert!(text.contains("avdec_h264 max-threads=5"), "{text}");
        // With more than one, x264enc puts forced IDR pictures at other frames than it was told.
        assert_eq!(text.matches("threads=1 key-int").count(), 3, "{text}");
    }

    #[test]
    fn hardware_is_not_promised() {
        let result = describe(&probe(), &[], 60, 2, Encoder::Nv, Extent::Whole);
        assert_eq!(result, Err(Error::Encoder(Encoder::Nv)));
    }
}
