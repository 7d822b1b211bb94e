//! Any text as an expression: it is refused with its document, runs natively, or is a filter that the evaluator can read. What the
//! runtime lets pass when a document is checked must not fail to be read when it is run.

use camshaft_model::language::compile;
use camshaft_model::language::expression::{Jq, JqError, Root, Scope};
use camshaft_model::program::StepKind;
use camshaft_model::{Value, json};

use crate::document::EveryTask;

/// An event with something of everything.
struct Event(Value);

impl Scope for Event {
    fn get(&self, root: &Root) -> Option<&Value> {
        matches!(root, Root::Event).then_some(&self.0)
    }
}

/// Reads filters and runs none: nobody could stop it here.
struct Reader;

impl Jq for Reader {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        assert!(serde_json::from_str::<Value>(context).is_ok_and(|context| context.is_object()), "{context}");
        if let Err(fault) = camshaft_jq::check(filter) {
            panic!("`{filter}` was let pass, and cannot be read: {fault}");
        }
        Err("it is not run here".to_owned().into())
    }
}

pub(crate) fn run(input: &[u8]) {
    let Ok(expression) = std::str::from_utf8(input) else { return };
    let document = json!({
        "name": "x",
        "steps": [
            { "if": expression, "then": [] },
            { "set": { "a": format!("{{{{ {expression} }}}}"), "b": format!("x {{{{{expression}}}}}") } },
        ],
    });
    let Ok(compiled) = compile(&document.to_string(), &EveryTask) else { return };
    let StepKind::If(step) = &compiled.program.steps[0].kind else { panic!("the first step is an `if`") };
    let event = Event(json!({"n": 3, "s": "text", "a": [1, "two", {"three": 3}], "o": {"k v": null}}));
    // Filters are read by recursion, in the sandbox as here; there it is a trap that is survived.
    crate::on_deep_stack(|| drop(step.condition.evaluate(&event, &Reader)));
}
