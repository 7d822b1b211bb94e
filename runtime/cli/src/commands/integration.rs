//! `camshaft integration …`

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Session, read_text, read_yaml, stem};
use crate::arguments::Integration;
use crate::client::escape;
use crate::view::{pairs, table, text};

pub(super) fn run(session: &Session, command: Integration) -> Result<()> {
    match command {
        Integration::Apply { files } => {
            for file in &files {
                let applied = apply(session, file)?;
                session.print(&applied, applied_line)?;
            }
            Ok(())
        }
        Integration::Ls => {
            let items = session.client.list("/api/v1/integrations")?;
            session.print(&Value::Array(items), |items| {
                let row =
                    |i: &Value| ["name", "adapter", "version", "received", "refused"].map(|key| text(&i[key])).into();
                let rows = items.as_array().into_iter().flatten().map(row);
                table(&["name", "adapter", "version", "received", "refused"], rows)
            })
        }
        Integration::Show { name } => {
            let shown = session.client.get(&format!("/api/v1/integrations/{}", escape(&name)))?;
            session.print(&shown, show)
        }
        Integration::Doctor { name } => {
            let path = format!("/api/v1/integrations/{}/doctor", escape(&name));
            let found = session.client.json("POST", &path, &Value::Null)?;
            session.print(&found, diagnosis)
        }
        Integration::Test { name, event, body, environment } => {
            let body = body.map(|file| read_text(&file)).transpose()?;
            let wanted = json!({"event": event, "body": body, "environment": environment});
            let path = format!("/api/v1/integrations/{}/test", escape(&name));
            let delivered = session.client.json("POST", &path, &wanted)?;
            session.print(&delivered, sample)?;
            let status = text(&delivered["answer"]["status"]);
            ensure!(status.starts_with(['2', '3']), "the sample was answered with {status}");
            Ok(())
        }
        Integration::Rm { name } => {
            session.client.json("DELETE", &format!("/api/v1/integrations/{}", escape(&name)), &Value::Null)?;
            session.print(&json!({"name": name}), |_| format!("integration {name}  removed"))
        }
    }
}

/// Puts one; its secrets may come from the environment.
pub(super) fn apply(session: &Session, file: &Path) -> Result<Value> {
    let mut spec = read_yaml(file)?;
    let fields = spec.as_object_mut().with_context(|| format!("{} is a map with an `adapter`", file.display()))?;
    let name = match fields.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => anyhow::bail!("{}: `name` is a text, found {other}", file.display()),
        None => stem(file),
    };
    if let Some(secrets) = fields.get_mut("secrets").and_then(Value::as_object_mut) {
        for (field, value) in secrets {
            if let Some(variable) = value["env"].as_str() {
                let found = std::env::var(variable).with_context(|| {
                    format!("{}: the secret `{field}` is in ${variable}, which is not set", file.display())
                })?;
                *value = json!(found);
            }
        }
    }
    let path = format!("/api/v1/integrations/{}", escape(&name));
    session.client.json("PUT", &path, &spec).with_context(|| file.display().to_string())
}

pub(super) fn applied_line(applied: &Value) -> String {
    let adapter = format!("{}@{}", text(&applied["adapter"]), text(&applied["version"]));
    format!("integration {}  {adapter}  {}", text(&applied["name"]), text(&applied["urls"]["webhook"]))
}

fn show(shown: &Value) -> String {
    let urls = &shown["urls"];
    let mut lines = vec![pairs(&[
        ("integration", text(&shown["name"])),
        ("adapter", format!("{}@{}", text(&shown["adapter"]), text(&shown["version"]))),
        ("id", text(&shown["id"])),
        ("enabled", text(&shown["enabled"])),
        ("configuration", text(&shown["config"])),
        ("secrets set", text(&shown["secrets"])),
        ("webhook", text(&urls["webhook"])),
        ("async", text(&urls["async_template"])),
        ("sync", text(&urls["sync_template"])),
        ("received", text(&shown["received"])),
        ("refused", text(&shown["refused"])),
    ])];
    for refusal in shown["last_refusals"].as_array().into_iter().flatten() {
        let (time, status) = (text(&refusal["time"]), text(&refusal["status"]));
        lines.push(format!("  {time}  {status}  {}  {}", text(&refusal["delivery"]), text(&refusal["reason"])));
    }
    lines.join("\n")
}

/// What was sent, what it was answered with, and what it started.
fn sample(delivered: &Value) -> String {
    let (sent, answer) = (&delivered["sent"], &delivered["answer"]);
    let mut lines = request(sent);
    lines.push(format!("answered {}  {}", text(&answer["status"]), text(&answer["body"]).trim_end()));
    for execution in delivered["executions"].as_array().into_iter().flatten() {
        let (workflow, id) = (text(&execution["workflow"]), text(&execution["execution_id"]));
        lines.push(format!("started {workflow}  camshaft execution show {id}"));
    }
    lines.extend(delivered["notes"].as_array().into_iter().flatten().map(text));
    lines.join("\n")
}

/// A delivery, without its body.
fn request(request: &Value) -> Vec<String> {
    let mut lines = vec![format!("{} {}", text(&request["method"]), text(&request["url"]))];
    for header in request["headers"].as_array().into_iter().flatten() {
        lines.push(format!("  {}: {}", text(&header[0]), text(&header[1])));
    }
    lines.push(format!("  {} bytes of body; with `--json` you see it", text(&request["body_bytes"])));
    lines
}

fn diagnosis(found: &Value) -> String {
    let mut lines = Vec::new();
    for refused in found["refused"].as_array().into_iter().flatten() {
        let (time, status, delivery) = (text(&refused["time"]), text(&refused["status"]), text(&refused["delivery"]));
        lines.push(format!("{time}  {status}  {delivery}  {}", text(&refused["reason"])));
        lines.push(format!("  {}: {}", text(&refused["cause"]), text(&refused["advice"])));
        lines.extend(request(&refused["request"]).into_iter().map(|line| format!("  {line}")));
    }
    lines.extend(found["notes"].as_array().into_iter().flatten().map(text));
    if lines.is_empty() {
        lines.push("nothing that was refused is kept; wait for the next delivery".to_owned());
    }
    lines.join("\n")
}
