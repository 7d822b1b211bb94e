//! A small blocking HTTP client over `wasi:http`.
//!
//! ```no_run
//! # use camshaft_sdk::prelude::*;
//! # fn example(context: &Context) -> Result<(), Failure> {
//! let answer = http::post("https://api.example.com/orders")
//!     .bearer(&secrets::get("api_token")?)
//!     .idempotent(context)
//!     .json(&json!({ "item": 7 }))
//!     .send()?;
//! if answer.status == 201 {
//!     let order: Value = answer.json()?;
//!     log::info!("order {}", order["id"]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Using it makes a plugin observable, and an operator has to grant the hosts. Redirects are not followed.

mod error;
mod request;
mod response;
mod url;

pub use error::HttpError;
pub(crate) use request::Outgoing;
pub use request::{Method, Request};
pub use response::Response;

/// A request with any method.
pub fn request(method: &str, url: &str) -> Request {
    Request::new(method, url)
}

/// `GET`.
pub fn get(url: &str) -> Request {
    Request::new("GET", url)
}

/// `POST`.
pub fn post(url: &str) -> Request {
    Request::new("POST", url)
}

/// `PUT`.
pub fn put(url: &str) -> Request {
    Request::new("PUT", url)
}

/// `PATCH`.
pub fn patch(url: &str) -> Request {
    Request::new("PATCH", url)
}

/// `DELETE`.
pub fn delete(url: &str) -> Request {
    Request::new("DELETE", url)
}
