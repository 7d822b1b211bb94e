//! `cargo xtask test`: everything that CI runs, from an empty clone on a bare machine. The test runner comes last, so that
//! its own count closes the output.

use anyhow::{Result, bail};

use crate::plugins::Profile;
use crate::process::Process;
use crate::workspace::Workspace;
use crate::{api, check, documents, expressions, fuzz, patterns, plugins, progress, tools};

/// Sets up, builds, checks, tests.
pub fn run(workspace: &Workspace) -> Result<()> {
    let nextest = match tools::install(workspace, "nextest") {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{error:#}\ncargo-nextest cannot be had here, so `cargo test` runs the tests");
            false
        }
    };
    plugins::run(workspace, Profile::Dev)?;
    let mut failures = check::failures(workspace);
    failures.extend(documents::run(workspace).err());
    failures.extend(expressions::run(workspace).err());
    failures.extend(patterns::run(workspace, &patterns::Options::default()).err());
    // With the test targets in the same call the dependencies get the same features, so each compiles once.
    let build = workspace.cargo().args(["build", "--workspace", "--bins", "--tests"]);
    progress::step("building the binary and the tests", &build)?;
    failures.extend(progress::step("documentation tests", &tests(workspace, &["test", "--doc"])).err());
    failures.extend(fuzz::check(workspace).err());
    failures.extend(api::run(workspace).err());
    for failure in &failures {
        eprintln!("\n{failure:#}");
    }

    println!("==> tests");
    let runner = if nextest {
        tests(workspace, &["nextest", "run"])
    } else {
        tests(workspace, &["test", "--no-fail-fast", "--lib", "--bins", "--tests"])
    };
    let status = runner.show()?;
    if !status.success() {
        failures.push(anyhow::anyhow!("tests failed: {status}\nto run them alone: {runner}"));
    }
    if failures.is_empty() {
        return Ok(());
    }
    let titles: Vec<_> = failures.iter().map(|failure| format!("  {}", first_line(failure))).collect();
    bail!("not everything is right:\n{}", titles.join("\n"))
}

fn tests(workspace: &Workspace, command: &[&str]) -> Process {
    workspace.cargo().args(command).arg("--workspace")
}

fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
