//! `[limits]`: what is accepted from outside.

use serde::{Deserialize, Serialize};

use super::Error;
use super::units::{ByteSize, Span};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest file.
    pub upload_size: ByteSize,
    /// An upload that nobody touches is given up after this long.
    pub upload_expiry: Span,
    /// Longest file name in characters.
    pub filename_chars: u32,
    /// Free space that uploads and renders leave alone.
    pub disk_reserve: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_size: ByteSize::from_bytes(1 << 40),
            upload_expiry: Span::from_millis(7 * 86_400_000),
            filename_chars: 255,
            disk_reserve: ByteSize::from_bytes(1 << 30),
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.upload_size.as_bytes() == 0 {
            return Err(Error::invalid(
                "limits.upload_size",
                "nothing could be uploaded",
            ));
        }
        if !(1..=1024).contains(&self.filename_chars) {
            return Err(Error::invalid(
                "limits.filename_chars",
                format!("{} is not between 1 and 1024", self.filename_chars),
            ));
        }
        Ok(())
    }
}
