//! Builds a described pipeline, links the wanted track of its demuxer, and runs it to its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use protocol::failure::{Failure, FailureClass};
use protocol::worker::Pipeline;

use super::container::layout::Layout;
use super::container::movie::Movie;
use super::refuse::MAX_INDEX_BYTES;
use super::sdr;

/// How long the loop waits for a message before it looks at the progress again.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// Warnings that go to the log; a damaged file can raise one for every picture.
const WARNINGS_MAX: usize = 20;

/// The track that the child links to [`Pipeline::ENTRY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Video,
    /// Counted among the sound tracks, in the order of the file.
    Audio(usize),
}

/// A pipeline that is set to `Null` when it goes, so that no thread outlives its job.
#[derive(Debug)]
pub(super) struct Running {
    pipeline: gst::Pipeline,
    /// The first failure of our own code inside a streaming thread; it explains the error that
    /// GStreamer reports afterwards.
    fault: Fault,
    unlinked: Arc<AtomicBool>,
}

/// Where code in a streaming thread leaves the reason why it stopped the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<Failure>>>);

impl Fault {
    /// Keeps the first failure and turns it into what a callback must return.
    pub(super) fn set(&self, failure: Failure) -> gst::FlowError {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fault.get_or_insert(failure);
        gst::FlowError::Error
    }

    fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Running {
    /// Builds `description`, which has no file and no demuxer of its own to link.
    pub(super) fn build(description: &Pipeline) -> Result<Self, Failure> {
        sdr::register()?;
        let element = gst::parse::launch(&description.text).map_err(|error| {
            let missing = error.matches(gst::ParseError::NoSuchElement);
            let (class, code, message) = if missing {
                (
                    FailureClass::Resource,
                    "missing_plugin",
                    "This node lacks a GStreamer plugin that the video needs; install the packages named in the documentation.",
                )
            } else {
                (
                    FailureClass::Internal,
                    "pipeline_invalid",
                    "The video could not be processed; this is a mistake in Reelmesh.",
                )
            };
            Failure::new(class, code, message, error.to_string())
        })?;
        let pipeline = element
            .downcast::<gst::Pipeline>()
            .map_err(|_| internal("the description is not a pipeline"))?;
        Ok(Self {
            pipeline,
            fault: Fault::default(),
            unlinked: Arc::default(),
        })
    }

    /// Builds `description` on `input` and links `wanted` as soon as the demuxer shows it.
    pub(super) fn open(
        description: &Pipeline,
        input: &str,
        wanted: Wanted,
    ) -> Result<Self, Failure> {
        let running = Self::build(description)?;
        running
            .element(Pipeline::SOURCE)?
            .set_property("location", input);
        let entry = running
            .element(Pipeline::ENTRY)?
            .static_pad("sink")
            .ok_or_else(|| internal("the entry takes no data"))?;
        let demux = running.element(Pipeline::DEMUX)?;
        let fault = running.fault.clone();
        let tracks = AtomicUsize::new(0);
        let unlinked = Arc::clone(&running.unlinked);
        let target = entry.clone();
        demux.connect_pad_added(move |_, pad| {
            if !is_wanted(pad, wanted, &tracks) || target.is_linked() {
                return;
            }
            if let Err(error) = pad.link(&target) {
                // Without a link nothing reaches the sinks; the loop ends on the note.
                let _ = fault.set(undecodable(&format!("link: {error}")));
                unlinked.store(true, Ordering::Release);
            }
        });
        let unlinked = Arc::clone(&running.unlinked);
        demux.connect_no_more_pads(move |_| {
            if !entry.is_linked() {
                unlinked.store(true, Ordering::Release);
            }
        });
        Ok(running)
    }

    /// Like [`Running::open`], for a stream that is read from its first byte to its last.
    ///
    /// Where qtdemux 1.22 fetches for itself, it compares times of the media with the end of the
    /// presentation, and so stops too soon in a file whose edit list begins late, as phones write
    /// when they trim. Where data is pushed into it, it does not; but then it drops a last picture
    /// that is a key picture. Hence this only for files of the first kind.
    pub(super) fn open_through(
        description: &Pipeline,
        input: &str,
        wanted: Wanted,
    ) -> Result<Self, Failure> {
        let running = Self::open(description, input, wanted)?;
        let demux = running.element(Pipeline::DEMUX)?;
        let is_movie = demux
            .factory()
            .is_some_and(|factory| factory.name() == "qtdemux");
        if is_movie && begins_late(input) {
            let source = running.element(Pipeline::SOURCE)?;
            source.unlink(&demux);
            let valve = gst::ElementFactory::make("valve")
                .build()
                .map_err(|error| internal(&error.to_string()))?;
            running
                .pipeline
                .add(&valve)
                .map_err(|error| internal(&error.to_string()))?;
            gst::Element::link_many([&source, &valve, &demux])
                .map_err(|error| internal(&error.to_string()))?;
        }
        Ok(running)
    }

    pub(super) fn element(&self, name: &str) -> Result<gst::Element, Failure> {
        self.pipeline
            .by_name(name)
            .ok_or_else(|| internal(&format!("the description lacks an element {name:?}")))
    }

    pub(super) fn sink(&self, index: usize) -> Result<gst_app::AppSink, Failure> {
        self.element(&Pipeline::sink(index))?
            .downcast()
            .map_err(|_| internal("the sink is no appsink"))
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }

    /// Starts the stream.
    pub(super) fn play(&self) -> Result<(), Failure> {
        self.change(gst::State::Playing)
    }

    /// Reads up to the first picture.
    pub(super) fn pause(&self) -> Result<(), Failure> {
        self.change(gst::State::Paused)
    }

    /// Goes to `position` in stream time.
    pub(super) fn seek(
        &self,
        flags: gst::SeekFlags,
        position: gst::ClockTime,
    ) -> Result<(), Failure> {
        self.pipeline
            .seek_simple(flags, position)
            .map_err(|error| internal(&error.to_string()))
    }

    fn change(&self, state: gst::State) -> Result<(), Failure> {
        match self.pipeline.set_state(state) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.poll()?;
                Err(internal(&error.to_string()))
            }
        }
    }

    /// Plays until every sink is at its end, and calls `tick` a few times a second meanwhile;
    /// `tick` may end the stream early by returning false.
    pub(super) fn run(&self, mut tick: impl FnMut() -> bool) -> Result<(), Failure> {
        self.play()?;
        while !self.step()? {
            if !tick() {
                return Ok(());
            }
        }
        tick();
        match self.fault.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Waits a moment for news; true at the end of the stream.
    pub(super) fn step(&self) -> Result<bool, Failure> {
        let bus = self
            .pipeline
            .bus()
            .ok_or_else(|| internal("the pipeline has no bus"))?;
        let message = bus.timed_pop_filtered(
            TICK,
            &[
                gst::MessageType::Eos,
                gst::MessageType::Error,
                gst::MessageType::Warning,
            ],
        );
        if let Some(message) = message {
            return self.heed(&message);
        }
        if self.unlinked.load(Ordering::Acquire) {
            return Err(self
                .fault
                .take()
                .unwrap_or_else(|| undecodable("the demuxer shows no such track")));
        }
        Ok(false)
    }

    /// Looks at what has been reported so far without waiting.
    fn poll(&self) -> Result<(), Failure> {
        while let Some(message) = self.pipeline.bus().and_then(|bus| bus.pop()) {
            self.heed(&message)?;
        }
        Ok(())
    }

    fn heed(&self, message: &gst::Message) -> Result<bool, Failure> {
        match message.view() {
            gst::MessageView::Eos(_) => Ok(true),
            gst::MessageView::Error(error) => Err(self
                .fault
                .take()
                .unwrap_or_else(|| classify(&error.error(), error.debug().as_deref()))),
            gst::MessageView::Warning(warning) => {
                static WARNINGS: AtomicUsize = AtomicUsize::new(0);
                if WARNINGS.fetch_add(1, Ordering::Relaxed) < WARNINGS_MAX {
                    super::log(&format!("warning: {}", warning.error()));
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// A time in the file's own presentation, edit list applied, in nanoseconds; may be negative.
pub(super) fn stream_time(
    segment: &gst::FormattedSegment<gst::ClockTime>,
    time: Option<gst::ClockTime>,
) -> Option<i64> {
    match segment.to_stream_time_full(time?)? {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok(),
        gst::Signed::Negative(time) => i64::try_from(time.nseconds()).ok().map(|ns| -ns),
    }
}

/// The time of a sample from a sink; see [`stream_time`].
pub(super) fn sample_time(sample: &gst::Sample) -> Option<i64> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    stream_time(segment, sample.buffer()?.pts())
}

/// Whether the edit list of the pictures leaves out more than B-pictures explain.
fn begins_late(input: &str) -> bool {
    let late = |moov: &[u8]| {
        let movie = Movie::parse(moov).ok()?;
        let video = movie.video()?;
        let start = video.edits.iter().find_map(|edit| edit.media_time)?;
        Some(start > u64::from(video.timescale) / 2)
    };
    // What cannot be read here is judged by the demuxer.
    read_index(input)
        .ok()
        .flatten()
        .and_then(|moov| late(&moov))
        .unwrap_or(false)
}

/// The content of the `moov` box; `None` if there is none, or none that may be read whole.
pub(super) fn read_index(input: &str) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(input)?;
    let size_bytes = file.metadata()?.len();
    let Some(range) = Layout::scan(&mut file, size_bytes)?.moov else {
        return Ok(None);
    };
    let len = range.end - range.start;
    if len > MAX_INDEX_BYTES {
        return Ok(None);
    }
    let mut moov = Vec::new();
    file.seek(SeekFrom::Start(range.start))?;
    file.take(len).read_to_end(&mut moov)?;
    Ok(Some(moov))
}

fn is_wanted(pad: &gst::Pad, wanted: Wanted, tracks: &AtomicUsize) -> bool {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let Some(name) = caps.structure(0).map(gst::StructureRef::name) else {
        return false;
    };
    match wanted {
        Wanted::Video => name.starts_with("video/") || name.starts_with("image/"),
        Wanted::Audio(index) => {
            name.starts_with("audio/") && tracks.fetch_add(1, Ordering::Relaxed) == index
        }
    }
}

/// What an error of GStreamer says about the file and the node.
fn classify(error: &gst::glib::Error, debug: Option<&str>) -> Failure {
    let detail = format!("{error}; {}", debug.unwrap_or_default());
    if error.matches(gst::CoreError::MissingPlugin)
        || error.matches(gst::StreamError::CodecNotFound)
    {
        return Failure::new(
            FailureClass::Resource,
            "missing_plugin",
            "This node lacks a GStreamer plugin that the video needs; install the packages named in the documentation.",
            detail,
        );
    }
    if error.matches(gst::StreamError::Encode) {
        return Failure::new(
            FailureClass::Resource,
            "encoder_failed",
            "The encoder stopped; the node may be out of memory.",
            detail,
        );
    }
    if error.is::<gst::StreamError>() {
        return undecodable(&detail);
    }
    if error.is::<gst::ResourceError>() {
        return Failure::new(
            FailureClass::Resource,
            "input_not_read",
            "The node could not read the original; it is tried again.",
            detail,
        );
    }
    internal(&detail)
}

fn undecodable(detail: &str) -> Failure {
    Failure::new(
        FailureClass::Input,
        "not_decodable",
        "The file cannot be decoded; it may be damaged or use a variant of its format that is not supported. Export it again and upload the new file.",
        detail,
    )
}

pub(super) fn internal(detail: &str) -> Failure {
    Failure::new(
        FailureClass::Internal,
        "worker_failed",
        "The video could not be processed; this is a mistake in Reelmesh.",
        detail,
    )
}
