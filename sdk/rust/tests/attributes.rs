//! What the attributes make of a function and of an `impl`, seen from a plugin.

use camshaft_sdk::adapter::{Named, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::task::{Example, Task};
use camshaft_sdk::testing::{self, Host};
use serde_json::value::RawValue;

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
    #[serde(default)]
    times: u8,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

/// Greets somebody
/// by name.
///
/// As often as wanted.
#[task]
fn greet(context: &Context, input: Greet) -> Result<Greeting, Failure> {
    log::debug!({ "attempt": context.attempt }, "greeting");
    Ok(Greeting { text: format!("Hello, {}!", input.name).repeat(input.times.max(1).into()) })
}

/// Not this.
#[task(
    name = "say-it",
    version = "2.1.0",
    summary = "Says it.",
    hosts = ["https://api.example.com"],
    secrets = ["api_token"],
    example("one", input = { "a": [1, -2.5] }, output = null),
    example("open", input = true),
    example(file = "tests/example.json"),
)]
fn overridden(input: Value) -> Result<Value, Failure> {
    Ok(input)
}

#[task]
fn raw(input: Box<RawValue>) -> Result<Box<RawValue>, Failure> {
    Ok(input)
}

/// A failure of its own.
#[derive(Debug)]
struct Closed;

impl From<Closed> for Failure {
    fn from(_: Closed) -> Self {
        Failure::unavailable("closed")
    }
}

#[task]
fn closed(_input: ()) -> Result<(), Closed> {
    Err(Closed)
}

struct Shop;

#[adapter(name = "shop")]
impl Adapter for Shop {
    fn describe() -> Description {
        Description::new("Shop", "Takes the shop's webhooks.")
    }

    fn receive(request: &Request, _integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        Ok(Event::new(request.required_header("x-type")?).into())
    }
}

#[test]
fn name_and_version_are_the_crates_and_the_summary_is_the_first_paragraph() {
    let descriptor = camshaft_sdk::task::describe::<greet>();
    assert_eq!((descriptor.name.as_str(), descriptor.version.as_str()), ("camshaft-sdk", env!("CARGO_PKG_VERSION")));
    assert_eq!(descriptor.summary, "Greets somebody by name.");
    assert_eq!(descriptor.input_schema["properties"]["name"]["type"], "string");
    assert_eq!(descriptor.input_schema["required"], json!(["name"]));
    assert_eq!(descriptor.output_schema["title"], "Greeting");
}

#[test]
fn arguments_say_otherwise() {
    let descriptor = camshaft_sdk::task::describe::<overridden>();
    assert_eq!((overridden::NAME, overridden::VERSION, overridden::SUMMARY), ("say-it", "2.1.0", "Says it."));
    assert_eq!(descriptor.hosts, ["https://api.example.com"]);
    assert_eq!(descriptor.secrets, ["api_token"]);
    let example = |name: &str, input, output| Example { name: name.to_owned(), input, output };
    assert_eq!(
        descriptor.examples,
        [
            example("one", json!({ "a": [1, -2.5] }), Some(Value::Null)),
            example("open", json!(true), None),
            example("from a file", json!({ "a": 1 }), Some(json!({ "a": 1 }))),
        ]
    );
}

#[test]
fn a_task_is_still_a_function_and_a_type_besides() {
    let host = Host::new();
    let greeting = host.run(|| greet(&testing::context(), Greet { name: "Ada".into(), times: 2 }));
    assert_eq!(greeting, Ok(Greeting { text: "Hello, Ada!Hello, Ada!".into() }));
    assert_eq!(host.logs()[0].fields, json!({ "attempt": 1 }));
    assert_eq!(testing::call::<greet>(json!({ "name": "Ada" })), Ok(json!({ "text": "Hello, Ada!" })));
}

#[test]
fn a_bad_input_names_the_field_and_never_reaches_the_function() {
    let failure = testing::call::<greet>(json!({ "name": "Ada", "times": 300 })).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidInput);
    assert_eq!(failure.message, "`times`: invalid value: integer `300`, expected u8");
    assert_eq!(failure.details, Some(json!({ "path": "times" })));
    let failure = testing::call::<greet>(json!({})).unwrap_err();
    assert_eq!(failure.message, "missing field `name`");
}

#[test]
fn json_passes_through_in_either_form() {
    assert_eq!(testing::call::<overridden>(json!([1, null])), Ok(json!([1, null])));
    let output = camshaft_sdk::task::call::<raw>(&testing::context(), "[1.10]").unwrap();
    assert_eq!(output, "[1.10]");
}

#[test]
fn an_error_of_the_authors_own_becomes_its_failure() {
    let failure = testing::call::<closed>(Value::Null).unwrap_err();
    assert_eq!(failure, Failure::unavailable("closed"));
}

#[test]
fn an_adapter_without_configuration_takes_none() {
    let request = testing::delivery(&[("X-Type", "order.paid")], "{}", 0);
    assert_eq!(Shop::NAME, "shop");
    assert_eq!(testing::receive::<Shop>(&request, Value::Null, &[]), Ok(Event::new("order.paid").into()));
    let rejection = testing::receive::<Shop>(&request, json!({ "a": 1 }), &[]).unwrap_err();
    let expected = "the configuration of integration `test` is not valid: unknown field `a`";
    assert!(rejection.message().starts_with(expected), "{rejection}");
}
