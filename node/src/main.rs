//! The `reelmesh` program.

fn main() {}
