//! No guest without a test: one that nobody calls proves nothing, and everybody waits for it to compile.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::server::workspace;

/// Whether a file of tests calls this guest: by name, or by a list of names beside the guests' folder.
fn names(text: &str, guest: &str) -> bool {
    let listed = text.contains("target/guests")
        && (text.contains(&format!("\"{guest}\"")) || text.contains(&format!("/{guest}.wasm")));
    listed || text.contains(&format!("guest(\"{guest}\")"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with(file!()) {
            found.push(path);
        }
    }
}

#[test]
fn every_guest_is_named_by_a_test() {
    let tests = workspace().join("tests");
    let mut files = Vec::new();
    for folder in [tests.join("suite"), tests.join("support"), tests.join("../runtime")] {
        sources(&folder, &mut files);
    }
    let texts: Vec<_> = files.iter().map(|file| fs::read_to_string(file).expect("sources are text")).collect();
    let guests: Vec<_> = fs::read_dir(tests.join("guests"))
        .expect("there are guests")
        .map(|entry| entry.expect("their folder can be read"))
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().expect("their names are text"))
        .collect();
    assert!(!guests.is_empty());
    let unnamed: Vec<_> = guests.iter().filter(|guest| !texts.iter().any(|text| names(text, guest))).collect();
    assert!(unnamed.is_empty(), "no test calls the guests {unnamed:?}");
}

#[test]
fn a_name_counts_only_where_guests_are_called() {
    let folder = r#"let folder = root.join("target/guests");"#;
    assert!(names(&format!(r#"{folder} for guest in ["trap", "loop"] {{"#), "loop"));
    assert!(names(r#"include_bytes!("../../target/guests/loop.wasm")"#, "loop"));
    assert!(names(r#"world.call(guest("loop"))"#, "loop"));
    assert!(!names(folder, "loop"));
    assert!(!names(r#"step("loop")"#, "loop"));
    assert!(!names(&format!(r#"{folder} guest("loop-twice")"#), "loop"));
}
