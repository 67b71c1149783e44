//! `[delivery]`: how viewers get what the origin holds.

use serde::{Deserialize, Serialize};

use super::Error;
use super::units::ByteSize;

/// Less than this holds no segment of a large picture.
const MEMORY_MIN: u64 = 16 << 20;

/// More would take from other viewers what nobody may want.
const READ_AHEAD_MAX: u16 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Segments and playlists that a node keeps in memory.
    pub cache_memory: ByteSize,
    /// And on its disk.
    pub cache_disk: ByteSize,
    /// Segments that are fetched before their viewer asks for them.
    pub read_ahead: u16,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            cache_memory: ByteSize::from_bytes(256 << 20),
            cache_disk: ByteSize::from_bytes(10 << 30),
            read_ahead: 2,
        }
    }
}

impl Delivery {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.cache_memory.as_bytes() < MEMORY_MIN {
            return Err(Error::invalid(
                "delivery.cache_memory",
                format!(
                    "{} is too little to hold a few segments; write at least 16MiB",
                    self.cache_memory
                ),
            ));
        }
        if self.read_ahead > READ_AHEAD_MAX {
            return Err(Error::invalid(
                "delivery.read_ahead",
                format!(
                    "{} is too many; write at most {READ_AHEAD_MAX}",
                    self.read_ahead
                ),
            ));
        }
        Ok(())
    }
}
