//! Gives a decoder the samples of a range of frames, read by the file's own index.
//!
//! A seek through the demuxer would not do: qtdemux 1.22 moves it to a sound frame, clips the
//! picture there and hands it on as one more, and its times run ahead by the edit list. By the
//! index each sample has its number, and nothing but what is needed is read.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use protocol::failure::{Failure, FailureClass};
use protocol::media::{FrameRange, FrameRate};
use protocol::worker::Pipeline;

use super::container::access::{Access, Picture, Span};
use super::container::movie::Movie;
use super::pipeline::{Fault, Running, Wanted, internal, read_index};

/// Largest coded picture; an uncompressed one of 8192×4320 in 16 bits has about half of it.
const PICTURE_MAX_BYTES: u32 = 512 << 20;
/// The demuxer shows a track as soon as it has read the index.
const FORMAT_WITHIN: Duration = Duration::from_secs(20);

/// The samples of one range, found but not yet read.
#[derive(Debug)]
pub(super) struct Feed {
    file: File,
    span: Span,
    rate: FrameRate,
    caps: gst::Caps,
}

impl Feed {
    /// Looks up what leads to `frames` of the picture track of `input`.
    pub(super) fn open(input: &str, frames: FrameRange, rate: FrameRate) -> Result<Self, Failure> {
        let access = access(input)?;
        let span = |spare| {
            let span = access
                .as_ref()
                .and_then(|access| access.span(frames, spare));
            span.ok_or_else(|| {
                internal(&format!("frames {frames:?} cannot be reached by the index"))
            })
        };
        let mut feed = Self {
            file: File::open(input).map_err(|error| unreadable(&error))?,
            span: span(0)?,
            rate,
            caps: caps(input)?,
        };
        if !feed.begins_clean()? {
            feed.span = span(1)?;
        }
        Ok(feed)
    }

    /// Whether the decoder has all it needs from the first picture on. At a key picture of H.264
    /// that is no IDR picture it finds a gap in the frame numbers, and may show garbage until the
    /// next key picture.
    fn begins_clean(&self) -> Result<bool, Failure> {
        let structure = self.caps.structure(0);
        let Some(avc) = structure.filter(|structure| structure.name() == "video/x-h264") else {
            return Ok(true);
        };
        let Some(first) = self.span.pictures.first() else {
            return Ok(true);
        };
        let record = avc.get::<gst::Buffer>("codec_data").ok();
        let record = record.and_then(|record| record.into_mapped_buffer_readable().ok());
        // `lengthSizeMinusOne` of ISO/IEC 14496-15, 5.3.3.1.
        let length_bytes = record.and_then(|record| record.get(4).map(|byte| (byte & 3) + 1));
        let data = self.read_bytes(first)?;
        Ok(has_idr(&data, length_bytes.unwrap_or(4).into()))
    }

    /// Pictures that lie before frame 0; every time that the decoder is given counts them.
    pub(super) const fn origin(&self) -> u64 {
        self.span.origin
    }

    /// Feeds `running` from a thread of its own, which ends with the pipeline.
    pub(super) fn start(self, running: &Running) -> Result<(), Failure> {
        let source = running
            .element(Pipeline::SOURCE)?
            .downcast::<gst_app::AppSrc>()
            .map_err(|_| internal("the source is no appsrc"))?;
        source.set_caps(Some(&self.caps));
        let fault = running.fault();
        std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || self.push_all(&source, &fault))
            .map_err(|error| internal(&error.to_string()))?;
        Ok(())
    }

    fn push_all(self, source: &gst_app::AppSrc, fault: &Fault) {
        for picture in &self.span.pictures {
            let buffer = match self.read(picture) {
                Ok(buffer) => buffer,
                Err(failure) => {
                    let _ = fault.set(failure);
                    break;
                }
            };
            // The gate has seen enough, or the pipeline is being taken down.
            if source.push_buffer(buffer).is_err() {
                return;
            }
        }
        // After a fault too: the pipeline ends, and the fault is found.
        let _ended = source.end_of_stream();
    }

    fn read_bytes(&self, picture: &Picture) -> Result<Vec<u8>, Failure> {
        if picture.size > PICTURE_MAX_BYTES {
            return Err(internal(&format!("a picture of {} bytes", picture.size)));
        }
        let mut data = vec![0; picture.size as usize];
        self.file
            .read_exact_at(&mut data, picture.offset)
            .map_err(|error| unreadable(&error))?;
        Ok(data)
    }

    fn read(&self, picture: &Picture) -> Result<gst::Buffer, Failure> {
        let mut buffer = gst::Buffer::from_mut_slice(self.read_bytes(picture)?);
        let fields = buffer
            .get_mut()
            .ok_or_else(|| internal("a new buffer is shared"))?;
        let at = self.rate.frame_to_ns(picture.rank);
        let next = self.rate.frame_to_ns(picture.rank + 1);
        fields.set_pts(gst::ClockTime::from_nseconds(at));
        fields.set_duration(gst::ClockTime::from_nseconds(next - at));
        if !picture.sync {
            fields.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        Ok(buffer)
    }
}

fn access(input: &str) -> Result<Option<Access>, Failure> {
    let index = read_index(input).map_err(|error| unreadable(&error))?;
    let index = index.ok_or_else(|| internal("the file has no index"))?;
    let movie = Movie::parse(&index).map_err(|error| internal(&error.to_string()))?;
    let video = movie
        .video()
        .ok_or_else(|| internal("the index names no picture track"))?;
    Access::of(video, movie.timescale).map_err(|error| internal(&error.to_string()))
}

/// Whether a sample has a slice of an IDR picture (ITU-T H.264, 7.4.1). Each NAL unit stands behind
/// its length in `length_bytes` bytes.
pub(super) fn has_idr(mut sample: &[u8], length_bytes: usize) -> bool {
    while let Some((length, rest)) = sample.split_at_checked(length_bytes) {
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        if rest.first().is_some_and(|head| head & 0x1f == 5) {
            return true;
        }
        sample = rest.get(length..).unwrap_or_default();
    }
    false
}

/// What the demuxer says of the picture track: the decoder's own headers and more.
fn caps(input: &str) -> Result<gst::Caps, Failure> {
    let text = format!(
        "filesrc name={} ! qtdemux name={} fakesink name={} async=false sync=false",
        Pipeline::SOURCE,
        Pipeline::DEMUX,
        Pipeline::ENTRY,
    );
    let running = Running::open(&Pipeline { text }, input, Wanted::Video)?;
    let (sender, receiver) = mpsc::channel();
    let sink = running
        .element(Pipeline::ENTRY)?
        .static_pad("sink")
        .ok_or_else(|| internal("the sink takes no data"))?;
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) {
            // Nobody listens any more once the first has come.
            let _heard = sender.send(caps.caps_owned());
        }
        gst::PadProbeReturn::Ok
    });
    running.play()?;
    let began = Instant::now();
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(caps) => return Ok(caps),
            Err(_) if running.step()? || began.elapsed() > FORMAT_WITHIN => {
                return Err(internal("the demuxer does not name the format"));
            }
            Err(_) => {}
        }
    }
}

pub(super) fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(
        FailureClass::Resource,
        "input_not_read",
        "The node could not read the original; it is tried again.",
        error.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idr_picture_is_found_behind_other_units() {
        let sei_and = |kind: u8| [0, 0, 0, 2, 6, 9, 0, 0, 0, 3, 0x60 | kind, 1, 2];
        assert!(has_idr(&sei_and(5), 4));
        assert!(!has_idr(&sei_and(1), 4));
        assert!(!has_idr(&[0xff, 0xff, 0xff, 0xff, 1], 4));
        assert!(!has_idr(&[], 4));
        assert!(has_idr(&[1, 0x65], 1));
    }
}
