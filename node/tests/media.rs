//! The probe against real files of every kind, made on the spot.

#![cfg(feature = "gstreamer")]

#[path = "common/acceptance.rs"]
mod acceptance;
#[path = "common/clips.rs"]
mod clips;
#[path = "common/media.rs"]
mod media;
#[path = "common/numbered.rs"]
mod numbered;

use std::path::Path;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;
use node::worker::probe::codec::VideoCodec;
use protocol::failure::{Failure, FailureClass};
use protocol::probe::Probe;
use protocol::worker::{Request, Task};

use self::media::{Case, Expect, Facts, cases};

fn probe(path: &Path) -> Result<Probe, Failure> {
    node::worker::probe::run(&Request {
        input: path.to_str().expect("a plain path").to_owned(),
        filename: "holiday.mp4".to_owned(),
        output: String::new(),
        task: Task::Probe,
    })
}

/// What a probe found, in the words of the table.
fn seen(probe: &Probe, expect: &Facts) -> String {
    let video = &probe.video;
    let audio = probe.audio.iter();
    let audio: Vec<_> = audio
        .map(|track| {
            (
                track.codec.as_str(),
                track.channels,
                track.language.as_deref(),
            )
        })
        .collect();
    let facts = format!(
        "{} {} {}x{} rot {} {}/{} variable {} frames {} {} bit {} {} hdr {} {audio:?} {:?}",
        probe.container,
        video.codec,
        video.display.width,
        video.display.height,
        video.rotation,
        video.frame_rate.num(),
        video.frame_rate.den(),
        video.variable_frame_rate,
        video.frames,
        video.bit_depth,
        video.chroma,
        video.field_order,
        video.hdr,
        probe
            .timecode
            .as_ref()
            .map(|timecode| timecode.text.as_str()),
    );
    let _ = expect;
    facts
}

fn expected(facts: &Facts) -> String {
    format!(
        "{} {} {}x{} rot {} {}/{} variable {} frames {} {} bit {} {} hdr {} {:?} {:?}",
        facts.container,
        facts.codec,
        facts.display.0,
        facts.display.1,
        facts.rotation,
        facts.rate.0,
        facts.rate.1,
        facts.variable,
        facts.frames,
        facts.bit_depth,
        facts.chroma,
        facts.field_order,
        facts.hdr,
        facts.audio,
        facts.timecode,
    )
}

/// What is wrong with the answer to one case, if anything is.
fn complaint(case: &Case) -> Option<String> {
    let path = match case.try_file() {
        Ok(path) => path,
        Err(error) => return Some(format!("cannot be made: {error}")),
    };
    match (probe(&path), &case.expect) {
        (Ok(probe), Expect::Probe(facts)) => {
            let (seen, expected) = (seen(&probe, facts), expected(facts));
            (seen != expected).then(|| format!("\n  saw      {seen}\n  expected {expected}"))
        }
        (Ok(probe), Expect::Refused(code)) => {
            Some(format!("taken, not refused as {code}: {probe:?}"))
        }
        (Err(failure), Expect::Probe(_)) => Some(format!("refused: {failure:?}")),
        (Err(failure), Expect::Refused(code)) => {
            let right = failure.code == *code && failure.class == FailureClass::Input;
            (!right).then(|| format!("refused, but not as {code}: {failure:?}"))
        }
    }
}

#[test]
fn every_kind_of_file_is_seen_as_what_it_is() {
    let complaints: Vec<String> = cases()
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, complaint(case)?)))
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Counts the pictures that a full decode shows.
fn decoded(path: &Path, probe: &Probe) -> u64 {
    let demuxer = match probe.container.as_str() {
        "mp4" | "mov" => "qtdemux",
        "mkv" | "webm" => "matroskademux",
        "ts" => "tsdemux",
        "ps" => "mpegpsdemux",
        "avi" => "avidemux",
        "mxf" => "mxfdemux",
        "flv" => "flvdemux",
        "ogg" => "oggdemux",
        other => panic!("no demuxer for {other}"),
    };
    let text = format!("filesrc name=source ! {demuxer} name=demux");
    let pipeline = gst::parse::launch(&text).expect("the demuxer is installed");
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let source = pipeline.by_name("source").expect("named above");
    source.set_property("location", path);
    let count = Arc::new(AtomicU64::new(0));
    let demux = pipeline.by_name("demux").expect("named above");
    let (weak, counter) = (pipeline.downgrade(), Arc::clone(&count));
    demux.connect_pad_added(move |_, pad| {
        let pipeline = weak.upgrade().expect("running");
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let codec = VideoCodec::of(&caps);
        let text = codec.map_or_else(String::new, |codec| {
            let parser = codec
                .parser
                .map_or_else(String::new, |name| format!("{name} ! "));
            format!(
                "{parser}{} ! ",
                codec.decoder().expect("the decoder is installed")
            )
        });
        let text = format!("queue ! {text}fakesink name=sink sync=false async=false");
        let bin = gst::parse::bin_from_description(&text, true).expect("a bin");
        pipeline.add(&bin).expect("a new bin");
        if codec.is_some() {
            let sink = bin.by_name("sink").expect("named above");
            let counter = Arc::clone(&counter);
            let pad = sink.static_pad("sink").expect("a sink has one");
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                counter.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
        }
        bin.sync_state_with_parent().expect("the bin starts");
        pad.link(&bin.static_pad("sink").expect("a ghost pad"))
            .expect("the pads fit");
    });
    let bus = pipeline.bus().expect("a pipeline has one");
    let _started = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &kinds);
    let ended = message.is_some_and(|message| message.type_() == gst::MessageType::Eos);
    let _stopped = pipeline.set_state(gst::State::Null);
    assert!(ended, "{} was not decoded to its end", path.display());
    count.load(Ordering::Relaxed)
}

#[test]
fn counted_pictures_are_those_that_a_decoder_shows() {
    let complaints: Vec<String> = cases()
        .iter()
        .filter(|case| matches!(case.expect, Expect::Probe(_)))
        .filter_map(|case| {
            let path = case.file();
            let probe = probe(&path).ok()?;
            let decoded = decoded(&path, &probe);
            (decoded != probe.video.frames).then(|| {
                format!(
                    "{}: counted {}, decoded {decoded}",
                    case.name, probe.video.frames
                )
            })
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
