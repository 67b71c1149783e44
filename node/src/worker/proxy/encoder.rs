//! Links the pictures to an encoder, of whatever size it can really take.

use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;
use protocol::failure::Failure;
use protocol::worker::Pipeline;

use crate::worker::pipeline::{Running, internal};

/// Links joint `lane` to its encoder, and lets only every `lanes`th picture through to it.
pub(super) fn link(running: &Running, lane: u16, lanes: u16) -> Result<(), Failure> {
    let index = usize::from(lane);
    let joint = running.element(&Pipeline::joint(index))?;
    let encoder = running.element(&Pipeline::encoder(index))?;
    let pad = |element: &gst::Element, name: &str| {
        let pad = element.static_pad(name);
        pad.ok_or_else(|| internal(&format!("an element has no pad {name}")))
    };
    let (from, to) = (pad(&joint, "src")?, pad(&encoder, "sink")?);
    let is_dnxhd = encoder
        .factory()
        .is_some_and(|factory| factory.name() == "avenc_dnxhd");
    if is_dnxhd {
        loosen(&to, "video/x-raw,format=Y42B");
        loosen(&pad(&encoder, "src")?, "video/x-dnxhd");
    }
    let checks = if is_dnxhd {
        gst::PadLinkCheck::empty()
    } else {
        gst::PadLinkCheck::DEFAULT
    };
    from.link_full(&to, checks)
        .map_err(|error| internal(&format!("the encoder takes no such pictures: {error}")))?;
    let count = AtomicU64::new(0);
    from.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        if number % u64::from(lanes) == u64::from(lane) {
            gst::PadProbeReturn::Ok
        } else {
            // `Handled` and not `Drop`; see the gate.
            gst::PadProbeReturn::Handled
        }
    });
    Ok(())
}

/// Answers for `pad` that it takes `caps` of every size.
///
/// GStreamer 1.22 lists for its DNxHD encoder the two sizes of 2008 alone. The coding that came
/// after it has no such bounds, and neither has the library that does the work.
fn loosen(pad: &gst::Pad, caps: &'static str) {
    let queries = gst::PadProbeType::QUERY_DOWNSTREAM | gst::PadProbeType::QUERY_UPSTREAM;
    pad.add_probe(queries, move |_, info| {
        let Some(gst::PadProbeData::Query(query)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        match query.view_mut() {
            gst::QueryViewMut::Caps(query) => {
                let Ok(caps) = caps.parse::<gst::Caps>() else {
                    return gst::PadProbeReturn::Ok;
                };
                let wanted = match query.filter() {
                    Some(filter) => caps.intersect(filter),
                    None => caps,
                };
                query.set_result(&wanted);
                gst::PadProbeReturn::Handled
            }
            gst::QueryViewMut::AcceptCaps(query) => {
                query.set_result(true);
                gst::PadProbeReturn::Handled
            }
            _ => gst::PadProbeReturn::Ok,
        }
    });
}
