//! fail
