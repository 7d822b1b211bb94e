//! Where a trigger is called, as commands that people paste into a shell. What is secret they read from variables; everything else
//! is quoted, since header names and texts of others stand in it.

use camshaft_model::plugin::Descriptor;
use camshaft_model::{Value, json};

use super::App;
use crate::catalog::specs::TriggerSpec;

/// A call of one of a trigger's URLs, with an example of what it takes.
pub fn of(app: &App, trigger: &TriggerSpec, which: &str, url: &str, params: &Value) -> String {
    let token = |variable: &str| format!(" -H \"Authorization: Bearer ${variable}\"");
    let (token_of_api, token_of_workflow) = (token("CAMSHAFT_TOKEN"), token("WORKFLOW_TOKEN"));
    match (trigger.kind.as_str(), &trigger.event_type, &trigger.app_event) {
        (_, Some(kind), _) => {
            let event = json!({"specversion": "1.0", "id": "1", "source": "/here", "type": kind, "data": {}});
            post(url, &token_of_api, "application/cloudevents+json", &event)
        }
        (_, _, Some(name)) => {
            let event = json!({"name": name, "payload": {}});
            post(&url.replace("{user}", "USER"), &token_of_api, "application/json", &event)
        }
        ("webhook" | "resource", ..) => delivery(app, trigger, url),
        ("request", ..) if which == "trigger" => {
            post(url, &token_of_workflow, "application/json", &json!({"params": params}))
        }
        ("request", ..) => post(url, &token_of_workflow, "application/json", params),
        _ => post(url, &token_of_api, "application/json", &json!({"params": params})),
    }
}

/// A delivery with what the integration's configuration wants of it. A signature nobody writes by hand: what sends one is told.
fn delivery(app: &App, trigger: &TriggerSpec, url: &str) -> String {
    let kept = trigger.integration.as_ref().and_then(|name| app.catalog.integration_kept(&app.workspace, name));
    let Some(kept) = kept else { return post(url, "", "application/json", &json!({})) };
    let (config, pin) = (&kept.spec.config, &kept.spec.adapter);
    let credentials = match config["auth"].as_object().and_then(|auth| auth.iter().next()) {
        Some((word, Value::String(name))) if word == "header" => {
            format!(" -H {}\"$SECRET\"", quoted(&format!("{name}: ")))
        }
        Some((word, _)) if word == "basic" => " -u \"$SECRET\"".to_owned(),
        _ => String::new(),
    };
    let call = post(url, &credentials, "application/json", &json!({}));
    let is_signed = config["signature"].is_object() || (credentials.is_empty() && !kept.spec.secrets.is_empty());
    if !is_signed {
        return call;
    }
    let release = app.catalog.release(&app.workspace, &pin.name, &pin.version);
    let event = release.as_ref().and_then(|release| match &release.spec.descriptor {
        Descriptor::Adapter(adapter) => {
            adapter.events.iter().find(|event| !event.name.contains(char::is_control)).map(|event| quoted(&event.name))
        }
        Descriptor::Task(_) => None,
    });
    let (name, event) = (&kept.key.name, event.unwrap_or_else(|| "EVENT".to_owned()));
    // `#` is no comment to an interactive zsh; `:` does nothing everywhere.
    format!("{call}; : only signed, as by: camshaft integration test {name} --event {event}")
}

fn post(url: &str, credentials: &str, content_type: &str, body: &Value) -> String {
    let (url, body) = (quoted(url), quoted(&body.to_string()));
    format!("curl -X POST {url}{credentials} -H 'Content-Type: {content_type}' -d {body}")
}

/// A text as a shell reads it, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(quoted("it's $HOME `x`"), r"'it'\''s $HOME `x`'");
        let call = post("http://h/", "", "application/json", &json!({"name": "'; rm -rf /; '"}));
        assert_eq!(
            call,
            r#"curl -X POST 'http://h/' -H 'Content-Type: application/json' -d '{"name":"'\''; rm -rf /; '\''"}'"#
        );
    }
}
