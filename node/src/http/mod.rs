//! The HTTP surface, one room a resource.
