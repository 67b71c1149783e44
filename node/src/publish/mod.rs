//! Brings finished units into the origin, playlists last.
