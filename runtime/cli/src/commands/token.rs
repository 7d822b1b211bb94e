//! `camshaft token …`

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::Session;
use crate::arguments::Token;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: Token) -> Result<()> {
    match command {
        Token::Create { label, workflow, scopes, expires } => {
            let scopes: Vec<_> = scopes.into_iter().filter_map(|scope| scope.to_possible_value()).collect();
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.get_name()).collect();
            let mut body = json!({"label": label});
            if let Some(expires) = expires {
                let expires = humantime::parse_duration(&expires)
                    .with_context(|| format!("--expires `{expires}` is no duration; write 12h, 30d"))?;
                body["expires_in_s"] = json!(expires.as_secs());
            }
            let path = match workflow {
                Some(workflow) => {
                    if !scopes.is_empty() {
                        body["scopes"] = json!(scopes);
                    }
                    format!("/api/v1/workflows/{}/tokens", escape(&workflow))
                }
                None => {
                    body["scope"] = match scopes.as_slice() {
                        [] => json!("read"),
                        [scope] => json!(scope),
                        several => bail!("--scope is {}: without --workflow it is one", several.join(",")),
                    };
                    "/api/v1/tokens".to_owned()
                }
            };
            let made = session.client.json("POST", &path, &body)?;
            session.print(&made, |made| {
                format!(
                    "{}\nkeep it: it is not shown again (id {}, {})",
                    text(&made["token"]),
                    text(&made["id"]),
                    text(&made["scopes"])
                )
            })
        }
        Token::Ls { workflow } => {
            let path = match workflow {
                Some(workflow) => format!("/api/v1/workflows/{}/tokens", escape(&workflow)),
                None => "/api/v1/tokens".to_owned(),
            };
            let items = session.client.list(&path)?;
            session.print(&Value::Array(items), |items| {
                let row = |t: &Value| {
                    ["id", "label", "scopes", "workflow", "expires_at", "last_used_at"].map(|key| text(&t[key])).into()
                };
                let rows = items.as_array().into_iter().flatten().map(row);
                table(&["id", "label", "scopes", "workflow", "expires", "last used"], rows)
            })
        }
        Token::Revoke { id } => {
            session.client.json("DELETE", &format!("/api/v1/tokens/{}", escape(&id)), &Value::Null)?;
            session.print(&json!({"id": id}), |_| format!("token {id}  revoked"))
        }
    }
}
