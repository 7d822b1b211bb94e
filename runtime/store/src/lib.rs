//! Durability: journals, summaries, deliveries, resources and blobs, behind [`camshaft_model::seams::Store`].
//!
//! Floor 1. Two implementations that answer alike: [`RedbStore`] keeps everything in one file, [`MemoryStore`] keeps it
//! in maps and is what tests compare with. Neither knows what an entry means: they keep sequences, they do not fold them.

mod memory;
mod redb;

/// The values of rows, for fuzzing and for nothing else.
#[doc(hidden)]
pub mod codec {
    pub use crate::redb::codec::{
        delivery, entries, entries_count, pack, read_delivery, read_entries, read_resource, read_summary,
        read_summary_head, resource,
    };
}

pub use crate::memory::MemoryStore;
pub use crate::redb::RedbStore;
