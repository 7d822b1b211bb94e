//! The data folder: nobody but its owner reads it, and what is written into it is either there whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder that holds everything a server keeps.
#[derive(Debug, Clone)]
pub struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// Opens the folder, and makes it with mode 0700 where there is none.
    pub fn open(root: &Path) -> Result<Self> {
        let shown = root.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("cannot make the data folder {shown}"))?;
        let found = fs::metadata(root).with_context(|| format!("cannot read the data folder {shown}"))?;
        anyhow::ensure!(found.is_dir(), "the data folder {shown} is a file");
        if found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(root, Permissions::from_mode(0o700))
                .with_context(|| format!("cannot make the data folder {shown} private (mode 0700)"))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// A path inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The text of a file inside; none where there is no such file.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes a file with mode 0600. It is durable, and there whole, when this returns; a crash leaves the old one.
    pub fn write_private(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let draft = self.path(&format!("{name}.new"));
        let write = || {
            // A draft that a crash left behind may have another mode.
            match fs::remove_file(&draft) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            fs::File::open(&self.root)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Gives a file inside another name; durable when it returns.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let rename = || {
            fs::rename(&from, &to)?;
            fs::File::open(&self.root)?.sync_all()
        };
        rename().with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_and_files_are_their_owner_s_alone() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("a/b");
        let folder = DataFolder::open(&root).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root), 0o700);
        fs::write(folder.path("keys.new"), "left by a crash").unwrap();
        let path = folder.write_private("keys", "k").unwrap();
        assert_eq!((mode(&path), folder.read("keys").unwrap().as_deref()), (0o600, Some("k")));

        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        DataFolder::open(&root).unwrap();
        assert_eq!(mode(&root), 0o700, "a folder that others could read is closed to them");
        assert!(folder.read("nothing").unwrap().is_none());
    }
}
