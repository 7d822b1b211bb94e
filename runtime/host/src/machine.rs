//! The one wasmtime engine: what WebAssembly may be, the pool of instances, and the clock of epochs.
//!
//! What decides the speed of fresh instances is the process's memory-map lock: a slot keeps a typical guest's whole memory
//! resident, so that neither making nor dropping an instance asks the kernel for anything.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::limits::Budget;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Result,
    WasmBacktraceDetails, WasmFeatures,
};

use crate::epoch::{Clock, TICK};
use crate::{HostConfig, StandIn};

/// Stack of compiled code. A Rust plugin's own stack is inside its memory; this one holds its frames.
pub(crate) const STACK_BYTES: usize = 512 << 10;
/// How much of a memory is kept and wiped, rather than unmapped, when an instance ends.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
/// Slots that stay warm for components that are not running; each may hold [`KEEP_RESIDENT_BYTES`].
const WARM_SLOTS_MAX: u32 = 16;
/// Least instances that are the expression evaluator's own.
const EVALUATOR_INSTANCES_MIN: u32 = 8;

/// Proposals that no plugin is built with: less to attack.
const REFUSED: WasmFeatures = WasmFeatures::THREADS
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT);

/// The engine and its clock.
pub(crate) struct Machine {
    engine: Engine,
    clock: Arc<Clock>,
    stand_in: Option<StandIn>,
}

impl Machine {
    pub(crate) fn new(host: &HostConfig) -> Result<Self> {
        let engine = Engine::new(&config(host.instances_max, &host.budget))?;
        let ticking = engine.weak();
        let clock = Clock::start(move || ticking.upgrade().inspect(Engine::increment_epoch).is_some())?;
        Ok(Self { engine, clock, stand_in: host.stand_in.clone() })
    }

    /// The clock of epochs, to be told of every guest that runs.
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// What is called in place of the network.
    pub(crate) fn stand_in(&self) -> Option<StandIn> {
        self.stand_in.clone()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.clock.stop();
    }
}

fn config(instances_max: u32, budget: &Budget) -> Config {
    let instances = instances_max.max(1) + evaluator_instances();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 8)
        .total_memories(instances * 2)
        .total_tables(instances * 4)
        .total_stacks(instances)
        .max_memories_per_component(4)
        .max_core_instances_per_component(32)
        .max_tables_per_component(16)
        .table_elements(20_000)
        .max_memory_size(usize::try_from(budget.memory_bytes).unwrap_or(usize::MAX).max(64 << 20))
        .max_unused_warm_slots(WARM_SLOTS_MAX)
        .decommit_batch_size(16)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        // Wipes the pages that were written, and no others, where the kernel can tell which (Linux 6.7 and later).
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(64 << 10);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(STACK_BYTES * 2)
        // No debugger and no profiler looks at guests; traps are told by their kind, not by frames.
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_features(REFUSED, false);
    config
}

/// Instances that are the expression evaluator's own, beside those of plugin calls: as many evaluations are under way at once.
pub(crate) fn evaluator_instances() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(2 * cores).unwrap_or(u32::MAX).max(EVALUATOR_INSTANCES_MIN)
}

/// Ticks of the epoch in a duration, at least one.
pub(crate) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros() / TICK.as_micros()).unwrap_or(u64::MAX).max(1)
}
