//! `camshaft workflow …`

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::{Session, read_json, read_text, read_yaml, say, share, test};
use crate::arguments::Workflow;
use crate::client::{ClientError, escape};
use crate::view::{fault_text, harmless_lines, pairs, short, table, text};

pub(super) fn run(session: &Session, command: Workflow) -> Result<ExitCode> {
    let client = &session.client;
    match command {
        Workflow::Apply { files } => {
            // Every file's faults at once, not the first file's alone.
            let mut bad = BadDocument::default();
            for file in &files {
                match apply(session, file) {
                    Ok((applied, _)) => session.print(&applied, applied_line)?,
                    Err(error) => bad.take(error)?,
                }
            }
            bad.done()?;
        }
        Workflow::Publish { name, revision, environment } => {
            let published = publish(session, &name, revision, environment.as_deref())?;
            session.print(&published, |published| published_line(published, environment.as_deref()))?;
        }
        Workflow::Promote { name, from, to } => {
            let path = format!("/api/v1/workflows/{}/promote", escape(&name));
            let promoted = client.json("POST", &path, &json!({"from": from, "to": to}))?;
            session.print(&promoted, |promoted| published_line(promoted, to.as_deref()))?;
        }
        Workflow::Rollback { name, environment } => {
            let path = format!("/api/v1/workflows/{}/rollback", escape(&name));
            let back = client.json("POST", &path, &json!({"environment": environment}))?;
            session.print(&back, |back| published_line(back, environment.as_deref()))?;
        }
        Workflow::Unpublish { name, environment } => {
            let body = environment.map_or(json!({}), |environment| json!({"environment": environment}));
            let done = client.json("POST", &format!("/api/v1/workflows/{}/unpublish", escape(&name)), &body)?;
            session.print(&done, |_| format!("workflow {name}  unpublished"))?;
        }
        Workflow::Share { name, to } => share::share(session, &name, &to)?,
        Workflow::Unshare { name, from } => share::unshare(session, &name, &from)?,
        Workflow::Shares { name } => share::shares(session, &name)?,
        Workflow::Offers => share::offers(session)?,
        Workflow::Accept { share, name } => share::accept(session, &share, name.as_deref())?,
        Workflow::Leave { share } => share::leave(session, &share)?,
        Workflow::Ls => {
            let items = client.list("/api/v1/workflows")?;
            session.print(&Value::Array(items), |items| {
                let row = |w: &Value| {
                    let kinds =
                        w["triggers"].as_array().into_iter().flatten().map(|t| text(&t["kind"])).collect::<Vec<_>>();
                    vec![
                        text(&w["name"]),
                        text(&w["latest_revision"]),
                        published_text(w),
                        kinds.join(", "),
                        text(&w["updated_at"]),
                    ]
                };
                table(
                    &["name", "revision", "published", "triggers", "updated"],
                    items.as_array().into_iter().flatten().map(row),
                )
            })?;
        }
        Workflow::Show { name, document } => show(session, &name, document)?,
        Workflow::Revisions { name } => {
            let items = client.list(&format!("/api/v1/workflows/{}/revisions", escape(&name)))?;
            session.print(&Value::Array(items), |items| {
                let row = |r: &Value| vec![text(&r["revision"]), text(&r["published"]), text(&r["created_at"])];
                table(&["revision", "published", "made"], items.as_array().into_iter().flatten().map(row))
            })?;
        }
        Workflow::Test { name, event, replay, params, param, revision, environment, logs } => {
            let begun = match replay {
                Some(execution) => test::replay(session, &name, &execution, revision)?,
                None => {
                    let params = bind(params.as_deref(), &param)?;
                    let event = event.as_deref().map(|event| read_json(event, "--event")).transpose()?;
                    let body =
                        json!({"params": params, "event": event, "revision": revision, "environment": environment});
                    client.json("POST", &format!("/api/v1/workflows/{}/test", escape(&name)), &body)?
                }
            };
            return test::show(session, &text(&begun["execution_id"]), logs);
        }
        Workflow::Trigger { name, params, param, event, environment, wait } => {
            let query = environment.map(|environment| format!("?environment={}", escape(&environment)));
            let path = format!("/api/v1/workflows/{}/trigger{}", escape(&name), query.unwrap_or_default());
            return trigger(session, &path, params.as_deref(), &param, event.as_deref(), wait);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts one document; tells whether it made a revision.
pub(super) fn apply(session: &Session, file: &Path) -> Result<(Value, bool)> {
    let document = read_text(file)?;
    let name = match read_yaml(file).ok().and_then(|value| value["name"].as_str().map(str::to_owned)) {
        Some(name) => name,
        // The server says it better: with the line and the column.
        None => super::stem(file),
    };
    let path = format!("/api/v1/workflows/{}", escape(&name));
    let before = session.client.get(&path).ok().map(|workflow| workflow["latest_revision"].clone());
    match session.client.send("PUT", &path, &[("Content-Type", "application/yaml")], document.as_bytes()) {
        Ok(answer) => {
            let applied = answer.json()?;
            let new = before.as_ref() != Some(&applied["latest_revision"]);
            Ok((applied, new))
        }
        Err(error) => match error.downcast_ref::<ClientError>() {
            Some(ClientError::Refused { problem, .. }) if problem["diagnostics"].is_array() => {
                let faults = problem["diagnostics"].as_array().cloned().unwrap_or_default();
                Err(BadDocument::of(&file.display().to_string(), &document, &faults).into())
            }
            _ => Err(error.context(file.display().to_string())),
        },
    }
}

pub(super) fn applied_line(applied: &Value) -> String {
    format!("workflow {}  revision {}", text(&applied["name"]), applied["latest_revision"])
}

pub(super) fn publish(
    session: &Session,
    name: &str,
    revision: Option<u32>,
    environment: Option<&str>,
) -> Result<Value> {
    let mut body = Map::new();
    if let Some(revision) = revision {
        body.insert("revision".to_owned(), json!(revision));
    }
    if let Some(environment) = environment {
        body.insert("environment".to_owned(), json!(environment));
    }
    session.client.json("POST", &format!("/api/v1/workflows/{}/publish", escape(name)), &Value::Object(body))
}

pub(super) fn published_line(published: &Value, environment: Option<&str>) -> String {
    let environment = environment.unwrap_or("production");
    let mut lines = vec![format!(
        "workflow {}  revision {} published to {environment}",
        text(&published["name"]),
        published["published"][environment]
    )];
    lines.extend(urls(published).into_iter().map(|(what, url)| format!("  {what:7}  {url}")));
    lines.join("\n")
}

fn published_text(workflow: &Value) -> String {
    let all = workflow["published"].as_object().into_iter().flatten();
    all.map(|(environment, revision)| format!("{environment}={revision}")).collect::<Vec<_>>().join(", ")
}

/// What each URL does, and the URL, once: triggers may share one.
fn urls(workflow: &Value) -> Vec<(String, String)> {
    let triggers = workflow["triggers"].as_array().into_iter().flatten();
    let all = triggers.flat_map(|trigger| trigger["urls"].as_object().into_iter().flatten());
    let mut urls = Vec::new();
    for url in all.map(|(what, url)| (what.clone(), text(url))) {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// How far each limit is used, a line each.
fn limits(limits: &Value) -> String {
    let mut lines = String::new();
    if let Some(time) = limits["execution_time"].as_object() {
        let duration = |seconds: &Value| {
            let seconds = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            humantime::format_duration(seconds.unwrap_or_default()).to_string()
        };
        let (limit, own, of) = (duration(&time["limit_s"]), duration(&limits["timeout_s"]), text(&time["of"]));
        lines += &format!("\n  {:12} {limit}, as the {of} allows no more; its own is {own}", "timeout");
    }
    if let Some(at_once) = limits["concurrency"].as_object() {
        let (running, limit, queued) = (&at_once["running"], &at_once["limit"], &at_once["queued"]);
        lines += &format!("\n  {:12} {running} of {limit} at once, {queued} in line", "concurrency");
    }
    for (key, what) in [("per_day", "today"), ("per_month", "this month")] {
        if let Some(counted) = limits[key].as_object() {
            lines += &format!(
                "\n  {key:12} {} of {} {what}, until {}",
                counted["count"],
                counted["limit"],
                text(&counted["ends_at"])
            );
        }
    }
    lines
}

fn show(session: &Session, name: &str, document: bool) -> Result<()> {
    let workflow = session.client.get(&format!("/api/v1/workflows/{}", escape(name)))?;
    if document {
        let path = format!("/api/v1/workflows/{}/revisions/{}", escape(name), workflow["latest_revision"]);
        let revision = session.client.get(&path)?;
        return session
            .print(&revision, |revision| harmless_lines(revision["document"].as_str().unwrap_or_default().trim_end()));
    }
    session.print(&workflow, |workflow| {
        let head = pairs(&[
            ("workflow", text(&workflow["name"])),
            ("description", text(&workflow["description"])),
            ("id", text(&workflow["id"])),
            ("revision", text(&workflow["latest_revision"])),
            ("published", published_text(workflow)),
            ("updated", text(&workflow["updated_at"])),
            ("fault", text(&workflow["fault"])),
        ]);
        let urls: String = urls(workflow).into_iter().map(|(what, url)| format!("\n  {what:7}  {url}")).collect();
        format!("{head}{}{urls}", limits(&workflow["limits"]))
    })
}

fn trigger(
    session: &Session,
    path: &str,
    params: Option<&str>,
    param: &[String],
    event: Option<&str>,
    wait: Option<u32>,
) -> Result<ExitCode> {
    let mut body = json!({"params": bind(params, param)?});
    if let Some(event) = event {
        body["event"] = read_json(event, "--event")?;
    }
    let prefer = wait.map(|seconds| format!("wait={seconds}"));
    let mut headers = vec![("Content-Type", "application/json")];
    if let Some(prefer) = &prefer {
        headers.push(("Prefer", prefer));
    }
    let answer = session.client.send("POST", path, &headers, &serde_json::to_vec(&body)?)?;
    if wait.is_none() {
        let started = answer.json()?;
        session.print(&started, |started| {
            let id = text(&started["execution_id"]);
            format!("execution {id}  started; `camshaft execution watch {id}` follows it")
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if session.json {
        let headers: Map<String, Value> =
            answer.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let body = answer.json().unwrap_or_else(|_| json!(answer.text));
        say(&serde_json::to_string_pretty(&json!({"status": answer.status, "headers": headers, "body": body}))?)?;
    } else {
        let _ = writeln!(std::io::stderr(), "{}", answer.status);
        // Files and pipes get the bytes as they are.
        if std::io::stdout().is_terminal() { say(&harmless_lines(&answer.text))? } else { say(&answer.text)? }
    }
    // A failed execution is answered with 200 and this message, unless its workflow says otherwise.
    let failed = answer.json().is_ok_and(|body| body["execution-id"].is_string() && body["message"].is_string());
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Parameters as they were typed.
pub(super) fn bind(params: Option<&str>, param: &[String]) -> Result<Map<String, Value>> {
    let mut params = match params {
        None => Map::new(),
        Some(params) => match read_json(params, "--params")? {
            Value::Object(params) => params,
            other => anyhow::bail!("--params is a JSON object, found {other}"),
        },
    };
    for pair in param {
        let (key, value) = pair.split_once('=').with_context(|| format!("`{pair}` is no KEY=VALUE"))?;
        params.insert(key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    Ok(params)
}

/// Documents with faults, shown as compilers do: place, message, the line, a caret.
#[derive(Debug, Default)]
pub(crate) struct BadDocument {
    /// The server's diagnostics, each with its `file`.
    faults: Vec<Value>,
    text: String,
}

/// Of a source line that is longer, so many characters around the caret are shown.
const SOURCE_SHOWN: usize = 100;

impl BadDocument {
    fn of(file: &str, document: &str, faults: &[Value]) -> Self {
        let mut text = String::new();
        for fault in faults {
            let (line, column) = (fault["line"].as_u64().unwrap_or(1), fault["column"].as_u64().unwrap_or(1));
            let source = document.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default();
            let (source, before) = around(source, (column as usize).saturating_sub(1));
            let gutter = line.to_string();
            let (blank, caret) = (" ".repeat(gutter.len()), " ".repeat(before));
            text.push_str(&format!("\n{file}:{line}:{column}: {}\n", fault_text(fault)));
            text.push_str(&format!(" {gutter} | {source}\n {blank} | {caret}^\n"));
        }
        let named = |fault: &Value| {
            let mut fault = fault.clone();
            fault["file"] = json!(file);
            fault
        };
        Self { faults: faults.iter().map(named).collect(), text }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({"title": "Documents have faults", "detail": self.headline(), "diagnostics": self.faults})
    }

    fn headline(&self) -> String {
        let faults = self.faults.len();
        let faults = if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") };
        format!("{faults}, nothing was published")
    }

    /// Takes the faults of another document in; any other error is handed through.
    pub(super) fn take(&mut self, error: anyhow::Error) -> Result<()> {
        let other = error.downcast::<Self>()?;
        self.faults.extend(other.faults);
        self.text.push_str(&other.text);
        Ok(())
    }

    /// An error, if there was any fault.
    pub(super) fn done(self) -> Result<()> {
        ensure!(self.faults.is_empty(), self);
        Ok(())
    }
}

/// A source line on the screen, cut where it is long, and how many characters of that stand before a place of it.
fn around(source: &str, place: usize) -> (String, usize) {
    let letters: Vec<char> = short(source, usize::MAX).chars().collect();
    if letters.len() <= SOURCE_SHOWN {
        return (letters.into_iter().collect(), place);
    }
    let from = place.min(letters.len()).saturating_sub(SOURCE_SHOWN / 2);
    let to = (from + SOURCE_SHOWN).min(letters.len());
    let (begins, ends) = (if from > 0 { "…" } else { "" }, if to < letters.len() { "…" } else { "" });
    let shown: String = letters[from..to].iter().collect();
    (format!("{begins}{shown}{ends}"), place - from + begins.chars().count())
}

impl std::fmt::Display for BadDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.headline(), self.text.trim_end())
    }
}

impl std::error::Error for BadDocument {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_shown_with_their_line_and_a_caret() {
        let faults =
            [json!({"line": 2, "column": 8, "message": "there is no task plugin `ehco`", "suggestion": "echo"})];
        let bad = BadDocument::of("w.yaml", "name: a\n  task: ehco\n", &faults).to_string();
        insta::assert_snapshot!(bad, @r"
        1 fault, nothing was published

        w.yaml:2:8: there is no task plugin `ehco`; did you mean `echo`?
         2 |   task: ehco
           |        ^
        ");
    }

    #[test]
    fn of_a_long_line_what_is_around_the_caret_is_shown() {
        let line = format!("{}HERE{}", "a".repeat(5_000), "b".repeat(5_000));
        let bad = BadDocument::of("w.yaml", &line, &[json!({"line": 1, "column": 5_001, "message": "no"})]).to_string();
        let lines: Vec<_> = bad.lines().collect();
        let (source, caret) = (lines[lines.len() - 2], lines[lines.len() - 1]);
        assert!(source.chars().count() < 120, "{bad}");
        let at = caret.chars().position(|letter| letter == '^').unwrap();
        assert_eq!(source.chars().skip(at).take(4).collect::<String>(), "HERE", "{bad}");
        assert_eq!(around("ab\tc\u{1b}", 3), ("ab c ".to_owned(), 3));
        assert_eq!(around(&"x".repeat(200), 0), (format!("{}…", "x".repeat(100)), 0));
        // A place behind the end, as of a value that is missing there.
        assert_eq!(around(&"x".repeat(200), 200), (format!("…{}", "x".repeat(50)), 51));
    }

    #[test]
    fn a_url_that_two_triggers_share_is_shown_once() {
        let url = json!({"start": "http://h/api/v1/workflows/a/trigger"});
        let workflow = json!({"triggers": [{"kind": "manual", "urls": url}, {"kind": "request", "urls": url}]});
        assert_eq!(urls(&workflow).len(), 1);
    }
}
