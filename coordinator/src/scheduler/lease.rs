//! Pure: which leases have lapsed, and which uploads nobody will finish.

use protocol::id::UploadId;
use protocol::time::{Span, Timestamp};

use super::view::{RenderedUnit, RunningJob, View};

/// Time between two renewals. A lease is given up only this long after its end, so that a renewal
/// on its way can still arrive.
pub const HEARTBEAT: Span = Span::from_secs(3);
/// A node that is alive gives up its idle uploads itself, since it alone knows when the last chunk
/// came; only when it has not done so for this many expiries does the scheduler step in.
const EXPIRIES_OF_A_LIVE_NODE: u64 = 4;

/// A node that was not heard of for so long is gone, and with it what only it had.
pub const GONE_FOR: Span = Span::from_secs(20);

/// Finished work that its node will not publish any more: it is done again.
pub(super) fn lost_units(view: &View, now: Timestamp) -> impl Iterator<Item = &RenderedUnit> {
    view.rendered.iter().filter(move |unit| {
        view.nodes.get(&unit.node).is_none_or(|node| {
            let heard = node.seen_at.unwrap_or_default().max(view.looking_since);
            heard + GONE_FOR <= now
        })
    })
}

pub(super) fn lapsed(view: &View, now: Timestamp) -> impl Iterator<Item = &RunningJob> {
    (view.running.values()).filter(move |job| job.lease_until + HEARTBEAT <= now)
}

pub(super) fn expired_uploads(view: &View, now: Timestamp) -> impl Iterator<Item = UploadId> {
    (view.uploads.iter())
        .filter(move |upload| {
            let node = view.nodes.get(&upload.node);
            let expiry = if node.is_some_and(|node| node.is_fresh(now)) {
                view.upload_expiry.saturating_mul(EXPIRIES_OF_A_LIVE_NODE)
            } else {
                view.upload_expiry
            };
            upload.opened_at + expiry <= now
        })
        .map(|upload| upload.id)
}
