//! Logs and metrics: how they look and what they are called.
