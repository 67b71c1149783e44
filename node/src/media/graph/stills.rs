//! Pure: the pipeline that decodes single pictures for posters.

use protocol::probe::Probe;
use protocol::worker::Pipeline;

use super::{Error, entry, ladder, source, upright, video_decoder};

/// From the file to upright pictures with square pixels in sink 0, one at a time.
///
/// # Errors
/// A container or codec that is not offered.
pub fn describe(probe: &Probe) -> Result<Pipeline, Error> {
    let video = &probe.video;
    let size = video.display.even();
    let deinterlace = if video.field_order == "progressive" {
        ""
    } else {
        "deinterlace mode=interlaced fields=top method=linear ! "
    };
    let to_sdr = ladder::to_sdr(video);
    // As in a ladder: small before it is mapped, and mapped before it is deinterlaced.
    let (raw, at_first, at_last) = match (ladder::is_wide(video), deinterlace) {
        (false, _) => ("video/x-raw,format=I420".to_owned(), "", ""),
        (true, "") => (ladder::wide(video), "", to_sdr.as_str()),
        (true, _) => (ladder::wide(video), to_sdr.as_str(), ""),
    };
    let text = format!(
        "{} {} ! {} ! identity name={} silent=true ! videoconvert ! {raw} ! {at_first}{deinterlace}{}videoscale add-borders=false ! video/x-raw,width={},height={},pixel-aspect-ratio=1/1 ! {at_last}appsink name={} sync=false max-buffers=1",
        source(&probe.container)?,
        entry(),
        // One thread gives the first picture soonest; frame threads would fill up first.
        video_decoder(&video.codec, 1)?,
        Pipeline::GATE,
        upright(video.rotation),
        size.width,
        size.height,
        Pipeline::sink(0),
    );
    Ok(Pipeline { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_upright_picture_with_square_pixels() {
        let mut probe = ladder::tests::probe();
        probe.container = "webm".to_owned();
        probe.video.codec = "vp9".to_owned();
        probe.video.rotation = 180;
        assert_eq!(
            describe(&probe).expect("offered").text,
            "filesrc name=source blocksize=1048576 ! matroskademux name=demux \
             queue name=entry max-size-buffers=0 max-size-bytes=8388608 max-size-time=0 ! \
             vp9parse ! avdec_vp9 max-threads=1 output-corrupt=true ! \
             identity name=gate silent=true ! videoconvert ! video/x-raw,format=I420 ! \
             videoflip video-direction=180 ! videoscale add-borders=false ! \
             video/x-raw,width=1920,height=1080,pixel-aspect-ratio=1/1 ! \
             appsink name=sink0 sync=false max-buffers=1"
        );
    }
}
