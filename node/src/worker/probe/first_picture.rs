//! The first picture of a file, decoded after its headers were found harmless: proof that it can
//! be, and the word of the decoder on what the samples are.

use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::prelude::VideoBufferExt as _;
use protocol::failure::Failure;

use super::codec::{Container, VideoCodec};
use super::survey::{internal, make};

/// What the decoder said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixel_aspect: (u32, u32),
    pub(super) bit_depth: u8,
    /// As in `VideoTrack::chroma`.
    pub(super) chroma: &'static str,
    /// As in `VideoTrack::field_order`.
    pub(super) field_order: &'static str,
}

/// A picture that takes longer than this is not coming.
const PATIENCE: Duration = Duration::from_secs(20);

/// Decodes the first picture of the first video stream. The inner error says why there is none.
pub(super) fn first_picture(
    path: &Path,
    container: Container,
    codec: VideoCodec,
) -> Result<Result<Picture, String>, Failure> {
    let pipeline = Running(gst::Pipeline::new());
    let source = make("filesrc")?;
    source.set_property("location", path);
    let demuxer = make(container.demuxer)?;
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .max_buffers(1)
        .build();
    let mut elements = Vec::new();
    for name in [codec.parser, codec.decoder()].into_iter().flatten() {
        let element = make(name)?;
        if element.has_property_with_type("max-threads", i32::static_type()) {
            // Frame threads would first fill a queue of pictures.
            element.set_property("max-threads", 1_i32);
        }
        elements.push(element);
    }
    elements.push(sink.clone().upcast());
    pipeline
        .0
        .add_many([&source, &demuxer])
        .and_then(|()| pipeline.0.add_many(&elements))
        .and_then(|()| source.link(&demuxer))
        .and_then(|()| gst::Element::link_many(&elements))
        .map_err(internal)?;
    let entry = elements
        .first()
        .and_then(|element| element.static_pad("sink"));
    let entry = entry.ok_or_else(|| internal("an element without a sink pad"))?;

    let weak = pipeline.0.downgrade();
    demuxer.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let is_video = caps
            .structure(0)
            .is_some_and(|s| s.name().starts_with("video/") || s.name().starts_with("image/"));
        if is_video && !entry.is_linked() {
            let _linked = pad.link(&entry);
        } else if let Some(pipeline) = weak.upgrade() {
            let _discarded = discard(&pipeline, pad);
        }
    });
    let bus = pipeline
        .0
        .bus()
        .ok_or_else(|| internal("a pipeline without a bus"))?;
    let _started = pipeline.0.set_state(gst::State::Playing);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
            return Ok(describe(&sample).ok_or_else(|| "a picture without a format".to_owned()));
        }
        if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
            && let gst::MessageView::Error(error) = message.view()
        {
            return Ok(Err(format!(
                "{}: {}",
                error.error(),
                error.debug().unwrap_or_default()
            )));
        }
        if sink.is_eos() {
            return Ok(Err("the stream ended without a picture".to_owned()));
        }
        if Instant::now() > deadline {
            return Ok(Err("no picture came in time".to_owned()));
        }
    }
}

struct Running(gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        let _stopped = self.0.set_state(gst::State::Null);
    }
}

fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Option<()> {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .build()
        .ok()?;
    pipeline.add(&sink).ok()?;
    sink.sync_state_with_parent().ok()?;
    pad.link(&sink.static_pad("sink")?).ok()?;
    Some(())
}

fn describe(sample: &gst::Sample) -> Option<Picture> {
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let format = info.format_info();
    // Of these flags GStreamer's core knows nothing.
    let flags = sample.buffer()?.video_flags();
    let first_field_is_top = flags.contains(gst_video::VideoBufferFlags::TFF);
    let is_interlaced = flags.contains(gst_video::VideoBufferFlags::INTERLACED);
    let field_order = match (info.interlace_mode(), info.field_order()) {
        (gst_video::VideoInterlaceMode::Progressive, _) => "progressive",
        // Mixed: some pictures are; the first one speaks for all.
        (gst_video::VideoInterlaceMode::Mixed, _) if !is_interlaced => "progressive",
        (_, gst_video::VideoFieldOrder::TopFieldFirst) => "tff",
        (_, gst_video::VideoFieldOrder::BottomFieldFirst) => "bff",
        _ if first_field_is_top => "tff",
        _ => "bff",
    };
    let chroma = if format.is_rgb() || format.has_palette() {
        "rgb"
    } else if format.is_gray() {
        "gray"
    } else {
        match (format.w_sub().get(1), format.h_sub().get(1)) {
            (Some(1), Some(1)) => "4:2:0",
            (Some(1), Some(0)) => "4:2:2",
            (Some(2), _) => "4:1:1",
            (Some(0), Some(1)) => "4:4:0",
            _ => "4:4:4",
        }
    };
    let par = info.par();
    Some(Picture {
        width: info.width(),
        height: info.height(),
        pixel_aspect: (
            u32::try_from(par.numer()).ok()?,
            u32::try_from(par.denom()).ok()?,
        ),
        bit_depth: u8::try_from(*format.depth().first()?).ok()?,
        chroma,
        field_order,
    })
}
