//! Compiled components on disk: never trusted blindly.
//!
//! A file is the keyed BLAKE3 hash of its name and content, then the content. It is checked before a byte of it is
//! loaded; one that was changed, cut, written with another key or for another engine is compiled again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use camshaft_model::ids::Digest;
use wasmtime::component::Component;
use wasmtime::{Engine, Result};

const MAC_BYTES: usize = 32;

/// The folder of compiled components.
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    key: [u8; 32],
    engine: Engine,
    /// Stands for wasmtime's version and the engine's configuration.
    compatibility: u64,
}

impl Cache {
    pub(crate) fn new(folder: Option<PathBuf>, key: [u8; 32], engine: &Engine) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self { folder, key, engine: engine.clone(), compatibility: hasher.finish() }
    }

    /// The component, from the folder if it is there and in order, else compiled from `bytes`.
    pub(crate) fn component(&self, digest: Digest, bytes: &[u8]) -> Result<Component> {
        let Some(path) = self.path(digest) else { return Component::new(&self.engine, bytes) };
        if let Some(component) = self.load(&path) {
            return Ok(component);
        }
        let compiled = self.engine.precompile_component(bytes)?;
        if let Err(error) = self.keep(&path, &compiled) {
            tracing::warn!(path = %path.display(), %error, "a compiled component is not kept");
        }
        self.deserialize(&compiled)
    }

    fn path(&self, digest: Digest) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{digest}-{:016x}.cwasm", self.compatibility)))
    }

    fn load(&self, path: &Path) -> Option<Component> {
        let file = std::fs::read(path).ok()?;
        let content = match file.split_at_checked(MAC_BYTES) {
            // `blake3::Hash` compares in constant time.
            Some((mac, content)) if blake3::Hash::from_slice(mac).is_ok_and(|mac| mac == self.mac(path, content)) => {
                content
            }
            _ => {
                tracing::warn!(path = %path.display(), "a compiled component was changed; it is compiled again");
                return None;
            }
        };
        match self.deserialize(content) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component does not load; it is compiled again");
                None
            }
        }
    }

    fn mac(&self, path: &Path, content: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name).update(content);
        hasher.finalize()
    }

    /// Whole or not at all: written beside, then renamed.
    fn keep(&self, path: &Path, content: &[u8]) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Two that compile the same component at once do not write into each other's file.
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{number}.part", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(self.mac(path, content).as_bytes())?;
        file.write_all(content)?;
        std::fs::rename(&beside, path)
    }

    #[allow(unsafe_code)]
    fn deserialize(&self, content: &[u8]) -> Result<Component> {
        // SAFETY: `deserialize` must be given what `precompile_component` made. `content` is either its result of a moment
        // ago, or was read together with a MAC over it under a key that only this server's data folder holds, and which
        // was checked on these very bytes in memory, so that nobody can change them in between.
        unsafe { Component::deserialize(&self.engine, content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn cache(folder: &Path, key: u8) -> Cache {
        Cache::new(Some(folder.to_owned()), [key; 32], &Engine::default())
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn what_was_kept_is_loaded_and_what_was_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let digest = crate::digest(COMPONENT);
        let first = cache(folder.path(), 1);
        first.component(digest, COMPONENT).unwrap();
        let path = only_file(folder.path());
        assert!(first.load(&path).is_some());
        // Bytes that are no component show that the file was used, and not they.
        assert!(first.component(digest, b"garbage").is_ok());

        assert!(cache(folder.path(), 2).load(&path).is_none(), "another key");
        let good = std::fs::read(&path).unwrap();
        for at in [0, MAC_BYTES, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(first.load(&path).is_none(), "byte {at}");
        }
        std::fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(first.load(&path).is_none(), "cut");
        std::fs::write(&path, b"short").unwrap();
        assert!(first.component(digest, COMPONENT).is_ok(), "compiled again");
        assert_eq!(std::fs::read(&path).unwrap().len(), good.len());

        // A good file under another name is another component's.
        let other = folder.path().join("other.cwasm");
        std::fs::write(&other, &good).unwrap();
        assert!(first.load(&other).is_none(), "renamed");
    }
}
