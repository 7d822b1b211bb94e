//! What reads bytes from outside, given bytes that nobody would write. A target takes any bytes and panics where something does
//! not hold; what it takes them for is said at its file.
//!
//! `corpus/<target>` holds inputs that are worth keeping: examples, and whatever was once wrong. They are run by an ordinary
//! test. `cargo xtask fuzz` makes up more.

mod cloudevents;
mod document;
mod expression;
mod journal;
mod json;

/// Something that is fed.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 5] = [
    Target { name: "cloudevents", run: cloudevents::run },
    Target { name: "document", run: document::run },
    Target { name: "expression", run: expression::run },
    Target { name: "journal", run: journal::run },
    Target { name: "json", run: json::run },
];

/// The target with a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs on a stack on which a reader that is bounded in depth does not come to an end; one that is not does.
fn on_deep_stack(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, work);
        if let Err(panic) = thread.expect("a thread can be had").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn corpus() -> PathBuf {
        // Asked when the test runs: what was compiled in may be another clone with the same target folder.
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests")).join("corpus")
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn nothing_in_the_corpora_breaks_its_target() {
        for target in &TARGETS {
            let files = files(&corpus().join(target.name));
            assert!(files.len() >= 5, "`{}` has only {} inputs", target.name, files.len());
            for file in files {
                let input = fs::read(&file).unwrap();
                let ran = std::panic::catch_unwind(|| (target.run)(&input));
                assert!(ran.is_ok(), "{} breaks `{}`", file.display(), target.name);
            }
        }
    }

    #[test]
    fn every_corpus_has_its_target() {
        let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
        let folders = files(&corpus());
        let folders = folders.iter().map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned());
        assert_eq!(folders.collect::<BTreeSet<_>>(), names);
    }
}
