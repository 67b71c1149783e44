//! Finds out which H.264 encoders make a picture on this machine.
//!
//! That an element exists and reaches READY proves nothing: some fail at their first picture.
//! Each candidate therefore encodes three pictures under a time limit.

use std::time::{Duration, Instant};

use protocol::worker::{Encoder, Pipeline};

use super::pipeline::Running;

/// A first use may load a driver; x264 needs 15 ms.
const LIMIT: Duration = Duration::from_secs(5);

/// The encoders that work, best first.
pub(super) fn run() -> Vec<Encoder> {
    Encoder::ALL
        .into_iter()
        .filter(|encoder| {
            gst::ElementFactory::find(encoder.factory()).is_some() && encodes(*encoder)
        })
        .collect()
}

fn encodes(encoder: Encoder) -> bool {
    let description = Pipeline {
        text: format!(
            "videotestsrc num-buffers=3 ! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert ! {} ! video/x-h264 ! appsink name={} sync=false async=false",
            encoder.factory(),
            Pipeline::sink(0),
        ),
    };
    let Ok(running) = Running::build(&description) else {
        return false;
    };
    let Ok(sink) = running.sink(0) else {
        return false;
    };
    let began = Instant::now();
    let ended = running.run(|| began.elapsed() < LIMIT);
    // Pictures must really have come out, not only an end.
    ended.is_ok()
        && sink
            .try_pull_sample(gst::ClockTime::ZERO)
            .is_some_and(|sample| sample.buffer().is_some_and(|buffer| buffer.size() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_that_is_offered_works() {
        gst::init().expect("GStreamer is installed");
        let encoders = run();
        assert!(encoders.contains(&Encoder::X264), "{encoders:?}");
        assert!(encoders.is_sorted(), "best first");
    }
}
