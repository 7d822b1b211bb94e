//! What wit-bindgen makes of `wit/`. Authors never see it: their types are in [`mod@crate::task`] and [`mod@crate::adapter`].

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)]

/// World `task-plugin`.
pub mod task {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "camshaft:plugin/task-plugin@1.0.0",
        pub_export_macro: true,
        export_macro_name: "export",
    });
}

/// World `adapter-plugin`. Its imports are those of [`task`].
pub mod adapter {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "camshaft:plugin/adapter-plugin@1.0.0",
        pub_export_macro: true,
        export_macro_name: "export",
        with: {
            "camshaft:plugin/log@1.0.0": crate::bindings::task::camshaft::plugin::log,
            "camshaft:plugin/secrets@1.0.0": crate::bindings::task::camshaft::plugin::secrets,
        },
    });
}

/// What `signing-adapter-plugin` exports besides: an adapter that signs exports both.
pub mod signer {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package camshaft:sdk;

            world signer {
                export camshaft:plugin/signer@1.0.0;
            }
        ",
        world: "camshaft:sdk/signer",
        pub_export_macro: true,
        export_macro_name: "export",
        with: {
            "camshaft:plugin/types@1.0.0": crate::bindings::adapter::camshaft::plugin::types,
            "camshaft:plugin/webhook@1.0.0": crate::bindings::adapter::camshaft::plugin::webhook,
        },
    });
}
