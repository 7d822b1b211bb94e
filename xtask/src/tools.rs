//! Programs beside cargo that the checks need: installed once into the user's cargo folder, never on each run.

use std::time::Duration;

use anyhow::Result;

use crate::process::Process;
use crate::progress;
use crate::workspace::Workspace;

/// Makes sure that `cargo <name>` runs; compiling it takes minutes, once.
pub fn install(workspace: &Workspace, name: &str) -> Result<()> {
    let there = Process::cargo(&workspace.root).args([name, "--version"]);
    if there.succeeds(Duration::from_secs(60)) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    let install = Process::cargo(&workspace.root)
        .args(["install", "--locked", &package])
        .env("CARGO_TARGET_DIR", workspace.target.join("tools"));
    progress::step(&format!("installing {package}, which this machine lacks (minutes, once)"), &install)?;
    Ok(())
}
