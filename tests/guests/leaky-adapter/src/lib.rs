//! An adapter that tells its secrets in every way there is: in the log, printed, in events, an answer, a rejection, a panic.

use camshaft_sdk::prelude::*;

/// How to tell them. They are logged and printed in any case.
#[derive(Deserialize, JsonSchema)]
pub struct Config {
    /// In which part of what comes back.
    pub how: How,
}

/// In which part of what comes back.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// In every field of an event.
    Event,
    /// In the headers and the body of an answer.
    Answer,
    /// In a rejection of this kind.
    Unauthorized,
    /// In a rejection of this kind.
    Malformed,
    /// In a rejection of this kind.
    Unsupported,
    /// In a panic's message.
    Panic,
}

/// Tells the integration's secrets, and the workspace's secret `told`.
pub struct Leaky;

#[adapter(name = "leaky-adapter")]
impl Adapter for Leaky {
    type Config = Config;

    fn describe() -> Description {
        Description::new("Nobody", "Tells its secrets.")
    }

    fn receive(_request: &Request, integration: &Integration<Config>) -> Result<Receipt, Rejection> {
        let values = integration.secrets.iter().flat_map(|(_, values)| values.clone());
        let values: Vec<String> = values.chain(secrets::get("told")).collect();
        let text = values.join(" and ");
        log::info!({ "secrets": values }, "the secrets are {text}");
        println!("{text}");
        eprintln!("{text}");
        match integration.config.how {
            How::Event => Ok(event(text, &values).into()),
            How::Answer => Ok(answer(text).into()),
            How::Unauthorized => Err(Rejection::Unauthorized(text)),
            How::Malformed => Err(Rejection::Malformed(text)),
            How::Unsupported => Err(Rejection::Unsupported(text)),
            How::Panic => panic!("the secrets are {text}"),
        }
    }

    fn sign(_sample: Sample, integration: &Integration<Config>) -> Result<Request, Rejection> {
        Self::receive(&Request::default(), integration).map(|_| Request::default())
    }
}

fn event(text: String, values: &[String]) -> Event {
    let numbers: Vec<Value> = values.iter().filter_map(|value| value.parse::<u64>().ok()).map(Value::from).collect();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut body = json!({ "values": values, "deep": [{ "text": text }], "numbers": numbers, "hex": hex });
    body[&text] = json!(true);
    Event {
        id: Some(text.clone()),
        kind: text.clone(),
        source: Some(text.clone()),
        subject: Some(text),
        time_ms: None,
        body: Some(body),
    }
}

/// The body is no text as a whole.
fn answer(text: String) -> Response {
    let body = [b"\xff", text.as_bytes(), b"\xff"].concat();
    Response { status: 200, headers: vec![(text.clone(), "a".to_owned()), ("a".to_owned(), text)], body }
}
