//! Dtype names ↔ Arrow types.
