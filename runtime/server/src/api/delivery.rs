//! A delivery as people may see it: what only its sender and the server should know is hidden.

use std::collections::BTreeSet;

use camshaft_model::Value;
use camshaft_model::seams::{Integration, WebhookRequest};
use serde::Serialize;
use utoipa::ToSchema;

/// Most of a body that is shown, bytes.
const BODY_SHOWN: usize = 4 << 10;
/// What stands in place of what only its sender and the server should know.
const HIDDEN: &str = "<hidden>";
/// What is shorter is no credential, and would be hidden wherever it stands.
const TOLD_BYTES_MIN: usize = 6;

/// A delivery as it came, with what is secret hidden.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestView {
    /// The method.
    pub method: String,
    /// The URL, as the server saw it; values of its query are hidden.
    pub url: String,
    /// Where it came from.
    pub remote_address: Option<String>,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Its beginning, as text.
    pub body: String,
}

impl RequestView {
    pub(super) fn of(integration: &Integration, request: &WebhookRequest) -> Self {
        let secrets = Secrets::of(integration);
        let query: Vec<_> = request.query.split('&').filter(|pair| !pair.is_empty()).collect();
        let keys: Vec<_> = query
            .iter()
            .map(|pair| format!("{}={HIDDEN}", pair.split_once('=').map_or(*pair, |(key, _)| key)))
            .collect();
        let url = without_query(&request.public_url);
        Self {
            method: request.method.clone(),
            url: if keys.is_empty() { url.to_owned() } else { format!("{url}?{}", keys.join("&")) },
            remote_address: request.remote_address.clone(),
            headers: request.headers.iter().map(|(name, value)| secrets.header(name, value)).collect(),
            body_bytes: request.body.len(),
            body: secrets.beginning(&request.body),
        }
    }
}

/// The secrets of an integration, in the forms in which a delivery or its answer carries them.
pub(super) struct Secrets(Vec<(String, String)>);

impl Secrets {
    pub(super) fn of(integration: &Integration) -> Self {
        let values = integration.secrets.iter().flat_map(|(field, values)| values.iter().map(move |one| (field, one)));
        let mut forms: Vec<(String, String)> = values
            .filter(|(_, value)| !value.is_empty())
            .flat_map(|(field, value)| forms(value).map(|form| (form, format!("<secret {field}>"))))
            .collect();
        // Of two that begin at the same place, the longer one is the whole.
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// A text without secrets.
    pub(super) fn hidden(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (form, mark)| text.replace(form, mark))
    }

    /// A header, without what its sender proves itself with, right or wrong.
    pub(super) fn header(&self, name: &str, value: &[u8]) -> (String, String) {
        let text = if is_credential(name) { HIDDEN.to_owned() } else { self.hidden(&String::from_utf8_lossy(value)) };
        (name.to_owned(), text)
    }

    /// The beginning of a body, as text.
    pub(super) fn beginning(&self, body: &[u8]) -> String {
        // Masked before it is cut, so that no secret is cut in two.
        let mut text = self.hidden(&String::from_utf8_lossy(body));
        text.truncate(text.floor_char_boundary(BODY_SHOWN));
        without_told(&text)
    }
}

/// As it is, and as it stands in JSON, in XML, where `>` may stay as it is, and in a form.
fn forms(value: &str) -> [String; 5] {
    let json = Value::from(value).to_string();
    let xml = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let all_of_xml = xml.replace('>', "&gt;");
    let form = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    [value.to_owned(), json[1..json.len() - 1].to_owned(), xml, all_of_xml, form]
}

/// Signatures hold for one body, and may be seen; tokens hold for every one.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
        "api_key",
        "apikey",
        "sessionid",
        "session_id",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// A text without what a vendor tells in it in fields that are credentials: in JSON, in XML, in a form, in queries of URLs, whole or
/// broken off.
fn without_told(text: &str) -> String {
    let mut told = BTreeSet::new();
    told_in(text, &mut |value| told.extend([value.to_owned()]));
    for (_, text) in form_urlencoded::parse(text.as_bytes()) {
        told_in(&text, &mut |value| told.extend(forms(value)));
    }
    let mut told: Vec<_> = told.into_iter().filter(|value| value.len() >= TOLD_BYTES_MIN).collect();
    // Of two that begin at the same place, the longer one is the whole.
    told.sort_by_key(|value| std::cmp::Reverse(value.len()));
    told.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), HIDDEN))
}

fn told_in(text: &str, tell: &mut dyn FnMut(&str)) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.~%+".contains(c);
    for (at, mark) in text.char_indices() {
        let (before, after) = (&text[..at], &text[at + mark.len_utf8()..]);
        let (name, value) = match mark {
            '=' => (before.rsplit(|c| !is_part(c)).next(), after.split(|c| !is_part(c)).next()),
            '>' => {
                let tag = before.rsplit('<').next().filter(|tag| !tag.starts_with('/') && !is_mark(tag));
                (tag.and_then(|tag| tag.split_ascii_whitespace().next()), after.split('<').next())
            }
            ':' => {
                let quoted = before.trim_end().strip_suffix('"').map(|name| name.trim_end_matches('\\'));
                (quoted.and_then(|name| name.rsplit('"').next()), Some(of_json(after.trim_start())))
            }
            _ => continue,
        };
        if let (Some(name), Some(value)) = (name, value)
            && is_credential(name)
        {
            tell(value);
        }
    }
}

/// Whether it is what stands in place of a secret, and no element: those have attributes.
fn is_mark(tag: &str) -> bool {
    tag.starts_with("secret ") && !tag.contains('=')
}

/// The string or number that a text begins with, which may be JSON within a string of JSON.
fn of_json(text: &str) -> &str {
    if let Some(text) = text.strip_prefix("\\\"") {
        return text.split("\\\"").next().unwrap_or(text);
    }
    match text.strip_prefix('"') {
        Some(text) => {
            let mut is_escaped = false;
            let end = text.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            });
            &text[..end.unwrap_or(text.len())]
        }
        None => text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default(),
    }
}

/// A URL up to its query, whose values may be secret.
pub(super) fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(url, _)| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_a_vendor_tells_in_a_body_are_hidden() {
        for body in [
            r#"{"token":"xyzzy-1234","event":{"interaction_token":"xyzzy-1234","text":"hello"}}"#,
            "token=xyzzy-1234&text=hello",
            "text=hello&response_token=xyzzy-1234",
            "<n:SessionId xsi:type=\"string\">xyzzy-1234</n:SessionId><text>hello</text>",
            r#"{"access_token": 123456789,"token":"xyzzy-1234","text":"hello"}"#,
            r#"{"payload":"{\"token\":\"xyzzy-1234\",\"text\":\"hello\"}"}"#,
            "payload=%7B%22token%22%3A%22xyzzy-1234%22%2C%22text%22%3A%22hello%22%7D",
            r#"{"UnsubscribeURL":"https://sns.example/?Action=x&Token=xyzzy-1234","Message":"hello"}"#,
        ] {
            let shown = without_told(body);
            assert!(!shown.contains("xyzzy") && shown.contains("hello") && shown.contains(HIDDEN), "{shown}");
        }
        for broken_off in [r#"{"text":"hello","token":"xyzzy-1234"#, "hello&token=xyzzy-1234", "hello<Token>xyzzy-1234"]
        {
            assert!(!without_told(broken_off).contains("xyzzy"), "{broken_off}");
        }
        for harmless in [
            r#"{"token":"no","a":"no","session":{"number":5}}"#,
            "<secret pin>,9999999 é=x",
            "\u{fffd}a=b",
            "数量=5: “a=b”",
            "=:>\"\\",
        ] {
            assert_eq!(without_told(harmless), harmless);
        }
    }

    #[test]
    fn a_secret_is_hidden_as_it_stands_in_json_xml_and_forms() {
        let secret = "s3<c>\"r&t";
        let secrets = Secrets(forms(secret).map(|form| (form, "<secret pin>".to_owned())).into());
        for text in [secret, r#"s3<c>\"r&t"#, "s3&lt;c>&quot;r&amp;t", "s3&lt;c&gt;&quot;r&amp;t", "s3%3Cc%3E%22r%26t"]
        {
            assert_eq!(secrets.hidden(&format!("a {text} b")), "a <secret pin> b", "{text}");
        }
    }
}
