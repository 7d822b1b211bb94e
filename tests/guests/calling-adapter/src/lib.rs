//! An adapter that calls whatever URL its configuration says: for grants, refused addresses, and bounds on answers.

use camshaft_sdk::prelude::*;

/// Whom to call.
#[derive(Deserialize, JsonSchema)]
pub struct Config {
    /// The URL.
    pub url: String,
}

/// Calls, and takes the delivery with the answer as its event's body.
pub struct Calling;

#[adapter(name = "calling-adapter")]
impl Adapter for Calling {
    type Config = Config;

    fn describe() -> Description {
        Description::new("Nobody", "Calls its vendor.").host("https://keys.*.example.com")
    }

    fn receive(_request: &Request, integration: &Integration<Config>) -> Result<Receipt, Rejection> {
        let answer = http::get(&integration.config.url).send()?;
        let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(1024)]).into_owned();
        let body = Some(json!({ "status": answer.status, "bytes": answer.body.len(), "start": start }));
        Ok(Event { body, ..Event::new("called") }.into())
    }
}
