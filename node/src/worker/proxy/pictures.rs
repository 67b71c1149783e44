//! The pictures of an edit proxy: decoded once, scaled once, coded by several encoders in turn.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use protocol::failure::{Failure, FailureClass};
use protocol::media::FrameRange;
use protocol::preset::EditCodec;
use protocol::probe::Colour;
use protocol::worker::{Pipeline, ProxyTask};

use super::encoder;
use super::look::{self, Print};
use crate::worker::audio::lock;
use crate::worker::gate::{self, Count, Timing};
use crate::worker::output::{Output, Stream};
use crate::worker::pipeline::{Running, Wanted, internal, sample_time};

/// What came out of the encoders.
#[derive(Debug)]
pub(super) struct Coded {
    /// All pictures, in the order in which they were ready.
    pub(super) file: File,
    /// By time.
    pub(super) pictures: Vec<Picture>,
    /// As the encoder describes them, for a decoder.
    pub(super) caps: gst::Caps,
    /// The `avcC` record of H.264.
    pub(super) avcc: Option<Vec<u8>>,
    /// The compression id of `DNxHR`.
    pub(super) compression: u32,
    pub(super) colour: Colour,
    /// How each picture looked before it was coded.
    pub(super) prints: Vec<Print>,
}

/// One coded picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    /// When it is shown, from the first on.
    pub(super) at_ns: u64,
    pub(super) offset: u64,
    pub(super) size: u32,
}

/// What the encoders' sinks fill.
struct Taken {
    stream: Option<Stream>,
    bytes: u64,
    pictures: Vec<Picture>,
    caps: Option<gst::Caps>,
    compression: u32,
}

/// Encodes the pictures of `input` and reports how many are done.
pub(super) fn run(
    task: &ProxyTask,
    input: &str,
    filename: &str,
    scratch: &Output,
    report: &mut dyn FnMut(u64),
) -> Result<Coded, Failure> {
    let video = &task.probe.video;
    let running = Running::open_through(&task.pictures, input, Wanted::Video)?;
    let gate = running.element(Pipeline::GATE)?.static_pad("src");
    let gate = gate.ok_or_else(|| internal("the gate has no way out"))?;
    gate::install(
        &gate,
        Timing {
            rate: video.frame_rate,
            variable: video.variable_frame_rate,
            frames: FrameRange {
                start: 0,
                end: video.frames,
            },
            count: Count::Arrival,
        },
    );
    dress(task, filename, &running)?;
    let prints = Arc::new(Mutex::new(Vec::new()));
    let colour = Arc::new(Mutex::new(None));
    burn(task, &running, &prints, &colour)?;
    let taken = Arc::new(Mutex::new(Taken {
        stream: Some(scratch.stream()?),
        bytes: 0,
        pictures: Vec::new(),
        caps: None,
        compression: 0,
    }));
    let done = Arc::new(AtomicU64::new(0));
    for lane in 0..task.lanes {
        encoder::link(&running, lane, task.lanes)?;
        let (taken, done, fault) = (Arc::clone(&taken), Arc::clone(&done), running.fault());
        let codec = task.preset.codec;
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                lock(&taken)
                    .take(&sample, codec)
                    .map_err(|failure| fault.set(failure))?;
                done.fetch_add(1, Ordering::Relaxed);
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        running.sink(lane.into())?.set_callbacks(callbacks);
    }
    running.run(|| {
        report(done.load(Ordering::Relaxed));
        true
    })?;
    drop(running);
    let mut taken = lock(&taken);
    let prints = std::mem::take(&mut *lock(&prints));
    let colour = lock(&colour).unwrap_or_default();
    taken.finish(task, scratch, prints, colour)
}

/// The look of the preset, and the name of the file.
fn dress(task: &ProxyTask, filename: &str, running: &Running) -> Result<(), Failure> {
    if task.preset.burn_in.name {
        let caption = running.element(Pipeline::CAPTION)?;
        caption.set_property("data", look::caption(filename));
    }
    if task.preset.lut.is_none() {
        return Ok(());
    }
    let lut = task.lut.clone();
    let lut = lut.ok_or_else(|| internal("the look of the preset did not come with the job"))?;
    let pad = running.element(Pipeline::LOOK)?.static_pad("src");
    let pad = pad.ok_or_else(|| internal("the look has no way out"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let info_of = pad
            .current_caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        if let (Some(gst::PadProbeData::Buffer(buffer)), Some(of)) = (&mut info.data, info_of) {
            let buffer = buffer.make_mut();
            if let Ok(mut frame) = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &of) {
                look::apply(&lut, &mut frame);
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// The timecode of each picture, and its print once it is as it will be coded.
fn burn(
    task: &ProxyTask,
    running: &Running,
    prints: &Arc<Mutex<Vec<Print>>>,
    colour: &Arc<Mutex<Option<Colour>>>,
) -> Result<(), Failure> {
    let pad = running.element(Pipeline::BURN)?.static_pad("src");
    let pad = pad.ok_or_else(|| internal("the last step has no way out"))?;
    let with_timecode = task.preset.burn_in.timecode;
    let clock = super::clock(task);
    let rate = task.rate;
    let (prints, colour, fault) = (Arc::clone(prints), Arc::clone(colour), running.fault());
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let of = pad
            .current_caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        let (Some(gst::PadProbeData::Buffer(buffer)), Some(of)) = (&mut info.data, of) else {
            return gst::PadProbeReturn::Ok;
        };
        lock(&colour).get_or_insert_with(|| colour_of(&of));
        if with_timecode {
            let frame = buffer
                .pts()
                .map_or(0, |pts| rate.ns_to_frame(pts.nseconds()));
            let buffer = buffer.make_mut();
            if let Ok(mut picture) = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &of)
            {
                look::burn(clock.as_ref(), frame, &mut picture);
            }
        }
        let print = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &of);
        match print.ok().and_then(|frame| Print::of(&frame)) {
            Some(print) => lock(&prints).push(print),
            None => {
                let _ = fault.set(internal("a picture that cannot be looked at"));
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// By the numbers of ITU-T H.273, those of the standard that fits the size where nothing is said.
fn colour_of(info: &gst_video::VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let default = if info.height() > 576 { 1 } else { 6 };
    let number = |iso: u32| match u16::try_from(iso) {
        Ok(0 | 2) | Err(_) => default,
        Ok(number) => number,
    };
    Colour {
        primaries: number(colorimetry.primaries().to_iso()),
        transfer: number(colorimetry.transfer().to_iso()),
        matrix: number(colorimetry.matrix().to_iso()),
        full_range: false,
    }
}

impl Taken {
    fn take(&mut self, sample: &gst::Sample, codec: EditCodec) -> Result<(), Failure> {
        let buffer = sample.buffer();
        let buffer = buffer.ok_or_else(|| internal("a sample without data"))?;
        let at_ns = sample_time(sample).and_then(|ns| u64::try_from(ns).ok());
        let at_ns = at_ns.ok_or_else(|| internal("a coded picture without a time"))?;
        let data = buffer
            .map_readable()
            .map_err(|error| internal(&error.to_string()))?;
        let size = u32::try_from(data.len()).map_err(|_| internal("a picture of gigabytes"))?;
        if self.caps.is_none() {
            self.caps = sample.caps_owned();
            if codec == EditCodec::DnxhrLb {
                self.compression = compression(&data)?;
            }
        }
        let stream = self.stream.as_mut();
        let stream = stream.ok_or_else(|| internal("a picture after the end"))?;
        stream.write(&data)?;
        self.pictures.push(Picture {
            at_ns,
            offset: self.bytes,
            size,
        });
        self.bytes += u64::from(size);
        Ok(())
    }

    fn finish(
        &mut self,
        task: &ProxyTask,
        scratch: &Output,
        prints: Vec<Print>,
        colour: Colour,
    ) -> Result<Coded, Failure> {
        let stream = self.stream.take();
        let stream = stream.ok_or_else(|| internal("the pictures ended twice"))?;
        let object = stream.finish("pictures", "bin")?;
        let mut pictures = std::mem::take(&mut self.pictures);
        pictures.sort_unstable_by_key(|picture| picture.at_ns);
        let video = &task.probe.video;
        let rate = video.frame_rate;
        let in_place = video.variable_frame_rate
            || (0..)
                .zip(&pictures)
                .all(|(frame, picture)| rate.ns_to_frame(picture.at_ns) == frame);
        let count = pictures.len() as u64;
        if count != video.frames || prints.len() as u64 != count || !in_place {
            return Err(Failure::new(
                FailureClass::Verification,
                "proxy_mismatch",
                format!(
                    "The edit proxy does not match its original: {count} pictures were coded, {} decoded, and the original has {}.",
                    prints.len(),
                    video.frames
                ),
                "",
            ));
        }
        let caps = self.caps.take();
        let caps = caps.ok_or_else(|| internal("the encoder names no format"))?;
        let avcc = caps
            .structure(0)
            .and_then(|caps| caps.get::<gst::Buffer>("codec_data").ok())
            .and_then(|record| record.map_readable().ok().map(|record| record.to_vec()));
        Ok(Coded {
            file: scratch.open(&object)?,
            pictures,
            caps,
            avcc,
            compression: self.compression,
            colour,
            prints,
        })
    }
}

/// SMPTE ST 2019-1: the compression id stands 40 bytes into the header of a picture.
fn compression(picture: &[u8]) -> Result<u32, Failure> {
    let id = picture.get(40..44).and_then(|bytes| bytes.try_into().ok());
    id.map(u32::from_be_bytes)
        .ok_or_else(|| internal("a coded picture without a header"))
}
