//! Expressions give what jq gives, whether they run natively or not.

use camshaft_model::language::expression::{Form, Jq, JqError, Root, Scope};
use camshaft_model::program::StepKind;
use camshaft_model::{Value, json};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};

use super::good;

/// jq without a sandbox, for expressions that a test trusts.
pub struct Plain;

impl Jq for Plain {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        let input = read::parse_single(context.as_bytes()).map_err(|error| error.to_string())?;
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules =
            Loader::new(definitions).load(&arena, File { code: filter, path: () }).map_err(|e| format!("{e:?}"))?;
        let compiler = Compiler::default().with_funs(functions).with_global_vars(["$__"]);
        let filter = compiler.compile(modules).map_err(|errors| format!("{errors:?}"))?;
        let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([input.clone()]));
        match filter.id.run((context, input)).map(unwrap_valr).next() {
            None => Ok(Value::Null),
            Some(Ok(value)) => serde_json::from_str(&value.to_string()).map_err(|error| error.to_string().into()),
            Some(Err(error)) => Err(error.to_string().into()),
        }
    }
}

pub struct Event(pub Value);

impl Scope for Event {
    fn get(&self, root: &Root) -> Option<&Value> {
        matches!(root, Root::Event).then_some(&self.0)
    }
}

fn compiled(expression: &str) -> camshaft_model::language::expression::Expression {
    let document = json!({"name": "x", "steps": [{"if": expression, "then": []}]}).to_string();
    let mut steps = good(&document).program.steps;
    match steps.remove(0).kind {
        StepKind::If(step) => step.condition,
        _ => unreachable!("the document has an if"),
    }
}

fn event() -> Event {
    Event(json!({
        "n": 3, "f": 2.5, "s": "text", "t": true, "z": null, "a": [1, "two", {"three": 3}], "o": {"k v": 1, "X-Y": ["h"]},
        "big": 9007199254740993i64,
    }))
}

#[test]
fn what_runs_natively_agrees_with_jq() {
    for expression in [
        "$.event.n",
        "$.event.o[\"k v\"]",
        "$.event.o.\"X-Y\"[0]",
        "$.event.a[-1].three",
        "$.event.a[7]",
        "$.event.none.deeper",
        "$.event.z.x",
        "$.event.n == 3",
        "$.event.n != 3.0",
        "$.event.s == \"text\"",
        "$.event.a < $.event.o",
        "$.event.z < false",
        "$.event.t and $.event.z",
        "$.event.z or $.event.n",
        "($.event.n > 2) and ($.event.f <= 2.5)",
        "true",
        "null == $.event.none",
        "$.event.s > 5",
        "$.event.a == [1]",
        "\"a\\nb\" == $.event.s",
        "$.event.a >= $.event.a",
        "-1 < $.event.n",
        "$.event.n == 3 or $.event.n == 4 and false",
    ] {
        let expression = compiled(expression);
        let filter = expression.source.replace("$.event", "$__.event");
        let expected = Plain.evaluate(&filter, &json!({"event": event().0}).to_string()).unwrap();
        assert_eq!(expression.evaluate(&event(), &Plain).unwrap(), expected, "{}", expression.source);
    }
    for native in ["$.event.n == 3", "$.event.o[\"k v\"]", "($.event.t)"] {
        assert!(!matches!(compiled(native).form, Form::Jq { .. }), "{native} runs natively");
    }
}

#[test]
fn everything_else_is_jq_over_what_it_names() {
    for (expression, expected) in [
        ("[$.event.a[] | numbers] | add", json!(1)),
        ("$.event.s | ascii_upcase", json!("TEXT")),
        ("\"n is \\($.event.n)\"", json!("n is 3")),
        ("$.event.none // \"other\"", json!("other")),
        ("if $.event.t then \"yes\" else \"no\" end", json!("yes")),
        (".event.n + 1", json!(4)),
        ("$ | keys", json!(["connection", "env", "event", "execution", "params", "vars"])),
    ] {
        assert_eq!(compiled(expression).evaluate(&event(), &Plain).unwrap(), expected, "{expression}");
    }
    let Form::Jq { roots, .. } = compiled("$.event.s | length").form else { panic!("it is jq") };
    assert_eq!(roots, [Root::Event]);
}

#[test]
fn an_expression_that_fails_says_its_text_and_place() {
    for expression in ["$.event.s.x", "$.event.n[0]", "$.event.s | tonumber"] {
        let failure = compiled(expression).evaluate(&event(), &Plain).unwrap_err();
        assert_eq!(failure.kind.as_str(), "expression");
        assert!(failure.message.contains(expression) && failure.message.contains("line 1"), "{}", failure.message);
    }
}
