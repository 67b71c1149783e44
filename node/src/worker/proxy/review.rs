//! Decodes what was coded, picture by picture, and compares it with what was meant.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use protocol::failure::Failure;
use protocol::worker::{Pipeline, ProxyTask};

use super::look::Print;
use super::pictures::Coded;
use crate::worker::audio::lock;
use crate::worker::pipeline::{Running, internal, sample_time};

/// What the review found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) encoded: u64,
    pub(super) decoded: u64,
    /// Pictures that look like the one that was coded at their place.
    pub(super) alike: u64,
    pub(super) first_unlike: Option<u64>,
}

/// Reads the pictures of `coded` back and reports how many are done.
pub(super) fn run(
    task: &ProxyTask,
    coded: &Coded,
    report: &mut dyn FnMut(u64),
) -> Result<Seen, Failure> {
    let running = Running::build(&task.review)?;
    let source = running.element(Pipeline::SOURCE)?;
    let source = source
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| internal("the review takes no pictures"))?;
    source.set_caps(Some(&coded.caps));
    let rate = task.probe.video.frame_rate;
    let prints = Arc::new(coded.prints.clone());
    let seen = Arc::new(Mutex::new(Seen {
        encoded: coded.pictures.len() as u64,
        ..Seen::default()
    }));
    let done = Arc::new(AtomicU64::new(0));
    let (found, count, fault) = (Arc::clone(&seen), Arc::clone(&done), running.fault());
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let print = print(&sample).map_err(|failure| fault.set(failure))?;
            let at = sample_time(&sample).and_then(|ns| u64::try_from(ns).ok());
            let place = at.map_or(u64::MAX, |at| rate.ns_to_frame(at));
            let wanted = usize::try_from(place)
                .ok()
                .and_then(|place| prints.get(place));
            let mut seen = lock(&found);
            seen.decoded += 1;
            if wanted.is_some_and(|wanted| wanted.is_like(&print)) {
                seen.alike += 1;
            } else {
                seen.first_unlike = Some(seen.first_unlike.unwrap_or(place).min(place));
            }
            count.fetch_add(1, Ordering::Relaxed);
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    running.sink(0)?.set_callbacks(callbacks);
    let feeder = feed(task, coded, source, &running)?;
    running.run(|| {
        report(done.load(Ordering::Relaxed));
        true
    })?;
    drop(running);
    // It ends with the pipeline.
    let _ended = feeder.join();
    let seen = *lock(&seen);
    Ok(seen)
}

/// Pushes all pictures, one each frame of the clock, from a thread of its own.
fn feed(
    task: &ProxyTask,
    coded: &Coded,
    source: gst_app::AppSrc,
    running: &Running,
) -> Result<std::thread::JoinHandle<()>, Failure> {
    let rate = task.probe.video.frame_rate;
    let file = coded.file.try_clone();
    let file = file.map_err(|error| internal(&error.to_string()))?;
    let pictures = coded.pictures.clone();
    let fault = running.fault();
    std::thread::Builder::new()
        .name("review".to_owned())
        .spawn(move || {
            for (frame, picture) in (0..).zip(pictures) {
                let mut data = vec![0; usize::try_from(picture.size).unwrap_or(0)];
                if let Err(error) = file.read_exact_at(&mut data, picture.offset) {
                    let _ = fault.set(internal(&error.to_string()));
                    break;
                }
                let mut buffer = gst::Buffer::from_mut_slice(data);
                if let Some(fields) = buffer.get_mut() {
                    let at = rate.frame_to_ns(frame);
                    let length = rate.frame_to_ns(frame + 1) - at;
                    fields.set_pts(gst::ClockTime::from_nseconds(at));
                    fields.set_duration(gst::ClockTime::from_nseconds(length));
                }
                if source.push_buffer(buffer).is_err() {
                    return;
                }
            }
            // After a fault too: the pipeline ends, and the fault is found.
            let _ended = source.end_of_stream();
        })
        .map_err(|error| internal(&error.to_string()))
}

fn print(sample: &gst::Sample) -> Result<Print, Failure> {
    let unseen = || internal("a decoded picture that cannot be looked at");
    let caps = sample.caps().ok_or_else(unseen)?;
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| unseen())?;
    let buffer = sample.buffer().ok_or_else(unseen)?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info);
    Print::of(&frame.map_err(|_| unseen())?).ok_or_else(unseen)
}
