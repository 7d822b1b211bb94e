//! New projects: what `camshaft plugin new` makes passes its own tests, for each kind of plugin.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::server::{binary, workspace};

fn new(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(["plugin", "new"]).args(arguments).current_dir(folder).output().expect("the binary starts")
}

/// The project's own tests, with the versions of this workspace and its folder of what is built.
fn tested(project: &Path) -> Output {
    std::fs::copy(workspace().join("Cargo.lock"), project.join("Cargo.lock")).expect("the workspace has its lock");
    let target = binary().parent().and_then(Path::parent).expect("it is in a target folder").to_owned();
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--offline", "--quiet"])
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo starts")
}

#[test]
fn a_new_project_of_each_kind_passes_its_tests() {
    let sdk = workspace().join("sdk/rust");
    let sdk = sdk.to_str().expect("it is text");
    for (kind, name, count) in [("adapter", "acme-shop", "3 passed"), ("task", "greet", "3 passed")] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let made = new(folder.path(), &["--kind", kind, name, "--sdk", sdk]);
        let told = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(made.status.success() && told.contains(&format!("cd {name}\n  cargo test")), "{made:?}");
        let output = tested(&folder.path().join(name));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains(count), "{kind}: {out}\n{err}");
        assert!(!err.contains("warning"), "{kind}: {err}");
    }
}

#[test]
fn a_folder_that_is_there_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::create_dir(folder.path().join("acme")).expect("it is empty");
    let made = new(folder.path(), &["--kind", "adapter", "acme"]);
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.code() == Some(1) && said.contains("acme is there already"), "{made:?}");
    let unknown = new(folder.path(), &["--kind", "adapter", "acme", "--lang", "cobol"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}
