//! Durability: journals, summaries, deliveries, resources and blobs, behind [`camshaft_model::seams::Store`].
//!
//! Floor 1. Two implementations that answer alike: [`RedbStore`] keeps everything in one file, [`MemoryStore`] keeps it
//! in maps and is what tests compare with. Neither knows what an entry means: they keep sequences, they do not fold them.

mod memory;
mod redb;

pub use crate::memory::MemoryStore;
pub use crate::redb::RedbStore;
