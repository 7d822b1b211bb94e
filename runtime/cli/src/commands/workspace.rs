//! `camshaft workspace …`

use anyhow::Result;
use serde_json::{Value, json};

use super::Session;
use crate::arguments::Workspace;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: Workspace) -> Result<()> {
    match command {
        Workspace::Create { name, display_name, per_second, per_day, per_month, parallel } => {
            let path = format!("/api/v1/workspaces/{}", escape(&name));
            let limits = json!({
                "executions_per_second": per_second,
                "per_day": per_day,
                "per_month": per_month,
                "parallel_executions": parallel,
            });
            let body = json!({"display_name": display_name, "limits": limits});
            let made = session.client.json("PUT", &path, &body)?;
            session.print(&made, |made| {
                let name = text(&made["name"]);
                format!(
                    "workspace {name}  {}\nnext: camshaft --workspace {name} token create --label admin --scope admin",
                    text(&made["url"])
                )
            })
        }
        Workspace::Ls => {
            let items = session.client.list("/api/v1/workspaces")?;
            session.print(&Value::Array(items), |items| {
                let row = |w: &Value| ["name", "display_name", "url", "created_at"].map(|key| text(&w[key])).into();
                table(&["name", "display name", "url", "made"], items.as_array().into_iter().flatten().map(row))
            })
        }
    }
}
