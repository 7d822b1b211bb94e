//! `camshaft execution rerun`: one, or all that a filter holds for.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Session, say};
use crate::client::escape;
use crate::view::text;

/// How often it is asked how far a rerun of many is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn one(session: &Session, id: &str, from: Option<&str>, revision: Option<&str>) -> Result<()> {
    let path = format!("/api/v1/executions/{}/rerun", escape(id));
    let revision =
        revision.map(|revision| revision.parse::<u32>().map_or_else(|_| json!(revision), |number| json!(number)));
    let begun = session.client.json("POST", &path, &json!({"from": from, "revision": revision}))?;
    session.print(&begun, |begun| {
        let test = if begun["test"] == true { ", as a test" } else { "" };
        format!("execution {}  repeats {id}{test}", text(&begun["execution_id"]))
    })
}

pub(super) fn all(session: &Session, filter: &Value, limit: usize, dry_run: bool, yes: bool) -> Result<ExitCode> {
    let client = &session.client;
    let path = "/api/v1/executions/rerun";
    let counted = client.json("POST", path, &json!({"filter": filter, "limit": limit, "dry_run": true}))?;
    if dry_run {
        session.print(&counted, meant)?;
        return Ok(ExitCode::SUCCESS);
    }
    if counted["matched"] == 0 {
        session.print(&counted, |_| "the filter holds for no execution".to_owned())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !yes && !agreed(&counted)? {
        return Ok(ExitCode::from(1));
    }
    let mut rerun = client.json("POST", path, &json!({"filter": filter, "limit": limit}))?;
    let progress = format!("/api/v1/reruns/{}", escape(&text(&rerun["id"])));
    // It shows itself only where somebody looks.
    let bar = ProgressBar::new(rerun["matched"].as_u64().unwrap_or(0));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len}  {msg}").expect("the template is right"));
    while rerun["status"] == "running" {
        bar.set_position(count(&rerun, "started") + count(&rerun, "refused"));
        bar.set_message(format!("{} refused", rerun["refused"]));
        std::thread::sleep(LOOK_EVERY);
        rerun = client.get(&progress)?;
    }
    bar.finish_and_clear();
    session.print(&rerun, told)?;
    let is_done = rerun["status"] == "done" && rerun["refused"] == 0;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn count(rerun: &Value, what: &str) -> u64 {
    rerun[what].as_u64().unwrap_or(0)
}

/// How many a filter holds for.
fn meant(counted: &Value) -> String {
    let noun = if counted["matched"] == 1 { "execution" } else { "executions" };
    let more = if counted["more"] == true { ", the newest of more" } else { "" };
    format!("{} {noun}{more}", counted["matched"])
}

fn agreed(counted: &Value) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this runs {} again; say --yes where nobody can be asked", meant(counted));
    }
    eprint!("Run {} again? [y/N] ", meant(counted));
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let is_agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !is_agreed {
        say("nothing was started")?;
    }
    Ok(is_agreed)
}

/// How a rerun of many ended.
fn told(rerun: &Value) -> String {
    let (started, refused) = (count(rerun, "started"), count(rerun, "refused"));
    let mut lines =
        vec![format!("rerun {}  {}  {started} started, {refused} refused", text(&rerun["id"]), text(&rerun["status"]))];
    let refusals = rerun["refusals"].as_array().into_iter().flatten();
    lines.extend(refusals.map(|refusal| format!("  {}  {}", text(&refusal["execution_id"]), text(&refusal["why"]))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerun_tells_what_it_started_and_what_was_refused() {
        let refusal = json!({"execution_id": "0190", "why": "there is no room"});
        let rerun = json!({"id": "0191", "status": "done", "started": 2, "refused": 1, "refusals": [refusal]});
        assert_eq!(told(&rerun), "rerun 0191  done  2 started, 1 refused\n  0190  there is no room");
        assert_eq!(meant(&json!({"matched": 1, "more": false})), "1 execution");
        assert_eq!(meant(&json!({"matched": 7, "more": true})), "7 executions, the newest of more");
    }
}
