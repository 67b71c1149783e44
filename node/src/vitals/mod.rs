//! What this node tells about itself: load, memory, disk.
