//! `camshaft plugin …`

use std::path::Path;

use anyhow::{Context, Result, ensure};
use camshaft_server::COMPONENT_BYTES_MAX;
use serde_json::{Value, json};

use super::{Session, say};
use crate::arguments::{Kind, Language, Plugin};
use crate::client::escape;
use crate::project;
use crate::view::{pairs, table, text};

/// Events of an adapter that a line of the list names.
const EVENTS_SHOWN: usize = 4;

pub(super) fn run(session: &Session, command: Plugin) -> Result<()> {
    let client = &session.client;
    match command {
        Plugin::New { name, kind, lang: Language::Rust, sdk } => {
            let files = project::make(Path::new(&name), kind, &name, sdk.as_deref())?;
            session.print(&json!({"name": name, "folder": name, "files": files}), |_| made(&name))
        }
        Plugin::Push { files } => {
            for file in files {
                let (pushed, new) = push(session, &file)?;
                session.print(&pushed, |pushed| pushed_line(pushed, new))?;
            }
            Ok(())
        }
        Plugin::Ls { kind } => {
            let filter = match kind {
                None => "",
                Some(Kind::Task) => "?kind=task",
                Some(Kind::Adapter) => "?kind=adapter",
            };
            let items = client.list(&format!("/api/v1/plugins{filter}"))?;
            session.print(&Value::Array(items), |items| {
                let rows = items.as_array().into_iter().flatten();
                match kind {
                    Some(Kind::Adapter) => table(&["name", "vendor", "version", "events"], rows.map(adapter_row)),
                    _ => table(
                        &["name", "version", "kind", "summary"],
                        rows.map(|p| ["name", "version", "kind", "summary"].map(|k| text(&p[k])).into()),
                    ),
                }
            })
        }
        Plugin::Show { name } => show(session, &name),
        Plugin::Grant { name, hosts, private_addresses, secrets } => {
            let grant = json!({"hosts": hosts, "private_addresses": private_addresses, "secrets": secrets});
            let granted = client.json("PUT", &format!("/api/v1/plugins/{}/grant", escape(&name)), &grant)?;
            session.print(&granted, |_| format!("{name} may reach {}", grant_text(&grant)))
        }
    }
}

/// What to type next.
fn made(name: &str) -> String {
    let component = name.replace('-', "_");
    format!(
        "made {name}: its tests pass, and everything in it is yours to change\n\n\
         \x20 cd {name}\n\
         \x20 cargo test\n\
         \x20 cargo build --release --target wasm32-wasip2\n\
         \x20 camshaft plugin push target/wasm32-wasip2/release/{component}.wasm"
    )
}

/// Some of its events, and how many more there are.
fn adapter_row(plugin: &Value) -> Vec<String> {
    let descriptor = &plugin["descriptor"];
    let events: Vec<_> =
        descriptor["events"].as_array().into_iter().flatten().map(|event| text(&event["name"])).collect();
    let shown = events.iter().take(EVENTS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = events.len().saturating_sub(EVENTS_SHOWN);
    let events = if more == 0 { shown } else { format!("{shown} and {more} more") };
    vec![text(&plugin["name"]), text(&descriptor["vendor"]), text(&plugin["version"]), events]
}

/// Uploads one; tells whether it was new.
pub(super) fn push(session: &Session, file: &Path) -> Result<(Value, bool)> {
    let cannot_read = || format!("cannot read {}", file.display());
    // A server stops reading what is too large, and its answer is lost on the way then.
    let length = std::fs::metadata(file).with_context(cannot_read)?.len();
    ensure!(
        length <= COMPONENT_BYTES_MAX as u64,
        "{} has {length} bytes; a component has {COMPONENT_BYTES_MAX} at most",
        file.display()
    );
    let bytes = std::fs::read(file).with_context(cannot_read)?;
    let headers = [("Content-Type", "application/wasm")];
    let answer = session.client.send("POST", "/api/v1/plugins", &headers, &bytes);
    let answer = answer.with_context(|| file.display().to_string())?;
    Ok((answer.json()?, answer.status == 201))
}

/// What became of an upload.
pub(super) fn pushed_line(pushed: &Value, new: bool) -> String {
    let manner = if pushed["observable"] == json!(true) { "observable" } else { "silent" };
    let news = if new { "stored" } else { "unchanged" };
    format!(
        "plugin {}@{}  {news} ({}, {manner})",
        text(&pushed["name"]),
        text(&pushed["version"]),
        text(&pushed["kind"])
    )
}

fn show(session: &Session, name: &str) -> Result<()> {
    let (plugin, version) = match name.split_once('@') {
        Some((plugin, version)) => (plugin, Some(version)),
        None => (name, None),
    };
    let shown = session.client.get(&format!("/api/v1/plugins/{}", escape(plugin)))?;
    let releases = shown["releases"].as_array().cloned().unwrap_or_default();
    let release = match version {
        None => releases.iter().find(|release| release["version"] == shown["version"]).or(releases.first()),
        Some(version) => releases.iter().find(|release| release["version"] == version),
    };
    let Some(release) = release else {
        let there: Vec<_> = releases.iter().map(|release| text(&release["version"])).collect();
        anyhow::bail!("`{plugin}` has no version `{}`; there are {}", version.unwrap_or_default(), there.join(", "));
    };
    if session.json {
        return say(&serde_json::to_string_pretty(if version.is_some() { release } else { &shown })?);
    }
    let descriptor = &release["descriptor"];
    let secrets = descriptor["secrets"].as_array().into_iter().flatten();
    let secrets: Vec<_> =
        secrets.map(|field| if field.is_object() { text(&field["name"]) } else { text(field) }).collect();
    let events =
        descriptor["events"].as_array().into_iter().flatten().map(|event| text(&event["name"])).collect::<Vec<_>>();
    say(&pairs(&[
        ("plugin", format!("{}@{}", text(&release["name"]), text(&release["version"]))),
        ("kind", text(&release["kind"])),
        ("summary", text(&release["summary"])),
        ("vendor", text(&descriptor["vendor"])),
        ("digest", text(&release["digest"])),
        ("size", format!("{} KiB", release["size_bytes"].as_u64().unwrap_or(0) / 1024)),
        (
            "seen outside",
            if release["observable"] == json!(true) { "yes: observable" } else { "no: silent" }.to_owned(),
        ),
        ("signs samples", if release["signs"] == json!(true) { "yes" } else { "" }.to_owned()),
        ("granted", grant_text(&shown["grant"])),
        ("secrets", secrets.join(", ")),
        ("events", events.join(", ")),
        ("input", text(&descriptor["input_schema"])),
        ("output", text(&descriptor["output_schema"])),
        ("configuration", text(&descriptor["config_schema"])),
        ("imports", text(&release["imports"])),
    ]))
}

fn grant_text(grant: &Value) -> String {
    let mut parts = vec![text(&grant["hosts"])];
    if grant["private_addresses"] == json!(true) {
        parts.push("private addresses".to_owned());
    }
    let secrets = text(&grant["secrets"]);
    if !secrets.is_empty() {
        parts.push(format!("secrets {secrets}"));
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[test]
    fn a_component_that_is_too_large_is_refused_before_it_is_sent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(COMPONENT_BYTES_MAX as u64 + 1).unwrap();
        // Nobody listens there.
        let session =
            Session { client: Client::new("http://127.0.0.1:1", Some("token".to_owned()), None), json: false };
        let error = format!("{:#}", push(&session, file.path()).unwrap_err());
        assert!(error.contains("has 67108865 bytes; a component has 67108864 at most"), "{error}");
    }
}
