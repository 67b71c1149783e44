//! Pure: which leases have lapsed, and which uploads nobody will finish.

use protocol::id::UploadId;
use protocol::time::{Span, Timestamp};

use super::view::{RunningJob, View};

/// Time between two renewals. A lease is given up only this long after its end, so that a renewal
/// on its way can still arrive.
pub const HEARTBEAT: Span = Span::from_secs(3);
/// A node that is alive gives up its idle uploads itself, since it alone knows when the last chunk
/// came; only when it has not done so for this many expiries does the scheduler step in.
const EXPIRIES_OF_A_LIVE_NODE: u64 = 4;

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
