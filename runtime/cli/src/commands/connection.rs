//! `camshaft connection …`

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::user::names;
use super::{Session, read_json, read_text};
use crate::arguments::Connection;
use crate::client::escape;
use crate::view::{pairs, table, text};

pub(super) fn run(session: &Session, command: Connection) -> Result<()> {
    match command {
        Connection::Ls { user, integration } => {
            let asked = [("user", user), ("integration", integration)];
            let asked = asked.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", escape(&value?))));
            let asked = asked.collect::<Vec<_>>().join("&");
            let query = if asked.is_empty() { String::new() } else { format!("?{asked}") };
            let items = session.client.list(&format!("/api/v1/connections{query}"))?;
            session.print(&Value::Array(items), |items| {
                let row = |one: &Value| {
                    let keys = ["user", "integration", "connected_at"].map(|key| text(&one[key]));
                    keys.into_iter().chain([workflows(one)]).collect()
                };
                table(
                    &["user", "integration", "connected", "workflows"],
                    items.as_array().into_iter().flatten().map(row),
                )
            })
        }
        Connection::Show { user, integration } => {
            session.print(&session.client.get(&path(&user, &integration))?, shown)
        }
        Connection::Set { user, integration, settings, credentials, incomplete } => {
            let mut body = Map::new();
            if let Some(settings) = settings {
                body.insert("settings".to_owned(), read_json(&settings, "the settings")?);
            }
            if let Some(file) = credentials {
                body.insert("credentials".to_owned(), read_credentials(&file)?);
            }
            body.insert("complete".to_owned(), json!(!incomplete));
            session.print(&session.client.json("PUT", &path(&user, &integration), &Value::Object(body))?, shown)
        }
        Connection::Enable { user, integration, workflow } => {
            let path = format!("{}/workflows/{}", path(&user, &integration), escape(&workflow));
            session.print(&session.client.json("PUT", &path, &Value::Null)?, shown)
        }
        Connection::Disable { user, integration, workflow } => {
            let path = format!("{}/workflows/{}", path(&user, &integration), escape(&workflow));
            session.print(&session.client.json("DELETE", &path, &Value::Null)?, shown)
        }
        Connection::Rm { user, integration } => {
            session.client.json("DELETE", &path(&user, &integration), &Value::Null)?;
            let gone = json!({"user": user, "integration": integration});
            session.print(&gone, |_| format!("user {user}  disconnected from {integration}"))
        }
    }
}

fn path(user: &str, integration: &str) -> String {
    format!("/api/v1/users/{}/connections/{}", escape(user), escape(integration))
}

/// Credentials as JSON; what is wrong with them is told without them.
fn read_credentials(file: &Path) -> Result<Value> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).context("the credentials cannot be read")?;
        text
    } else {
        read_text(file)?
    };
    serde_json::from_str(&text).ok().context("the credentials are no JSON object")
}

fn workflows(connection: &Value) -> String {
    names(&connection["workflows"].as_array().into_iter().flatten().map(|one| one["workflow"].clone()).collect())
}

fn shown(connection: &Value) -> String {
    pairs(&[
        ("user", text(&connection["user"])),
        ("integration", text(&connection["integration"])),
        ("connected", text(&connection["connected_at"])),
        ("settings", connection["settings"].to_string()),
        ("credentials", names(&connection["credentials"])),
        ("workflows", workflows(connection)),
    ])
}
