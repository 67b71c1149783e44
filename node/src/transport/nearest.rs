//! Pure: which of several nodes a file is sent to: near, with room, not busy.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use std::time::Duration;

/// Nodes whose round trip is within a quarter of the best, or within so much, are equally near.
const AS_NEAR: Duration = Duration::from_millis(5);

/// What one upload under way weighs beside thousandths of busy processors.
const UPLOAD_WEIGHT: u32 = 100;

/// A node that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub name: String,
    pub rtt: Duration,
    /// That an upload may take.
    pub free_bytes: u64,
    /// Busy share of its cores, 0 to 1000.
    pub cpu_permille: u16,
    /// Under way there.
    pub uploads: u32,
    /// It does not want uploads now.
    pub is_closed: bool,
}

impl Sighting {
    fn load(&self) -> u32 {
        let uploads = self.uploads.saturating_mul(UPLOAD_WEIGHT);
        uploads.saturating_add(u32::from(self.cpu_permille))
    }

    /// Why it cannot have a file of `size_bytes`.
    fn obstacle(&self, size_bytes: u64) -> Option<&'static str> {
        if self.is_closed {
            Some("takes no uploads now")
        } else if self.free_bytes < size_bytes {
            Some("has no room for it")
        } else {
            None
        }
    }
}

/// Position of the best of `seen` for a file of `size_bytes`.
pub fn choose(size_bytes: u64, seen: &[Sighting]) -> Option<usize> {
    let able = || {
        let able = seen.iter().enumerate();
        able.filter(|(_, node)| node.obstacle(size_bytes).is_none())
    };
    let best = able().map(|(_, node)| node.rtt).min()?;
    let near = (best * 5 / 4).max(best + AS_NEAR);
    able()
        .filter(|(_, node)| node.rtt <= near)
        .min_by_key(|(_, node)| (node.load(), node.rtt))
        .map(|(at, _)| at)
}

/// Why `chosen` of `seen` it is, in words.
pub fn why(chosen: usize, size_bytes: u64, seen: &[Sighting]) -> String {
    let Some(node) = seen.get(chosen) else {
        return String::new();
    };
    let mut text = format!("{} away", time(node.rtt));
    let others = seen.iter().enumerate().filter(|&(at, _)| at != chosen);
    for (_, other) in others {
        let what = other.obstacle(size_bytes).map_or_else(
            || {
                if other.rtt <= node.rtt + AS_NEAR && other.load() > node.load() {
                    "is busier".to_owned()
                } else {
                    time(other.rtt)
                }
            },
            str::to_owned,
        );
        text.push_str("; ");
        text.push_str(&other.name);
        text.push(' ');
        text.push_str(&what);
    }
    text
}

/// Why none of `seen` can have it.
pub fn why_none(size_bytes: u64, seen: &[Sighting]) -> String {
    let each = seen.iter().filter_map(|node| {
        let obstacle = node.obstacle(size_bytes)?;
        Some(format!("{} {obstacle}", node.name))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn time(rtt: Duration) -> String {
    match rtt.as_micros() {
        micros @ 0..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        micros => format!("{} ms", micros / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, rtt_ms: u64, cpu_permille: u16, uploads: u32, free_bytes: u64) -> Sighting {
        Sighting {
            name: name.to_owned(),
            rtt: Duration::from_millis(rtt_ms),
            free_bytes,
            cpu_permille,
            uploads,
            is_closed: false,
        }
    }

    fn name(seen: &[Sighting]) -> Option<&str> {
        choose(100, seen).map(|at| seen[at].name.as_str())
    }

    #[test]
    fn the_nearest_with_room_wins_and_load_decides_between_equals() {
        let far = node("far", 80, 0, 0, 1_000);
        let near = node("near", 10, 900, 3, 1_000);
        assert_eq!(name(&[far.clone(), near.clone()]), Some("near"));
        let idle = node("idle", 13, 100, 0, 1_000);
        assert_eq!(
            name(&[far.clone(), near.clone(), idle.clone()]),
            Some("idle")
        );
        let full = Sighting {
            free_bytes: 99,
            ..idle
        };
        let closed = Sighting {
            is_closed: true,
            ..near
        };
        let seen = [far, full, closed];
        assert_eq!(name(&seen), Some("far"));
        assert_eq!(
            why(0, 100, &seen),
            "80 ms away; idle has no room for it; near takes no uploads now"
        );
        assert_eq!(name(&seen[1..]), None);
        assert_eq!(
            why_none(100, &seen[1..]),
            "idle has no room for it; near takes no uploads now"
        );
    }
}
