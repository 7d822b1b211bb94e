//! The allocator of a plugin: a static arena first, growing memory only when that is full.
//!
//! Every call has a fresh instance. With the usual allocator each of them grows its memory, which is a system call under the
//! process's memory-map lock; an arena that is part of the memory from the start costs nothing, and most calls need no more.
//!
//! ```text
//! | stack | data | arena (256 KiB) |  grown when the arena is full …
//! ```
//!
//! This file holds all the unsafe code that the SDK writes itself.

#![allow(unsafe_code)]

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use talc::base::binning::Binning;
use talc::base::{CHUNK_UNIT, Talc};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Enough for most plugins and calls. Not more, because some hosts wipe all of a memory between instances, touched or not.
const ARENA_BYTES: usize = 256 * 1024;
/// WebAssembly's page.
const PAGE_BYTES: usize = 64 * 1024;
/// Memory grows by at least this much, so that growing stays rare.
const GROWTH_PAGES_MIN: usize = 16;

static mut ARENA: [MaybeUninit<u8>; ARENA_BYTES] = [MaybeUninit::uninit(); ARENA_BYTES];

// `new_wasm` refuses to compile for a target with threads, where this cell would not be sound.
#[global_allocator]
static ALLOCATOR: TalcSyncCell<ArenaThenGrow, WasmBinning> =
    TalcSyncCell::new_wasm(ArenaThenGrow { state: State::Untouched });

/// Where memory comes from.
#[derive(Debug)]
struct ArenaThenGrow {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing has been allocated.
    Untouched,
    /// The arena is claimed.
    Arena,
    /// Memory has grown; the end of the heap that can be extended.
    Grown(NonNull<u8>),
}

// SAFETY: `acquire` allocates nothing, and calls the allocator only through the reference that it is given.
unsafe impl Source for ArenaThenGrow {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if let State::Untouched = talc.source.state {
            talc.source.state = State::Arena;
            // SAFETY: ARENA is private to this file and named only here, and this branch is taken once, because the state
            // never becomes `Untouched` again; so the allocator alone owns those bytes from now on.
            return unsafe { talc.claim((&raw mut ARENA).cast(), ARENA_BYTES) }.map(drop).ok_or(());
        }
        let (base, bytes) = grow(layout)?;
        if let State::Grown(end) = talc.source.state
            && end.as_ptr() == base
        {
            // SAFETY: `end` is the end of the heap that was claimed last, and `base..base + bytes` is memory that has just
            // been grown, which nobody else can know of.
            let end = unsafe { talc.extend(end, base.wrapping_add(bytes)) };
            talc.source.state = State::Grown(end);
            return Ok(());
        }
        // SAFETY: `base..base + bytes` is memory that has just been grown, which nobody else can know of.
        let end = unsafe { talc.claim(base, bytes) }.ok_or(())?;
        talc.source.state = State::Grown(end);
        Ok(())
    }
}

/// Grows memory by at least what `layout` needs together with the allocator's own bookkeeping.
fn grow(layout: Layout) -> Result<(*mut u8, usize), ()> {
    let needed =
        layout.size().checked_add(layout.align()).and_then(|size| size.checked_add(4 * CHUNK_UNIT)).ok_or(())?;
    let pages_needed = needed.div_ceil(PAGE_BYTES);
    for pages in [pages_needed.max(GROWTH_PAGES_MIN), pages_needed] {
        let page = memory_grow::<0>(pages);
        if page != usize::MAX {
            return Ok(((page * PAGE_BYTES) as *mut u8, pages * PAGE_BYTES));
        }
    }
    Err(())
}
