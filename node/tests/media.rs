//! The probe against real files of every kind, made on the spot.

#![cfg(feature = "gstreamer")]

#[path = "common/media.rs"]
mod media;

use std::path::Path;

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
