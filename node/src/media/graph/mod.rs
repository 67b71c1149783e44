//! Pure: from a job and the facts of the probe to the pipelines that a worker runs.
//!
//! Every element is chosen here by name from what the probe found; nothing is left to
//! auto-plugging, so a hostile file cannot pick the code that reads it.
//! The texts are in the syntax of `gst-launch-1.0` and carry no path.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod audio;
pub mod cells;
pub mod clip;
pub mod ladder;
pub mod proxy;
pub mod stills;

use protocol::worker::{Encoder, Pipeline};

/// Why no pipeline can be written for a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the container {0:?} is not read here")]
    Container(String),
    #[error("the video codec {0:?} is not decoded here")]
    VideoCodec(String),
    #[error("the audio codec {0:?} is not decoded here")]
    AudioCodec(String),
    #[error("the file has no sound track {0}")]
    Track(u16),
    #[error("the preset does not fit: {0}")]
    Preset(String),
    #[error("{reason}")]
    Mode { reason: &'static str },
    #[error("a ladder without renditions")]
    NoRenditions,
    #[error("encoding with {} is not offered: its settings have never been measured", .0.factory())]
    Encoder(Encoder),
}

/// The encoder to use of those that work on a node: x264 until the others have been measured.
pub fn choose_encoder(available: &[Encoder]) -> Option<Encoder> {
    available.contains(&Encoder::X264).then_some(Encoder::X264)
}

/// Reads the file and takes it apart; the head of every decoding pipeline.
fn source(container: &str) -> Result<String, Error> {
    let demuxer = match container {
        "mp4" | "mov" | "m4v" | "3gp" => "qtdemux",
        "mkv" | "matroska" | "webm" => "matroskademux",
        "ts" | "m2ts" | "mts" => "tsdemux",
        "ps" | "mpg" => "mpegpsdemux",
        "avi" => "avidemux",
        "mxf" => "mxfdemux",
        "flv" => "flvdemux",
        "ogg" => "oggdemux",
        "asf" | "wmv" => "asfdemux",
        other => return Err(Error::Container(other.to_owned())),
    };
    Ok(format!(
        "filesrc name={} blocksize=1048576 ! {demuxer} name={}",
        Pipeline::SOURCE,
        Pipeline::DEMUX,
    ))
}

/// Takes the samples that the child reads by the file's index, and makes it wait when it is ahead.
fn fed() -> String {
    format!(
        "appsrc name={} format=time block=true max-bytes=8388608",
        Pipeline::SOURCE,
    )
}

/// Where the child links the wanted track. Bounded by bytes, because a queue by time would stall
/// on streams without timestamps, and one compressed picture may be megabytes.
fn entry() -> String {
    format!(
        "queue name={} max-size-buffers=0 max-size-bytes=8388608 max-size-time=0",
        Pipeline::ENTRY,
    )
}

/// Decoders of libav that know no threads, and no property for them.
const SINGLE: [&str; 8] = [
    "avdec_msmpeg4",
    "avdec_h263",
    "avdec_mjpeg",
    "avdec_vc1",
    "avdec_wmv3",
    "avdec_flv",
    "avdec_cinepak",
    "avdec_qtrle",
];

/// Parser and decoder of a video codec, joined by `!`; the decoder may use `threads` threads.
fn video_decoder(codec: &str, threads: u16) -> Result<String, Error> {
    let libav = |parser: &str, decoder: &str| {
        let parser = if parser.is_empty() {
            String::new()
        } else {
            format!("{parser} ! ")
        };
        // Damaged pictures are kept: a player shows them too, and the count must stay the file's.
        let threads = if SINGLE.contains(&decoder) {
            String::new()
        } else {
            format!(" max-threads={threads}")
        };
        format!("{parser}{decoder}{threads} output-corrupt=true")
    };
    Ok(match codec {
        "h264" => libav("h264parse", "avdec_h264"),
        "hevc" | "h265" => libav("h265parse", "avdec_h265"),
        "vp8" => libav("", "avdec_vp8"),
        "vp9" => libav("vp9parse", "avdec_vp9"),
        "av1" => "av1parse ! av1dec".to_owned(),
        "mpeg1" | "mpeg2" => libav("mpegvideoparse", "avdec_mpeg2video"),
        "mpeg4" => libav("mpeg4videoparse", "avdec_mpeg4"),
        "msmpeg4" => libav("", "avdec_msmpeg4"),
        "h263" => libav("h263parse", "avdec_h263"),
        "prores" => libav("", "avdec_prores"),
        // The demuxer of QuickTime files has no name for it.
        "dnxhd" => libav("capssetter join=false caps=video/x-dnxhd", "avdec_dnxhd"),
        "mjpeg" => libav("jpegparse", "avdec_mjpeg"),
        "dv" => libav("", "avdec_dvvideo"),
        "ffv1" => libav("", "avdec_ffv1"),
        "huffyuv" => libav("", "avdec_huffyuv"),
        "theora" => "theoraparse ! theoradec".to_owned(),
        "vc1" => libav("vc1parse", "avdec_vc1"),
        "wmv3" => libav("", "avdec_wmv3"),
        "flv1" => libav("", "avdec_flv"),
        "cinepak" => libav("", "avdec_cinepak"),
        "qtrle" => libav("", "avdec_qtrle"),
        "png" => "pngparse ! pngdec".to_owned(),
        "jpeg2000" => libav("jpeg2000parse", "avdec_jpeg2000"),
        "raw" | "v210" => "identity".to_owned(),
        other => return Err(Error::VideoCodec(other.to_owned())),
    })
}

/// Parser and decoder of an audio codec, joined by `!`.
fn audio_decoder(codec: &str) -> Result<&'static str, Error> {
    Ok(match codec {
        "aac" => "aacparse ! avdec_aac",
        "aac_latm" => "aacparse ! avdec_aac_latm",
        "mp3" | "mp2" | "mp1" => "mpegaudioparse ! mpg123audiodec",
        "opus" => "opusparse ! opusdec",
        "vorbis" => "vorbisparse ! vorbisdec",
        "flac" => "flacparse ! flacdec",
        "alac" => "avdec_alac",
        "ac3" => "ac3parse ! avdec_ac3",
        "eac3" => "ac3parse ! avdec_eac3",
        "dts" => "dcaparse ! avdec_dca",
        "amr_nb" | "AMR" => "amrparse ! avdec_amrnb",
        "amr_wb" | "AMR-WB" => "amrparse ! avdec_amrwb",
        "alaw" | "pcm_alaw" => "alawdec",
        "mulaw" | "pcm_mulaw" => "mulawdec",
        "private1-lpcm" => "dvdlpcmdec",
        "adpcm_ms" => "avdec_adpcm_ms",
        "adpcm_ima_wav" => "avdec_adpcm_ima_wav",
        "adpcm_ima_qt" => "avdec_adpcm_ima_qt",
        "wma1" => "avdec_wmav1",
        "wma2" => "avdec_wmav2",
        // Linear PCM of every width comes out of a demuxer as raw audio.
        codec if codec.starts_with("pcm") => "identity",
        other => return Err(Error::AudioCodec(other.to_owned())),
    })
}

/// The turn that makes a picture upright, as a filter with a `!` behind it, or nothing.
fn upright(rotation: u16) -> &'static str {
    match rotation % 360 {
        90 => "videoflip video-direction=90r ! ",
        180 => "videoflip video-direction=180 ! ",
        270 => "videoflip video-direction=90l ! ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unknown_is_read() {
        assert_eq!(source("m3u8"), Err(Error::Container("m3u8".to_owned())));
        assert_eq!(
            video_decoder("wat", 1),
            Err(Error::VideoCodec("wat".to_owned()))
        );
        assert_eq!(
            audio_decoder("wat"),
            Err(Error::AudioCodec("wat".to_owned()))
        );
    }

    #[test]
    fn x264_is_the_only_encoder_offered() {
        assert_eq!(
            choose_encoder(&[Encoder::Nv, Encoder::X264]),
            Some(Encoder::X264)
        );
        assert_eq!(choose_encoder(&[Encoder::Nv]), None);
    }
}
