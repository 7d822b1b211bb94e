//! Whether a delivery proves who sent it, told without the adapter: by its token where the vendor has nothing else, by what it was
//! signed with elsewhere. The adapters' own code has no part in this.

use camshaft_model::seams::WebhookRequest;
use serde::Deserialize;
use serde_json::Value;

use super::Adapter;
use super::case::Case;
use super::change::Changed;

/// The headers that a vendor's signature is in.
const SIGNATURES: [(&str, &[&str]); 21] = [
    ("bitbucket", &["X-Hub-Signature"]),
    ("discord", &["X-Signature-Ed25519"]),
    ("docusign", &["X-DocuSign-Signature-1", "X-DocuSign-Signature-2"]),
    ("github", &["X-Hub-Signature-256"]),
    ("gitlab", &["webhook-signature"]),
    ("hubspot", &["X-HubSpot-Signature-v3", "X-HubSpot-Signature"]),
    ("intercom", &["X-Hub-Signature"]),
    ("jira", &["X-Hub-Signature"]),
    ("linear", &["Linear-Signature"]),
    ("meta", &["X-Hub-Signature-256"]),
    ("pagerduty", &["X-PagerDuty-Signature"]),
    ("sentry", &["Sentry-Hook-Signature"]),
    ("shopify", &["X-Shopify-Hmac-Sha256"]),
    ("slack", &["X-Slack-Signature"]),
    ("square", &["x-square-hmacsha256-signature"]),
    ("standard-webhooks", &["webhook-signature", "svix-signature"]),
    ("stripe", &["Stripe-Signature"]),
    ("twilio", &["X-Twilio-Signature"]),
    ("typeform", &["Typeform-Signature"]),
    ("zendesk", &["X-Zendesk-Webhook-Signature"]),
    ("zoom", &["x-zm-signature"]),
];
/// What is signed of a message of Amazon SNS.
const SNS_FIELDS: [&str; 9] =
    ["Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "Token", "SubscribeURL", "SignatureVersion"];
/// The least part of a header that can be a signature.
const SIGNATURE_CHARS_MIN: usize = 20;
/// Characters of a Salesforce organisation's id that count.
const ORGANIZATION_CHARS: usize = 15;

/// What a delivery lacks that starts something; none where it proves itself.
pub(crate) fn lacking(adapter: &Adapter, case: &Case, changed: &Changed) -> Option<&'static str> {
    let (request, secrets) = (&changed.request, &changed.secrets);
    let is_token = |secret: &str, given: Option<String>| given.is_some_and(|given| is_one_of(secrets, secret, &given));
    match adapter.name.as_str() {
        "cloudevents" | "datadog" | "dockerhub" => {
            let given = match changed.config["header"].as_str() {
                Some(name) => header(request, name),
                None => parameter(request, "token"),
            };
            (!is_token("header_value", given)).then_some("another token")
        }
        "okta" => (!is_token("header_value", header(request, "Authorization"))).then_some("another token"),
        "gitlab" if header(request, "webhook-signature").is_none() => {
            (!is_token("signing_secret", header(request, "X-Gitlab-Token"))).then_some("another token")
        }
        "microsoft-graph" => {
            let notifications = json(request)["value"].as_array().cloned().unwrap_or_default();
            let state = |one: &Value| one["clientState"].as_str().map(str::to_owned);
            let all = notifications.iter().all(|one| is_token("client_state", state(one)));
            (!all || notifications.is_empty()).then_some("another state")
        }
        "salesforce" => {
            let body = String::from_utf8_lossy(&request.body);
            let named = values(secrets, "organization_id")
                .any(|id| body.contains(&format!(">{}", id.get(..ORGANIZATION_CHARS).unwrap_or(id))));
            let has_token = values(secrets, "header_value").next().is_some();
            let proven = named && (!has_token || is_token("header_value", parameter(request, "token")));
            (!proven).then_some("another organisation or token")
        }
        "aws-sns" => {
            let message = json(request);
            let signed = |case: &Case| {
                let genuine = json(&case.request);
                case.is_taken && SNS_FIELDS.iter().all(|name| message[*name] == genuine[*name])
            };
            (!adapter.cases.iter().any(signed)).then_some("another message")
        }
        // It takes everything where nothing is configured.
        "generic" if changed.config != case.config || case.config["signature"].is_null() => None,
        "generic" => unsigned(&[case.config["signature"]["header"].as_str()?], case, changed),
        name => {
            let (_, headers) = SIGNATURES.iter().find(|(adapter, _)| *adapter == name).expect("each has a proof");
            unsigned(headers, case, changed)
        }
    }
}

/// What is signed, with a signature or keys that are not those of the case.
fn unsigned(headers: &[&str], case: &Case, changed: &Changed) -> Option<&'static str> {
    let kept = |(field, old): &(String, Vec<String>)| {
        values(&changed.secrets, field).any(|new| old.iter().any(|old| old == new)) || field == "verify_token"
    };
    if !case.secrets.iter().all(kept) {
        return Some("other secrets");
    }
    let parts = |request: &WebhookRequest| -> Vec<String> {
        let values = headers.iter().filter_map(|name| header(request, name));
        let split = |value: String| value.split([',', '=', ' ']).map(str::to_ascii_lowercase).collect::<Vec<_>>();
        values.flat_map(split).filter(|part| part.len() >= SIGNATURE_CHARS_MIN).collect()
    };
    let genuine = parts(&case.request);
    (!parts(&changed.request).iter().any(|part| genuine.contains(part))).then_some("another signature")
}

fn values<'a>(secrets: &'a [(String, Vec<String>)], field: &'a str) -> impl Iterator<Item = &'a str> {
    let of_field = secrets.iter().filter(move |(name, _)| name == field).flat_map(|(_, values)| values);
    of_field.map(String::as_str).filter(|value| !value.is_empty())
}

fn is_one_of(secrets: &[(String, Vec<String>)], field: &str, given: &str) -> bool {
    values(secrets, field).any(|value| value == given)
}

/// The header's one value, without the blanks around it.
fn header(request: &WebhookRequest, name: &str) -> Option<String> {
    let mut values = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let (value, other) = (values.next()?, values.next());
    other.is_none().then(|| String::from_utf8_lossy(value).trim().to_owned())
}

/// The parameter's one value.
fn parameter(request: &WebhookRequest, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(request.query.as_bytes()).filter(|(key, _)| key == name);
    let (value, other) = (values.next()?, values.next());
    other.is_none().then(|| value.1.into_owned())
}

fn json(request: &WebhookRequest) -> Value {
    let body = request.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&request.body);
    // As adapters read it: what is not signed may hold bytes that are no text, and be deep.
    let text = String::from_utf8_lossy(body);
    let mut reader = serde_json::Deserializer::from_str(&text);
    reader.disable_recursion_limit();
    Value::deserialize(&mut reader).unwrap_or_default()
}
