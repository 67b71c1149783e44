//! One pass through a file with a demuxer and parsers, without decoding: which streams there are,
//! what their headers say, and the time stamp of every picture.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use protocol::failure::Failure;

use super::codec::{Container, VideoCodec, audio_parser};
use crate::worker::container::picture::{self, Counter};
use crate::worker::container::samples::MAX_PICTURES;
use crate::worker::refuse::{MAX_TRACKS, Refusal};

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Until every stream has shown its header.
    Headers,
    /// To the end, counting.
    Everything,
}

/// What the pass found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// In the order in which the demuxer offers them.
    pub(super) streams: Vec<Stream>,
    /// Tags of the whole file.
    pub(super) tags: Vec<gst::TagList>,
    /// What went wrong on the way, if something did; what was found until then is here.
    pub(super) error: Option<String>,
    complete: bool,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    /// As the container describes it.
    pub(super) caps: gst::Caps,
    /// As the stream's own header describes it.
    pub(super) parsed: Option<gst::Caps>,
    pub(super) codec: Option<VideoCodec>,
    pub(super) tags: Vec<gst::TagList>,
    /// Start of each shown picture in nanoseconds, in order of decoding.
    pub(super) starts: Vec<u64>,
    /// Shown pictures, with and without a time stamp.
    pub(super) shown: u64,
    /// Duration of the latest picture, if known.
    pub(super) picture_ns: Option<u64>,
    /// First start and last end of anything in the stream, in nanoseconds.
    pub(super) span: Option<(u64, u64)>,
    /// What the first picture says about itself.
    pub(super) coded: Option<(u32, u32)>,
    /// As attached to the first picture: text, and drop-frame.
    pub(super) timecode: Option<(String, bool)>,
    /// Buffers seen behind the parser.
    parsed_buffers: u64,
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    counter: Counter,
    /// Pictures outside of what the container says is to be shown.
    pub(super) outside: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Audio,
    Other,
    Video,
}

impl Survey {
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Stream> {
        self.streams
            .iter()
            .filter(move |stream| stream.kind == kind)
    }

    fn has_headers(&self) -> bool {
        self.complete
            && self
                .of_kind(Kind::Video)
                .all(|stream| stream.codec.is_none() || stream.parsed_buffers > 0)
    }
}

/// A reader that neither offers a byte nor ends for this long is stuck.
const STUCK: Duration = Duration::from_secs(30);

type Shared = Arc<Mutex<Survey>>;

fn lock(survey: &Shared) -> MutexGuard<'_, Survey> {
    survey.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads `path`, which was found to be a `container`.
pub(super) fn survey(path: &Path, container: Container, depth: Depth) -> Result<Survey, Failure> {
    let pipeline = Running(gst::Pipeline::new());
    let shared = Shared::default();
    let source = make("filesrc")?;
    source.set_property("location", path);
    let demuxer = make(container.demuxer)?;
    pipeline
        .0
        .add_many([&source, &demuxer])
        .and_then(|()| source.link(&demuxer))
        .map_err(internal)?;

    // Weak, for the pipeline holds the closures.
    let weak = pipeline.0.downgrade();
    let on_pad = shared.clone();
    demuxer.connect_pad_added(move |_, pad| {
        if let Some(pipeline) = weak.upgrade() {
            attach(&pipeline, pad, &on_pad, container, depth);
        }
    });
    let on_complete = shared.clone();
    let bus = pipeline
        .0
        .bus()
        .ok_or_else(|| internal("a pipeline without a bus"))?;
    let wake = bus.clone();
    demuxer.connect_no_more_pads(move |_| {
        lock(&on_complete).complete = true;
        drop(
            wake.post(gst::message::Application::new(gst::Structure::new_empty(
                "looked",
            ))),
        );
    });
    // An error arrives as a message as well, with more words.
    let _started = pipeline.0.set_state(gst::State::Playing);

    let (mut moved, mut since) = (0, Instant::now());
    loop {
        let message = bus.timed_pop(gst::ClockTime::from_mseconds(100));
        match message.as_deref().map(gst::MessageRef::view) {
            Some(gst::MessageView::Eos(_)) => break,
            Some(gst::MessageView::Error(error)) => {
                let text = format!("{}: {}", error.error(), error.debug().unwrap_or_default());
                lock(&shared).error = Some(text);
                break;
            }
            Some(gst::MessageView::Tag(tag)) => {
                let tags = tag.tags();
                if tags.scope() == gst::TagScope::Global {
                    lock(&shared).tags.push(tags);
                }
            }
            _ => {}
        }
        let now = {
            let state = lock(&shared);
            let videos = state.of_kind(Kind::Video).count();
            crate::worker::refuse::check_tracks(state.streams.len(), videos)?;
            if state.streams.iter().any(|s| s.starts.len() >= MAX_PICTURES) {
                return Err(Refusal::TooLong.into());
            }
            if depth == Depth::Headers && state.has_headers() {
                break;
            }
            state.streams.iter().map(|s| s.parsed_buffers).sum::<u64>() + state.streams.len() as u64
        };
        if now != moved {
            (moved, since) = (now, Instant::now());
        } else if since.elapsed() > STUCK {
            lock(&shared).error = Some("reading stood still".to_owned());
            break;
        }
    }
    drop(pipeline);
    let mut state = lock(&shared);
    Ok(std::mem::take(&mut *state))
}

/// A pipeline that is taken down whatever happens.
struct Running(gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        let _stopped = self.0.set_state(gst::State::Null);
    }
}

pub(super) fn make(element: &str) -> Result<gst::Element, Failure> {
    if element.contains(' ') {
        return gst::parse::launch(element).map_err(internal);
    }
    gst::ElementFactory::make(element).build().map_err(internal)
}

/// A mistake of ours or of the installation, not of the file.
pub(super) fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(
        protocol::failure::FailureClass::Internal,
        "internal",
        "The media tools of this node do not work as they should; ask its operator to look at the log.",
        error.to_string(),
    )
}

/// How to count a stream: where each buffer of the demuxer is one picture, only hidden ones matter.
fn counter(codec: Option<VideoCodec>, container: Container) -> Counter {
    let name = codec.map_or("", |codec| codec.name);
    match name {
        "h264" | "mpeg2" if container.is_packetised() => Counter::Buffers,
        _ => Counter::new(name),
    }
}

/// Gives the new `pad` a parser if it needs one, a sink, and eyes.
fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    shared: &Shared,
    container: Container,
    depth: Depth,
) {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let name = caps.structure(0).map(|s| s.name().to_string());
    let name = name.unwrap_or_default();
    let kind = if name.starts_with("audio/") {
        Kind::Audio
    } else if name.starts_with("video/")
        || name.starts_with("image/")
        || name == "application/x-cenc"
    {
        Kind::Video
    } else {
        Kind::Other
    };
    let codec = (kind == Kind::Video)
        .then(|| VideoCodec::of(&caps))
        .flatten();
    let index = {
        let mut survey = lock(shared);
        survey.streams.push(Stream {
            kind,
            caps: caps.clone(),
            parsed: None,
            codec,
            tags: Vec::new(),
            starts: Vec::new(),
            shown: 0,
            picture_ns: None,
            span: None,
            coded: None,
            timecode: None,
            parsed_buffers: 0,
            segment: None,
            counter: counter(codec, container),
            outside: 0,
        });
        survey.streams.len() - 1
    };
    // The pass ends at the next look; a thousand sinks would be made for nothing.
    if index > MAX_TRACKS {
        return;
    }
    let parser = match (kind, depth) {
        (Kind::Video, _) => codec.and_then(|codec| codec.parser),
        (Kind::Audio, Depth::Everything) => audio_parser(&caps),
        _ => None,
    };
    let sink = chain(pipeline, pad, parser, codec);
    let Some(sink) = sink.and_then(|sink| sink.static_pad("sink")) else {
        return;
    };
    // A parser makes pictures of a stream; where the container did so already, its own buffers and
    // time stamps are the better ones, for parsers invent what they miss.
    let early = container.is_packetised();
    let watched = shared.clone();
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    sink.add_probe(mask, move |_, info| {
        if let Some(stream) = lock(&watched).streams.get_mut(index) {
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => {
                    stream.parsed_buffers += 1;
                    if !early {
                        stream.buffer(buffer);
                    }
                }
                Some(gst::PadProbeData::Event(event)) => stream.event(event),
                _ => {}
            }
        }
        gst::PadProbeReturn::Ok
    });
    if !early {
        return;
    }
    let watched = shared.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(stream) = lock(&watched).streams.get_mut(index)
            && let Some(buffer) = info.buffer()
        {
            if stream.segment.is_none() {
                let segment = pad.sticky_event::<gst::event::Segment>(0);
                stream.segment = segment.and_then(|event| {
                    let time = event.segment().downcast_ref::<gst::ClockTime>();
                    time.cloned()
                });
            }
            stream.buffer(buffer);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Links `pad` through `parser` to a sink that takes everything at once.
fn chain(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    parser: Option<&str>,
    codec: Option<VideoCodec>,
) -> Option<gst::Element> {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .property("enable-last-sample", false)
        .build()
        .ok()?;
    let mut elements = Vec::new();
    if let Some(parser) = parser.and_then(|name| make(name).ok()) {
        elements.push(parser);
        if codec.is_some_and(|codec| codec.name == "h264") {
            let caps = gst::Caps::builder("video/x-h264")
                .field("stream-format", "byte-stream")
                .field("alignment", "au")
                .build();
            let filter = gst::ElementFactory::make("capsfilter").property("caps", caps);
            elements.push(filter.build().ok()?);
        }
    }
    elements.push(sink.clone());
    pipeline.add_many(&elements).ok()?;
    gst::Element::link_many(&elements).ok()?;
    for element in elements.iter().rev() {
        element.sync_state_with_parent().ok()?;
    }
    pad.link(&elements.first()?.static_pad("sink")?).ok()?;
    Some(sink)
}

impl Stream {
    fn event(&mut self, event: &gst::Event) {
        match event.view() {
            gst::EventView::Caps(caps) => {
                self.parsed.get_or_insert_with(|| caps.caps_owned());
            }
            gst::EventView::Segment(segment) => {
                let time = segment.segment().downcast_ref::<gst::ClockTime>();
                self.segment = time.cloned();
            }
            gst::EventView::Tag(tag) if self.tags.len() < 64 => self.tags.push(tag.tag_owned()),
            _ => {}
        }
    }

    fn buffer(&mut self, buffer: &gst::Buffer) {
        let start = buffer
            .pts()
            .or_else(|| buffer.dts())
            .map(gst::ClockTime::nseconds);
        let duration = buffer.duration().map(gst::ClockTime::nseconds);
        if let Some(start) = start {
            let end = start.saturating_add(duration.unwrap_or(0));
            let (first, last) = self.span.unwrap_or((start, end));
            self.span = Some((first.min(start), last.max(end)));
        }
        let Some(codec) = self.codec else {
            return;
        };
        if self.timecode.is_none() {
            self.timecode = buffer.meta::<gst_video::VideoTimeCodeMeta>().map(|meta| {
                let timecode = meta.tc();
                let flags = timecode.flags();
                let drop_frame = flags.contains(gst_video::VideoTimeCodeFlags::DROP_FRAME);
                (timecode.to_string(), drop_frame)
            });
        }
        let bytes = buffer.map_readable();
        if self.coded.is_none() {
            let bytes = bytes.as_ref().ok();
            self.coded = bytes.and_then(|bytes| picture::size(codec.name, bytes));
        }
        let shown = match (&mut self.counter, &bytes) {
            (Counter::Buffers, _) | (_, Err(_)) => 1,
            (counter, Ok(bytes)) => counter.shown(bytes),
        };
        if shown > 0 && !self.is_in_segment(start, duration) {
            self.outside += 1;
            return;
        }
        if shown == 0 {
            return;
        }
        self.shown += u64::from(shown);
        self.picture_ns = duration.filter(|ns| *ns > 0).or(self.picture_ns);
        if self.starts.len() < MAX_PICTURES {
            self.starts
                .extend(buffer.pts().map(gst::ClockTime::nseconds));
        }
    }

    /// Whether the middle of a picture lies in what the container says is to be shown.
    fn is_in_segment(&self, start: Option<u64>, duration: Option<u64>) -> bool {
        let (Some(start), Some(segment)) = (start, &self.segment) else {
            return true;
        };
        let middle = start.saturating_add(duration.unwrap_or(0) / 2);
        let from = segment.start().map_or(0, gst::ClockTime::nseconds);
        let to = segment.stop().map_or(u64::MAX, gst::ClockTime::nseconds);
        (from..to).contains(&middle)
    }
}
