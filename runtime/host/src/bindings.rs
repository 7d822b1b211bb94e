//! What `wit/` says, as Rust: the only `bindgen!` of the host.
//!
//! Both worlds of plugins share the host's side of `log` and `secrets`.

#![allow(missing_docs, unreachable_pub, clippy::all)]

/// World `task-plugin`.
pub mod task {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "camshaft:plugin/task-plugin@1.0.0",
        imports: { default: trappable },
        exports: { default: async },
        require_store_data_send: true,
    });
}

/// World `signing-adapter-plugin`. An adapter may do without the export `signer`, so each of its exports is looked up by itself.
pub mod adapter {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "camshaft:plugin/signing-adapter-plugin@1.0.0",
        imports: { default: trappable },
        exports: { default: async },
        require_store_data_send: true,
        with: {
            "camshaft:plugin/log@1.0.0": super::task::camshaft::plugin::log,
            "camshaft:plugin/secrets@1.0.0": super::task::camshaft::plugin::secrets,
        },
    });
}

/// World `expression`, called from threads that wait for it: not async.
pub mod expression {
    wasmtime::component::bindgen!({
        path: "../../wit/expression",
        world: "camshaft:expression/expression@1.0.0",
    });
}
