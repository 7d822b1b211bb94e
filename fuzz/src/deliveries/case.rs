//! The golden cases of an adapter: deliveries, with the configuration and the secrets that they are taken or refused with.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::seams::WebhookRequest;
use camshaft_model::time::Timestamp;
use serde_json::Value;

use super::{Adapter, UNSIGNED, read_dir};

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) config: Value,
    pub(crate) secrets: Vec<(String, Vec<String>)>,
    pub(crate) request: WebhookRequest,
    /// Whether the adapter takes it as it is.
    pub(crate) is_taken: bool,
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
        let request = &case["request"];
        let text = |key: &str| request[key].as_str().map(str::to_owned);
        let body = match (text("body_file"), text("body_base64")) {
            (Some(body), _) => fs::read(adapter.join(&body)).unwrap_or_else(|error| panic!("{body}: {error}")),
            (None, Some(body)) => STANDARD.decode(body).expect("a body is base64"),
            (None, None) => text("body").unwrap_or_default().into_bytes(),
        };
        let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let texts = |value: Value| match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            value => value.as_str().map(str::to_owned).into_iter().collect(),
        };
        let headers = fields(&request["headers"]).into_iter();
        let headers = headers.map(|(name, value)| (name, value.as_str().unwrap_or_default().as_bytes().to_vec()));
        Self {
            name: case["name"].as_str().unwrap_or_default().to_owned(),
            config: if case["config"].is_null() { Value::Object(Default::default()) } else { case["config"].clone() },
            secrets: fields(&case["secrets"]).into_iter().map(|(name, values)| (name, texts(values))).collect(),
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
                // A form is signed by its fields, and the same fields can be written in several ways.
                "twilio" => self.request.query.contains("bodySHA256"),
                name => !UNSIGNED.contains(&name),
            }
    }
}
