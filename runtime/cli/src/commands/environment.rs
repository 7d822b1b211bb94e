//! `camshaft environment …`

use anyhow::Result;
use serde_json::{Value, json};

use super::Session;
use super::workflow::bind;
use crate::arguments::Environment;
use crate::client::{ClientError, escape};
use crate::view::{pairs, table, text};

pub(super) fn run(session: &Session, command: Environment) -> Result<()> {
    let path = |name: &str| format!("/api/v1/environments/{}", escape(name));
    match command {
        Environment::Ls => {
            let items = session.client.list("/api/v1/environments")?;
            session.print(&Value::Array(items), |items| {
                let count = |value: &Value| value.as_array().map_or(0, Vec::len).to_string();
                let names = |value: &Value| {
                    let names = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
                    names.collect::<Vec<_>>().join(", ")
                };
                let row = |e: &Value| vec![text(&e["name"]), count(&e["published"]), names(&e["variables"])];
                table(&["name", "workflows", "variables"], items.as_array().into_iter().flatten().map(row))
            })
        }
        Environment::Show { name } => session.print(&session.client.get(&path(&name))?, shown),
        Environment::Set { name, variables, unset } => {
            let given = bind(None, &variables)?;
            // Those that are there stay; the generation tells of a change in between.
            let before = match session.client.get(&path(&name)) {
                Ok(before) => before,
                Err(error) => match error.downcast_ref::<ClientError>() {
                    Some(ClientError::Refused { status: 404, .. }) => Value::Null,
                    _ => return Err(error),
                },
            };
            let mut variables = before["variables"].as_object().cloned().unwrap_or_default();
            variables.extend(given);
            variables.retain(|key, _| !unset.contains(key));
            let generation = before["generation"].as_u64().filter(|generation| *generation > 0);
            let tag = generation.map(|generation| format!("\"{generation}\""));
            let mut headers = vec![("Content-Type", "application/json")];
            headers.extend(tag.as_deref().map(|tag| ("If-Match", tag)));
            let body = serde_json::to_vec(&json!({"variables": variables}))?;
            let set = session.client.send("PUT", &path(&name), &headers, &body)?.json()?;
            session.print(&set, shown)
        }
        Environment::Rm { name } => {
            session.client.json("DELETE", &path(&name), &Value::Null)?;
            session.print(&json!({"name": name}), |_| format!("environment {name}  removed"))
        }
    }
}

fn shown(environment: &Value) -> String {
    let mut rows = vec![("environment".to_owned(), text(&environment["name"]))];
    let variables = environment["variables"].as_object().into_iter().flatten();
    rows.extend(variables.map(|(name, value)| (format!("$.env.{name}"), value.to_string())));
    let published = environment["published"].as_array().into_iter().flatten();
    rows.extend(published.map(|p| (text(&p["workflow"]), format!("revision {}", p["revision"]))));
    let rows: Vec<_> = rows.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    pairs(&rows)
}
