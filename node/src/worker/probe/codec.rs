//! Which containers and codings are opened, and with which elements.

/// A container that is opened, and nothing else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container {
    /// As in `Probe::container`.
    pub name: &'static str,
    pub demuxer: &'static str,
}

impl Container {
    /// From what GStreamer's typefind says; `None` for everything that is not on this list.
    pub(crate) fn of(caps: &gst::Caps) -> Option<Self> {
        let structure = caps.structure(0)?;
        let of = |name, demuxer| Some(Self { name, demuxer });
        match structure.name().as_str() {
            // Which of the two it is, its brand says.
            "video/quicktime" | "audio/x-m4a" | "application/x-3gp" => of("mp4", "qtdemux"),
            "video/x-matroska" | "video/x-matroska-3d" | "audio/x-matroska" => {
                of("mkv", "matroskademux")
            }
            "video/webm" | "audio/webm" => of("webm", "matroskademux"),
            "video/mpegts" => of("ts", "tsdemux"),
            "video/mpeg" if structure.get::<bool>("systemstream") == Ok(true) => {
                of("ps", "mpegpsdemux")
            }
            "video/x-msvideo" => of("avi", "avidemux"),
            "application/mxf" => of("mxf", "mxfdemux"),
            "video/x-flv" => of("flv", "flvdemux"),
            "application/ogg" | "video/ogg" | "audio/ogg" => of("ogg", "oggdemux"),
            _ => None,
        }
    }

    /// Whether the demuxer gives out one picture at a time, with its own time stamp.
    pub(crate) fn is_packetised(self) -> bool {
        matches!(self.name, "mp4" | "mov" | "mkv" | "webm" | "flv")
    }
}

/// A coding of pictures, and what reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoCodec {
    /// As in `VideoTrack::codec`.
    pub name: &'static str,
    /// Splits the stream into pictures and reads their headers; an element with its properties.
    pub parser: Option<&'static str>,
    /// Best first; empty for raw pictures.
    pub decoders: &'static [&'static str],
}

/// Calls `DNxHD` and `DNxHR` of `QuickTime` files what their decoder calls them.
const RENAMED_DNXHD: &str = "capssetter join=false caps=video/x-dnxhd";

impl VideoCodec {
    /// `None` for what cannot be decoded.
    pub fn of(caps: &gst::CapsRef) -> Option<Self> {
        let structure = caps.structure(0)?;
        let version = structure.get::<i32>("mpegversion").unwrap_or(0);
        let of = |name, parser, decoders| {
            Some(Self {
                name,
                parser,
                decoders,
            })
        };
        match structure.name().as_str() {
            "video/x-h264" => of("h264", Some("h264parse"), &["avdec_h264"]),
            "video/x-h265" => of("hevc", Some("h265parse"), &["avdec_h265"]),
            "video/x-vp8" => of("vp8", None, &["vp8dec", "avdec_vp8"]),
            "video/x-vp9" => of("vp9", None, &["vp9dec", "avdec_vp9"]),
            "video/x-av1" => of("av1", Some("av1parse"), &["dav1ddec", "av1dec"]),
            "video/mpeg" => match version {
                1 => of("mpeg1", Some("mpegvideoparse"), &["avdec_mpeg2video"]),
                2 => of("mpeg2", Some("mpegvideoparse"), &["avdec_mpeg2video"]),
                4 => of("mpeg4", Some("mpeg4videoparse"), &["avdec_mpeg4"]),
                _ => None,
            },
            "video/x-divx" | "video/x-xvid" => of("mpeg4", None, &["avdec_mpeg4"]),
            "video/x-prores" => of("prores", None, &["avdec_prores"]),
            "video/x-dnxhd" => of("dnxhd", None, &["avdec_dnxhd"]),
            // The demuxer does not know what it is, and hands it over all the same.
            "video/x-gst-fourcc-AVdh" | "video/x-gst-fourcc-AVdn" => {
                of("dnxhd", Some(RENAMED_DNXHD), &["avdec_dnxhd"])
            }
            "image/jpeg" => of("mjpeg", Some("jpegparse"), &["jpegdec", "avdec_mjpeg"]),
            "image/png" => of("png", Some("pngparse"), &["pngdec", "avdec_png"]),
            "image/x-jpc" | "image/x-j2c" => of(
                "jpeg2000",
                Some("jpeg2000parse"),
                &["openjpegdec", "avdec_jpeg2000"],
            ),
            "video/x-theora" => of("theora", Some("theoraparse"), &["theoradec"]),
            "video/x-h263" => of("h263", Some("h263parse"), &["avdec_h263"]),
            "video/x-ffv" => of("ffv1", None, &["avdec_ffv1"]),
            "video/x-dv" => of("dv", None, &["avdec_dvvideo", "dvdec"]),
            "video/x-flash-video" => of("flv1", None, &["avdec_flv"]),
            "video/x-raw" => of("raw", None, &[]),
            _ => None,
        }
    }

    /// The first decoder that this machine has; `None` for raw pictures and where there is none.
    pub fn decoder(&self) -> Option<&'static str> {
        let mut decoders = self.decoders.iter();
        decoders
            .find(|name| gst::ElementFactory::find(name).is_some())
            .copied()
    }
}

/// What a person calls a coding that is not on the list.
pub(super) fn spoken_name(fourcc_or_caps: &str) -> String {
    let known = match fourcc_or_caps {
        "AVdh" => "DNxHR in MOV",
        "AVdn" => "DNxHD in MOV",
        "CFHD" => "CineForm",
        "rv24" => "uncompressed RGB",
        "SVQ1" | "SVQ3" => "Sorenson Video",
        "aprn" => "ProRes RAW",
        "vvc1" | "vvi1" => "VVC",
        "video/x-wmv" => "Windows Media Video",
        _ => return format!("`{fourcc_or_caps}`"),
    };
    known.to_owned()
}

/// As in `AudioTrack::codec`; what is not known keeps the name that GStreamer has for it.
pub(super) fn audio_name(caps: &gst::CapsRef) -> String {
    let Some(structure) = caps.structure(0) else {
        return "unknown".to_owned();
    };
    let name = structure.name().as_str();
    let number = |field| structure.get::<i32>(field).unwrap_or(0);
    let text = |field| structure.get::<&str>(field).unwrap_or_default();
    let short = match name {
        "audio/mpeg" => match (number("mpegversion"), number("layer")) {
            (2 | 4, _) if text("stream-format") == "loas" => "aac_latm",
            (2 | 4, _) => "aac",
            (_, 1) => "mp1",
            (_, 2) => "mp2",
            _ => "mp3",
        },
        "audio/x-raw" => "pcm",
        "audio/AMR" => "amr_nb",
        "audio/AMR-WB" => "amr_wb",
        "audio/x-adpcm" => match text("layout") {
            "microsoft" => "adpcm_ms",
            "quicktime" => "adpcm_ima_qt",
            _ => "adpcm_ima_wav",
        },
        "audio/x-wma" if number("wmaversion") == 1 => "wma1",
        "audio/x-wma" => "wma2",
        _ => name.strip_prefix("audio/").unwrap_or(name),
    };
    short.strip_prefix("x-").unwrap_or(short).to_owned()
}

/// The parser that finds rate and channels where a container leaves them to the stream.
pub(super) fn audio_parser(caps: &gst::CapsRef) -> Option<&'static str> {
    let structure = caps.structure(0)?;
    if structure.has_field("rate") && structure.has_field("channels") {
        return None;
    }
    match structure.name().as_str() {
        "audio/mpeg" => match structure.get::<i32>("mpegversion") {
            Ok(1) => Some("mpegaudioparse"),
            _ => Some("aacparse"),
        },
        "audio/x-ac3" | "audio/x-eac3" => Some("ac3parse"),
        "audio/x-dts" => Some("dcaparse"),
        "audio/x-flac" => Some("flacparse"),
        "audio/x-vorbis" => Some("vorbisparse"),
        "audio/x-opus" => Some("opusparse"),
        _ => None,
    }
}
