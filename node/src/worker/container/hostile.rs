//! Bytes that mean harm: nothing here may panic, hang or ask for memory.
