//! unknown-import
