//! `cargo xtask demo`: Camshaft at work, in the order in which a person would ask. Everything that it shows it also checks,
//! so that `--once` is a test of the whole by one exit code.

mod github;
pub mod server;
mod tell;

use std::sync::mpsc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::github::{Answer, Delivery};
use self::server::Server;
use crate::workspace::{Role, Workspace};
use crate::{plugins, progress};

const EXAMPLE: &str = "examples/github-triage";
const EVERY_WORKFLOW: &str = "/v1/webhooks/github";
const AND_WAIT: &str = "/v1/webhooks/github/workflows/github-triage/sync";

/// How the demonstration ends.
#[derive(clap::Args)]
pub struct Options {
    /// End after the demonstration: with exit code 0 only if everything was right.
    #[arg(long)]
    once: bool,
}

/// Builds what is missing, shows it, and goes on serving.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let (sender, interrupted) = mpsc::channel();
    // The folder of the server's data must go, also where somebody has seen enough. The server has got the signal as well.
    // Whether anybody still waits for it does not matter.
    ctrlc::set_handler(move || sender.send(()).unwrap_or_default()).context("cannot listen for Ctrl-C")?;

    plugins::build(workspace, &[Role::Shipped, Role::Example], plugins::Profile::Dev)?;
    // Features as the tests get them, so that what is big compiles once for both.
    let build = workspace.cargo().args(["build", "--workspace", "--bin", "camshaft"]);
    progress::step("building the server", &build)?;
    let mut server =
        progress::doing("starting a server on an empty folder", |_| Server::start(&workspace.binary("camshaft"), &[]))?;

    if let Err(error) = demonstrate(workspace, &server) {
        return Err(
            error.context(format!("the server's log ends with:\n{}\nnot everything was right", server.log_end()))
        );
    }
    if options.once {
        println!("\nEverything was right.");
        return Ok(());
    }
    tell::what_next(workspace, &server);
    server.serve_until(&interrupted)
}

/// What a person sees, each with its check.
fn demonstrate(workspace: &Workspace, server: &Server) -> Result<()> {
    tell::title("The server", &format!("camshaft serve --data {} --listen 127.0.0.1:0", server.data().display()));
    println!("listening on {}", server.url);

    let deploy = ["deploy", EXAMPLE];
    tell::title("An example: a workflow, its plugin, and GitHub as an integration", &tell::command(&deploy));
    tell::indented(&server.camshaft(workspace, &deploy)?);

    let issue = Delivery::new(workspace, "issues.opened", "issues", 1)?;
    tell::title("A real webhook of GitHub, signed: somebody opens an issue", &tell::request(AND_WAIT, &issue));
    let answer = server.deliver(AND_WAIT, &issue)?;
    tell::answer(&answer);
    triaged(&answer)?;

    let execution = only_execution(server)?;
    let show = ["execution", "show", &execution];
    tell::title("What happened in between", &tell::command(&show));
    tell::indented(&server.camshaft(workspace, &show)?);

    let pull_request = Delivery::new(workspace, "pull_request.opened", "pull_request", 2)?;
    tell::title("Somebody opens a pull request", &tell::request(AND_WAIT, &pull_request));
    let answer = server.deliver(AND_WAIT, &pull_request)?;
    tell::answer(&answer);
    triaged(&answer)?;
    let before = executions(server)?;

    let push = Delivery::new(workspace, "push", "push", 3)?;
    tell::title("Somebody pushes: the workflow's `when` says no", &tell::request(EVERY_WORKFLOW, &push));
    let answer = server.deliver(EVERY_WORKFLOW, &push)?;
    tell::answer(&answer);
    ensure!(answer.status == 200, "a push was answered with {}, not 200", answer.status);
    let started = answer.json()?["executions"].as_array().map(Vec::len);
    ensure!(started == Some(0), "a push started executions: {}", answer.body);

    let tampered = Delivery::new(workspace, "issues.opened", "issues", 4)?.tampered();
    tell::title("Somebody else changes a byte on the way", &tell::request(AND_WAIT, &tampered));
    let answer = server.deliver(AND_WAIT, &tampered)?;
    tell::answer(&answer);
    ensure!(answer.status == 401, "a changed body was answered with {}, not 401", answer.status);

    let after = executions(server)?;
    ensure!(after == before, "the push or the changed body has left an execution: {after:?} instead of {before:?}");
    Ok(())
}

/// The answer that the example's Exit step gives: 201, the category as a header and in the JSON body.
fn triaged(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 201, "the workflow answered {}, not 201", answer.status);
    let body = answer.json()?;
    let category = body["category"].as_str().with_context(|| format!("the body names no category: {}", answer.body))?;
    let header = answer.header("x-triage").context("the answer has no header X-Triage")?;
    ensure!(header == category, "X-Triage is `{header}`, and the body says `{category}`");
    Ok(())
}

fn only_execution(server: &Server) -> Result<String> {
    match executions(server)?.as_slice() {
        [one] => Ok(one.clone()),
        others => bail!("one webhook has led to {} executions", others.len()),
    }
}

/// The ids of all executions, newest first.
fn executions(server: &Server) -> Result<Vec<String>> {
    let list = server.api("/api/v1/executions")?;
    let items = list["items"].as_array().context("the list of executions has no items")?;
    let id = |item: &Value| item["id"].as_str().map(str::to_owned).context("an execution has no id");
    items.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, header: &str, body: &str) -> Answer {
        Answer { status, headers: vec![("X-Triage".to_owned(), header.to_owned())], body: body.to_owned() }
    }

    #[test]
    fn only_the_example_s_own_answer_is_right() {
        assert!(triaged(&answer(201, "bug", r#"{"category":"bug"}"#)).is_ok());
        assert!(triaged(&answer(200, "bug", r#"{"category":"bug"}"#)).is_err());
        assert!(triaged(&answer(201, "bug", r#"{"category":"docs"}"#)).is_err());
        assert!(triaged(&answer(201, "bug", "bug")).is_err());
        assert!(triaged(&answer(201, "", r#"{"category":null}"#)).is_err());
    }
}
