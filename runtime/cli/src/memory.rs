//! The allocator of the server, and handing memory back to the system.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hands back what is free. The allocator does so by itself only while it is asked for more, so an idle server would keep what
/// its start has needed.
#[allow(unsafe_code)]
pub(crate) fn hand_back() {
    // SAFETY: `mi_collect` takes nothing but a flag, may be called from any thread at any time, and only touches memory that
    // is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
