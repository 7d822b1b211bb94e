//! What standard libraries import of WASI, there and inert: no environment, no arguments, closed input, no files. Clocks
//! and randomness are real. What is printed becomes log lines. Sockets are not there.

use camshaft_model::Map;
use camshaft_model::outcome::LogLevel;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::log::LINE_BYTES;
use crate::state::CallState;

/// Most random bytes of one request.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// The context of one call, made when the guest first asks for anything of it: most calls never do.
pub(crate) struct Wasi {
    context: WasiCtx,
    printed: [MemoryOutputPipe; 2],
}

impl Wasi {
    fn new(log_bytes: usize) -> Self {
        // One more than the log holds: a full pipe is then a breach, and not a stream that closes for no reason.
        let printed = [MemoryOutputPipe::new(log_bytes + 1), MemoryOutputPipe::new(log_bytes + 1)];
        let [stdout, stderr] = printed.clone();
        let context = WasiCtx::builder().stdout(stdout).stderr(stderr).max_random_size(RANDOM_BYTES_MAX).build();
        Self { context, printed }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let limit = self.budget.log_bytes;
        let wasi = self.wasi.get_or_insert_with(|| Wasi::new(limit));
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

impl CallState {
    /// What the guest printed, as log lines, up to what the log may hold.
    pub(crate) fn log_what_was_printed(&mut self) {
        let Some(wasi) = self.wasi.take() else { return };
        for (pipe, level) in wasi.printed.iter().zip([LogLevel::Info, LogLevel::Warn]) {
            // Masked as a whole: a key may be of several lines.
            let printed = self.mask.text(String::from_utf8_lossy(&pipe.contents()).into_owned());
            for line in printed.lines() {
                if self.keep_line(level, line.to_owned(), Map::new(), line.len() + LINE_BYTES).is_err() {
                    return;
                }
            }
        }
    }
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links all of it.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> Result<()> {
    type T = CallState;
    let l = linker;
    io::error::add_to_linker::<T, Table>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<T, Table>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<T, Table>(l, |state| &mut state.table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, T::clocks)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(l, T::filesystem)?;
    random::random::add_to_linker::<T, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |state| state.ctx().ctx.random())?;
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use camshaft_model::ids::Name;
    use camshaft_model::limits::Budget;
    use camshaft_model::seams::Permissions;
    use wasmtime_wasi::p2::OutputStream;

    use super::*;
    use crate::HostConfig;
    use crate::machine::Machine;
    use crate::receive::Nothing;
    use crate::state::Caller;

    #[test]
    fn what_is_printed_becomes_lines_and_counts_against_the_log() {
        let budget = Budget { log_bytes: 100, ..Budget::default() };
        let host = HostConfig { cache_dir: None, cache_key: [0; 32], budget, instances_max: 1, stand_in: None };
        let machine = Machine::new(&host).unwrap();
        let name = Name::new("a").unwrap();
        let caller = Caller { plugin: name.clone(), workspace: name.clone(), environment: name };
        let permissions: Arc<dyn Permissions> = Arc::new(Nothing);
        let mut store = CallState::store(&machine, caller, budget, &permissions);
        let state = store.data_mut();
        state.mask.add("word", "sword\nfish");
        let _ = state.ctx();
        let [out, err] = state.wasi.as_ref().unwrap().printed.clone();
        let print = |mut pipe: MemoryOutputPipe, text: String| pipe.write(text.into()).unwrap();
        print(out, "say sword\nfish\n".to_owned());
        print(err, "x".repeat(101));
        state.log_what_was_printed();
        assert_eq!(state.log[0].message, "say <secret word>");
        assert_eq!((state.log[0].level, state.log[1].level), (LogLevel::Info, LogLevel::Warn));
        assert!(state.log[1].message.ends_with("x…"), "{:?}", state.log[1]);
        assert_eq!(state.meter.breach.unwrap().bound, "log");
    }
}
