//! The child side of rendering, and the only user of GStreamer.
