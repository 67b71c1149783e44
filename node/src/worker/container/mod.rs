//! Pure: what a container says about its tracks, read by ourselves where GStreamer 1.22 does not tell.
//!
//! Everything here reads hostile bytes: no count is trusted, nothing is allocated that the file
//! does not pay for with bytes of its own, and nothing panics.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// Big-endian fields and nested boxes.
mod bytes;

/// Where the boxes of a file lie, and whether it is whole.
pub mod layout;

/// The index of an MP4 or MOV file.
pub mod movie;

/// Where, when and how long each sample is.
pub mod samples;

/// Which samples lead to a range of frames.
pub mod access;
/// A part of a movie without encoding anything: which samples, and the edit list that hides the rest.
pub mod cut;

/// Parameter sets of H.264.
pub mod avcc;

/// A cut as an MP4 or MOV file.
pub mod write;

/// Tracks of our own making, described for edit software.
pub mod made;

/// From time stamps to a frame rate.
pub mod timing;

/// What one coded picture shows: nothing, a field, a frame.
pub mod picture;

#[cfg(test)]
mod hostile;
