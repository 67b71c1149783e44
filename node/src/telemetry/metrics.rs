//! Every metric by name, unit and help, and the one way to record it.
//!
//! Labels come from small closed sets; an id or a path is never one.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use protocol::vitals::Vitals;

pub const BUILD_INFO: &str = "reelmesh_build_info";
pub const EDGE_BYTES: &str = "reelmesh_edge_cached_bytes";
pub const EDGE_READS: &str = "reelmesh_edge_reads_total";
pub const HTTP_DURATION: &str = "http_server_request_duration_seconds";
pub const HTTP_EVENT_STREAMS: &str = "reelmesh_event_streams_open";
pub const JOBS: &str = "reelmesh_jobs";
pub const NODE_CPU: &str = "reelmesh_node_cpu_ratio";
pub const NODE_DISK_FREE: &str = "reelmesh_node_disk_free_bytes";
pub const NODE_DISK_TOTAL: &str = "reelmesh_node_disk_total_bytes";
pub const NODE_MEMORY_USED: &str = "reelmesh_node_memory_used_bytes";
pub const ORIGIN_FAILURES: &str = "reelmesh_origin_failures_total";
pub const ORIGIN_DURATION: &str = "reelmesh_origin_request_duration_seconds";
pub const ORIGIN_UP: &str = "reelmesh_origin_up";
pub const PUBLISHED_BYTES: &str = "reelmesh_published_bytes_total";
pub const PUBLISH_DURATION: &str = "reelmesh_publish_unit_duration_seconds";
pub const PUBLISH_FAILURES: &str = "reelmesh_publish_failures_total";
pub const PUBLISH_WAITING: &str = "reelmesh_publish_waiting_units";
pub const RAFT_APPLIED: &str = "reelmesh_raft_applied_index";
pub const RAFT_IS_LEADER: &str = "reelmesh_raft_is_leader";
pub const UPLOADED_BYTES: &str = "reelmesh_upload_bytes_total";
pub const UPLOADS_OPEN: &str = "reelmesh_uploads_open";
pub const VIDEOS: &str = "reelmesh_videos";
pub const WORKER_SLOTS: &str = "reelmesh_worker_slots";
pub const WORKER_SLOTS_BUSY: &str = "reelmesh_worker_slots_busy";

/// Where the edge found an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeSource {
    Memory,
    Disk,
    Joined,
    Origin,
}

/// An object was asked of the edge.
pub fn edge_read(from: EdgeSource) {
    let from = match from {
        EdgeSource::Memory => "memory",
        EdgeSource::Disk => "disk",
        EdgeSource::Joined => "joined",
        EdgeSource::Origin => "origin",
    };
    counter!(EDGE_READS, "from" => from).increment(1);
}

/// What the edge keeps now.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn edge_used(memory_bytes: u64, disk_bytes: u64) {
    gauge!(EDGE_BYTES, "in" => "memory").set(memory_bytes as f64);
    gauge!(EDGE_BYTES, "in" => "disk").set(disk_bytes as f64);
}

/// Upper bounds of the buckets of request times, in seconds.
const HTTP_BUCKETS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0, 5.0, 30.0, 300.0];

/// Upper bounds of the buckets of publishing times, in seconds.
const PUBLISH_BUCKETS: [f64; 8] = [0.05, 0.2, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];

/// Upper bounds of the buckets of requests to the origin, in seconds.
const ORIGIN_BUCKETS: [f64; 8] = [0.005, 0.02, 0.05, 0.2, 1.0, 5.0, 20.0, 60.0];

/// Begins recording, for the whole process; the handle prints what `/metrics` shows.
///
/// # Errors
/// A recorder was set before.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(HTTP_DURATION.to_owned()), &HTTP_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(PUBLISH_DURATION.to_owned()), &PUBLISH_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(ORIGIN_DURATION.to_owned()), &ORIGIN_BUCKETS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    describe_gauge!(BUILD_INFO, "Always 1; the version is a label.");
    describe_gauge!(
        EDGE_BYTES,
        Unit::Bytes,
        "Objects that the edge keeps, in memory and on disk."
    );
    describe_counter!(
        EDGE_READS,
        "Objects that were asked of the edge, by where they were found; joined: another viewer's read was under way."
    );
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "Time from a request's head to its answer's head."
    );
    describe_gauge!(
        HTTP_EVENT_STREAMS,
        "Clients that follow server-sent events."
    );
    describe_gauge!(JOBS, "Jobs in the catalogue, by state.");
    describe_gauge!(NODE_CPU, "Busy share of all cores, 0 to 1.");
    describe_gauge!(
        NODE_DISK_FREE,
        Unit::Bytes,
        "Free space on the file system of the data folder."
    );
    describe_gauge!(
        NODE_DISK_TOTAL,
        Unit::Bytes,
        "Size of the file system of the data folder."
    );
    describe_gauge!(
        NODE_MEMORY_USED,
        Unit::Bytes,
        "Memory in use on the machine."
    );
    describe_counter!(
        ORIGIN_FAILURES,
        "Requests to the origin that failed because it is away or refuses this node."
    );
    describe_histogram!(
        ORIGIN_DURATION,
        Unit::Seconds,
        "Time of a request to the origin, its repetitions included."
    );
    describe_gauge!(
        ORIGIN_UP,
        "1 if the last request to the origin was answered, else 0."
    );
    describe_counter!(
        PUBLISHED_BYTES,
        Unit::Bytes,
        "Bytes of units that this node put into the origin."
    );
    describe_histogram!(
        PUBLISH_DURATION,
        Unit::Seconds,
        "Time to put a unit into the origin."
    );
    describe_counter!(
        PUBLISH_FAILURES,
        "Tries to publish a unit that failed and are repeated."
    );
    describe_gauge!(
        RAFT_APPLIED,
        "Newest log index that this node's catalogue holds."
    );
    describe_gauge!(
        PUBLISH_WAITING,
        "Finished units of this node that are not in the origin yet."
    );
    describe_gauge!(RAFT_IS_LEADER, "1 on the node that leads, 0 elsewhere.");
    describe_counter!(
        UPLOADED_BYTES,
        Unit::Bytes,
        "Bytes of uploads that this node acknowledged."
    );
    describe_gauge!(UPLOADS_OPEN, "Uploads that are not complete yet.");
    describe_gauge!(VIDEOS, "Videos in the catalogue, by status.");
    describe_gauge!(WORKER_SLOTS, "Jobs that this node may run at once.");
    describe_gauge!(WORKER_SLOTS_BUSY, "Jobs that this node runs.");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
}

/// A unit of `size_bytes` went into the origin.
pub fn published(size_bytes: u64, took: Duration) {
    counter!(PUBLISHED_BYTES).increment(size_bytes);
    histogram!(PUBLISH_DURATION).record(took);
}

/// Units of this node that wait for the origin.
pub fn publish_waiting(units: usize) {
    gauge!(PUBLISH_WAITING).set(u32::try_from(units).unwrap_or(u32::MAX));
}

/// A request to the origin; `fine` if it was answered, whatever the answer.
pub fn origin(kind: &'static str, fine: bool, took: Duration) {
    histogram!(ORIGIN_DURATION, "kind" => kind).record(took);
    gauge!(ORIGIN_UP).set(u32::from(fine));
    if !fine {
        counter!(ORIGIN_FAILURES, "kind" => kind).increment(1);
    }
}

pub fn publish_failed() {
    counter!(PUBLISH_FAILURES).increment(1);
}

/// Acknowledged bytes of an upload.
pub fn uploaded(size_bytes: u64) {
    counter!(UPLOADED_BYTES).increment(size_bytes);
}

/// An HTTP request was answered. `route` is the pattern, not the path.
pub fn http_answered(route: &str, method: &'static str, status: u16, took: Duration) {
    let class = match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    histogram!(HTTP_DURATION, "route" => route.to_owned(), "method" => method, "status_class" => class)
        .record(took);
}

/// What the catalogue holds right now. Every state is there, so that one that nothing is in falls
/// to zero instead of standing still.
#[derive(Debug)]
pub struct Counts {
    pub jobs: [(&'static str, u64); 5],
    pub videos: [(&'static str, u64); 5],
    pub uploads_open: usize,
}

pub fn counted(counts: &Counts) {
    for (state, count) in counts.jobs {
        gauge!(JOBS, "state" => state).set(float(count));
    }
    for (status, count) in counts.videos {
        gauge!(VIDEOS, "status" => status).set(float(count));
    }
    gauge!(UPLOADS_OPEN).set(float(counts.uploads_open as u64));
}

pub fn raft(leader: bool, applied: u64) {
    gauge!(RAFT_IS_LEADER).set(f64::from(u8::from(leader)));
    gauge!(RAFT_APPLIED).set(float(applied));
}

pub fn slots(slots: u16, busy: u16) {
    gauge!(WORKER_SLOTS).set(slots);
    gauge!(WORKER_SLOTS_BUSY).set(busy);
}

pub fn vitals(vitals: &Vitals) {
    gauge!(NODE_CPU).set(f64::from(vitals.cpu_permille) / 1000.0);
    gauge!(NODE_DISK_FREE).set(float(vitals.disk_free_bytes));
    gauge!(NODE_DISK_TOTAL).set(float(vitals.disk_total_bytes));
    gauge!(NODE_MEMORY_USED).set(float(vitals.memory_used_bytes));
}

/// One more client follows the events, or one less.
pub fn event_streams(change: i8) {
    gauge!(HTTP_EVENT_STREAMS).increment(f64::from(change));
}

/// Gauges are floats; beyond 2^53 a count is off by less than anybody sees.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge needs no more than 53 bits"
)]
fn float(count: u64) -> f64 {
    count as f64
}
