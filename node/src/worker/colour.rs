//! What a picture track says of its colours.

use super::cmaf::Colour;

impl Colour {
    /// GStreamer's name of a colour space by the numbers of ISO/IEC 23091-2; where it says nothing,
    /// what players assume for the size.
    pub(super) fn named(name: &str, height: u32) -> Self {
        let named = name.parse::<gst_video::VideoColorimetry>().ok();
        let iso = |value: u32| u16::try_from(value).ok().filter(|value| *value != 0);
        let default = if height > 576 { 1 } else { 6 };
        Self {
            primaries: named
                .as_ref()
                .and_then(|colour| iso(colour.primaries().to_iso()))
                .unwrap_or(default),
            transfer: named
                .as_ref()
                .and_then(|colour| iso(colour.transfer().to_iso()))
                .unwrap_or(default),
            matrix: named
                .as_ref()
                .and_then(|colour| iso(colour.matrix().to_iso()))
                .unwrap_or(default),
        }
    }
}
