//! `camshaft workspace …`

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::Workspace;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: Workspace) -> Result<()> {
    match command {
        Workspace::Create { name, display_name, per_second, per_day, per_month, parallel, execution_time } => {
            let path = format!("/api/v1/workspaces/{}", escape(&name));
            let execution_time = execution_time.map(|text| seconds(&text)).transpose()?;
            let limits = json!({
                "executions_per_second": per_second,
                "per_day": per_day,
                "per_month": per_month,
                "parallel_executions": parallel,
                "execution_time_s": execution_time,
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
                let row = |w: &Value| {
                    let of = ["name", "display_name", "url"].map(|key| text(&w[key]));
                    of.into_iter().chain([limits(&w["limits"]), text(&w["created_at"])]).collect()
                };
                let header = ["name", "display name", "url", "limits", "made"];
                table(&header, items.as_array().into_iter().flatten().map(row))
            })
        }
    }
}

fn seconds(text: &str) -> Result<u64> {
    let time = humantime::parse_duration(text)
        .with_context(|| format!("--execution-time `{text}` is no duration; write 10m, 2h"))?;
    match time.as_secs() {
        0 => bail!("--execution-time `{text}` is less than a second; leave it out for no limit"),
        seconds => Ok(seconds),
    }
}

/// What bounds a workspace, on one line.
fn limits(limits: &Value) -> String {
    let one = |(key, limit): (&String, &Value)| match (key.as_str(), limit.as_u64()) {
        ("execution_time_s", Some(seconds)) => {
            format!("execution_time {}", humantime::format_duration(Duration::from_secs(seconds)))
        }
        _ => format!("{key} {}", text(limit)),
    };
    limits.as_object().into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
}
