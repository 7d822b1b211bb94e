//! The expression component: evaluates jq for the runtime, inside the sandbox.
//!
//! A native jq cannot be interrupted; this one runs under a budget of time and memory like any plugin. It is not one that users
//! see: it has a world of its own, `wit/expression`, and imports nothing of ours.

/// What wit-bindgen makes of the world.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/expression", world: "expression" });
}

use bindings::exports::camshaft::expression::jq::Guest;

/// The component.
struct Expression;

impl Guest for Expression {
    fn evaluate(filter: String, context: String) -> Result<String, String> {
        camshaft_jq::evaluate(&filter, &context).map_err(|fault| fault.to_string())
    }

    fn check(filter: String) -> Result<(), String> {
        camshaft_jq::check(&filter).map_err(|fault| fault.to_string())
    }
}

// The export names are no symbols that a native linker would take.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod export {
    use super::{Expression, bindings};
    bindings::export!(Expression with_types_in bindings);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(filter: &str, context: &str) -> Result<String, String> {
        Expression::evaluate(filter.to_owned(), context.to_owned())
    }

    #[test]
    fn the_context_is_the_dot_and_the_root_variable() {
        let context = r#"{"event":{"body":{"id":7}}}"#;
        assert_eq!(evaluate("$__.event.body.id + .event.body.id", context), Ok("14".to_owned()));
        assert_eq!(evaluate(".nothing.here", context), Ok("null".to_owned()));
    }

    #[test]
    fn a_fault_is_a_sentence() {
        let sentence = "the filter `nope` at position 1 does not exist";
        assert_eq!(evaluate("nope", "{}"), Err(sentence.to_owned()));
        assert_eq!(Expression::check("nope".to_owned()), Err(sentence.to_owned()));
        assert_eq!(Expression::check("$__.a | length".to_owned()), Ok(()));
    }
}
