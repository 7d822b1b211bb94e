//! Programs of others that ours are held against, installed from PyPI into the target folder.

use std::path::PathBuf;

use crate::process::Process;
use crate::workspace::Workspace;

/// The folder that a release is installed in, for `PYTHONPATH`; none where it cannot be had. `package` is what it brings.
pub fn installed(workspace: &Workspace, release: &str, package: &str) -> Option<PathBuf> {
    let folder = workspace.target.join("oracles").join(release.replace("==", "-"));
    if folder.join(package).is_dir() {
        return Some(folder);
    }
    let pip = Process::new("python3", &workspace.root)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(&folder)
        .arg(release);
    pip.read().is_ok().then_some(folder)
}
