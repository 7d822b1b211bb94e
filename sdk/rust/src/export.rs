//! The glue between a plugin's types and the component's exports.

use crate::adapter::{self, Adapter, Named};
use crate::bindings::adapter::exports::camshaft::plugin::adapter as adapter_exports;
use crate::bindings::signer::exports::camshaft::plugin::signer as signer_exports;
use crate::bindings::task::camshaft::plugin::types as wit_types;
use crate::bindings::task::exports::camshaft::plugin::task as task_exports;
use crate::json;
use crate::task::{self, Context, Example, Failure, FailureKind, Task};
use serde_json::Value;
use std::marker::PhantomData;
use std::time::Duration;

/// Exports a task.
pub struct TaskExport<T>(PhantomData<T>);

impl<T: Task> task_exports::Guest for TaskExport<T> {
    fn describe() -> task_exports::Descriptor {
        let descriptor = task::describe::<T>();
        task_exports::Descriptor {
            name: descriptor.name,
            version: descriptor.version,
            summary: descriptor.summary,
            input_schema: json::text(&descriptor.input_schema),
            output_schema: json::text(&descriptor.output_schema),
            examples: descriptor.examples.into_iter().map(example).collect(),
            hosts: descriptor.hosts,
            secrets: descriptor.secrets,
        }
    }

    fn run(context: task_exports::Context, input: String) -> Result<String, task_exports::Failure> {
        tell_panics();
        let context = Context {
            execution: context.execution,
            step: context.step,
            attempt: context.attempt,
            iteration: context.iteration,
            idempotency_key: context.idempotency_key,
            deadline_ms: context.deadline,
            workspace: context.workspace,
            environment: context.environment,
            dry_run: context.dry_run,
        };
        task::call::<T>(&context, &input).map_err(failure)
    }
}

fn example(example: Example) -> wit_types::Example {
    wit_types::Example {
        name: example.name,
        input: json::text(&example.input),
        output: example.output.as_ref().map(json::text),
    }
}

fn failure(failure: Failure) -> task_exports::Failure {
    task_exports::Failure {
        kind: match failure.kind {
            FailureKind::InvalidInput => task_exports::FailureKind::InvalidInput,
            FailureKind::Failed => task_exports::FailureKind::Failed,
            FailureKind::Unavailable { retry_after } => {
                task_exports::FailureKind::Unavailable(retry_after.map(milliseconds))
            }
        },
        message: failure.message,
        details: failure.details.as_ref().map(json::text),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Exports an adapter.
pub struct AdapterExport<A>(PhantomData<A>);

impl<A: Adapter + Named> adapter_exports::Guest for AdapterExport<A> {
    fn describe() -> adapter_exports::Descriptor {
        let description = A::describe();
        let secret = |secret: adapter::Secret| adapter_exports::SecretField {
            name: secret.name,
            required: secret.required,
            summary: secret.summary,
        };
        let event = |event: adapter::EventType| adapter_exports::EventType {
            name: event.name,
            summary: event.summary,
            sample: event.sample,
        };
        adapter_exports::Descriptor {
            name: A::NAME.to_owned(),
            version: A::VERSION.to_owned(),
            vendor: description.vendor,
            summary: description.summary,
            config_schema: json::text(&A::config_schema()),
            secrets: description.secrets.into_iter().map(secret).collect(),
            events: description.events.into_iter().map(event).collect(),
            docs: description.docs,
            hosts: description.hosts,
        }
    }

    fn receive(
        request: adapter_exports::Request,
        integration: adapter_exports::Integration,
    ) -> Result<adapter_exports::Receipt, adapter_exports::Rejection> {
        tell_panics();
        let request = adapter::Request {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body: request.body,
            remote_address: request.remote_address,
            received_at_ms: request.received_at,
            public_url: request.public_url,
        };
        adapter::receive::<A>(&request, lift(integration)).map(receipt).map_err(rejection)
    }
}

impl<A: Adapter> signer_exports::Guest for AdapterExport<A> {
    fn sign(
        sample: signer_exports::Sample,
        integration: signer_exports::Integration,
    ) -> Result<signer_exports::Request, signer_exports::Rejection> {
        tell_panics();
        let sample = adapter::Sample {
            kind: sample.event,
            body: sample.body,
            id: sample.id,
            time_ms: sample.sent_at,
            public_url: sample.public_url,
        };
        let signed = adapter::sign::<A>(sample, lift(integration)).map_err(rejection)?;
        Ok(signer_exports::Request {
            method: signed.method,
            path: signed.path,
            query: signed.query,
            headers: signed.headers,
            body: signed.body,
            remote_address: signed.remote_address,
            received_at: signed.received_at_ms,
            public_url: signed.public_url,
        })
    }
}

fn lift(integration: adapter_exports::Integration) -> adapter::Integration<String> {
    adapter::Integration { name: integration.name, config: integration.config, secrets: integration.secrets }
}

fn receipt(receipt: adapter::Receipt) -> adapter_exports::Receipt {
    let event = |event: adapter::Event| adapter_exports::Event {
        id: event.id,
        type_: event.kind,
        source: event.source,
        subject: event.subject,
        time: event.time_ms,
        body: event.body.as_ref().map(json::text),
    };
    let response = |response: adapter::Response| adapter_exports::Response {
        status: response.status,
        headers: response.headers,
        body: response.body,
    };
    adapter_exports::Receipt {
        events: receipt.events.into_iter().map(event).collect(),
        respond: receipt.respond.map(response),
    }
}

fn rejection(rejection: adapter::Rejection) -> adapter_exports::Rejection {
    match rejection {
        adapter::Rejection::Unauthorized(message) => adapter_exports::Rejection::Unauthorized(message),
        adapter::Rejection::Malformed(message) => adapter_exports::Rejection::Malformed(message),
        adapter::Rejection::Unsupported(message) => adapter_exports::Rejection::Unsupported(message),
        adapter::Rejection::Unavailable(message) => adapter_exports::Rejection::Unavailable(message),
    }
}

/// A panic is a trap, whose reason nobody would see: the component has no standard error. So it goes to the log first.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::write(crate::log::Level::Error, panic)));
}

/// An example that stands in the attribute.
pub fn inline_example(name: &str, input: Value, output: Option<Value>) -> Example {
    Example { name: name.to_owned(), input, output }
}

/// An example that is a golden case: `{"name", "input", "output"}`.
///
/// # Panics
/// Where the file is no such case; it is compiled in, so the first test of the plugin shows it.
pub fn file_example(case: &str) -> Example {
    let mut case: Value = serde_json::from_str(case).expect("the example is JSON");
    let name = case["name"].as_str().unwrap_or("example").to_owned();
    let input = case.get_mut("input").map(Value::take).expect("the example has an input");
    Example { name, input, output: case.get_mut("output").map(Value::take) }
}
