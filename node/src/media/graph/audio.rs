//! Pure: the pipelines that turn one sound track into AAC.
//!
//! There are two, with PCM handed from one to the other by the child: it places every sample by
//! its time, so that gaps, late starts and the encoder's priming are dealt with in one place.

use protocol::probe::Probe;
use protocol::worker::Pipeline;

use super::{Error, audio_decoder, entry, source};

/// Samples per second of all sound that is published.
pub const SAMPLE_RATE: u32 = 48_000;
/// Mono becomes two equal channels, more are mixed down: every player takes stereo.
pub const CHANNELS: u16 = 2;

/// From the file to nothing: the child looks at the times of the first pictures that pass.
///
/// # Errors
/// A container that is not offered.
pub fn origin(probe: &Probe) -> Result<Pipeline, Error> {
    let text = format!(
        "{} fakesink name={} sync=false async=false",
        source(&probe.container)?,
        Pipeline::ENTRY,
    );
    Ok(Pipeline { text })
}

/// From the file to interleaved 32-bit float samples.
///
/// # Errors
/// A container or codec that is not offered, or a `track` that is not there.
pub fn decode(probe: &Probe, track: u16) -> Result<Pipeline, Error> {
    let audio = probe
        .audio
        .get(usize::from(track))
        .ok_or(Error::Track(track))?;
    let text = format!(
        "{} {} ! {} ! audioconvert ! audioresample quality=6 ! capsfilter caps={} ! appsink name={} sync=false async=false max-buffers=32",
        source(&probe.container)?,
        entry(),
        audio_decoder(&audio.codec)?,
        pcm_caps(),
        Pipeline::sink(0),
    );
    Ok(Pipeline { text })
}

/// From such samples to raw AAC frames of 1024 samples.
pub fn encode(kbps: u32) -> Pipeline {
    let text = format!(
        "appsrc name={} format=time block=true max-bytes=1048576 caps={} ! avenc_aac bitrate={} ! audio/mpeg,mpegversion=4,stream-format=raw ! appsink name={} sync=false async=false max-buffers=32",
        Pipeline::SOURCE,
        pcm_caps(),
        u64::from(kbps) * 1000,
        Pipeline::sink(0),
    );
    Pipeline { text }
}

fn pcm_caps() -> String {
    format!(
        "\"audio/x-raw,format=F32LE,layout=interleaved,rate={SAMPLE_RATE},channels={CHANNELS}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::probe::AudioTrack;

    fn with_audio(codec: &str) -> Probe {
        let mut probe = crate::media::graph::ladder::tests::probe();
        probe.audio.push(AudioTrack {
            codec: codec.to_owned(),
            channels: 6,
            sample_rate: 44_100,
            language: None,
            duration_ns: 60_000_000_000,
            label: None,
            layout: "stereo".to_owned(),
            sample_bits: 0,
        });
        probe
    }

    #[test]
    fn sound_is_decoded_by_name() {
        let text = decode(&with_audio("ac3"), 0).expect("offered").text;
        assert_eq!(
            text,
            "filesrc name=source blocksize=1048576 ! \
             qtdemux name=demux \
             queue name=entry max-size-buffers=0 max-size-bytes=8388608 max-size-time=0 ! \
             ac3parse ! avdec_ac3 ! audioconvert ! audioresample quality=6 ! \
             capsfilter caps=\"audio/x-raw,format=F32LE,layout=interleaved,rate=48000,channels=2\" ! \
             appsink name=sink0 sync=false async=false max-buffers=32"
        );
        assert_eq!(decode(&with_audio("ac3"), 1), Err(Error::Track(1)));
    }

    #[test]
    fn pcm_of_any_width_is_raw_already() {
        let text = decode(&with_audio("pcm_s24be"), 0).expect("offered").text;
        assert!(text.contains("! identity ! audioconvert"), "{text}");
    }
}
