//! Pure: which ways of making a file of a subclip are offered for a source.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::clip::Mode;
use protocol::probe::Probe;

use super::Error;

/// Whether a subclip of such a source can be made into a file by `mode`.
///
/// # Errors
/// It cannot, and why.
pub fn offered(mode: Mode, probe: &Probe) -> Result<(), Error> {
    let reason = match mode {
        Mode::Instant if matches!(probe.container.as_str(), "mp4" | "mov") => return Ok(()),
        Mode::Instant => "the mode `instant` needs an MP4 or MOV file",
        Mode::Smart | Mode::Encode => "only the mode `instant` makes files of subclips for now",
    };
    Err(Error::Mode { reason })
}
