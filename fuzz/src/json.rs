//! Any text as JSON at its limits: what the runtime reads, the sandbox reads as the same value, and writes as JSON that the runtime
//! reads again. Between the two a value must not change.

use camshaft_model::Value;
use camshaft_model::language::template::depth;

/// Levels that the sandbox writes and reads; the runtime reads one more.
const DEPTH_MAX: usize = 127;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let ours = camshaft_jq::evaluate(".", text);
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let written = match ours {
        Ok(written) => written,
        Err(_) if depth(&value) > DEPTH_MAX => return,
        Err(fault) => panic!("the runtime reads {text:?}, and the sandbox does not: {fault}"),
    };
    let again: Value =
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{text:?} came back as {written:?}: {error}"));
    assert!(same(&value, &again), "{text:?} came back as {written:?}");
    let plain = serde_json::to_string(&value).expect("a value is JSON");
    assert_eq!(value, serde_json::from_str::<Value>(&plain).expect("what was written is readable"), "{plain}");
}

/// Equal, whatever way a number is written.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let equal = |(key, left): (&String, &Value)| right.get(key).is_some_and(|right| same(left, right));
            left.len() == right.len() && left.iter().all(equal)
        }
        (left, right) => left == right,
    }
}
