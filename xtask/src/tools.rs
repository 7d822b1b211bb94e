//! Programs beside cargo that the checks need: installed once into the user's cargo folder, never on each run.

use std::path::Path;
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

/// Installs a Debian package where that may be done; whether it is there now.
pub fn debian(package: &str) -> bool {
    let apt = |arguments: &[&str]| {
        let patience = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20"];
        let apt = Process::new("apt-get", Path::new("/")).args(patience).args(arguments);
        apt.env("DEBIAN_FRONTEND", "noninteractive").read().is_ok()
    };
    let install = ["install", "--yes", "--no-install-recommends", package];
    apt(&install) || (apt(&["update"]) && apt(&install))
}
