//! The task `http-request`: one HTTP exchange. Any status is an output, unless the service says that it is busy.

mod answer;
mod input;

use camshaft_sdk::prelude::*;
use input::{Auth, HttpRequest, texts};
use std::time::Duration;

pub use answer::HttpAnswer;

/// Methods that change nothing: they need no idempotency key, and are sent in a dry run too.
const SAFE_METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "TRACE"];

/// Calls an HTTP API and gives status, headers and body of the answer.
#[task(
    name = "http-request",
    example("an order", input = { "url": "https://shop.example/orders/7", "auth": { "bearer": "s3cret" } }),
    example("a new order", input = { "method": "POST", "url": "https://shop.example/orders", "body": { "item": 7 } }),
)]
pub fn http_request(context: &Context, input: HttpRequest) -> Result<HttpAnswer, Failure> {
    let method = input.method.to_ascii_uppercase();
    let safe = SAFE_METHODS.contains(&method.as_str());
    if context.dry_run && !safe {
        log::info!("a dry run: {method} is not sent");
        return Ok(HttpAnswer::of_dry_run());
    }
    let timeout = Duration::from_millis(input.timeout).min(context.remaining());
    let mut request = http::request(&method, &input.url).timeout(timeout);
    for (name, value) in &input.query {
        for text in texts(value)
            .ok_or_else(|| Failure::invalid_input(format!("`query.{name}` is no scalar or list of scalars")))?
        {
            request = request.query(name, &text);
        }
    }
    for (name, value) in &input.headers {
        for text in texts(value)
            .ok_or_else(|| Failure::invalid_input(format!("`headers.{name}` is no scalar or list of scalars")))?
        {
            request = request.header(name, &text);
        }
    }
    request = match &input.auth {
        Some(Auth::Basic { user, password }) => request.basic(user, password),
        Some(Auth::Bearer(token)) => request.bearer(token),
        None => request,
    };
    request = match &input.body {
        None => request,
        Some(Value::String(text)) => request.text(text),
        Some(json) => request.json(json),
    };
    if !safe {
        request = request.idempotent(context);
    }
    let agent = concat!("camshaft-http-request/", env!("CARGO_PKG_VERSION"));
    let response = request.default_header("user-agent", agent).send()?;
    let busy = input.unavailable_on.contains(&response.status);
    let wait = response.header("retry-after").and_then(answer::retry_after);
    let answer = HttpAnswer::of(response)?;
    if !busy {
        return Ok(answer);
    }
    let failure = Failure::unavailable(format!("the service is busy: it answered {}", answer.status));
    let failure = wait.into_iter().fold(failure, Failure::retry_after);
    Err(failure.details(json!(answer)))
}

#[cfg(test)]
mod tests;
