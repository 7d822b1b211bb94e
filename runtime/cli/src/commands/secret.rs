//! `camshaft secret …`

use std::io::{IsTerminal, Read};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::Secret;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: Secret) -> Result<()> {
    match command {
        Secret::Set { name, value, environment } => {
            let value = match value {
                Some(value) => value,
                None => read_value(&name)?,
            };
            session.client.json("PUT", &path(&name, environment.as_deref()), &json!({"value": value}))?;
            session.print(&json!({"name": name}), |_| format!("secret {name}  set"))
        }
        Secret::Ls => {
            let items = session.client.list("/api/v1/secrets")?;
            session.print(&Value::Array(items), |items| {
                let row = |s: &Value| -> Vec<String> {
                    ["name", "environment", "updated_at"].map(|key| text(&s[key])).into()
                };
                table(&["name", "environment", "updated"], items.as_array().into_iter().flatten().map(row))
            })
        }
        Secret::Rm { name, environment } => {
            session.client.json("DELETE", &path(&name, environment.as_deref()), &Value::Null)?;
            session.print(&json!({"name": name}), |_| format!("secret {name}  removed"))
        }
    }
}

fn path(name: &str, environment: Option<&str>) -> String {
    let query = environment.map(|environment| format!("?environment={}", escape(environment))).unwrap_or_default();
    format!("/api/v1/secrets/{}{query}", escape(name))
}

/// From standard input: all of it, without the line break that an editor or `echo` adds. From a terminal one hidden line.
fn read_value(name: &str) -> Result<String> {
    let stdin = std::io::stdin();
    let mut value = String::new();
    if stdin.is_terminal() {
        eprint!("value of {name} (it is not shown): ");
        let hidden = Hidden::new();
        let read = stdin.read_line(&mut value);
        drop(hidden);
        eprintln!();
        read
    } else {
        stdin.lock().read_to_string(&mut value)
    }
    .context("the value cannot be read")?;
    let value = value.strip_suffix('\n').map(|value| value.strip_suffix('\r').unwrap_or(value)).unwrap_or(&value);
    ensure!(!value.is_empty(), "the value of `{name}` is empty");
    Ok(value.to_owned())
}

/// Keeps a terminal from showing what is typed; shows it again when dropped.
struct Hidden(bool);

impl Hidden {
    fn new() -> Self {
        Self(stty("-echo"))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if self.0 {
            stty("echo");
        }
    }
}

/// Where there is no `stty`, the value shows while it is typed; there is nothing better to do.
fn stty(mode: &str) -> bool {
    std::process::Command::new("stty").arg(mode).status().is_ok_and(|status| status.success())
}
