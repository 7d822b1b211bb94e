//! A mock host, for unit tests that run natively.
//!
//! ```
//! use camshaft_sdk::prelude::*;
//! use camshaft_sdk::testing::{self, Answer, Host};
//!
//! fn open_orders(_context: &Context, shop: String) -> Result<u64, Failure> {
//!     let token = secrets::get("api_token")?;
//!     let answer = http::get("https://api.example.com/orders").query("shop", &shop).bearer(&token).send()?;
//!     log::info!("asked for {shop}");
//!     Ok(answer.json::<Value>()?["open"].as_u64().unwrap_or(0))
//! }
//!
//! let host = Host::new()
//!     .secret("api_token", "s3cret")
//!     .answer("GET", "https://api.example.com/orders?shop=north", Answer::json(200, json!({ "open": 3 })));
//! let open = host.run(|| open_orders(&testing::context(), "north".to_owned()));
//! assert_eq!(open, Ok(3));
//! assert_eq!(host.requests()[0].header("authorization"), Some("Bearer s3cret"));
//! assert_eq!(host.logs()[0].message, "asked for north");
//! ```
//!
//! Each thread has its own host, so tests run side by side. Code outside [`Host::run`] meets a host with nothing in it.

mod attacks;
mod cases;
mod mock;
mod sent;

pub use attacks::Vendor;
pub use cases::{adapter_cases, adapter_table, task_cases};
pub(crate) use mock::native;
pub use mock::{Answer, Host, LogLine, SentRequest};
pub use sent::Sent;

use crate::adapter::{self, Adapter, Integration, Receipt, Rejection, Request};
use crate::task::{self, Context, Failure, Task};
use serde_json::Value;

/// The table of deliveries that vendors' own libraries have signed, as seen from the crate of an adapter.
pub const VENDORS: &str = "../../../tests/oracles/vendors.jsonl";

/// The URL of the integration in tests.
const PUBLIC_URL: &str = "https://camshaft.example/hooks/test";

/// Where a call stands, for tests: the first attempt of a step `step`, with an hour left on a new mock host.
pub fn context() -> Context {
    Context {
        execution: "01900000-0000-7000-8000-000000000000".to_owned(),
        step: "step".to_owned(),
        attempt: 1,
        iteration: Vec::new(),
        idempotency_key: "01900000-0000-7000-8000-000000000000/step".to_owned(),
        deadline_ms: native::now_ms() + 3_600_000,
        workspace: "default".to_owned(),
        environment: "production".to_owned(),
        dry_run: false,
    }
}

/// Calls a task as the runtime does: JSON in, JSON out.
///
/// # Errors
/// The task's failure.
pub fn call<T: Task>(input: Value) -> Result<Value, Failure> {
    let output = task::call::<T>(&context(), &input.to_string())?;
    Ok(serde_json::from_str(&output).expect("what serde_json has written is JSON"))
}

/// Hands a delivery to an adapter as the runtime does, for an integration `test` with this configuration and these secrets.
///
/// # Errors
/// The adapter's rejection.
pub fn receive<A: Adapter>(
    request: &Request,
    config: Value,
    secrets: &[(&str, &[&str])],
) -> Result<Receipt, Rejection> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let integration = Integration {
        name: "test".to_owned(),
        config: config.to_string(),
        secrets: secrets.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect(),
    };
    adapter::receive::<A>(request, integration)
}

/// A delivery for tests: `POST` with these headers and this body, received at this time.
pub fn delivery(headers: &[(&str, &str)], body: impl Into<Vec<u8>>, received_at_ms: u64) -> Request {
    Request {
        method: "POST".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        body: body.into(),
        received_at_ms,
        public_url: PUBLIC_URL.to_owned(),
        ..Request::default()
    }
}
