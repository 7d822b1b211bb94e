//! The workflow document: text in, a checked workflow and its program out, or every fault at once.

pub mod diagnose;
pub mod expression;
pub mod template;
