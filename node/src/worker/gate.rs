//! Where decoded pictures get their place in the video: counted, timed from 0, and cut.

use std::sync::{Mutex, PoisonError};

use gst::prelude::*;
use protocol::media::FrameRate;

use super::pipeline::stream_time;

/// Shortest distance of two pictures of a variable rate: one tick of its timescale, rounded up.
const SHORTEST_NS: u64 = 11_112;

/// How the pictures of a source are timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// The constant rate, or the nearest to it.
    pub(super) rate: FrameRate,
    /// Keep each picture's own time.
    pub(super) variable: bool,
    /// Pictures to let through.
    pub(super) frames: u64,
}

#[derive(Debug, Default)]
struct Gate {
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    /// When the first picture is shown, in the file's time.
    origin: Option<i64>,
    /// The new time of the last picture, in nanoseconds.
    last: Option<u64>,
    passed: u64,
    ended: bool,
}

/// Sets up `pad`, the way out of the element behind the decoder.
///
/// Behind it the first picture lies at 0. At a constant rate times are those of the rate; at a
/// variable one they are the source's own, in stream time, because raw timestamps run ahead by the
/// edit list.
pub(super) fn install(pad: &gst::Pad, timing: Timing) {
    let gate = Mutex::new(Gate::default());
    let types = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(types, move |pad, info| {
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Segment(segment) = event.view() {
                    let first = gate.segment.is_none();
                    gate.segment = segment.segment().downcast_ref::<gst::ClockTime>().cloned();
                    if !first {
                        return gst::PadProbeReturn::Handled;
                    }
                    let plain = gst::FormattedSegment::<gst::ClockTime>::new();
                    *event = gst::event::Segment::builder(&plain)
                        .seqnum(event.seqnum())
                        .build();
                }
                gst::PadProbeReturn::Ok
            }
            Some(gst::PadProbeData::Buffer(buffer)) => {
                // `Handled` and not `Drop`: the latter makes GStreamer 1.22 release a buffer that
                // the bindings have released already, and complain.
                if gate.ended {
                    return gst::PadProbeReturn::Handled;
                }
                if gate.passed >= timing.frames {
                    gate.ended = true;
                    drop(gate);
                    pad.push_event(gst::event::Eos::new());
                    return gst::PadProbeReturn::Handled;
                }
                let (pts, duration) = gate.place(buffer.pts(), timing);
                let buffer = buffer.make_mut();
                buffer.set_pts(gst::ClockTime::from_nseconds(pts));
                buffer.set_dts(gst::ClockTime::NONE);
                buffer.set_duration(gst::ClockTime::from_nseconds(duration));
                gst::PadProbeReturn::Ok
            }
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

impl Gate {
    /// The new time and length of the next picture, in nanoseconds.
    fn place(&mut self, pts: Option<gst::ClockTime>, timing: Timing) -> (u64, u64) {
        let rate = timing.rate;
        let frame = self.passed;
        self.passed += 1;
        if !timing.variable {
            // The probe has seen every distance: the count is exact where timestamps are rounded,
            // or missing as in AVI.
            let at = rate.frame_to_ns(frame);
            return (at, rate.frame_to_ns(frame + 1) - at);
        }
        let frame_ns = rate.frame_to_ns(1);
        let segment = self.segment.as_ref();
        let time = segment.and_then(|segment| stream_time(segment, pts));
        let elapsed = time.map(|time| {
            let origin = *self.origin.get_or_insert(time);
            u64::try_from(time - origin).unwrap_or(0)
        });
        let at = match (elapsed, self.last) {
            (Some(at), Some(last)) => at.max(last + SHORTEST_NS),
            (None, Some(last)) => last + frame_ns,
            (_, None) => 0,
        };
        self.last = Some(at);
        (at, frame_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate {
            segment: Some(gst::FormattedSegment::new()),
            ..Gate::default()
        }
    }

    fn place(gate: &mut Gate, ms: u64, variable: bool) -> u64 {
        let timing = Timing {
            rate: FrameRate::new(30_000, 1001).expect("not zero"),
            variable,
            frames: 100,
        };
        gate.place(Some(gst::ClockTime::from_mseconds(ms)), timing)
            .0
    }

    #[test]
    fn rounded_times_become_exact_frames_from_zero() {
        gst::init().expect("GStreamer is installed");
        let mut gate = gate();
        let times = [66, 100, 133, 167, 200].map(|ms| place(&mut gate, ms, false));
        let rate = FrameRate::new(30_000, 1001).expect("not zero");
        assert_eq!(times, [0, 1, 2, 3, 4].map(|frame| rate.frame_to_ns(frame)));
    }

    #[test]
    fn a_variable_rate_keeps_its_times() {
        gst::init().expect("GStreamer is installed");
        let mut gate = gate();
        let times = [40, 57, 57, 900].map(|ms| place(&mut gate, ms, true));
        assert_eq!(times, [0, 17_000_000, 17_011_112, 860_000_000]);
    }
}
