//! Programs of others that ours are held against, installed from PyPI or npm into the target folder.

use std::path::PathBuf;

use crate::process::Process;
use crate::workspace::Workspace;

/// The folder that releases are installed in, for `PYTHONPATH`; none where they cannot be had. `package` is what the last brings.
pub fn installed(workspace: &Workspace, releases: &[&str], package: &str) -> Option<PathBuf> {
    let folder = folder(workspace, releases);
    if folder.join(package).is_dir() {
        return Some(folder);
    }
    let pip = Process::new("python3", &workspace.root)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(&folder)
        .args(releases);
    pip.read().is_ok().then_some(folder)
}

/// The folder that releases of npm are installed in; none where they cannot be had.
pub fn installed_from_npm(workspace: &Workspace, releases: &[&str]) -> Option<PathBuf> {
    let folder = folder(workspace, releases);
    if folder.join("package.json").is_file() {
        return Some(folder);
    }
    let npm = Process::new("npm", &workspace.root)
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(&folder)
        .args(releases);
    npm.read().is_ok().then_some(folder)
}

fn folder(workspace: &Workspace, releases: &[&str]) -> PathBuf {
    let plain = |character: char| if character.is_alphanumeric() { character } else { '-' };
    let name: String = releases.join("+").chars().map(plain).collect();
    workspace.target.join("oracles").join(name)
}
