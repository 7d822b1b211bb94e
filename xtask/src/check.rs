//! `cargo xtask check`: looks without running. Every step runs even when one before it has failed, so that one look tells all.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::plugins::{self, Profile};
use crate::process::Process;
use crate::progress;
use crate::tools;
use crate::workspace::{Role, Workspace};

/// Where cargo-deny's advisories come from.
const ADVISORIES: &str = "https://github.com/RustSec/advisory-db";

/// The checks by themselves.
pub fn run(workspace: &Workspace) -> Result<()> {
    // The server's build script carries the shipped plugins, so nothing compiles without them.
    plugins::build(workspace, &[Role::Shipped], Profile::Dev)?;
    let failures = failures(workspace);
    for failure in &failures {
        eprintln!("\n{failure:#}");
    }
    match failures.len() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        count => bail!("{count} checks failed"),
    }
}

/// Runs every check, and gives those that failed.
pub fn failures(workspace: &Workspace) -> Vec<anyhow::Error> {
    let cargo = |arguments: &[&str]| workspace.cargo().args(arguments);
    let steps = [
        ("formatting", cargo(&["fmt", "--all", "--check"])),
        ("clippy", cargo(&["clippy", "--workspace", "--all-targets", "--keep-going", "--", "--deny", "warnings"])),
        (
            "documentation",
            cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--keep-going"])
                .env("RUSTDOCFLAGS", "--deny warnings"),
        ),
    ];
    let mut failures: Vec<_> = steps.iter().filter_map(|(title, step)| progress::step(title, step).err()).collect();
    failures.extend(dependencies(workspace).err());
    failures
}

/// Licences, sources and bans always; advisories where their database can be reached.
fn dependencies(workspace: &Workspace) -> Result<()> {
    tools::install(workspace, "deny")?;
    let git = Process::new("git", &workspace.root).env("GIT_TERMINAL_PROMPT", "0").args([
        "ls-remote",
        "--exit-code",
        ADVISORIES,
        "HEAD",
    ]);
    let reachable = git.succeeds(Duration::from_secs(15));
    let mut deny = workspace.cargo().args(["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]);
    if reachable {
        deny = deny.arg("advisories");
    }
    progress::step("dependencies: bans, licences, sources", &deny)?;
    if !reachable {
        println!("    advisories were left out: {ADVISORIES} cannot be reached from here");
    }
    Ok(())
}
