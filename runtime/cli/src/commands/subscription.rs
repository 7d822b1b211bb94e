//! `camshaft subscription …`

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::Session;
use crate::arguments::{Subscribed, Subscription};
use crate::client::escape;
use crate::view::{pairs, table, text};

/// Dead letters that `show` tells of.
const SHOWN: usize = 5;

pub(super) fn run(session: &Session, command: Subscription) -> Result<()> {
    let client = &session.client;
    let path = |name: &str| format!("/api/v1/subscriptions/{}", escape(name));
    match command {
        Subscription::Add(wanted) => {
            let body = body(&wanted)?;
            let put = client.json("PUT", &path(&wanted.name), &body)?;
            session.print(&put, made)
        }
        Subscription::Ls => {
            let items = client.list("/api/v1/subscriptions")?;
            session.print(&Value::Array(items), |items| {
                let columns = ["name", "url", "on", "enabled", "waiting", "dead"];
                let row = |item: &Value| columns.map(|key| text(&item[key])).into();
                table(&columns, items.as_array().into_iter().flatten().map(row))
            })
        }
        Subscription::Show { name } => {
            let mut shown = client.get(&path(&name))?;
            let letters = client.get(&format!("{}/letters?limit={SHOWN}", path(&name)))?;
            shown["dead_letters"] = letters["items"].clone();
            session.print(&shown, show)
        }
        Subscription::Rm { name } => {
            client.json("DELETE", &path(&name), &Value::Null)?;
            session.print(&json!({"name": name}), |_| format!("subscription {name}  removed"))
        }
        Subscription::Test { name } => {
            let told = client.json("POST", &format!("{}/test", path(&name)), &Value::Null)?;
            session.print(&told, |told| match told["why"].as_str() {
                Some(why) => format!("not taken: {why}"),
                None if told["ok"] == true => format!("taken: answered {}", told["status"]),
                None => format!("not taken: answered {}", told["status"]),
            })
        }
        Subscription::Rotate { name } => {
            let rotated = client.json("POST", &format!("{}/rotate", path(&name)), &Value::Null)?;
            session.print(&rotated, made)
        }
        Subscription::Letters { name, waiting } => {
            let state = if waiting { "waiting" } else { "dead" };
            let items = client.list(&format!("{}/letters?state={state}", path(&name)))?;
            session.print(&Value::Array(items), |items| {
                let items = items.as_array().into_iter().flatten();
                table(
                    &["letter", "type", "tries", if waiting { "due" } else { "dead since" }, "why"],
                    items.map(letter),
                )
            })
        }
        Subscription::Redrive { name, letter } => {
            let path = match letter {
                Some(letter) => format!("{}/letters/{}/redrive", path(&name), escape(&letter)),
                None => format!("{}/redrive", path(&name)),
            };
            let told = client.json("POST", &path, &Value::Null)?;
            session.print(&told, |told| format!("{} letters are sent anew", told["redriven"]))
        }
    }
}

fn body(wanted: &Subscribed) -> Result<Value> {
    let mut labels = Map::new();
    for label in &wanted.labels {
        let (key, value) = label.split_once('=').with_context(|| format!("`--label {label}` is not KEY=VALUE"))?;
        labels.insert(key.to_owned(), json!(value));
    }
    let mut body = json!({
        "url": wanted.to,
        "workflows": wanted.workflows,
        "environments": wanted.environments,
        "labels": labels,
        "tests": wanted.tests,
        "enabled": !wanted.disabled,
    });
    if !wanted.on.is_empty() {
        body["on"] = json!(wanted.on);
    }
    Ok(body)
}

fn made(put: &Value) -> String {
    let line = format!("subscription {}  {}", text(&put["name"]), text(&put["url"]));
    match put["secret"].as_str() {
        Some(secret) => format!("{line}\nsecret {secret}\nit signs what is sent, and is not shown again"),
        None => line,
    }
}

fn letter(item: &Value) -> Vec<String> {
    let kind = text(&item["event"]["type"]);
    let kind = kind.strip_prefix("dev.camshaft.").unwrap_or(&kind).to_owned();
    let when = if item["due_at"].is_null() { &item["dead_since"] } else { &item["due_at"] };
    vec![text(&item["id"]), kind, text(&item["tries"]), text(when), text(&item["why"])]
}

fn show(shown: &Value) -> String {
    let mut lines = vec![pairs(&[
        ("subscription", text(&shown["name"])),
        ("url", text(&shown["url"])),
        ("on", text(&shown["on"])),
        ("workflows", text(&shown["workflows"])),
        ("environments", text(&shown["environments"])),
        ("labels", text(&shown["labels"])),
        ("tests", text(&shown["tests"])),
        ("enabled", text(&shown["enabled"])),
        ("switched off", text(&shown["switched_off"])),
        ("former secret until", text(&shown["former_secret_until"])),
        ("letters waiting", text(&shown["waiting"])),
        ("letters dead", text(&shown["dead"])),
    ])];
    let dead = shown["dead_letters"].as_array().into_iter().flatten();
    lines.extend(dead.map(|item| format!("  {}", letter(item).join("  "))));
    lines.join("\n")
}
