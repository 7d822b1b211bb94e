//! Every golden case, and every delivery that a vendor's own library has signed, through the components that are shipped.

use camshaft_model::seams::{AdapterEvent, AdapterResponse, Receipt, Refusal, WebhookRequest};
use serde_json::{Map, Value, json};

use super::{ADAPTERS, Adapters, received, signed};

/// Deliveries of each adapter: one that is taken at least.
#[test]
fn every_golden_case_holds_in_the_component() {
    let Adapters { all, .. } = &*ADAPTERS;
    let mut faults = Vec::new();
    for adapter in all {
        assert!(adapter.cases.iter().any(|case| case.expected["receipt"]["events"][0].is_object()), "{}", adapter.name);
        for case in &adapter.cases {
            let found = told(&received(adapter, case.config.clone(), case.secrets.clone(), &case.request));
            if found != case.expected {
                faults
                    .push(format!("{}: {}\n  expected {}\n  found    {found}", adapter.name, case.name, case.expected));
            }
        }
    }
    assert!(all.len() >= 29, "{} adapters", all.len());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_vendors_own_libraries_sign_is_taken_in_the_component_and_nothing_near_it() {
    let Adapters { all, .. } = &*ADAPTERS;
    for (name, case) in signed() {
        let adapter = all.iter().find(|adapter| adapter.name.as_str() == name).expect("it is shipped");
        let told = || format!("{name}: {:?}", case.request);
        let receive = |request: &WebhookRequest, keys: &[(String, Vec<String>)]| {
            received(adapter, case.config.clone(), keys.to_vec(), request)
        };
        let taken = receive(&case.request, &case.secrets);
        assert!(taken.as_ref().is_ok_and(|receipt| receipt.events.len() == 1), "{}: {taken:?}", told());
        if !case.secrets.is_empty() {
            let without = receive(&case.request, &[]);
            assert!(matches!(without, Err(Refusal::Unauthorized(_))), "{}: {without:?}", told());
        }
        let mut body = case.request.body.to_vec();
        *body.last_mut().expect("it has a body") ^= 1;
        let changed = receive(&WebhookRequest { body: body.into(), ..case.request.clone() }, &case.secrets);
        let is_refused = matches!(changed, Err(Refusal::Unauthorized(_) | Refusal::Malformed(_)));
        assert!(is_refused, "{}: {changed:?}", told());
    }
}

/// As cases write it.
fn told(received: &Result<Receipt, Refusal>) -> Value {
    match received {
        Ok(Receipt { events, respond }) => {
            let mut receipt = json!({ "events": events.iter().map(event).collect::<Vec<_>>() });
            if let Some(AdapterResponse { status, headers, body }) = respond {
                let headers: Map<_, _> = headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                let body = String::from_utf8_lossy(body);
                receipt["respond"] = json!({ "status": status, "headers": headers, "body": body });
            }
            json!({ "receipt": receipt })
        }
        Err(refusal) => {
            let (kind, message) = match refusal {
                Refusal::Unauthorized(message) => ("unauthorized", message.clone()),
                Refusal::Malformed(message) => ("malformed", message.clone()),
                Refusal::Unsupported(message) => ("unsupported", message.clone()),
                Refusal::Unavailable(message) => ("unavailable", message.clone()),
                Refusal::Broken(failure) => ("broken", failure.to_string()),
            };
            json!({ "rejection": { kind: message } })
        }
    }
}

fn event(event: &AdapterEvent) -> Value {
    let AdapterEvent { id, kind, source, subject, time, body } = event;
    let mut told = Map::from_iter([("type".to_owned(), json!(kind))]);
    let mut put = |name: &str, value: Option<Value>| value.map(|value| told.insert(name.to_owned(), value));
    put("id", id.as_ref().map(|id| json!(id)));
    put("source", source.as_ref().map(|source| json!(source)));
    put("subject", subject.as_ref().map(|subject| json!(subject)));
    put("time_ms", time.map(|time| json!(time.as_millis())));
    put("body", body.clone());
    Value::Object(told)
}
