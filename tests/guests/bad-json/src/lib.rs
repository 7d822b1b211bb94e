//! A task whose output, schema or failure is no JSON. The SDK cannot write one, so this speaks the contract itself.

/// What wit-bindgen makes of the contract.
#[allow(missing_docs, unsafe_code, unreachable_pub, dead_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "camshaft:plugin/task-plugin@1.0.0" });
}

use bindings::exports::camshaft::plugin::task::{Context, Descriptor, Failure, FailureKind, Guest};

/// The component.
struct BadJson;

impl Guest for BadJson {
    fn describe() -> Descriptor {
        Descriptor {
            name: "bad-json".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Gives what is no JSON.".to_owned(),
            input_schema: "true".to_owned(),
            output_schema: "true".to_owned(),
            examples: Vec::new(),
            hosts: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// `"details"` makes the failure's details bad, anything else the output.
    fn run(_context: Context, input: String) -> Result<String, Failure> {
        let bad = "{\"this\": is no JSON".to_owned();
        if input == "\"details\"" {
            let message = "with bad details".to_owned();
            return Err(Failure { kind: FailureKind::Failed, message, details: Some(bad) });
        }
        Ok(bad)
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod export {
    use super::{BadJson, bindings};
    bindings::export!(BadJson with_types_in bindings);
}
