//! What reads bytes from outside, given bytes that nobody would write. A target takes any bytes and panics where something does
//! not hold; what it takes them for is said at its file.
//!
//! `corpus/<target>` holds inputs that are worth keeping: examples, and whatever was once wrong. They are run by an ordinary
//! test. `cargo xtask fuzz` makes up more.

mod cloudevents;
#[cfg(not(fuzzing))]
mod deliveries;
mod document;
mod expression;
mod journal;
mod json;

/// Longest input that is drawn.
const DRAWN_BYTES_MAX: usize = 256;

/// Something that is fed.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "cloudevents", run: cloudevents::run },
    #[cfg(not(fuzzing))]
    Target { name: "deliveries", run: deliveries::run },
    Target { name: "document", run: document::run },
    Target { name: "expression", run: expression::run },
    Target { name: "journal", run: journal::run },
    Target { name: "json", run: json::run },
];

/// The target with a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Inputs for a target that nothing leads: the same from the same seed, without end.
pub fn drawn(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut state = seed;
    // SplitMix64.
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    std::iter::repeat_with(move || {
        let words = next() % (DRAWN_BYTES_MAX as u64 / 8);
        (0..=words).flat_map(|_| next().to_le_bytes()).collect()
    })
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

    const DRAWN: &str = "deliveries";
    const DELIVERIES: usize = 5_000;

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
        // The drawn ones have a test of their own: nobody compiles every adapter twice.
        for target in TARGETS.iter().filter(|target| target.name != DRAWN) {
            let files = files(&corpus().join(target.name));
            assert!(files.len() >= 5, "`{}` has only {} inputs", target.name, files.len());
            for file in files {
                let input = fs::read(&file).unwrap();
                let ran = std::panic::catch_unwind(|| (target.run)(&input));
                assert!(ran.is_ok(), "{} breaks `{}`", file.display(), target.name);
            }
        }
    }

    /// From a seed that stays: what it came to once, it comes to every time.
    #[test]
    fn no_delivery_breaks_an_adapter_or_is_taken_unsigned() {
        let target = target(DRAWN).unwrap();
        let kept = files(&corpus().join(DRAWN)).into_iter().map(|file| fs::read(file).unwrap());
        for (round, input) in kept.chain(drawn(20_261_121).take(DELIVERIES)).enumerate() {
            let ran = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(ran.is_ok(), "input {round} breaks `{DRAWN}`: {input:?}");
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
