//! One file describes the cluster: sections, defaults, and where each value came from.
