//! jq in the sandbox: the expression component with kept instances, each evaluation within a budget.
//!
//! A hostile filter (endless, exponential, a memory bomb) ends as an error of its own expression; its instance is thrown
//! away and the next evaluation gets a fresh one.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use camshaft_model::Value;
use camshaft_model::language::expression::{Jq, JqError};
use camshaft_model::limits;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, RuntimeFlavor};
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sync};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::HostError;
use crate::bindings::expression::{Expression, ExpressionPre};
use crate::budget::Meter;
use crate::epoch::Clock;
use crate::machine::{Machine, evaluator_instances, ticks};
use crate::registry::Registry;

/// How long one evaluation may be on the processor. How long that takes by the clock hangs on what else the machine does, and an
/// honest expression must not fail because of others.
const CPU: Duration = Duration::from_millis(100);
/// How long it may take by the clock all the same.
const WALL: Duration = Duration::from_secs(10);
/// How often an instance is asked for again that could not be made: memory that plugins have now may be free in a moment.
const AGAIN: Duration = Duration::from_millis(10);
/// Instances that are kept for the next evaluation.
const KEPT: usize = 4;
/// An instance whose memory has grown past this is not kept.
const KEPT_MEMORY_BYTES: u64 = 16 << 20;

/// The data of an evaluator's store: a context that nothing reaches through.
struct Quiet {
    meter: Meter,
    wasi: WasiCtx,
    table: ResourceTable,
    began: Began,
}

/// When an evaluation began.
#[derive(Clone, Copy)]
struct Began {
    processor: Duration,
    clock: Instant,
}

impl Began {
    fn now() -> Self {
        Self { processor: processor_time(), clock: Instant::now() }
    }

    fn is_over(self) -> bool {
        processor_time().saturating_sub(self.processor) >= CPU || self.clock.elapsed() >= WALL
    }
}

/// How long this thread has been on the processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
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
    clock: Arc<Clock>,
    pre: ExpressionPre<Quiet>,
    kept: Mutex<Vec<Kept>>,
    /// A place for each instance that is the evaluator's own.
    places: Places,
}

/// Places for those who evaluate; whoever finds none waits for one.
struct Places {
    free: Mutex<u32>,
    given_back: Condvar,
}

/// A place, until it is dropped.
struct Place<'a>(&'a Places);

impl Places {
    fn new(count: u32) -> Self {
        Self { free: Mutex::new(count), given_back: Condvar::new() }
    }

    fn take(&self) -> Place<'_> {
        // Nothing panics while holding it.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.given_back.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

/// Compiles the component and makes the evaluator of it.
pub(crate) fn evaluator(machine: &Machine, registry: &Registry, component: Vec<u8>) -> Result<Arc<dyn Jq>, HostError> {
    let setup = |error: wasmtime::Error| HostError::Setup(format!("the expression component: {error:#}"));
    let digest = crate::digest(&component);
    let component = registry.compiler().cache.component(digest, &component).map_err(setup)?;
    let linker = linker(machine.engine()).map_err(setup)?;
    let pre = linker.instantiate_pre(&component).and_then(ExpressionPre::new).map_err(setup)?;
    let places = Places::new(evaluator_instances());
    Ok(Arc::new(Evaluator {
        engine: machine.engine().clone(),
        clock: machine.clock().clone(),
        pre,
        kept: Mutex::default(),
        places,
    }))
}

impl Evaluator {
    fn fresh(&self) -> wasmtime::Result<Kept> {
        let budget = limits::Budget::default();
        let (wasi, table) = (WasiCtx::builder().build(), ResourceTable::new());
        let state = Quiet { meter: Meter::new(&budget), wasi, table, began: Began::now() };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.meter);
        // First asked when it cannot be over yet by less, then at every tick.
        store.epoch_deadline_callback(|context| {
            Ok(if context.data().began.is_over() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        store.set_epoch_deadline(ticks(CPU));
        let instance = self.pre.instantiate(&mut store)?;
        Ok(Kept { store, instance })
    }

    /// An instance that is kept, or a fresh one.
    fn instance(&self) -> Result<Kept, JqError> {
        let asked = Instant::now();
        loop {
            if let Some(kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop() {
                return Ok(kept);
            }
            match self.fresh() {
                Ok(fresh) => return Ok(fresh),
                Err(error) if asked.elapsed() >= WALL => {
                    return Err(JqError::Unavailable(format!("it cannot be evaluated now: {}", error.root_cause())));
                }
                Err(_) => std::thread::sleep(AGAIN),
            }
        }
    }

    fn run(&self, filter: &str, context: &str) -> Result<String, JqError> {
        // Dropped behind the instance, so that there are never more of these than places.
        let _place = self.places.take();
        let _running = self.clock.running();
        let mut kept = self.instance()?;
        kept.store.data_mut().began = Began::now();
        kept.store.set_epoch_deadline(ticks(CPU));
        match kept.instance.camshaft_expression_jq().call_evaluate(&mut kept.store, filter, context) {
            Ok(result) => {
                let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if all.len() < KEPT && kept.store.data().meter.memory_peak <= KEPT_MEMORY_BYTES {
                    all.push(kept);
                }
                Ok(result?)
            }
            Err(error) => Err(JqError::Failed(if kept.store.data().meter.breach.is_some() {
                "it needs more memory than an expression may use".to_owned()
            } else {
                match error.downcast_ref::<Trap>() {
                    Some(Trap::Interrupt) => format!("it takes longer than {CPU:?}"),
                    Some(Trap::StackOverflow) => "it recurses too deep".to_owned(),
                    _ => "it cannot be evaluated".to_owned(),
                }
            })),
        }
    }
}

impl Jq for Evaluator {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        // A fault of the host's own is told as the expression's, and leaves the instance behind.
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| beside(|| self.run(filter, context))));
        let failed = |_| Err(JqError::Failed("it cannot be evaluated: the host failed; see the log".to_owned()));
        let text = run.unwrap_or_else(failed)?;
        if text.len() > limits::OUTPUT_BYTES_MAX {
            return Err(format!("its value has {} bytes; {} is the limit", text.len(), limits::OUTPUT_BYTES_MAX).into());
        }
        serde_json::from_str(&text).map_err(|error| format!("its value is no JSON: {error}").into())
    }

    fn processor_time(&self) -> Duration {
        processor_time()
    }
}

/// Lets the others of this worker go on meanwhile: an evaluation may take the whole of its time.
fn beside<T>(run: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
        _ => run(),
    }
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// What a standard library asks for, synchronously and inert.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Quiet>> {
    type T = Quiet;
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    sync::io::error::add_to_linker::<T, Table>(l, |state| &mut state.table)?;
    sync::io::poll::add_to_linker::<T, Table>(l, |state| &mut state.table)?;
    sync::io::streams::add_to_linker::<T, Table>(l, |state| &mut state.table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    sync::filesystem::types::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    random::random::add_to_linker::<T, WasiRandom>(l, |state| state.wasi.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |state| state.wasi.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |state| state.wasi.random())?;
    cli::exit::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, T::cli)?;
    never_block(&mut linker)?;
    Ok(linker)
}

/// Takes away what would wait for something, such as the last words of a guest that has run out of memory: an evaluation runs on a
/// thread of the server's own runtime, where the synchronous forms of these panic, and nobody reads those words.
fn never_block(linker: &mut Linker<Quiet>) -> wasmtime::Result<()> {
    const WAITING: [(&str, &[&str]); 2] = [
        (
            "wasi:io/streams@0.2.12",
            &[
                "[method]input-stream.blocking-read",
                "[method]input-stream.blocking-skip",
                "[method]output-stream.blocking-flush",
                "[method]output-stream.blocking-splice",
                "[method]output-stream.blocking-write-and-flush",
                "[method]output-stream.blocking-write-zeroes-and-flush",
            ],
        ),
        ("wasi:io/poll@0.2.12", &["[method]pollable.block", "poll"]),
    ];
    linker.allow_shadowing(true);
    for (instance, names) in WAITING {
        let mut instance = linker.instance(instance)?;
        for name in names {
            instance.func_new(name, move |_, _, _, _| wasmtime::bail!("an expression cannot wait: {name}"))?;
        }
    }
    linker.allow_shadowing(false);
    Ok(())
}
