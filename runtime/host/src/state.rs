//! What the host keeps for one call: the data of its store.

use std::sync::Arc;
use std::time::Instant;

use camshaft_model::ids::Name;
use camshaft_model::limits::Budget;
use camshaft_model::outcome::LogLine;
use camshaft_model::plugin::Grant;
use camshaft_model::seams::Permissions;
use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::WasiHttpCtx;

use crate::budget::{Breach, Meter};
use crate::capability::http::Outbound;
use crate::capability::wasi::Wasi;
use crate::epoch::{Running, TICK};
use crate::machine::{Machine, ticks};
use crate::mask::Mask;

/// Most handles that a guest may hold at once.
const HANDLES_MAX: usize = 1_000;
/// Most bytes that one call may move across the boundary in one host call.
pub(crate) const HOST_CALL_FUEL: usize = 64 << 20;

/// Whose call this is.
pub(crate) struct Caller {
    pub(crate) plugin: Name,
    pub(crate) workspace: Name,
    pub(crate) environment: Name,
}

/// The data of a call's store.
pub(crate) struct CallState {
    pub(crate) caller: Caller,
    pub(crate) budget: Budget,
    pub(crate) meter: Meter,
    pub(crate) permissions: Arc<dyn Permissions>,
    pub(crate) grant: Arc<Grant>,
    pub(crate) mask: Mask,
    pub(crate) begun: Instant,
    pub(crate) log: Vec<LogLine>,
    pub(crate) log_bytes: usize,
    pub(crate) outbound: Outbound,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: Option<Wasi>,
    pub(crate) http: WasiHttpCtx,
    ticks: u64,
    _running: Running,
}

impl CallState {
    /// A store for one call, with its budget in force.
    pub(crate) fn store(
        machine: &Machine,
        caller: Caller,
        budget: Budget,
        permissions: &Arc<dyn Permissions>,
    ) -> Store<Self> {
        let grant = permissions.grant(&caller.workspace, &caller.plugin);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let state = Self {
            caller,
            meter: Meter::new(&budget),
            permissions: permissions.clone(),
            outbound: Outbound::new(grant.clone(), &budget, machine.stand_in()),
            grant,
            mask: Mask::default(),
            begun: Instant::now(),
            log: Vec::new(),
            log_bytes: 0,
            table,
            wasi: None,
            http: WasiHttpCtx::new(),
            budget,
            ticks: 0,
            _running: machine.clock().running(),
        };
        let mut store = Store::new(machine.engine(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(HOST_CALL_FUEL);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.ticks += 1;
            let cpu = state.budget.cpu;
            if state.ticks > ticks(cpu) {
                let used = (TICK * u32::try_from(state.ticks).unwrap_or(u32::MAX)).as_millis() as u64;
                let breach = Breach { bound: "cpu", limit: cpu.as_millis() as u64, used, unit: "ms" };
                state.meter.broke(breach);
                return Ok(wasmtime::UpdateDeadline::Interrupt);
            }
            // Others on this worker get their turn.
            Ok(wasmtime::UpdateDeadline::Yield(1))
        });
        store
    }
}
