//! bad-json
