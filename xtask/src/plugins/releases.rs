//! What the shipped plugins say of themselves, written beside them for the server's build script.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::write_changed;
use crate::progress;
use crate::workspace::{Component, Workspace};

/// Its component is the server's own, and no plugin.
const EXPRESSION: &str = "expression";
const FILE: &str = "releases.json";

/// Which of cargo's profiles the host is compiled in that asks them: the one that is needed anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For tests and the demonstration.
    Dev,
    /// For what people install.
    Release,
}

/// Asks those of which nothing newer is written down.
pub fn describe(workspace: &Workspace, shipped: &[&Component], profile: Profile) -> Result<()> {
    let plugins: Vec<_> = shipped.iter().filter(|component| component.name != EXPRESSION).collect();
    let files: Vec<_> = plugins.iter().map(|component| component.file()).collect();
    let Some(folder) = files.first().and_then(|file| file.parent()) else { return Ok(()) };
    let written = folder.join(FILE);
    let since = modified(&written);
    if since.is_some() && files.iter().all(|file| modified(file) <= since) && count(&written) == files.len() {
        return Ok(());
    }
    // Features as everything else gets them, so that what is big compiles once.
    let mut build = workspace.cargo().args(["build", "--workspace", "--example", "releases"]);
    if profile == Profile::Release {
        build = build.arg("--release");
    }
    progress::step("building the sandbox", &build)?;
    let built = if profile == Profile::Release { "release" } else { "debug" };
    let program = workspace.target.join(built).join("examples").join(format!("releases{EXE_SUFFIX}"));
    let asked = progress::doing(&format!("asking {} plugins what they are", files.len()), |_| {
        let output = std::process::Command::new(&program).args(&files).output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    })?;
    // Also where it is the same: its time says that it has been looked at.
    fs::remove_file(&written).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    write_changed(&written, &asked)
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// How many are written down.
fn count(file: &Path) -> usize {
    let releases: Option<Vec<serde_json::Value>> =
        fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    releases.map_or(0, |releases| releases.len())
}
