//! `camshaft user …`

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Session, read_json};
use crate::arguments::User;
use crate::client::escape;
use crate::view::{pairs, table, text};

pub(super) fn run(session: &Session, command: User) -> Result<()> {
    let path = |user: &str| format!("/api/v1/users/{}", escape(user));
    match command {
        User::Ls => {
            let items = session.client.list("/api/v1/users")?;
            session.print(&Value::Array(items), |items| {
                let row =
                    |user: &Value| vec![text(&user["user"]), names(&user["connections"]), text(&user["updated_at"])];
                table(&["user", "connections", "updated"], items.as_array().into_iter().flatten().map(row))
            })
        }
        User::Show { user } => session.print(&session.client.get(&path(&user))?, shown),
        User::Set { user, metadata } => {
            let mut body = Map::new();
            if let Some(metadata) = metadata {
                body.insert("metadata".to_owned(), read_json(&metadata, "the metadata")?);
            }
            session.print(&session.client.json("PUT", &path(&user), &Value::Object(body))?, shown)
        }
        User::Send { user, event, payload, environment } => {
            let payload = payload.map(|payload| read_json(&payload, "the payload")).transpose()?;
            let query = environment.map(|name| format!("?environment={}", escape(&name))).unwrap_or_default();
            let body = json!({"name": event, "payload": payload});
            let sent = session.client.json("POST", &format!("{}/events{query}", path(&user)), &body)?;
            session.print(&sent, |sent| {
                let executions = sent["executions"].as_array().into_iter().flatten();
                let row = |one: &Value| vec![text(&one["workflow"]), text(&one["execution_id"])];
                table(&["workflow", "execution"], executions.map(row))
            })
        }
        User::Rm { user } => {
            session.client.json("DELETE", &path(&user), &Value::Null)?;
            session.print(&json!({"user": user}), |_| format!("user {user}  removed"))
        }
    }
}

/// A list of names on one line.
pub(super) fn names(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

fn shown(user: &Value) -> String {
    pairs(&[
        ("user", text(&user["user"])),
        ("connections", names(&user["connections"])),
        ("metadata", user["metadata"].to_string()),
    ])
}
