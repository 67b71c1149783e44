//! Where decoded pictures get their place in the video: counted, timed from 0, and cut.

use std::sync::{Mutex, PoisonError};

use gst::prelude::*;
use protocol::media::{FrameRange, FrameRate};

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
    /// Which pictures to let through.
    pub(super) frames: FrameRange,
    /// How a picture is known.
    pub(super) count: Count,
}

/// How the gate knows which picture it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// They come from the first on, one after the other.
    Arrival,
    /// Their times are those of the constant rate, and `origin` pictures of it lie before frame 0.
    Time { origin: u64 },
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

/// What becomes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It lies before the wanted range, or was seen.
    Drop,
    /// It and all behind it lie after the range.
    End,
    /// It is let through with this time and length, in nanoseconds.
    Pass { at: u64, duration: u64 },
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
                match gate.judge(buffer.pts(), timing) {
                    Fate::Drop => gst::PadProbeReturn::Handled,
                    Fate::End => {
                        gate.ended = true;
                        drop(gate);
                        pad.push_event(gst::event::Eos::new());
                        gst::PadProbeReturn::Handled
                    }
                    Fate::Pass { at, duration } => {
                        let buffer = buffer.make_mut();
                        buffer.set_pts(gst::ClockTime::from_nseconds(at));
                        buffer.set_dts(gst::ClockTime::NONE);
                        buffer.set_duration(gst::ClockTime::from_nseconds(duration));
                        gst::PadProbeReturn::Ok
                    }
                }
            }
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

impl Gate {
    fn judge(&mut self, pts: Option<gst::ClockTime>, timing: Timing) -> Fate {
        let (rate, range) = (timing.rate, timing.frames);
        let frame = match timing.count {
            Count::Arrival => self.passed,
            // A decoder may show pictures ahead of the range, which it was given to get there.
            Count::Time { origin } => {
                let number = pts.map(|pts| rate.ns_to_frame(pts.nseconds()));
                match number.and_then(|number| number.checked_sub(origin)) {
                    Some(frame) if frame >= range.start + self.passed => frame,
                    _ => return Fate::Drop,
                }
            }
        };
        if frame >= range.end {
            return Fate::End;
        }
        self.passed = frame + 1 - range.start;
        if !timing.variable {
            // The probe has seen every distance: the number is exact where timestamps are rounded,
            // or missing as in AVI.
            let at = rate.frame_to_ns(frame);
            let duration = rate.frame_to_ns(frame + 1) - at;
            return Fate::Pass { at, duration };
        }
        let (at, duration) = self.own_time(pts, rate);
        Fate::Pass { at, duration }
    }

    /// The source's own time, from 0 at its first picture.
    fn own_time(&mut self, pts: Option<gst::ClockTime>, rate: FrameRate) -> (u64, u64) {
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

    const RANGE: FrameRange = FrameRange { start: 0, end: 100 };

    fn place(gate: &mut Gate, ms: u64, variable: bool) -> u64 {
        let timing = Timing {
            rate: FrameRate::new(30_000, 1001).expect("not zero"),
            variable,
            frames: RANGE,
            count: Count::Arrival,
        };
        match gate.judge(Some(gst::ClockTime::from_mseconds(ms)), timing) {
            Fate::Pass { at, .. } => at,
            fate => panic!("{fate:?}"),
        }
    }

    #[test]
    fn a_part_begins_and_ends_at_its_own_frames() {
        gst::init().expect("GStreamer is installed");
        let mut gate = gate();
        let rate = FrameRate::new(30_000, 1001).expect("not zero");
        let timing = Timing {
            rate,
            variable: false,
            frames: FrameRange { start: 4, end: 7 },
            count: Count::Time { origin: 2 },
        };
        // Pictures 3, 4 and 5 lie before it; 6 is its first; 7 comes twice; 9 lies behind it.
        let fates = [3, 4, 5, 6, 7, 7, 8, 9].map(|rank| {
            let pts = gst::ClockTime::from_nseconds(rate.frame_to_ns(rank));
            match gate.judge(Some(pts), timing) {
                Fate::Pass { at, .. } => Some(rate.ns_to_frame(at)),
                Fate::Drop => None,
                Fate::End => Some(u64::MAX),
            }
        });
        let (drop, end) = (None, Some(u64::MAX));
        assert_eq!(
            fates,
            [drop, drop, drop, Some(4), Some(5), drop, Some(6), end]
        );
        assert_eq!(gate.judge(None, timing), Fate::Drop);
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
