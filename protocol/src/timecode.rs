//! Pure: SMPTE timecode (ST 12-1): parse, print, drop-frame, to and from frame numbers.
