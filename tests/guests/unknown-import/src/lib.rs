//! A task that imports an interface that no host has: it is refused at upload, with the import named.

use camshaft_sdk::prelude::*;

/// What wit-bindgen makes of the interface.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package nobody:knows@1.0.0;

            interface moon {
                phase: func() -> u32;
            }

            world moonstruck {
                import moon;
            }
        ",
    });
}

/// Asks for the phase of the moon.
#[task(name = "unknown-import")]
pub fn ask(_input: Value) -> Result<u32, Failure> {
    Ok(bindings::nobody::knows::moon::phase())
}
