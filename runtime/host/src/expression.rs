//! jq in the sandbox: the expression component with kept instances, each evaluation within a budget.
//!
//! A hostile filter (endless, exponential, a memory bomb) ends as an error of its own expression; its instance is thrown
//! away and the next evaluation gets a fresh one.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camshaft_model::Value;
use camshaft_model::language::expression::Jq;
use camshaft_model::limits;
use tokio::runtime::{Handle, RuntimeFlavor};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::HostError;
use crate::bindings::expression::{Expression, ExpressionPre};
use crate::budget::Meter;
use crate::machine::{Machine, ticks};
use crate::registry::Registry;

/// How long one evaluation may be on the processor.
const CPU: Duration = Duration::from_millis(100);
/// Instances that are kept for the next evaluation.
const KEPT: usize = 4;
/// An instance whose memory has grown past this is not kept.
const KEPT_MEMORY_BYTES: u64 = 16 << 20;

/// The data of an evaluator's store: a context that nothing reaches through.
struct Quiet {
    meter: Meter,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Quiet {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

struct Kept {
    store: Store<Quiet>,
    instance: Expression,
}

struct Evaluator {
    engine: Engine,
    pre: ExpressionPre<Quiet>,
    kept: Mutex<Vec<Kept>>,
}

/// Compiles the component and makes the evaluator of it.
pub(crate) fn evaluator(machine: &Machine, registry: &Registry, component: Vec<u8>) -> Result<Arc<dyn Jq>, HostError> {
    let setup = |error: wasmtime::Error| HostError::Setup(format!("the expression component: {error:#}"));
    let digest = crate::digest(&component);
    let component = registry.compiler().cache.component(digest, &component).map_err(setup)?;
    let linker = linker(machine.engine(), &component).map_err(setup)?;
    let pre = linker.instantiate_pre(&component).and_then(ExpressionPre::new).map_err(setup)?;
    Ok(Arc::new(Evaluator { engine: machine.engine().clone(), pre, kept: Mutex::default() }))
}

impl Evaluator {
    fn fresh(&self) -> wasmtime::Result<Kept> {
        let budget = limits::Budget::default();
        let state = Quiet { meter: Meter::new(&budget), wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.meter);
        store.set_epoch_deadline(ticks(CPU) + 1);
        let instance = self.pre.instantiate(&mut store)?;
        Ok(Kept { store, instance })
    }

    fn run(&self, filter: &str, context: &str) -> Result<String, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut kept = match kept {
            Some(kept) => kept,
            None => self.fresh().map_err(|error| format!("it cannot be evaluated now: {}", error.root_cause()))?,
        };
        kept.store.set_epoch_deadline(ticks(CPU) + 1);
        match kept.instance.camshaft_expression_jq().call_evaluate(&mut kept.store, filter, context) {
            Ok(result) => {
                let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if all.len() < KEPT && kept.store.data().meter.memory_peak <= KEPT_MEMORY_BYTES {
                    all.push(kept);
                }
                result
            }
            Err(error) => Err(if kept.store.data().meter.breach.is_some() {
                "it needs more memory than an expression may use".to_owned()
            } else {
                match error.downcast_ref::<Trap>() {
                    Some(Trap::Interrupt) => format!("it takes longer than {CPU:?}"),
                    Some(Trap::StackOverflow) => "it recurses too deep".to_owned(),
                    _ => "it cannot be evaluated".to_owned(),
                }
            }),
        }
    }
}

impl Jq for Evaluator {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, String> {
        // A fault of the host's own is told as the expression's, and leaves the instance behind.
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| beside(|| self.run(filter, context))));
        let text = run.unwrap_or_else(|_| Err("it cannot be evaluated: the host failed; see the log".to_owned()))?;
        if text.len() > limits::OUTPUT_BYTES_MAX {
            return Err(format!("its value has {} bytes; {} is the limit", text.len(), limits::OUTPUT_BYTES_MAX));
        }
        serde_json::from_str(&text).map_err(|error| format!("its value is no JSON: {error}"))
    }
}

/// Lets the others of this worker go on meanwhile: an evaluation may take the whole of its time.
fn beside<T>(run: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
        _ => run(),
    }
}

/// What a filter may ask for: the time, a seed for its maps, an empty environment. Everything else that a standard library
/// imports traps, streams above all: WASI's own would block on the runtime that this very call runs on, and a guest writes
/// to them when it has no memory left.
fn linker(engine: &Engine, component: &Component) -> wasmtime::Result<Linker<Quiet>> {
    type T = Quiet;
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    random::random::add_to_linker::<T, WasiRandom>(l, |state| state.wasi.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |state| state.wasi.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |state| state.wasi.random())?;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}
