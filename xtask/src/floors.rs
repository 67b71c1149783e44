//! Imports point down: from higher floors to lower ones, never sideways, never up.

use crate::tree::{Complaint, Tree};

/// The rooms of `node`, by floor. A room imports from lower floors only.
const FLOORS: [(&str, u8); 20] = [
    ("main", 6),
    ("cli", 6),
    ("app", 5),
    ("http", 4),
    ("ingest", 3),
    ("media", 3),
    ("publish", 3),
    ("edge", 3),
    ("interchange", 3),
    ("blob", 2),
    ("raft_net", 2),
    ("vitals", 2),
    ("transport", 1),
    ("auth", 1),
    ("origin", 1),
    ("config", 0),
    ("digest", 0),
    ("telemetry", 0),
    // Beside the floors: sees `protocol` only, and only `cli` calls it.
    ("worker", 5),
    ("lib", 7),
];

/// Crates that a part of the tree must not name, each with the reason.
const FORBIDDEN: [(&str, &[&str], &str); 6] = [
    (
        "protocol/src/",
        &[
            "coordinator",
            "openraft",
            "sled",
            "tokio",
            "quinn",
            "axum",
            "gst",
        ],
        "protocol knows serde and bytes only",
    ),
    (
        "coordinator/src/catalog/",
        &[
            "crate::raft",
            "openraft",
            "sled",
            "tokio",
            "std::fs",
            "std::net",
        ],
        "the catalogue is pure",
    ),
    (
        "coordinator/src/scheduler/",
        &[
            "crate::raft",
            "openraft",
            "sled",
            "tokio",
            "std::fs",
            "std::net",
        ],
        "the scheduler is pure",
    ),
    (
        "coordinator/src/raft/",
        &["quinn", "axum", "gst"],
        "coordinator never sees a socket",
    ),
    (
        "node/src/http/",
        &["gst", "gst_app", "gst_video", "openraft", "sled"],
        "the worker alone knows GStreamer, coordinator alone knows openraft",
    ),
    (
        "node/src/media/",
        &["gst", "gst_app", "gst_video", "openraft", "sled"],
        "the worker alone knows GStreamer, coordinator alone knows openraft",
    ),
];

pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in &tree.files {
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            let mut complain = |rule, text| {
                complaints.push(Complaint {
                    path: path.clone(),
                    line: number + 1,
                    rule,
                    text,
                });
            };
            if let Some(reason) = upward(path, code) {
                complain("floors", reason);
            }
            if let Some(reason) = forbidden(path, code) {
                complain("pure-imports", reason);
            }
        }
    }
    complaints
}

/// Why a line of `path` reaches to a floor it must not reach, if it does.
fn upward(path: &str, code: &str) -> Option<String> {
    let room = room_of(path)?;
    if room == "lib" || room == "main" {
        return None;
    }
    if room == "worker" && names(code, "coordinator") {
        return Some("`worker` sees `protocol` only".to_owned());
    }
    if code.contains("crate::{") {
        return Some("write one `use crate::...` a line, so that arrows can be read".to_owned());
    }
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        let target = rest
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .next()
            .unwrap_or_default();
        if target == room {
            continue;
        }
        let Some(to) = floor_of(target) else { continue };
        if room == "worker" {
            return Some(format!(
                "`worker` imports `{target}`; it sees `protocol` only"
            ));
        }
        if target == "worker" && room == "cli" {
            continue;
        }
        let from = floor_of(&room)?;
        if to >= from {
            return Some(format!(
                "`{room}` (floor {from}) imports `{target}` (floor {to})"
            ));
        }
    }
    None
}

fn forbidden(path: &str, code: &str) -> Option<String> {
    FORBIDDEN
        .iter()
        .filter(|(prefix, _, _)| path.starts_with(prefix))
        .find_map(|(_, crates, reason)| {
            let named = crates.iter().find(|name| names(code, name))?;
            Some(format!("names `{named}`: {reason}"))
        })
}

/// Whether `code` uses the path that begins with `name`.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = &code[start + name.len()..];
        before.is_none_or(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '"'))
            && after.starts_with("::")
    })
}

/// The room of `node` that a file belongs to.
fn room_of(path: &str) -> Option<String> {
    let inside = path.strip_prefix("node/src/")?;
    let first = inside.split('/').next()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

fn floor_of(room: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, floor)| *floor)
}
