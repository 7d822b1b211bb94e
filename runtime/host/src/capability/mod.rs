//! What a guest may import; one capability a file.

pub(crate) mod http;
pub(crate) mod kept;
mod log;
mod secrets;
pub(crate) mod wasi;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Result};

use crate::bindings::task::camshaft::plugin;
use crate::state::CallState;

/// A linker with every capability. What a component does not import costs it nothing.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    plugin::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    plugin::secrets::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wasi::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// Whether the host has an import of this name. Sockets are known and refused; they are never linked.
pub(crate) fn is_known(import: &str) -> bool {
    const KNOWN: [(&str, &str); 27] = [
        ("camshaft:plugin/types", "1."),
        ("camshaft:plugin/webhook", "1."),
        ("camshaft:plugin/log", "1."),
        ("camshaft:plugin/secrets", "1."),
        ("wasi:cli/environment", "0.2."),
        ("wasi:cli/exit", "0.2."),
        ("wasi:cli/stdin", "0.2."),
        ("wasi:cli/stdout", "0.2."),
        ("wasi:cli/stderr", "0.2."),
        ("wasi:cli/terminal-input", "0.2."),
        ("wasi:cli/terminal-output", "0.2."),
        ("wasi:cli/terminal-stdin", "0.2."),
        ("wasi:cli/terminal-stdout", "0.2."),
        ("wasi:cli/terminal-stderr", "0.2."),
        ("wasi:clocks/monotonic-clock", "0.2."),
        ("wasi:clocks/wall-clock", "0.2."),
        ("wasi:filesystem/types", "0.2."),
        ("wasi:filesystem/preopens", "0.2."),
        ("wasi:io/error", "0.2."),
        ("wasi:io/poll", "0.2."),
        ("wasi:io/streams", "0.2."),
        ("wasi:random/random", "0.2."),
        ("wasi:random/insecure", "0.2."),
        ("wasi:random/insecure-seed", "0.2."),
        ("wasi:http/types", "0.2."),
        ("wasi:http/outgoing-handler", "0.2."),
        ("wasi:http/proxy", "0.2."),
    ];
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    KNOWN.iter().any(|(known, of)| *known == name && version.starts_with(of))
}

/// Whether an import lets the guest reach somebody who could notice. Everything else on offer is silent.
pub(crate) fn is_observable(import: &str) -> bool {
    import.starts_with("wasi:http/outgoing-handler@")
}
