//! A component that is no plugin: it exports neither a task nor an adapter.

/// What wit-bindgen makes of its world.
#[allow(missing_docs, unsafe_code, unreachable_pub, dead_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package somebody:elses@1.0.0;

            interface greeting {
                hello: func() -> string;
            }

            world other {
                export greeting;
            }
        ",
    });
}

use bindings::exports::somebody::elses::greeting::Guest;

/// The component.
struct Other;

impl Guest for Other {
    fn hello() -> String {
        "hello from another world".to_owned()
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod export {
    use super::{Other, bindings};
    bindings::export!(Other with_types_in bindings);
}
