//! Logs and metrics: how they look and what they are called.

pub mod logging;
pub mod metrics;
