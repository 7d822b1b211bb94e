//! A task that calls whatever URL it is given: for grants, refused addresses, and bounds on answers.

use camshaft_sdk::prelude::*;
use std::time::Duration;

/// Whom to call.
#[derive(Deserialize, JsonSchema)]
pub struct Call {
    /// The URL.
    pub url: String,
    /// The method; `GET` if left out.
    #[serde(default)]
    pub method: Option<String>,
    /// A text to send.
    #[serde(default)]
    pub body: Option<String>,
    /// How often to call, one after the other; once if left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// Milliseconds that each call may take.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// The last answer.
#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Bytes of its body.
    pub bytes: usize,
    /// Its body's first kilobyte.
    pub start: String,
}

/// Calls, and says what came back.
#[task(name = "call-host")]
pub fn call(context: &Context, input: Call) -> Result<Answer, Failure> {
    let mut last = None;
    for _ in 0..input.times.unwrap_or(1).max(1) {
        let mut request = http::request(input.method.as_deref().unwrap_or("GET"), &input.url).idempotent(context);
        if let Some(text) = &input.body {
            request = request.text(text);
        }
        if let Some(timeout) = input.timeout {
            request = request.timeout(Duration::from_millis(timeout));
        }
        last = Some(request.send()?);
    }
    let response = last.ok_or_else(|| Failure::failed("nothing was called"))?;
    let start = String::from_utf8_lossy(&response.body[..response.body.len().min(1024)]).into_owned();
    Ok(Answer { status: response.status, bytes: response.body.len(), start })
}
