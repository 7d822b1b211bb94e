//! The golden cases of an adapter: deliveries, with the configuration and the secrets that they are taken or refused with.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::seams::WebhookRequest;
use camshaft_model::time::Timestamp;
use serde_json::{Value, json};

use super::{Adapter, UNSIGNED, read_dir};

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) config: Value,
    pub(crate) secrets: Vec<(String, Vec<String>)>,
    pub(crate) request: WebhookRequest,
    /// Whether the adapter takes it as it is.
    pub(crate) is_taken: bool,
    /// What comes of it: `receipt` or `rejection`.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(crate) expected: Value,
    /// What the vendor answers when it is called: URLs with bodies.
    pub(crate) answers: Vec<(String, Vec<u8>)>,
}

impl Case {
    /// Every case in the folder of an adapter.
    pub(crate) fn read_all(adapter: &Path) -> Vec<Self> {
        let mut files = read_dir(&adapter.join("cases"));
        files.sort();
        files.iter().map(|file| Self::read(adapter, file)).collect()
    }

    fn read(adapter: &Path, file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let case: Value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::of(&case, adapter)
    }

    /// A case as it is written, or a line of the table of what vendors' libraries sign.
    pub(crate) fn of(case: &Value, adapter: &Path) -> Self {
        let request = &case["request"];
        let file = |name: &str| fs::read(adapter.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = |key: &str| request[key].as_str().map(str::to_owned);
        let body = match (text("body_file"), text("body_base64")) {
            (Some(body), _) => file(&body),
            (None, Some(body)) => STANDARD.decode(body).expect("a body is base64"),
            (None, None) => text("body").unwrap_or_default().into_bytes(),
        };
        let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let texts = |value: Value| match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            value => value.as_str().map(str::to_owned).into_iter().collect(),
        };
        let secrets = match (case["secret"][0].as_str(), case["secret"][1].as_str()) {
            (Some(name), Some(value)) => vec![(name.to_owned(), vec![value.to_owned()])],
            _ => fields(&case["secrets"]).into_iter().map(|(name, values)| (name, texts(values))).collect(),
        };
        let answer = |exchange: &Value| {
            let (url, answer) = (exchange["request"]["url"].as_str().unwrap_or_default(), &exchange["answer"]);
            let body = answer["body"].as_str().unwrap_or_default().as_bytes().to_vec();
            (url.to_owned(), answer["body_file"].as_str().map_or(body, file))
        };
        let answers = case["http"].as_array().into_iter().flatten().map(answer).collect();
        let told = |name: &str| case.get(name).map(|told| json!({ name: told }));
        let headers = fields(&request["headers"]).into_iter();
        let headers = headers.map(|(name, value)| (name, value.as_str().unwrap_or_default().as_bytes().to_vec()));
        Self {
            name: case["name"].as_str().unwrap_or_default().to_owned(),
            config: if case["config"].is_null() { Value::Object(Default::default()) } else { case["config"].clone() },
            secrets,
            request: WebhookRequest {
                method: text("method").unwrap_or_else(|| "POST".to_owned()),
                path: text("path").unwrap_or_default(),
                query: text("query").unwrap_or_default(),
                headers: headers.collect(),
                body: body.into(),
                remote_address: None,
                received_at: Timestamp::from_millis(request["received_at"].as_u64().unwrap_or_default()),
                public_url: text("url").unwrap_or_else(|| "https://camshaft.example/hooks/test".to_owned()),
            },
            is_taken: !case["receipt"].is_null(),
            expected: told("receipt").or_else(|| told("rejection")).unwrap_or_default(),
            answers,
        }
    }

    pub(crate) fn header(&self, name: &str) -> bool {
        self.request.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// Whether every byte of its body is signed, and the adapter takes it as it is.
    pub(crate) fn is_signed_by(&self, adapter: &Adapter) -> bool {
        self.is_taken
            && match adapter.name.as_str() {
                "generic" => !self.config["signature"].is_null(),
                "gitlab" => self.header("webhook-signature"),
                name => !UNSIGNED.contains(&name),
            }
    }
}
