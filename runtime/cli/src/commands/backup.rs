//! `camshaft backup` and `camshaft restore`.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result};
use camshaft_server::backup;
use serde_json::json;

use super::Session;

/// Asks a server for a backup, and writes it into a new file that only its owner reads. A file that is not whole is taken away
/// again.
pub(super) fn backup(session: &Session, path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).with_context(|| format!("cannot make {}", path.display()))?;
    let checked = take(session, &mut file, path).inspect_err(|_| drop(fs::remove_file(path)))?;
    let told = json!({
        "file": path.display().to_string(),
        "bytes": checked.bytes,
        "taken_at": checked.taken_at.to_string(),
    });
    session.print(&told, |_| {
        format!(
            "{}  {} bytes, as of {}\nkeep it as you keep a password: it holds the key of the secrets",
            path.display(),
            checked.bytes,
            checked.taken_at
        )
    })
}

fn take(session: &Session, file: &mut File, path: &Path) -> Result<backup::Checked> {
    session.client.download("/api/v1/backup", file).with_context(|| format!("{} is not written", path.display()))?;
    file.sync_all().with_context(|| format!("cannot write {}", path.display()))?;
    backup::check(path)
}

/// Makes a data folder of a backup; no server is asked.
pub(super) fn restore(session: &Session, path: &Path, data: &Path) -> Result<()> {
    let restored = backup::restore(path, data)?;
    let told = json!({
        "data": data.display().to_string(),
        "executions": restored.executions,
        "taken_at": restored.taken_at.to_string(),
    });
    session.print(&told, |_| {
        format!(
            "{}  {} executions, as of {}\nstart it: camshaft serve --data {}",
            data.display(),
            restored.executions,
            restored.taken_at,
            data.display()
        )
    })
}
