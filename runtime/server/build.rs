//! Embeds the shipped plugins: the components that `cargo xtask plugins` put under `target/plugins`.
//!
//! What is missing is a warning here, so that people who work on something else are not kept waiting, and an error when
//! the server starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let workspace = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let workspace = workspace.canonicalize().expect("the crate stands in its workspace");
    let built = workspace.join("target/plugins");
    // Said relative to this crate: clones may share a target folder, and each must look at its own plugins.
    println!("cargo::rerun-if-changed=../../target/plugins");

    let mut wanted = BTreeSet::from(["expression".to_owned()]);
    for folder in ["plugins/tasks", "plugins/adapters"] {
        println!("cargo::rerun-if-changed=../../{folder}");
        let folder = workspace.join(folder);
        wanted.extend(names(&folder, |path| path.join("Cargo.toml").is_file()));
    }
    let found = names(&built, |path| path.extension().is_some_and(|extension| extension == "wasm"));
    let missing: Vec<_> = wanted.difference(&found).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(|name| name.as_str()).collect();
        println!("cargo::warning=built without {}: run `cargo xtask plugins`, then build again", missing.join(", "));
    }

    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    // Digests are made here, so that a start need not read every component.
    let mut code = String::from("/// Name, digest and component of each shipped plugin.\n");
    code.push_str("pub const EMBEDDED: &[(&str, [u8; 32], &[u8])] = &[\n");
    for name in &found {
        let path = built.join(format!("{name}.wasm"));
        let component = fs::read(&path).expect("the component was listed just now");
        let digest = blake3::hash(&component);
        // A copy beside the code, so that what is embedded does not hang on a clone that may be gone by then.
        let file = format!("{name}.wasm");
        fs::write(out.join(&file), &component).expect("cargo's output folder can be written");
        code.push_str(&format!(
            "    ({name:?}, {:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))),\n",
            digest.as_bytes()
        ));
    }
    code.push_str("];\n\n/// What they say of themselves: an array of releases, as JSON.\n");
    let releases = fs::read_to_string(built.join("releases.json")).unwrap_or_else(|_| "[]".to_owned());
    code.push_str(&format!("pub const RELEASES: &str = {releases:?};\n"));
    code.push_str("\n/// Shipped plugins that were not there when this was built.\n");
    code.push_str(&format!("pub const MISSING: &[&str] = &{missing:?};\n"));
    fs::write(out.join("embedded.rs"), code).expect("cargo's output folder can be written");
}

fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| wanted(path));
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}
